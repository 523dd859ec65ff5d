"""Messages replies: what no law says."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from tests.engine.protocol.message_events import BEGIN, PLAIN, delta, event, made, message, text
from tests.message_replies import added_up, told
from tests.wire_files import events, translated, wire

from codexapi_engine.errors import CodexError
from codexapi_engine.protocol import Event, JsonObject, anthropic, responses

THINKS = replace(PLAIN, thinking=True, summaries=True)
SIGNED = replace(PLAIN, thinking=True)


def stream(name: str, options: anthropic.MessageOptions = PLAIN) -> list[JsonObject]:
    out, error = translated(events(wire(name)), anthropic.MessageStream(options))
    assert error is None
    return told(out)


def blocks(name: str, options: anthropic.MessageOptions = PLAIN) -> list[JsonObject]:
    found: list[JsonObject] = message(name, options)["content"]
    return found


def folded(stream: list[Event]) -> JsonObject:
    assembler = responses.Assembler()
    for one in stream:
        assembler.feed(one)
    return assembler.finish()


def item(index: int, **data: Any) -> bytes:
    return event("response.output_item.done", output_index=index, item=data)


def added(index: int, **data: Any) -> bytes:
    return event("response.output_item.added", output_index=index, item=data)


def call(name: str = "f", arguments: str = "{}") -> JsonObject:
    return {"type": "function_call", "call_id": "c", "name": name, "arguments": arguments}


def reply(*pieces: bytes, options: anthropic.MessageOptions = PLAIN, **response: Any) -> JsonObject:
    out, error = made(*pieces, options=options, **response)
    assert error is None
    return added_up(out)


def test_a_stream_begins_with_the_estimate_and_a_ping_and_says_nothing_before_its_first_word() -> None:  # fmt: skip
    translator = anthropic.MessageStream(PLAIN)
    first, *rest = events(wire("text"))
    assert first.type == "response.created"
    assert list(translator.feed(first)) == []
    out = b"".join(piece for one in rest for piece in translator.feed(one))
    start, ping, *_ = told(out)
    assert start["message"] == {
        "id": "msg_" + first.json["response"]["id"].removeprefix("resp_"),
        "type": "message", "role": "assistant", "model": "asked", "content": [],
        "stop_reason": None, "stop_sequence": None, "stop_details": None,
        "usage": {
            "input_tokens": 7, "cache_creation_input_tokens": 0, "cache_read_input_tokens": 0,
            "output_tokens": 1, "output_tokens_details": {"thinking_tokens": 0},
        },
    }  # fmt: skip
    assert ping == {"type": "ping"}


# Thinking


def test_a_summary_of_several_parts_is_one_block_with_one_signature_at_its_end() -> None:
    steps = [step for step in stream("reasoning_summary", THINKS) if step.get("index") == 0]
    first, *deltas, stop = steps
    assert first["content_block"] == {"type": "thinking", "thinking": "", "signature": ""}
    assert stop["type"] == "content_block_stop"
    kinds = [step["delta"]["type"] for step in deltas]
    assert kinds.count("signature_delta") == 1
    assert kinds[-1] == "signature_delta"
    thinking = blocks("reasoning_summary", THINKS)[0]["thinking"]
    assert thinking.count("\n\n") >= 1


def test_a_signature_holds_the_reasoning_and_names_who_wrote_it() -> None:
    signature = blocks("reasoning_summary", SIGNED)[0]["signature"]
    original = next(
        item for item in folded(events(wire("reasoning_summary")))["output"]
        if item["type"] == "reasoning"
    )  # fmt: skip
    assert signature.startswith("cxa1:account:m:")
    assert signature.endswith(":" + original["encrypted_content"])


def test_display_omitted_gives_a_signature_without_text() -> None:
    block, *_ = blocks("reasoning_summary", SIGNED)
    assert (block["type"], block["thinking"]) == ("thinking", "")
    assert block["signature"]


def test_without_thinking_there_is_no_block_and_the_reasoning_is_remembered() -> None:
    assert [block["type"] for block in blocks("function_call")] == ["tool_use"]
    translator = anthropic.MessageStream(PLAIN)
    translated(events(wire("function_call")), translator)
    assert [item["type"] for item in translator.thread] == ["reasoning", "function_call"]


def test_a_thought_alone_is_no_answer() -> None:
    reasoning = {"type": "reasoning", "id": "rs_1", "summary": [], "encrypted_content": "g"}
    _, error = made(item(0, **reasoning), options=SIGNED)
    assert error is not None
    assert error.code == "upstream_empty_response"


# Calls


def test_a_call_without_arguments() -> None:
    steps = told(made(item(0, **call(arguments="")))[0])
    use = {"type": "tool_use", "id": "c", "name": "f", "input": {}, "caller": {"type": "direct"}}
    begun = next(step for step in steps if step["type"] == "content_block_start")
    assert begun["content_block"] == use
    deltas = [step["delta"] for step in steps if step["type"] == "content_block_delta"]
    assert deltas == [{"type": "input_json_delta", "partial_json": ""}]
    whole = reply(item(0, **call(arguments="")))
    assert whole["content"] == [use]
    assert whole["stop_reason"] == "tool_use"


def test_a_call_is_why_the_answer_ends_also_where_text_follows_it() -> None:
    whole = reply(item(0, **call()), item(1, **text("Done.")))
    assert [block["type"] for block in whole["content"]] == ["tool_use", "text"]
    assert whole["stop_reason"] == "tool_use"


def test_calls_that_run_beside_one_another_are_told_one_after_another() -> None:
    calls = [b for b in blocks("interleaved_tool_calls") if b["type"] == "tool_use"]
    assert [block["id"] for block in calls] == ["call_0001", "call_0002"]
    assert [block["input"] for block in calls] == [{"location": "Oslo"}, {"zone": "CET"}]


def test_the_end_of_a_call_waits_for_what_follows_it() -> None:
    """Clients run a call that is whole, and run it again where the stream then breaks."""
    data = b"".join([BEGIN, added(0, **call(arguments="")), item(0, **call(arguments='{"a":1}'))])
    out, error = translated(events(data), anthropic.MessageStream(PLAIN))
    assert error is not None
    kinds = [step["type"] for step in told(out)]
    assert "content_block_stop" not in kinds
    assert kinds[-1] == "error"


def test_an_answer_that_ends_in_the_middle_of_a_call_is_a_failure() -> None:
    begun = added(0, **call(arguments="")), delta(0, '{"a"', "function_call_arguments")
    out, error = made(*begun, incomplete_details={"reason": "max_output_tokens"})
    assert error is not None
    assert [step["type"] for step in told(out)].count("content_block_stop") == 0


@pytest.mark.parametrize("arguments", ['{"a":', "[1]", "5", "null"])
def test_arguments_that_are_no_object_are_a_failure(arguments: str) -> None:
    out, error = made(added(0, **call(arguments="")), item(0, **call(arguments=arguments)))
    assert error is not None
    assert told(out)[-1]["error"]["type"] == "api_error"
    with pytest.raises(CodexError):
        anthropic.from_response({"output": [call(arguments=arguments)]}, PLAIN)


@pytest.mark.parametrize(
    ("name", "arguments", "given"),
    [
        ("Read", '{"file_path":"/a","pages":""}', {"file_path": "/a"}),
        ("Read", '{"file_path":"","pages":"1"}', {"file_path": "", "pages": "1"}),
        ("Write", '{"content":"","pages":""}', {"content": "", "pages": ""}),
    ],
)
def test_empty_pages_are_left_out_of_a_read_and_nothing_else(
    name: str, arguments: str, given: JsonObject
) -> None:
    pieces = [
        added(0, **call(name, "")),
        delta(0, arguments, "function_call_arguments"),
        item(0, **call(name, arguments)),
    ]
    assert reply(*pieces)["content"][0]["input"] == given
    whole = anthropic.from_response({"output": [call(name, arguments)]}, PLAIN)
    assert whole["content"][0]["input"] == given


def test_a_tool_has_the_name_that_the_client_gave_it() -> None:
    options = replace(PLAIN, names={"f": "mcp:srv:f"})
    assert reply(item(0, **call()), options=options)["content"][0]["name"] == "mcp:srv:f"


# Searches


PARIS = {"type": "url_citation", "url": "https://example.org/paris", "title": "Paris"}
RESULT = {
    "type": "web_search_result", "url": "https://example.org/paris", "title": "Paris",
    "encrypted_content": "", "page_age": None,
}  # fmt: skip
LOCATION = {
    "type": "web_search_result_location", "url": "https://example.org/paris", "title": "Paris",
    "cited_text": "", "encrypted_index": "",
}  # fmt: skip
SEARCH: JsonObject = {
    "type": "web_search_call", "id": "ws_1", "action": {"type": "search", "query": "capital"},
}  # fmt: skip


def test_a_search_has_the_pages_that_its_answer_cites() -> None:
    assert blocks("web_search") == [
        {"type": "server_tool_use", "id": "srvtoolu_0000", "name": "web_search",
         "input": {"query": "capital of France"}},
        {"type": "web_search_tool_result", "tool_use_id": "srvtoolu_0000", "content": [RESULT]},
        {"type": "text", "text": "Paris is the capital.", "citations": [LOCATION]},
    ]  # fmt: skip
    usage = message("web_search")["usage"]
    assert usage["server_tool_use"] == {"web_search_requests": 1, "web_fetch_requests": 0}


def test_a_search_that_tells_its_sources_waits_for_nothing() -> None:
    sources = [{"type": "url", "url": PARIS["url"], "title": "Paris"}]
    done = item(0, **{**SEARCH, "action": {**SEARCH["action"], "sources": sources}})
    translator = anthropic.MessageStream(PLAIN)
    for one in events(BEGIN + done):
        out = b"".join(translator.feed(one))
    assert b'"url":"https://example.org/paris"' in out


def test_two_searches_before_one_answer_both_have_its_pages() -> None:
    second = {**SEARCH, "id": "ws_2"}
    whole = reply(item(0, **SEARCH), item(1, **second), item(2, **text("Paris.", PARIS)))
    found = [b["content"] for b in whole["content"] if b["type"] == "web_search_tool_result"]
    assert found == [[RESULT], [RESULT]]


@pytest.mark.parametrize("stop", [(), ("is.",), ("never",)])
def test_a_text_has_the_pages_that_it_cites_once_each(stop: tuple[str, ...]) -> None:
    rome = {**PARIS, "url": "https://example.org/rome", "title": ""}
    notes = [PARIS, {"type": "file_citation", "file_id": "f"}, PARIS, rome]
    options = replace(PLAIN, stop=stop)
    whole = reply(item(0, **text("Paris.", *notes)), item(1, **text("Rome.")), options=options)
    first, *others = whole["content"]
    if stop == ("is.",):
        assert (first, others) == ({"type": "text", "text": "Par"}, [])
        return
    without_title = {**LOCATION, "url": rome["url"], "title": rome["url"]}
    assert first == {"type": "text", "text": "Paris.", "citations": [LOCATION, without_title]}
    assert others == [{"type": "text", "text": "Rome."}]


def test_a_search_without_an_answer_found_nothing() -> None:
    whole = reply(item(0, **SEARCH), item(1, **call()))
    assert [block["type"] for block in whole["content"]] == [
        "server_tool_use", "web_search_tool_result", "tool_use",
    ]  # fmt: skip
    assert whole["content"][1]["content"] == []


# The end


def test_tokens_that_were_cached_are_not_input_tokens() -> None:
    usage = {
        "input_tokens": 100, "input_tokens_details": {"cached_tokens": 80, "cache_write_tokens": 5},
        "output_tokens": 30, "output_tokens_details": {"reasoning_tokens": 10},
    }  # fmt: skip
    expected = {
        "input_tokens": 15, "cache_read_input_tokens": 80, "cache_creation_input_tokens": 5,
        "output_tokens": 30, "output_tokens_details": {"thinking_tokens": 10},
    }  # fmt: skip
    assert reply(item(0, **text("x")), usage=usage)["usage"] == expected
    whole = anthropic.from_response({"output": [text("x")], "usage": usage}, PLAIN)
    assert whole["usage"] == expected


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("text", "end_turn"),
        ("function_call", "tool_use"),
        ("incomplete_max_output_tokens", "max_tokens"),
        ("incomplete_content_filter", "refusal"),
        ("refusal", "refusal"),
    ],
)
def test_why_an_answer_ended(name: str, reason: str) -> None:
    whole = message(name)
    assert whole["stop_reason"] == reason
    assert (whole["stop_details"] is not None) == (reason == "refusal")


@pytest.mark.parametrize("details", [None, {"reason": "brand_new"}])
def test_an_answer_that_was_cut_for_another_reason_is_no_end_of_a_turn(
    details: JsonObject | None,
) -> None:
    response: dict[str, Any] = {"status": "incomplete", "incomplete_details": details}
    assert reply(item(0, **text("Half")), **response)["stop_reason"] == "max_tokens"
    whole = anthropic.from_response({"output": [text("Half")], **response}, PLAIN)
    assert whole["stop_reason"] == "max_tokens"


def test_a_refusal_is_text_and_explains_itself() -> None:
    whole = message("refusal")
    words = whole["content"][0]["text"]
    assert whole["stop_details"] == {"type": "refusal", "category": None, "explanation": words}


def test_edits_of_the_context_are_told_where_the_client_asked_for_them() -> None:
    options = replace(PLAIN, edits=True)
    assert message("text", options)["context_management"] == {"applied_edits": []}
    assert "context_management" not in message("text")


# Stop sequences


@pytest.mark.parametrize("cut", range(1, 11))
def test_a_stop_sequence_over_two_deltas_ends_the_text_and_is_named(cut: int) -> None:
    words = "one STOP two"
    options = replace(PLAIN, stop=("HALT", "STOP"))
    whole = reply(delta(0, words[:cut]), delta(0, words[cut:]), options=options)
    assert whole["content"] == [{"type": "text", "text": "one "}]
    assert (whole["stop_reason"], whole["stop_sequence"]) == ("stop_sequence", "STOP")
    assert whole["usage"]["output_tokens"] > 0


def test_a_stop_sequence_that_does_not_come_loses_nothing() -> None:
    options = replace(PLAIN, stop=("END",))
    pieces = [item(0, **text("EN")), item(1, **text("D. E")), item(2, **text("EN"))]
    whole = reply(*pieces, options=options)
    assert [block["text"] for block in whole["content"]] == ["EN", "D. E", "EN"]
    assert whole["stop_reason"] == "end_turn"


def test_a_stop_sequence_at_the_very_beginning_leaves_an_empty_message() -> None:
    whole = reply(delta(0, "END and more"), options=replace(PLAIN, stop=("END",)))
    assert (whole["content"], whole["stop_sequence"]) == ([], "END")


def test_what_follows_a_stop_sequence_in_the_same_item_is_not_told() -> None:
    parts = [{"type": "output_text", "text": words} for words in ("a END", "b END")]
    message = {"type": "message", "role": "assistant", "content": parts}
    options = replace(PLAIN, stop=("END",))
    whole = reply(item(0, **message), item(1, **text("c")), options=options)
    assert whole["content"] == [{"type": "text", "text": "a "}]


def test_a_call_before_a_stop_sequence_is_still_a_call() -> None:
    options = replace(PLAIN, stop=("END",))
    whole = reply(item(0, **call()), delta(1, "so END"), options=options)
    assert (whole["stop_reason"], whole["stop_sequence"]) == ("tool_use", None)
