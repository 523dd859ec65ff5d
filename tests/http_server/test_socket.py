"""The Responses API over WebSocket: what is answered, and what a connection remembers."""

from __future__ import annotations

from collections import Counter
from typing import Any

import pytest
from tests.http_server.doors import Door, responses
from tests.http_server.raw import JsonObject, post
from tests.http_server.sockets import Client, client, create, id_of, text_of

from codexapi_engine.protocol import json
from codexapi_engine.simulator import Simulator

pytestmark = pytest.mark.asyncio(loop_scope="module")

ORPHAN = [{"type": "function_call_output", "call_id": "call_none", "output": "42"}]
TOOL = {
    "type": "function", "name": "add", "description": "adds", "strict": False,
    "parameters": {"type": "object", "properties": {}},
}  # fmt: skip


def bodies(backend: Simulator) -> list[JsonObject]:
    """What the backend was sent."""
    return [
        json.loads(request.body)
        for request in backend.requests
        if request.path.endswith("/responses")
    ]


def said(body: JsonObject) -> list[str]:
    """The texts of a request's messages."""
    return [
        part["text"]
        for item in body["input"]
        if item.get("type") == "message"
        for part in item["content"]
    ]


async def refused(socket: Client, status: int, code: str | None, **event: Any) -> JsonObject:
    error = await socket.refusal(create(**event))
    assert (error["status"], error["error"]["code"]) == (status, code), error
    return error


async def test_a_response_comes_as_one_frame_for_each_event(server: Door) -> None:
    async with client(server.port) as socket:
        events = await socket.ask("[[say Hello from a socket.]]")
    assert text_of(events) == "Hello from a socket."
    assert [event["sequence_number"] for event in events] == list(range(len(events)))
    assert events[0]["type"] == "response.created"
    assert not any("stream_id" in event for event in events)


async def test_an_unstored_response_is_continued_on_its_connection(
    server: Door, backend: Simulator
) -> None:
    async with client(server.port) as socket:
        first = await socket.ask("[[say one]]", store=False)
        second = await socket.ask("two", store=False, previous_response_id=id_of(first))
        await socket.ask("three", store=False, previous_response_id=id_of(second))
    first_body, _, third_body = bodies(backend)
    assert said(first_body) == ["[[say one]]"]
    assert said(third_body)[:3] == ["[[say one]]", "one", "two"]
    assert said(third_body)[-1] == "three"
    assert "previous_response_id" not in third_body
    assert second[-1]["response"]["previous_response_id"] == id_of(first)
    reasoning = [item for item in third_body["input"] if item["type"] == "reasoning"]
    assert len(reasoning) == 2
    assert all(item["encrypted_content"] for item in reasoning)


async def test_an_unstored_response_is_nowhere_else(server: Door) -> None:
    async with client(server.port) as socket, client(server.port) as other:
        name = id_of(await socket.ask("one", store=False))
        error = await refused(
            other, 400, "previous_response_not_found", store=False, previous_response_id=name
        )
        assert error["error"]["param"] == "previous_response_id"
        assert text_of(await other.ask("[[say still here]]")) == "still here"


async def test_a_stored_response_is_continued_anywhere(server: Door, backend: Simulator) -> None:
    async with client(server.port) as socket, client(server.port) as other:
        name = id_of(await socket.ask("[[say one]]"))
        await other.ask("two", previous_response_id=name)
    assert said(bodies(backend)[-1])[:2] == ["[[say one]]", "one"]


async def test_a_stored_response_leads_to_no_unstored_one(server: Door, backend: Simulator) -> None:
    async with client(server.port) as socket, client(server.port) as other:
        first = id_of(await socket.ask("[[say one]]", store=False))
        second = id_of(await socket.ask("[[say two]]", previous_response_id=first))
        await other.ask("three", previous_response_id=second)
    assert said(bodies(backend)[-1]) == ["[[say one]]", "one", "[[say two]]", "two", "three"]


async def test_only_the_newest_unstored_response_is_remembered(server: Door) -> None:
    async with client(server.port) as socket:
        first = id_of(await socket.ask("one", store=False))
        await socket.ask("two", store=False, previous_response_id=first)
        await refused(
            socket, 400, "previous_response_not_found", store=False, previous_response_id=first
        )


async def test_a_failed_continuation_forgets_what_it_went_on_with(server: Door) -> None:
    async with client(server.port) as socket:
        name = id_of(await socket.ask("one", store=False))
        error = await refused(
            socket, 400, "invalid_request_error",
            prompt=ORPHAN, store=False, previous_response_id=name,
        )  # fmt: skip
        assert "No tool call found for function call output" in error["error"]["message"]
        await refused(
            socket, 400, "previous_response_not_found", store=False, previous_response_id=name
        )


async def test_an_orphan_output_is_refused_without_the_backend(
    server: Door, backend: Simulator
) -> None:
    async with client(server.port) as socket:
        name = id_of(await socket.ask("one"))
        await refused(
            socket, 400, "invalid_request_error", prompt=ORPHAN, previous_response_id=name
        )
    assert len(bodies(backend)) == 1


async def test_a_tool_turn_sends_its_output_alone(server: Door, backend: Simulator) -> None:
    async with client(server.port) as socket:
        first = await socket.ask("[[call add {}]]", store=False, tools=[TOOL])
        (call,) = [i for i in first[-1]["response"]["output"] if i["type"] == "function_call"]
        output = {"type": "function_call_output", "call_id": call["call_id"], "output": "42"}
        events = await socket.ask(
            [output], store=False, tools=[TOOL], previous_response_id=id_of(first)
        )
    assert events[-1]["type"] == "response.completed"
    kinds = [item["type"] for item in bodies(backend)[-1]["input"]]
    assert kinds == ["message", "reasoning", "function_call", "function_call_output"]


async def test_a_warm_up_is_answered_without_the_backend(server: Door, backend: Simulator) -> None:
    async with client(server.port) as socket:
        warm = await socket.ask("[[say first]]", generate=False, store=False)
        assert not bodies(backend)
        assert warm[-1]["response"]["output"] == []
        assert warm[-1]["response"]["usage"]["total_tokens"] == 0
        await socket.ask("second", store=False, previous_response_id=id_of(warm))
    assert said(bodies(backend)[-1]) == ["[[say first]]", "second"]


async def test_a_warm_up_may_be_empty_and_a_response_may_not(server: Door) -> None:
    async with client(server.port) as socket:
        warm = await socket.ask([], generate=False, store=False)
        events = await socket.ask("[[say on]]", store=False, previous_response_id=id_of(warm))
        assert text_of(events) == "on"
        error = await socket.refusal(create([], store=False))
        assert (error["status"], error["error"]["param"]) == (400, "input")


async def test_a_stored_warm_up_is_continued_anywhere(server: Door, backend: Simulator) -> None:
    async with client(server.port) as socket, client(server.port) as other:
        warm = id_of(await socket.ask("[[say first]]", generate=False))
        await other.ask("second", previous_response_id=warm)
    assert said(bodies(backend)[-1]) == ["[[say first]]", "second"]


@pytest.mark.parametrize(
    ("message", "code", "param"),
    [
        ("{", "invalid_json", None),
        ("[1]", "invalid_json", None),
        (b"{}", "invalid_request_error", None),
        ('{"type":"response.make"}', "invalid_value", "type"),
        ("{}", "invalid_value", "type"),
        ('{"type":"response.interrupt"}', "unsupported_event", "type"),
        ('{"type":"response.create","background":true}', "unsupported_parameter", "background"),
        ('{"type":"response.create","generate":1}', "invalid_type", "generate"),
        ('{"type":"response.create","stream_id":""}', "invalid_stream_id", "stream_id"),
        ('{"type":"response.create","stream_id":"a b"}', "invalid_stream_id", "stream_id"),
        ('{"type":"response.create","stream_id":7}', "invalid_stream_id", "stream_id"),
        ('{"type":"response.create"}', "missing_required_parameter", "model"),
        ('{"type":"response.create","model":"x","input":7}', "invalid_type", "input"),
    ],
)
async def test_a_message_that_is_refused_leaves_the_connection_open(
    server: Door, message: str | bytes, code: str, param: str | None
) -> None:
    async with client(server.port) as socket:
        await socket.connection.send(message)
        (error,) = await socket.rest()
        assert (error["type"], error["status"]) == ("error", 400)
        assert (error["error"]["code"], error["error"]["param"]) == (code, param), error
        assert "stream_id" not in error
        assert text_of(await socket.ask("[[say on]]")) == "on"


async def test_steering_fails_with_its_input(server: Door) -> None:
    async with client(server.port) as socket:
        steer = {"type": "response.steer", "previous_response_id": "resp_1", "input": "left"}
        await socket.send(steer)
        event = await socket.event()
    assert event["type"] == "response.steer.failed"
    assert event["error"]["code"] == "steering_not_supported"
    assert event["steer"] == {"previous_response_id": "resp_1", "input": "left"}


async def test_lanes_answer_with_their_names(server: Door) -> None:
    async with client(server.port) as socket:
        names = ["a", "b.c", "-_9"]
        await socket.send(*(create(f"[[say {name}]]", stream_id=name) for name in names))
        events: dict[str, list[JsonObject]] = {name: [] for name in names}
        ends = Counter[str]()
        while len(ends) < len(names):
            event = await socket.event()
            events[event["stream_id"]].append(event)
            ends.update([event["stream_id"]] if event["type"] == "response.completed" else [])
    assert {name: text_of(events[name]) for name in names} == {name: name for name in names}


async def test_a_lane_answers_in_order(server: Door) -> None:
    async with client(server.port) as socket:
        await socket.send(*(create(f"[[say {number}]]", stream_id="a") for number in range(5)))
        texts = [text_of(await socket.rest()) for _ in range(5)]
    assert texts == ["0", "1", "2", "3", "4"]


async def test_a_fork_goes_on_with_another_lanes_response(server: Door, backend: Simulator) -> None:
    async with client(server.port) as socket:
        first = id_of(await socket.ask("[[say one]]", store=False))
        fork = create("fork", store=False, previous_response_id=first, stream_id="a")
        await socket.send(create("two", store=False, previous_response_id=first), fork)
        await socket.rest()
        await socket.rest()
        await socket.ask("more", store=False, previous_response_id=first, stream_id="b")
    inputs = sorted(said(body) for body in bodies(backend)[1:3])
    assert inputs == [["[[say one]]", "one", "fork"], ["[[say one]]", "one", "two"]]


async def test_a_failed_fork_forgets_nothing(server: Door) -> None:
    async with client(server.port) as socket:
        first = id_of(await socket.ask("[[say one]]", store=False))
        await refused(
            socket, 400, "invalid_request_error",
            prompt=ORPHAN, store=False, previous_response_id=first, stream_id="a",
        )  # fmt: skip
        events = await socket.ask("[[say two]]", store=False, previous_response_id=first)
        assert text_of(events) == "two"


async def test_the_33rd_lane_is_refused(server: Door) -> None:
    async with client(server.port) as socket:
        for number in range(32):
            await socket.ask([], generate=False, store=False, stream_id=f"lane-{number}")
        error = await socket.refusal(create(stream_id="lane-32"))
        assert error["error"]["code"] == "websocket_stream_limit_reached"
        assert error["error"]["param"] == "stream_id"
        assert text_of(await socket.ask("[[say on]]", stream_id="lane-0")) == "on"
        assert text_of(await socket.ask("[[say on]]")) == "on"


@pytest.mark.parametrize(("script", "status"), [("usage_limit_reached", 429), ("overloaded", 503)])
async def test_an_error_of_the_backend_has_its_status_and_headers(
    server: Door, script: str, status: int
) -> None:
    prompt = f"[[status {script}]]"
    reply = await server.reply(post("/v1/responses", responses(prompt)))
    assert reply.status == status, reply
    async with client(server.port) as socket:
        error = await socket.refusal(create(prompt))
    assert error["status"] == status
    detail, over_http = error["error"], json.loads(reply.body)["error"]
    assert [detail[name] for name in ("type", "code")] == [
        over_http[name] for name in ("type", "code")
    ]
    of_http = ("date", "content-", "x-request-id", "connection")
    wanted = {name for name in reply.headers if not name.startswith(of_http)}
    assert set(detail.get("headers", {})) == wanted
