"""What the official API would have said, where the backend does not: item by item."""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Any

import pytest
from tests.grammar import assert_official
from tests.wire_files import events, translated, wire

from codexapi_engine.errors import CodexError, StreamInterrupted
from codexapi_engine.protocol import JsonObject, responses, sse
from codexapi_engine.protocol.responses.public import replay
from codexapi_engine.protocol.sse import Event

ADDED, DONE = "response.output_item.added", "response.output_item.done"
TEXT, ARGUMENTS = "response.output_text", "response.function_call_arguments"
CREATED: JsonObject = {"type": "response.created", "response": {"id": "r"}}
COMPLETED: JsonObject = {"type": "response.completed", "response": {"id": "r"}}
CALL: JsonObject = {
    "id": "fc_0", "type": "function_call", "call_id": "c", "name": "f", "arguments": '{"a":1}',
    "status": "completed",
}  # fmt: skip
PLACE: JsonObject = {"item_id": "msg_0", "output_index": 0, "content_index": 0}
MADE_UP = [
    "items_only_when_done", "no_text_deltas", "some_deltas_missing", "deltas_without_their_item",
    "deltas_then_output_at_the_end", "no_content_parts", "tool_call_without_deltas",
    "output_only_at_the_end", "minimal_for_codex_exec", "compaction",
]  # fmt: skip


def message(*texts: str) -> JsonObject:
    content = [{"type": "output_text", "text": text, "annotations": []} for text in texts]
    head = {"id": "msg_0", "type": "message", "role": "assistant", "status": "completed"}
    return {**head, "content": content}


def told(*given: JsonObject, numbered: bool = True, **more: Any) -> list[JsonObject]:
    """What a client gets of these events, between a beginning and an end."""
    stream = [
        {**({"sequence_number": number} if numbered else {}), **data}
        for number, data in enumerate((CREATED, *given, COMPLETED))
    ]
    out, error = translated(framed(stream), responses.ResponseStream({}, created=1, **more))
    assert error is None
    assert out.endswith(sse.DONE)
    return [event.json for event in events(out.removesuffix(sse.DONE))]


def framed(stream: Iterable[JsonObject]) -> list[Event]:
    return [event for data in stream for event in events(sse.encode(data, data["type"]))]


def kinds(stream: list[JsonObject]) -> list[str]:
    return [data["type"] for data in stream[1:-1]]


@pytest.mark.parametrize("name", MADE_UP)
def test_the_checker_refuses_what_is_mended_here(name: str) -> None:
    with pytest.raises((AssertionError, IndexError, KeyError)):
        assert_official([event.json for event in events(wire(name))])


@pytest.mark.parametrize("name", ["function_call", "reasoning_summary", "refusal", "web_search"])
def test_the_checker_takes_what_is_in_order(name: str) -> None:
    stream = [event.json for event in events(wire(name))]
    done = [data["item"] for data in stream if data["type"] == DONE]
    stream[-1]["response"]["output"] = done
    assert assert_official(stream) == done


def test_a_message_that_comes_whole_is_told_as_if_it_had_been_written() -> None:
    cite = {"type": "url_citation", "start_index": 0, "end_index": 2, "title": "t", "url": "u"}
    item = message("Hi there")
    item["content"][0]["annotations"] = [cite]
    stream = told({"type": DONE, "output_index": 0, "item": item})
    part = {"type": "output_text", "annotations": [], "logprobs": [], "text": ""}
    begun = {**item, "status": "in_progress", "content": []}
    assert [{k: v for k, v in data.items() if k != "sequence_number"} for data in stream[1:-1]] == [
        {"type": ADDED, "output_index": 0, "item": begun},
        {"type": "response.content_part.added", **PLACE, "part": part},
        {"type": f"{TEXT}.delta", **PLACE, "delta": "Hi there", "logprobs": []},
        {"type": f"{TEXT}.annotation.added", **PLACE, "annotation_index": 0, "annotation": cite},
        {"type": f"{TEXT}.done", **PLACE, "text": "Hi there", "logprobs": []},
        {"type": "response.content_part.done", **PLACE, "part": item["content"][0]},
        {"type": DONE, "output_index": 0, "item": item},
    ]
    assert [data["sequence_number"] for data in stream] == list(range(9))


def test_a_call_that_comes_whole_is_announced_without_its_arguments() -> None:
    stream = told({"type": DONE, "output_index": 0, "item": CALL})
    assert kinds(stream) == [ADDED, f"{ARGUMENTS}.delta", f"{ARGUMENTS}.done", DONE]
    assert stream[1]["item"] == {**CALL, "status": "in_progress", "arguments": ""}
    assert stream[2]["delta"] == stream[3]["arguments"] == '{"a":1}'


@pytest.mark.parametrize(
    "item",
    [
        {"id": "ws_0", "type": "web_search_call", "status": "completed", "action": {"type": "search"}},
        {"id": "ig_0", "type": "image_generation_call", "status": "completed", "result": "AAAA"},
        {"id": "cmp_0", "type": "compaction", "encrypted_content": "opaque"},
        {"id": "x_0", "type": "hologram_call", "shape": {"a": 1}},
    ],
    ids=lambda item: str(item["type"]),
)  # fmt: skip
def test_an_item_without_text_is_only_announced(item: JsonObject) -> None:
    stream = told({"type": DONE, "output_index": 0, "item": item})
    assert kinds(stream) == [ADDED, DONE]
    begun = stream[1]["item"]
    assert begun["id"] == item["id"]
    assert begun.get("status") == ("in_progress" if "status" in item else None)
    assert not begun.get("result")
    assert begun.get("encrypted_content") == item.get("encrypted_content")


def test_arguments_of_a_call_that_nobody_knows_are_kept_back_until_it_is_done() -> None:
    """Its name is not known, and a call without a name cannot be announced."""
    place = {"item_id": "fc_0", "output_index": 0}
    deltas = [{"type": f"{ARGUMENTS}.delta", **place, "delta": piece} for piece in ('{"a"', ":1}")]
    ended = {"type": f"{ARGUMENTS}.done", **place, "arguments": '{"a":1}'}
    stream = told(*deltas, ended, {"type": DONE, "output_index": 0, "item": CALL})
    assert kinds(stream) == [ADDED, f"{ARGUMENTS}.delta", f"{ARGUMENTS}.done", DONE]
    assert stream[2]["delta"] == '{"a":1}'
    assert [data["sequence_number"] for data in stream] == list(range(6))


def test_an_announcement_that_comes_late_is_not_told_twice() -> None:
    item = message("Hi")
    part = {**item["content"][0], "text": ""}
    stream = told(
        {"type": f"{TEXT}.delta", **PLACE, "delta": "H"},
        {"type": ADDED, "output_index": 0, "item": {**item, "content": []}},
        {"type": "response.content_part.added", **PLACE, "part": part},
        {"type": f"{TEXT}.delta", **PLACE, "delta": "i"},
        {"type": DONE, "output_index": 0, "item": item},
    )
    assert assert_official(stream) == [item]
    assert kinds(stream).count(ADDED) == 1


@pytest.mark.parametrize("numbered", [True, False])
def test_what_is_made_up_is_numbered_as_the_others_are(numbered: bool) -> None:
    stream = told({"type": DONE, "output_index": 0, "item": message("Hi")}, numbered=numbered)
    numbers = [data["sequence_number"] for data in stream if "sequence_number" in data]
    assert numbers == (list(range(len(stream))) if numbered else [])


def test_numbers_go_on_after_what_was_made_up_and_what_was_dropped() -> None:
    stream = told(
        {"type": "keepalive"},
        {"type": DONE, "output_index": 0, "item": CALL},
        {"type": "codex.rate_limits"},
        {"type": "response.metadata"},
    )
    assert [data["sequence_number"] for data in stream] == list(range(len(stream)))


def test_an_error_of_ours_is_numbered_after_what_was_made_up() -> None:
    stream = framed([{**CREATED, "sequence_number": 0}])
    stream += framed([{"type": DONE, "sequence_number": 1, "output_index": 0, "item": CALL}])
    out, error = translated(stream, responses.ResponseStream({}, created=1))
    assert isinstance(error, StreamInterrupted)
    numbers = [event.json["sequence_number"] for event in events(out)]
    assert numbers == [0, 1, 2, 3, 4, 5]


def test_an_item_without_an_index_gets_the_next() -> None:
    picture = {"id": "ig_0", "type": "image_generation_call", "status": "generating", "result": "A"}
    items = [CALL, message("Hi"), picture]
    stream = told(*({"type": DONE, "item": item} for item in items))
    assert assert_official(stream) == [*items[:2], {**picture, "status": "completed"}]
    assert [data["sequence_number"] for data in stream] == list(range(len(stream)))


@pytest.mark.parametrize("cut", range(1, 8))
def test_texts_that_mix_in_one_read_are_told_apart(cut: int) -> None:
    """Two parts are open, and their deltas come together: neither is said twice."""
    begun = {"type": ADDED, "output_index": 0, "item": {**message(), "status": "in_progress"}}
    parts = [
        {"type": "response.content_part.added", **PLACE, "content_index": n, "part": part}
        for n, part in enumerate(message("", "")["content"])
    ]
    deltas = [
        {"type": f"{TEXT}.delta", **PLACE, "content_index": n, "delta": "ab"[n]}
        for n in (0, 1, 0, 0, 1, 0, 1, 0)
    ]
    ends = [
        {"type": f"{TEXT}.done", **PLACE, "content_index": n, "text": text, "logprobs": []}
        for n, text in enumerate(("aaaaa", "bbb"))
    ]
    item = {"type": DONE, "output_index": 0, "item": message("aaaaa", "bbb")}
    stream = [CREATED, begun, *parts, *deltas, *ends, item, COMPLETED]
    data = [sse.encode(one, one["type"]) for one in stream]
    pieces = [data[:4], data[4 : 4 + cut], data[4 + cut : 12], data[12:]]
    decoder = sse.Decoder(coalesce=True)
    given = [event for piece in pieces for event in decoder.feed(b"".join(piece))]
    out, _ = translated(given, responses.ResponseStream({}, created=1))
    told = [event.json for event in events(out.removesuffix(sse.DONE))]
    assert [data for data in told if data["type"].endswith(".delta")] == deltas
    assert_official(told)


def test_what_was_streamed_is_never_said_again() -> None:
    """Where the whole text is another one, nothing can be taken back."""
    stream = told(
        {"type": f"{TEXT}.delta", **PLACE, "delta": "Good"},
        {"type": f"{TEXT}.done", **PLACE, "text": "Bad"},
        {"type": DONE, "output_index": 0, "item": message("Bad")},
    )
    assert [data["delta"] for data in stream if data["type"].endswith(".delta")] == ["Good"]


@pytest.mark.parametrize(
    "literals",
    [['"a\\"b"', '"\\n"'], ['"\\ud83d"', '"\\ude00"'], ['"é"', '"\u2028"'], ['"\\u00e9\\\\"', '"x"']],
    ids=["escapes", "a pair in two", "other letters", "a backslash"],
)  # fmt: skip
def test_deltas_that_were_not_parsed_are_understood(literals: list[str]) -> None:
    """However they are written: of a text that is there nothing is made up, and of one that is
    not, only the rest."""
    text = json.loads("".join(literals).replace('""', ""))
    for missing in ("", "?"):
        translator = responses.ResponseStream({}, created=1)
        begun = {"type": ADDED, "output_index": 0, "item": {**message(), "status": "in_progress"}}
        list(translator.feed(*framed([begun])))
        place = '"item_id":"msg_0","output_index":0,"content_index":0'
        for literal in ('""', *literals):
            data = f'{{"type":"{TEXT}.delta",{place},"delta":{literal}}}'
            (delta,) = events(f"event: {TEXT}.delta\ndata: {data}\n\n".encode())
            list(translator.feed(delta))
        end = framed([{"type": f"{TEXT}.done", **PLACE, "text": text + missing}])[0]
        out = [event.json for event in events(b"".join(translator.feed(end)))]
        assert [data["delta"] for data in out[:-1]] == ([missing] if missing else [])


def test_a_codex_client_gets_nothing_that_is_made_up() -> None:
    for name in MADE_UP:
        data = wire(name)
        out, _ = translated(events(data), responses.ResponseStream({}, created=1, verbatim=True))
        own = [event.type for event in events(data)]
        assert [event.type for event in events(out) if event.type] == own


def test_a_stored_response_is_told_again_in_full() -> None:
    response = responses.from_response(
        {"id": "r", "status": "completed", "output": [CALL, message("Hi")]}, {}, 1
    )
    *stream, done = replay(response)
    assert done.data == b"[DONE]"
    assert assert_official([event.json for event in stream]) == [CALL, message("Hi")]


@pytest.mark.parametrize("position", [True, False])
def test_an_item_that_only_the_last_event_tells_is_found_by_its_id_or_its_place(
    position: bool,
) -> None:
    call = CALL if position else {**CALL, "id": ""}
    end = {"type": "response.completed", "response": {"id": "r", "output": [message("Hi"), call]}}
    stream = [CREATED, {"type": DONE, "output_index": 0, "item": message("Hi")}, end]
    out, _ = translated(framed(stream), responses.ResponseStream({}, created=1))
    told = [event.json for event in events(out) if event.type]
    assert assert_official(told) == [message("Hi"), call]


@pytest.mark.parametrize("kind", ["response.failed", "error"])
def test_a_run_that_fails_is_not_completed(kind: str) -> None:
    """What was begun stays open: nobody knows how it would have ended."""
    delta = {"type": f"{TEXT}.delta", **PLACE, "delta": "Hi"}
    failure = {"type": kind, "code": "server_error", "message": "m", "response": {"id": "r"}}
    out, error = translated(
        framed([CREATED, delta, failure]), responses.ResponseStream({}, created=1)
    )
    assert isinstance(error, CodexError) == (kind == "error")
    assert [event.type for event in events(out)][-2:] == [f"{TEXT}.delta", kind]
