"""Streams of which the backend leaves something out, as the official client's accumulator reads
them: it waits for an item before its parts, and for a part before its deltas."""

from __future__ import annotations

from collections import defaultdict
from typing import Any

import openai
import pytest
from openai.types.responses import FunctionToolParam
from tests.grammar import assert_official
from tests.http_server.doors import Stream, door
from tests.wire_files import NAMES, NOT_OF_THE_CLIENT, events, wire

from codexapi_engine.protocol import responses
from codexapi_engine.simulator import Simulator

MODEL = "gpt-6.1-sol"
TOOL: FunctionToolParam = {
    "type": "function",
    "name": "get_weather",
    "parameters": {"type": "object", "properties": {"location": {"type": "string"}}},
    "strict": False,
}
DELTAS = {
    "response.output_text.delta": "message",
    "response.function_call_arguments.delta": "function_call",
    "response.custom_tool_call_input.delta": "custom_tool_call",
    "response.reasoning_summary_text.delta": "reasoning",
}
"""The delta events, and the type of the item that each is of."""

Texts = dict[tuple[str, int], str]

ENDED_WELL = [
    name
    for name in NAMES
    if events(wire(name))[-1].type in ("response.completed", "response.done")
    and name not in NOT_OF_THE_CLIENT
]


async def read(backend: Any, **asked: Any) -> tuple[list[Any], Any]:
    """The events of one stream, and the response that the client makes of them."""
    async with door(backend) as server:
        url = f"http://127.0.0.1:{server.port}/v1"
        async with openai.AsyncOpenAI(base_url=url, api_key="none", max_retries=0) as client:
            async with client.responses.stream(model=MODEL, **asked) as stream:
                found = [event async for event in stream]
                return found, await stream.get_final_response()


def streamed(found: list[Any]) -> Texts:
    """What the deltas say, by their item."""
    texts: Texts = defaultdict(str)
    for event in found:
        if event.type in DELTAS:
            texts[DELTAS[event.type], event.output_index] += event.delta
    return texts


def whole(output: list[Any]) -> Texts:
    """The same, of the items."""
    texts: Texts = {}
    for index, item in enumerate(output):
        if item.type == "message":
            text = "".join(getattr(part, "text", "") for part in item.content)
        elif item.type == "reasoning":
            text = "".join(part.text for part in item.summary)
        else:
            text = str(getattr(item, "arguments", "") or getattr(item, "input", ""))
        texts[item.type, index] = text
    return texts


def some(texts: Texts) -> Texts:
    return {place: text for place, text in texts.items() if text}


@pytest.mark.parametrize("name", ENDED_WELL)
async def test_a_wire_is_streamed_in_full(name: str) -> None:
    backend = Stream()
    backend.send_bytes(wire(name))
    found, final = await read(backend, input="hi")
    assert some(streamed(found)) == some(whole(final.output))
    assembler = responses.Assembler()
    for event in events(wire(name)):
        assembler.feed(event)
    assert final.output_text == "".join(
        part.get("text", "")
        for item in assembler.finish()["output"]
        if item["type"] == "message"
        for part in item["content"]
    )


@pytest.mark.parametrize(
    ("script", "kind"),
    [
        ("[[say Hello there]]", "message"),
        ('[[tool get_weather {"location": "Oslo"}]]', "function_call"),
        ("[[reason]]", "reasoning"),
    ],
)
async def test_items_that_come_whole_are_streamed(script: str, kind: str) -> None:
    found, final = await read(Simulator(), input=f"[[no_deltas]] {script}", tools=[TOOL])
    assert kind in [name for name, _ in some(streamed(found))]
    assert some(streamed(found)) == some(whole(final.output))


async def test_the_raw_events_are_in_order() -> None:
    async with door(Simulator()) as server:
        url = f"http://127.0.0.1:{server.port}/v1"
        async with openai.AsyncOpenAI(base_url=url, api_key="none", max_retries=0) as client:
            asked = "[[no_deltas]] [[reason]] [[say Hello there]]"
            stream = await client.responses.create(model=MODEL, input=asked, stream=True)
            told = [event.to_dict(mode="json") async for event in stream]
    assert [item["type"] for item in assert_official(told)][-1] == "message"
