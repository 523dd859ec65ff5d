"""What of a response is given on demand only: the encrypted content of its reasoning."""

from __future__ import annotations

import json

import pytest
from tests.http_server import raw
from tests.http_server.doors import Door, Stream, door, responses
from tests.http_server.raw import JsonObject, get, post
from tests.http_server.test_stored_background import until
from tests.wire_files import events, wire

from codexapi_engine.simulator import Simulator

pytestmark = [pytest.mark.asyncio(loop_scope="module"), pytest.mark.timeout(60)]

RESPONSES, CONVERSATIONS = "/v1/responses", "/v1/conversations"
ENCRYPTED = "reasoning.encrypted_content"
CODEX = "x-codex-window-id: 1:0"


async def made(server: Door, body: JsonObject, *headers: str) -> tuple[bytes, JsonObject]:
    """The bytes of a reply, and the response in it."""
    reply = await server.reply(post(RESPONSES, body, *headers))
    assert reply.status == 200, reply
    if not body.get("stream"):
        return reply.body, reply.json
    response: JsonObject = events(reply.body)[-2].json["response"]
    return reply.body, response


def thoughts(backend: Simulator) -> list[JsonObject]:
    """The reasoning that the backend got in its last request."""
    items = json.loads(backend.requests[-1].body)["input"]
    return [item for item in items if item["type"] == "reasoning"]


@pytest.mark.parametrize("stream", [False, True], ids=["whole", "streamed"])
@pytest.mark.parametrize("include", [None, [ENCRYPTED]], ids=["by default", "on demand"])
async def test_reasoning_is_encrypted_on_demand_and_a_chain_has_it_in_any_case(
    server: Door, backend: Simulator, include: list[str] | None, stream: bool
) -> None:
    body = responses("hi", stream=stream, **({"include": include} if include else {}))
    out, response = await made(server, body)
    assert response["output"][0]["type"] == "reasoning"
    assert (b"encrypted_content" in out) == (include is not None)
    path = f"{RESPONSES}/{response['id']}"
    for query, there in (("", False), (f"?include={ENCRYPTED}", True)):
        kept = (await server.reply(get(path + query))).json
        assert ("encrypted_content" in kept["output"][0]) == there
    again = (await server.reply(get(f"{path}?stream=true"))).body
    assert (b"encrypted_content" in again) == (stream and include is not None), "as it was told"
    await made(server, responses("go on", previous_response_id=response["id"]))
    assert all(item["encrypted_content"] for item in thoughts(backend))
    assert thoughts(backend)


async def test_reasoning_that_comes_back_bare_is_whole_for_the_backend(
    server: Door, backend: Simulator
) -> None:
    """As a client sends it that keeps the output of a response for the next request."""
    _, response = await made(server, responses("hi"))
    history = [{"role": "user", "content": "hi"}, *response["output"]]
    _, second = await made(server, responses() | {"input": [*history, history[0]]})
    (thought,) = thoughts(backend)
    assert thought["encrypted_content"]
    listed = get(f"{RESPONSES}/{second['id']}/input_items")
    assert b"encrypted_content" not in (await server.reply(listed)).body
    listed = get(f"{RESPONSES}/{second['id']}/input_items?include[]={ENCRYPTED}")
    assert b"encrypted_content" in (await server.reply(listed)).body


@pytest.mark.parametrize("stream", [False, True], ids=["whole", "streamed"])
async def test_a_conversation_has_the_reasoning_and_shows_it_on_demand(
    server: Door, backend: Simulator, stream: bool
) -> None:
    name = (await server.reply(post(CONVERSATIONS, {}))).json["id"]
    await made(server, responses("hi", conversation=name, stream=stream))
    items = f"{CONVERSATIONS}/{name}/items"
    found = (await server.reply(get(items))).json["data"]
    (thought,) = [item for item in found if item["type"] == "reasoning"]
    for path in (items, f"{items}/{thought['id']}"):
        for query, there in (("", False), (f"?include={ENCRYPTED}", True)):
            told = (await server.reply(get(path + query))).body
            assert (b"encrypted_content" in told) == there
    await made(server, responses("go on", conversation=name))
    assert [item["encrypted_content"] for item in thoughts(backend)]


async def test_a_response_in_the_background_has_its_reasoning_and_shows_it_on_demand(
    server: Door, backend: Simulator
) -> None:
    _, queued = await made(server, responses("hi", background=True))
    response = await until(server, queued["id"], "completed")
    assert "encrypted_content" not in response["output"][0]
    await made(server, responses("go on", previous_response_id=queued["id"]))
    assert [item["encrypted_content"] for item in thoughts(backend)]


@pytest.mark.parametrize("stream", [False, True], ids=["whole", "streamed"])
async def test_a_codex_client_gets_what_the_backend_says(stream: bool) -> None:
    backend = Stream()
    async with door(backend) as server, raw.connect(server.port) as client:
        await client.send(post(RESPONSES, responses(stream=stream), CODEX))
        backend.send_bytes(wire("reasoning_summary"))
        reply = await client.reply()
    assert b"encrypted_content" in reply.body


@pytest.mark.parametrize("query", ["", f"?include[]={ENCRYPTED}"])
async def test_an_item_that_was_just_added_is_shown_as_any_other(server: Door, query: str) -> None:
    name = (await server.reply(post(CONVERSATIONS, {}))).json["id"]
    thought = {"type": "reasoning", "summary": [], "encrypted_content": "x"}
    reply = await server.reply(post(f"{CONVERSATIONS}/{name}/items{query}", {"items": [thought]}))
    assert ("encrypted_content" in reply.json["data"][0]) == bool(query)
