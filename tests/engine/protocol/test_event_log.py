"""A stream that is kept while it passes, and told again."""

from __future__ import annotations

import pytest
from tests.wire_files import events, wire

from codexapi_engine.bounds import MAX_EVENT_BYTES
from codexapi_engine.errors import CodexError, StreamInterrupted
from codexapi_engine.protocol import responses, sse
from codexapi_engine.protocol.event_log import EventLog, RecordingTranslator, Replay, events_of
from codexapi_engine.protocol.sse import Event

ALL = responses.ResponseStream


def taped(name: str) -> tuple[bytes, EventLog]:
    """What a client gets of a wire, and the tape of it."""
    tape = EventLog()
    recorded = RecordingTranslator(ALL({}, created=1), tape)
    out = [piece for event in events(wire(name)) for piece in recorded.feed(event)]
    out += recorded.close()
    assert recorded.finished
    return b"".join(out), tape


def again(told: list[Event], after: int = -1) -> bytes:
    translator = Replay(after=after)
    out = [piece for event in told for piece in translator.feed(event)]
    return b"".join([*out, *translator.close()])


@pytest.mark.parametrize("name", ["text", "interleaved_tool_calls", "lean", "failed_midway"])
def test_a_stream_that_is_told_again_is_the_same(name: str) -> None:
    out, tape = taped(name)
    assert again(tape.events) == out


def test_what_a_client_has_heard_is_left_out() -> None:
    _, tape = taped("text")
    numbers = [
        event.json["sequence_number"]
        for event in events_of(again(tape.events, after=3))
        if event.json
    ]
    assert numbers[0] == 4
    assert numbers == list(range(4, 4 + len(numbers)))


def test_events_without_numbers_are_counted() -> None:
    told = events_of(b'data: {"type":"a"}\n\ndata: {"type":"b"}\n\n')
    assert again(told, after=0) == b'data: {"type":"b"}\n\n'


def test_nothing_follows_the_end() -> None:
    translator = Replay()
    assert list(translator.feed(Event(b"data: [DONE]"))) == [sse.DONE]
    assert translator.finished
    assert list(translator.feed(Event(b'data: {"type":"a"}'))) == []


def test_an_error_of_ours_is_told_in_both_shapes_and_taped() -> None:
    for translator in (Replay(), RecordingTranslator(ALL({}, created=1), EventLog())):
        (event,) = events_of(b"".join(translator.fail(CodexError("no", code="c"))))
        assert event.type == event.json["type"] == "error"
        assert event.json["message"] == event.json["error"]["message"] == "no"
        assert event.json["code"] == event.json["error"]["code"] == "c"
        assert translator.finished
    tape = EventLog()
    RecordingTranslator(ALL({}, created=1), tape).fail(CodexError("no"))
    assert len(tape.events) == 1


@pytest.mark.parametrize("after", [-1, 3])
def test_an_error_of_ours_has_the_number_that_comes_next(after: int) -> None:
    _, tape = taped("text")
    translator = Replay(after=after)
    told = [piece for event in tape.events[:6] for piece in translator.feed(event)]
    told += translator.fail(CodexError("no"))
    numbers = [event.json["sequence_number"] for event in events_of(b"".join(told)) if event.json]
    assert numbers == list(range(after + 1, 7))


@pytest.mark.parametrize("after", [-1, 3])
def test_an_error_without_anything_before_it_has_a_number_too(after: int) -> None:
    (event,) = events_of(b"".join(Replay(after=after).fail(CodexError("no"))))
    assert event.json["sequence_number"] == after + 1


def test_a_broken_stream_stays_one_while_it_is_taped() -> None:
    recorded = RecordingTranslator(ALL({}, created=1), EventLog())
    with pytest.raises(StreamInterrupted):
        recorded.close()
    assert not recorded.finished


def test_a_tape_that_is_too_long_is_empty() -> None:
    tape = EventLog(limit=10)
    tape.add([b"12345", b"12345"])
    assert not tape.overflow
    tape.add([b"1"])
    assert tape.overflow
    tape.add([])
    assert tape.pieces == []
    assert tape.events == []


def test_taping_parses_nothing() -> None:
    event = Event(b'event: response.metadata\ndata: {"delta": not JSON}')
    (piece,) = RecordingTranslator(ALL({}, created=1), EventLog()).feed(event)
    assert piece == event.encode()


def test_what_is_no_tape_tells_nothing() -> None:
    assert events_of(b"") == []
    assert events_of(b"x" * (MAX_EVENT_BYTES + 1)) == []
