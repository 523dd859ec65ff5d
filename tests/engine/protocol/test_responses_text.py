"""The plain text of a stream, and line ends that other standards know."""

from __future__ import annotations

import json

import pytest
from tests.engine.protocol.response_events import folded, step
from tests.wire_files import events, translated, wire

from codexapi_engine.protocol import responses, sse
from codexapi_engine.protocol.responses import texts

# Plain text


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("text", "Hello from the fake backend. ✓ naïve 日本語 🙂"),
        ("two_messages", "First answer.\n\nSecond answer."),
        ("refusal", "I'm sorry, but I can't help with that."),
        ("several_parts", "Zero.\n\nOne. Two: Oslo."),
        ("function_call", ""),
        ("lean", "Lean and quick."),
    ],
)
def test_text_streamed_is_text_folded(name: str, text: str) -> None:
    printer = responses.Text()
    assert "".join(printer.feed(event) for event in events(wire(name))) == text
    assert responses.text_of(folded(name)) == text


def test_a_part_of_a_message_that_is_no_answer_is_not_printed() -> None:
    """One whose type is not known is: nobody can say that it is none."""
    content = [
        {"type": "reasoning_text", "text": "I think. "},
        {"type": "output_text", "text": "Hello"},
        {"type": "hologram_text", "text": "!"},
    ]
    item = {"type": "message", "content": content}
    printer = responses.Text()
    done = step("response.output_item.done", output_index=0, item=item)
    assert printer.feed(done) == responses.text_of({"output": [item]}) == "Hello!"


def test_every_text_but_the_input_of_a_call_has_a_part() -> None:
    """Complete replies are made of the parts of finished items, so they would lack the text."""
    assert all(form.part for form in texts.TEXTS if form.role != "input")


def test_text_without_deltas_comes_when_it_is_done() -> None:
    printer = responses.Text()
    place = {"output_index": 0, "content_index": 0}
    assert printer.feed(step("response.output_text.delta", **place, delta="a")) == "a"
    assert printer.feed(step("response.output_text.done", **place, text="abc")) == "bc"
    assert printer.feed(step("response.output_text.done", **place, text="abc")) == ""


@pytest.mark.parametrize(
    ("verbatim", "name"), [(False, "response.completed"), (True, "response.done")]
)
def test_the_old_name_of_the_last_event_is_the_new_one_but_for_a_codex_client(
    verbatim: bool, name: str
) -> None:
    stream = responses.ResponseStream({}, created=1, verbatim=verbatim)
    out = [piece for event in events(wire("response_done_alias")) for piece in stream.feed(event)]
    (last,) = events(out[-2])
    assert last.type == last.json["type"] == name


def test_thoughts_come_in_pieces_with_a_blank_line_between_their_parts() -> None:
    told, at = responses.ReasoningText(), {"output_index": 0, "summary_index": 0}
    kind = "response.reasoning_summary_text"
    assert told.feed(step(f"{kind}.delta", **at, delta="a")) == "a"
    assert told.feed(step(f"{kind}.done", **at, text="abc")) == "bc"
    assert told.feed(step("response.output_text.delta", **at, content_index=0, delta="no")) == ""
    at = {"output_index": 0, "summary_index": 1}
    assert told.feed(step(f"{kind}.delta", **at, delta="d")) == "\n\nd"
    assert told.feed(step(f"{kind}.done", **at, text="d")) == ""


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("reasoning_summary", None),
        ("items_only_when_done", None),
        ("no_text_deltas", "I think."),
        ("deltas_without_their_item", "I think."),
        ("reasoning_text", "First I count the letters.\n\nThen I look again."),
    ],
)
def test_thoughts_are_told_whatever_the_model_leaves_out(name: str, text: str | None) -> None:
    thoughts = responses.ReasoningText()
    (item,) = [item for item in folded(name)["output"] if item["type"] == "reasoning"]
    parts = [*item["summary"], *item.get("content", ())]
    whole = "\n\n".join(part["text"] for part in parts)
    assert whole == (text or whole)
    assert "".join(thoughts.feed(event) for event in events(wire(name))) == whole


# Line ends of other standards.


@pytest.mark.parametrize("joined", [True, False])
def test_no_line_end_of_another_standard_is_left_in_a_stream(joined: bool) -> None:
    """A client that splits lines as Python does reads the same events."""
    decoder = sse.Decoder(coalesce=joined)
    stream = decoder.feed(wire("line_separators"))
    out, _ = translated(stream, responses.ResponseStream({}, created=1))
    lines = out.decode().splitlines()
    told = [json.loads(line[6:]) for line in lines if line.startswith("data: {")]
    deltas = [data["delta"] for data in told if data["type"].endswith("text.delta")]
    assert deltas == ["One\u2028two", "\u2029three\x85four"]
    assert len([line for line in lines if line]) == 2 * len(told) + 1
    again = decoder.feed(wire("line_separators"))
    codex, _ = translated(again, responses.ResponseStream({}, created=1, verbatim=True))
    assert "One\u2028two".encode() in codex, "as it came"
