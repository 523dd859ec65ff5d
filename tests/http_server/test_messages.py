"""Anthropic's Messages API at the server's door: what a client of it sees, byte by byte."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncGenerator, AsyncIterator, Mapping
from typing import Any

import pytest
import pytest_asyncio
from tests.claude_code import recording, recordings
from tests.http_server import raw
from tests.http_server.doors import Answer, Door, Stream, door
from tests.http_server.raw import JsonObject, Reply, get, head, post
from tests.message_replies import added_up, told

from codexapi_engine.bounds import MAX_BODY_BYTES, MIB
from codexapi_engine.protocol.anthropic import PING
from codexapi_engine.simulator import Simulator

pytestmark = [pytest.mark.asyncio(loop_scope="module"), pytest.mark.timeout(60)]

MESSAGES, COUNT, KEY = "/v1/messages", "/v1/messages/count_tokens", "open sesame"
MODEL = "gpt-6.1-sol"
VERSION = "anthropic-version: 2023-06-01"
A_WHILE = 0.05
"""Seconds: a keep-alive interval that a test can wait for."""

CREATED = {"type": "response.created", "response": {"id": "resp_1", "created_at": 5}}


class Recorder(Simulator):
    """Remembers what it was asked."""

    def __init__(self) -> None:
        super().__init__()
        self.bodies: list[JsonObject] = []
        self.sessions: list[str] = []

    async def handle(
        self, method: str, target: str, headers: Mapping[str, str], body: bytes
    ) -> Answer:
        if target.endswith("/responses"):
            self.bodies.append(json.loads(body))
            self.sessions.append(headers["session-id"])
        return await super().handle(method, target, headers, body)


class Playing(Stream):
    """An answer that the test sends piece by piece; the list of models comes by itself."""

    async def handle(
        self, method: str, target: str, headers: Mapping[str, str], body: bytes
    ) -> Answer:
        if method == "GET":
            return 404, {}, _nothing()
        return await super().handle(method, target, headers, body)


async def _nothing() -> AsyncGenerator[bytes, None]:
    yield b"{}"


@pytest.fixture(scope="module")
def backend() -> Recorder:
    return Recorder()


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def served(backend: Recorder) -> AsyncIterator[Door]:
    async with door(backend) as opened:
        yield opened


def ask(text: str, **more: Any) -> JsonObject:
    messages = [{"role": "user", "content": text}]
    return {"model": MODEL, "max_tokens": 9, "messages": messages, **more}


def refused(reply: Reply, status: int, kind: str) -> str:
    """The message of an error. Fails unless it has this API's form, and its own alone."""
    body = reply.json
    assert (reply.status, list(body)) == (status, ["type", "error", "request_id"]), reply
    assert (body["type"], body["error"]["type"]) == ("error", kind)
    assert body["request_id"] == reply.headers["request-id"] == reply.headers["x-request-id"]
    return str(body["error"]["message"])


def delta(text: str) -> JsonObject:
    place = {"item_id": "msg_1", "output_index": 0, "content_index": 0}
    return {"type": "response.output_text.delta", **place, "delta": text}


# Answers


async def test_a_whole_answer(served: Door) -> None:
    reply = await served.reply(post(MESSAGES, ask("[[say Good day.]]")))
    assert reply.status == 200
    assert reply.json["content"] == [{"type": "text", "text": "Good day."}]
    assert reply.json["model"] == MODEL
    assert reply.headers["request-id"] == reply.headers["x-request-id"]
    assert reply.headers["x-codexapi-ignored"] == "max_tokens"


@pytest.mark.parametrize("stream", [None, False])
async def test_only_true_streams(served: Door, *, stream: bool | None) -> None:
    reply = await served.reply(post(MESSAGES, ask("hi", stream=stream)))
    assert reply.headers["content-type"] == "application/json"


async def test_a_stream(served: Door) -> None:
    reply = await served.reply(post(f"{MESSAGES}?beta=true", ask("[[say Good day.]]", stream=True)))
    assert reply.headers["content-type"] == "text/event-stream; charset=utf-8"
    assert reply.headers["request-id"] == reply.headers["x-request-id"]
    assert b"[DONE]" not in reply.body
    message = added_up(reply.body)
    assert message["content"] == [{"type": "text", "text": "Good day."}]
    assert message["usage"]["output_tokens"] > 1


async def test_both_roads_give_one_answer(served: Door) -> None:
    given = ask("[[reason]] [[commentary]] [[say Well.]]", thinking={"type": "adaptive"})
    whole = (await served.reply(post(MESSAGES, given))).json
    streamed = added_up((await served.reply(post(MESSAGES, {**given, "stream": True}))).body)
    kinds = [block["type"] for block in whole["content"]]
    assert kinds == ["thinking", "text", "text"]
    for reply in (whole, streamed):
        del reply["id"]
        for block in reply["content"]:
            block.pop("signature", None)
    assert streamed == whole


@pytest.mark.parametrize("stream", [False, True])
async def test_a_stop_sequence_ends_both_roads(served: Door, *, stream: bool) -> None:
    given = ask("[[say one two three four]]", stop_sequences=["three"], stream=stream)
    reply = await served.reply(post(MESSAGES, given))
    message = added_up(reply.body) if stream else reply.json
    assert message["content"] == [{"type": "text", "text": "one two "}]
    assert (message["stop_reason"], message["stop_sequence"]) == ("stop_sequence", "three")


async def test_the_name_that_was_asked_for_comes_back(served: Door, backend: Recorder) -> None:
    reply = await served.reply(post(MESSAGES, ask("hi", model="claude-haiku-5-5")))
    assert reply.json["model"] == "claude-haiku-5-5"
    assert backend.bodies[-1]["model"] == reply.headers["openai-model"] == "gpt-6-luna"
    reply = await served.reply(post(MESSAGES, ask("hi", model=f"claude-{MODEL}")))
    assert (backend.bodies[-1]["model"], reply.json["model"]) == (MODEL, f"claude-{MODEL}")


async def test_an_alias_and_the_servers_own_model_go_first() -> None:
    backend = Recorder()
    aliases = {"claude-opus-5-5": "gpt-6-astra"}
    async with door(backend, model="gpt-6-sol", model_aliases=aliases) as server:
        for name in ("claude-opus-5-5", "claude-sonnet-5", None):
            given = {**ask("hi"), "model": name}
            assert (await server.reply(post(MESSAGES, given))).status == 200
    assert [body["model"] for body in backend.bodies] == ["gpt-6-astra", "gpt-6-sol", "gpt-6-sol"]


# What is carried from turn to turn


async def test_reasoning_goes_to_the_client_and_back_to_the_backend(
    served: Door, backend: Recorder
) -> None:
    tools = [{"name": "f", "input_schema": {"type": "object"}}]
    more = {"tools": tools, "thinking": {"type": "adaptive", "display": "omitted"}}
    first = (await served.reply(post(MESSAGES, ask("[[reason]] [[tool f {}]]", **more)))).json
    thought, call = first["content"]
    assert (thought["thinking"], call["type"]) == ("", "tool_use")
    result = {"type": "tool_result", "tool_use_id": call["id"], "content": "5"}
    history = [
        {"role": "user", "content": "go"},
        {"role": "assistant", "content": first["content"]},
        {"role": "user", "content": [result]},
    ]
    reply = await served.reply(post(MESSAGES, ask("x", **more) | {"messages": history}))
    assert reply.status == 200
    kinds = [item["type"] for item in backend.bodies[-1]["input"]]
    assert kinds == ["message", "reasoning", "function_call", "function_call_output"]
    assert thought["signature"].endswith(":" + backend.bodies[-1]["input"][1]["encrypted_content"])


@pytest.mark.parametrize("stream", [False, True])
async def test_reasoning_of_a_client_without_thinking_is_put_back(
    served: Door, backend: Recorder, *, stream: bool
) -> None:
    tools = [{"name": "f", "input_schema": {"type": "object"}}]
    given = ask(f"[[reason]] [[tool f {{}}]] {stream}", tools=tools, stream=stream)
    reply = await served.reply(post(MESSAGES, given))
    content = (added_up(reply.body) if stream else reply.json)["content"]
    assert [block["type"] for block in content] == ["tool_use"]
    result = {"type": "tool_result", "tool_use_id": content[0]["id"], "content": "5"}
    history = [
        {"role": "user", "content": "go"},
        {"role": "assistant", "content": content},
        {"role": "user", "content": [result]},
    ]
    await served.reply(post(MESSAGES, ask("x", tools=tools) | {"messages": history}))
    assert [item["type"] for item in backend.bodies[-1]["input"]][1] == "reasoning"


async def test_a_session_is_one_cache_key_and_an_agent_has_its_own(
    served: Door, backend: Recorder
) -> None:
    session, agent = "x-claude-code-session-id: s1", "x-claude-code-agent-id: a1"
    metadata = {"user_id": json.dumps({"session_id": "s2"})}
    requests = [
        post(MESSAGES, ask("one"), session),
        post(MESSAGES, ask("two"), session),
        post(MESSAGES, ask("two"), session, agent),
        post(MESSAGES, ask("two", metadata=metadata)),
        post(MESSAGES, ask("three", metadata=metadata)),
        post(MESSAGES, ask("two")),
    ]
    for request in requests:
        assert (await served.reply(request)).status == 200
    keys = [body["prompt_cache_key"] for body in backend.bodies[-6:]]
    assert keys[0] == keys[1]
    assert keys[3] == keys[4]
    assert len({*keys}) == 4
    assert backend.sessions[-6:] == keys
    assert not any("s1" in key or "s2" in key for key in keys)


# Odd histories. The simulated backend refuses what the real one is known to refuse.

USER, ASSISTANT = "user", "assistant"
CALL = {"type": "tool_use", "id": "c1", "name": "f", "input": {}}
RESULT = {"type": "tool_result", "tool_use_id": "c1", "content": "5"}
FOREIGN = {"type": "thinking", "thinking": "so", "signature": "EpQBCkYI"}
SEARCHED = {"type": "server_tool_use", "id": "s1", "name": "web_search", "input": {"query": "q"}}
PIXEL = {"type": "base64", "media_type": "image/png", "data": "iVBORw0KGgo="}


def words(text: str) -> JsonObject:
    return {"type": "text", "text": text}


def failed_search() -> JsonObject:
    error = {"type": "web_search_tool_result_error", "error_code": "unavailable"}
    return {"type": "web_search_tool_result", "tool_use_id": "s1", "content": error}


ODD: dict[str, list[tuple[str, Any]]] = {
    "no call for a result": [(USER, [RESULT])],
    "no result for a call": [(USER, "a"), (ASSISTANT, [CALL]), (USER, "b")],
    "a result before its call": [(USER, [RESULT]), (ASSISTANT, [CALL]), (USER, "b")],
    "two results": [(USER, "a"), (ASSISTANT, [CALL]), (USER, [RESULT, RESULT])],
    "a result that comes late": [(USER, "a"), (ASSISTANT, [CALL]), (USER, "b"), (USER, [RESULT])],
    "a turn twice": [(USER, "a"), (ASSISTANT, [CALL]), (ASSISTANT, [CALL]), (USER, [RESULT])],
    "a call that the text follows": [(USER, "a"), (ASSISTANT, [CALL, words("b")]), (USER, [RESULT])],
    "the assistant first": [(ASSISTANT, "a"), (USER, "b")],
    "the system first": [("system", "a"), (USER, "b")],
    "the system alone": [("system", "a")],
    "the system last": [(USER, "a"), (ASSISTANT, "b"), ("system", "c")],
    "empty texts": [(USER, [words("")]), (ASSISTANT, [words("")]), (USER, [words(""), words("b")])],
    "an answer without content": [(USER, "a"), (ASSISTANT, []), (USER, "b")],
    "thoughts alone": [(USER, "a"), (ASSISTANT, [FOREIGN]), (USER, "b")],
    "thoughts that are hidden": [
        (USER, "a"), (ASSISTANT, [{"type": "redacted_thinking", "data": "x"}, CALL]), (USER, [RESULT]),
    ],
    "a search that failed": [(USER, "a"), (ASSISTANT, [SEARCHED, failed_search()]), (USER, "b")],
    "a search without a result": [(USER, "a"), (ASSISTANT, [SEARCHED]), (USER, "b")],
    "an error with a picture": [
        (USER, "a"), (ASSISTANT, [CALL]),
        (USER, [{**RESULT, "is_error": True, "content": [{"type": "image", "source": PIXEL}]}]),
    ],
    "an empty id": [
        (USER, "a"), (ASSISTANT, [{**CALL, "id": ""}]), (USER, [{**RESULT, "tool_use_id": ""}]),
    ],
    "an empty result": [(USER, "a"), (ASSISTANT, [CALL]), (USER, [{**RESULT, "content": []}])],
}  # fmt: skip


@pytest.mark.parametrize("tools", [False, True])
@pytest.mark.parametrize("name", ODD)
async def test_an_odd_history_is_answered(served: Door, name: str, *, tools: bool) -> None:
    history = [{"role": role, "content": content} for role, content in ODD[name]]
    more = {"tools": [{"name": "f", "input_schema": {"type": "object"}}]} if tools else {}
    reply = await served.reply(post(MESSAGES, ask("", **more) | {"messages": history}))
    assert reply.status == 200, reply


@pytest.mark.parametrize("stream", [False, True])
async def test_reasoning_that_the_backend_cannot_read_is_left_out(
    served: Door, backend: Recorder, *, stream: bool
) -> None:
    """It stands in a transcript for good: a refusal would be the end of that chat."""
    signature = f"cxa1::{MODEL}:cnNfMQ==:gAAAAABgone"
    thought = {"type": "thinking", "thinking": "", "signature": signature}
    history = [
        {"role": USER, "content": "go"},
        {"role": ASSISTANT, "content": [thought, words("Done.")]},
        {"role": USER, "content": "on"},
    ]
    given = ask("", stream=stream) | {"messages": history}
    reply = await served.reply(post(MESSAGES, given))
    assert (reply.status, reply.headers["x-codexapi-ignored"]) == (200, "max_tokens,messages")
    kinds = [[item["type"] for item in body["input"]] for body in backend.bodies[-2:]]
    assert kinds == [["message", "reasoning", "message", "message"], ["message"] * 3]


async def test_reasoning_that_comes_back_twice_is_sent_once(
    served: Door, backend: Recorder
) -> None:
    thinking = {"type": "adaptive"}
    first = (await served.reply(post(MESSAGES, ask("[[reason]] hi", thinking=thinking)))).json
    answer = {"role": ASSISTANT, "content": first["content"]}
    history = [{"role": USER, "content": "go"}, answer, answer, {"role": USER, "content": "on"}]
    reply = await served.reply(post(MESSAGES, ask("", thinking=thinking) | {"messages": history}))
    assert reply.status == 200, reply
    kinds = [item["type"] for item in backend.bodies[-1]["input"]]
    assert kinds.count("reasoning") == 1


# Keys


@pytest.mark.parametrize(
    "headers",
    [
        [f"x-api-key: {KEY}"],
        [f"Authorization: Bearer {KEY}"],
        ["x-api-key: another", f"Authorization: Bearer {KEY}"],
        [f"x-api-key: {KEY}", "Authorization: Bearer another"],
    ],
)
async def test_one_right_key_in_either_header_is_enough(headers: list[str]) -> None:
    async with door(Simulator(), api_key=KEY) as locked:
        assert (await locked.reply(post(MESSAGES, ask("hi"), *headers))).status == 200


async def test_a_wrong_key_ends_the_client_at_once() -> None:
    async with door(Simulator(), api_key=KEY) as locked:
        for headers in ([], ["x-api-key: another"]):
            reply = await locked.reply(post(MESSAGES, ask("hi"), *headers))
            assert "key" in refused(reply, 401, "authentication_error")
            assert reply.headers["x-should-retry"] == "false"
        reply = await locked.reply(get("/v1/models", VERSION))
        refused(reply, 401, "authentication_error")


@pytest.mark.parametrize("version", [[], [VERSION], ["anthropic-version: 2026-10-21"], ["anthropic-version: x"]])  # fmt: skip
async def test_every_version_is_taken_and_old_parameters_are_ignored_by_name(
    served: Door, version: list[str]
) -> None:
    given = ask("hi", temperature=0.5, top_k=5, brand_new=1, anthropic_beta=["x"])
    reply = await served.reply(post(MESSAGES, given, "anthropic-beta: what-nobody-knows", *version))
    assert reply.status == 200
    names = "max_tokens,temperature,top_k,brand_new,anthropic_beta"
    assert reply.headers["x-codexapi-ignored"] == names


@pytest.mark.parametrize("stream", [False, True])
async def test_an_effort_that_the_model_lacks_is_the_nearest_and_named(
    served: Door, backend: Recorder, *, stream: bool
) -> None:
    given = ask("hi", model="gpt-5.5", output_config={"effort": "max"}, stream=stream)
    reply = await served.reply(post(MESSAGES, given))
    assert reply.headers["x-codexapi-ignored"] == "max_tokens,output_config.effort"
    assert backend.bodies[-1]["reasoning"] == {"effort": "xhigh"}


async def test_strict_refuses_by_path() -> None:
    async with door(Simulator(), strict=True) as server:
        for given in ({}, {"thinking": {"type": "disabled"}}):
            assert (await server.reply(post(MESSAGES, ask("hi", **given)))).status == 200
        tool = {"type": "web_search_20250305", "name": "web_search", "max_uses": 8}
        effort = {"model": "gpt-5.5", "output_config": {"effort": "max"}}
        for more, path in (
            ({"top_k": 1}, "top_k"),
            ({"tools": [tool]}, "tools.0.max_uses"),
            (effort, "output_config.effort"),
        ):
            reply = await server.reply(post(MESSAGES, ask("hi", **more)))
            assert path in refused(reply, 400, "invalid_request_error")


# Refusals


@pytest.mark.parametrize(
    ("request_", "status", "kind", "words"),
    [
        (post("/v1/messages/other", {}), 404, "not_found_error", "/v1/messages/other"),
        (post("/v1/messages/batches", {}), 404, "not_found_error", "no batches"),
        (get("/v1/messages/batches/b1/results"), 404, "not_found_error", "no batches"),
        (post("/v1/complete", {}), 404, "not_found_error", "no text completions"),
        (get("/v1/files/file-1", VERSION), 404, "not_found_error", "No such File object: file-1"),
        (get("/v1/files?limit=0", VERSION), 400, "invalid_request_error", "limit: "),
        (get("/v1/files?page=page_1", VERSION), 400, "invalid_request_error", "page: "),
        (post("/v1/v1/messages", {}, VERSION), 404, "not_found_error", "try /v1/messages"),
        (get("/v1/models/claude-none", VERSION), 404, "not_found_error", "model: claude-none"),
        (get(MESSAGES), 405, "invalid_request_error", "GET is not allowed"),
        (post(MESSAGES, {}, host="evil.example"), 421, "invalid_request_error", "--allow-host"),
        (post(MESSAGES, b"{}", "Content-Type: text/plain"), 415, "invalid_request_error", "application/json"),
        (post(MESSAGES, b"{"), 400, "invalid_request_error", "JSON"),
        (post(MESSAGES, {"model": "m"}), 400, "invalid_request_error", "messages: Field required"),
        (post(MESSAGES, {"messages": []}), 400, "invalid_request_error", "model"),
        (post(MESSAGES, ask("hi", container="c")), 400, "invalid_request_error", "container"),
        (
            head(f"POST {MESSAGES}", "Host: 127.0.0.1", raw.JSON_TYPE, f"Content-Length: {MAX_BODY_BYTES + MIB}"),
            413, "request_too_large", f"{MAX_BODY_BYTES // MIB} MiB",
        ),
    ],
)  # fmt: skip
async def test_every_refusal_has_the_envelope(
    served: Door, request_: bytes, status: int, kind: str, words: str
) -> None:
    assert words in refused(await served.reply(request_), status, kind)


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize(
    ("script", "status", "kind", "words"),
    [
        ("status unauthorized_detail", 401, "authentication_error", ""),
        ("status forbidden", 403, "permission_error", "Forbidden"),
        ("status model_does_not_exist", 404, "not_found_error", f"model: {MODEL}."),
        ("status rate_limited", 429, "rate_limit_error", ""),
        ("status overloaded", 529, "overloaded_error", ""),
        ("status server_error", 502, "api_error", ""),
        ("status bad_gateway", 502, "api_error", ""),
        ("status gateway_timeout", 504, "timeout_error", ""),
        ("fail_first server_is_overloaded", 529, "overloaded_error", ""),
        ("fail_first content_policy_violation", 400, "invalid_request_error", ""),
        ("status invalid_encrypted_content", 400, "invalid_request_error", ""),
        ("empty", 502, "api_error", "connection lost"),
    ],
)
async def test_a_refusal_of_the_backend_is_a_status(
    script: str, status: int, kind: str, words: str, *, stream: bool
) -> None:
    async with door(Simulator()) as server:
        reply = await server.reply(post(MESSAGES, ask(f"[[{script}]]", stream=stream)))
    assert words in refused(reply, status, kind)


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize(
    "script", ["status context_length_exceeded_http", "fail_first context_length_exceeded"]
)
async def test_an_input_that_is_too_long_is_told_in_the_words_that_compact_a_chat(
    served: Door, script: str, *, stream: bool
) -> None:
    reply = await served.reply(post(MESSAGES, ask(f"[[{script}]]", stream=stream)))
    message = refused(reply, 400, "invalid_request_error")
    words = message.split()
    assert words[:4] == ["prompt", "is", "too", "long:"]
    assert int(words[4]) > int(words[7]) == 500_000


async def test_an_input_that_is_too_long_late_in_a_stream_is_a_status_without_one(
    served: Door,
) -> None:
    """Claude Code repeats the turn without a stream, and has to read there that it is too long."""
    given = ask("[[long 9]] [[error context_length_exceeded]]", stream=True)
    *_, last = told((await served.reply(post(MESSAGES, given))).body)
    assert last["error"]["type"] == "invalid_request_error"
    again = await served.reply(post(MESSAGES, {**given, "stream": False}))
    message = refused(again, 400, "invalid_request_error")
    assert message == last["error"]["message"]
    assert message.startswith("prompt is too long: ")


async def test_a_used_up_plan_says_when_it_resets_and_not_to_try_again(served: Door) -> None:
    reply = await served.reply(post(MESSAGES, ask("[[status usage_limit_reached]]")))
    assert "resets in" in refused(reply, 429, "rate_limit_error")
    assert reply.headers["x-should-retry"] == "false"
    assert int(reply.headers["retry-after"]) > 3600


@pytest.mark.parametrize("script", ["cut 3", "drop 3", "error server_error", "error_nested"])
async def test_a_stream_that_breaks_ends_with_an_error_event(served: Door, script: str) -> None:
    reply = await served.reply(post(MESSAGES, ask(f"[[long 9]] [[{script}]]", stream=True)))
    *before, last = told(reply.body)
    assert (last["type"], last["error"]["type"]) == ("error", "api_error")
    assert not {"message_delta", "message_stop"} & {step["type"] for step in before}


async def test_a_field_that_the_backend_names_has_the_callers_name(served: Door) -> None:
    tool = {"name": "f", "input_schema": {"type": "string"}}
    reply = await served.reply(post(MESSAGES, ask("hi", tools=[tool])))
    assert refused(reply, 400, "invalid_request_error").startswith("tools.0.input_schema: ")


async def test_a_server_that_goes_down_says_so_in_the_form_of_the_dialect() -> None:
    backend = Playing()
    async with door(backend, keep_alive=3600) as server, raw.connect(server.port) as client:
        await client.send(post(MESSAGES, ask("hi", stream=True)))
        backend.send(CREATED, delta("half"))
        assert (await client.head()).status == 200
        await client.piece()
        server.app.state.shutdown.end_all()
        (last,) = told(b"".join([piece async for piece in client.pieces()]))
        assert last["error"]["type"] == "overloaded_error"
        await backend.closed.wait()


# Silence


async def test_silence_is_filled_with_pings_also_before_the_message_begins() -> None:
    backend = Playing()
    async with door(backend, keep_alive=A_WHILE) as server, raw.connect(server.port) as client:
        await client.send(post(MESSAGES, ask("hi", stream=True)))
        assert (await client.head()).status == 200
        assert await client.piece() == PING
        backend.send(CREATED, delta("half"))
        while (piece := await client.piece()) == PING:
            pass
        assert [step["type"] for step in told(piece)] == [
            "message_start", "ping", "content_block_start", "content_block_delta",
        ]  # fmt: skip
        assert await client.piece() == PING
        backend.end()
        last = told(b"".join([piece async for piece in client.pieces()]))[-1]
        assert "connection lost" in last["error"]["message"]


async def test_a_failure_before_the_first_word_is_a_status() -> None:
    backend = Playing()
    async with door(backend, keep_alive=3600) as server, raw.connect(server.port) as client:
        await client.send(post(MESSAGES, ask("hi", stream=True)))
        backend.send(CREATED)
        backend.end()
        assert "connection lost" in refused(await client.reply(), 502, "api_error")


# The other endpoints


async def test_models_have_the_form_that_the_request_asks_for(served: Door) -> None:
    plain = (await served.reply(get("/v1/models"))).json
    assert plain["object"] == "list"
    reply = await served.reply(get("/v1/models?limit=1000", VERSION))
    names = [entry["id"] for entry in reply.json["data"]]
    assert names[:2] == [plain["data"][0]["id"], "claude-" + plain["data"][0]["id"]]
    assert reply.headers["request-id"].startswith("req_")
    one = (await served.reply(get(f"/v1/models/claude-{MODEL}", VERSION))).json
    assert (one["type"], one["id"]) == ("model", f"claude-{MODEL}")
    assert (await served.reply(get(f"/v1/models/{MODEL}"))).json["object"] == "model"


async def test_tokens_are_counted_and_no_backend_is_asked(served: Door, backend: Recorder) -> None:
    before = len(backend.bodies)
    reply = await served.reply(post(COUNT, {"model": MODEL, "messages": ask("hi")["messages"]}))
    assert list(reply.json) == ["input_tokens"]
    assert reply.headers["x-codexapi-estimate"] == "1"
    assert len(backend.bodies) == before
    broken = await served.reply(post(COUNT, {"model": MODEL, "messages": [{"role": "x"}]}))
    assert "messages.0.role" in refused(broken, 400, "invalid_request_error")


async def test_the_probe_of_claude_code_is_answered(served: Door) -> None:
    async with raw.connect(served.port) as client:
        await client.send(head("HEAD /api/hello", "Host: 127.0.0.1"))
        assert (await client.head()).status == 200


# The recorded requests


async def test_every_recorded_run_is_answered(served: Door) -> None:
    """All requests of the recorded runs, as they were sent but for the host."""
    count = 0
    async with raw.connect(served.port, limit=2**20) as client:
        for run in recordings():
            for request in run.requests:
                lines = [f"{name}: {value}" for name, value in request.headers.items()]
                if request.method == "HEAD":
                    continue
                body = request.body
                sent = post(request.path, body, *lines) if body else get(request.path, *lines)
                await client.send(sent)
                reply = await client.reply()
                known = (body or {}).get("model") != "gpt-9"  # the run of a model that there is not
                assert reply.status == (200 if known else 404), (run.name, reply)
                if known and body and body.get("stream"):
                    added_up(reply.body)
                count += 1
    assert count > 150


async def test_auto_mode_gets_no_verdict(served: Door) -> None:
    given = recording("autoclass").requests[0].body or {}
    assert "safeguards" in given
    reply = await served.reply(post(MESSAGES, given))
    assert "safeguards" in reply.headers["x-codexapi-ignored"].split(",")
    assert b"safeguard" not in reply.body
    assert added_up(reply.body)["context_management"] == {"applied_edits": []}


async def test_counts_that_are_asked_at_once_are_answered_alike(served: Door) -> None:
    tools = recording("context").requests[3].body or {}
    replies = await asyncio.gather(*(served.reply(post(COUNT, tools)) for _ in range(25)))
    assert len({reply.json["input_tokens"] for reply in replies}) == 1
