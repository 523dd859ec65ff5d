"""Chat Completions replies: what no law says."""

from __future__ import annotations

from typing import Any

import pytest
from openai.types.chat import ChatCompletion, ChatCompletionChunk
from tests.chat_replies import added_up, chunks
from tests.wire_files import NAMES, events, translated, wire

from codexapi_engine.errors import BackendError, CodexError, StreamInterrupted, TimedOut
from codexapi_engine.protocol import JsonObject, chat, responses, sse

FORM = chat.ReplyOptions("asked")
FULL = chat.ReplyOptions("asked", include_usage=True, service_tier="priority", reasoning=True)


def stream(name: str, form: chat.ReplyOptions = FORM) -> bytes:
    out, error = translated(events(wire(name)), chat.ChatStream(form, created=1))
    assert error is None
    return out


def message(name: str, form: chat.ReplyOptions = FORM) -> JsonObject:
    found: JsonObject = added_up(stream(name, form))["choices"][0]["message"]
    return found


def deltas(name: str, form: chat.ReplyOptions = FORM) -> list[JsonObject]:
    return [choice["delta"] for chunk in chunks(stream(name, form)) for choice in chunk["choices"]]


def folded(name: str) -> JsonObject:
    assembler = responses.Assembler()
    for event in events(wire(name)):
        assembler.feed(event)
    return assembler.finish()


GOOD = [
    name
    for name in NAMES
    if translated(events(wire(name)), chat.ChatStream(FORM, created=1))[1] is None
]


CUSTOM = ("custom_tool_call", "items_only_when_done")  # whose calls the types do not know


@pytest.mark.parametrize("name", [name for name in GOOD if name not in CUSTOM])
def test_the_official_types_take_both_roads(name: str) -> None:
    for chunk in chunks(stream(name, FULL)):
        ChatCompletionChunk.model_validate(chunk, strict=True)
    whole = chat.from_response(folded(name), FULL, created=1)
    ChatCompletion.model_validate(whole)


def test_a_text_comes_in_the_pieces_of_the_backend() -> None:
    assert deltas("text") == [
        {"role": "assistant", "content": "", "refusal": None},
        *({"content": piece} for piece in ["Hel", "lo", " from", " the", " fake", " backend", ". ", "✓ naïve 日本語 🙂"]),
        {},
    ]  # fmt: skip


def test_the_envelope_is_the_backends() -> None:
    chunk = chunks(stream("text"))[0]
    assert chunk == {
        "id": "chatcmpl-000000000000000000000000text", "object": "chat.completion.chunk",
        "created": 1795332000, "model": "gpt-6.1-sol", "choices": chunk["choices"],
    }  # fmt: skip


def test_a_lean_backend_leaves_the_envelope_to_us() -> None:
    chunk = chunks(stream("minimal_for_codex_exec"))[0]
    assert (chunk["id"], chunk["created"], chunk["model"]) == ("chatcmpl-1", 1, "asked")


def test_first_tool_call_after_reasoning_has_index_zero() -> None:
    calls = [
        delta["tool_calls"][0]
        for delta in deltas("function_calls_parallel")
        if "tool_calls" in delta
    ]
    assert [call["index"] for call in calls if "id" in call] == [0, 1]
    assert calls[0] == {
        "index": 0, "id": "call_0001", "type": "function", "function": {"name": "get_weather", "arguments": ""},
    }  # fmt: skip
    assert deltas("function_calls_parallel")[0]["content"] is None


@pytest.mark.parametrize(
    ("name", "arguments"),
    [
        ("function_call", ['{"location": "Paris", "unit": "C"}']),
        ("tool_call_without_deltas", ['{"location": "Paris"}', "{}"]),
        ("interleaved_tool_calls", ['{"location": "Oslo"}', '{"zone": "CET"}']),
    ],
)
def test_arguments_are_whole(name: str, arguments: list[str]) -> None:
    assert [call["function"]["arguments"] for call in message(name)["tool_calls"]] == arguments


def test_a_custom_call_keeps_its_input() -> None:
    (call,) = message("custom_tool_call")["tool_calls"]
    assert call == {
        "id": "call_0001", "type": "custom", "custom": {"name": "run_sql", "input": "SELECT name\nFROM cities;"},
    }  # fmt: skip


def test_the_legacy_form_tells_the_first_call_only() -> None:
    form = chat.ReplyOptions("asked", legacy=True)
    told = message("function_calls_parallel", form)
    assert told["function_call"] == {"name": "get_weather", "arguments": '{"location": "Paris"}'}
    assert "tool_calls" not in told
    assert (
        chunks(stream("function_call", form))[-1]["choices"][0]["finish_reason"] == "function_call"
    )


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("two_messages", "First answer.\n\nSecond answer."),
        ("several_parts", "Zero.\n\nOne. Two: Oslo."),
        ("minimal_for_codex_exec", "Hello from fake"),
        ("output_only_at_the_end", "Told once, at the end."),
        ("populated_output", "All of it is told twice."),
        ("codex_rate_limits_and_keepalive", "Still here."),
        ("unknown_event", "A cube."),
        ("refusal", None),
        ("commentary_then_final", 'I will look at the numbers.\n\n{"sum": 4}'),
    ],
)
def test_the_content_is_all_messages(name: str, content: str | None) -> None:
    assert message(name)["content"] == content


def test_a_refusal_is_no_content() -> None:
    assert message("refusal")["refusal"] == "I'm sorry, but I can't help with that."


def test_commentary_is_no_part_of_json() -> None:
    told = message("commentary_then_final", chat.ReplyOptions("asked", json=True, reasoning=True))
    assert told["content"] == '{"sum": 4}'
    assert told["reasoning_content"] == "I will look at the numbers."
    assert "reasoning_content" not in message(
        "commentary_then_final", chat.ReplyOptions("asked", json=True)
    )


def test_reasoning_is_told_when_asked_for() -> None:
    told = message("reasoning_summary", FULL)
    assert told["reasoning_content"].count("\n\n") == 3
    assert deltas("reasoning_summary", FULL)[0]["content"] is None
    assert "reasoning_content" not in message("reasoning_summary")


@pytest.mark.parametrize(("name", "text"), [("web_search", "Paris"), ("several_parts", " Oslo")])
def test_a_citation_points_into_the_content(name: str, text: str) -> None:
    told = message(name)
    (annotation,) = told["annotations"]
    place = annotation["url_citation"]
    assert told["content"][place["start_index"] : place["end_index"]] == text


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("text", "stop"), ("refusal", "stop"), ("response_done_alias", "stop"),
        ("function_call", "tool_calls"), ("custom_tool_call", "tool_calls"),
        ("incomplete_max_output_tokens", "length"), ("incomplete_content_filter", "content_filter"),
    ],
)  # fmt: skip
def test_the_reason_why_it_ended(name: str, reason: str) -> None:
    assert chunks(stream(name))[-1]["choices"][0]["finish_reason"] == reason
    assert (
        chat.from_response(folded(name), FORM, created=1)["choices"][0]["finish_reason"] == reason
    )


def test_usage_is_the_last_chunk_and_null_before() -> None:
    *before, last = chunks(stream("text", FULL))
    assert [chunk["usage"] for chunk in before] == [None] * len(before)
    assert last["choices"] == []
    assert last["usage"] == {
        "prompt_tokens": 1200, "completion_tokens": 37, "total_tokens": 1237,
        "prompt_tokens_details": {"cached_tokens": 1024, "audio_tokens": 0, "cache_write_tokens": 0},
        "completion_tokens_details": {
            "reasoning_tokens": 12, "audio_tokens": 0, "accepted_prediction_tokens": 0, "rejected_prediction_tokens": 0,
        },
    }  # fmt: skip


def test_usage_that_nobody_told_is_left_out() -> None:
    ended = {**folded("text"), "usage": None}
    assert "usage" not in chat.from_response(ended, FULL, created=1)
    bare = {**folded("text"), "usage": {"input_tokens": 2, "output_tokens": 3}}
    assert chat.from_response(bare, FULL, created=1)["usage"]["total_tokens"] == 5


def test_the_tier_is_told_when_asked_for() -> None:
    assert {chunk.get("service_tier") for chunk in chunks(stream("text", FULL))[:-1]} == {
        "priority"
    }
    assert chat.from_response(folded("text"), FULL, created=1)["service_tier"] == "default"
    assert chat.from_response(folded("lean"), FULL, created=1)["service_tier"] == "priority"
    assert "service_tier" not in chat.from_response(folded("text"), FORM, created=1)


def test_a_run_that_says_nothing_is_an_error() -> None:
    out, error = translated(events(wire("empty_answer")), chat.ChatStream(FORM, created=1))
    assert isinstance(error, BackendError)
    assert error.code == "upstream_empty_response"
    assert b"[DONE]" not in out
    with pytest.raises(BackendError, match="without an answer"):
        chat.from_response(folded("empty_answer"), FORM, created=1)


def test_a_cut_off_run_may_say_nothing() -> None:
    ended = {
        "output": [],
        "status": "incomplete",
        "incomplete_details": {"reason": "max_output_tokens"},
    }
    choice = chat.from_response(ended, FORM, created=1)["choices"][0]
    assert (choice["finish_reason"], choice["message"]["content"]) == ("length", "")


def test_a_stream_without_its_last_event_is_an_error() -> None:
    translator = chat.ChatStream(FORM, created=1)
    with pytest.raises(StreamInterrupted):
        translator.close()


def test_a_failure_is_one_chunk_with_an_error() -> None:
    translator = chat.ChatStream(FULL, created=1)
    list(translator.feed(events(wire("text"))[0]))
    (out,) = translator.fail(TimedOut("too slow"))
    (chunk,) = chunks(out)
    assert chunk["error"] == {
        "message": "too slow",
        "type": "server_error",
        "param": None,
        "code": "upstream_timeout",
    }
    assert chunk["choices"][0]["finish_reason"] is None
    assert list(translator.close()) == []
    assert list(translator.feed(events(wire("text"))[-1])) == []


@pytest.mark.parametrize("name", [name for name in NAMES if name.startswith(("failed", "error"))])
def test_a_failed_run_is_raised(name: str) -> None:
    translator = chat.ChatStream(FORM, created=1)
    *before, last = events(wire(name))
    for event in before:
        list(translator.feed(event))
    with pytest.raises(CodexError):
        translator.feed(last)


def made(*steps: tuple[str, Any]) -> bytes:
    return b"".join(sse.encode({"type": kind, **data}, kind) for kind, data in steps)


def test_input_of_an_unknown_call_is_nothing() -> None:
    done: JsonObject = {"response": {"output": [], "status": "completed"}}
    data = made(
        ("response.function_call_arguments.delta", {"output_index": 3, "delta": "{"}),
        ("response.output_text.delta", {"output_index": 4, "content_index": 0, "delta": "x"}),
        ("response.completed", done),
    )
    out, error = translated(events(data), chat.ChatStream(FORM, created=1))
    assert error is None
    assert added_up(out)["choices"][0]["message"]["content"] == "x"


def test_what_was_written_is_not_taken_back() -> None:
    item = {"type": "message", "content": [{"type": "output_text", "text": "other"}]}
    data = made(
        ("response.output_text.delta", {"output_index": 0, "content_index": 0, "delta": "one"}),
        ("response.output_item.done", {"output_index": 0, "item": item}),
        ("response.completed", {"response": {}}),
    )
    out, _ = translated(events(data), chat.ChatStream(FORM, created=1))
    assert added_up(out)["choices"][0]["message"]["content"] == "one"
    assert sse.DONE in out


NASTY = ['a"b\\', "%b%d{}", "é\u2028", "\ud83d", '"choices":[{"delta":']


@pytest.mark.parametrize("tier", [None, *NASTY])
@pytest.mark.parametrize("model", NASTY)
def test_a_chunk_is_what_json_says_it_is(model: str, tier: str | None) -> None:
    """Most of it is written once for many: as it would be for each."""
    form = chat.ReplyOptions(model, include_usage=True, service_tier=tier)
    stream = chat.ChatStream(form, created=7, index=1)
    said = stream._chunk({"content": "x"})
    choice = {"index": 1, "delta": {"content": "x"}, "logprobs": None, "finish_reason": None}
    whole = {
        "id": "chatcmpl-", "object": "chat.completion.chunk", "created": 7, "model": model,
        "usage": None, "choices": [choice], **({"service_tier": tier} if tier else {}),
    }  # fmt: skip
    assert said == sse.encode(whole)
    (failed,) = stream.fail(StreamInterrupted("cut"))
    whole["choices"] = [{**choice, "delta": {}}]
    assert failed == sse.encode({**whole, "error": StreamInterrupted("cut").body()})


def test_an_envelope_that_is_told_late_is_in_all_chunks_from_there_on() -> None:
    shared = chat.reply.shared_envelope(chat.ReplyOptions("m", n=2), created=1)
    one, other = (
        chat.ChatStream(chat.ReplyOptions("m", n=2), shared=shared, index=n) for n in range(2)
    )
    assert b'"id":"chatcmpl-",' in one._chunk({})
    told = {"type": "response.created", "response": {"id": "resp_7"}}
    for event in events(sse.encode(told, "response.created")):
        other.feed(event)
    assert b'"id":"chatcmpl-7",' in one._chunk({})
    assert b'"id":"chatcmpl-7",' in other._chunk({})


# What some models leave out.


@pytest.mark.parametrize(
    ("name", "content", "arguments"),
    [
        ("no_text_deltas", "Hello there.\n\nGood bye.", ["{}"]),
        ("some_deltas_missing", "One two three.", ['{"location": "Rome"}']),
        ("deltas_without_their_item", "Hello from nowhere.", ['{"location": "Oslo"}']),
        ("deltas_then_output_at_the_end", "Only deltas.", []),
        ("no_content_parts", "No parts.", []),
    ],
)
def test_what_is_left_out_is_made_up(name: str, content: str, arguments: list[str]) -> None:
    told = message(name)
    assert told["content"] == content
    calls = [call["function"]["arguments"] for call in told.get("tool_calls", [])]
    assert calls == arguments


def test_an_item_that_only_the_last_event_tells_is_told_beside_others() -> None:
    said = {"id": "msg_1", "type": "message", "content": [{"type": "output_text", "text": "Hm."}]}
    call = {"id": "fc_1", "type": "function_call", "call_id": "c", "name": "f", "arguments": "{}"}
    data = made(
        ("response.output_item.done", {"output_index": 0, "item": said}),
        ("response.completed", {"response": {"output": [said, call]}}),
    )
    out, error = translated(events(data), chat.ChatStream(FORM, created=1))
    assert error is None
    told = added_up(out)["choices"][0]["message"]
    assert told["content"] == "Hm."
    assert [each["function"] for each in told["tool_calls"]] == [{"name": "f", "arguments": "{}"}]


@pytest.mark.parametrize(
    ("tier", "told"),
    [("priority", "priority"), ("auto", "auto"), ("scale", None), (None, None)],
)
def test_a_tier_that_is_ignored_is_not_told(tier: str | None, told: str | None) -> None:
    body: JsonObject = {"model": "m", "messages": [{"role": "user", "content": "hi"}]}
    asked, _ = chat.from_client({**body, "service_tier": tier})
    given = chunks(stream("lean", chat.form(asked)))
    assert {chunk.get("service_tier") for chunk in given} == {told}
    _, form, _ = chat.mixed.from_client({"model": "m", "input": "hi", "service_tier": tier})
    assert form.service_tier == told


# Namespaces.


def test_a_call_names_its_namespace_and_brings_it_back() -> None:
    """Two servers may both have a `search`: without it nobody can tell whose is meant."""
    functions = [
        {"name": "search", "namespace": "crm", "arguments": '{"q":"a"}'},
        {"name": "search", "namespace": "wiki", "arguments": '{"q":"b"}'},
    ]
    whole = chat.from_response(folded("namespace_calls"), FORM, created=1)
    answer = whole["choices"][0]["message"]
    collected = chat.collected(chunks(stream("namespace_calls")))["choices"][0]["message"]
    for told in (answer, message("namespace_calls"), collected):
        assert [call["function"] for call in told["tool_calls"]] == functions
    results = [
        {"role": "tool", "tool_call_id": call["id"], "content": "x"}
        for call in answer["tool_calls"]
    ]
    asked, _ = chat.from_client({"model": "m", "messages": [answer, *results]})
    items = chat.to_responses(asked)["input"]
    assert [item["namespace"] for item in items if item["type"] == "function_call"] == [
        "crm",
        "wiki",
    ]


def test_a_call_without_a_namespace_has_no_such_field() -> None:
    assert "namespace" not in message("function_call")["tool_calls"][0]["function"]


# Line ends of other standards.


@pytest.mark.parametrize("joined", [True, False])
def test_no_line_end_of_another_standard_is_left_in_a_stream(joined: bool) -> None:
    """However the chunks are made: a client that splits lines as Python does reads the same."""
    odd = "a\u2028b\u2029c\x85"
    place = {"output_index": 0, "content_index": 0}
    data = made(
        ("response.created", {"response": {"id": "r", "model": odd}}),
        *[("response.output_text.delta", {**place, "delta": f"{n}{odd}"}) for n in range(9)],
        ("response.completed", {"response": {}}),
    )
    pieces = [data] if joined else [piece + b"\n\n" for piece in data.split(b"\n\n") if piece]
    decoder = sse.Decoder(coalesce=True)
    stream = [event for piece in pieces for event in decoder.feed(piece)]
    out, _ = translated(
        stream, chat.ChatStream(chat.ReplyOptions(odd, service_tier=odd), created=1)
    )
    lines = out.decode().splitlines()
    read = [sse.Event(line.encode()).json for line in lines if line.startswith("data: {")]
    assert len([line for line in lines if line]) == len(read) + 1
    content = "".join(one["choices"][0]["delta"].get("content") or "" for one in read)
    assert content == "".join(f"{n}{odd}" for n in range(9))
    assert {one["model"] for one in read} == {odd}
    assert {one["service_tier"] for one in read} == {odd}
