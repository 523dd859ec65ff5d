"""Requests to a simulated backend without a socket, and their answers."""

from __future__ import annotations

import asyncio
import base64
import json
import struct
import zlib
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any

from tests.clock import Clock
from tests.logins import accepted_headers

from codexapi_engine.protocol.sse import Decoder, Event
from codexapi_engine.simulator import Simulator
from codexapi_engine.simulator.png import png

JsonObject = dict[str, Any]

CLIENT = "app_EMoamEEZ73f0CkXaXp7hrann"

NOW = 1_795_332_000.0
PIXEL = "data:image/png;base64," + base64.b64encode(png(4, 3, "dot")).decode()
LITE = {"x-openai-internal-codex-responses-lite": "true"}
RESPONSES = "/backend-api/codex/responses"
WEATHER = {
    "type": "function",
    "name": "get_weather",
    "description": "The weather of a place.",
    "strict": False,
    "parameters": {
        "type": "object",
        "properties": {"location": {"type": "string"}, "unit": {"enum": ["C", "F"]}},
        "required": ["location"],
    },
}
CALL = {"type": "function_call", "call_id": "call_1", "name": "f", "arguments": "{}"}
OUTPUT = {"type": "function_call_output", "call_id": "call_1", "output": "done"}
LITE_BODY: JsonObject = {"parallel_tool_calls": False, "reasoning": {"context": "all_turns"}}
SEARCHES = "/backend-api/codex/alpha/search"
PATCH = {"type": "custom", "name": "apply_patch", "description": "Edits files."}


class Bed:
    """A sleep that nobody wakes from, and what tells of it."""

    def __init__(self) -> None:
        self.slept: list[float] = []
        self.asleep = asyncio.Event()
        self.left = asyncio.Event()

    async def __call__(self, seconds: float) -> None:
        self.slept.append(seconds)
        self.asleep.set()
        try:
            await asyncio.Event().wait()
        finally:
            self.left.set()


@dataclass
class Answer:
    status: int
    headers: Mapping[str, str]
    chunks: list[bytes]
    broken: bool = False

    @property
    def body(self) -> bytes:
        return b"".join(self.chunks)

    @property
    def json(self) -> Any:
        return json.loads(self.body)

    @property
    def events(self) -> list[Event]:
        decoder = Decoder()
        return [*decoder.feed(self.body), *decoder.flush()]

    @property
    def types(self) -> list[str]:
        return [event.type for event in self.events]

    @property
    def items(self) -> list[JsonObject]:
        done = "response.output_item.done"
        return [event.json["item"] for event in self.events if event.type == done]

    @property
    def text(self) -> str:
        """The text of the last message."""
        part = [item for item in self.items if item["type"] == "message"][-1]["content"][0]
        return str(part.get("text", part.get("refusal")))

    @property
    def calls(self) -> list[tuple[str, Any]]:
        found = [item for item in self.items if item["type"].endswith("_call")]
        return [
            (item["name"], json.loads(item["arguments"]) if "arguments" in item else item["input"])
            for item in found
        ]

    def __contains__(self, kind: str) -> bool:
        return kind in self.types


def signed(simulator: Simulator, **more: str) -> dict[str, str]:
    return {
        **accepted_headers(simulator.login()),
        "content-type": "application/json",
        **{name.replace("_", "-"): value for name, value in more.items()},
    }


def body(prompt: str = "Say hello", /, **changes: Any) -> JsonObject:
    """A request that the backend takes, with changes; None takes a field away."""
    whole = {
        "model": "gpt-6.1-sol",
        "instructions": "You are a test.",
        "input": [user(prompt)],
        "stream": True,
        "store": False,
        "include": ["reasoning.encrypted_content"],
        **changes,
    }
    return {name: value for name, value in whole.items() if value is not None}


def user(text: str, *parts: JsonObject) -> JsonObject:
    content = [{"type": "input_text", "text": text}, *parts]
    return {"type": "message", "role": "user", "content": content}


async def send(
    simulator: Simulator,
    method: str,
    target: str,
    sent: JsonObject | bytes = b"",
    headers: Mapping[str, str] | None = None,
) -> Answer:
    given = signed(simulator) if headers is None else headers
    data = sent if isinstance(sent, bytes) else json.dumps(sent).encode()
    status, told, chunks = await simulator.handle(method, target, given, data)
    answer = Answer(status, told, [])
    try:
        async for chunk in chunks:
            answer.chunks.append(chunk)
    except ConnectionResetError:
        answer.broken = True
    return answer


async def ask(
    prompt: str = "Say hello", /, *, by: Simulator | None = None, **changes: Any
) -> Answer:
    headers = changes.pop("headers", {})
    simulator = by or Simulator(clock=Clock(NOW))
    return await send(
        simulator, "POST", RESPONSES, body(prompt, **changes), {**signed(simulator), **headers}
    )


def detail(text: str) -> JsonObject:
    return {"detail": text}


def error(message: str, param: str | None = None, code: str | None = None) -> JsonObject:
    kind = "invalid_request_error"
    return {"error": {"message": message, "type": kind, "param": param, "code": code}}


def function(name: str = "f", **changes: Any) -> JsonObject:
    return {**WEATHER, "name": name, **changes}


def of_object(**properties: JsonObject) -> JsonObject:
    return {"type": "object", "properties": properties}


def message_of(answer: Answer) -> str:
    return str(answer.json.get("detail") or answer.json["error"]["message"])


SEARCH: JsonObject = {
    "id": "s1",
    "model": "gpt-6.1-sol",
    "input": [user("search hello")],
    "commands": {"search_query": [{"q": "hello"}], "response_length": "short"},
    "settings": {"allowed_callers": ["direct"], "external_web_access": False},
    "max_output_tokens": 10_000,
}


def call_pair(call_id: str = "call_1", name: str = "f") -> JsonObject:
    """The input with a call and its output."""
    call = {**CALL, "name": name, "call_id": call_id}
    return {"input": [user("a"), call, {**OUTPUT, "call_id": call_id}]}


async def redeem(simulator: Simulator, token: str, *, form: bool = False, **changes: str) -> Answer:
    told = {
        "client_id": CLIENT,
        "grant_type": "refresh_token",
        "refresh_token": token,
        **changes,
    }
    if form:
        data = "&".join(f"{name}={value}" for name, value in told.items()).encode()
        kind = "application/x-www-form-urlencoded"
    else:
        data, kind = json.dumps(told).encode(), "application/json"
    return await send(simulator, "POST", "/oauth/token", data, {"content-type": kind})


async def draw(
    prompt: str = "a cat", *, edit: bool = False, lenient: Collection[str] = (), **changes: Any
) -> Answer:
    sent: JsonObject = {"prompt": prompt, "model": "gpt-image-2", **changes}
    if edit:
        sent.setdefault("images", [{"image_url": PIXEL}])
    path = "/backend-api/codex/images/" + ("edits" if edit else "generations")
    return await send(Simulator(clock=Clock(NOW), lenient=lenient), "POST", path, sent)


def pixels_of(data: bytes) -> tuple[int, int, int]:
    """Width, height and bytes a pixel, after every chunk was checked."""
    assert data.startswith(b"\x89PNG\r\n\x1a\n")
    at, kinds, packed, width, height, colour = 8, [], b"", 0, 0, 0
    while at < len(data):
        (length,) = struct.unpack_from(">I", data, at)
        kind, content = data[at + 4 : at + 8], data[at + 8 : at + 8 + length]
        (crc,) = struct.unpack_from(">I", data, at + 8 + length)
        assert crc == zlib.crc32(kind + content)
        kinds.append(kind)
        if kind == b"IHDR":
            width, height, bits, colour, *rest = struct.unpack(">IIBBBBB", content)
            assert (bits, rest) == (8, [0, 0, 0])
        packed += content if kind == b"IDAT" else b""
        at += 12 + length
    assert kinds == [b"IHDR", b"IDAT", b"IEND"]
    channels = {2: 3, 6: 4}[colour]
    rows = zlib.decompress(packed)
    assert len(rows) == height * (1 + width * channels)
    assert {rows[y * (1 + width * channels)] for y in range(height)} == {0}
    return width, height, channels


def listed(version: str) -> str:
    return f"/backend-api/codex/models?client_version={version}"
