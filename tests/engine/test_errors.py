"""The backend's words as our errors."""

from __future__ import annotations

import json
from typing import Any

import pytest
from tests.wire_files import events, table, wire

from codexapi_engine import errors
from codexapi_engine.errors import (
    BackendError,
    CodexError,
    ConnectFailed,
    ContentRefused,
    ContextTooLong,
    InvalidRequest,
    ModelNotFound,
    NotLoggedIn,
    Overloaded,
    PermissionDenied,
    RateLimited,
    RefreshUnavailable,
    StreamInterrupted,
    TimedOut,
    TokenRejected,
    Unavailable,
    UnexpectedAnswer,
    UsageLimitReached,
    copy_of,
)

BODIES = {row["name"]: row for row in table("errors")}

# name -> the class, its status, code and param, and seconds to wait
EXPECTED: dict[str, tuple[type[CodexError], int, str | None, str | None, float | None]] = {
    "store_required": (BackendError, 400, None, None, None),
    "stream_required": (BackendError, 400, None, None, None),
    "input_must_be_list": (BackendError, 400, None, None, None),
    "instructions_required": (BackendError, 400, None, None, None),
    "instructions_not_valid": (BackendError, 400, None, None, None),
    "system_messages": (BackendError, 400, None, None, None),
    "unsupported_parameter": (
        InvalidRequest,
        400,
        "unsupported_parameter",
        "max_output_tokens",
        None,
    ),
    "model_not_supported": (ModelNotFound, 404, "model_not_found", "model", None),
    "model_needs_newer": (ModelNotFound, 404, "model_not_found", "model", None),
    "model_not_found": (ModelNotFound, 404, "model_not_found", "model", None),
    "lite_parallel": (BackendError, 400, "unsupported_value", "parallel_tool_calls", None),
    "lite_model": (BackendError, 400, "unsupported_value", "model", None),
    "item_not_persisted": (BackendError, 404, None, "input", None),
    "no_tool_output": (BackendError, 400, None, "input", None),
    "context_length_exceeded_http": (ContextTooLong, 400, "context_length_exceeded", "input", None),
    "token_expired": (TokenRejected, 401, "codex_token_rejected", None, None),
    "token_invalidated": (TokenRejected, 401, "codex_token_rejected", None, None),
    "token_revoked": (TokenRejected, 401, "codex_token_rejected", None, None),
    "unauthorized_detail": (TokenRejected, 401, "codex_token_rejected", None, None),
    "deactivated_workspace": (BackendError, 402, "deactivated_workspace", None, None),
    "cloudflare": (UnexpectedAnswer, 502, "upstream_blocked", None, None),
    "usage_limit_reached": (UsageLimitReached, 429, "usage_limit_reached", None, 67000),
    "usage_not_included": (UsageLimitReached, 429, "usage_not_included", None, None),
    "rate_limited": (RateLimited, 429, "rate_limit_exceeded", None, 2),
    "server_error": (BackendError, 502, "upstream_error", None, None),
    "overloaded": (Overloaded, 503, "server_is_overloaded", None, None),
    "bad_gateway": (BackendError, 502, "upstream_error", None, None),
}


def refused(status: int, body: object = None, **headers: str) -> CodexError:
    data = body if isinstance(body, bytes) else json.dumps(body).encode()
    return errors.from_status(status, data, {k.replace("_", "-"): v for k, v in headers.items()})


@pytest.mark.parametrize("name", BODIES)
def test_a_refusal_of_the_backend_has_its_class(name: str) -> None:
    row = BODIES[name]
    body = row["body"] if isinstance(row["body"], str) else json.dumps(row["body"])
    error = errors.from_status(row["status"], body.encode(), row["headers"])
    kind, status, code, param, after = EXPECTED[name]
    assert type(error) is kind
    assert (error.status, error.code) == (status, code)
    assert (error.param, error.retry_after) == (param, after)
    assert "<" not in error.message


@pytest.mark.parametrize("name", [name for name in BODIES if BODIES[name]["status"] in (400, 404)])
def test_the_backends_own_words_are_passed_on(name: str) -> None:
    body = BODIES[name]["body"]
    words = body.get("detail") or body["error"]["message"]
    assert words in refused(BODIES[name]["status"], body).message


def test_a_code_that_nobody_told_is_null() -> None:
    assert refused(400, {"detail": "Store must be set to false"}).body()["code"] is None


FAILED: dict[str, tuple[type[CodexError], int, str, float | None]] = {
    "failed_content_policy_violation": (ContentRefused, 400, "content_policy_violation", None),
    "failed_context_length_exceeded": (ContextTooLong, 400, "context_length_exceeded", None),
    "failed_cyber_policy": (ContentRefused, 400, "cyber_policy", None),
    "failed_insufficient_quota": (UsageLimitReached, 429, "insufficient_quota", None),
    "failed_model_not_found": (ModelNotFound, 404, "model_not_found", None),
    "failed_rate_limit_exceeded": (RateLimited, 429, "rate_limit_exceeded", 1.5),
    "failed_server_error": (BackendError, 502, "server_error", None),
    "failed_server_is_overloaded": (Overloaded, 503, "server_is_overloaded", None),
    "failed_usage_not_included": (UsageLimitReached, 429, "usage_not_included", None),
    "failed_midway": (Overloaded, 503, "server_is_overloaded", None),
    "error_event": (BackendError, 502, "server_error", None),
    "error_event_nested": (ContextTooLong, 400, "context_length_exceeded", None),
}


@pytest.mark.parametrize("name", FAILED)
def test_a_failure_in_a_stream_has_its_class(name: str) -> None:
    error = errors.from_event(events(wire(name))[-1].json)
    kind, status, code, after = FAILED[name]
    assert type(error) is kind
    assert (error.status, error.code, error.retry_after) == (status, code, after)


@pytest.mark.parametrize(
    "data", [{}, {"response": None}, {"response": {"error": None}}, {"error": "odd"}]
)
def test_a_failure_without_words_is_still_one(data: dict[str, Any]) -> None:
    error = errors.from_event(data)
    assert error.message == "the model run failed"
    assert error.body()["code"] == "server_error"


@pytest.mark.parametrize("status", [301, 302, 307, 308])
def test_a_redirect_is_never_followed(status: int) -> None:
    error = refused(status, b"", location="https://example.com")
    assert (type(error), error.status, error.code) == (UnexpectedAnswer, 502, "upstream_redirect")


HTML = b"<!doctype html><HTML><body>hidden</body></html>"


@pytest.mark.parametrize(
    ("status", "body", "headers", "kind", "ours", "code"),
    [
        (403, HTML, {}, UnexpectedAnswer, 502, "upstream_blocked"),
        (403, b"", {"cf_mitigated": "challenge"}, UnexpectedAnswer, 502, "upstream_blocked"),
        (403, b"", {"content_type": "text/html"}, UnexpectedAnswer, 502, "upstream_blocked"),
        (403, b"", {}, PermissionDenied, 403, "upstream_forbidden"),
        (403, b'{"detail": "No"}', {}, PermissionDenied, 403, "upstream_forbidden"),
        (401, HTML, {}, TokenRejected, 401, "codex_token_rejected"),
        (404, HTML, {}, BackendError, 404, "not_found"),
        (404, b'{"detail": "Not Found"}', {}, BackendError, 404, None),
        (413, b"", {}, BackendError, 413, "request_too_large"),
        (413, b'{"detail": "Payload too large"}', {}, BackendError, 413, "request_too_large"),
        (418, b"", {}, BackendError, 418, "upstream_error"),
        (429, b"", {"retry_after": "3"}, RateLimited, 429, "rate_limit_exceeded"),
        (429, b'{"detail": "Slow"}', {"retry_after": "3"}, RateLimited, 429, "rate_limit_exceeded"),
        (500, HTML, {}, BackendError, 502, "upstream_error"),
        (502, b'{"error": {"message": "x", "code": "odd"}}', {}, BackendError, 502, "upstream_error"),
        (503, HTML, {"retry_after": "3"}, Overloaded, 503, "server_is_overloaded"),
        (504, HTML, {}, TimedOut, 504, "upstream_timeout"),
        (529, b"", {}, BackendError, 502, "upstream_error"),
        (400, b"[]", {}, BackendError, 400, "upstream_error"),
        (400, b'{"detail": 7}', {}, BackendError, 400, "upstream_error"),
        (400, b"[" * 99_999, {}, BackendError, 400, "upstream_error"),
        (400, b'{"detail": {}}', {}, BackendError, 400, None),
        (400, b'{"error": {"type": "image_error", "message": "x"}}', {}, BackendError, 400, None),
        (503, b'{"error": {"code": "slow_down", "message": "Please try again in 1m2s."}}', {}, Overloaded, 503, "slow_down"),
        (500, b'{"error": {"message": "x", "code": "server_is_overloaded"}}', {}, Overloaded, 503, "server_is_overloaded"),
    ],
)  # fmt: skip
def test_other_refusals(
    status: int,
    body: bytes,
    headers: dict[str, str],
    kind: type[CodexError],
    ours: int,
    code: str | None,
) -> None:
    error = refused(status, body, **headers)
    assert type(error) is kind
    assert (error.status, error.code) == (ours, code)
    assert "hidden" not in error.message
    assert error.retry_after in (None, 3, 62)


def test_a_validation_list_is_one_sentence() -> None:
    detail = [{"loc": ["body"], "msg": "field required"}, {"odd": 1}, "odd"]
    assert refused(422, {"detail": detail}).message == "field required; {'odd': 1}"


def test_a_model_that_needs_a_newer_client_says_what_to_set() -> None:
    assert "CODEXAPI_CLIENT_VERSION" in refused(400, BODIES["model_needs_newer"]["body"]).message
    assert (
        "CODEXAPI_CLIENT_VERSION" not in refused(400, BODIES["model_not_supported"]["body"]).message
    )


def test_a_used_up_plan_says_when_it_resets() -> None:
    error = refused(429, BODIES["usage_limit_reached"]["body"])
    assert error.message == (
        "The usage limit has been reached; it resets in 18 h 36 min (at 2026-11-23 02:13 UTC)"
    )
    assert error.body() == {
        "message": error.message, "type": "usage_limit_reached", "param": None, "code": "usage_limit_reached",
        "plan_type": "plus", "resets_at": 1795400000, "resets_in_seconds": 67000,
    }  # fmt: skip


@pytest.mark.parametrize(
    ("told", "after"),
    [
        ({"resets_in_seconds": "90"}, 90),
        ({"resets_in_seconds": -1}, 5),
        ({"resets_in_seconds": True}, 5),
        ({"resets_in_seconds": 10**400}, 5),
        ({"resets_in_seconds": float("inf")}, 5),
        ({"resets_at": 10**30}, 5),
        ({"resets_at": 0}, 5),
        ({"resets_at": 253402300799}, 5),
        ({"resets_at": "soon"}, 5),
        ({"resets_at": None, "resets_in_seconds": []}, 5),
    ],
)
def test_odd_times_of_a_reset_are_left_out(told: dict[str, Any], after: float) -> None:
    body = {"error": {"type": "usage_limit_reached", "message": "No.", **told}}
    error = refused(429, body, retry_after="5")
    assert error.retry_after == after
    assert error.message.startswith("No")


@pytest.mark.parametrize(
    ("message", "after"),
    [
        ("Please try again in 1.5s.", 1.5),
        ("try again in 250ms", 0.25),
        ("try again in 1m30s.", 90),
        ("try again in 2m", None),
        ("try again in ..s", None),
        ("try again in 1.2.3s", None),
        ("try again in " + "9" * 400 + "s", None),
        ("try again in " + "9" * 400 + "m1s", None),
        ("try again later", None),
    ],
)
def test_a_failed_run_may_say_when_to_try_again(message: str, after: float | None) -> None:
    error = errors.from_event({"code": "rate_limit_exceeded", "message": message})
    assert error.retry_after == after


@pytest.mark.parametrize(
    "value", ["", "Wed, 21 Oct 2026 07:28:00 GMT", "-1", "nan", "inf", "1e999"]
)
def test_a_retry_after_that_is_no_number_is_left_out(value: str) -> None:
    assert refused(429, b"", retry_after=value).retry_after is None


def test_long_words_are_cut() -> None:
    error = refused(400, {"detail": "x" * 2000})
    assert len(error.message) == errors.MAX_MESSAGE
    assert error.message.endswith("…")


@pytest.mark.parametrize(
    ("seconds", "words"),
    [
        (0, "0 s"), (-5, "0 s"), (12.4, "12 s"), (59.6, "1 min"), (60, "1 min"), (3599, "59 min"),
        (3600, "1 h 0 min"), (66_960, "18 h 36 min"), (86_400, "1 d 0 h"), (700_000, "8 d 2 h"),
    ],
)  # fmt: skip
def test_durations_in_words(seconds: float, words: str) -> None:
    assert errors.duration(seconds) == words


@pytest.mark.parametrize(
    ("error", "status", "type_", "code"),
    [
        (CodexError("x"), 500, "server_error", None),
        (InvalidRequest("x", param="p"), 400, "invalid_request_error", None),
        (NotLoggedIn("x"), 401, "authentication_error", "auth_file_not_found"),
        (ConnectFailed("x"), 502, "server_error", "upstream_unreachable"),
        (StreamInterrupted("x"), 502, "server_error", "upstream_disconnected"),
        (RefreshUnavailable("x"), 503, "server_error", "token_refresh_unavailable"),
        (Unavailable("x"), 503, "server_error", "server_is_overloaded"),
        (CodexError("x", code="c", status=418, type="t"), 418, "t", "c"),
    ],
)
def test_an_error_has_openais_face(
    error: CodexError, status: int, type_: str, code: str | None
) -> None:
    message = "connection lost: x" if isinstance(error, StreamInterrupted) else "x"
    assert str(error) == message
    assert error.status == status
    assert error.body() == {"message": message, "type": type_, "param": error.param, "code": code}


def test_changing_one_error_changes_no_other() -> None:
    CodexError("x", code="c", status=1, type="t").extra["a"] = 1
    assert (CodexError.code, CodexError.status, CodexError.type) == (None, 500, "server_error")
    assert CodexError("x").extra == {}


def test_the_tree_in_the_docstring_is_the_tree() -> None:
    drawn = {
        line.split()[1]
        for line in (errors.__doc__ or "").splitlines()
        if line.strip()[:2] in ("* ", "x ", "+ ")
    }
    kinds = {
        name
        for name, value in vars(errors).items()
        if isinstance(value, type) and issubclass(value, CodexError)
    }
    assert drawn == kinds


def test_a_copy_of_an_error_is_as_it_was_and_refers_to_no_function_that_the_error_has_left() -> (
    None
):
    error = RateLimited("slow down", code="slow", param="model", retry_after=3, extra={"plan": 1})
    error.backend_status, error.headers = 429, {"x-request-id": "r"}
    with pytest.raises(RateLimited) as caught:
        raise error from ValueError("why")
    copied = copy_of(caught.value)
    assert type(copied) is RateLimited
    assert vars(copied) == vars(error)
    assert (str(copied), copied.__cause__) == (str(error), error.__cause__)
    assert error.__traceback__ is not None
    assert copied.__traceback__ is None
