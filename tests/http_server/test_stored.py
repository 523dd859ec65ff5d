"""What is kept: responses and their chains, conversations, chat completions, over HTTP."""

from __future__ import annotations

import json
from typing import Any

import pytest
from tests.http_server import raw
from tests.http_server.doors import MODEL, Door, Stream, chat, door, responses
from tests.http_server.raw import JsonObject, Reply, get, head, post
from tests.wire_files import events

from codexapi_engine.simulator import Simulator

pytestmark = [pytest.mark.asyncio(loop_scope="module"), pytest.mark.timeout(60)]

RESPONSES, CONVERSATIONS = "/v1/responses", "/v1/conversations"
CHATS = "/v1/chat/completions"
CODEX = "x-codex-window-id: 1:0"


def delete(path: str) -> bytes:
    return head(f"DELETE {path}", "Host: 127.0.0.1")


def post_nothing(path: str) -> bytes:
    return head(f"POST {path}", "Host: 127.0.0.1", "Content-Length: 0")


async def made(server: Door, path: str, body: JsonObject) -> JsonObject:
    reply = await server.reply(post(path, body))
    assert reply.status == 200, reply
    return reply.json


def sent(backend: Simulator) -> JsonObject:
    """What the backend was asked last."""
    body: JsonObject = json.loads(backend.requests[-1].body)
    return body


def kinds(items: list[JsonObject]) -> list[str]:
    return [item.get("role") or item["type"] for item in items]


async def listed(server: Door, path: str) -> list[JsonObject]:
    reply = await server.reply(get(path))
    assert reply.status == 200, reply
    data: list[JsonObject] = reply.json["data"]
    return data


# Responses.


async def test_response_is_kept_by_default_and_says_so(server: Door) -> None:
    response = await made(server, RESPONSES, responses("[[say Kept.]]", metadata={"a": "b"}))
    assert response["store"] is True
    assert (await server.reply(get(f"{RESPONSES}/{response['id']}"))).json == response
    (item,) = await listed(server, f"{RESPONSES}/{response['id']}/input_items")
    assert item["content"] == [{"type": "input_text", "text": "[[say Kept.]]"}]


async def test_streamed_response_is_there_when_its_last_event_is(server: Door) -> None:
    told = await server.reply(post(RESPONSES, responses("hi", stream=True)))
    last = [event.json for event in events(told.body) if event.json][-1]
    assert (await server.reply(get(f"{RESPONSES}/{last['response']['id']}"))).json == last[
        "response"
    ]


@pytest.mark.parametrize("stream", [True, False])
async def test_response_that_is_not_to_be_kept_is_not(server: Door, stream: bool) -> None:
    told = await server.reply(post(RESPONSES, responses("hi", store=False, stream=stream)))
    if stream:
        response = [event.json for event in events(told.body) if event.json][-1]["response"]
    else:
        response = told.json
    assert response["store"] is False
    name = response["id"]
    error = (await server.reply(get(f"{RESPONSES}/{name}"))).refused(404, None)
    assert error["message"] == f"Response with id '{name}' not found."


async def test_response_of_a_codex_client_is_not_kept(server: Door) -> None:
    item = {"role": "user", "content": "hi"}
    body = responses() | {"input": [item], "instructions": "Be brief."}
    response = (await server.reply(post(RESPONSES, body, CODEX))).json
    assert response["store"] is False
    (await server.reply(get(f"{RESPONSES}/{response['id']}"))).refused(404, None)


async def test_failed_response_is_kept_as_failed(server: Door) -> None:
    told = await server.reply(post(RESPONSES, responses("[[fail server_error]]", stream=True)))
    last = events(told.body)[-1].json
    assert last["type"] == "response.failed"
    kept = (await server.reply(get(f"{RESPONSES}/{last['response']['id']}"))).json
    assert (kept["status"], kept["error"]["code"]) == ("failed", "server_error")


async def test_deleted_response_is_gone(server: Door) -> None:
    name = (await made(server, RESPONSES, responses()))["id"]
    told = await server.reply(delete(f"{RESPONSES}/{name}"))
    assert told.json == {"id": name, "object": "response", "deleted": True}
    for request in (
        get(f"{RESPONSES}/{name}"),
        get(f"{RESPONSES}/{name}?stream=true"),
        get(f"{RESPONSES}/{name}/input_items"),
        post_nothing(f"{RESPONSES}/{name}/cancel"),
        delete(f"{RESPONSES}/{name}"),
    ):
        error = (await server.reply(request)).refused(404, None)
        assert (error["type"], error["param"]) == ("invalid_request_error", None)


async def test_what_ran_while_its_client_waited_cannot_be_cancelled(server: Door) -> None:
    name = (await made(server, RESPONSES, responses()))["id"]
    error = (await server.reply(post_nothing(f"{RESPONSES}/{name}/cancel"))).refused(400, None)
    assert error["message"] == "Cannot cancel a synchronous response."


@pytest.mark.parametrize("after", [None, 0, 5, 1_000])
async def test_stream_is_heard_again_from_any_event_on(server: Door, after: int | None) -> None:
    told = await server.reply(post(RESPONSES, responses("[[say One two three.]]", stream=True)))
    before = events(told.body)
    name = before[0].json["response"]["id"]
    query = "" if after is None else f"&starting_after={after}"
    again = await server.reply(get(f"{RESPONSES}/{name}?stream=true{query}"))
    assert again.headers["content-type"].startswith("text/event-stream")
    skipped = 0 if after is None else min(after + 1, len(before) - 1)
    assert [event.raw for event in events(again.body)] == [event.raw for event in before[skipped:]]


async def test_whole_response_can_be_heard_too(server: Door) -> None:
    response = await made(server, RESPONSES, responses("[[say Once more.]]"))
    told = await server.reply(get(f"{RESPONSES}/{response['id']}?stream=true"))
    assert told.body.endswith(b"data: [DONE]\n\n")
    last = [event.json for event in events(told.body) if event.json][-1]
    assert (last["type"], last["response"]) == ("response.completed", response)


@pytest.mark.parametrize(
    ("query", "param"),
    [
        ("?stream=maybe", "stream"),
        ("?stream=true&starting_after=soon", "starting_after"),
        ("?stream=true&starting_after=" + "9" * 30, "starting_after"),
        ("/input_items?limit=0", "limit"),
        ("/input_items?limit=101", "limit"),
        ("/input_items?limit=x", "limit"),
        ("/input_items?limit=--1", "limit"),
        ("/input_items?limit=%2B1", "limit"),
        ("/input_items?limit=+1", "limit"),
        ("/input_items?limit=%D9%A3", "limit"),
        pytest.param(f"/input_items?limit={'9' * 5000}", "limit", id="5,000 digits"),
        ("/input_items?order=up", "order"),
        ("/input_items?after=msg_9", "after"),
    ],
)
async def test_wrong_query_is_named(server: Door, query: str, param: str) -> None:
    name = (await made(server, RESPONSES, responses()))["id"]
    error = (await server.reply(get(f"{RESPONSES}/{name}{query}"))).refused(400, "invalid_value")
    assert error["param"] == param


async def test_input_items_come_page_by_page(server: Door) -> None:
    items = [{"role": "user", "content": str(number)} for number in range(5)]
    name = (await made(server, RESPONSES, responses() | {"input": items}))["id"]
    path = f"{RESPONSES}/{name}/input_items"

    async def page(query: str) -> tuple[str, JsonObject]:
        told = (await server.reply(get(path + query))).json
        assert told["object"] == "list"
        assert told["first_id"] == told["data"][0]["id"]
        assert told["last_id"] == told["data"][-1]["id"]
        return "".join(item["content"][0]["text"] for item in told["data"]), told

    text, _ = await page("")
    assert text == "43210"
    text, first = await page("?order=asc&limit=2")
    assert (text, first["has_more"]) == ("01", True)
    text, second = await page(f"?order=asc&limit=2&after={first['last_id']}")
    assert (text, second["has_more"]) == ("23", True)
    text, third = await page(f"?order=asc&limit=2&after={second['last_id']}")
    assert (text, third["has_more"]) == ("4", False)
    text, whole = await page("?limit=5")
    assert (text, whole["has_more"]) == ("43210", False)


# What goes before a request.


async def test_chain_brings_all_items_and_their_reasoning_but_no_instructions(
    server: Door, backend: Simulator
) -> None:
    first = await made(server, RESPONSES, responses("[[say A.]]", instructions="Speak Latin."))
    second = await made(
        server, RESPONSES, responses("[[say B.]]", previous_response_id=first["id"])
    )
    assert second["previous_response_id"] == first["id"]
    third = await made(server, RESPONSES, responses("end", previous_response_id=second["id"]))
    assert third["instructions"] is None
    asked = sent(backend)
    assert kinds(asked["input"]) == [*["user", "reasoning", "assistant"] * 2, "user"]
    assert all(i["encrypted_content"] for i in asked["input"] if i["type"] == "reasoning")
    assert asked["instructions"] != "Speak Latin."
    assert "previous_response_id" not in asked


async def test_reasoning_stays_behind_when_the_model_changes(
    server: Door, backend: Simulator
) -> None:
    first = await made(server, RESPONSES, responses("hi"))
    await made(
        server,
        RESPONSES,
        responses("go on", previous_response_id=first["id"], model="gpt-6-luna"),
    )
    assert kinds(sent(backend)["input"]) == ["user", "assistant", "user"]


async def test_tool_output_alone_continues_a_response(server: Door, backend: Simulator) -> None:
    tool = {"type": "function", "name": "f", "parameters": {"type": "object", "properties": {}}}
    first = await made(server, RESPONSES, responses("[[tool f {}]]", tools=[tool]))
    call = next(item for item in first["output"] if item["type"] == "function_call")
    output = {"type": "function_call_output", "call_id": call["call_id"], "output": "42 degrees"}
    body = responses(previous_response_id=first["id"], tools=[tool]) | {"input": [output]}
    second = await made(server, RESPONSES, body)
    assert "42 degrees" in json.dumps(second["output"])


async def test_unknown_previous_response_is_told_in_openai_s_words(
    server: Door, backend: Simulator
) -> None:
    for path in (RESPONSES, f"{RESPONSES}/compact", f"{RESPONSES}/input_tokens"):
        reply = await server.reply(post(path, responses(previous_response_id="resp_gone")))
        error = reply.refused(400, "previous_response_not_found")
        assert error["message"] == "Previous response with id 'resp_gone' not found."
        assert error["param"] == "previous_response_id"
    assert not backend.requests


async def test_references_are_inlined(server: Door, backend: Simulator) -> None:
    first = await made(server, RESPONSES, responses("hi"))
    thought, said = first["output"]
    given: list[JsonObject] = [
        {"role": "user", "content": "hi"},
        {"type": "item_reference", "id": thought["id"]},
        {"type": "item_reference", "id": said["id"]},
        {"type": "reasoning", "id": "rs_unknown", "summary": []},
        {"role": "user", "content": "go on"},
    ]
    second = await made(server, RESPONSES, responses() | {"input": given})
    asked = sent(backend)["input"]
    assert kinds(asked) == ["user", "reasoning", "assistant", "user"]
    assert asked[1]["encrypted_content"]
    kept = await listed(server, f"{RESPONSES}/{second['id']}/input_items?order=asc")
    assert kinds(kept) == kinds(asked)
    bare = {"type": "reasoning", "id": thought["id"], "summary": []}
    await made(server, RESPONSES, responses() | {"input": [bare, given[-1]]})
    assert sent(backend)["input"][0]["encrypted_content"]


@pytest.mark.parametrize("path", [RESPONSES, CHATS])
async def test_a_picture_goes_on_by_its_id_alone(
    server: Door, backend: Simulator, path: str
) -> None:
    tools = [{"type": "image_generation"}]
    first = await made(server, RESPONSES, responses("draw a fox", tools=tools))
    (drawn,) = (item for item in first["output"] if item["type"] == "image_generation_call")
    bare = {"type": "image_generation_call", "id": drawn["id"]}
    given = [bare, {"role": "user", "content": "now as a badger"}]
    await made(server, path, {"model": MODEL, "input": given})
    assert sent(backend)["input"][0]["result"] == drawn["result"]


@pytest.mark.parametrize("held_by", ["previous_response_id", "conversation"])
@pytest.mark.parametrize("stream", [False, True], ids=["whole", "stream"])
@pytest.mark.parametrize("path", [RESPONSES, f"{RESPONSES}/compact"])
async def test_an_error_counts_only_the_items_that_the_caller_sent(
    server: Door, path: str, stream: bool, held_by: str
) -> None:
    name = await conversation(server)
    more = {"conversation": name} if held_by == "conversation" else {}
    first = await made(server, RESPONSES, responses("one", **more))
    before = {held_by: name if more else first["id"]}
    odd = {"role": "user", "content": [{"type": "odd", "text": "two"}]}
    body = responses(stream=stream, **before) | {"input": [{"type": "reasoning", "id": "x"}, odd]}
    error = (await server.reply(post(path, body))).refused(400, "invalid_value")
    assert error["param"].startswith("input[1].content[0]")


@pytest.mark.parametrize("kind", ["item_reference", "image_generation_call"])
@pytest.mark.parametrize("later", [False, True], ids=["at its start", "later"])
async def test_a_conversation_takes_an_item_by_its_id_alone(
    server: Door, kind: str, later: bool
) -> None:
    tools = [{"type": "image_generation"}]
    first = await made(server, RESPONSES, responses("draw a fox", tools=tools))
    (drawn,) = (item for item in first["output"] if item["type"] == "image_generation_call")
    items = [{"type": kind, "id": drawn["id"]}]
    name = await conversation(server, items=[] if later else items)
    if later:
        await made(server, f"{CONVERSATIONS}/{name}/items", {"items": items})
    (kept,) = await listed(server, f"{CONVERSATIONS}/{name}/items")
    assert (kept["type"], kept["result"]) == ("image_generation_call", drawn["result"])


@pytest.mark.parametrize("kind", ["item_reference", "image_generation_call"])
async def test_unknown_reference_is_not_found(server: Door, backend: Simulator, kind: str) -> None:
    given = [{"type": kind, "id": "msg_gone"}]
    reply = await server.reply(post(RESPONSES, responses() | {"input": given}))
    error = reply.refused(404, None)
    assert error["param"] == "input[0].id"
    assert "msg_gone" in error["message"]
    assert not backend.requests


async def test_items_that_go_before_anyway_go_up_once(server: Door, backend: Simulator) -> None:
    asked = {"role": "user", "content": "one", "id": "msg_client_1"}
    first = await made(server, RESPONSES, responses() | {"input": [asked]})
    name = await conversation(server, items=[asked])
    await made(server, RESPONSES, responses("two", conversation=name))
    for before in ({"previous_response_id": first["id"]}, {"conversation": name}):
        past = await listed(server, f"{CONVERSATIONS}/{name}/items?order=asc")
        again = past if "conversation" in before else [asked, *first["output"]]
        given = [*again, {"role": "user", "content": "three"}]
        await made(server, RESPONSES, responses() | before | {"input": given})
        ids = [item["id"] for item in sent(backend)["input"] if "id" in item]
        assert len(ids) == len(set(ids))
        assert kinds(sent(backend)["input"])[-2:] == ["assistant", "user"]
        assert sent(backend)["input"][-1]["content"][0]["text"] == "three"
    texts = [
        item["content"][0]["text"]
        for item in await listed(server, f"{CONVERSATIONS}/{name}/items?order=asc")
        if item.get("role") == "user"
    ]
    assert texts == ["one", "two", "three"]


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


async def conversation(server: Door, **body: Any) -> str:
    name: str = (await made(server, CONVERSATIONS, body))["id"]
    return name


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
