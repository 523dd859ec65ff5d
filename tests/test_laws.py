"""The laws of the pure floor, over every wire and over streams that hypothesis makes.

1. Chunking does not matter.
2. Two roads, one reply: what the chunks add up to is what the whole reply says.
3. Nothing is lost on the Responses road, and what the official API would say besides is there.
4. A stream is well-formed, and a failure is told in it.
5. Garbage in, our error out.
6. In and back: a reply of ours, sent back as history, keeps its content.
7. No secret leaves. (The part of it that needs no login; the rest is with the doors.)

One file, though it is long: they are read side by side, and share what they compare.
"""

from __future__ import annotations

import itertools
import json
import re
import traceback
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from tests.grammar import assert_official as assert_official_order
from tests.replies import (
    CHAT_OPTIONS,
    FORMS,
    FULL,
    MESSAGES_OPTIONS,
    OLLAMA_OPTIONS,
    MessagesForm,
    OllamaForm,
    ReplyForm,
)
from tests.streams import CUTS, JSON, WORDS, bends, bent, streams
from tests.wire_files import NAMES, READERS, events, table, translated, wire

from codexapi_engine import errors
from codexapi_engine.errors import CodexError, InvalidRequest, NotLoggedIn
from codexapi_engine.protocol import (
    Event,
    JsonObject,
    Translator,
    anthropic,
    auth_file,
    chat,
    limits,
    models,
    ollama,
    responses,
    sse,
)
from codexapi_engine.protocol import json as wire_json
from codexapi_engine.protocol.responses import texts
from codexapi_engine.protocol.responses.reply import LIFECYCLE
from codexapi_engine.protocol.responses.request import from_client as responses_from_client

SMALL = [name for name in NAMES if len(wire(name)) < 2_600]

forms = st.sampled_from(list(FORMS.values())).flatmap(st.sampled_from)
chat_options = st.sampled_from(CHAT_OPTIONS)
every_dialect = pytest.mark.parametrize("dialect", FORMS)


def folded(stream: list[Event]) -> JsonObject:
    assembler = responses.Assembler()
    for event in stream:
        assembler.feed(event)
    return assembler.finish()


def passed_on(
    stream: list[Event], asked: JsonObject | None = None, *, verbatim: bool = False
) -> tuple[bytes, CodexError | None]:
    return translated(stream, responses.ResponseStream(asked or {}, created=1, verbatim=verbatim))


# Law 1


def everything(stream: list[Event]) -> list[object]:
    """All that we ever make of a stream."""
    made: list[object] = []
    for form in FULL:
        out, error = translated(stream, form.translator())
        made += [out, type(error), str(error)]
    out, error = passed_on(stream)
    made += [out, type(error), str(error)]
    text = responses.Text()
    made.append([text.feed(event) for event in stream])
    return made


@pytest.mark.parametrize("name", NAMES)
def test_a_wire_byte_by_byte_gives_what_it_gives_whole(name: str) -> None:
    data = wire(name)
    assert everything(events(data, range(len(data)))) == everything(events(data))


@pytest.mark.parametrize("name", SMALL)
def test_a_wire_may_be_cut_at_any_single_place(name: str) -> None:
    data = wire(name)
    whole = [event.raw for event in events(data)]
    for cut in range(len(data) + 1):
        assert [event.raw for event in events(data, [cut])] == whole, cut


@pytest.mark.parametrize("end", [b"\r\n", b"\r"], ids=["CRLF", "CR"])
@pytest.mark.parametrize("bom", [b"", b"\xef\xbb\xbf"], ids=["", "BOM"])
@pytest.mark.parametrize("name", NAMES)
def test_other_line_ends_and_a_bom_change_nothing(name: str, end: bytes, bom: bytes) -> None:
    data, whole = wire(name), [event.raw for event in events(wire(name))]
    changed = bom + data.replace(b"\n", end)
    assert [event.raw for event in events(changed)] == whole
    assert [event.raw for event in events(changed, range(len(changed)))] == whole


@given(
    data=streams(),
    cuts=CUTS,
    end=st.sampled_from([b"\n", b"\r\n", b"\r"]),
    bom=st.sampled_from([b"", b"\xef\xbb\xbf"]),
)
def test_a_made_stream_may_be_cut_anywhere(
    data: bytes, cuts: list[int], end: bytes, bom: bytes
) -> None:
    changed = bom + data.replace(b"\n", end)
    assert everything(events(changed, cuts)) == everything(events(data))


@given(
    data=st.binary(max_size=60)
    | st.text("\r\n :dataevn[DONE]{}\ufeff", max_size=60).map(str.encode),
    cuts=CUTS,
)
def test_even_garbage_is_cut_without_a_difference(data: bytes, cuts: list[int]) -> None:
    whole = [event.raw for event in events(data)]
    assert [event.raw for event in events(data, cuts)] == whole
    assert [event.raw for event in events(data, range(len(data)))] == whole


# Law 2


def assert_one_reply(data: bytes, form: ReplyForm) -> None:
    """Either both roads fail with one error, or both give one reply."""
    stream = events(data)
    out, error = translated(stream, form.translator())
    if error is not None:
        with pytest.raises(type(error)) as other:
            form.whole(folded(stream))
        assert form.failure(other.value).body() == error.body()
        return
    form.assert_adds_up(out, form.whole(folded(stream)))


@every_dialect
@pytest.mark.parametrize("name", NAMES)
def test_what_is_streamed_adds_up_to_the_whole_reply(name: str, dialect: str) -> None:
    for form in FORMS[dialect]:
        assert_one_reply(wire(name), form)


@given(data=streams(), form=forms)
def test_what_is_made_of_a_made_stream_adds_up_to_the_whole_reply(
    data: bytes, form: ReplyForm
) -> None:
    assert_one_reply(data, form)


# Law 3


ECHOED = {
    "output", "status", "created_at", "tools", "usage", "error", "user",
    "instructions", "safety_identifier", "prompt_cache_key", "metadata",
    "previous_response_id", "store",
}  # fmt: skip
"""What is rebuilt in the response of a lifecycle event (and checked in the unit tests)."""

ITEM_EVENTS = ("response.output_item.added", "response.output_item.done")
INPUTS = ("response.function_call_arguments.", "response.custom_tool_call_input.")
OURS = (
    *ITEM_EVENTS, *INPUTS, "response.content_part.", "response.reasoning_summary_part.",
    *(f"{form.name}." for form in texts.TEXTS if form.part),
)  # fmt: skip
"""What may be made up."""


def assert_nothing_lost(stream: list[Event], *, verbatim: bool) -> None:
    out, error = passed_on(stream, verbatim=verbatim)
    told = [event for event in events(out) if event.data != b"[DONE]"]
    ends = [n for n, event in enumerate(stream) if event.type in responses.TERMINAL]
    stream = stream[: ends[0] + 1] if ends else stream
    if stream and stream[-1].type == "error":
        assert error is not None
        stream.pop()
    if error is not None:
        assert told.pop().type == "error"
    ended_well = error is None and stream[-1].type != "response.failed"
    assert out.endswith(sse.DONE) == ended_well
    assert out.count(sse.DONE) == ended_well
    shift, announced = 0, set()
    for event in stream:
        numbered, index = "sequence_number" in event.json, event.json.get("output_index")
        held = not verbatim and event.type.startswith(INPUTS) and index not in announced
        if held or (not verbatim and event.type.startswith(("keepalive", "codex."))):
            shift -= numbered
            continue
        while not is_same(told[0], event, verbatim):
            assert not verbatim
            assert told[0].type.startswith(OURS)
            announced.add(told.pop(0).json.get("output_index"))
            shift += numbered
        if event.type in ITEM_EVENTS:
            announced.add(index)
        assert_same(told.pop(0), event, shift, verbatim)
    assert told == []


def is_same(told: Event, event: Event, verbatim: bool) -> bool:
    expected = as_told(event, verbatim)
    return all(
        told.json.get(name) == value
        for name, value in expected.items()
        if name not in ("response", "sequence_number")
    )


def as_told(event: Event, verbatim: bool) -> JsonObject:
    """An event as the client is to have it, but for its number and a response."""
    expected = dict(event.json)
    if event.type == "response.done" and not verbatim:
        expected["type"] = "response.completed"
    if event.type in ITEM_EVENTS:
        item = expected["item"] = dict(expected["item"])
        if item["type"] == "reasoning" and not verbatim:
            item.pop("encrypted_content", None)
        if item["type"] == "image_generation_call" and item.get("result"):
            item["status"] = "completed"
    return expected


def assert_same(told: Event, event: Event, shift: int, verbatim: bool) -> None:
    expected = as_told(event, verbatim)
    changed = expected != event.json
    if shift and "sequence_number" in expected:
        expected["sequence_number"] += shift
    if event.type in LIFECYCLE:
        for name, value in event.json["response"].items():
            if name not in ECHOED and value is not None:
                assert told.json["response"][name] == value, name
        expected["response"] = told.json["response"]
    elif not shift and not changed:
        assert told.raw == (event.raw if verbatim else sse.escape_line_ends(event.raw))
    assert told.json == expected
    assert told.type == expected["type"]


@pytest.mark.parametrize("verbatim", [False, True], ids=["public", "codex"])
@pytest.mark.parametrize("name", NAMES)
def test_nothing_of_a_wire_is_lost(name: str, verbatim: bool) -> None:
    assert_nothing_lost(events(wire(name)), verbatim=verbatim)


@given(data=streams(), verbatim=st.booleans())
def test_nothing_of_a_made_stream_is_lost(data: bytes, verbatim: bool) -> None:
    assert_nothing_lost(events(data), verbatim=verbatim)


@given(data=streams())
def test_the_streamed_response_is_the_folded_one(data: bytes) -> None:
    stream = events(data)
    whole = responses.for_client(responses.from_response(folded(stream), {}, 1), None)
    out, _ = passed_on(stream)
    last = [event for event in events(out) if event.type in responses.TERMINAL][-1]
    assert last.json["response"]["output"] == whole["output"]
    assert last.json["response"]["status"] == whole["status"]
    assert last.json["response"]["usage"] == whole["usage"]


@pytest.mark.parametrize("name", NAMES)
def test_a_response_is_the_same_of_deltas_that_come_many_at_a_time(name: str) -> None:
    decoder = sse.Decoder(coalesce=True)
    try:
        whole = folded(events(wire(name)))
    except CodexError as error:
        with pytest.raises(type(error), match=re.escape(error.message)):
            folded([*decoder.feed(wire(name)), *decoder.flush()])
        return
    assert folded([*decoder.feed(wire(name)), *decoder.flush()]) == whole


@pytest.mark.parametrize("include", [[], ["reasoning.encrypted_content"]], ids=["", "encrypted"])
@pytest.mark.parametrize("name", NAMES)
def test_a_wire_is_told_in_the_order_of_the_official_api(name: str, include: list[str]) -> None:
    asked = {"include": include}
    told = in_official_order(*passed_on(events(wire(name)), asked))
    try:
        whole = responses.from_response(folded(events(wire(name))), asked, 1)
    except CodexError:
        return
    assert told == responses.for_client(whole, include)["output"]


@given(data=streams())
def test_a_made_stream_is_told_in_the_order_of_the_official_api(data: bytes) -> None:
    whole = responses.for_client(responses.from_response(folded(events(data)), {}, 1), None)
    told = in_official_order(*passed_on(events(data)))
    assert told == whole["output"]


def in_official_order(out: bytes, error: CodexError | None) -> list[JsonObject]:
    told = [event.json for event in events(out) if event.data != b"[DONE]"]
    assert (told[-1]["type"] == "error") == (error is not None)
    return assert_official_order(told)


def with_items_done_twice(data: bytes) -> bytes:
    """The stream of a backend that tells the end of each item two times."""
    told: list[bytes] = []
    for block in data.split(b"\n\n"):
        told += [block] * (1 + (b'"type":"response.output_item.done"' in block))
    numbers = itertools.count()
    return b"\n\n".join(
        re.sub(rb'(?<="sequence_number":)\d+', lambda _: b"%d" % next(numbers), block, count=1)
        for block in told
    )


@every_dialect
@pytest.mark.parametrize("name", NAMES)
def test_an_item_that_is_done_twice_is_told_once(name: str, dialect: str) -> None:
    for form in FORMS[dialect]:
        once = translated(events(wire(name)), form.translator())[0]
        twice = events(with_items_done_twice(wire(name)))
        assert translated(twice, form.translator())[0] == once


@pytest.mark.parametrize("name", NAMES)
def test_a_client_of_responses_is_told_once_that_an_item_is_done(name: str) -> None:
    once = in_official_order(*passed_on(events(wire(name))))
    assert in_official_order(*passed_on(events(with_items_done_twice(wire(name))))) == once


@given(data=streams())
def test_sequence_numbers_have_no_holes(data: bytes) -> None:
    out, _ = passed_on(events(data))
    numbers = [e.json["sequence_number"] for e in events(out) if "sequence_number" in e.json]
    assert numbers == list(range(len(numbers)))


# Law 4


def assert_well_formed(stream: list[Event], form: ReplyForm) -> None:
    """An answer in the form of its dialect, or a failure that is told in it."""
    out, error = translated(stream, form.translator())
    if error is None:
        form.assert_well_formed(out)
    else:
        form.assert_told(out, error)


@every_dialect
@pytest.mark.parametrize("name", NAMES)
def test_what_is_made_of_a_wire_is_well_formed(name: str, dialect: str) -> None:
    for form in FORMS[dialect]:
        assert_well_formed(events(wire(name)), form)


@given(data=streams(), form=forms)
def test_what_is_made_of_a_made_stream_is_well_formed(data: bytes, form: ReplyForm) -> None:
    assert_well_formed(events(data), form)


@every_dialect
@pytest.mark.parametrize("name", NAMES)
def test_a_wire_that_ends_anywhere_before_its_end_is_a_failure(name: str, dialect: str) -> None:
    stream = events(wire(name))
    ends = [n for n, event in enumerate(stream) if event.type in responses.TERMINAL]
    for count in range(min(ends, default=len(stream))):
        for form in FORMS[dialect][-1:]:
            out, error = translated(stream[:count], form.translator())
            assert error is not None
            form.assert_told(out, error)


@given(data=streams(), form=forms)
def test_nothing_follows_a_terminal_event(data: bytes, form: ReplyForm) -> None:
    stream = events(data)
    translators: list[Translator] = [form.translator(), responses.ResponseStream({}, created=1)]
    for translator in translators:
        _, error = translated(stream, translator)
        if error is None:
            assert not any(list(translator.feed(event)) for event in stream)
            assert list(translator.close()) == []


# Law 5


ALL_KINDS = [*FULL, *(several[-1] for several in FORMS.values())]


def survives(stream: list[Event]) -> None:
    """Only CodexError may escape from anything that reads events."""
    for form in ALL_KINDS:
        translated(stream, form.translator())
    passed_on(stream)
    passed_on(stream, {"stream_options": {"include_obfuscation": False}}, verbatim=True)
    try:
        text = responses.Text()
        for event in stream:
            assert isinstance(text.feed(event), str)
        whole = folded(stream)
        assert isinstance(responses.text_of(whole), str)
        responses.from_response(whole, {}, 1)
        for form in ALL_KINDS:
            form.whole(whole)
    except CodexError:
        pass


@given(data=st.binary(max_size=300))
@example(b"event: error")
@example(b"event: response.completed\ndata: ")
@example(b"data: [DONE]\n\ndata: {}\n\n")
@example(b'data: {"type": 1}\n\n')
@example(b"data: \xff\n\n")
def test_arbitrary_bytes_give_only_our_errors(data: bytes) -> None:
    survives(events(data))


@given(
    data=st.sampled_from(NAMES).map(wire),
    at=st.integers(0),
    put=st.binary(max_size=3),
    cut=st.booleans(),
)
def test_a_damaged_wire_gives_only_our_errors(data: bytes, at: int, put: bytes, cut: bool) -> None:
    at %= len(data)
    survives(events(data[:at] + put + (b"" if cut else data[at + 1 :])))


def framed(kind: str, data: object) -> bytes:
    return f"event: {kind}\ndata: {json.dumps(data)}\n\n".encode()


def shapes() -> dict[str, Event]:
    """One event of each shape that the wires have."""
    found: dict[str, Event] = {}
    for name in NAMES:
        for event in events(wire(name)):
            members = {
                key: sorted(v) if isinstance(v, dict) else "" for key, v in event.json.items()
            }
            found.setdefault(f"{event.type} {sorted(members.items())}", event)
    return found


SHAPES = shapes()


@pytest.mark.parametrize("shape", range(len(SHAPES)))
def test_an_event_with_an_odd_member_gives_only_our_errors(shape: int) -> None:
    event = list(SHAPES.values())[shape]
    first, *_, last = events(wire("minimal_for_codex_exec"))
    for odd in bends(event.json):
        survives([first, *events(framed(event.type, odd)), last])


@st.composite
def bent_wires(draw: st.DrawFn) -> bytes:
    stream = events(wire(draw(st.sampled_from(NAMES))))
    which = draw(st.sets(st.integers(0, len(stream) - 1), min_size=1, max_size=3))
    return b"".join(
        framed(event.type, draw(bent(event.json)) if number in which else event.json)
        for number, event in enumerate(stream)
    )


@given(data=bent_wires())
def test_a_wire_of_the_wrong_shapes_gives_only_our_errors(data: bytes) -> None:
    survives(events(data))


@given(
    status=st.integers(300, 599),
    body=st.binary(max_size=60) | JSON.map(lambda v: json.dumps(v).encode()),
    headers=st.dictionaries(
        st.sampled_from(["retry-after", "content-type", "cf-mitigated"]), st.text(max_size=8)
    ),
)
def test_any_refusal_of_the_backend_is_an_error_of_ours(
    status: int, body: bytes, headers: dict[str, str]
) -> None:
    assert_renders(errors.from_status(status, body, headers))


@pytest.mark.parametrize("row", table("errors"), ids=lambda row: str(row["name"]))
def test_a_refusal_with_an_odd_member_is_an_error_of_ours(row: JsonObject) -> None:
    for odd in bends(row["body"]):
        assert_renders(errors.from_status(row["status"], json.dumps(odd).encode(), row["headers"]))


@pytest.mark.parametrize("row", table("answers"), ids=lambda row: str(row["name"]))
def test_an_answer_with_an_odd_member_gives_only_our_errors(row: JsonObject) -> None:
    for odd in (each for each in bends(row["body"]) if isinstance(each, dict)):
        try:
            READERS[row["path"]](odd)
        except CodexError as error:
            assert_renders(error)


@given(data=st.dictionaries(st.sampled_from(["error", "code", "message", "response"]), JSON))
@example({"error": {"code": "usage_limit_reached", "resets_at": 1e300, "resets_in_seconds": 1e300}})
@example({"error": {"code": "usage_limit_reached", "resets_at": "x", "resets_in_seconds": -1}})
def test_any_failure_event_is_an_error_of_ours(data: JsonObject) -> None:
    assert_renders(errors.from_event(data))


def assert_renders(error: CodexError) -> None:
    body = error.body()
    assert json.loads(wire_json.dumps({"error": body}))["error"].keys() >= {
        "message",
        "type",
        "param",
        "code",
    }
    assert isinstance(body["message"], str)
    assert isinstance(body["type"], str)
    assert body["param"] is None or isinstance(body["param"], str)
    assert body["code"] is None or isinstance(body["code"], str)
    assert 400 <= error.status < 600
    assert error.retry_after is None or 0 <= error.retry_after < float("inf")


CHAT_BODY: JsonObject = {
    "model": "gpt-6.1-sol",
    "messages": [
        {"role": "system", "content": "Be brief."},
        {
            "role": "user",
            "name": "ann",
            "content": [
                {"type": "text", "text": "hi"},
                {"type": "image_url", "image_url": {"url": "https://example.org/a.png", "detail": "low"}},
                {"type": "file", "file": {"file_data": "aGk=", "filename": "a.pdf"}},
            ],
        },
        {
            "role": "assistant",
            "content": None,
            "refusal": None,
            "tool_calls": [
                {"id": "c1", "type": "function", "function": {"name": "f", "arguments": "{}"}},
                {"id": "c2", "type": "custom", "custom": {"name": "g", "input": "x"}},
            ],
        },
        {"role": "tool", "tool_call_id": "c1", "content": "1"},
        {"role": "tool", "tool_call_id": "c2", "content": [{"type": "text", "text": "2"}]},
    ],
    "tools": [
        {"type": "function", "function": {"name": "f", "parameters": {"type": "object"}, "strict": True}},
        {"type": "custom", "custom": {"name": "g", "format": {"type": "grammar", "grammar": {"syntax": "lark", "definition": "a"}}}},
        {"type": "web_search"},
    ],
    "tool_choice": {"type": "allowed_tools", "allowed_tools": {"mode": "auto", "tools": [{"type": "function", "function": {"name": "f"}}]}},
    "response_format": {"type": "json_schema", "json_schema": {"name": "n", "schema": {}, "strict": True}},
    "reasoning": {"effort": "low", "summary": "auto"},
    "web_search_options": {"user_location": {"type": "approximate", "approximate": {"city": "Oslo"}}},
    "stream": True,
    "stream_options": {"include_usage": True},
    "service_tier": "flex",
    "prompt_cache_key": "k",
}  # fmt: skip
LEGACY_BODY: JsonObject = {
    "model": "m",
    "messages": [
        {"role": "user", "content": "hi"},
        {"role": "assistant", "content": "x", "function_call": {"name": "f", "arguments": "{}"}},
        {"role": "function", "name": "f", "content": "1"},
    ],
    "functions": [{"name": "f"}],
    "function_call": {"name": "f"},
    "response_format": {"type": "json_object"},
}
RESPONSES_BODY: JsonObject = {
    "model": "m",
    "input": [
        {"role": "system", "content": "x"},
        {"type": "message", "role": "assistant", "content": [{"type": "output_text", "text": "y"}]},
        {"type": "reasoning", "id": "rs_1", "encrypted_content": "g", "summary": []},
        {"type": "function_call", "id": "fc_1", "call_id": "c", "name": "f", "arguments": "{}"},
        {"type": "function_call_output", "call_id": "c", "output": "1"},
    ],
    "tools": [{"type": "function", "name": "f", "parameters": {}}, {"type": "web_search_preview"}],
    "text": {"format": {"type": "json_object"}},
    "reasoning": {"generate_summary": "auto"},
    "include": ["reasoning.encrypted_content"],
    "service_tier": "priority",
    "stream_options": {"include_obfuscation": False},
    "prompt_cache_key": "k" * 70,
}


PNG = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="
SIGNATURE = "cxa1:a:m:cnNfMQ==:gAAAAAB"
MESSAGES_BODY: JsonObject = {
    "model": "claude-opus-5-5",
    "max_tokens": 10,
    "system": [
        {"type": "text", "text": "x-anthropic-billing-header: cch=1"},
        {"type": "text", "text": "Be brief.", "cache_control": {"type": "ephemeral"}},
    ],
    "messages": [
        {"role": "user", "content": "hi"},
        {
            "role": "system",
            "content": [
                {"type": "text", "text": "now"},
                {"type": "tool_addition", "tool": {"type": "tool_reference", "name": "g"}},
                {"type": "tool_removal", "tool": {"type": "tool_reference", "name": "bash"}},
            ],
            "output_config": {"effort": "max"},
        },
        {
            "role": "assistant",
            "content": [
                {"type": "thinking", "thinking": "so", "signature": SIGNATURE},
                {"type": "text", "text": "Let me see."},
                {"type": "server_tool_use", "id": "s1", "name": "web_search", "input": {"query": "q"}},
                {"type": "web_search_tool_result", "tool_use_id": "s1", "content": [{"type": "web_search_result", "url": "https://example.org", "title": "t"}]},
                {"type": "tool_use", "id": "c1", "name": "f", "input": {"a": 1}},
                {"type": "tool_use", "id": "c2", "name": "f", "input": {}},
            ],
        },
        {
            "role": "user",
            "content": [
                {"type": "tool_result", "tool_use_id": "c1", "content": [{"type": "text", "text": "1"}, {"type": "tool_reference", "tool_name": "f"}], "is_error": True},
                {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": PNG}},
                {"type": "image", "source": {"type": "url", "url": "https://example.org/a.png"}},
                {"type": "document", "title": "a", "context": "b", "source": {"type": "base64", "media_type": "application/pdf", "data": "JVBERi0x"}, "citations": {"enabled": True}},
                {"type": "document", "source": {"type": "text", "media_type": "text/plain", "data": "x"}},
                {"type": "document", "source": {"type": "content", "content": [{"type": "text", "text": "y"}]}},
                {"type": "search_result", "title": "t", "source": "s", "content": [{"type": "text", "text": "z"}]},
            ],
        },
    ],
    "tools": [
        {"name": "f", "description": "d", "input_schema": {"type": "object", "properties": {"a": {"type": "string", "pattern": "^a"}}}, "strict": True},
        {"name": "g", "input_schema": {"$schema": "s", "required": None}, "defer_loading": True},
        {"type": "bash_20250124", "name": "bash"},
        {"type": "web_search_20250305", "name": "web_search", "max_uses": 8, "allowed_domains": ["example.org"], "user_location": {"type": "approximate", "city": "Oslo"}},
    ],
    "tool_choice": {"type": "tool", "name": "f", "disable_parallel_tool_use": True},
    "thinking": {"type": "enabled", "budget_tokens": 4000, "display": "summarized"},
    "output_config": {"format": {"type": "json_schema", "schema": {"type": "object"}}, "task_budget": {"total": 1}},
    "context_management": {"edits": [{"type": "clear_thinking_20251015", "keep": "all"}]},
    "stop_sequences": ["END"],
    "metadata": {"user_id": "{\"session_id\":\"s\"}"},
    "speed": "fast",
    "stream": True,
}  # fmt: skip


OLLAMA_BODY: JsonObject = {
    "model": "m",
    "messages": [
        {"role": "system", "content": "Be brief."},
        {"role": "user", "content": "hi", "images": [PNG]},
        {
            "role": "assistant",
            "thinking": "so",
            "tool_calls": [
                {"id": "c1", "function": {"index": 0, "name": "f", "arguments": {"a": 1}}},
                {"function": {"name": "g", "arguments": {}}},
            ],
        },
        {"role": "tool", "content": "1", "tool_name": "g"},
        {"role": "tool", "content": "2", "tool_call_id": "c1", "images": [PNG]},
    ],
    "tools": [{"function": {"name": "f", "parameters": {"type": "object"}}}],
    "format": {"type": "object", "properties": {}},
    "think": "high",
    "keep_alive": "5m",
    "options": {"stop": ["END"], "num_ctx": 8192, "temperature": 0.5},
    "logprobs": False,
}
GENERATE_BODY: JsonObject = {
    "model": "m",
    "prompt": "hi",
    "system": "Be brief.",
    "images": [PNG],
    "think": True,
    "format": "json",
    "context": [],
}


def chat_road(body: JsonObject) -> None:
    request, _ = chat.from_client(body)
    made = responses.to_backend(chat.to_responses(request))
    wire_json.dumps(made)
    stream = chat.ChatStream(chat.form(request), created=1)
    translated(events(wire("minimal_for_codex_exec")), stream)


def responses_road(body: JsonObject) -> None:
    made, _ = responses_from_client(body)
    wire_json.dumps(responses.to_backend(made))
    out, error = passed_on(events(wire("minimal_for_codex_exec")), body)
    assert error is None
    assert out.endswith(sse.DONE)


def messages_road(body: JsonObject) -> None:
    made = anthropic.from_client(body, model="m", reader=anthropic.Writer("a", "m"))
    wire_json.dumps(responses.to_backend(made.sent))
    assert anthropic.tokens(anthropic.to_count(body)) > 0
    stream = anthropic.MessageStream(made.options)
    translated(events(wire("minimal_for_codex_exec")), stream)


def ollama_road(body: JsonObject, *, generate: bool) -> None:
    if ollama.loads_only(body, generate=generate):
        return
    made = ollama.from_client(body, name="m", entry=None, generate=generate)
    wire_json.dumps(responses.to_backend(made.sent))
    translated(events(wire("minimal_for_codex_exec")), ollama.OllamaStream(made.options, lambda: 1))


def ollama_survives(body: Any, *, generate: bool) -> None:
    if isinstance(body, dict):
        try:
            ollama_road(body, generate=generate)
        except InvalidRequest as error:
            error.param = ollama.ollama_param(error.param, body)
            wire_json.dumps(ollama.error_body(error))


def messages_survives(body: Any) -> None:
    if isinstance(body, dict):
        try:
            messages_road(body)
        except InvalidRequest as error:
            assert_renders(error)
            wire_json.dumps(anthropic.error_object(error))


def chat_survives(body: Any) -> None:
    if isinstance(body, dict):
        try:
            chat_road(body)
        except InvalidRequest as error:
            assert_renders(error)


def responses_survives(body: Any) -> None:
    if isinstance(body, dict):
        try:
            responses_road(body)
        except InvalidRequest as error:
            assert_renders(error)


@pytest.mark.parametrize("body", [CHAT_BODY, LEGACY_BODY], ids=["tools", "functions"])
def test_a_chat_request_with_an_odd_member_gives_only_our_errors(body: JsonObject) -> None:
    for odd in bends(body):
        chat_survives(odd)


def test_a_messages_request_with_an_odd_member_gives_only_our_errors() -> None:
    for odd in bends(MESSAGES_BODY):
        messages_survives(odd)


@pytest.mark.parametrize("body", [OLLAMA_BODY, GENERATE_BODY], ids=["chat", "generate"])
def test_an_ollama_request_with_an_odd_member_gives_only_our_errors(body: JsonObject) -> None:
    for odd in bends(body):
        ollama_survives(odd, generate=body is GENERATE_BODY)


def test_a_responses_request_with_an_odd_member_gives_only_our_errors() -> None:
    for odd in bends(RESPONSES_BODY):
        responses_survives(odd)


@given(body=bent(CHAT_BODY).flatmap(bent) | bent(LEGACY_BODY).flatmap(bent))
def test_a_bent_chat_request_gives_only_our_errors(body: Any) -> None:
    chat_survives(body)


@given(body=bent(MESSAGES_BODY).flatmap(bent))
def test_a_bent_messages_request_gives_only_our_errors(body: Any) -> None:
    messages_survives(body)


@given(body=bent(OLLAMA_BODY).flatmap(bent))
def test_a_bent_ollama_request_gives_only_our_errors(body: Any) -> None:
    ollama_survives(body, generate=False)


@given(body=bent(RESPONSES_BODY).flatmap(bent))
def test_a_bent_responses_request_gives_only_our_errors(body: Any) -> None:
    responses_survives(body)


def test_the_bodies_that_are_bent_are_good_themselves() -> None:
    for body in (CHAT_BODY, LEGACY_BODY):
        chat_road(body)
    responses_road(RESPONSES_BODY)
    messages_road(MESSAGES_BODY)
    ollama_road(OLLAMA_BODY, generate=False)
    ollama_road(GENERATE_BODY, generate=True)


def test_a_catalogue_with_an_odd_member_is_still_a_list() -> None:
    first = table("models")["models"][0]
    for odd in bends({"models": [first]}):
        if isinstance(odd, dict):
            found = models.parse(odd)
            wire_json.dumps(models.public_list(found))
            assert isinstance(models.hint(found, "gpt").text, str)
            wire_json.dumps(ollama.tags(found, {}, ""))
            wire_json.dumps(ollama.show(found, {}, first["slug"], ""))


def test_limits_with_an_odd_member_are_still_limits() -> None:
    for odd in bends(table("usage")):
        if isinstance(odd, dict):
            wire_json.dumps(limits.from_usage(odd).as_json())


@given(st.dictionaries(st.sampled_from(sorted(table("headers"))), st.text(max_size=8)))
def test_limits_of_odd_headers_are_still_limits(headers: dict[str, str]) -> None:
    wire_json.dumps(limits.from_headers(headers).as_json())


# Law 6


MESSAGES = MessagesForm(MESSAGES_OPTIONS[2])
OLLAMA = OllamaForm(OLLAMA_OPTIONS[0])


def sent_back(reply: JsonObject) -> list[JsonObject]:
    """The input items of a request whose history is `reply` and the results of its calls."""
    message = reply["choices"][0]["message"]
    calls = message.get("tool_calls", [])
    messages = [{"role": "user", "content": "go on"}, message]
    messages += [
        {"role": "tool", "tool_call_id": call["id"], "content": f"result {n}"}
        for n, call in enumerate(calls)
    ]
    if "function_call" in message:
        name = message["function_call"]["name"]
        messages.append({"role": "function", "name": name, "content": "result 0"})
    request, _ = chat.from_client({"model": "m", "messages": messages})
    items: list[JsonObject] = chat.to_responses(request)["input"]
    return items[1:]


def assert_comes_back(data: bytes, form: chat.ReplyOptions) -> None:
    try:
        reply = chat.from_response(folded(events(data)), form, created=1)
    except CodexError:
        return
    message, items = reply["choices"][0]["message"], sent_back(reply)
    said = [item for item in items if item["type"] == "message"]
    parts = [part for item in said for part in item["content"]]
    assert "".join(part.get("text", "") for part in parts) == (message["content"] or "")
    assert "".join(part.get("refusal", "") for part in parts) == (message["refusal"] or "")
    calls = [item for item in items if item["type"].endswith("_call")]
    told = [call[call["type"]] for call in message.get("tool_calls", [])]
    told += [message["function_call"]] if "function_call" in message else []
    assert [(c["name"], c.get("arguments") or c.get("input")) for c in calls] == [
        (c["name"], c.get("arguments", c.get("input")) or ("{}" if "arguments" in c else ""))
        for c in told
    ]
    outputs = [item for item in items if item["type"].endswith("_output")]
    assert [item["type"] for item in outputs] == [f"{call['type']}_output" for call in calls]
    assert [item["call_id"] for item in outputs] == [call["call_id"] for call in calls]
    assert [item["output"] for item in outputs] == [f"result {n}" for n in range(len(told))]


@pytest.mark.parametrize("name", NAMES)
def test_a_reply_comes_back_without_loss(name: str) -> None:
    for form in CHAT_OPTIONS:
        assert_comes_back(wire(name), form)


@given(data=streams(), form=chat_options)
def test_a_made_reply_comes_back_without_loss(data: bytes, form: chat.ReplyOptions) -> None:
    assert_comes_back(data, form)


def assert_message_comes_back(data: bytes, form: MessagesForm) -> None:
    """The items of a request whose history is the reply are the output of the response, but for
    what the dialect has no place for."""
    try:
        reply = form.whole(response := folded(events(data)))
    except CodexError:
        return
    results = [
        {"type": "tool_result", "tool_use_id": block["id"], "content": "1"}
        for block in reply["content"]
        if block["type"] == "tool_use"
    ]
    messages = [
        {"role": "user", "content": "go on"},
        {"role": "assistant", "content": reply["content"]},
        {"role": "user", "content": [*results, {"type": "text", "text": "and?"}]},
    ]
    body = {"model": "asked", "max_tokens": 1, "messages": messages}
    sent = anthropic.from_client(body, model="m", reader=form.options.writer).sent["input"]
    assert [carried(item) for item in sent[1:-1] if carried(item)] == [
        carried(item) for item in response["output"] if carried(item)
    ]
    outputs = [item for item in sent if item["type"] == "function_call_output"]
    assert [item["call_id"] for item in outputs] == [block["tool_use_id"] for block in results]


def carried(item: JsonObject) -> object:
    """What comes back of an item: the words, the calls, the reasoning."""
    if item["type"] == "message":
        parts = item["content"] if item["role"] == "assistant" else []
        words = [part for part in parts if texts.role_of(part) in texts.ANSWER_ROLES]
        return "".join(map(texts.complete_text, words))
    if item["type"] == "reasoning":
        return item["id"], item["encrypted_content"]
    if item["type"] == "function_call":
        return item["call_id"], item["name"], json.loads(item["arguments"] or "{}")
    if item["type"] == "custom_tool_call":
        return item["call_id"], item["name"], {"input": item["input"]}
    return None


@pytest.mark.parametrize("name", NAMES)
def test_a_message_comes_back_without_loss(name: str) -> None:
    assert_message_comes_back(wire(name), MESSAGES)


@given(data=streams())
def test_a_made_message_comes_back_without_loss(data: bytes) -> None:
    assert_message_comes_back(data, MESSAGES)


def assert_ollama_comes_back(data: bytes) -> None:
    """The words and the calls of a reply, in the next request of a client that keeps no ids."""
    try:
        message = OLLAMA.whole(folded(events(data)))["message"]
    except CodexError:
        return
    functions = [call["function"] for call in message.get("tool_calls", ())]
    history = [
        {"role": "user", "content": "go on"},
        {**message, "tool_calls": [{"function": function} for function in functions]},
        *({"role": "tool", "content": f"result {n}"} for n in range(len(functions))),
    ]
    sent = ollama.from_client({"model": "m", "messages": history}, name="m", entry=None).sent
    items = sent["input"][1:]
    parts = [part for item in items if item["type"] == "message" for part in item["content"]]
    assert "".join(part["text"] for part in parts) == message["content"]
    calls = [item for item in items if item["type"] == "function_call"]
    assert [(call["name"], json.loads(call["arguments"])) for call in calls] == [
        (function["name"], function["arguments"]) for function in functions
    ]
    results = [(call["call_id"], f"result {n}") for n, call in enumerate(calls)]
    outputs = [item for item in items if item["type"] == "function_call_output"]
    assert [(output["call_id"], output["output"]) for output in outputs] == results
    assert len({*results}) == len(calls)


@pytest.mark.parametrize("name", NAMES)
def test_an_ollama_reply_comes_back_without_loss(name: str) -> None:
    assert_ollama_comes_back(wire(name))


@given(data=streams())
def test_a_made_ollama_reply_comes_back_without_loss(data: bytes) -> None:
    assert_ollama_comes_back(data)


@given(data=streams())
def test_the_output_of_a_response_is_good_input(data: bytes) -> None:
    output = responses.from_response(folded(events(data)), {}, 1)["output"]
    sent, _ = responses_from_client({"model": "m", "input": output})
    expected = [{k: v for k, v in item.items() if k != "status"} for item in output]
    assert sent["input"] == expected


# Law 7


SECRETS = ("sssecret-access", "sssecret-refresh", "sssecret-id")


def login(**more: object) -> JsonObject:
    tokens = dict(zip(("access_token", "refresh_token", "id_token"), SECRETS, strict=True))
    return {"auth_mode": "chatgpt", "tokens": {**tokens, "account_id": "acct-1"}, **more}


def assert_silent(*told: object) -> None:
    for text in (f"{thing!s} {thing!r}" for thing in told):
        assert not any(secret in text for secret in SECRETS), text


def test_credentials_do_not_show_their_tokens() -> None:
    credentials = auth_file.parse(json.dumps(login()).encode())
    assert credentials.access_token.reveal() == SECRETS[0]
    assert_silent(credentials, [credentials], f"{credentials}")


@given(
    content=bent(login()) | bent(login()).flatmap(bent),
    cut=st.integers(0, 400),
    tail=st.binary(max_size=3),
)
def test_a_broken_login_file_tells_no_token(content: Any, cut: int, tail: bytes) -> None:
    data = json.dumps(content).encode()
    for broken in (data, data[:cut], data[:cut] + tail, data + tail):
        try:
            assert_silent(auth_file.parse(broken))
        except NotLoggedIn as error:
            assert_silent(error, error.body(), "".join(traceback.format_exception(error)))


@given(reason=WORDS)
def test_a_refused_refresh_tells_no_token(reason: str) -> None:
    body = json.dumps({"error": {"code": reason, "message": SECRETS[1]}}).encode()
    error = auth_file.refresh_refused(401, body)
    assert_silent(error, error and error.body())
