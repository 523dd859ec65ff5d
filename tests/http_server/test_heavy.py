"""Requests within every bound, and how much of their work the event loop does itself.

Counted, not timed: the calls that the loop's thread makes, and the bytes of JSON that one call reads
or writes, on whatever thread: no other thread has its turn meanwhile.
"""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pydantic_core
import pytest
from tests.http_server.doors import MODEL, Door, chat, door, responses
from tests.http_server.test_work import Spring

from codexapi_engine.protocol import json

JsonObject = dict[str, Any]
MORE = 3000
"""Calls by which four times the items may be more: a body comes in pieces."""


def message(count: int) -> JsonObject:
    return {"role": "user", "content": [{"type": "input_text", "text": "a"}] * count}


def fields(body: JsonObject, count: int) -> JsonObject:
    return {**body, **{f"unknown_{number}": 1 for number in range(count)}}


ITEMS: dict[str, tuple[str, Callable[[int], JsonObject]]] = {
    "messages": (
        "/v1/chat/completions",
        lambda n: {**chat(), "messages": [{"role": "user", "content": "a"}] * n},
    ),
    "parts": (
        "/v1/chat/completions",
        lambda n: {
            **chat(),
            "messages": [{"role": "user", "content": [{"type": "text", "text": "a"}] * n}],
        },
    ),
    "mixed": ("/v1/chat/completions", lambda n: {"model": MODEL, "input": [message(1)] * n}),
    "fields of chat": ("/v1/chat/completions", lambda n: fields(chat(), n)),
    "items": ("/v1/responses", lambda n: {**responses(), "input": [message(1)] * n}),
    "items, streamed": (
        "/v1/responses",
        lambda n: {**responses(stream=True), "input": [message(1)] * n},
    ),
    "one message": ("/v1/responses", lambda n: {**responses(), "input": [message(n)]}),
    "schema": (
        "/v1/responses",
        lambda n: {
            **responses(),
            "text": {
                "format": {
                    "type": "json_schema",
                    "name": "x",
                    "schema": {
                        "type": "object",
                        "properties": {f"p{at}": {"type": "string"} for at in range(n)},
                    },
                }
            },
        },
    ),
    "fields of responses": ("/v1/responses", lambda n: fields(responses(), n)),
    "in the background": (
        "/v1/responses",
        lambda n: {**responses(), "background": True, "input": [message(1)] * n},
    ),
    "a count": ("/v1/responses/input_tokens", lambda n: {**responses(), "input": [message(1)] * n}),
    "a conversation": ("/v1/conversations", lambda n: {"items": [message(n)]}),
    "fields of a picture": ("/v1/images/generations", lambda n: fields({"prompt": "a"}, n)),
}


@pytest.mark.parametrize("kind", ITEMS)
async def test_the_loop_looks_at_no_item_of_a_long_request(kind: str) -> None:
    """Four times the items are no more calls of its thread: in no request, and so is nothing
    quadratic."""
    path, body = ITEMS[kind]
    async with door(Spring(1, 5)) as server:
        await ask(server, path, body(1))
        few, many = [await calls(server, path, body(count)) for count in (5000, 20_000)]
    assert many <= few + MORE


TEXTS = {
    "plain": "ab ",
    "escapes": '"\\\n',
    "letters": "\N{GREEK SMALL LETTER ALPHA}",
    "control": "\1",
}
PLACES: dict[str, tuple[str, Callable[[str], JsonObject]]] = {
    "chat": ("/v1/chat/completions", lambda text: chat(text)),
    "chat, kept": ("/v1/chat/completions", lambda text: {**chat(text), "store": True}),
    "responses": ("/v1/responses", lambda text: {**responses(), "input": text}),
    "instructions": ("/v1/responses", lambda text: {**responses(), "instructions": text}),
    "instructions, streamed": (
        "/v1/responses",
        lambda text: {**responses(stream=True), "instructions": text},
    ),
    "a conversation": (
        "/v1/conversations",
        lambda text: {"items": [{"role": "user", "content": text}]},
    ),
}


@pytest.mark.parametrize("text", TEXTS)
@pytest.mark.parametrize("place", PLACES)
async def test_no_call_reads_or_writes_a_long_text_at_once(
    place: str, text: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    path, body = PLACES[place]
    sizes: list[int] = []

    def written(value: Any, **options: Any) -> bytes:
        data = to_json(value, **options)
        sizes.append(len(data))
        return data

    def read(data: bytes | str, **options: Any) -> Any:
        escapes = data.count("\\") if isinstance(data, str) else data.count(b"\\")
        sizes.append(2 * escapes)
        return from_json(data, **options)

    to_json, from_json = pydantic_core.to_json, pydantic_core.from_json
    long = TEXTS[text] * (6 * json.PIECE // len(TEXTS[text]))
    async with door(Spring(1, 5)) as server:
        sent = json.dumps(body(long))
        monkeypatch.setattr(json, "to_json", written)
        monkeypatch.setattr(json, "from_json", read)
        await ask(server, path, sent)
    assert max(sizes) <= 6 * json.PIECE + 4096  # a letter of a text takes six bytes at most
    assert max(sizes) < len(sent) / 2


async def ask(server: Door, path: str, body: JsonObject | bytes) -> None:
    """Asks the application itself, and waits for its answer."""
    data = body if isinstance(body, bytes) else json.dumps(body)
    waiting = [{"type": "http.request", "body": data, "more_body": False}]

    async def receive() -> JsonObject:
        if waiting:
            return waiting.pop()
        await asyncio.Event().wait()
        raise AssertionError

    async def send(message: Any) -> None:
        assert message.get("status", 200) in (200, 400, 502), message

    headers = [
        (b"host", b"127.0.0.1"), (b"content-type", b"application/json"),
        (b"content-length", b"%d" % len(data)),
    ]  # fmt: skip
    scope = {
        "type": "http", "asgi": {"version": "3.0"}, "http_version": "1.1", "method": "POST",
        "path": path, "raw_path": path.encode(), "query_string": b"", "root_path": "",
        "scheme": "http", "headers": headers, "client": None, "server": None,
    }  # fmt: skip
    await server.app(scope, receive, send)


async def calls(server: Door, path: str, body: JsonObject) -> int:
    """The calls that this thread makes while a request is answered."""
    data = json.dumps(body)
    with counting() as count:
        await ask(server, path, data)
    return count[0]


@contextmanager
def counting() -> Iterator[list[int]]:
    count, before = [0], sys.getprofile()

    def profile(frame: object, event: str, argument: object) -> None:
        count[0] += event in ("call", "c_call")

    sys.setprofile(profile)
    try:
        yield count
    finally:
        sys.setprofile(before)
