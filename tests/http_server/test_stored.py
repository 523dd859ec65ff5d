"""Stored responses, and what goes before a request."""

from __future__ import annotations

import json

import pytest
from tests.http_server.doors import MODEL, Door, responses
from tests.http_server.raw import JsonObject, get, head, post
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


CODEX = "x-codex-window-id: 1:0"


def post_nothing(path: str) -> bytes:
    return head(f"POST {path}", "Host: 127.0.0.1", "Content-Length: 0")


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
