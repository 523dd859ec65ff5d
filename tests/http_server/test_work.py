"""How much is done for a stream, counted: no clock would tell on a busy machine.

What may cost something for each event is the machine's business (a copy, a search), and what may
not is counted here: JSON read or written, event objects, writes, tasks.
"""

from __future__ import annotations

import asyncio
import gc
import re
import sys
from collections import Counter
from collections.abc import AsyncGenerator, Callable, Mapping
from types import FrameType
from typing import Any, cast

import pytest
from tests.http_server.doors import Answer, chat, door, encoded, responses
from tests.http_server.raw import connect, post
from uvicorn.protocols.http.httptools_impl import RequestResponseCycle

from codexapi_engine import CodexError
from codexapi_engine.http.event_stream import OnEvents
from codexapi_engine.protocol import json, sse
from codexapi_engine.protocol.responses import ResponseStream
from codexapi_engine.protocol.responses.public import error_event
from codexapi_http import create_app
from codexapi_http.middleware.guard import Guard
from codexapi_http.pump import ClientSink, pump
from codexapi_http.websocket.frames import FrameSink

JsonObject = dict[str, Any]
TEXT = "response.output_text.delta"
ARGUMENTS = "response.function_call_arguments.delta"
CREATED = {"type": "response.created", "response": {"id": "resp_1", "created_at": 1}}
_OURS = re.compile(r"/codexapi_(?:engine|http)/")
ENDED: JsonObject = {"id": "resp_1", "status": "completed", "usage": {"output_tokens": 1}}


class Spring:
    """A backend whose stream comes in pieces, each of so many deltas."""

    def __init__(self, pieces: int, deltas: int, *, kind: str = TEXT) -> None:
        call = {"type": "function_call", "call_id": "c", "name": "f"}
        message = {"type": "message", "role": "assistant"}
        item, field = (call, "arguments") if kind == ARGUMENTS else (message, "content")
        words = "ab" * pieces * deltas
        if kind == ARGUMENTS:
            words = f'{{"text":"{words}"}}'
        whole: Any = words if kind == ARGUMENTS else [{"type": "output_text", "text": words}]
        place = {"output_index": 0}
        begun = {"type": "response.output_item.added", **place, "item": item}
        done = {"type": "response.output_item.done", **place, "item": {**item, field: whole}}
        piece = encoded(*(_delta(kind, number) for number in range(deltas)))
        before, behind = _around(kind, words)
        # Made here, for that is no work of ours.
        self.stream = [
            encoded(CREATED, begun, *before),
            *[piece] * pieces,
            encoded(*behind, done, {"type": "response.completed", "response": ENDED}),
        ]

    async def handle(
        self, method: str, target: str, headers: Mapping[str, str], body: bytes
    ) -> Answer:
        return 200, {}, _flow([b'{"models":[]}'] if "/models?" in target else self.stream)


async def _flow(pieces: list[bytes]) -> AsyncGenerator[bytes, None]:
    for piece in pieces:
        yield piece


def _around(kind: str, words: str) -> tuple[list[JsonObject], list[JsonObject]]:
    """The events before and behind the deltas of an item."""
    place = {"output_index": 0, "item_id": "x"}
    if kind == ARGUMENTS:
        ended = {"type": "response.function_call_arguments.done", **place, "arguments": words}
        return [{"type": ARGUMENTS, **place, "delta": '{"text":"'}], [
            {"type": ARGUMENTS, **place, "delta": '"}'},
            ended,
        ]
    part, place = {"type": "output_text", "annotations": []}, {**place, "content_index": 0}
    framed = [
        {"type": f"response.content_part.{verb}", **place, "part": {**part, "text": text}}
        for verb, text in (("added", ""), ("done", words))
    ]
    ended = {"type": "response.output_text.done", **place, "text": words, "logprobs": []}
    return framed[:1], [ended, framed[1]]


def _delta(kind: str, number: int) -> JsonObject:
    """With its members in the order of the recorded streams."""
    members: JsonObject = {"delta": "ab", "item_id": "x", "obfuscation": "q" * 9}
    if kind != ARGUMENTS:
        members |= {"content_index": 0, "logprobs": []}
    members |= {"output_index": 0, "sequence_number": number}
    return {"type": kind, **{name: members[name] for name in sorted(members)}}


ROADS: dict[str, tuple[str, JsonObject, str]] = {
    "responses": ("/v1/responses", responses(stream=True), TEXT),
    "responses, kept nowhere": ("/v1/responses", responses(stream=True, store=False), TEXT),
    "responses, whole": ("/v1/responses", responses(), TEXT),
    "chat": ("/v1/chat/completions", chat(stream=True), TEXT),
    "chat, calls": ("/v1/chat/completions", chat(stream=True), ARGUMENTS),
    "chat, whole": ("/v1/chat/completions", chat(), TEXT),
    "messages": ("/v1/messages", chat(stream=True, max_tokens=9), TEXT),
    "messages, calls": ("/v1/messages", chat(stream=True, max_tokens=9), ARGUMENTS),
    "messages, whole": ("/v1/messages", chat(max_tokens=9), TEXT),
    "ollama": ("/api/chat", chat(), TEXT),
    "ollama, calls": ("/api/chat", chat(), ARGUMENTS),
    "ollama, whole": ("/api/chat", chat(stream=False), TEXT),
}
SILENT = ("responses, whole", "chat, whole", "messages, whole", "ollama, whole", "ollama, calls")
"""Of a delta nothing is written: Ollama's lines have whole calls."""


async def work(
    road: str,
    pieces: int,
    deltas: int,
    monkeypatch: pytest.MonkeyPatch,
    *,
    before: int = 0,
    calls: bool = False,
) -> tuple[Counter[str], bytes]:
    """What is done for one request, and the answer. `before`: the requests that the server has
    answered by then, uncounted. `calls`: counts calls alone, since to count the rest makes some."""
    path, body, kind = ROADS[road]
    count: Counter[str] = Counter()
    out: list[bytes] = []

    async def receive() -> JsonObject:
        if not count["request"]:
            count["request"] += 1
            return {"type": "http.request", "body": json.dumps(body), "more_body": False}
        await asyncio.Event().wait()
        raise AssertionError

    async def send(message: Any) -> None:
        count["writes"] += message["type"] == "http.response.body"
        out.append(message.get("body", b""))

    async with door(Spring(pieces, deltas, kind=kind)) as server:
        with monkeypatch.context() as patch:
            if not calls:
                count_work(count, patch)
            headers = [(b"host", b"127.0.0.1"), (b"content-type", b"application/json")]
            scope = {
                "type": "http", "asgi": {"version": "3.0"}, "http_version": "1.1", "method": "POST",
                "path": path, "raw_path": path.encode(), "query_string": b"", "root_path": "",
                "scheme": "http", "headers": headers, "client": None, "server": None,
            }  # fmt: skip
            for _ in range(before):
                await server.app(scope, receive, send)
                count.clear()
                out.clear()
            if calls:
                sys.setprofile(CallCount(count))
            try:
                await server.app(scope, receive, send)
            finally:
                if calls:
                    sys.setprofile(None)
    return count, b"".join(out)


def count_work(count: Counter[str], patch: pytest.MonkeyPatch) -> None:
    for name in ("from_json", "to_json"):
        patch.setattr(json, name, counted(count, name, getattr(json, name)))
    for made in (sse.Event, sse.DeltaBatch):
        patch.setattr(made, "__init__", counted(count, "events", made.__init__))
    loop = asyncio.get_running_loop()
    patch.setattr(loop, "create_task", counted(count, "tasks", loop.create_task))


class CallCount:
    """A profile function that counts the calls of our functions, and the built-in ones in them."""

    def __init__(self, count: Counter[str]) -> None:
        self._count = count

    def __call__(self, frame: FrameType, event: str, argument: object) -> None:
        if event in ("call", "c_call") and _OURS.search(frame.f_code.co_filename):
            self._count["calls"] += 1


def counted(count: Counter[str], name: str, function: Callable[..., Any]) -> Callable[..., Any]:
    def call(*args: Any, **kwargs: Any) -> Any:
        count[name] += 1
        return function(*args, **kwargs)

    return call


@pytest.mark.parametrize("road", ROADS)
async def test_an_event_among_many_costs_nothing_that_counts(
    road: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Ten times the events in as many pieces: as much is parsed, made and written as before."""
    await work(road, 1, 20, monkeypatch)  # what is made but once
    few, _ = await work(road, 10, 20, monkeypatch)
    many, out = await work(road, 10, 200, monkeypatch)
    assert many == few
    assert out.count(b"ab") >= 10 * 200, "and it is all there"


@pytest.mark.parametrize("road", ROADS)
async def test_a_piece_of_network_read_is_one_write_and_little_else(
    road: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    await work(road, 1, 20, monkeypatch)
    few, _ = await work(road, 10, 20, monkeypatch)
    many, _ = await work(road, 110, 20, monkeypatch)
    more = {name: (many[name] - few[name]) / 100 for name in many}
    assert more["writes"] == (0 if road in SILENT else 1)
    assert more["tasks"] == 0
    assert more["events"] == 1
    assert more["from_json"] == 0
    assert more["to_json"] == 0


@pytest.mark.parametrize("road", ROADS)
async def test_an_event_alone_is_not_parsed(road: str, monkeypatch: pytest.MonkeyPatch) -> None:
    few, _ = await work(road, 10, 1, monkeypatch)
    many, _ = await work(road, 110, 1, monkeypatch)
    more = {name: (many[name] - few[name]) / 100 for name in many}
    assert more["tasks"] == 0
    assert more["writes"] == (0 if road in SILENT else 1)
    assert more["events"] == 1
    assert more["from_json"] == 0
    assert more["to_json"] == 0


SHORT = {
    "responses": (15, 6, 1790),
    "responses, whole": (9, 5, 1170),
    "chat": (13, 9, 1180),
    "chat, whole": (9, 4, 940),
    "messages": (14, 10, 1490),
    "messages, whole": (9, 4, 1090),
    "ollama": (12, 8, 1170),
    "ollama, whole": (9, 8, 1050),
}
"""Of a short request: values read of JSON, values written, and calls with Python 3.11; later ones make
a few less."""


@pytest.mark.parametrize("road", SHORT)
async def test_a_short_answer_is_little_work(road: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """The request and what is checked of it are in these numbers, and what the store keeps."""
    read, written, _ = SHORT[road]
    await work(road, 1, 20, monkeypatch)
    count, _ = await work(road, 1, 20, monkeypatch, before=1)
    assert count["from_json"] <= read
    assert count["to_json"] <= written


MARGIN = 1.1
"""For what is worth its calls. What needs more changes the figures, and says what for."""


@pytest.mark.parametrize("road", SHORT)
async def test_a_short_request_makes_few_calls(road: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of its own functions, and of what these call: whatever the libraries beneath make of it."""
    await work(road, 1, 20, monkeypatch)
    count, _ = await work(road, 1, 20, monkeypatch, before=1, calls=True)
    _, _, most = SHORT[road]
    assert most / 2 < count["calls"] <= most * MARGIN


@pytest.mark.parametrize(
    ("road", "times"), [("chat", 4), ("chat, whole", 4), ("responses, kept nowhere", 6)]
)
async def test_a_long_text_goes_to_a_thread_only_where_it_is_read(
    road: str, times: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In Chat parsed, translated, completed and written; in Responses checked, and its context looked
    up, besides. Nothing else of a request reads its text."""
    path, body, _ = ROADS[road]
    text = "a" * 600_000
    long = {**body, "input": text} if "input" in body else {**body, **chat(text)}
    count: Counter[str] = Counter()
    async with door(Spring(1, 5)) as server, connect(server.port) as client:
        loop = asyncio.get_running_loop()
        in_thread = counted(count, "threads", loop.run_in_executor)
        monkeypatch.setattr(loop, "run_in_executor", in_thread)
        await client.send(post(path, long))
        assert (await client.reply()).status == 200
    assert 0 < count["threads"] <= times


@pytest.mark.parametrize("road", ROADS)
async def test_a_request_whose_status_comes_at_once_takes_no_task(
    road: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """But for the two that only this test's surroundings ask for: one hears the client leave, since
    the server is not ours, and one reads the backend's stream to its end, since it is in process."""
    count, _ = await work(road, 1, 20, monkeypatch)
    assert count["tasks"] == 2


@pytest.mark.parametrize("path", ["/v1/responses", "/v1/chat/completions", "/v1/messages"])
async def test_an_event_alone_goes_out_without_a_turn_of_asgi(
    path: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    count: Counter[str] = Counter()
    patched = counted(count, "sends", RequestResponseCycle.send)
    monkeypatch.setattr(RequestResponseCycle, "send", patched)
    body = {**(responses if "responses" in path else chat)(stream=True), "max_tokens": 9}

    async def asked(pieces: int) -> tuple[int, int]:
        count.clear()
        async with door(Spring(pieces, 1)) as server, connect(server.port) as client:
            await client.send(post(path, body))
            await client.head()
            writes = [piece async for piece in client.pieces()]
        assert b"".join(writes).count(b"ab") >= pieces
        return count["sends"], len(writes)

    (few, writes), (many, more) = await asked(10), await asked(110)
    assert many == few
    assert more - writes == 100


@pytest.mark.parametrize("road", ROADS)
async def test_a_request_leaves_nothing_for_the_garbage_collector(road: str) -> None:
    path, body, kind = ROADS[road]
    async with door(Spring(3, 5, kind=kind)) as server, connect(server.port) as client:

        async def ask(times: int) -> None:
            for _ in range(times):
                await client.send(post(path, body))
                assert (await client.reply()).status == 200

        await ask(3)
        gc.collect()
        gc.disable()
        try:
            await ask(20)
            assert gc.collect() < 20, "less than one object a request"
        finally:
            gc.enable()


class Picture:
    """A backend's stream whose second event is large."""

    def __init__(self) -> None:
        item = {"type": "image_generation_call", "result": "iVBORw0K" * 2**18}
        done: JsonObject = {"type": "response.output_item.done", "output_index": 0, "item": item}
        ended: JsonObject = {"type": "response.completed", "response": ENDED}
        stream = encoded(CREATED, done, ended)
        self._pieces = [stream[at : at + 2**16] for at in range(0, len(stream), 2**16)]
        self._decoder = sse.Decoder()

    async def push(self, on_events: OnEvents) -> bool:
        while self._pieces:
            if (events := self._decoder.feed(self._pieces.pop(0))) and not on_events(events):
                break
        return bool(self._pieces)

    async def aclose(self) -> None:
        pass


class Writes:
    """A sink that takes one write at a time, and no more than it is allowed."""

    def __init__(self, room: int = 1000) -> None:
        self.made: list[bytes] = []
        self._room = room

    def write(self, data: bytes) -> bool:
        self.made.append(data)
        return False

    async def drain(self) -> None:
        if len(self.made) >= self._room:
            await asyncio.Event().wait()


async def test_a_client_that_reads_slowly_is_not_behind_by_a_large_event() -> None:
    sink = Writes()
    last = await pump(Picture(), ResponseStream({}, created=1), sink)
    writes = [*sink.made, last]
    assert max(map(len, writes)) <= json.PIECE + 2**16
    (*_, event) = sse.Decoder().feed(b"".join(writes).removesuffix(sse.DONE))
    assert len(event.json["response"]["output"][0]["result"]) == 2**21


async def test_a_client_that_stalls_within_a_large_event_is_sent_no_more_of_it() -> None:
    sink = Writes(room=2)
    pumping = asyncio.create_task(pump(Picture(), ResponseStream({}, created=1), sink))
    for _ in range(50):
        await asyncio.sleep(0)
    assert len(sink.made) == 2
    pumping.cancel()
    with pytest.raises(asyncio.CancelledError):
        await pumping


async def test_a_large_event_that_is_cut_short_does_not_hide_the_error() -> None:
    sent: list[Any] = []

    async def send(message: Any) -> None:
        sent.append(message)

    sink = ClientSink(send, None, [], b"")
    sink.write(b'event: response.created\ndata: {"a":')
    await sink.drain()
    await sink.fail(error_event(CodexError("the server goes down"), 1))
    told = b"".join(message.get("body", b"") for message in sent)
    half, error = sse.Decoder().feed(told)
    with pytest.raises(CodexError):
        half.json  # noqa: B018
    assert error.json["message"] == "the server goes down"
    assert sent[-1]["more_body"] is False


def test_the_door_has_no_middleware_that_would_take_a_stream_apart() -> None:
    app = create_app()
    assert app.user_middleware == []
    assert isinstance(app.build_middleware_stack(), Guard)


def test_the_events_of_a_whole_response_become_frames_without_being_read(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    made = sse.Event.__init__
    deltas = [_delta(TEXT, number) for number in range(50)]
    stream = encoded(CREATED, *deltas, {"type": "response.completed", "response": ENDED})
    sink = FrameSink(cast(Any, None), "", for_codex=False)
    count: Counter[str] = Counter()
    monkeypatch.setattr(sse.Event, "__init__", counted(count, "events", made))
    whole = sink.frames(stream + b"data: [DONE]\n\n")
    assert count["events"] == 0
    assert (whole.count(b'{"type":"response.'), whole.count(b"[DONE]")) == (52, 0)
    in_pieces = FrameSink(cast(Any, None), "", for_codex=False)
    cut = len(stream) - 300
    pieces = stream[:cut], stream[cut:], b"data: [DO", b"NE]\n\n"
    assert b"".join(map(in_pieces.frames, pieces)) == whole
    assert count["events"] > 0
