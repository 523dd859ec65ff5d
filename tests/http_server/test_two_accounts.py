"""What is kept goes on after another account has logged in, without what only the first could read."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio
from tests.http_server.doors import MODEL, Door, chat, door, responses
from tests.http_server.raw import JsonObject, post
from tests.http_server.stored import kinds, made
from tests.two_accounts import TwoAccounts

pytestmark = [pytest.mark.asyncio(loop_scope="module"), pytest.mark.timeout(60)]

CHAT, RESPONSES, CONVERSATIONS = "/v1/chat/completions", "/v1/responses", "/v1/conversations"
IGNORED = "x-codexapi-ignored"
WEATHER: JsonObject = {
    "type": "function",
    "function": {"name": "weather", "parameters": {"type": "object", "properties": {}}},
}


@pytest.fixture
def backend() -> TwoAccounts:
    return TwoAccounts()


@pytest_asyncio.fixture(loop_scope="module")
async def server(backend: TwoAccounts) -> AsyncIterator[Door]:
    async with door(backend, store=backend.store) as opened:
        yield opened


def encrypted_kinds(body: JsonObject) -> list[str]:
    """The kinds of a request's items that carry something encrypted."""
    return [item["type"] for item in body["input"] if item.get("encrypted_content")]


def content_of(folder: Path) -> bytes:
    return b"".join(path.read_bytes() for path in sorted(folder.iterdir()))


async def call_tool(server: Door, *, stream: bool = False, model: str = MODEL) -> list[JsonObject]:
    """A first turn of Chat that calls a tool, and what a client sends in the second."""
    asked = chat("[[tool weather]]", tools=[WEATHER], stream=stream, model=model)
    reply = await server.reply(post(CHAT, asked))
    found = re.search(rb'"id":"(call_[^"]+)"', reply.body)
    assert found is not None, reply
    call = {"id": found[1].decode(), "type": "function"}
    call["function"] = {"name": "weather", "arguments": "{}"}
    answer = {"role": "tool", "tool_call_id": call["id"], "content": "4 degrees"}
    return [*asked["messages"], {"role": "assistant", "tool_calls": [call]}, answer]


@pytest.mark.parametrize("streamed", [False, True], ids=["whole", "stream"])
async def test_chat_goes_on_after_a_tool_call(
    server: Door, backend: TwoAccounts, streamed: bool
) -> None:
    messages = await call_tool(server, stream=streamed)
    second = chat() | {"messages": messages, "tools": [WEATHER], "stream": streamed}
    await backend.log_in("B")
    reply = await server.reply(post(CHAT, second))
    assert reply.status == 200
    assert IGNORED not in reply.headers, "it was ours, and no field of the client's"
    assert encrypted_kinds(backend.bodies[-1]) == []
    await backend.log_in("A")
    assert (await server.reply(post(CHAT, second))).status == 200
    assert encrypted_kinds(backend.bodies[-1]) == ["reasoning"]
    assert backend.refusals == 0


@pytest.mark.parametrize("streamed", [False, True], ids=["whole", "stream"])
async def test_a_chain_goes_on(server: Door, backend: TwoAccounts, streamed: bool) -> None:
    first = await made(server, RESPONSES, responses("one"))
    await backend.log_in("B")
    asked = responses("two", previous_response_id=first["id"], stream=streamed)
    assert (await server.reply(post(RESPONSES, asked))).status == 200
    assert kinds(backend.bodies[-1]["input"]) == ["user", "assistant", "user"]
    await backend.log_in("A")
    assert (await server.reply(post(RESPONSES, asked))).status == 200
    assert encrypted_kinds(backend.bodies[-1]) == ["reasoning"]
    assert backend.refusals == 0


@pytest.mark.parametrize("streamed", [False, True], ids=["whole", "stream"])
async def test_a_conversation_goes_on_and_each_has_its_own_reasoning(
    server: Door, backend: TwoAccounts, streamed: bool
) -> None:
    name = (await made(server, CONVERSATIONS, {}))["id"]
    for account, encrypted in (("A", 0), ("A", 1), ("B", 0), ("B", 1), ("A", 2)):
        await backend.log_in(account)
        asked = responses(f"as {account}", conversation=name, stream=streamed)
        assert (await server.reply(post(RESPONSES, asked))).status == 200
        assert len(encrypted_kinds(backend.bodies[-1])) == encrypted
    assert backend.refusals == 0


@pytest.mark.parametrize("names", [("quick", MODEL), (MODEL, "quick")], ids=" then ".join)
async def test_an_alias_is_the_model_that_it_stands_for(
    backend: TwoAccounts, names: tuple[str, str]
) -> None:
    async with door(
        backend, store=backend.store, model_aliases={"quick": f"{MODEL}:low"}
    ) as server:
        messages = await call_tool(server, model=names[0])
        first = await made(server, RESPONSES, responses("one", model=names[0]))
        chain = responses("two", model=names[1], previous_response_id=first["id"])
        calls = chat(model=names[1], tools=[WEATHER]) | {"messages": messages}
        for path, asked in ((RESPONSES, chain), (CHAT, calls)):
            assert (await server.reply(post(path, asked))).status == 200
            assert encrypted_kinds(backend.bodies[-1]) == ["reasoning"]


@pytest.mark.parametrize("later", [False, True], ids=["at its start", "later"])
async def test_a_conversation_goes_on_without_what_a_client_added_for_another_account(
    server: Door, backend: TwoAccounts, later: bool
) -> None:
    """A compaction is the client's own, so a refusal of it would be for ever."""
    compact = {"model": MODEL, "input": "one"}
    items = (await made(server, f"{RESPONSES}/compact", compact))["output"]
    name = (await made(server, CONVERSATIONS, {} if later else {"items": items}))["id"]
    if later:
        await made(server, f"{CONVERSATIONS}/{name}/items", {"items": items})
    for account, encrypted in (("B", []), ("A", ["compaction"])):
        await backend.log_in(account)
        await made(server, RESPONSES, responses("two", conversation=name, store=False))
        assert encrypted_kinds(backend.bodies[-1])[:1] == encrypted
    assert backend.refusals == 0


async def test_a_background_run_is_of_the_account_that_signed_it(
    server: Door, backend: TwoAccounts
) -> None:
    first = await made(server, RESPONSES, responses("one", background=True))
    if job := server.app.state.background.job(first["id"]):
        await job.task
    await backend.log_in("B")
    await made(server, RESPONSES, responses("two", previous_response_id=first["id"]))
    assert (encrypted_kinds(backend.bodies[-1]), backend.refusals) == ([], 0)
    await backend.log_in("A")
    await made(server, RESPONSES, responses("two", previous_response_id=first["id"]))
    assert (encrypted_kinds(backend.bodies[-1]), backend.refusals) == (["reasoning"], 0)


@pytest.mark.parametrize("how", [{}, {"stream": True}, {"background": True}], ids=str)
async def test_a_response_is_of_the_account_that_answered(
    server: Door, backend: TwoAccounts, how: JsonObject
) -> None:
    backend.login_changes = True
    asked = responses("one", reasoning={"effort": "high"}, **how)
    reply = await server.reply(post(RESPONSES, asked))
    found = re.search(rb'"id":"(resp_[^"]+)"', reply.body)
    assert found is not None, reply
    first = found[1].decode()
    if job := server.app.state.background.job(first):
        await job.task
    await made(server, RESPONSES, responses("two", previous_response_id=first))
    assert backend.bodies[-1]["input"][1]["encrypted_content"]
    assert backend.refusals == 0
    await backend.log_in("A")
    await made(server, RESPONSES, responses("two", previous_response_id=first))
    assert encrypted_kinds(backend.bodies[-1]) == []


async def test_a_chain_goes_on_after_a_restart(tmp_path: Path) -> None:
    backend, state = TwoAccounts(), tmp_path / "state.db"
    async with door(backend, store=backend.store, state=state) as server:
        first = await made(server, RESPONSES, responses("one"))
    await backend.log_in("B")
    asked = responses("two", previous_response_id=first["id"])
    async with door(backend, store=backend.store, state=state) as server:
        await made(server, RESPONSES, asked)
        assert encrypted_kinds(backend.bodies[-1]) == []
        await backend.log_in("A")
        await made(server, RESPONSES, asked)
    assert (encrypted_kinds(backend.bodies[-1]), backend.refusals) == (["reasoning"], 0)
    accounts = [backend.accounts.account_of(name).account_id.encode() for name in "AB"]
    kept = content_of(tmp_path)
    assert first["id"].encode() in kept
    assert not any(account in kept for account in accounts)


# What a client sends itself, and what nobody can read any more.


@pytest.mark.parametrize("streamed", [False, True], ids=["whole", "stream"])
async def test_reasoning_that_a_client_brings_from_another_account_is_left_out_and_named(
    server: Door, backend: TwoAccounts, streamed: bool
) -> None:
    first = await made(server, RESPONSES, responses("one", include=["reasoning.encrypted_content"]))
    await backend.log_in("B")
    given = [*first["output"], {"role": "user", "content": "two"}]
    asked = responses(stream=streamed, store=False, temperature=1) | {"input": given}
    reply = await server.reply(post(RESPONSES, asked))
    assert reply.status == 200
    assert reply.headers[IGNORED] == "temperature,input.encrypted_content"
    assert kinds(backend.bodies[-1]["input"]) == ["assistant", "user"]
    assert backend.refusals == 1


@pytest.mark.parametrize("streamed", [False, True], ids=["whole", "stream"])
async def test_what_is_kept_goes_on_when_the_backend_has_other_keys(
    server: Door, backend: TwoAccounts, streamed: bool
) -> None:
    messages = await call_tool(server)
    first = await made(server, RESPONSES, responses("one"))
    backend.accounts.rotate_keys()
    second = chat() | {"messages": messages, "tools": [WEATHER], "stream": streamed}
    next_turn = responses("two", previous_response_id=first["id"], stream=streamed)
    for path, asked in ((CHAT, second), (RESPONSES, next_turn)):
        reply = await server.reply(post(path, asked))
        assert reply.status == 200
        assert reply.headers[IGNORED] == "input.encrypted_content"
        assert encrypted_kinds(backend.bodies[-1]) == []
    compacted = await made(server, f"{RESPONSES}/compact", next_turn)
    assert kinds(compacted["output"])[-1] == "compaction"


async def test_a_compaction_that_cannot_be_read_is_the_client_s_to_know(
    server: Door, backend: TwoAccounts
) -> None:
    first = await made(server, RESPONSES, responses("one"))
    asked = responses("two", previous_response_id=first["id"])
    compacted = await made(server, f"{RESPONSES}/compact", asked)
    await backend.log_in("B")
    given = [*compacted["output"], {"role": "user", "content": "three"}]
    reply = await server.reply(post(RESPONSES, responses() | {"input": given}))
    reply.refused(400, "invalid_encrypted_content")
    assert backend.refusals == 1, "no second try: there is no reasoning to leave out"
    thought = {"type": "reasoning", "id": "rs_1", "summary": [], "encrypted_content": "other"}
    reply = await server.reply(post(RESPONSES, responses() | {"input": [thought, *given]}))
    reply.refused(400, "invalid_encrypted_content")
    assert backend.refusals == 3


async def test_a_codex_client_hears_of_it_itself(server: Door, backend: TwoAccounts) -> None:
    thought = {"type": "reasoning", "id": "rs_1", "summary": [], "encrypted_content": "other"}
    given = [thought, {"type": "message", "role": "user", "content": "hi"}]
    body = {"model": MODEL, "input": given, "instructions": "Be brief.", "stream": True}
    reply = await server.reply(post(RESPONSES, body, "x-codex-window-id: w"))
    reply.refused(400, "invalid_encrypted_content")
    assert backend.refusals == 1
