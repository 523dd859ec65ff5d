"""The messages of a Messages request: blocks, calls, results and reasoning."""

from __future__ import annotations

import base64
import json
from typing import Any

import pytest
from tests.claude_code import recording, recordings
from tests.engine.protocol.message_requests import (
    HI,
    ME,
    SAID_HI,
    assistant,
    body,
    call,
    made,
    part,
    refusal,
    result,
    text,
    user,
)

from codexapi_engine.bounds import MAX_STOP_SEQUENCES
from codexapi_engine.protocol import JsonObject, anthropic
from codexapi_engine.protocol.responses import to_backend

PNG = base64.b64encode(b"\x89PNG\r\n\x1a\n" + b"\0" * 16).decode()
PDF = base64.b64encode(b"%PDF-1.4").decode()
IMAGE = {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": PNG}}
IMAGE_PART = {"type": "input_image", "image_url": f"data:image/png;base64,{PNG}"}


def items(*messages: JsonObject, **more: Any) -> list[JsonObject]:
    found: list[JsonObject] = made(*messages, **more)["input"]
    return found


def outputs(*messages: JsonObject) -> list[Any]:
    return [i["output"] for i in items(*messages) if i["type"] == "function_call_output"]


# Messages


@pytest.mark.parametrize(
    ("message", "path"),
    [
        ({"role": "robot", "content": "x"}, "messages.0.role"),
        ({"content": "x"}, "messages.0.role"),
        ({"role": "user", "content": 5}, "messages.0.content"),
        ({"role": "user", "content": ["x"]}, "messages.0.content.0"),
        ({"role": "user", "content": []}, "messages"),
        (user({"type": "hologram"}), "messages.0.content.0.type"),
        (user(text("x"), {"type": "text"}), "messages.0.content.1.text"),
        (user(call()), "messages.0.content.0.type"),
        (user({"type": "image", "source": {"type": "file"}}), "messages.0.content.0.source.file_id"),
        (user({"type": "image", "source": {"type": "hologram"}}), "messages.0.content.0.source.type"),
        (user({"type": "image"}), "messages.0.content.0.source"),
        (user({"type": "image", "source": {"type": "base64", "data": "!"}}), "messages.0.content.0.source.data"),
        (user({"type": "image", "source": {"type": "url", "url": "ftp://x"}}), "messages.0.content.0.source.url"),
        (user({"type": "document", "source": {"type": "file"}}), "messages.0.content.0.source.file_id"),
        (user({"type": "document", "source": {"type": "hologram"}}), "messages.0.content.0.source.type"),
        (user({"type": "tool_result"}), "messages.0.content.0.tool_use_id"),
        (user(result([{"type": "hologram"}])), "messages.0.content.0.content.0.type"),
    ],
)  # fmt: skip
def test_what_is_wrong_is_named_by_its_path(message: JsonObject, path: str) -> None:
    error = refusal(body(message))
    assert (error.status, error.param) == (400, path)
    assert path in error.message


@pytest.mark.parametrize(
    ("given", "path"),
    [
        ({}, "model"),
        ({"messages": "x"}, "messages"),
        ({"messages": []}, "messages"),
        ({"messages": [5]}, "messages.0"),
        ({"stream": "yes"}, "stream"),
        ({"tools": {}}, "tools"),
        ({"stop_sequences": "x"}, "stop_sequences"),
        ({"stop_sequences": ["x"] * (MAX_STOP_SEQUENCES + 1)}, "stop_sequences"),
        ({"system": [IMAGE]}, "system.0.type"),
        ({"system": [text("x"), {"type": "text"}]}, "system.1.text"),
    ],
)
def test_a_field_of_the_wrong_type_is_named(given: JsonObject, path: str) -> None:
    whole = {**body(), **given} if given else {"max_tokens": 1, "messages": [HI]}
    assert refusal(whole).param == path


def test_a_prefill_is_refused_and_can_be_counted() -> None:
    given = body(HI, assistant(text("The answer is (")))
    assert refusal(given).param == "messages.1.role"
    assert len(anthropic.to_count(given)["input"]) == 2


def test_messages_of_one_role_may_follow_one_another() -> None:
    assert items(HI, HI) == [SAID_HI, SAID_HI]


def test_empty_text_is_dropped() -> None:
    assert items(user(text(""), text("hi"))) == [SAID_HI]


def test_documents() -> None:
    source = {"type": "base64", "media_type": "application/pdf", "data": PDF}
    pdf = {"type": "document", "source": source, "title": "a.pdf", "context": "from Ann"}
    linked = {"type": "document", "source": {"type": "url", "url": "https://example.org/a.pdf"}}
    plain = {"type": "document", "source": {"type": "text", "data": "words"}}
    parts = {"type": "document", "source": {"type": "content", "content": [text("x"), IMAGE]}}
    (message,) = items(user(pdf, linked, plain, parts))
    assert message["content"] == [
        part("Title: a.pdf\nContext: from Ann"),
        {"type": "input_file", "filename": "a.pdf", "file_data": f"data:application/pdf;base64,{PDF}"},
        {"type": "input_file", "file_url": "https://example.org/a.pdf"},
        part("<document>\nwords\n</document>"),
        part("x"),
        IMAGE_PART,
    ]  # fmt: skip


def test_pictures_and_search_results() -> None:
    linked = {"type": "image", "source": {"type": "url", "url": "https://example.org/a.png"}}
    found = {
        "type": "search_result",
        "title": "t",
        "source": "s",
        "content": [text("a"), text("b")],
    }
    (message,) = items(user(IMAGE, linked, found))
    assert message["content"] == [
        IMAGE_PART,
        {"type": "input_image", "image_url": "https://example.org/a.png"},
        part("t\ns\na\nb"),
    ]


def test_what_the_api_did_itself_is_told_in_a_developer_message() -> None:
    found = {"type": "web_search_result", "url": "https://example.org", "title": "Paris"}
    history = assistant(
        text("Let me search."),
        {"type": "server_tool_use", "id": "s", "name": "web_search", "input": {"query": "capital"}},
        {"type": "web_search_tool_result", "tool_use_id": "s", "content": [found]},
        {"type": "redacted_thinking", "data": "x"},
        {"type": "code_execution_tool_result", "content": {"stdout": "42"}},
        {"type": "mcp_tool_result", "content": []},
        text("Paris."),
    )
    _, first, search, ran, last, _ = items(HI, history, HI)
    assert [item["role"] for item in (first, search, ran, last)] == [
        "assistant", "developer", "developer", "assistant",
    ]  # fmt: skip
    told = '[web search "capital" found: Paris https://example.org]'
    assert (search["content"], ran["content"]) == ([part(told)], [part("42")])


def test_the_words_of_a_page_that_the_api_fetched_are_told() -> None:
    page = {"type": "document", "source": {"type": "text", "data": "about foxes"}}
    found = {"type": "web_fetch_result", "url": "https://example.org", "content": page}
    history = assistant({"type": "web_fetch_tool_result", "tool_use_id": "s", "content": found})
    assert items(HI, history, HI)[1]["content"] == [part("about foxes")]


# Calls and results


def test_a_call_and_its_result() -> None:
    _, sent, output, message = items(
        HI, assistant(call(city="Oslo")), user(result("5"), text("go on"))
    )
    assert sent == {"type": "function_call", "call_id": "c1", "name": "f", "arguments": '{"city":"Oslo"}'}  # fmt: skip
    assert output == {"type": "function_call_output", "call_id": "c1", "output": "5"}
    assert message["content"] == [part("go on")]


def test_results_come_before_what_the_user_says_beside_them() -> None:
    history = assistant(call("c1"), call("c2"))
    answer = user(text("first"), result("1", "c1"), text("second"), result("2", "c2"))
    kinds = [item["type"] for item in items(HI, history, answer)[3:]]
    assert kinds == ["function_call_output", "function_call_output", "message"]
    assert items(HI, history, answer)[-1]["content"] == [part("first"), part("second")]


@pytest.mark.parametrize(
    ("given", "output"),
    [
        (result("text"), "text"),
        (result([text("a"), text("b")]), "a\nb"),
        (result([IMAGE, text("see")]), [IMAGE_PART, part("see")]),
        (result("bad", is_error=True), "[tool error]\nbad"),
        (result([IMAGE], is_error=True), [part("[tool error]"), IMAGE_PART]),
        (result("", is_error=True), "[tool error]"),
        (result(None), ""),
        ({"type": "tool_result", "tool_use_id": "c1"}, ""),
    ],
)
def test_a_result_of_each_form(given: JsonObject, output: object) -> None:
    assert outputs(HI, assistant(call()), user(given)) == [output]


def test_a_call_without_a_result_gets_one_and_a_result_without_a_call_is_told() -> None:
    assert outputs(HI, assistant(call()), HI) == ["[no result]"]
    (message,) = items(user(result("5", "gone")))
    assert message["role"] == "user"
    assert message["content"] == [part("[result of an earlier call, gone]"), part("5")]


def test_a_result_before_its_call_is_not_the_calls() -> None:
    sent = items(user(result("5")), assistant(call()), HI)
    assert [item["type"] for item in sent] == [
        "message", "function_call", "function_call_output", "message",
    ]  # fmt: skip
    assert sent[2]["output"] == "[no result]"


def test_a_second_result_of_a_call_is_what_a_user_says() -> None:
    assert outputs(HI, assistant(call()), user(result("1"), result("2"))) == ["1"]
    last = items(HI, assistant(call()), user(result("1")), HI, user(result("2")))[-1]
    assert last["content"] == [part("[result of an earlier call, c1]"), part("2")]


def test_a_turn_that_stands_twice_in_the_history_is_sent_once() -> None:
    turn = assistant(thought("cxa1:account:m:cnNfMQ==:gAAAAAB"), call())
    sent = to_backend(made(HI, turn, turn, user(result("5"))))["input"]
    kinds = [item["type"] for item in sent]
    assert kinds == ["message", "reasoning", "function_call", "function_call_output"]


def test_a_long_call_id_is_one_short_id_on_call_and_result() -> None:
    name = "c" * 100
    sent = to_backend(made(HI, assistant(call(name)), user(result("5", name))))["input"]
    ids = [item["call_id"] for item in sent[1:]]
    assert ids[0] == ids[1]
    assert len(ids[0]) <= 64


# Reasoning


def thought(signature: str) -> JsonObject:
    return {"type": "thinking", "thinking": "so", "signature": signature}


def test_reasoning_comes_back_byte_for_byte_before_its_call() -> None:
    encrypted = "gAAAAABé:/+=" + "x" * 300
    signature = "cxa1:account:m:cnNfMQ==:" + encrypted
    sent = items(HI, assistant(thought(signature), call()), user(result("5")))
    assert sent[1] == {
        "type": "reasoning", "id": "rs_1", "summary": [], "encrypted_content": encrypted,
    }  # fmt: skip
    assert sent[2]["type"] == "function_call"


@pytest.mark.parametrize(
    "signature",
    [
        "", "EpQBCkYI", "cxa1", "cxa1:account:m:cnNfMQ==", "cxa1:account:m:cnNfMQ==:",
        "cxa1:account:other:cnNfMQ==:gAAAAAB", "cxa1:stranger:m:cnNfMQ==:gAAAAAB",
        "cxa1:account:m:!:gAAAAAB", "cxa1:account:m:/w==:gAAAAAB", "cxa2:account:m:cnNfMQ==:gAAAAAB",
    ],
)  # fmt: skip
def test_a_foreign_signature_leaves_no_trace(signature: str) -> None:
    with_it = items(HI, assistant(thought(signature), call()), user(result("5")))
    assert with_it == items(HI, assistant(call()), user(result("5")))


def test_reasoning_of_an_unknown_account_is_taken_for_the_present_one() -> None:
    sent = items(HI, assistant(thought("cxa1::m::gAAAAAB"), text("x")), HI)
    assert sent[1] == {"type": "reasoning", "summary": [], "encrypted_content": "gAAAAAB"}


# The recorded requests


@pytest.mark.parametrize("name", [run.name for run in recordings()])
def test_every_recorded_request_is_taken(name: str) -> None:
    for request in recording(name).requests:
        if request.body is None:
            continue
        if "count_tokens" in request.path:
            assert anthropic.tokens(anthropic.to_count(request.body)) > 0
            continue
        taken = anthropic.from_client(request.body, model="m", reader=ME)
        assert to_backend(taken.sent)["input"]
        assert set(taken.ignored) <= {"max_tokens", "safeguards", "tools.0.max_uses"}


def test_a_whole_turn_of_the_recording_keeps_its_order() -> None:
    request = recording("tools").requests[1].body or {}
    sent = anthropic.from_client(request, model="m", reader=ME).sent
    assert [item.get("role") or item["type"] for item in sent["input"]] == [
        "user", "developer", "assistant", "function_call", "function_call",
        "function_call_output", "function_call_output",
    ]  # fmt: skip
    assert sent["reasoning"] == {"effort": "medium"}
    assert sent["instructions"].startswith("You are a Claude agent")
    assert [tool["name"] for tool in sent["tools"]][-1] == "Write"
    assert "DeferredToolPlaceholder" not in json.dumps(sent)


def test_a_loaded_tool_of_the_recording_is_sent_and_shown() -> None:
    before, after, _ = (
        anthropic.from_client(request.body or {}, model="m").sent
        for request in recording("tsearch").requests
    )
    assert "mcp__little__add" not in json.dumps(before)
    assert {"mcp__little__add", "WebFetch"} <= {tool["name"] for tool in after["tools"]}
    assert "defer_loading" not in json.dumps(after)
    output = next(i["output"] for i in after["input"] if i["type"] == "function_call_output")
    assert output.count("<function>") == 2
    assert '"name":"mcp__little__add"' in output
