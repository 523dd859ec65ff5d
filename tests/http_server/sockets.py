"""Clients of the WebSocket: the library's own, and one that writes bytes."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
from tests.http_server.raw import JsonObject, Reply
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed

from codexapi_engine.protocol import json, sse

MODEL = "gpt-6.1-sol"
ENDS = frozenset({"response.completed", "response.incomplete", "response.failed", "error"})


class Client:
    """A WebSocket to `/v1/responses`."""

    def __init__(self, connection: ClientConnection) -> None:
        self.connection = connection

    async def send(self, *events: JsonObject) -> None:
        for event in events:
            await self.connection.send(json.dumps(event).decode())

    async def event(self) -> JsonObject:
        """The next event."""
        message = await self.connection.recv()
        assert isinstance(message, str), "binary"
        event: JsonObject = json.loads(message)
        return event

    async def rest(self) -> list[JsonObject]:
        """The events up to the next that ends a response."""
        events = [await self.event()]
        while events[-1]["type"] not in ENDS:
            events.append(await self.event())
        return events

    async def close_code(self) -> int:
        """With which the server closes, when it says nothing else before."""
        with pytest.raises(ConnectionClosed) as closed:
            await self.connection.recv()
        assert closed.value.rcvd is not None, "cut"
        return closed.value.rcvd.code

    async def ask(self, prompt: Any = "hi", **more: Any) -> list[JsonObject]:
        """The events of one response."""
        await self.send(create(prompt, **more))
        return await self.rest()

    async def refusal(self, event: JsonObject) -> JsonObject:
        """The error that an event is answered with."""
        await self.send(event)
        (answer,) = await self.rest()
        assert answer["type"] == "error", answer
        return answer


@asynccontextmanager
async def client(port: int, path: str = "/v1/responses", **options: Any) -> AsyncIterator[Client]:
    url = f"ws://127.0.0.1:{port}{path}"
    options = {"ping_interval": None, "max_size": None, "compression": None, **options}
    async with connect(url, **options) as connection:
        yield Client(connection)


def create(prompt: Any = "hi", **more: Any) -> JsonObject:
    return {"type": "response.create", "model": MODEL, "input": prompt, **more}


def over_http(events: list[JsonObject]) -> Reply:
    """The answer that HTTP would have given."""
    first = events[0]
    if first["type"] == "error" and "sequence_number" not in first:
        error = dict(first["error"])
        headers = {"content-type": "application/json", **error.pop("headers", {})}
        return Reply(first["status"], headers, json.dumps({"error": error}))
    body = b"".join(sse.encode(event, event["type"]) for event in events)
    well = events[-1]["type"] in ("response.completed", "response.incomplete")
    headers = {"content-type": "text/event-stream"}
    return Reply(200, headers, body + (sse.DONE if well else b""))


def text_of(events: list[JsonObject]) -> str:
    assert events[-1]["type"] == "response.completed", events[-1]
    return "".join(
        part["text"]
        for item in events[-1]["response"]["output"]
        if item["type"] == "message"
        for part in item["content"]
    )


def id_of(events: list[JsonObject]) -> str:
    name: str = events[-1]["response"]["id"]
    return name
