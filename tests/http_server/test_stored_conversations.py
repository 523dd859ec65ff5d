"""Compaction, conversations and stored chat completions."""

from __future__ import annotations

import pytest
from tests.http_server import raw
from tests.http_server.doors import MODEL, Door, Stream, chat, door, responses
from tests.http_server.raw import JsonObject, Reply, get, head, post
from tests.http_server.stored import (
    CHATS,
    CONVERSATIONS,
    RESPONSES,
    conversation,
    delete,
    kinds,
    listed,
    made,
    sent,
)
from tests.wire_files import events

from codexapi_engine.simulator import Simulator

pytestmark = [pytest.mark.asyncio(loop_scope="module"), pytest.mark.timeout(60)]


# Compaction and counting.


async def test_compaction_is_the_user_s_words_and_can_be_sent_back(
    server: Door, backend: Simulator
) -> None:
    first = await made(server, RESPONSES, responses("one"))
    body = responses("two", previous_response_id=first["id"], stream=True, instructions="Brief.")
    compacted = await made(server, f"{RESPONSES}/compact", body)
    asked = sent(backend)
    assert asked["input"][-1] == {"type": "compaction_trigger"}
    assert asked["instructions"] == "Brief."
    assert compacted["object"] == "response.compaction"
    assert isinstance(compacted["created_at"], int)
    assert compacted["id"].startswith("resp_")
    assert kinds(compacted["output"]) == ["user", "user", "compaction"]
    assert all(item["id"] for item in compacted["output"])
    assert compacted["usage"]["output_tokens_details"]["reasoning_tokens"] == 0
    go_on = [*compacted["output"], {"role": "user", "content": "go on"}]
    await made(server, RESPONSES, responses() | {"input": go_on})
    assert kinds(sent(backend)["input"]) == ["user", "user", "compaction", "user"]


async def test_compaction_needs_an_input(server: Door) -> None:
    reply = await server.reply(post(f"{RESPONSES}/compact", {"model": MODEL}))
    assert reply.refused(400, "missing_required_parameter")["param"] == "input"


async def test_tokens_are_counted_by_us_and_marked_as_an_estimate(
    server: Door, backend: Simulator
) -> None:
    first = await made(server, RESPONSES, responses("x" * 3_600))
    backend.requests.clear()
    path = f"{RESPONSES}/input_tokens"

    async def count(body: JsonObject) -> int:
        reply = await server.reply(post(path, body))
        assert reply.headers["x-codexapi-estimate"] == "1"
        assert reply.json["object"] == "response.input_tokens"
        return int(reply.json["input_tokens"])

    assert 10 <= await count({"input": "Tell me a joke about tokens, please."}) <= 20
    assert await count({}) == 0
    assert await count({"input": "", "previous_response_id": first["id"]}) > 1_000
    (await server.reply(post(path, {"input": 5}))).refused(400, "invalid_type")
    assert not backend.requests


# Conversations.


async def test_conversation_is_made_read_changed_and_deleted(server: Door) -> None:
    name = await conversation(server, metadata={"a": "b"})
    path = f"{CONVERSATIONS}/{name}"
    found = (await server.reply(get(path))).json
    assert set(found) == {"id", "object", "created_at", "metadata"}
    changed = await made(server, path, {"metadata": {"c": "d"}})
    assert changed == {**found, "metadata": {"c": "d"}}
    told = (await server.reply(delete(path))).json
    assert told == {"id": name, "object": "conversation.deleted", "deleted": True}
    for request in (
        get(path),
        post(path, {"metadata": {}}),
        delete(path),
        get(f"{path}/items"),
        get(f"{path}/items/msg_1"),
        post(f"{path}/items", {"items": []}),
        delete(f"{path}/items/msg_1"),
        post(RESPONSES, responses(conversation=name)),
    ):
        error = (await server.reply(request)).refused(404, None)
        assert error["message"] == f"Conversation with id '{name}' not found."


async def test_items_of_a_conversation_are_added_listed_read_and_deleted(server: Door) -> None:
    name = await conversation(server, items=[{"role": "user", "content": "one"}])
    path = f"{CONVERSATIONS}/{name}/items"
    added = await made(server, path, {"items": [{"role": "user", "content": "two"}]})
    assert (added["first_id"], added["has_more"]) == (added["data"][0]["id"], False)
    newest, oldest = await listed(server, path)
    assert newest == added["data"][0]
    assert await listed(server, f"{path}?order=asc") == [oldest, newest]
    assert (await server.reply(get(f"{path}/{oldest['id']}"))).json == oldest
    left = (await server.reply(delete(f"{path}/{oldest['id']}"))).json
    assert left["id"] == name
    assert await listed(server, path) == [newest]
    (await server.reply(get(f"{path}/{oldest['id']}"))).refused(404, None)


@pytest.mark.parametrize("form", ["text", "object"])
@pytest.mark.parametrize("stream", [True, False])
async def test_conversation_goes_before_a_request_and_takes_in_what_came_of_it(
    server: Door, backend: Simulator, form: str, stream: bool
) -> None:
    name = await conversation(server, items=[{"role": "system", "content": "Be kind."}])
    given = name if form == "text" else {"id": name}
    for prompt in ("one", "two"):
        body = responses(prompt, conversation=given, stream=stream, store=False)
        reply = await server.reply(post(RESPONSES, body))
        assert f'"conversation":{{"id":"{name}"}}'.encode() in reply.body
    assert kinds(sent(backend)["input"]) == [
        "developer", "user", "reasoning", "assistant", "user",
    ]  # fmt: skip
    found = await listed(server, f"{CONVERSATIONS}/{name}/items?order=asc")
    assert kinds(found) == ["system", *["user", "reasoning", "assistant"] * 2]


async def test_conversation_and_chain_exclude_each_other(server: Door) -> None:
    body = responses(conversation="conv_1", previous_response_id="resp_1")
    error = (await server.reply(post(RESPONSES, body))).refused(
        400, "mutually_exclusive_parameters"
    )
    assert error["param"] == "previous_response_id"


@pytest.mark.parametrize(
    ("body", "param", "code"),
    [
        ({"items": [{"role": "user", "content": "x"}] * 21}, "items", "invalid_value"),
        ({"items": "x"}, "items", "invalid_type"),
        ({"items": [5]}, "items[0]", "invalid_type"),
        ({"items": [{"role": "king", "content": "x"}]}, "items[0].role", "invalid_value"),
        ({"items": [{"role": "user"}]}, "items[0].content", "invalid_type"),
        ({"items": [{"type": ["x"]}]}, None, None),
        ({"metadata": {"k": "v" * 513}}, "metadata", "invalid_value"),
        ({"metadata": []}, "metadata", "invalid_type"),
    ],
)  # fmt: skip
async def test_wrong_conversation_is_named(
    server: Door, body: JsonObject, param: str | None, code: str | None
) -> None:
    reply = await server.reply(post(CONVERSATIONS, body))
    if param is None:
        assert reply.status == 200, "an item of a new kind is the backend's to judge"
        return
    assert reply.refused(400, code)["param"] == param


# Chat completions.


async def test_chat_completion_is_kept_on_request_alone(server: Door) -> None:
    whole = await made(server, CHATS, chat("hi"))
    (await server.reply(get(f"{CHATS}/{whole['id']}"))).refused(404, None)
    kept = await made(server, CHATS, chat("hi", store=True, metadata={"a": "b"}))
    path = f"{CHATS}/{kept['id']}"
    assert (await server.reply(get(path))).json == {**kept, "metadata": {"a": "b"}}
    (message,) = await listed(server, f"{path}/messages")
    assert (message["role"], message["content"]) == ("user", "hi")
    changed = await made(server, path, {"metadata": {"c": "d"}})
    assert changed["metadata"] == {"c": "d"}
    told = (await server.reply(delete(path))).json
    assert told == {"object": "chat.completion.deleted", "id": kept["id"], "deleted": True}
    for request in (
        get(path),
        delete(path),
        get(f"{path}/messages"),
        post(path, {"metadata": {}}),
    ):
        (await server.reply(request)).refused(404, None)


@pytest.mark.parametrize("more", [{}, {"n": 2}, {"stop": "three"}])
async def test_streamed_chat_completion_is_kept_whole(server: Door, more: JsonObject) -> None:
    options = {"include_usage": True}
    body = chat("[[say One two three.]]", store=True, **more)
    told = await server.reply(post(CHATS, body | {"stream": True, "stream_options": options}))
    name = events(told.body)[0].json["id"]
    kept = (await server.reply(get(f"{CHATS}/{name}"))).json
    whole = await made(server, CHATS, body)
    assert kept["choices"] == whole["choices"]
    assert kept.get("usage") == whole.get("usage")
    assert kept["object"] == "chat.completion"


async def test_chat_completion_that_broke_is_not_kept(server: Door) -> None:
    told = await server.reply(post(CHATS, chat("[[cut 2]]", store=True, stream=True)))
    name = events(told.body)[0].json["id"]
    (await server.reply(get(f"{CHATS}/{name}"))).refused(404, None)


async def test_chat_completions_are_listed_by_model_and_metadata() -> None:
    async with door(Simulator()) as server:
        for number in range(3):
            metadata = {"n": str(number), "a": "b"}
            await made(server, CHATS, chat(store=True, metadata=metadata))
        await made(server, CHATS, chat(store=True, model="gpt-6-luna"))

        async def found(query: str) -> int:
            return len(await listed(server, CHATS + query))

        assert await found("") == 4
        assert await found("?model=gpt-6-luna") == 1
        assert await found("?metadata%5Ba%5D=b") == 3
        assert await found("?metadata[a]=b&metadata[n]=2&model=" + MODEL) == 1
        assert await found("?metadata[a]=c") == 0
        first, *rest = await listed(server, CHATS)
        assert await listed(server, f"{CHATS}?after={first['id']}&limit=2") == rest[:2]
        assert (await listed(server, f"{CHATS}?order=desc"))[-1] == first


@pytest.mark.parametrize(
    ("body", "param"),
    [({}, "metadata"), ({"metadata": 5}, "metadata"), ({"metadata": {"a": 1}}, "metadata.a")],
)
async def test_wrong_metadata_is_named(server: Door, body: JsonObject, param: str) -> None:
    kept = await made(server, CHATS, chat(store=True))
    reply = await server.reply(post(f"{CHATS}/{kept['id']}", body))
    assert reply.status == 400
    assert reply.error["param"] == param


# The paths.


@pytest.mark.parametrize(
    ("path", "allowed"),
    [
        (f"{RESPONSES}/resp_1", {"GET", "HEAD", "DELETE"}),
        (f"{CONVERSATIONS}/conv_1", {"GET", "HEAD", "POST", "DELETE"}),
        (f"{CONVERSATIONS}/conv_1/items", {"GET", "HEAD", "POST"}),
        (f"{CHATS}/chatcmpl-1", {"GET", "HEAD", "POST", "DELETE"}),
    ],
)
async def test_path_tells_all_its_methods(server: Door, path: str, allowed: set[str]) -> None:
    reply = await server.reply(head(f"PATCH {path}", "Host: 127.0.0.1"))
    reply.refused(405, "method_not_allowed")
    assert set(reply.headers["allow"].split(", ")) == allowed


async def test_client_that_leaves_takes_its_response_with_it() -> None:
    backend = Stream()
    async with door(backend) as server:
        async with raw.connect(server.port) as connection:
            await connection.send(post(RESPONSES, responses(stream=True)))
            await backend.reached.wait()
            told = {"type": "response.created", "response": {"id": "resp_1"}}
            backend.send(told)
            assert (await connection.head()).status == 200
            connection.leave()
        await backend.closed.wait()
        reply: Reply = await server.reply(get(f"{RESPONSES}/resp_1"))
        reply.refused(404, None)
