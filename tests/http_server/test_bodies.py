"""What a body must be. Each refusal names what is wrong, and costs nothing at the backend."""

from __future__ import annotations

import asyncio
import json
import threading
from typing import Any

import pytest
from tests.http_server import raw
from tests.http_server.doors import MODEL, Door, chat, door, responses
from tests.http_server.raw import JsonObject, get, head, post

from codexapi_engine.bounds import MAX_BODY_BYTES, MAX_JSON_VALUES, MIB
from codexapi_engine.protocol.chat import request as chat_request
from codexapi_engine.protocol.json import HEAVY
from codexapi_engine.protocol.responses import request as responses_request
from codexapi_engine.protocol.validation import validated
from codexapi_engine.simulator import Simulator
from codexapi_http import requests
from codexapi_http.requests import checked

pytestmark = [pytest.mark.asyncio(loop_scope="module"), pytest.mark.timeout(60)]

CHAT, RESPONSES = "/v1/chat/completions", "/v1/responses"
BOTH = pytest.mark.parametrize("path", [CHAT, RESPONSES])


def body_of(path: str, **more: Any) -> JsonObject:
    return chat(**more) if path == CHAT else responses(**more)


def nested(depth: int, inner: str) -> bytes:
    """A request in which `inner` lies in so many arrays and objects."""
    arrays = depth - 1
    return b'{"model":"x","extra":' + b"[" * arrays + inner.encode() + b"]" * arrays + b"}"


@BOTH
@pytest.mark.parametrize(
    "kind",
    [
        "text/plain",
        "text/plain; charset=application/json",
        "application/x-www-form-urlencoded",
        "multipart/form-data; boundary=x",
        "application/jsonp",
        "application/json, text/plain",
        "",
    ],
)
async def test_only_json_is_taken(server: Door, backend: Simulator, path: str, kind: str) -> None:
    request = post(path, body_of(path), f"Content-Type: {kind}")
    (await server.reply(request)).refused(415, "unsupported_media_type")
    assert not backend.requests


@BOTH
async def test_body_without_a_media_type_is_not_taken(
    server: Door, backend: Simulator, path: str
) -> None:
    data = json.dumps(body_of(path)).encode()
    request = head(f"POST {path}", "Host: 127.0.0.1", f"Content-Length: {len(data)}") + data
    (await server.reply(request)).refused(415, "unsupported_media_type")
    assert not backend.requests


@BOTH
@pytest.mark.parametrize(
    "kind", ["application/json; charset=utf-8", "Application/JSON", "application/json;v=1"]
)
async def test_parameters_and_case_of_the_media_type_do_not_matter(
    server: Door, path: str, kind: str
) -> None:
    reply = await server.reply(post(path, body_of(path), f"Content-Type: {kind}"))
    assert reply.status == 200, reply


async def test_body_that_claims_too_much_is_refused_before_it_is_sent(
    server: Door, backend: Simulator
) -> None:
    claim = f"Content-Length: {MAX_BODY_BYTES + 1}"
    async with raw.connect(server.port) as connection:
        await connection.send(head(f"POST {CHAT}", "Host: 127.0.0.1", raw.JSON_TYPE, claim))
        (await connection.reply()).refused(413, "request_too_large")
    assert not backend.requests


@pytest.mark.parametrize("version", ["1.1", "1.0"])
async def test_a_client_that_sends_all_before_it_reads_and_then_closes_sees_why(
    server: Door, version: str
) -> None:
    """As Python's own `urllib` does. A connection that is closed over unread bytes is a reset."""
    body = b" " * (MAX_BODY_BYTES + MIB)
    lines = ("Host: 127.0.0.1", raw.JSON_TYPE, "Connection: close", f"Content-Length: {len(body)}")
    request = head(f"POST {CHAT}", *lines).replace(b"HTTP/1.1", f"HTTP/{version}".encode())
    async with raw.connect(server.port) as connection:
        await connection.send(request + body)
        reply = await connection.reply()
        reply.refused(413, "request_too_large")
        assert reply.headers["connection"] == "close"
        assert await connection.ended()


async def test_a_connection_that_an_answer_ends_is_closed_though_its_body_never_comes(
    server: Door,
) -> None:
    claim = f"Content-Length: {MAX_BODY_BYTES + 1}"
    lines = ("Host: 127.0.0.1", raw.JSON_TYPE, "Connection: close", claim)
    async with raw.connect(server.port) as connection:
        await connection.send(head(f"POST {CHAT}", *lines))
        (await connection.reply()).refused(413, "request_too_large")
        assert await connection.ended()


async def test_body_that_claims_the_largest_of_lengths_is_refused(
    server: Door, backend: Simulator
) -> None:
    claim = "Content-Length: 99999999999999999999"
    async with raw.connect(server.port) as connection:
        await connection.send(head(f"POST {CHAT}", "Host: 127.0.0.1", raw.JSON_TYPE, claim))
        (await connection.reply()).refused(413, "request_too_large")
    assert not backend.requests


async def test_chunked_body_is_counted_as_it_comes(server: Door, backend: Simulator) -> None:
    chunk = b"100000\r\n" + b" " * MIB + b"\r\n"
    count = MAX_BODY_BYTES // MIB + 1
    async with raw.connect(server.port) as connection:
        await connection.send(
            head(f"POST {CHAT}", "Host: 127.0.0.1", raw.JSON_TYPE, "Transfer-Encoding: chunked")
        )
        sending = asyncio.create_task(connection.send(chunk * count))
        (await connection.reply()).refused(413, "request_too_large")
        sending.cancel()
        await asyncio.wait({sending})
    assert not backend.requests


async def test_body_of_nearly_the_largest_size_is_read(server: Door, backend: Simulator) -> None:
    data = json.dumps(chat(extra="x" * (MAX_BODY_BYTES - MIB))).encode()
    reply = await server.reply(post(CHAT, data))
    assert reply.status == 200, reply.body[:300]


async def test_connection_goes_on_after_a_refused_body(server: Door) -> None:
    async with raw.connect(server.port) as connection:
        await connection.send(post(CHAT, b"{}", "Content-Type: text/plain"))
        (await connection.reply()).refused(415, "unsupported_media_type")
        await connection.send(get("/healthz"))
        assert (await connection.reply()).status == 200


@BOTH
@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"   ",
        b"{",
        b'{"model": }',
        b"nonsense",
        b'{"model": "x"} trailing',
        b"\xff\xfe{\x00}\x00",
        b'{"model": "\xff"}',
        b'{"temperature": NaN}',
        b'{"temperature": Infinity}',
        b'{"temperature": -Infinity, "a": "\\u0041"}',
        b'{"temperature": 1e400}',
        b'{"temperature": -1e400, "a": "\\ud800"}',
        b'{"seed": ' + b"9" * 5000 + b"}",
        b'{"seed": -' + b"9" * 5000 + b', "a": "\\ud800"}',
        b'{"seed": 18446744073709551617}',
        b"[]",
        b"null",
        b'"text"',
        b"1",
        nested(100, "[]"),
        nested(101, "1"),
        nested(100_000, "[]"),
        nested(100_000, '"\\ud800"'),
        b"[" * 100_000,
        b'{"a":' * 100_000,
    ],
)
async def test_what_is_not_a_sound_json_object_is_refused(
    server: Door, backend: Simulator, path: str, data: bytes
) -> None:
    error = (await server.reply(post(path, data))).refused(400, "invalid_json")
    assert error["type"] == "invalid_request_error"
    assert not backend.requests


@pytest.mark.parametrize(
    "value", [b"0", b"[]", b"{}", b'""', b'{"a":"b"}', b'"\\\\"', b'{"\\"":",["}']
)
async def test_more_values_than_the_bound_are_too_many(
    server: Door, backend: Simulator, value: bytes
) -> None:
    """They would take the server seconds, in which nobody else hears of it."""
    data = b'{"model":"x","extra":[' + (value + b",") * (MAX_JSON_VALUES + 1) + b"0]}"
    error = (await server.reply(post(CHAT, data))).refused(400, "invalid_json")
    assert f"{MAX_JSON_VALUES:,} values" in error["message"]
    assert not backend.requests


@BOTH
async def test_a_large_body_is_read_beside_the_loop(
    server: Door, path: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where others are heard meanwhile."""
    threads: list[int] = []

    def spied(data: bytes) -> JsonObject:
        threads.append(threading.get_ident())
        return checked(data)

    monkeypatch.setattr(requests, "checked", spied)
    for size in (100, HEAVY):
        assert (await server.reply(post(path, body_of(path, user="x" * size)))).status == 200
    small, large = threads
    assert small == threading.get_ident() != large


@BOTH
@pytest.mark.parametrize(("count", "beside"), [(10, False), (1001, True)])
async def test_a_long_conversation_is_translated_beside_the_loop(
    server: Door, path: str, count: int, beside: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    threads: list[int] = []

    def spied(model: Any, body: JsonObject) -> Any:
        threads.append(threading.get_ident())
        return validated(model, body)

    for module in (chat_request, responses_request):
        monkeypatch.setattr(module, "validated", spied)
    items = [{"role": "user", "content": "x"}] * count
    field = "messages" if path == CHAT else "input"
    assert (await server.reply(post(path, body_of(path, **{field: items})))).status == 200
    assert threads
    assert (threading.get_ident() not in threads) == beside


@pytest.mark.parametrize("text", ["a,b[{", '\\"', "\\\\", '\\",\\"[', "\\\\,"])
async def test_text_that_looks_like_values_is_text(
    server: Door, backend: Simulator, text: str
) -> None:
    data = json.dumps(chat("TEXT")).encode().replace(b"TEXT", text.encode() * 1_100_000)
    assert (await server.reply(post(CHAT, data))).status == 200
    assert len(backend.requests) == 1


@pytest.mark.parametrize("inner", ["1", "[]", "{}", '"\\ud800"'])
async def test_nesting_of_100_is_allowed(server: Door, inner: str) -> None:
    depth = 99 if inner in ("[]", "{}") else 100
    data = nested(depth, inner).replace(b'"model":"x"', json.dumps(chat())[1:-1].encode())
    reply = await server.reply(post(CHAT, data))
    assert reply.status == 200, reply


@pytest.mark.parametrize(
    "text", ["\\ud83d", "\\ude00\\ud83d", "\\ud83d\\ude00", "\\u0000", "\\u2028"]
)
async def test_any_text_that_json_can_write_is_taken(
    server: Door, backend: Simulator, text: str
) -> None:
    data = json.dumps(chat("TEXT")).replace("TEXT", f"say {text}").encode()
    reply = await server.reply(post(CHAT, data))
    assert reply.status == 200, reply
    assert reply.json["choices"][0]["message"]["content"]


@pytest.mark.parametrize(
    ("change", "param", "code"),
    [
        ({"model": None}, "model", "missing_required_parameter"),
        ({"model": 1}, "model", "invalid_type"),
        ({"model": ""}, "model", "missing_required_parameter"),
        ({"messages": None}, "messages", "invalid_type"),
        ({"messages": "hi"}, "messages", "invalid_type"),
        ({"messages": []}, "messages", None),
        ({"messages": ["hi"]}, "messages[0]", "invalid_type"),
        ({"messages": [{"content": "hi"}]}, "messages[0].role", "missing_required_parameter"),
        ({"messages": [{"role": 1, "content": "hi"}]}, "messages[0].role", "invalid_type"),
        ({"messages": [{"role": "king", "content": "hi"}]}, "messages[0].role", "invalid_value"),
        ({"messages": [{"role": "user", "content": 5}]}, "messages[0].content", "invalid_type"),
        ({"stream": "yes"}, "stream", "invalid_type"),
        ({"temperature": "hot"}, "temperature", "invalid_type"),
        ({"temperature": 3}, "temperature", "invalid_value"),
        ({"max_tokens": 0}, "max_tokens", "invalid_value"),
        ({"tools": {}}, "tools", "invalid_type"),
        ({"n": 1_000_000}, "n", None),
        ({"logprobs": True}, "logprobs", "unsupported_parameter"),
        ({"stream_options": {"include_usage": True}}, "stream_options", "invalid_value"),
    ],
)  # fmt: skip
async def test_chat_field_of_a_wrong_kind_is_named(
    server: Door, backend: Simulator, change: JsonObject, param: str, code: str | None
) -> None:
    reply = await server.reply(post(CHAT, chat() | change))
    assert (reply.status, reply.error["param"]) == (400, param), reply
    assert reply.error["type"] == "invalid_request_error"
    if code is not None:
        assert reply.error["code"] == code
    assert not backend.requests


@pytest.mark.parametrize(
    ("change", "param", "code"),
    [
        ({"model": None}, "model", "missing_required_parameter"),
        ({"model": ["x"]}, "model", "invalid_type"),
        ({"model": ""}, "model", "missing_required_parameter"),
        ({"input": None}, "input", "missing_required_parameter"),
        ({"input": 5}, "input", "invalid_type"),
        ({"input": ["hi"]}, "input[0]", "invalid_type"),
        ({"input": [{"role": "king", "content": "hi"}]}, "input[0].role", "invalid_value"),
        ({"input": [{"role": "user", "content": 5}]}, "input[0].content", "invalid_type"),
        ({"stream": 1}, "stream", "invalid_type"),
        ({"metadata": {"a": 1}}, "metadata.a", "invalid_type"),
        ({"tools": [1]}, "tools[0]", "invalid_type"),
        ({"tools": [{"type": "file_search"}]}, "tools[0].type", "unsupported_value"),
        ({"top_p": 2}, "top_p", "invalid_value"),
        ({"prompt": {"id": "p"}}, "prompt", "unsupported_parameter"),
        ({"max_output_tokens": 15}, "max_output_tokens", "invalid_value"),
        ({"max_tool_calls": 0}, "max_tool_calls", "invalid_value"),
        ({"conversation": "bad-id"}, "conversation", "invalid_value"),
        ({"conversation": {"id": "bad-id"}}, "conversation.id", "invalid_value"),
        ({"tool_choice": {"type": "code_interpreter"}}, "tool_choice.type", "unsupported_value"),
        ({"input": [{"role": "user", "content": [{"type": "input_file", "file_id": 1}]}]}, "input[0].content[0].file_id", "invalid_type"),
    ],
)  # fmt: skip
async def test_responses_field_of_a_wrong_kind_is_named(
    server: Door, backend: Simulator, change: JsonObject, param: str, code: str
) -> None:
    reply = await server.reply(post(RESPONSES, responses() | change))
    assert (reply.status, reply.error["param"], reply.error["code"]) == (400, param, code), reply
    assert not backend.requests


@BOTH
async def test_missing_model_is_the_one_the_server_was_started_with(path: str) -> None:
    backend = Simulator()
    asked = {name: value for name, value in body_of(path).items() if name != "model"}
    async with door(backend, model=MODEL) as server:
        reply = await server.reply(post(path, asked))
        named = await server.reply(post(path, asked | {"model": "gpt-6-luna"}))
    assert [reply.status, reply.json["model"]] == [200, MODEL]
    assert named.json["model"] == "gpt-6-luna"
    sent = [json.loads(request.body)["model"] for request in backend.requests]
    assert sent == [MODEL, "gpt-6-luna"]


@BOTH
async def test_strict_server_refuses_what_it_would_ignore(path: str) -> None:
    backend = Simulator()
    async with door(backend, strict=True) as server:
        reply = await server.reply(post(path, body_of(path, temperature=0.5)))
        assert reply.refused(400, "unsupported_parameter")["param"] == "temperature"
        assert not backend.requests
        assert (await server.reply(post(path, body_of(path)))).status == 200


@BOTH
@pytest.mark.parametrize("stream", [False, True])
async def test_ignored_fields_are_named_in_a_header(server: Door, path: str, stream: bool) -> None:
    asked = body_of(path, temperature=0.5, top_p=0.5, user="me", stream=stream)
    reply = await server.reply(post(path, asked))
    assert (reply.status, reply.headers["x-codexapi-ignored"]) == (200, "temperature,top_p,user")


async def test_logprobs_that_come_along_unasked_are_ignored_and_named(server: Door) -> None:
    asked = body_of(RESPONSES, include=["message.output_text.logprobs"])
    reply = await server.reply(post(RESPONSES, asked))
    assert (reply.status, reply.headers["x-codexapi-ignored"]) == (200, "include")


async def test_the_client_is_shown_its_own_ids_where_the_backend_gets_legal_ones(
    server: Door, backend: Simulator
) -> None:
    long, name = f"call_{'a' * 78}", f"fc_{'k' * 300}"
    call = {"type": "function_call", "id": name, "call_id": long, "name": "f", "arguments": "{}"}
    output = {"type": "function_call_output", "call_id": long, "output": "4"}
    asked = body_of(RESPONSES, input=[{"role": "user", "content": "w?"}, call, output])
    reply = await server.reply(post(RESPONSES, asked))
    assert reply.status == 200, reply
    _, sent, answer = json.loads(backend.requests[-1].body)["input"]
    assert sent["call_id"] == answer["call_id"] != long
    assert "id" not in sent
    items = await server.reply(get(f"{RESPONSES}/{reply.json['id']}/input_items?order=asc"))
    shown = [item for item in items.json["data"] if "call_id" in item]
    assert [item["call_id"] for item in shown] == [long, long]
    assert shown[0]["id"] == name
    again = body_of(RESPONSES, input="and?", previous_response_id=reply.json["id"])
    assert (await server.reply(post(RESPONSES, again))).status == 200
    assert json.loads(backend.requests[-1].body)["input"][1] == sent


async def test_name_of_an_ignored_field_cannot_break_a_header(server: Door) -> None:
    odd = {"a\r\nset-cookie: b": 1, "naïve\x00": 2, "名前": 3}
    reply = await server.reply(post(CHAT, chat() | odd))
    assert reply.status == 200
    assert "set-cookie" not in reply.headers
    assert reply.headers["x-codexapi-ignored"].isascii()


@BOTH
async def test_nothing_ignored_has_no_header(server: Door, path: str) -> None:
    assert "x-codexapi-ignored" not in (await server.reply(post(path, body_of(path)))).headers
