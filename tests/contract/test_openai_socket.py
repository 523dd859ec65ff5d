"""The official Python client over a WebSocket, `client.responses.connect()`: sync and async."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any, cast

import openai
import pytest
from openai.types.responses import FunctionToolParam
from tests.grammar import assert_official
from tests.http_server.doors import MODEL, Door, door

from codexapi_engine.simulator import Simulator

TOOL: FunctionToolParam = {
    "type": "function", "name": "get_weather", "strict": False,
    "parameters": {"type": "object", "properties": {"location": {"type": "string"}}},
}  # fmt: skip


@asynccontextmanager
async def connected() -> AsyncIterator[tuple[Door, Any]]:
    async with door(Simulator(), api_key="right") as server:
        url = f"http://127.0.0.1:{server.port}/v1"
        async with openai.AsyncOpenAI(base_url=url, api_key="right", max_retries=0) as client:
            async with client.responses.connect() as connection:
                yield server, connection


async def ask(connection: Any, **create: Any) -> list[Any]:
    """The events of one response."""
    await connection.response.create(model=MODEL, **create)
    events = []
    async for event in connection:
        events.append(event)
        if event.type in ("response.completed", "response.failed", "error"):
            break
    return events


async def test_async_turns_go_on_with_what_the_connection_remembers() -> None:
    async with connected() as (_, connection):
        first = await ask(connection, input="[[call get_weather {}]]", tools=[TOOL], store=False)
        assert_official([event.to_dict() for event in first])
        response = first[-1].response
        (call,) = [item for item in response.output if item.type == "function_call"]
        output = {"type": "function_call_output", "call_id": call.call_id, "output": "20 degrees"}
        second = await ask(
            connection, input=[output], tools=[TOOL], store=False, previous_response_id=response.id
        )
        assert "20 degrees" in second[-1].response.output_text
        failed = await ask(connection, input="x", store=False, previous_response_id=response.id)
        assert (failed[-1].type, failed[-1].status) == ("error", 400)
        assert failed[-1].error.code == "previous_response_not_found"


async def test_async_lanes_are_told_apart_by_their_stream_id() -> None:
    async with connected() as (_, connection):
        for name in ("left", "right"):
            await connection.response.create(
                model=MODEL, input=f"[[say {name}]]", stream_id=name, store=False
            )
        texts: dict[str, str] = {}
        async for event in connection:
            if event.type == "response.completed":
                texts[event.stream_id] = event.response.output_text
                if len(texts) == 2:
                    break
        assert texts == {"left": "left", "right": "right"}


async def test_a_wrong_key_is_a_401_of_http() -> None:
    async with door(Simulator(), api_key="right") as server:
        url = f"http://127.0.0.1:{server.port}/v1"
        async with openai.AsyncOpenAI(base_url=url, api_key="wrong", max_retries=0) as client:
            with pytest.raises(Exception, match="401"):
                await client.responses.connect().enter()


@pytest.mark.filterwarnings("ignore:connect:DeprecationWarning")  # the client's use of websockets
async def test_the_sync_client_has_its_turns_too() -> None:
    def turns(port: int) -> list[str]:
        texts = []
        url = f"http://127.0.0.1:{port}/v1"
        with openai.OpenAI(base_url=url, api_key="none", max_retries=0) as client:
            with client.responses.connect() as connection:
                previous: str | None = None
                for prompt in ("[[say one]]", "[[say two]]"):
                    connection.response.create(
                        model=MODEL,
                        input=prompt,
                        store=False,
                        **cast(Any, {"previous_response_id": previous} if previous else {}),
                    )
                    for event in connection:
                        if event.type == "response.completed":
                            texts.append(event.response.output_text)
                            previous = event.response.id
                            break
        return texts

    async with door(Simulator()) as server:
        assert await asyncio.to_thread(turns, server.port) == ["one", "two"]
