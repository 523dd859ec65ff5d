"""A dialect is a folder and a route: `toy` is one, and every answer on its paths has its form."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio
from tests.http_server import raw, toy
from tests.http_server.doors import MODEL, Door, Stream, chat, door
from tests.http_server.raw import JsonObject, Reply, get, head, post

from codexapi_engine.bounds import MAX_BODY_BYTES, MIB
from codexapi_engine.simulator import Simulator

pytestmark = [pytest.mark.asyncio(loop_scope="module"), pytest.mark.timeout(60)]

SAY, CHAT, KEY = "/toy/say", "/v1/chat/completions", "open sesame"
A_WHILE = 0.05
"""Seconds: a keep-alive interval that a test can wait for."""

CREATED = {"type": "response.created", "response": {"id": "resp_1", "created_at": 5}}


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def served() -> AsyncIterator[Door]:
    async with door(Simulator(), dialects=[toy.ROUTES]) as opened:
        yield opened


def ask(text: str, **more: object) -> JsonObject:
    return {"model": MODEL, "ask": text, **more}


def delta(text: str) -> JsonObject:
    place = {"item_id": "msg_1", "output_index": 0, "content_index": 0}
    return {"type": "response.output_text.delta", **place, "delta": text}


def oops(reply: Reply, status: int) -> str:
    """The message of an error. Fails unless it has the dialect's form, and its own alone."""
    assert (reply.status, list(reply.json)) == (status, ["oops", "field", "id"]), reply
    assert reply.json["id"] == reply.headers["x-request-id"]
    return str(reply.json["oops"])


def lines(body: bytes) -> list[JsonObject]:
    assert body.endswith(b"\n")
    return [json.loads(line) for line in body.splitlines()]


async def test_the_dialect_has_under_eighty_lines() -> None:
    files = Path(toy.__file__).parent.glob("*.py")
    assert 0 < sum(len(file.read_text().splitlines()) for file in files) < 80


async def test_complete_reply(served: Door) -> None:
    reply = await served.reply(post(SAY, ask("[[say All is well.]]")))
    assert (reply.status, reply.json) == (200, {"say": "All is well.", "end": True})


async def test_stream_has_the_media_type_and_the_lines_of_the_dialect(served: Door) -> None:
    reply = await served.reply(post(SAY, ask("[[say All is well.]]", stream=True)))
    assert (reply.status, reply.headers["content-type"]) == (200, "application/x-ndjson")
    *pieces, last = lines(reply.body)
    assert "".join(piece["say"] for piece in pieces) == "All is well."
    assert last == {"say": "", "end": True}


@pytest.mark.parametrize(
    ("path", "method", "status"),
    [("/toy/other", "POST", 404), ("/toy", "GET", 404), (SAY, "GET", 405)],
)
async def test_path_that_is_not_there_is_refused_in_the_form_of_its_prefix(
    served: Door, path: str, method: str, status: int
) -> None:
    request = post(path, ask("hi")) if method == "POST" else get(path)
    reply = await served.reply(request)
    assert path in oops(reply, status)
    assert reply.headers.get("allow") == ("POST" if status == 405 else None)


async def test_foreign_host_is_refused_in_the_form_of_the_dialect(served: Door) -> None:
    reply = await served.reply(post(SAY, ask("hi"), host="evil.example"))
    assert "--allow-host" in oops(reply, 421)


async def test_body_that_is_too_large_is_refused_in_the_form_of_the_dialect(served: Door) -> None:
    length = f"Content-Length: {MAX_BODY_BYTES + MIB}"
    request = head(f"POST {SAY}", "Host: 127.0.0.1", raw.JSON_TYPE, length)
    assert f"{MAX_BODY_BYTES // MIB} MiB" in oops(await served.reply(request), 413)


async def test_wrong_field_and_broken_json_are_refused_in_the_form_of_the_dialect(
    served: Door,
) -> None:
    assert oops(await served.reply(post(SAY, {"model": MODEL})), 400) == "ask something"
    oops(await served.reply(post(SAY, b"{")), 400)
    oops(await served.reply(post(SAY, b"{}", "Content-Type: text/plain")), 415)


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize(
    ("name", "status"), [("usage_limit_reached", 429), ("server_error", 502), ("overloaded", 529)]
)
async def test_refusal_of_the_backend_has_the_form_and_the_status_of_the_dialect(
    served: Door, name: str, status: int, *, stream: bool
) -> None:
    body = ask(f"[[status {name}]]", stream=stream)
    oops(await served.reply(post(SAY, body)), status)


async def test_refusal_of_the_backend_names_the_field_of_the_dialect(served: Door) -> None:
    reply = await served.reply(post(SAY, ask("[[status no_tool_output]]")))
    assert "No tool output" in oops(reply, 400)
    assert reply.json["field"] == "ask"


async def test_bug_is_told_in_the_form_of_the_dialect(
    served: Door, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delattr(served.app.state, "codex")
    message = oops(await served.reply(post(SAY, ask("hi"))), 500)
    assert "its log says why" in message


@pytest.mark.parametrize(
    "headers",
    [
        [f"x-toy-key: {KEY}"],
        [f"Authorization: Bearer {KEY}"],
        ["x-toy-key: another", f"Authorization: Bearer {KEY}"],
        [f"x-toy-key: {KEY}", "Authorization: Bearer another"],
    ],
)
async def test_one_right_key_in_any_header_of_the_dialect_is_enough(headers: list[str]) -> None:
    async with door(Simulator(), dialects=[toy.ROUTES], api_key=KEY) as locked:
        assert (await locked.reply(post(SAY, ask("hi"), *headers))).status == 200


async def test_wrong_key_is_refused_in_the_form_of_the_dialect_and_only_there() -> None:
    async with door(Simulator(), dialects=[toy.ROUTES], api_key=KEY) as locked:
        missing = await locked.reply(post(SAY, ask("hi")))
        assert "x-toy-key: KEY" in oops(missing, 401)
        wrong = ["x-toy-key: another", "Authorization: Bearer another"]
        assert "Incorrect" in oops(await locked.reply(post(SAY, ask("hi"), *wrong)), 401)
        twice = [f"x-toy-key: {KEY}", "x-toy-key: another"]
        assert "came twice" in oops(await locked.reply(post(SAY, ask("hi"), *twice)), 400)
        foreign = await locked.reply(post(CHAT, chat(), f"x-toy-key: {KEY}"))
        foreign.refused(401, "invalid_api_key")


async def test_paths_of_other_dialects_keep_their_form(served: Door) -> None:
    (await served.reply(get("/toys"))).refused(404, "not_found")
    (await served.reply(post(CHAT, {"model": MODEL}))).refused(400, "missing_required_parameter")
    assert (await served.reply(post(CHAT, chat()))).json["object"] == "chat.completion"


async def test_header_makes_a_request_the_dialects_where_no_other_route_fits(served: Door) -> None:
    assert "/v1/batches" in oops(await served.reply(get("/v1/batches", "X-Toy: 1")), 404)
    reply = await served.reply(get("/v1/models", "X-Toy: 1"))
    assert reply.json["object"] == "list"
    (await served.reply(get("/v1/models/no-such", "X-Toy: 1"))).refused(404, "model_not_found")


async def test_silence_is_filled_and_a_late_failure_is_told_in_the_form_of_the_dialect() -> None:
    backend = Stream()
    async with (
        door(backend, dialects=[toy.ROUTES], keep_alive=A_WHILE) as server,
        raw.connect(server.port) as client,
    ):
        await client.send(post(SAY, ask("hi", stream=True)))
        backend.answer()
        assert (await client.head()).status == 200
        assert await client.piece() == toy.TOY.keep_alive
        backend.send(CREATED, delta("half an ans"))
        while (piece := await client.piece()) == toy.TOY.keep_alive:
            pass
        assert lines(piece) == [{"say": "half an ans"}]
        backend.send({"type": "response.output_text.delta", "delta": "wer"})
        backend.end()
        told = lines(b"".join([piece async for piece in client.pieces()]))
        told = [one for one in told if one != {"say": ""}]
        assert [list(one) for one in told] == [["say"], ["oops"]]
        assert "connection lost" in told[-1]["oops"]


async def test_failure_before_the_first_line_is_a_status() -> None:
    backend = Stream()
    async with (
        door(backend, dialects=[toy.ROUTES], keep_alive=3600) as server,
        raw.connect(server.port) as client,
    ):
        await client.send(post(SAY, ask("hi", stream=True)))
        backend.send(CREATED)
        backend.end()
        assert "connection lost" in oops(await client.reply(), 502)
