"""Responses replies: passed on, and what of each item is shown."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from openai.types.responses import Response, ResponseStreamEvent
from pydantic import TypeAdapter
from tests.engine.protocol.response_events import (
    COMPLETE,
    ENDED_WELL,
    UNOFFICIAL,
    done,
    folded,
    step,
)
from tests.wire_files import events, translated, wire

from codexapi_engine.errors import CodexError, StreamInterrupted, TimedOut
from codexapi_engine.protocol import JsonObject, responses, sse
from codexapi_engine.protocol.sse import Event

_OFFICIAL_EVENT: TypeAdapter[Any] = TypeAdapter(ResponseStreamEvent)
ENCRYPTED: JsonObject = {"include": ["reasoning.encrypted_content"]}


def passed(name: str, asked: JsonObject | None = None, **more: Any) -> list[Event]:
    out, error = translated(
        events(wire(name)), responses.ResponseStream(asked or {}, created=1, **more)
    )
    assert error is None
    return events(out)


PLACE: JsonObject = {"item_id": "msg_0000", "output_index": 0, "content_index": 0}


def text_delta(text: str) -> Event:
    return step("response.output_text.delta", **PLACE, delta=text)


def written(deltas: list[Event]) -> str:
    return "".join(json.loads(event.data)["delta"] for event in deltas)


def said(stream: responses.ResponseStream, *given: Event) -> list[Event]:
    return events(b"".join(piece for event in given for piece in stream.feed(event)))


# Passed on


@pytest.mark.parametrize("name", [name for name in ENDED_WELL if name not in UNOFFICIAL])
def test_the_official_client_takes_every_event(name: str) -> None:
    for event in passed(name)[:-1]:
        _OFFICIAL_EVENT.validate_json(json.dumps(event.json))


@pytest.mark.parametrize("name", ENDED_WELL)
def test_lifecycle_events_are_complete(name: str) -> None:
    stream = passed(name, ENCRYPTED)
    told = [event.json["response"] for event in stream if "response" in event.json]
    assert all(set(response) >= COMPLETE for response in told)
    assert len({response["id"] for response in told}) == 1
    assert told[-1]["output"] == responses.from_response(folded(name), {}, 1)["output"]
    assert told[0]["output"] == []


def test_codex_events_are_for_codex_clients() -> None:
    for_codex = [event.type for event in passed("codex_rate_limits_and_keepalive", verbatim=True)]
    public = [event.type for event in passed("codex_rate_limits_and_keepalive")]
    gone = [kind for kind in for_codex if kind.startswith("codex.") or kind == "keepalive"]
    assert len(gone) == 4
    assert public == [kind for kind in for_codex if kind not in gone]


def test_numbers_close_up_after_what_was_dropped() -> None:
    numbers = [
        event.json.get("sequence_number")
        for event in passed("codex_rate_limits_and_keepalive")[:-1]
    ]
    assert numbers == list(range(len(numbers)))
    whole = passed("codex_rate_limits_and_keepalive", verbatim=True)
    assert [event.raw for event in whole[3:-2]] == [
        event.raw for event in events(wire("codex_rate_limits_and_keepalive"))[3:-1]
    ]


def test_obfuscation_goes_when_it_is_not_wanted() -> None:
    wanted, plain = (
        {"stream_options": {"include_obfuscation": True}},
        {"stream_options": {"include_obfuscation": False}},
    )
    assert any("obfuscation" in event.json for event in passed("text", wanted))
    assert any("obfuscation" in event.json for event in passed("text", {"stream_options": None}))
    stripped = passed("text", plain)
    assert not any("obfuscation" in event.json for event in stripped)
    assert len(stripped) == len(passed("text"))


def test_the_backends_done_is_not_ours() -> None:
    stream = events(wire("text"))
    translator = responses.ResponseStream({}, created=1)
    assert list(translator.feed(Event(b"data: [DONE]"))) == []
    out, _ = translated([*stream, Event(b"data: [DONE]")], translator)
    assert out.count(sse.DONE) == 1


@pytest.mark.parametrize("name", ["failed_server_error", "failed_midway"])
def test_a_failure_that_the_backend_tells_passes(name: str) -> None:
    out, error = translated(events(wire(name)), responses.ResponseStream({}, created=1))
    assert error is None
    last = events(out)[-1]
    assert last.type == "response.failed"
    assert last.json["response"]["status"] == "failed"
    assert last.json["response"]["error"]["code"] == "server_error"
    assert set(last.json["response"]) >= COMPLETE
    assert sse.DONE not in out


def test_a_code_beyond_the_public_list_is_kept_in_the_message() -> None:
    public = events(
        translated(events(wire("failed_midway")), responses.ResponseStream({}, created=1))[0]
    )[-1]
    codex = events(
        translated(
            events(wire("failed_midway")), responses.ResponseStream({}, created=1, verbatim=True)
        )[0]
    )[-1]
    assert public.json["response"]["error"]["message"].endswith("(server_is_overloaded)")
    assert codex.json["response"]["error"]["code"] == "server_is_overloaded"
    Response.model_validate(public.json["response"])


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        ({"code": "invalid_prompt", "message": "m"}, {"code": "invalid_prompt", "message": "m"}),
        (
            {"code": "odd", "message": "m", "x": 1},
            {"code": "server_error", "message": "m (odd)", "x": 1},
        ),
        ({"message": "m"}, {"code": "server_error", "message": "m"}),
        ({"code": ["odd"]}, {"code": "server_error", "message": "the model run failed"}),
    ],
)
def test_a_public_error_has_a_public_code(error: JsonObject, expected: JsonObject) -> None:
    translator = responses.ResponseStream({}, created=1)
    list(translator.feed(step("response.created", response={"id": "r"})))
    (out,) = translator.feed(step("response.failed", response={"id": "r", "error": error}))
    assert events(out)[0].json["response"]["error"] == expected


def test_a_failure_as_the_very_first_event_is_raised() -> None:
    translator = responses.ResponseStream({}, created=1)
    with pytest.raises(CodexError) as caught:
        translator.feed(events(wire("failed_cyber_policy"))[-1])
    assert caught.value.code == "cyber_policy"


def test_an_error_event_is_raised_and_then_told_in_both_shapes() -> None:
    out, error = translated(events(wire("error_event")), responses.ResponseStream({}, created=1))
    assert error is not None
    last = events(out)[-1]
    told = error.body()
    assert last.type == "error"
    assert last.json == {
        "type": "error", "sequence_number": 2, "code": told["code"], "message": told["message"], "param": None, "error": told,
    }  # fmt: skip
    _OFFICIAL_EVENT.validate_json(json.dumps(last.json))


@pytest.mark.parametrize(
    ("fed", "number"),
    [([], 0), ([{"sequence_number": 4}], 5), ([{"sequence_number": "x"}], 0), ([{}], 0)],
)
def test_an_error_of_ours_has_the_next_number(fed: list[JsonObject], number: int) -> None:
    translator = responses.ResponseStream({}, created=1)
    for data in fed:
        list(translator.feed(step("response.metadata", **data)))
    (out,) = translator.fail(TimedOut("slow"))
    assert events(out)[0].json["sequence_number"] == number
    assert list(translator.close()) == []
    assert list(translator.feed(step("response.metadata"))) == []


@pytest.mark.parametrize("data", [b"{", b'{"delta":"\xff"}', b'{"delta": tru', b"[]", b"null"])
def test_an_event_that_cannot_be_json_breaks_the_stream(data: bytes) -> None:
    translator = responses.ResponseStream({}, created=1)
    list(translator.feed(step("response.metadata", sequence_number=6)))
    with pytest.raises(StreamInterrupted):
        list(translator.feed(Event(b"event: response.output_text.delta\ndata: " + data)))
    (out,) = translator.fail(TimedOut("slow"))
    assert events(out)[0].json["sequence_number"] == 7


def test_an_event_with_a_field_after_its_data_passes() -> None:
    event = Event(b'event: response.metadata\ndata: {"a": 1}\nid: 7')
    assert list(responses.ResponseStream({}, created=1).feed(event)) == [event.encode()]


def test_numbers_of_errors_count_what_was_dropped() -> None:
    translator = responses.ResponseStream({}, created=1)
    list(translator.feed(step("keepalive", sequence_number=0)))
    list(translator.feed(step("response.metadata", sequence_number=1)))
    (out,) = translator.fail(TimedOut("slow"))
    assert events(out)[0].json["sequence_number"] == 1


def test_a_stream_without_its_last_event_is_an_error() -> None:
    with pytest.raises(StreamInterrupted):
        responses.ResponseStream({}, created=1).close()
    out, error = translated(events(wire("dropped_midway")), responses.ResponseStream({}, created=1))
    assert isinstance(error, StreamInterrupted)
    assert sse.DONE not in out


@pytest.mark.parametrize("joined", [True, False])
def test_deltas_pass_unread(joined: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    """Counts work: of a run of deltas only the first is parsed, however long it is."""
    parsed: list[Event] = []
    parse = Event._parse

    def counted(event: Event) -> JsonObject:
        parsed.append(event)
        return parse(event)

    monkeypatch.setattr(Event, "_parse", counted)
    first, *rest = [text_delta(f"{n} ") for n in range(200)]
    begun = events(wire("text"))[:4]
    decoder = sse.Decoder(coalesce=joined)
    run = [event for one in rest for event in decoder.feed(one.encode())]
    run += decoder.feed(b"".join(one.encode() for one in rest))
    stream = responses.ResponseStream({}, created=1)
    for event in (*begun, first):
        list(stream.feed(event))
    parsed.clear()
    assert b"".join(piece for event in run for piece in stream.feed(event)) == b"".join(
        event.encode() for event in run
    )
    assert parsed == []
    done = step("response.output_text.done", **PLACE, text=written([first, *rest, *rest]))
    assert [e.type for e in said(stream, done)] == ["response.output_text.done"]


def test_deltas_of_each_part_are_told_apart_unread() -> None:
    """A run of one part, then of another: one event of each run is parsed."""
    stream, parsed = responses.ResponseStream({}, created=1), 0
    for index in (0, 1):
        item = {"id": f"fc_{index}", "type": "function_call", "call_id": "c", "name": "f"}
        list(stream.feed(step("response.output_item.added", output_index=index, item=item)))
    kind = "response.function_call_arguments"
    for index in (0, 1, 1, 10, 1, 0, 0, 0):
        delta = step(f"{kind}.delta", item_id=f"fc_{index}", output_index=index, delta="x")
        list(stream.feed(delta))
        parsed += delta._json is not None
    assert parsed == 5
    for index, count in ((0, 4), (1, 3)):
        done = step(f"{kind}.done", output_index=index, arguments="x" * count)
        assert [event.type for event in said(stream, done)] == [f"{kind}.done"]


# The second beginning, which mostly tells what the first has told.


BEGINNINGS = st.sampled_from(
    ['{"id":"r"}', '{"id":"r"}', '{"id":"r"}', '{"id":"s"}', '{"id":"r"},"x":1', '{"id":"r"},"type":"y"',
     '{"id":"r"},"sequence_number":3', '{"id":"r"},"obfuscation":"q"', '{"id":"é"}', "null", "{",
     '{"id":"r","output":[{"a":1}]}', '{"id":"r","error":{"code":"odd","message":"m"}}']
)  # fmt: skip
_ITEM = '{"type":"response.output_item.done","sequence_number":1,"item":{"type":"message"}}'
DONE_ITEM = f"event: response.output_item.done\ndata: {_ITEM}\n\n".encode()
BEAT = b'event: keepalive\ndata: {"type":"keepalive","sequence_number":1}\n\n'
TOLD = ("created", "1", '{"id":"r"}', b"")
TWICE = ('{"id":"r"},"sequence_number":3', b"")
ESCAPED = ('{"id":"r"},"sequence\\u005fnumber":9', b"")
BETWEEN = st.sampled_from(
    [b"", b"", b"", DONE_ITEM, BEAT,
     b'event: codex.x\ndata: {"type":"codex.x"}\n\n',
     b'event: response.hologram.delta\ndata: {"delta":"x"}\n\n']
)  # fmt: skip
NUMBERS = st.sampled_from(["0", "1", "17", "007", "-1", "1.5", "null", '"1"', "1234567890123"])
LAST = (
    b'event: response.completed\ndata: {"type":"response.completed","response":'
    b'{"status":"completed"}}\n\n'
)


def beginning(kind: str, number: str, response: str) -> bytes:
    data = f'{{"type":"{kind}","sequence_number":{number},"response":{response}}}'
    return f"event: {kind}\ndata: {data}\n\n".encode()


@given(
    told=st.lists(
        st.tuples(
            st.sampled_from(["created", "queued", "in_progress"]), NUMBERS, BEGINNINGS, BETWEEN
        ),
        max_size=4,
    ),
    options=st.sampled_from([{}, {"stream_options": {"include_obfuscation": False}}]),
    verbatim=st.booleans(),
)
@example([TOLD, TOLD], {}, False)
@example([(*TOLD[:3], BEAT), TOLD], {}, False)
@example([(*TOLD[:3], DONE_ITEM), TOLD], {}, False)
@example([TOLD, ("queued", "1", '{"id":"s"}', b""), TOLD], {}, False)
@example([TOLD, ("queued", "null", '{"id":"s"}', b""), TOLD], {}, False)
@example([TOLD, ("in_progress", "007", '{"id":"r"}', b"")], {}, False)
@example([("created", "3", *TWICE), ("in_progress", "4", *TWICE)], {}, False)
@example([("created", "3", *ESCAPED), ("in_progress", "4", *ESCAPED)], {}, False)
@example([("created", "9", *ESCAPED), ("in_progress", "10", *ESCAPED)], {}, False)
@example(
    [TOLD, ("queued", "1", '{"id":"r"},"obfuscation":"q"', b"")],
    {"stream_options": {"include_obfuscation": False}},
    False,
)
def test_a_beginning_that_is_told_again_is_said_as_if_it_were_read(
    told: list[tuple[str, str, str, bytes]], options: JsonObject, verbatim: bool
) -> None:
    data = b"".join(
        beginning(f"response.{kind}", number, response) + between
        for kind, number, response, between in told
    )
    # A blank that means nothing, and no beginning looks like the backend's.
    blank = data.replace(b'{"type":"response.', b'{ "type":"response.')
    for end in (b"", LAST):
        got, expected = (
            responses.ResponseStream(options, created=1, verbatim=verbatim, name="resp_x")
            for _ in range(2)
        )
        out, error = translated(events(data + end), got)
        again, also = translated(events(blank + end), expected)
        assert [one.json for one in events(out)] == [one.json for one in events(again)]
        if DONE_ITEM not in data:  # which passes as it came
            assert out == again
        assert str(error) == str(also)
        assert got.response == expected.response


@pytest.mark.parametrize("output", ["null", "7", "[7]", "{}"])
def test_an_output_that_is_none_is_an_empty_one(output: str) -> None:
    told = beginning("response.created", "0", f'{{"id":"r","output":{output}}}')
    out, _ = translated(events(told), responses.ResponseStream({}, created=1))
    assert events(out)[0].json["response"]["output"] == []


def test_a_beginning_that_is_told_again_is_not_read() -> None:
    first, second = events(
        beginning("response.created", "0", '{"id":"r"}')
        + beginning("response.in_progress", "1", '{"id":"r"}')
    )
    stream = responses.ResponseStream({}, created=1)
    (said,) = stream.feed(first)
    (again,) = stream.feed(second)
    assert (first._json is None, second._json is None) == (False, True)
    assert again == said.replace(b".created", b".in_progress").replace(b'er":0', b'er":1')


# Items: what is kept, and what is shown.


PICTURE: JsonObject = {"id": "ig_1", "type": "image_generation_call"}


@pytest.mark.parametrize("verbatim", [False, True], ids=["public", "codex"])
@pytest.mark.parametrize(
    ("given", "status"),
    [
        ({"status": "generating", "result": "AAAA"}, "completed"),
        ({"status": "in_progress", "result": "AAAA"}, "completed"),
        ({"result": "AAAA"}, "completed"),
        ({"status": "failed", "result": "AAAA"}, "failed"),
        ({"status": "generating", "result": None}, "generating"),
    ],
)
def test_a_picture_that_is_there_is_completed(
    given: JsonObject, status: str, verbatim: bool
) -> None:
    stream = responses.ResponseStream({}, created=1, verbatim=verbatim)
    out = said(stream, done({**PICTURE, **given}), step("response.completed", response={"id": "r"}))
    (told,) = [event.json["item"] for event in out if event.type == "response.output_item.done"]
    assert told["status"] == status
    assert told["result"] == given["result"]
    for response in (out[-2].json["response"], stream.stored_response):
        assert response is not None
        assert response["output"] == [told]
    assembler = responses.Assembler()
    for event in (done({**PICTURE, **given}), step("response.completed", response={"id": "r"})):
        assembler.feed(event)
    assert responses.from_response(assembler.finish(), {}, 1)["output"] == [told]


@pytest.mark.parametrize(
    "name", ["populated_output", "reasoning_summary", "output_only_at_the_end"]
)
def test_encrypted_reasoning_is_given_on_demand_and_kept_in_any_case(name: str) -> None:
    include = ENCRYPTED["include"]
    for asked, shown in (({}, False), ({"include": ["x"]}, False), (ENCRYPTED, True)):
        stream = responses.ResponseStream(asked, created=1)
        out, _ = translated(events(wire(name)), stream)
        whole = responses.from_response(folded(name), asked, 1)
        assert stream.stored_response is not None
        assert stream.stored_response["output"] == whole["output"]
        thoughts = [item for item in whole["output"] if item["type"] == "reasoning"]
        assert all(item["encrypted_content"] for item in thoughts)
        assert (b"encrypted_content" in out) == (shown and bool(thoughts))
        assert stream.response == responses.for_client(whole, asked.get("include"))
        assert ("encrypted_content" in str(stream.response)) == (shown and bool(thoughts))
    assert responses.for_client(whole, include) == whole


def test_encrypted_reasoning_is_taken_out_where_it_is_announced() -> None:
    item = {"id": "rs_1", "type": "reasoning", "summary": [], "encrypted_content": "opaque"}
    added = step("response.output_item.added", output_index=0, item=item)
    for asked, there in (({}, False), (ENCRYPTED, True)):
        for event in (added, done(item)):
            out = said(responses.ResponseStream(asked, created=1), event)
            assert all(("encrypted_content" in one.json["item"]) == there for one in out[-1:])
    (told,) = said(responses.ResponseStream({}, created=1, verbatim=True), added)
    assert told.raw == added.raw


def test_a_compaction_keeps_its_content() -> None:
    out = passed("compaction")
    assert [event.json["item"]["encrypted_content"] for event in out if "item" in event.json] == [
        "gAAAAABfake-compaction"
    ] * 2
