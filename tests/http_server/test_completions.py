"""The legacy Completions dialect, with the official client and with bytes."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from typing import Any

import openai
import pytest
import pytest_asyncio
from tests.http_server.doors import MODEL, Door, door
from tests.http_server.raw import JsonObject, post
from tests.wire_files import events

from codexapi_engine.protocol import sse
from codexapi_engine.simulator import Simulator

pytestmark = [pytest.mark.asyncio(loop_scope="module"), pytest.mark.timeout(60)]

PATH = "/v1/completions"


@pytest_asyncio.fixture(loop_scope="module")
async def client(server: Door) -> AsyncIterator[openai.AsyncOpenAI]:
    url = f"http://127.0.0.1:{server.port}/v1"
    async with openai.AsyncOpenAI(base_url=url, api_key="none", max_retries=0) as opened:
        yield opened


def asked(backend: Simulator) -> list[JsonObject]:
    """The bodies that reached the backend."""
    return [json.loads(r.body) for r in backend.requests if r.path == "/responses"]


def prompts(backend: Simulator) -> list[str]:
    return [body["input"][0]["content"][0]["text"] for body in asked(backend)]


async def test_a_prompt_is_completed(client: openai.AsyncOpenAI, backend: Simulator) -> None:
    reply = await client.completions.create(model=MODEL, prompt="[[say  upon a time.]]")
    assert reply.object == "text_completion"
    assert reply.id.startswith("cmpl-")
    assert reply.model == MODEL
    (choice,) = reply.choices
    assert (choice.index, choice.finish_reason, choice.logprobs) == (0, "stop", None)
    assert "upon a time." in choice.text
    assert reply.usage is not None
    assert reply.usage.total_tokens == reply.usage.prompt_tokens + reply.usage.completion_tokens
    assert "continuation" in asked(backend)[0]["instructions"]


async def test_each_prompt_has_its_choices_side_by_side(
    client: openai.AsyncOpenAI, backend: Simulator
) -> None:
    two = ["[[say one]]", "[[say two]]"]
    single = await client.completions.create(model=MODEL, prompt=two[0])
    reply = await client.completions.create(model=MODEL, prompt=two, n=2)
    assert [choice.index for choice in reply.choices] == [0, 1, 2, 3]
    assert [choice.text for choice in reply.choices] == ["one", "one", "two", "two"]
    assert sorted(prompts(backend)[1:]) == sorted(two * 2)
    assert reply.usage is not None
    assert single.usage is not None
    assert reply.usage.total_tokens == 4 * single.usage.total_tokens


async def test_a_stream_has_the_choices_of_all_prompts(client: openai.AsyncOpenAI) -> None:
    texts, reasons, ids = ["", "", "", ""], {}, set()
    stream = await client.completions.create(
        model=MODEL,
        prompt=["[[say one two three]]", "[[say four five six]]"],
        n=2,
        echo=True,
        stream=True,
        stream_options={"include_usage": True},
    )
    usage = None
    async for chunk in stream:
        ids.add(chunk.id)
        assert usage is None, "usage comes last"
        usage = chunk.usage
        for choice in chunk.choices:
            texts[choice.index] += choice.text
            if choice.finish_reason:
                assert choice.index not in reasons
                reasons[choice.index] = choice.finish_reason
    assert reasons == dict.fromkeys(range(4), "stop")
    first, second = "[[say one two three]]one two three", "[[say four five six]]four five six"
    assert texts == [first, first, second, second]
    assert len(ids) == 1
    assert usage is not None
    assert usage.total_tokens > 0


@pytest.mark.parametrize("streamed", [True, False], ids=["stream", "whole"])
async def test_the_prompt_is_echoed_before_the_text(
    client: openai.AsyncOpenAI, streamed: bool
) -> None:
    body: JsonObject = {"model": MODEL, "prompt": "[[say and so on]]", "echo": True}
    if streamed:
        stream = await client.completions.create(**body, stream=True)
        text = "".join([choice.text async for chunk in stream for choice in chunk.choices])
    else:
        text = (await client.completions.create(**body)).choices[0].text
    assert text == "[[say and so on]]and so on"


async def test_a_suffix_makes_a_gap_to_fill(client: openai.AsyncOpenAI, backend: Simulator) -> None:
    reply = await client.completions.create(
        model=MODEL, prompt="def add(a, b):", suffix="# [[say     return a + b]]"
    )
    assert "return a + b" in reply.choices[0].text
    (body,) = asked(backend)
    (sent,) = prompts(backend)
    assert sent.index("def add") < sent.index("# [[say")
    assert "gap" in body["instructions"]


@pytest.mark.parametrize("streamed", [True, False], ids=["stream", "whole"])
async def test_text_ends_before_a_stop_sequence(client: openai.AsyncOpenAI, streamed: bool) -> None:
    body: JsonObject = {"model": MODEL, "prompt": "[[say one two three]]", "stop": [" th", "x"]}
    if streamed:
        stream = await client.completions.create(**body, stream=True)
        choices = [choice async for chunk in stream for choice in chunk.choices]
        assert "".join(choice.text for choice in choices) == "one two"
        assert choices[-1].finish_reason == "stop"
        return
    reply = await client.completions.create(**body)
    assert (reply.choices[0].text, reply.choices[0].finish_reason) == ("one two", "stop")


async def test_usage_is_told_where_a_stop_sequence_did_not_come(server: Door) -> None:
    body = {"model": MODEL, "prompt": "[[say one]]", "stop": "#"}
    told = (await server.reply(post(PATH, body))).json
    assert told["choices"][0]["text"] == "one"
    assert told["usage"]["total_tokens"] > 0


async def test_several_texts_are_each_cut_at_their_own_stop(server: Door) -> None:
    body = {"model": MODEL, "prompt": ["[[say one#two]]", "[[say three]]"], "stop": "#"}
    told = (await server.reply(post(PATH, body))).json
    assert [choice["text"] for choice in told["choices"]] == ["one", "three"]
    assert [choice["index"] for choice in told["choices"]] == [0, 1]


@pytest.mark.parametrize(
    ("more", "param"),
    [
        ({"best_of": 2}, "best_of"),
        ({"logprobs": 3}, "logprobs"),
        ({"logit_bias": {"50256": -100}}, "logit_bias"),
        ({"prompt": [1, 2, 3]}, "prompt"),
        ({"prompt": [[1, 2], [3]]}, "prompt"),
        ({"n": 9}, "n"),
        ({"prompt": ["a"] * 3, "n": 3}, "prompt"),
        ({"stream_options": {"include_usage": True}}, "stream_options"),
        ({"model": None}, "model"),
    ],
)
async def test_what_cannot_be_done_is_refused_and_named(
    server: Door, backend: Simulator, more: JsonObject, param: str
) -> None:
    reply = await server.reply(post(PATH, {"model": MODEL, "prompt": "x", **more}))
    assert reply.status == 400
    assert reply.error["param"] == param
    assert not backend.requests


async def test_what_is_ignored_is_named(server: Door, backend: Simulator) -> None:
    body = {"model": MODEL, "prompt": "x", "max_tokens": 16, "temperature": 0, "best_of": 1}
    reply = await server.reply(post(PATH, body))
    assert reply.headers["x-codexapi-ignored"] == "max_tokens,temperature"
    assert not {"max_tokens", "max_output_tokens", "temperature"} & set(asked(backend)[0])


async def test_strict_refuses_what_would_be_ignored() -> None:
    backend = Simulator()
    async with door(backend, strict=True) as server:
        body = {"model": MODEL, "prompt": "x", "max_tokens": 16}
        reply = await server.reply(post(PATH, body))
        assert reply.refused(400, "unsupported_parameter")["param"] == "max_tokens"
    assert not backend.requests


@pytest.mark.parametrize(
    ("script", "status", "code"),
    [
        ("status usage_limit_reached", 429, "usage_limit_reached"),
        ("fail_first context_length_exceeded", 400, "context_length_exceeded"),
        ("empty", 502, "upstream_disconnected"),
    ],
)
@pytest.mark.parametrize("more", [{}, {"stream": True}, {"stop": "#"}], ids=str)
async def test_a_run_that_fails_at_once_is_a_status(
    server: Door, script: str, status: int, code: str, more: dict[str, Any]
) -> None:
    body = {"model": MODEL, "prompt": f"[[{script}]]", **more}
    (await server.reply(post(PATH, body))).refused(status, code)


async def test_a_run_that_breaks_later_is_told_in_the_stream(server: Door) -> None:
    body = {"model": MODEL, "prompt": "[[say one two three]] [[drop 1]]", "stream": True}
    reply = await server.reply(post(PATH, body))
    assert reply.status == 200
    assert sse.DONE not in reply.body
    *_, last = events(reply.body)
    assert last.json["error"]["code"] == "upstream_disconnected"
    assert last.json["choices"][0]["finish_reason"] is None
