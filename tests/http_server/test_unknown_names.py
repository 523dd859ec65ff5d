"""What the backend sends and we do not know: counted by name, without work for what is known."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Mapping
from typing import Any

import pytest
from tests.http_server.doors import Door, chat, door, encoded, responses
from tests.http_server.raw import get, post
from tests.http_server.test_metrics import scraped
from tests.wire_files import wire

from codexapi_engine.bounds import MAX_UNKNOWN_NAMES
from codexapi_engine.protocol import json
from codexapi_engine.simulator import Simulator
from codexapi_engine.simulator.backend import catalogue
from codexapi_engine.unknown import OTHER_NAMES, UnknownNames, described

CHAT, RESPONSES = "/v1/chat/completions", "/v1/responses"
TEXT = "response.output_text.delta"
SECRET = "canary-of-the-backend"


class Backend(Simulator):
    """The simulated backend, but for what it answers to a question."""

    def __init__(
        self, body: bytes, status: int = 200, headers: Mapping[str, str] | None = None
    ) -> None:
        super().__init__()
        self._answer = status, headers or {}, body

    async def handle(
        self, method: str, target: str, headers: Mapping[str, str], body: bytes
    ) -> tuple[int, Mapping[str, str], AsyncGenerator[bytes, None]]:
        if method == "GET":
            return await super().handle(method, target, headers, body)
        status, fields, data = self._answer

        async def chunks() -> AsyncGenerator[bytes, None]:
            for piece in data.splitlines(keepends=True):
                yield piece

        kind = "text/event-stream" if status == 200 else "application/json"
        return status, {"content-type": kind, **fields}, chunks()


def unknown_of(server: Door) -> UnknownNames:
    found: UnknownNames = server.app.state.codex.unknown
    return found


def answer(*inserted: dict[str, Any]) -> bytes:
    """A text, with other events before its end, and another field there."""
    head, mark, end = wire("text").rpartition(b"event: response.completed")
    return head + encoded(*inserted) + mark + end.replace(b'"usage":{', b'"usage":{"x_use":1,')


async def test_names_are_counted_and_shown_by_the_metrics_and_content_is_not() -> None:
    news = {"type": "response.thought.delta", "delta": SECRET}
    item = {"type": "clairvoyance", "payload": SECRET}
    done = {"type": "response.output_item.done", "output_index": 9, "item": item}
    backend = Backend(answer(news, news, done), headers={"x-novelty": SECRET, "cf-ray": "known"})
    async with door(backend, metrics=True) as server:
        for path, body in ((CHAT, chat(stream=True)), (RESPONSES, responses(stream=True))):
            assert (await server.reply(post(path, body))).status == 200
        counts = unknown_of(server).counts
        told = await scraped(server)
    assert counts == {
        "event": {"response.thought.delta": 4},
        "field": {"usage: x_use": 2},
        "header": {"x-novelty": 2},
        "item": {"clairvoyance": 2},
    }
    assert SECRET not in str(counts)
    assert "event `response.thought.delta` 4 ×" in described(counts)
    for kind, names in counts.items():
        for name, count in names.items():
            assert told["unknown_total", frozenset({"kind": kind, "name": name}.items())] == count


@pytest.mark.parametrize(
    ("status", "body"),
    [
        (400, {"error": {"code": "wrong_moon", "message": SECRET}}),
        (200, {"type": "error", "error": {"code": "wrong_moon", "message": SECRET}}),
        (
            200,
            {
                "type": "response.failed",
                "response": {"error": {"code": "wrong_moon", "message": SECRET}},
            },
        ),
    ],
    ids=["status", "error", "failed"],
)
async def test_an_unknown_error_code_is_counted(status: int, body: dict[str, Any]) -> None:
    data = json.dumps(body) if status != 200 else encoded(body)
    async with door(Backend(data, status)) as server:
        await server.reply(post(CHAT, chat()))
        assert unknown_of(server).counts["error"] == {"wrong_moon": 1}


async def test_an_unknown_field_of_the_model_list_is_counted() -> None:
    models = [{**model, "mood": SECRET} for model in catalogue()]
    async with door(Simulator(models=models)) as server:
        await server.reply(get("/v1/models"))
        assert unknown_of(server).counts == {"field": {"model: mood": 1}}


async def test_a_known_error_code_is_not() -> None:
    async with door(Simulator()) as server:
        for name in ("usage_limit_reached", "server_error", "unauthorized"):
            await server.reply(post(CHAT, chat(f"[[status {name}]]")))
        await server.reply(post(CHAT, chat("[[fail server_is_overloaded]]")))
        assert unknown_of(server).counts == {}


async def test_what_is_known_is_looked_at_once_whatever_its_number() -> None:
    async with door(Simulator()) as server:
        unknown, looks = unknown_of(server), []
        for prompt in ("hi", "hi", f"[[say {'fox ' * 500}]]"):
            before = unknown.looks
            reply = await server.reply(post(CHAT, chat(prompt, stream=True)))
            assert reply.status == 200
            looks.append(unknown.looks - before)
        assert unknown.counts == {}
        assert TEXT in unknown.settled
    assert looks[1:] == [3, 3]  # two items that are done, and the end


async def test_names_are_bounded_and_cleaned() -> None:
    names = [f"response.new_{chr(97 + n // 26)}{chr(97 + n % 26)}" for n in range(100)]
    odd = [{"type": f"\x1b[31m{SECRET} {n}"} for n in range(3)]
    async with door(Backend(answer(*odd, *({"type": name} for name in names)))) as server:
        await server.reply(post(CHAT, chat()))
        counts = unknown_of(server).counts["event"]
    assert len(counts) == MAX_UNKNOWN_NAMES + 1
    assert counts[OTHER_NAMES] == 100 + 1 - MAX_UNKNOWN_NAMES
    assert "\x1b" not in "".join(counts)
    assert SECRET not in "".join(counts)
