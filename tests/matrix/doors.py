"""The doors, each asked about the same backend: what came of it, in words that all of them share."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field, replace
from typing import Any

import httpx2
from openai import APIError, APIStatusError, AsyncOpenAI
from tests.faulty import Exchange, FaultyBackend, TokenEndpoint, play
from tests.http_server import sockets
from tests.http_server.doors import MODEL, chat, distant_door, responses
from tests.http_server.raw import JsonObject, Reply, post
from tests.logins import auth_json
from tests.matrix.faults import AFTERWARDS, GOOD, NOW, Fault, Shows, Whole
from tests.wire_files import events

from codexapi_engine.protocol import sse
from codexapi_engine.protocol.anthropic import PING

LOGIN = auth_json(exp=4_000_000_000)


@dataclass(frozen=True)
class Told:
    """What a client was told. A success has a `finish`, and everything else a status and a code."""

    text: str = ""
    finish: str | None = None
    status: int | None = None  # None: a door without statuses, or an error after a good one
    code: str | None = None
    headers: dict[str, str] = field(default_factory=dict)
    raw: str = ""  # all of it
    unchanged: bool = False  # it ended in the backend's own event
    comments: bool = False


@dataclass(frozen=True)
class Cell:
    """A fault at a door."""

    first: Told
    afterwards: Told
    attempts: int


Door = Callable[[str, JsonObject], Awaitable[list[Told]]]


def faulty(fault: Fault) -> FaultyBackend:
    """A backend with this fault, which renews logins and answers what is asked afterwards."""
    scripts, tokens = list(fault.scripts), TokenEndpoint()

    async def answer(exchange: Exchange) -> None:
        if exchange.request.target == "/oauth/token":
            await tokens(exchange)
        elif AFTERWARDS.encode() in exchange.request.body:
            await play(GOOD, exchange)
        else:
            await play(scripts.pop(0) if len(scripts) > 1 else scripts[0], exchange)

    return FaultyBackend(otherwise=[answer])


def attempts(backend: FaultyBackend) -> int:
    return sum(
        request.target == "/responses" and AFTERWARDS.encode() not in request.body
        for request in backend.requests
    )


LONG_WAITS = {"timeout": 60.0, "keep_alive": 60.0}
"""A machine with much to do is silent for long, too."""


async def cell(door: Door, fault: Fault) -> Cell:
    async with faulty(fault) as backend:
        first, afterwards = await door(backend.url, {**LONG_WAITS, **fault.settings})
        return Cell(first, afterwards, attempts(backend))


# Over HTTP, byte by byte.


def over_http(
    path: str,
    body: Callable[..., JsonObject],
    read: Callable[[Reply], Told],
    *,
    streamed: bool,
    refuse: Callable[[Reply], Told] | None = None,
) -> Door:
    async def ask(url: str, settings: JsonObject) -> list[Told]:
        async with distant_door(url, LOGIN, token_url=f"{url}/oauth/token", **settings) as server:
            told = []
            for prompt in (NOW, AFTERWARDS):
                reply = await server.reply(post(path, body(prompt, stream=streamed)))
                told.append(read(reply) if reply.status == 200 else (refuse or refused)(reply))
            return told

    return ask


async def over_a_socket(url: str, settings: JsonObject) -> list[Told]:
    """Both requests on one WebSocket, which stays open."""
    async with distant_door(url, LOGIN, token_url=f"{url}/oauth/token", **settings) as server:
        async with sockets.client(server.port) as socket:
            told = []
            for prompt in (NOW, AFTERWARDS):
                reply = sockets.over_http(await socket.ask(prompt))
                told.append(streamed_response(reply) if reply.status == 200 else refused(reply))
            return told


def refused(reply: Reply) -> Told:
    error = reply.error
    raw = reply.body.decode()
    return Told("", None, reply.status, error["code"], reply.headers, raw)


def completion(prompt: str = "hi", **more: Any) -> JsonObject:
    return {"model": MODEL, "prompt": prompt, **more}


def whole_chat(reply: Reply) -> Told:
    (choice,) = reply.json["choices"]
    text = choice["message"]["content"] if "message" in choice else choice["text"]
    return Told(text, choice["finish_reason"], raw=reply.body.decode())


def whole_response(reply: Reply) -> Told:
    response = reply.json
    text = "".join(part["text"] for item in response["output"] for part in item.get("content", ()))
    return Told(text, told_finish(response), raw=reply.body.decode())


def finish_of(status: str | None, reason: str | None) -> str | None:
    """Chat's word for how a response ended well; None if it did not."""
    ends = {"max_output_tokens": "length", "content_filter": "content_filter"}
    if status == "incomplete":
        return ends[str(reason)]
    return "stop" if status == "completed" else None


def told_finish(response: JsonObject) -> str | None:
    return finish_of(response["status"], (response["incomplete_details"] or {}).get("reason"))


def streamed_chat(reply: Reply) -> Told:
    """Chat Completions, and Completions, whose chunks are alike but for the text."""
    told = [event for event in events(reply.body) if event.data != b"[DONE]"]
    done = reply.body.endswith(sse.DONE)
    errors = [event.json["error"] for event in told if "error" in event.json]
    choices = [choice for event in told for choice in event.json["choices"]]
    text = "".join(
        (choice["delta"].get("content") or "") if "delta" in choice else choice["text"]
        for choice in choices
    )
    ends = [choice["finish_reason"] for choice in choices if choice["finish_reason"]]
    return ending(reply, text, ends, errors, done=done)


def streamed_response(reply: Reply) -> Told:
    told = [event for event in events(reply.body) if event.data != b"[DONE]"]
    done = reply.body.endswith(sse.DONE)
    text = "".join(
        event.json["delta"]
        for event in told
        if event.type == "response.output_text.delta" and isinstance(event.json["delta"], str)
    )
    errors = [event.json["error"] for event in told if event.type == "error"]
    errors += [event.json["response"]["error"] for event in told if event.type == "response.failed"]
    ends = [
        told_finish(event.json["response"])
        for event in told
        if event.type in ("response.completed", "response.incomplete")
    ]
    unchanged = told[-1].type == "response.failed"
    return ending(reply, text, ends, errors, done=done, unchanged=unchanged)


def ending(
    reply: Reply,
    text: str,
    ends: list[str | None],
    errors: list[JsonObject],
    *,
    done: bool,
    unchanged: bool = False,
) -> Told:
    """How a stream ended: in one way, and only one."""
    raw, comments = reply.body.decode(errors="replace"), sse.KEEP_ALIVE in reply.body
    assert len(ends) + len(errors) == 1, raw
    assert done == bool(ends), raw
    if errors:
        return Told(text, code=errors[0]["code"], raw=raw, unchanged=unchanged, comments=comments)
    return Told(text, ends[0], raw=raw, comments=comments)


# In Anthropic's dialect, whose errors have a type and no code.

_FINISH = {"end_turn": "stop", "max_tokens": "length", "refusal": "content_filter"}
_TYPES = {
    400: "invalid_request_error", 401: "authentication_error", 402: "billing_error",
    403: "permission_error", 404: "not_found_error", 413: "request_too_large",
    429: "rate_limit_error", 504: "timeout_error",
}  # fmt: skip
_OVERLOADED = ("server_is_overloaded", "slow_down", "policy_capacity_unavailable")


def in_messages(shows: Shows) -> Shows:
    """What a fault looks like there: the type of an error stands for its code."""
    if isinstance(shows, Whole):
        return shows
    if shows.code in _OVERLOADED:
        return replace(shows, status=529, code="overloaded_error")
    return replace(shows, code=_TYPES.get(shows.status, "api_error"))


def message(prompt: str = "hi", **more: Any) -> JsonObject:
    return {**chat(prompt, **more), "max_tokens": 9}


def whole_message(reply: Reply) -> Told:
    text = "".join(block["text"] for block in reply.json["content"])
    return Told(text, _FINISH[reply.json["stop_reason"]], raw=reply.body.decode())


def streamed_message(reply: Reply) -> Told:
    told = [event.json for event in events(reply.body)]
    text = "".join(
        step["delta"].get("text", "") for step in told if step["type"] == "content_block_delta"
    )
    ends = [step["delta"]["stop_reason"] for step in told if step["type"] == "message_delta"]
    errors = [step["error"] for step in told if step["type"] == "error"]
    raw, comments = reply.body.decode(), reply.body.count(PING) > 1
    assert len(ends) + len(errors) == 1, raw
    assert told[-1]["type"] == ("error" if errors else "message_stop"), raw
    if errors:
        return Told(text, code=errors[0]["type"], raw=raw, comments=comments)
    return Told(text, _FINISH[ends[0]], raw=raw, comments=comments)


def refused_message(reply: Reply) -> Told:
    kind = reply.json["error"]["type"]
    return Told("", None, reply.status, kind, reply.headers, reply.body.decode())


# Over HTTP, by the official client.


def official(read: Callable[[AsyncOpenAI, str, list[str]], Awaitable[str | None]]) -> Door:
    async def ask(url: str, settings: JsonObject) -> list[Told]:
        async with (
            distant_door(url, LOGIN, token_url=f"{url}/oauth/token", **settings) as server,
            httpx2.AsyncClient(verify=False) as http,  # its certificates cost 50 ms, and no TLS
        ):
            base = f"http://127.0.0.1:{server.port}/v1"
            client = AsyncOpenAI(
                base_url=base, api_key="unused", max_retries=0, timeout=60, http_client=http
            )
            return [await one(client, prompt) for prompt in (NOW, AFTERWARDS)]

    async def one(client: AsyncOpenAI, prompt: str) -> Told:
        said: list[str] = []
        try:
            finish = await read(client, prompt, said)
        except APIStatusError as error:
            headers = {name.lower(): value for name, value in error.response.headers.items()}
            raw = str(error.body)
            return Told("".join(said), None, error.status_code, error.code, headers, raw)
        except APIError as error:
            return Told("".join(said), code=error.code, raw=str(error.body))
        return Told("".join(said), finish)

    return ask


async def official_chat(client: AsyncOpenAI, prompt: str, said: list[str]) -> str | None:
    finish = None
    messages: Any = [{"role": "user", "content": prompt}]
    stream = await client.chat.completions.create(model=MODEL, messages=messages, stream=True)
    async for chunk in stream:
        for choice in chunk.choices:
            said.append(choice.delta.content or "")
            finish = choice.finish_reason or finish
    return finish


async def official_responses(client: AsyncOpenAI, prompt: str, said: list[str]) -> str | None:
    finish = None
    stream = await client.responses.create(model=MODEL, input=prompt, stream=True)
    async for event in stream:
        if event.type == "response.output_text.delta":
            said.append(event.delta if isinstance(event.delta, str) else "")
        elif event.type in ("response.completed", "response.incomplete"):
            details = event.response.incomplete_details
            finish = finish_of(event.response.status, details.reason if details else None)
        elif event.type == "response.failed":
            error = event.response.error
            assert error is not None
            raise APIError(error.message, request=None, body=error.model_dump())  # type: ignore[arg-type]
    return finish


HTTP_DOORS: dict[str, Door] = {
    "chat": over_http("/v1/chat/completions", chat, whole_chat, streamed=False),
    "chat, streamed": over_http("/v1/chat/completions", chat, streamed_chat, streamed=True),
    "responses": over_http("/v1/responses", responses, whole_response, streamed=False),
    "responses, streamed": over_http("/v1/responses", responses, streamed_response, streamed=True),
    "responses, by a socket": over_a_socket,
    "completions": over_http("/v1/completions", completion, whole_chat, streamed=False),
    "completions, streamed": over_http("/v1/completions", completion, streamed_chat, streamed=True),
    "messages": over_http(
        "/v1/messages", message, whole_message, streamed=False, refuse=refused_message
    ),
    "messages, streamed": over_http(
        "/v1/messages", message, streamed_message, streamed=True, refuse=refused_message
    ),
    "openai client, chat": official(official_chat),
    "openai client, responses": official(official_responses),
}
