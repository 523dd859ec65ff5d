"""Messages requests as Responses requests: fields, messages, blocks."""

from __future__ import annotations

import base64
import json
from typing import Any

import pytest
from tests.claude_code import recording, recordings

from codexapi_engine.errors import InvalidRequest
from codexapi_engine.protocol import JsonObject, anthropic
from codexapi_engine.protocol.responses import to_backend
from codexapi_engine.protocol.rules import FieldRule

HI: JsonObject = {"role": "user", "content": "hi"}
SAID_HI: JsonObject = {
    "type": "message", "role": "user", "content": [{"type": "input_text", "text": "hi"}],
}  # fmt: skip
ME = anthropic.Writer("account", "m")
PNG = base64.b64encode(b"\x89PNG\r\n\x1a\n" + b"\0" * 16).decode()
PDF = base64.b64encode(b"%PDF-1.4").decode()
IMAGE = {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": PNG}}
IMAGE_PART = {"type": "input_image", "image_url": f"data:image/png;base64,{PNG}"}


def body(*messages: JsonObject, **more: Any) -> JsonObject:
    return {"model": "m", "max_tokens": 9, "messages": list(messages) or [HI], **more}


def translation(*messages: JsonObject, strict: bool = False, **more: Any) -> anthropic.Request:
    given = body(*messages, **more)
    return anthropic.from_client(given, model="m", reader=ME, strict=strict)


def made(*messages: JsonObject, **more: Any) -> JsonObject:
    return translation(*messages, **more).sent


def items(*messages: JsonObject, **more: Any) -> list[JsonObject]:
    found: list[JsonObject] = made(*messages, **more)["input"]
    return found


def refusal(given: Any, *, strict: bool = False) -> InvalidRequest:
    with pytest.raises(InvalidRequest) as caught:
        anthropic.from_client(given, model="m", reader=ME, strict=strict)
    return caught.value


def user(*blocks: JsonObject) -> JsonObject:
    return {"role": "user", "content": list(blocks)}


def assistant(*blocks: JsonObject) -> JsonObject:
    return {"role": "assistant", "content": list(blocks)}


def text(words: str) -> JsonObject:
    return {"type": "text", "text": words}


def part(words: str) -> JsonObject:
    return {"type": "input_text", "text": words}


def call(name: str = "c1", tool: str = "f", **arguments: Any) -> JsonObject:
    return {"type": "tool_use", "id": name, "name": tool, "input": arguments}


def result(content: Any, name: str = "c1", **more: Any) -> JsonObject:
    return {"type": "tool_result", "tool_use_id": name, "content": content, **more}


def outputs(*messages: JsonObject) -> list[Any]:
    return [i["output"] for i in items(*messages) if i["type"] == "function_call_output"]


# The table of fields

REFUSED = {
    "container": "c", "mcp_servers": [{"url": "u"}], "inference_geo": "us", "thread": {"type": "create"},
    "compaction": {"a": 1}, "billing_policy": {"a": 1},
}  # fmt: skip
IGNORED = {
    "max_tokens": 5, "temperature": 0.5, "top_p": 0.5, "top_k": 5, "service_tier": "batch",
    "safeguards": [{"type": "dangerous_tool_use"}], "diagnostics": {}, "fallbacks": [{"model": "x"}],
    "fallback_credit_token": "t", "user_profile_id": "u",
}  # fmt: skip


def test_the_tables_of_this_test_are_complete() -> None:
    by_rule = {rule: {n for n, r in anthropic.RULES.items() if r is rule} for rule in FieldRule}
    assert by_rule[FieldRule.REFUSED] == set(REFUSED)
    assert by_rule[FieldRule.IGNORED] == set(IGNORED)


@pytest.mark.parametrize("name", REFUSED)
def test_a_refused_field_is_named(name: str) -> None:
    for strict in (False, True):
        error = refusal(body(**{name: REFUSED[name]}), strict=strict)
        assert (error.status, error.param) == (400, name)
        assert name in error.message
    assert anthropic.from_client(body(**{name: None}), model="m").ignored == ("max_tokens",)


@pytest.mark.parametrize("name", [name for name in IGNORED if name != "max_tokens"])
def test_an_ignored_field_is_named_and_refused_when_strict(name: str) -> None:
    request = anthropic.from_client(body(**{name: IGNORED[name]}), model="m")
    assert request.ignored == ("max_tokens", name)
    assert request.sent == made()
    assert refusal(body(**{name: IGNORED[name]}), strict=True).param == name


def test_a_field_that_nobody_knows_is_ignored_by_name() -> None:
    assert translation(brand_new={"a": 1}).ignored == ("max_tokens", "brand_new")


def test_max_tokens_is_needed_and_never_refused_as_ignored() -> None:
    assert translation(strict=True).ignored == ("max_tokens",)
    assert made(max_tokens=1) == made()
    assert refusal(body(max_tokens=0)).param == "max_tokens"
    missing = body()
    del missing["max_tokens"]
    assert refusal(missing).message == "max_tokens: Field required"


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("mcp_servers", []),
        ("service_tier", "auto"),
        ("service_tier", "standard_only"),
        ("speed", "standard"),
        ("cache_control", {"type": "ephemeral"}),
        ("metadata", {"user_id": "u"}),
        ("context_management", {"edits": [{"type": "clear_thinking_20251015", "keep": "all"}]}),
    ],
)
def test_what_asks_for_nothing_is_not_ignored(field: str, value: object) -> None:
    request = translation(strict=True, **{field: value})
    assert (request.sent, request.ignored) == (made(), ("max_tokens",))


@pytest.mark.parametrize(
    ("more", "path"),
    [
        ({"output_config": {"task_budget": {"total": 9}}}, "output_config.task_budget"),
        ({"context_management": {"edits": [{"type": "clear_tool_uses_20250919"}]}}, "context_management.edits.0"),
        ({"tools": [{"type": "web_search_20250305", "name": "web_search", "max_uses": 3}]}, "tools.0.max_uses"),
        ({"speed": "warp"}, "speed"),
    ],
)  # fmt: skip
def test_what_is_ignored_inside_a_field_is_named_by_its_path(more: JsonObject, path: str) -> None:
    assert translation(**more).ignored == ("max_tokens", path)
    assert refusal(body(**more), strict=True).param == path


SOURCE = {"type": "text", "media_type": "text/plain", "data": "x"}


@pytest.mark.parametrize(
    "block",
    [
        {"type": "document", "source": SOURCE},
        {"type": "search_result", "source": "s", "title": "t", "content": [text("x")]},
    ],
    ids=lambda block: block["type"],
)
@pytest.mark.parametrize("inside", [False, True], ids=["message", "result"])
def test_citations_are_ignored_by_path_and_refused_when_strict(
    block: JsonObject, *, inside: bool
) -> None:
    def asked(citations: JsonObject | None) -> list[JsonObject]:
        wanted = {**block, "citations": citations}
        if not inside:
            return [user(wanted)]
        return [HI, assistant(call()), user(result([wanted]))]

    messages = asked({"enabled": True})
    path = "messages.2.content.0.content.0" if inside else "messages.0.content.0"
    assert translation(*messages).ignored == ("max_tokens", f"{path}.citations")
    assert refusal(body(*messages), strict=True).param == f"{path}.citations"
    for nothing in ({"enabled": False}, None):
        assert translation(*asked(nothing)).ignored == ("max_tokens",)


def test_a_thread_is_refused_in_the_form_on_which_the_official_client_goes_without() -> None:
    error = refusal(body(thread={"type": "create"}))
    assert anthropic.error_object(error)["details"] == {
        "error_code": "thread_unsupported_request",
        "unsupported": ["thread"],
    }


def test_safeguards_get_no_verdict() -> None:
    request = translation(safeguards=[{"type": "dangerous_tool_use"}])
    assert "safeguards" in request.ignored
    assert "safeguard" not in json.dumps(request.sent)


# System, effort, form


def test_a_system_message_stays_in_its_place_and_its_effort_wins() -> None:
    system = {"role": "system", "content": "Now.", "output_config": {"effort": "max"}}
    sent = made(HI, system, system="Be brief.", output_config={"effort": "low"})
    assert sent["instructions"] == "Be brief."
    assert sent["input"][0] == SAID_HI
    assert sent["input"][1] == {"type": "message", "role": "developer", "content": [part("Now.")]}
    assert sent["reasoning"] == {"effort": "max"}


def test_two_turns_that_differ_in_the_billing_header_alone_share_a_cache() -> None:
    def turn(nonce: str) -> JsonObject:
        header = text(f"x-anthropic-billing-header: cc_version=2; cch={nonce}")
        return to_backend(made(system=[header, text("You are an agent."), text("Be brief.")]))

    assert turn("1") == turn("2")
    assert turn("1")["instructions"] == "You are an agent.\n\nBe brief."


def test_a_request_without_system_gets_the_usual_instructions() -> None:
    assert "instructions" not in made(system=[])
    assert to_backend(made(system=""))["instructions"]


@pytest.mark.parametrize(
    ("thinking", "config", "options"),
    [
        (None, None, {}),
        (None, {"effort": "high"}, {"effort": "high"}),
        ({"type": "adaptive"}, None, {"summary": "auto"}),
        ({"type": "adaptive", "display": "omitted"}, {"effort": "medium"}, {"effort": "medium"}),
        ({"type": "adaptive", "display": "updates"}, None, {"summary": "auto"}),
        ({"type": "between_tools"}, None, {"summary": "auto"}),
        ({"type": "brand_new"}, None, {"summary": "auto"}),
        ({"type": "disabled"}, {"effort": "max"}, {"effort": "none"}),
        ({"type": "enabled", "budget_tokens": 1024}, None, {"effort": "low", "summary": "auto"}),
        ({"type": "enabled", "budget_tokens": 8192}, None, {"effort": "medium", "summary": "auto"}),
        ({"type": "enabled", "budget_tokens": 9999}, None, {"effort": "high", "summary": "auto"}),
        ({"type": "enabled", "budget_tokens": 63999}, None, {"effort": "xhigh", "summary": "auto"}),
        ({"type": "enabled", "budget_tokens": 9999}, {"effort": "low"}, {"effort": "low", "summary": "auto"}),
    ],
)  # fmt: skip
def test_thinking_and_effort(
    thinking: JsonObject | None, config: JsonObject | None, options: JsonObject
) -> None:
    assert made(thinking=thinking, output_config=config).get("reasoning", {}) == options


def test_without_thinking_the_model_has_its_least_effort() -> None:
    given = body(thinking={"type": "disabled"})
    sent = anthropic.from_client(given, model="m", least_effort="low").sent
    assert sent["reasoning"] == {"effort": "low"}


def test_an_effort_that_there_is_not_is_refused_by_path() -> None:
    assert refusal(body(output_config={"effort": "vast"})).param == "output_config.effort"
    system = {"role": "system", "content": "x", "output_config": {"effort": 1}}
    assert refusal(body(HI, system)).param == "messages.1.output_config.effort"


@pytest.mark.parametrize("field", ["output_config", "output_format"])
@pytest.mark.parametrize("closed", [True, False])
def test_a_form_is_strict_where_its_schema_can_be(field: str, *, closed: bool) -> None:
    properties = {"a": {"type": "string"}}
    schema: JsonObject = {"type": "object", "properties": properties, "required": ["a"]}
    if closed:
        schema["additionalProperties"] = False
    form = {"type": "json_schema", "schema": schema}
    sent = made(**{field: {"format": form} if field == "output_config" else form})
    assert sent["text"]["format"] == {
        "type": "json_schema", "name": "output", "schema": schema, "strict": closed,
    }  # fmt: skip


def test_fast_is_the_priority_tier() -> None:
    assert made(speed="fast")["service_tier"] == "priority"


def test_the_session_is_told_by_the_metadata_and_is_not_sent() -> None:
    metadata = {"user_id": json.dumps({"device_id": "d", "session_id": "s"})}
    assert anthropic.session_of({"metadata": metadata}) == "s"
    assert anthropic.session_of({"metadata": {"user_id": "plain"}}) == ""
    assert anthropic.session_of({"metadata": {"user_id": "[1]"}}) == ""
    assert anthropic.session_of({}) == ""
    assert made(metadata=metadata) == made()
    given = anthropic.from_client(body(), model="m", session="key")
    assert given.sent["prompt_cache_key"] == "key"


@pytest.mark.parametrize("stream", [None, False, True])
def test_the_options_of_the_reply_keep_the_name_that_was_asked_for(stream: bool | None) -> None:
    given = body(stream=stream, stop_sequences=["END"], thinking={"type": "adaptive"})
    request = anthropic.from_client({**given, "model": "claude-haiku-5-5"}, model="gpt-6-luna")
    assert request.sent["model"] == "gpt-6-luna"
    assert request.options.model == "claude-haiku-5-5"
    assert request.options.stop == ("END",)
    assert (request.options.thinking, request.options.summaries) == (True, True)


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
