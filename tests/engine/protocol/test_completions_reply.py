"""A legacy Completions reply: two roads, one reply."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from openai.types import Completion
from tests.chat_replies import chunks
from tests.streams import CUTS, streams
from tests.wire_files import NAMES, events, translated, wire

from codexapi_engine.errors import CodexError
from codexapi_engine.protocol import Event, JsonObject, completions, responses, sse
from codexapi_engine.protocol.choices import SharedEnvelope

CREATED = 1

FORMS = [
    completions.CompletionOptions("asked", echo, stop)
    for echo in ("", "Once upon a time ")
    for stop in ((), ("e",), ("ell", "\n\n"), ("never to be said",))
]


def together(choices: int = 1, *, include_usage: bool = False) -> SharedEnvelope:
    asked: JsonObject = {"model": "asked", "prompt": "x", "stream": True}
    if include_usage:
        asked["stream_options"] = {"include_usage": True}
    request, _ = completions.from_client(asked)
    return completions.shared_envelope(request, choices, created=CREATED)


def streamed(
    stream: list[Event], form: completions.CompletionOptions, *, include_usage: bool = True
) -> tuple[bytes, CodexError | None]:
    shared = together(include_usage=include_usage)
    return translated(stream, completions.CompletionStream(form, shared))


def whole(stream: list[Event], form: completions.CompletionOptions) -> JsonObject:
    assembler = responses.Assembler()
    for event in stream:
        assembler.feed(event)
    return completions.from_response(assembler.finish(), form, created=CREATED)


def added_up(out: bytes) -> JsonObject:
    """What a client makes of the chunks, by a way of its own."""
    told = chunks(out)
    choices = [choice for chunk in told for choice in chunk["choices"]]
    text = "".join(choice["text"] for choice in choices)
    reason = choices[-1]["finish_reason"]
    total: JsonObject = {name: told[0][name] for name in ("id", "object", "created", "model")}
    total["choices"] = [{"text": text, "index": 0, "logprobs": None, "finish_reason": reason}]
    if usage := told[-1].get("usage"):
        total["usage"] = usage
    return total


def cut(reply: JsonObject, form: completions.CompletionOptions) -> JsonObject:
    """The reply of a run that went on behind its stop sequence, as the one that ended there."""
    choice = reply["choices"][0]
    text = choice["text"].removeprefix(form.echo)
    ends = [(at + len(word), at) for word in form.stop if (at := text.find(word)) >= 0]
    if not ends:
        return reply
    ended = {**choice, "text": form.echo + text[: min(ends)[1]], "finish_reason": "stop"}
    return {name: value for name, value in reply.items() if name != "usage"} | {"choices": [ended]}


def assert_one_reply(data: bytes, form: completions.CompletionOptions) -> None:
    """Either both roads fail with one error, or both give one reply."""
    stream = events(data)
    out, error = streamed(stream, form)
    if error is not None:
        with pytest.raises(type(error)) as other:
            whole(stream, form)
        assert other.value.body() == error.body()
        return
    made = added_up(out)
    assert completions.collected(chunks(out)) == made
    try:
        expected = cut(whole(stream, form), form)
    except CodexError:  # behind the stop sequence, where nobody reads on
        assert made["choices"][0]["finish_reason"] == "stop"
        assert form.stop
        return
    assert made == expected
    Completion.model_validate(made, strict=True)


@pytest.mark.parametrize("name", NAMES)
def test_chunks_add_up_to_the_whole_reply(name: str) -> None:
    for form in FORMS:
        assert_one_reply(wire(name), form)


@given(data=streams(), form=st.sampled_from(FORMS))
def test_chunks_of_a_made_stream_add_up_to_the_whole_reply(
    data: bytes, form: completions.CompletionOptions
) -> None:
    assert_one_reply(data, form)


@given(data=streams(), form=st.sampled_from(FORMS), cuts=CUTS)
def test_where_the_network_cuts_does_not_matter(
    data: bytes, form: completions.CompletionOptions, cuts: list[int]
) -> None:
    out, error = streamed(events(data, cuts), form)
    other, like = streamed(events(data), form)
    assert out == other
    assert (type(error), str(error)) == (type(like), str(like))


@given(data=streams(), form=st.sampled_from(FORMS), include_usage=st.booleans())
def test_a_stream_is_well_formed(
    data: bytes, form: completions.CompletionOptions, include_usage: bool
) -> None:
    out, error = streamed(events(data), form, include_usage=include_usage)
    told = chunks(out)
    for chunk in told:
        assert set(chunk) - {"usage", "error"} == {"id", "object", "created", "model", "choices"}
        assert chunk["object"] == "text_completion"
    for name in ("created", "model"):
        assert len({chunk[name] for chunk in told}) == 1
    if error is not None:
        assert told[-1]["error"] == error.body()
        assert sse.DONE not in out
        return
    assert out.endswith(sse.DONE)
    assert out.count(sse.DONE) == 1
    assert {chunk["id"] for chunk in told} == {"cmpl-0001"}
    if not include_usage:
        assert not any("usage" in chunk for chunk in told)
    elif not told[-1]["choices"]:
        assert told.pop()["usage"]["total_tokens"] >= 0
    reasons = [chunk["choices"][0]["finish_reason"] for chunk in told]
    assert reasons[:-1] == [None] * (len(reasons) - 1)
    assert reasons[-1] in ("stop", "length", "content_filter")


# What is said, and when.


def sent(*steps: JsonObject) -> list[Event]:
    return events(b"".join(sse.encode(step, step["type"]) for step in steps))


def delta(text: str) -> JsonObject:
    place = {"item_id": "msg_1", "output_index": 0, "content_index": 0}
    return {"type": "response.output_text.delta", **place, "delta": text}


def ended(**more: Any) -> JsonObject:
    usage = {"input_tokens": 3, "output_tokens": 2}
    return {"type": "response.completed", "response": {"id": "resp_1", "usage": usage, **more}}


def texts(out: bytes) -> list[str]:
    return [choice["text"] for chunk in chunks(out) for choice in chunk["choices"]]


def test_the_prompt_is_echoed_once_before_the_text() -> None:
    form = completions.CompletionOptions("m", echo="Once ")
    out, _ = streamed(sent(delta("upon"), delta(" a time"), ended()), form)
    assert texts(out) == ["Once upon", " a time", ""]


def test_the_prompt_is_echoed_before_an_empty_text_too() -> None:
    form = completions.CompletionOptions("m", echo="Once ", stop=("upon",))
    out, error = streamed(sent(delta("upon"), ended()), form)
    assert error is None
    assert texts(out) == ["Once "]


def test_a_prompt_is_no_answer() -> None:
    out, error = streamed(sent(ended()), completions.CompletionOptions("m", echo="Once "))
    assert error is not None
    assert error.code == "upstream_empty_response"
    assert "Once" not in "".join(texts(out))


@pytest.mark.parametrize(
    ("deltas", "said"),
    [
        (["one", "\n", "two"], ["one", ""]),
        (["one#", "#", "#two"], ["one", ""]),
        (["one#", "#", "two###"], ["one", "##two", ""]),
        (["one##"], ["one", "##", ""]),
        (["###"], [""]),
    ],
)
def test_text_ends_before_a_stop_sequence_even_across_deltas(
    deltas: list[str], said: list[str]
) -> None:
    form = completions.CompletionOptions("m", stop=("\n", "###"))
    out, _ = streamed(sent(*map(delta, deltas), ended()), form, include_usage=False)
    assert texts(out) == said
    assert chunks(out)[-1]["choices"][0]["finish_reason"] == "stop"


def test_nothing_follows_a_stop_sequence() -> None:
    stream = completions.CompletionStream(
        completions.CompletionOptions("m", stop=("#",)), together()
    )
    first, second, last = sent(delta("one#"), delta("two"), ended())
    assert b"".join(stream.feed(first)).endswith(sse.DONE)
    assert stream.finished
    assert [*stream.feed(second), *stream.feed(last), *stream.close()] == []


def test_text_that_was_not_streamed_comes_with_its_item() -> None:
    part = {"type": "output_text", "text": "One two"}
    item = {"type": "message", "role": "assistant", "content": [part]}
    done = {"type": "response.output_item.done", "output_index": 0, "item": item}
    for before, said in (([], ["One two", ""]), ([delta("One")], ["One", " two", ""])):
        out, _ = streamed(
            sent(*before, done, ended(output=[item])), completions.CompletionOptions("m")
        )
        assert texts(out) == said


@pytest.mark.parametrize(
    ("reason", "told"), [("max_output_tokens", "length"), ("content_filter", "content_filter")]
)
def test_an_answer_that_was_cut_says_why(reason: str, told: str) -> None:
    end = {**ended(incomplete_details={"reason": reason}), "type": "response.incomplete"}
    out, _ = streamed(
        sent(delta("One"), end), completions.CompletionOptions("m"), include_usage=False
    )
    assert chunks(out)[-1]["choices"][0]["finish_reason"] == told


def test_usage_comes_last_and_is_null_before() -> None:
    out, _ = streamed(sent(delta("One"), ended()), completions.CompletionOptions("m"))
    *before, last = chunks(out)
    assert [chunk["usage"] for chunk in before] == [None, None]
    assert (last["choices"], last["usage"]["total_tokens"]) == ([], 5)


def test_a_failure_is_one_last_chunk() -> None:
    failed = {"type": "response.failed", "response": {"error": {"code": "slow_down"}}}
    out, error = streamed(sent(delta("One"), failed), completions.CompletionOptions("m"))
    assert error is not None
    assert [chunk.get("error") for chunk in chunks(out)] == [None, error.body()]
    assert sse.DONE not in out
