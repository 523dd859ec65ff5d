"""Messages: failures, counts, models and the names of fields."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from tests.engine.protocol.message_events import PLAIN, delta, event, made
from tests.message_replies import told
from tests.wire_files import events, translated, wire

from codexapi_engine import errors
from codexapi_engine.errors import CodexError
from codexapi_engine.protocol import anthropic, models

# Failures


def test_an_input_that_is_too_long_is_told_in_the_words_on_which_clients_compact() -> None:
    options = replace(PLAIN, input_tokens=300_000, window=272_000)
    name = "failed_context_length_exceeded"
    out, error = translated(events(wire(name)), anthropic.MessageStream(options))
    assert error is not None
    assert error.message == "prompt is too long: 300000 tokens > 272000 maximum"
    (last,) = told(out)
    expected = {"type": "invalid_request_error", "message": error.message}
    assert last == {"type": "error", "error": expected}


def test_an_input_that_is_too_long_is_told_so_also_behind_the_first_word() -> None:
    failed = event("response.failed", response={"error": {"code": "context_length_exceeded"}})
    options = replace(PLAIN, input_tokens=9, window=8)
    out, error = made(delta(0, "half"), failed, options=options)
    assert error is not None
    last = told(out)[-1]
    assert last["error"]["message"] == "prompt is too long: 9 tokens > 8 maximum"


@pytest.mark.parametrize(
    ("message", "tokens", "window", "told"),
    [
        ("Your input exceeds the context window.", 10, 272_000, (272_001, 272_000)),
        ("Your input exceeds the context window.", 10, None, (11, 10)),
        ("Maximum is 272,000 tokens, yours has 281,500.", 10, None, (281_500, 272_000)),
        ("Yours has 281500 tokens, maximum is 272000.", 10, 1, (281_500, 272_000)),
        ("Error 400 at 12:30.", 500, 300, (500, 300)),
    ],
)
def test_the_size_that_is_told_is_always_beyond_the_maximum(
    message: str, tokens: int, window: int | None, told: tuple[int, int]
) -> None:
    error = anthropic.with_sizes(errors.ContextTooLong(message), tokens, window)
    assert str(error) == f"prompt is too long: {told[0]} tokens > {told[1]} maximum"
    assert anthropic.with_sizes(error, 1, 1).message == error.message


@pytest.mark.parametrize(
    ("error", "status", "kind"),
    [
        (errors.InvalidRequest("x"), 400, "invalid_request_error"),
        (errors.NotLoggedIn("x"), 401, "authentication_error"),
        (errors.BackendError("x", status=402), 402, "billing_error"),
        (errors.PermissionDenied("x"), 403, "permission_error"),
        (errors.ModelNotFound("x"), 404, "not_found_error"),
        (errors.BackendError("x", status=413), 413, "request_too_large"),
        (errors.BackendError("x", status=421), 421, "invalid_request_error"),
        (errors.UsageLimitReached("x"), 429, "rate_limit_error"),
        (errors.RateLimited("x"), 429, "rate_limit_error"),
        (errors.CodexError("x"), 500, "api_error"),
        (errors.ConnectFailed("x"), 502, "api_error"),
        (errors.RefreshUnavailable("x"), 503, "api_error"),
        (errors.TimedOut("x"), 504, "timeout_error"),
        (errors.Overloaded("x"), 529, "overloaded_error"),
        (errors.Unavailable("x"), 529, "overloaded_error"),
    ],
)
def test_each_error_has_the_status_and_the_type_of_this_api(
    error: CodexError, status: int, kind: str
) -> None:
    assert anthropic.error_status(error) == status
    assert anthropic.error_object(error) == {"type": kind, "message": "x"}


def test_the_headers_tell_when_to_try_again_and_when_not_to() -> None:
    limit = errors.UsageLimitReached("x", retry_after=67_000.2)
    assert anthropic.error_headers(limit, "req_1") == {
        "request-id": "req_1", "retry-after": "67001",
    }  # fmt: skip
    assert anthropic.error_headers(errors.NotLoggedIn("x"), "r")["x-should-retry"] == "false"
    assert "x-should-retry" not in anthropic.error_headers(errors.Overloaded("x"), "r")


def test_an_error_names_its_field_and_its_model() -> None:
    wrong = errors.InvalidRequest("bad", param="messages.0.role")
    assert anthropic.error_object(wrong)["message"] == "messages.0.role: bad"
    gone = errors.ModelNotFound("It does not exist.", param="model")
    gone.model = "gpt-9"
    assert anthropic.error_object(gone)["message"] == "model: gpt-9. It does not exist."


# Counting, models, names of fields


def test_what_is_counted_adds_up() -> None:
    def count(**more: Any) -> int:
        hi = [{"role": "user", "content": "foo"}]
        return anthropic.tokens(anthropic.to_count({"model": "m", "messages": hi, **more}))

    schema = {"type": "object", "properties": {"path": {"type": "string", "description": "d" * 9}}}
    tools = [{"name": f"tool{n}", "description": "x" * n, "input_schema": schema} for n in range(5)]
    alone = count()
    single = [count(tools=[tool]) - alone for tool in tools]
    assert count(tools=tools) - alone == sum(single)
    assert min(single) > 0
    one, other = "Be brief.\n\nAnd kind.", "Speak plainly."
    both = [{"type": "text", "text": one}, {"type": "text", "text": other}]
    assert count(system=both) - alone == (count(system=one) - alone) + (count(system=other) - alone)
    assert count(system=one, tools=tools) == count(system=one) + count(tools=tools) - alone
    hi = {"role": "user", "content": "foo"}
    assert count(messages=[hi, hi, hi]) == 3 * alone


def test_a_system_prompt_and_tools_are_counted_by_their_size() -> None:
    hi = [{"role": "user", "content": "hi"}]
    given = {"model": "m", "messages": hi, "system": "word " * 1000}
    assert 1000 < anthropic.tokens(anthropic.to_count(given)) < 2000


def catalogue() -> list[Any]:
    rows = [
        ("sol", 1, "list"),
        ("astra", 2, "list"),
        ("luna", 3, "list"),
        ("secret-mini", 4, "hide"),
    ]
    entries = [
        {"slug": f"gpt-6-{name}", "display_name": name.title(), "visibility": seen, "priority": n,
         "context_window": 272_000, "supported_reasoning_levels": [{"effort": "high"}]}
        for name, n, seen in rows
    ]  # fmt: skip
    return models.parse({"models": entries})


@pytest.mark.parametrize(
    ("name", "model"),
    [
        ("gpt-6-astra", "gpt-6-astra"),
        ("gpt-9", "gpt-9"),
        ("claude-gpt-6-astra", "gpt-6-astra"),
        ("claude-gpt-6-astra:high", "gpt-6-astra:high"),
        ("claude-gpt-9", "default"),
        ("claude-opus-5-5", "default"),
        ("claude-opus-5-5[1m]", "default"),
        ("gpt-6-astra[1m]", "gpt-6-astra"),
        ("claude-haiku-5-5", "gpt-6-luna"),
        ("claude-sonnet-5", "claude-sonnet-5"),
        ("claude-mine", "mine"),
    ],
)
def test_the_model_behind_a_name(name: str, model: str) -> None:
    aliases = {"claude-sonnet-5": "gpt-6-astra", "mine": "gpt-6-sol"}
    assert anthropic.resolve(catalogue(), aliases, name, "default") == model


def test_a_haiku_is_the_default_where_no_model_is_small() -> None:
    assert anthropic.resolve([], {}, "claude-haiku-5-5", "default") == "default"


def test_the_list_has_each_model_twice_and_the_aliases() -> None:
    page = anthropic.models_page(catalogue(), {"mine": "gpt-6-sol"})
    assert [entry["id"] for entry in page["data"]] == [
        "gpt-6-sol", "claude-gpt-6-sol", "gpt-6-astra", "claude-gpt-6-astra", "gpt-6-luna",
        "claude-gpt-6-luna", "mine",
    ]  # fmt: skip
    ends = (page["has_more"], page["first_id"], page["last_id"])
    assert ends == (False, "gpt-6-sol", "mine")
    assert page["data"][1] == {
        "type": "model", "id": "claude-gpt-6-sol", "display_name": "Sol", "lifecycle": "active",
        "created_at": "2024-01-01T00:00:00Z", "max_input_tokens": 272_000, "max_tokens": 128_000,
    }  # fmt: skip
    empty = {"data": [], "has_more": False, "first_id": None, "last_id": None}
    assert anthropic.models_page([], {}) == empty
    assert anthropic.model_entry(catalogue(), {}, "claude-opus-5-5") is None


@pytest.mark.parametrize(
    ("param", "name"),
    [
        (None, None),
        ("input[3].content", "messages"),
        ("input", "messages"),
        ("instructions", "system"),
        ("tools[2].parameters", "tools.2.input_schema"),
        ("reasoning.effort", "output_config.effort"),
        ("text.format.schema", "output_config.format.schema"),
        ("model", "model"),
        ("messages.0.role", "messages.0.role"),
    ],
)
def test_a_field_of_the_backends_has_the_name_that_the_client_knows(
    param: str | None, name: str | None
) -> None:
    assert anthropic.messages_param(param, {}) == name
