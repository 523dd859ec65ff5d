"""Everything that can go wrong, as one tree.

* CodexError                         status  raised when
  x InvalidRequest                   400     the request cannot be translated (param says where)
  x AuthError                        401
    + NotLoggedIn                            there is no login, or none we can use
    + LoginExpired                           the login can no longer be refreshed
    + LoginNotWritable                       it must be refreshed, and could not be saved
    + TokenRejected                          the backend refuses a token that looks good
  x BackendError                     its own the backend answered with an error
    + PermissionDenied               403
    + ModelNotFound                  404
    + ContextTooLong                 400
    + ContentRefused                 400     policy codes
    + UsageLimitReached              429     the plan's window is used up
    + RateLimited                    429
    + Overloaded                     503
  x TransportError                   502     there is no usable answer
    + ConnectFailed                  502
    + TimedOut                       504
    + StreamInterrupted              502     it ended before its last event, or was unreadable
    + UnexpectedAnswer               502     a redirect, a web page, an unknown encoding
    + RefreshUnavailable             503     the token endpoint did not answer
  x Unavailable                      503     we cannot take the request now

An error knows its OpenAI form (`status`, `type`, `code`, `param`, `message`, `retry_after`,
`body()`), and nothing of HTTP responses, exit codes or MCP: each front end renders it once.

`from_status` and `from_event` map the backend's errors to this tree. They share one table, since
the backend uses the same codes in an HTTP error and in `response.failed`
(`tests/wires/failed_insufficient_quota.sse`).
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from copy import copy
from datetime import UTC, datetime
from typing import Any, TypeVar

JsonObject = dict[str, Any]
E = TypeVar("E", bound=Exception)

MAX_MESSAGE = 500
"""Characters of a backend message that are passed on."""


class CodexError(Exception):
    """The root. `str(error)` is the message for a person."""

    status = 500
    type = "server_error"
    code: str | None = None

    def __init__(
        self,
        message: str,
        *,
        code: str | None = None,
        param: str | None = None,
        status: int | None = None,
        type: str | None = None,  # noqa: A002  (the wire's word)
        retry_after: float | None = None,
        extra: JsonObject | None = None,
    ) -> None:
        super().__init__(message)
        self.message = message
        self.param = param
        self.retry_after = retry_after
        self.headers: dict[str, str] = {}  # of the backend's answer, those that clients may see
        self.backend_status: int | None = None  # of that answer: the client may get another
        self.extra = extra or {}
        if code is not None:
            self.code = code
        if status is not None:
            self.status = status
        if type is not None:
            self.type = type

    def __str__(self) -> str:
        return self.message

    @property
    def known_code(self) -> str:
        """The code, or the type in its place, out of a closed list: for logs, counts and headers,
        where nothing may stand that the backend makes up."""
        return self.code or self.type

    def body(self) -> JsonObject:
        """OpenAI's error object: `{"message", "type", "param", "code"}` and the backend's extras."""
        return {
            "message": self.message,
            "type": self.type,
            "param": self.param,
            "code": self.code,
            **self.extra,
        }


class InvalidRequest(CodexError):
    status = 400
    type = "invalid_request_error"


class AuthError(CodexError):
    status = 401
    type = "authentication_error"


class NotLoggedIn(AuthError):
    code = "auth_file_not_found"


class LoginExpired(AuthError):
    code = "login_expired"


class LoginNotWritable(AuthError):
    code = "login_not_writable"


class TokenRejected(AuthError):
    code = "codex_token_rejected"


class BackendError(CodexError):
    status = 502
    code: str | None = "upstream_error"

    @property
    def known_code(self) -> str:
        code = super().known_code
        return code if code in _BY_CODE or code in _OTHER_CODES else OTHER_CODE


class PermissionDenied(BackendError):
    status = 403
    type = "permission_error"
    code = "upstream_forbidden"


class ModelNotFound(BackendError):
    status = 404
    type = "invalid_request_error"
    code = "model_not_found"
    model: str | None = None  # the name that was asked for
    instead: str | None = None  # a model that there is, where one is known


class ContextTooLong(BackendError):
    status = 400
    type = "invalid_request_error"
    code = "context_length_exceeded"


class ContentRefused(BackendError):
    status = 400
    type = "invalid_request_error"
    code = "content_policy_violation"


class UsageLimitReached(BackendError):
    status = 429
    type = "usage_limit_reached"
    code = "usage_limit_reached"


class RateLimited(BackendError):
    status = 429
    type = "rate_limit_error"
    code = "rate_limit_exceeded"


class Overloaded(BackendError):
    status = 503
    code = "server_is_overloaded"


class TransportError(CodexError):
    status = 502
    code = "upstream_unreachable"


class ConnectFailed(TransportError):
    code = "upstream_unreachable"


class TimedOut(TransportError):
    status = 504
    code = "upstream_timeout"


class StreamInterrupted(TransportError):
    code = "upstream_disconnected"

    def __init__(self, message: str, *, code: str | None = None) -> None:
        # Some clients decide by these words whether to try again.
        super().__init__(message if code else f"connection lost: {message}", code=code)


class UnexpectedAnswer(TransportError):
    code = "upstream_protocol_error"


class RefreshUnavailable(TransportError):
    status = 503
    code = "token_refresh_unavailable"


class Unavailable(CodexError):
    status = 503
    code = "server_is_overloaded"


_BY_CODE: dict[str, type[CodexError]] = {
    "usage_limit_reached": UsageLimitReached,
    "usage_not_included": UsageLimitReached,
    "insufficient_quota": UsageLimitReached,
    "rate_limit_exceeded": RateLimited,
    "slow_down": Overloaded,
    "server_is_overloaded": Overloaded,
    "policy_capacity_unavailable": Overloaded,
    "context_length_exceeded": ContextTooLong,
    "model_not_found": ModelNotFound,
    "invalid_prompt": ContentRefused,
    "cyber_policy": ContentRefused,
    "bio_policy": ContentRefused,
    "content_policy_violation": ContentRefused,
    "misalignment_policy_violation": ContentRefused,
    "moderation_blocked": ContentRefused,
    "invalid_image": ContentRefused,
    "invalid_image_url": ContentRefused,
    "failed_to_download_image": ContentRefused,
    "image_file_not_found": ContentRefused,
}

OTHER_CODE = "other"
_OTHER_CODES = frozenset(
    {
        # codes of the backend and of OpenAI's API
        "server_error", "rate_limit", "not_found", "invalid_value", "invalid_type", "unsupported_value",
        "unsupported_parameter", "unknown_parameter", "missing_required_parameter", "token_expired",
        "token_invalidated", "token_revoked", "deactivated_workspace", "invalid_image_file",
        "invalid_encrypted_content", "invalid_function_parameters", "invalid_json_schema",
        "string_above_max_length", "array_above_max_length", "integer_above_max_value",
        "integer_below_min_value", "empty_string", "unsupported_model", "billing_hard_limit_reached",
        # ours, for what the backend did
        "upstream_error", "upstream_forbidden", "upstream_empty_response", "request_too_large",
        "image_generation_refused",
        # types
        "invalid_request_error", "rate_limit_error", "permission_error", "authentication_error",
        "service_unavailable_error", "image_generation_user_error",
    }
)  # fmt: skip
"""What a BackendError may have for a code or a type beside those of `_BY_CODE`."""

# Gateway answers, `{"detail": "…"}`, have no code, only a text (`tests/wires/errors.json`).
# Texts, for `re` to compile at a failure: most programs see none.
_UNSUPPORTED = r"Unsupported parameter: ([\w.\[\]]+)"
_NO_SUCH_MODEL = (
    r"model is not supported when using Codex|requires a newer version of Codex|^Model not found"
)
_TRY_AGAIN = r"try again in (?:(\d{1,6})m)?(\d{1,9}(?:\.\d+)?)(ms|s)\b"


def missing(param: str, hint: str = "") -> InvalidRequest:
    """For a parameter that a request lacks. `hint` says what else would do."""
    message = f"Missing required parameter: '{param}'."
    return InvalidRequest(
        f"{message} {hint}".rstrip(), code="missing_required_parameter", param=param
    )


def from_status(status: int, body: bytes, headers: Mapping[str, str]) -> CodexError:
    """The error behind an HTTP answer of the backend with a status of 300 or more.

    `body` may be `{"error": {…}}`, `{"detail": …}`, HTML, or nothing.
    """
    if 300 <= status < 400:
        return UnexpectedAnswer(
            f"the backend answered with a redirect ({status}), which is never followed",
            code="upstream_redirect",
        )
    payload = _error_object(body)
    if payload is None:
        return _without_words(status, body, headers)
    after = _retry_after(headers)
    code, message = _text(payload.get("code")) or _text(payload.get("type")), payload["message"]
    if code in _BY_CODE:
        return _known(code, payload, after)
    if re.search(_NO_SUCH_MODEL, message) and status in (400, 404):
        return _no_such_model(message)
    if match := re.search(_UNSUPPORTED, message):
        return InvalidRequest(message, code="unsupported_parameter", param=match[1])
    if status == 401:
        return TokenRejected(message)
    if status == 403:
        return PermissionDenied(message)
    if status == 429:
        return RateLimited(message, retry_after=after)
    if status >= 500:
        return _server_error(status, message, code, after)
    error = BackendError(
        message,
        status=status,
        type=_text(payload.get("type")) or "invalid_request_error",
        param=_text(payload.get("param")),
    )
    # The gateway's refusals have no code, and we make none up.
    error.code = _text(payload.get("code")) or ("request_too_large" if status == 413 else None)
    return error


def from_event(data: JsonObject) -> CodexError:
    """The error behind a `response.failed`, `response.incomplete` or `error` event's JSON.

    An `error` event is flat (`code`, `message`: `tests/wires/error_event.sse`) or nested
    (`error: {…}`: `tests/wires/error_event_nested.sse`); a failed response carries it in
    `response.error` (`tests/wires/failed_server_error.sse`).
    """
    response = data.get("response")
    payload = (response.get("error") if isinstance(response, dict) else None) or data.get("error")
    if not isinstance(payload, dict):
        payload = data
    payload = {
        **payload,
        "message": _clip(_text(payload.get("message")) or "the model run failed"),
    }
    code = _text(payload.get("code")) or _text(payload.get("type"))
    if code in _BY_CODE:
        return _known(code, payload, None)
    return BackendError(payload["message"], code=_text(payload.get("code")) or "server_error")


def _known(code: str, payload: JsonObject, after: float | None) -> CodexError:
    kind, message = _BY_CODE[code], payload["message"]
    if kind is UsageLimitReached:
        return _limit_reached(code, payload, after)
    if kind is ModelNotFound:
        return _no_such_model(message)
    if kind in (RateLimited, Overloaded) and after is None:
        after = _try_again_in(message)
    # Official clients recognise a refused picture by its type.
    wire_type = "image_generation_user_error" if code == "moderation_blocked" else None
    return kind(
        message, code=code, param=_text(payload.get("param")), type=wire_type, retry_after=after
    )


def _limit_reached(code: str, payload: JsonObject, after: float | None) -> CodexError:
    extra: JsonObject = {
        key: payload[key]
        for key in ("plan_type", "resets_at", "resets_in_seconds")
        if key in payload
    }
    seconds, at = _number(payload.get("resets_in_seconds")), _number(payload.get("resets_at"))
    message = payload["message"].rstrip(".")
    if seconds is not None:
        message += f"; it resets in {duration(seconds)}"
    if at is not None and 0 < at < 253402300800:  # the year 10000: beyond it datetime gives up
        message += f" (at {datetime.fromtimestamp(at, UTC):%Y-%m-%d %H:%M} UTC)"
    return UsageLimitReached(
        message, code=code, retry_after=seconds if seconds is not None else after, extra=extra
    )


def _no_such_model(message: str) -> ModelNotFound:
    if "newer version" in message:
        message += " (codexapi: set CODEXAPI_CLIENT_VERSION to the version of a newer Codex client)"
    return ModelNotFound(message, param="model")


def _server_error(status: int, message: str, code: str | None, after: float | None) -> CodexError:
    if status == 503:
        return Overloaded(message, retry_after=after)
    if status == 504:
        return TimedOut(message)
    return BackendError(f"the backend failed ({status}): {message}", code="upstream_error")


def _without_words(status: int, body: bytes, headers: Mapping[str, str]) -> CodexError:
    """An answer that is HTML or empty: its text is never passed on."""
    html = b"<html" in body[:1024].lower() or "html" in headers.get("content-type", "")
    if status == 403 and (html or "cf-mitigated" in headers):
        return UnexpectedAnswer(
            "the backend's gateway blocked the request with a web page (403); "
            "open chatgpt.com in a browser on this network, or try again later",
            code="upstream_blocked",
        )
    after, nothing = _retry_after(headers), f"the backend answered {status} and gave no reason"
    plain: dict[int, CodexError] = {
        401: TokenRejected("the backend refused the access token (401)"),
        403: PermissionDenied(nothing),
        404: BackendError(nothing, status=404, type="invalid_request_error", code="not_found"),
        413: BackendError(
            nothing, status=413, type="invalid_request_error", code="request_too_large"
        ),
        429: RateLimited(nothing, retry_after=after),
    }
    if status in plain:
        return plain[status]
    if status >= 500:
        return _server_error(status, nothing, None, after)
    return BackendError(nothing, status=status, type="invalid_request_error")


def _error_object(body: bytes) -> JsonObject | None:
    """What a JSON error body says, as one flat object with a `message`; None if it is not one."""
    try:
        parsed = json.loads(body)
    except (ValueError, RecursionError):
        return None
    if not isinstance(parsed, dict):
        return None
    payload = parsed.get("error") or parsed.get("detail")
    if isinstance(payload, list):  # a validation list, as FastAPI writes it
        payload = "; ".join(
            str(part.get("msg", part)) for part in payload if isinstance(part, dict)
        )
    if isinstance(payload, str):
        payload = {"message": payload}
    if not isinstance(payload, dict):
        return None
    message = _text(payload.get("message")) or _text(payload.get("code")) or "no reason was given"
    return {**payload, "message": _clip(message)}


def copy_of(error: E) -> E:
    """To be raised in place of an error that is stored: the traceback of one that is raised refers to
    the local variables of all functions that it leaves, a request of some megabytes among them."""
    copied = copy(error)
    copied.__cause__ = error.__cause__
    return copied


def duration(seconds: float) -> str:
    """Seconds in words: `18 h 36 min`, `4 min`, `12 s`."""
    whole = max(0, round(seconds))
    days, hours, minutes = whole // 86400, whole % 86400 // 3600, whole % 3600 // 60
    if days:
        return f"{days} d {hours} h"
    if hours:
        return f"{hours} h {minutes} min"
    return f"{minutes} min" if minutes else f"{whole} s"


def _retry_after(headers: Mapping[str, str]) -> float | None:
    return _number(headers.get("retry-after"))


def _try_again_in(message: str) -> float | None:
    """`Please try again in 1.5s.`: the only place where a failed run says when."""
    match = re.search(_TRY_AGAIN, message)
    if match is None:
        return None
    seconds = float(match[2]) / (1000 if match[3] == "ms" else 1)
    return int(match[1] or 0) * 60 + seconds


def _number(value: object) -> float | None:
    if isinstance(value, bool) or not isinstance(value, str | int | float):
        return None
    try:
        number = float(value)
    except (ValueError, OverflowError):
        return None
    return number if 0 <= number < float("inf") else None


def _text(value: object) -> str | None:
    return value if isinstance(value, str) and value else None


def _clip(message: str) -> str:
    return message if len(message) <= MAX_MESSAGE else message[: MAX_MESSAGE - 1] + "…"
