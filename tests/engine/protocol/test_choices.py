"""Several choices of one reply: one envelope, one usage, one end; and chunks back into a reply."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from tests.chat_replies import added_up, chunks
from tests.streams import streams
from tests.wire_files import NAMES, events, translated, wire

from codexapi_engine.protocol import Event, JsonObject, chat, responses, sse
from codexapi_engine.protocol.choices import envelope_fields, merged, sum_usages, usage

FORM = chat.ReplyOptions("asked", include_usage=True)
TIERS = st.sampled_from([None, "priority"])
FORMS = st.builds(
    chat.ReplyOptions,
    model=st.just("asked"),
    include_usage=st.just(True),
    service_tier=TIERS,
    reasoning=st.booleans(),
    json=st.booleans(),
    legacy=st.booleans(),
)


def sent(*steps: JsonObject) -> list[Event]:
    return events(b"".join(sse.encode(step, step["type"]) for step in steps))


def created(name: str) -> JsonObject:
    response = {"id": f"resp_{name}", "created_at": 7, "model": "real"}
    return {"type": "response.created", "response": response}


def delta(text: str) -> JsonObject:
    place = {"item_id": "msg_1", "output_index": 0, "content_index": 0}
    return {"type": "response.output_text.delta", **place, "delta": text}


def ended(**more: Any) -> JsonObject:
    given = {"input_tokens": 3, "output_tokens": 2}
    return {"type": "response.completed", "response": {"id": "resp_1", "usage": given, **more}}


def in_turn(form: chat.ReplyOptions, *runs: list[Event]) -> bytes:
    """The stream of several runs, of which each says something in turn."""
    form = replace(form, n=len(runs))
    shared = chat.shared_envelope(form, created=1)
    machines = [chat.ChatStream(form, shared=shared, index=index) for index in range(len(runs))]
    out: list[bytes] = []
    for step in range(max(map(len, runs))):
        for machine, run in zip(machines, runs, strict=True):
            if step < len(run):
                out += machine.feed(run[step])
    for machine in machines:
        out += machine.close()
    return b"".join(out)


# One stream of several runs.


def test_the_chunks_of_several_choices_have_one_envelope_and_their_own_index() -> None:
    runs = [sent(created(name), delta(name), ended()) for name in "abc"]
    out = in_turn(FORM, *runs)
    given = chunks(out)
    assert {(c["id"], c["created"], c["model"]) for c in given} == {("chatcmpl-a", 7, "real")}
    order = [choice["index"] for chunk in given for choice in chunk["choices"]]
    assert order == [0, 0, 1, 1, 2, 2, 0, 1, 2], "a role and a text each, then the reasons"
    reply = chat.collected(given)
    assert [choice["index"] for choice in reply["choices"]] == [0, 1, 2]
    assert [choice["message"]["content"] for choice in reply["choices"]] == ["a", "b", "c"]
    assert [choice["finish_reason"] for choice in reply["choices"]] == ["stop"] * 3


def test_usage_is_summed_and_told_once_after_the_last_choice() -> None:
    out = in_turn(FORM, *[sent(created("a"), delta("x"), ended()) for _ in range(3)])
    *before, last = chunks(out)
    assert all(chunk["usage"] is None for chunk in before)
    assert last["choices"] == []
    assert last["usage"]["prompt_tokens"] == 9
    assert last["usage"]["total_tokens"] == 15
    assert out.endswith(sse.DONE)
    assert out.count(sse.DONE) == 1


@pytest.mark.parametrize("form", [FORM, replace(FORM, stop=("#",))])
def test_no_usage_is_made_up_where_a_run_told_none(form: chat.ReplyOptions) -> None:
    text = "x#" if form.stop else "x"
    silent = sent(created("a"), delta(text), ended(usage=None))
    out = in_turn(form, sent(created("b"), delta("y"), ended()), silent)
    assert chunks(out)[-1]["choices"], "no usage chunk"
    assert out.endswith(sse.DONE)


def test_a_choice_that_ends_early_leaves_the_others_to_go_on() -> None:
    short, long = sent(created("a"), delta("x"), ended()), sent(created("b"), *[delta("y")] * 5)
    shared = chat.shared_envelope(replace(FORM, n=2), created=1)
    first, second = (chat.ChatStream(FORM, shared=shared, index=index) for index in (0, 1))
    out = [piece for event in short for piece in first.feed(event)]
    assert first.finished
    assert sse.DONE not in b"".join(out)
    out += [piece for event in [*long, *sent(ended())] for piece in second.feed(event)]
    assert b"".join(out).count(sse.DONE) == 1
    assert chat.collected(chunks(b"".join(out)))["choices"][1]["message"]["content"] == "yyyyy"


# Whole replies of several runs.


def reply(text: str, given: JsonObject | None = None) -> JsonObject:
    choice = {"index": 0, "message": {"content": text}}
    made: JsonObject = {"id": f"chatcmpl-{text}", "choices": [choice]}
    return {**made, "usage": given} if given else made


def test_replies_become_one_of_which_the_first_gives_the_envelope() -> None:
    one = merged([reply("a"), reply("b")])
    assert one["id"] == "chatcmpl-a"
    assert [(c["index"], c["message"]["content"]) for c in one["choices"]] == [(0, "a"), (1, "b")]
    assert "usage" not in one


def test_a_single_reply_is_what_it_was() -> None:
    assert merged([reply("a", {"total_tokens": 1})]) == reply("a", {"total_tokens": 1})


def test_usage_is_summed_in_all_its_details() -> None:
    one = usage({"usage": {"input_tokens": 3, "output_tokens": 2, "input_tokens_details": {"cached_tokens": 1}}})  # fmt: skip
    two = usage({"usage": {"input_tokens": 4, "output_tokens": 5, "input_tokens_details": {"cache_write_tokens": 2}, "output_tokens_details": {"reasoning_tokens": 6}}})  # fmt: skip
    for pair in ([one, two], [two, one]):
        total = sum_usages(pair)
        assert total is not None
        assert [total[f"{kind}_tokens"] for kind in ("prompt", "completion", "total")] == [7, 7, 14]
        assert total["prompt_tokens_details"] == {
            "cached_tokens": 1, "cache_write_tokens": 2, "audio_tokens": 0,
        }  # fmt: skip
        assert total["completion_tokens_details"]["reasoning_tokens"] == 6
    assert sum_usages([one, None]) is None
    assert sum_usages([]) is None
    assert merged([reply("a", one), reply("b")]).get("usage") is None


@pytest.mark.parametrize(
    ("response", "said"),
    [
        (
            {"id": "resp_1", "created_at": 5.9, "model": "m"},
            {"id": "x-1", "created": 5, "model": "m"},
        ),
        ({}, {}),
        ({"id": 1, "created_at": "now", "model": ""}, {}),
    ],
)
def test_an_envelope_tells_only_what_the_backend_told(
    response: JsonObject, said: JsonObject
) -> None:
    assert envelope_fields(response, "x-") == said


# Chunks back into a whole reply.


def assert_collected(data: bytes, form: chat.ReplyOptions) -> None:
    """What we collect is what the whole road says, and what another adding machine says."""
    stream = events(data)
    out, error = translated(stream, chat.ChatStream(form, created=1))
    if error is not None:
        return
    given = chat.collected(chunks(out))
    assert given == added_up(out)
    assembler = responses.Assembler()
    for event in stream:
        assembler.feed(event)
    whole = chat.from_response(assembler.finish(), form, created=1)
    if form.service_tier:  # known at the end; chunks carry the one that was asked for
        whole["service_tier"] = form.service_tier
    assert given == whole


@pytest.mark.parametrize("name", NAMES)
def test_chunks_of_a_wire_are_collected_into_its_whole_reply(name: str) -> None:
    for form in (
        FORM,
        replace(FORM, reasoning=True),
        replace(FORM, legacy=True, json=True, service_tier="priority"),
    ):
        assert_collected(wire(name), form)


@given(data=streams(), form=FORMS)
def test_chunks_of_a_made_stream_are_collected_into_its_whole_reply(
    data: bytes, form: chat.ReplyOptions
) -> None:
    assert_collected(data, form)


@given(data=streams(), draw=st.data())
def test_content_is_cut_at_its_first_stop_sequence_and_nothing_else_is(
    data: bytes, draw: st.DataObject
) -> None:
    stream = events(data)
    form = replace(FORM, reasoning=True)
    out, error = translated(stream, chat.ChatStream(form, created=1))
    assume(error is None)
    whole = chat.collected(chunks(out))["choices"][0]
    content = whole["message"]["content"] or ""
    places = draw.draw(st.lists(st.integers(0, len(content)), min_size=1, max_size=3))
    stop = tuple(content[at : at + 3] or "?" for at in places)
    cut, error = translated(stream, chat.ChatStream(replace(form, stop=stop), created=1))
    assert error is None
    assert cut.endswith(sse.DONE)
    assert cut.count(sse.DONE) == 1
    ended = chat.collected(chunks(cut))["choices"][0]
    ends = [(at + len(word), at) for word in stop if (at := content.find(word)) >= 0]
    if not ends:
        assert ended == whole
        return
    assert (ended["message"]["content"] or "") == content[: min(ends)[1]]
    # Calls that had begun are whole, and none begins behind the end.
    calls = ended["message"].get("tool_calls", [])
    assert calls == whole["message"].get("tool_calls", [])[: len(calls)]
    assert ended["finish_reason"] == ("tool_calls" if calls else "stop")


def test_what_is_not_content_is_never_cut() -> None:
    call = {"type": "function_call", "call_id": "call_1", "name": "f", "arguments": ""}
    place: JsonObject = {"output_index": 1}
    summary: JsonObject = {"output_index": 0, "summary_index": 0, "delta": "a#b"}
    steps = [
        {"type": "response.reasoning_summary_text.delta", **summary},
        {"type": "response.output_item.added", **place, "item": call},
        {"type": "response.function_call_arguments.delta", **place, "delta": '{"a":"#'},
        {"type": "response.function_call_arguments.delta", **place, "delta": '#"}'},
        {"type": "response.refusal.delta", "output_index": 2, "content_index": 0, "delta": "no#"},
        ended(),
    ]
    form = replace(FORM, stop=("#",), reasoning=True)
    out, error = translated(sent(*steps), chat.ChatStream(form, created=1))
    assert error is None
    (choice,) = chat.collected(chunks(out))["choices"]
    assert choice["message"]["reasoning_content"] == "a#b"
    assert choice["message"]["tool_calls"][0]["function"]["arguments"] == '{"a":"##"}'
    assert choice["message"]["refusal"] == "no#"
    assert choice["finish_reason"] == "tool_calls"
    assert chunks(out)[-1]["usage"]["total_tokens"] == 5


def test_a_call_that_has_begun_is_whole_before_the_end() -> None:
    call = {"type": "function_call", "call_id": "call_1", "name": "f", "arguments": ""}
    late = {**call, "call_id": "call_2"}
    place: JsonObject = {"output_index": 1}
    added, more = "response.output_item.added", "response.function_call_arguments.delta"
    stream = chat.ChatStream(replace(FORM, stop=("#",)), created=1)
    out: list[bytes] = []
    for step in (
        {"type": added, **place, "item": call},
        {"type": more, **place, "delta": '{"a'},
        delta("one#two"),
        delta("three"),
        {"type": added, "output_index": 2, "item": late},
        {"type": more, **place, "delta": '":1}'},
    ):
        out += [piece for event in sent(step) for piece in stream.feed(event)]
    assert not stream.finished
    done = {"type": "response.output_item.done", **place, "item": {**call, "arguments": '{"a":1}'}}
    out += [piece for event in sent(done) for piece in stream.feed(event)]
    assert stream.finished
    (choice,) = chat.collected(chunks(b"".join(out)))["choices"]
    (told,) = choice["message"]["tool_calls"]
    assert told["function"]["arguments"] == '{"a":1}'
    assert (choice["message"]["content"], choice["finish_reason"]) == ("one", "tool_calls")


def test_text_that_could_begin_a_stop_sequence_is_held_back_until_it_is_known() -> None:
    stream = chat.ChatStream(replace(FORM, stop=("###",)), created=1)
    said: list[str] = []
    for text in ("one", "#", "#", "!", "##"):
        out = b"".join(piece for event in sent(delta(text)) for piece in stream.feed(event))
        told = (choice["delta"] for chunk in chunks(out) for choice in chunk["choices"])
        said.append("".join(piece["content"] for piece in told))
    assert said == ["one", "", "", "##!", ""]
    out = b"".join(piece for event in sent(ended()) for piece in stream.feed(event))
    assert chunks(out)[0]["choices"][0]["delta"] == {"content": "##"}
