"""Several choices, stop sequences, and the thread that chat turns would lose."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator, Mapping
from typing import Any

import pytest
from tests.http_server import raw
from tests.http_server.doors import MODEL, Answer, Door, Stream, chat, door
from tests.http_server.raw import JsonObject, get, post
from tests.wire_files import events

from codexapi_engine.protocol import sse
from codexapi_engine.simulator import Simulator

pytestmark = [pytest.mark.asyncio(loop_scope="module"), pytest.mark.timeout(60)]

CHAT, COMPLETIONS = "/v1/chat/completions", "/v1/completions"
BOTH = pytest.mark.parametrize("path", [CHAT, COMPLETIONS])
ROADS = pytest.mark.parametrize("streamed", [True, False], ids=["stream", "whole"])
USAGE = {"input_tokens": 3, "output_tokens": 2, "total_tokens": 5}


class Several:
    """A backend that answers each request with the next stream."""

    def __init__(self, *streams: Stream) -> None:
        self.streams = streams
        self._left: Iterator[Stream] = iter(streams)

    async def handle(
        self, method: str, target: str, headers: Mapping[str, str], body: bytes
    ) -> Answer:
        return await next(self._left).handle(method, target, headers, body)


def created(name: str) -> JsonObject:
    response = {"id": f"resp_{name}", "created_at": 5, "model": MODEL}
    return {"type": "response.created", "response": response}


def delta(text: str) -> JsonObject:
    place = {"item_id": "msg_1", "output_index": 0, "content_index": 0}
    return {"type": "response.output_text.delta", **place, "delta": text}


COMPLETED = {"type": "response.completed", "response": {"id": "resp_1", "usage": USAGE}}
FAILED = {"type": "response.failed", "response": {"error": {"code": "context_length_exceeded"}}}


def body_for(path: str, prompt: str = "hi", **more: Any) -> JsonObject:
    if path == CHAT:
        return chat(prompt, **more)
    return {"model": MODEL, "prompt": prompt, **more}


def chunks(told: bytes) -> list[JsonObject]:
    return [event.json for event in events(told) if event.data != b"[DONE]"]


def said(path: str, choice: JsonObject) -> str:
    """The text of a choice, of a chunk or of a whole reply."""
    if path == COMPLETIONS:
        return str(choice["text"])
    return (choice.get("delta") or choice.get("message") or {}).get("content") or ""


# Several choices.


@BOTH
@pytest.mark.parametrize("n", [1, 2, 8])
async def test_each_choice_is_a_run_of_its_own(
    server: Door, backend: Simulator, path: str, n: int
) -> None:
    before = backend.runs
    told = (await server.reply(post(path, body_for(path, "[[say Hi]]", n=n)))).json
    assert backend.runs - before == n
    assert [choice["index"] for choice in told["choices"]] == list(range(n))
    assert [said(path, choice) for choice in told["choices"]] == ["Hi"] * n
    one = (await server.reply(post(path, body_for(path, "[[say Hi]]")))).json["usage"]
    assert told["usage"]["total_tokens"] == n * one["total_tokens"]
    details = [usage["completion_tokens_details"]["reasoning_tokens"] for usage in (told["usage"], one)]  # fmt: skip
    assert details[0] == n * details[1]


@BOTH
@pytest.mark.parametrize("n", [0, 9, 128, "2", 1.5])
async def test_too_many_choices_ask_the_backend_nothing(
    server: Door, backend: Simulator, path: str, n: object
) -> None:
    reply = await server.reply(post(path, body_for(path, n=n)))
    assert reply.status == 400
    assert reply.error["param"] == "n"
    assert not backend.requests


@BOTH
async def test_whoever_speaks_is_written_and_the_indexes_tell_them_apart(path: str) -> None:
    streams = Stream(), Stream()
    async with door(Several(*streams)) as server, raw.connect(server.port) as client:
        options: JsonObject = {"stream": True, "n": 2, "stream_options": {"include_usage": True}}
        await client.send(post(path, body_for(path, **options)))
        for stream in streams:
            await stream.reached.wait()
            stream.answer()
        streams[1].send(created("b"), delta("second"))
        assert (await client.head()).status == 200
        (*_, first) = chunks(await client.piece())
        assert (first["choices"][0]["index"], said(path, first["choices"][0])) == (1, "second")
        streams[0].send(created("a"), delta("first"), COMPLETED)
        told = chunks(await client.piece())
        assert {choice["index"] for chunk in told for choice in chunk["choices"]} == {0}
        streams[1].send(delta("!"), COMPLETED)
        rest = b"".join([piece async for piece in client.pieces()])
    assert {chunk["id"] for chunk in [first, *told, *chunks(rest)]} == {first["id"]}
    *middle, last = chunks(rest)
    assert {choice["index"] for chunk in middle for choice in chunk["choices"]} == {1}
    assert middle[-1]["choices"][0]["finish_reason"] == "stop"
    assert (last["choices"], last["usage"]["total_tokens"]) == ([], 10)
    assert rest.endswith(sse.DONE)
    assert rest.count(sse.DONE) == 1


@BOTH
@ROADS
async def test_a_choice_that_fails_before_the_first_word_is_a_status_and_ends_the_others(
    path: str, streamed: bool
) -> None:
    good, bad = Stream(), Stream()
    async with door(Several(good, bad)) as server, raw.connect(server.port) as client:
        await client.send(post(path, body_for(path, stream=streamed, n=2)))
        await good.reached.wait()
        await bad.reached.wait()
        good.answer()
        bad.send(FAILED)
        (await client.reply()).refused(400, "context_length_exceeded")
        await good.closed.wait()


@BOTH
async def test_a_choice_that_the_backend_refuses_ends_the_others(path: str) -> None:
    backend = Simulator()
    async with door(backend) as server:
        prompt = "[[say Hi]] [[status context_length_exceeded_http 1]]"
        reply = await server.reply(post(path, body_for(path, prompt, n=3)))
        reply.refused(400, "context_length_exceeded")
        assert (await server.reply(get("/healthz"))).status == 200
    assert backend.open_streams == 0


@BOTH
async def test_a_choice_that_fails_later_ends_the_stream_and_the_others(path: str) -> None:
    good, bad = Stream(), Stream()
    async with door(Several(good, bad)) as server, raw.connect(server.port) as client:
        await client.send(post(path, body_for(path, stream=True, n=2)))
        await good.reached.wait()
        await bad.reached.wait()
        bad.answer()
        good.send(created("a"), delta("good"))
        assert (await client.head()).status == 200
        await client.piece()
        bad.send(created("b"), FAILED)
        rest = b"".join([piece async for piece in client.pieces()])
        await good.closed.wait()
    *_, last = chunks(rest)
    assert last["error"]["code"] == "context_length_exceeded"
    assert sse.DONE not in rest


@ROADS
@pytest.mark.parametrize("stop", [None, "#"], ids=["", "stop"])
@pytest.mark.parametrize("first", [0, 1], ids=["the first fails", "the second fails"])
async def test_of_choices_of_which_one_fails_none_is_kept(
    streamed: bool, stop: str | None, first: int
) -> None:
    streams = Stream(), Stream()
    bad, good = streams[first], streams[1 - first]
    async with door(Several(*streams)) as server:
        async with raw.connect(server.port) as client:
            body = chat(n=2, store=True, stream=streamed, **({"stop": stop} if stop else {}))
            await client.send(post(CHAT, body))
            for stream in streams:
                await stream.reached.wait()
                stream.answer()
            good.send(created("a"), delta("good"), COMPLETED)
            if streamed:
                assert (await client.head()).status == 200
                assert b'"finish_reason":"stop"' in await client.piece()
                bad.send(created("b"), delta("bad"), FAILED)
                told = b"".join([piece async for piece in client.pieces()])
                assert chunks(told)[-1]["error"]["code"] == "context_length_exceeded"
                assert sse.DONE not in told
            else:
                bad.send(created("b"), delta("bad"), FAILED)
                (await client.reply()).refused(400, "context_length_exceeded")
        assert (await server.reply(get(CHAT))).json["data"] == []


@BOTH
@ROADS
async def test_who_leaves_ends_all_runs(path: str, streamed: bool) -> None:
    waiting, left = asyncio.Semaphore(0), asyncio.Semaphore(0)

    async def sleep(seconds: float) -> None:
        waiting.release()
        try:
            await asyncio.Event().wait()
        finally:
            left.release()

    backend = Simulator(sleep=sleep)
    async with door(backend, keep_alive=3600) as server:
        async with raw.connect(server.port) as client:
            body = body_for(path, "[[silence 3600]]", n=3, stream=streamed)
            await client.send(post(path, body))
            for _ in range(3):
                await waiting.acquire()
            assert backend.open_streams == 3
            client.leave()
            for _ in range(3):
                await left.acquire()
        assert (await server.reply(get("/healthz"))).status == 200
    assert (backend.open_streams, backend.cancelled) == (0, 3)


# Stop sequences.


@BOTH
@ROADS
async def test_the_run_is_left_where_a_stop_sequence_was_said(path: str, streamed: bool) -> None:
    backend = Stream()
    async with door(backend) as server, raw.connect(server.port) as client:
        await client.send(post(path, body_for(path, stream=streamed, stop=["##", "never"])))
        await backend.reached.wait()
        backend.send(created("a"), delta("one#"))
        backend.send(delta("#two"))
        reply = await client.reply()
        await backend.closed.wait()  # and nobody told it to end
    if streamed:
        told = chunks(reply.body)
        assert "".join(said(path, chunk["choices"][0]) for chunk in told) == "one"
        assert told[-1]["choices"][0]["finish_reason"] == "stop"
        assert reply.body.endswith(sse.DONE)
        return
    (choice,) = reply.json["choices"]
    assert (said(path, choice), choice["finish_reason"]) == ("one", "stop")
    assert "usage" not in reply.json, "the run did not live to tell it"
    assert "stop" not in backend.asked


@BOTH
async def test_usage_is_told_where_no_stop_sequence_came(server: Door, path: str) -> None:
    told = (await server.reply(post(path, body_for(path, "[[say one]]", stop="#")))).json
    assert said(path, told["choices"][0]) == "one"
    assert told["usage"]["total_tokens"] > 0


async def test_a_whole_reply_with_stop_is_like_one_without(server: Door) -> None:
    body = chat("[[say one]]", service_tier="priority", reasoning_summary="auto")
    plain = (await server.reply(post(CHAT, body))).json
    stopped = (await server.reply(post(CHAT, {**body, "stop": "#"}))).json
    assert set(stopped) == set(plain)
    for name in ("object", "model", "choices", "usage"):
        assert stopped[name] == plain[name], name


@BOTH
async def test_each_choice_is_cut_at_its_own_stop(path: str) -> None:
    first, second = Stream(), Stream()
    async with door(Several(first, second)) as server, raw.connect(server.port) as client:
        await client.send(post(path, body_for(path, n=2, stop="#")))
        await first.reached.wait()
        await second.reached.wait()
        second.answer()
        first.send(created("a"), delta("one#"))
        await first.closed.wait()
        assert not second.closed.is_set()
        second.send(created("b"), delta("two"), COMPLETED)
        told = (await client.reply()).json
    assert [said(path, choice) for choice in told["choices"]] == ["one", "two"]
    assert "usage" not in told


async def test_a_call_is_not_cut() -> None:
    tool = {"type": "function", "function": {"name": "f", "parameters": {"type": "object"}}}
    async with door(Simulator()) as server:
        prompt = '[[tool f {"a": "one#two"}]]'
        told = (await server.reply(post(CHAT, chat(prompt, tools=[tool], stop="#")))).json
    (choice,) = told["choices"]
    (call,) = choice["message"]["tool_calls"]
    assert json.loads(call["function"]["arguments"]) == {"a": "one#two"}
    assert choice["finish_reason"] == "tool_calls"


# Reasoning, which chat has no field for.


@pytest.mark.parametrize("more", [{}, {"stream": True}, {"stop": "#"}, {"n": 2}], ids=str)
async def test_reasoning_stands_before_its_call_again_on_the_next_turn(
    more: dict[str, Any],
) -> None:
    backend = Simulator()
    tool = {"type": "function", "function": {"name": "f", "parameters": {"type": "object"}}}
    async with door(backend) as server:
        first = await server.reply(post(CHAT, chat("[[tool f {}]]", tools=[tool], **more)))
        if "stream" in more:
            deltas = [chunk["choices"][0]["delta"] for chunk in chunks(first.body)]
            (call, *_) = [call for d in deltas for call in d.get("tool_calls", ())]
        else:
            (call,) = first.json["choices"][0]["message"]["tool_calls"]
        spoken = {
            "role": "assistant",
            "tool_calls": [{**call, "function": {"name": "f", "arguments": "{}"}}],
        }
        output = {"role": "tool", "tool_call_id": call["id"], "content": "done"}
        turn = chat("[[tool f {}]]", tools=[tool])
        turn["messages"] += [spoken, output]
        assert (await server.reply(post(CHAT, turn))).status == 200
        # Another model could not read it.
        other = {**turn, "model": "gpt-6-astra"}
        assert (await server.reply(post(CHAT, other))).status == 200
    *_, second, third = (json.loads(request.body)["input"] for request in backend.requests)
    kinds = [item["type"] for item in second]
    assert kinds == ["message", "reasoning", "function_call", "function_call_output"]
    assert second[1]["encrypted_content"]
    assert second[2]["call_id"] == call["id"]
    assert [item["type"] for item in third] == ["message", "function_call", "function_call_output"]
