"""Messages requests as Responses requests: fields, system, effort and form."""

from __future__ import annotations

import json

import pytest
from tests.engine.protocol.message_requests import (
    HI,
    SAID_HI,
    assistant,
    body,
    call,
    made,
    part,
    refusal,
    result,
    text,
    translation,
    user,
)

from codexapi_engine.protocol import JsonObject, anthropic
from codexapi_engine.protocol.responses import to_backend
from codexapi_engine.protocol.rules import FieldRule

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
