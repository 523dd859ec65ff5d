"""The bodies of the real backend's refusals, by name.

There are two families, as at the real one: `{"detail": …}` of its gateway, and `{"error": {…}}` of
the API behind it.

No recording shows these of the real one, so they are made up, and marked `ours` where they are
used: an unsupported service tier, tool type or member of `stream_options`; a model list without
`client_version`; a media type that is not JSON's (415); a body that is no object; Lite without
`reasoning.context`; the image tool with a transparent background; too many images; a code that
`FAILURES` lacks.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

from ..errors import JsonObject

JSON_TYPE: Mapping[str, str] = {"content-type": "application/json"}
_RESETS_IN = 67_000


class Refusal(NamedTuple):
    status: int
    body: JsonObject | str
    headers: Mapping[str, str] = JSON_TYPE


class Refused(Exception):
    """Ends the handling of a request with an answer that is not a success."""

    def __init__(self, refusal: Refusal) -> None:
        super().__init__(str(refusal.body))
        self.refusal = refusal


def detail(text: str, status: int = 400) -> Refused:
    return Refused(Refusal(status, {"detail": text}))


def error(
    message: str,
    *,
    param: str | None = None,
    code: str | None = None,
    status: int = 400,
) -> Refused:
    body = {"message": message, "type": "invalid_request_error", "param": param, "code": code}
    return Refused(Refusal(status, {"error": body}))


def named(name: str, now: float) -> Refusal:
    """A refusal of the table; the usage limit resets some hours after `now`."""
    refusal = REFUSALS[name]
    if name != "usage_limit_reached" or not isinstance(refusal.body, dict):
        return refusal
    resets_at = int(now) + _RESETS_IN
    detail = {**refusal.body["error"], "resets_at": resets_at}
    headers = {**refusal.headers, "x-codex-primary-reset-at": str(resets_at)}
    return Refusal(refusal.status, {"error": detail}, headers)


def failure(code: str) -> JsonObject:
    """The `error` of a `response.failed`."""
    ours = (f"The simulated run failed with {code}.", "server_error")
    message, kind = FAILURES.get(code, ours)
    return {"code": code, "message": message, "type": kind}


def _detail(text: object, status: int = 400) -> Refusal:
    return Refusal(status, {"detail": text})


def _error(status: int, **fields: object) -> Refusal:
    return Refusal(status, {"error": fields})


def _login(code: str, message: str, **more: object) -> Refusal:
    return Refusal(401, {"error": {"message": message, **more, "code": code}, "status": 401})


def _grant(code: str, message: str) -> Refusal:
    kind = {"type": "invalid_request_error", "param": None}
    return Refusal(401, {"error": {"code": code, "message": message, **kind}})


_INVALID: Mapping[str, object] = {"type": "invalid_request_error", "param": None}

REFUSALS: Mapping[str, Refusal] = {
    # the gateway
    "store_required": _detail("Store must be set to false"),
    "stream_required": _detail("Stream must be set to true"),
    "input_must_be_list": _detail("Input must be a list"),
    "instructions_required": _detail("Instructions are required"),
    "instructions_not_valid": _detail("Instructions are not valid"),
    "system_messages": _detail("System messages are not allowed"),
    "unsupported_parameter": _detail("Unsupported parameter: max_output_tokens"),
    "model_not_supported": _detail(
        "The 'gpt-x' model is not supported when using Codex with a ChatGPT account."
    ),
    "model_needs_newer": _detail(
        "The 'gpt-6-sol' model requires a newer version of Codex. "
        "Please upgrade to the latest app or CLI and try again."
    ),
    "model_not_found": _detail("Model not found gpt-x", 404),
    "not_found": _detail("Not Found", 404),
    "forbidden": _detail("Forbidden", 403),
    "deactivated_workspace": _detail({"code": "deactivated_workspace"}, 402),
    # the login
    "unauthorized_detail": _detail("Unauthorized", 401),
    "token_expired": _login(
        "token_expired",
        "Provided authentication token is expired. Please try signing in again.",
        type=None,
        param=None,
    ),
    "token_invalidated": _login(
        "token_invalidated",
        "Your authentication token has been invalidated. Please try signing in again.",
        **_INVALID,
    ),
    "token_revoked": _login(
        "token_revoked", "Encountered invalidated oauth token for user, failing request"
    ),
    "refresh_token_expired": _grant(
        "refresh_token_expired",
        "Could not validate your refresh token. Please try signing in again.",
    ),
    "refresh_token_reused": _grant(
        "refresh_token_reused",
        "Your refresh token has already been used to generate a new access token. "
        "Please try signing in again.",
    ),
    "refresh_token_invalidated": _grant(
        "refresh_token_invalidated", "Your session has ended. Please log in again."
    ),
    # the API
    "model_does_not_exist": _error(
        404,
        message="The model `gpt-x` does not exist or you do not have access to it.",
        **{**_INVALID, "code": "model_not_found"},
    ),
    "lite_parallel": _error(
        400,
        message="X-OpenAI-Internal-Codex-Responses-Lite requires `parallel_tool_calls` to be "
        "false.",
        type="invalid_request_error",
        param="parallel_tool_calls",
        code="unsupported_value",
    ),
    "lite_model": _error(
        400,
        message="This model is not supported when using X-OpenAI-Internal-Codex-Responses-Lite.",
        type="invalid_request_error",
        param="model",
        code="unsupported_value",
    ),
    "item_not_persisted": _error(
        404,
        message="Item with id 'rs_0001' not found. Items are not persisted when `store` is set "
        "to false. Try again with `store` set to true, or remove this item from your input.",
        type="invalid_request_error",
        param="input",
        code=None,
    ),
    "no_tool_output": _error(
        400,
        message="No tool output found for function call call_0001.",
        type="invalid_request_error",
        param="input",
        code=None,
    ),
    "invalid_encrypted_content": _error(
        400,
        message="The encrypted content gAAA...c90= could not be verified. Reason: Encrypted "
        "content could not be decrypted or parsed.",
        type="invalid_request_error",
        param=None,
        code="invalid_encrypted_content",
    ),
    "invalid_encrypted_content_no_code": _error(  # some clients report it without its code
        400,
        message="The encrypted content gAAA...c90= could not be verified.",
        type="invalid_request_error",
        param=None,
        code=None,
    ),
    "context_length_exceeded_http": _error(
        400,
        message="Your input exceeds the context window of this model. Please adjust your input "
        "and try again.",
        type="invalid_request_error",
        param="input",
        code="context_length_exceeded",
    ),
    "moderation_blocked": _error(
        400,
        message="Your request was rejected by the safety system.",
        type="image_generation_user_error",
        param=None,
        code="moderation_blocked",
    ),
    # limits and faults
    "usage_limit_reached": Refusal(
        429,
        {
            "error": {
                "type": "usage_limit_reached",
                "message": "The usage limit has been reached",
                "plan_type": "plus",
                "resets_at": 0,
                "eligible_promo": None,
                "resets_in_seconds": _RESETS_IN,
            }
        },
        {
            **JSON_TYPE,
            "x-codex-plan-type": "plus",
            "x-codex-primary-used-percent": "100",
            "x-codex-primary-window-minutes": "300",
            "x-codex-primary-reset-at": "0",
            "x-codex-rate-limit-reached-type": "rate_limit_reached",
        },
    ),
    "usage_not_included": _error(
        429,
        type="usage_not_included",
        message="Codex is not included in your plan.",
        plan_type="free",
    ),
    "rate_limited": Refusal(
        429,
        {
            "error": {
                "type": "rate_limit_exceeded",
                "message": "Rate limit reached",
                "code": "rate_limit_exceeded",
            }
        },
        {**JSON_TYPE, "retry-after": "2"},
    ),
    "server_error": _error(
        500,
        message="The server had an error processing your request.",
        type="server_error",
        code=None,
        param=None,
    ),
    "overloaded": _error(
        503,
        code="server_is_overloaded",
        message="Our servers are currently overloaded. Please try again later.",
        type="service_unavailable_error",
    ),
    "bad_gateway": Refusal(
        502,
        "upstream connect error or disconnect/reset before headers",
        {"content-type": "text/plain"},
    ),
    "gateway_timeout": Refusal(504, "", {}),
    "cloudflare": Refusal(
        403,
        "<html><head><title>Just a moment...</title></head><body>…</body></html>",
        {
            "content-type": "text/html; charset=UTF-8",
            "cf-mitigated": "challenge",
            "server": "cloudflare",
            "cf-ray": "simulated-SJC",
        },
    ),
    "redirect": Refusal(302, "", {"location": "https://simulated.example/login"}),
}
"""Every refusal that `[[status NAME]]` can ask for."""

FAILURES: Mapping[str, tuple[str, str]] = {
    "context_length_exceeded": (
        (
            "Your input exceeds the context window of this model. "
            "Please adjust your input and try again."
        ),
        "invalid_request_error",
    ),
    "insufficient_quota": (
        "You exceeded your current quota, please check your plan and billing details.",
        "insufficient_quota",
    ),
    "usage_not_included": (
        "To use Codex with your ChatGPT plan, upgrade.",
        "usage_not_included",
    ),
    "usage_limit_reached": ("The usage limit has been reached", "usage_limit_reached"),
    "server_is_overloaded": (
        "Our servers are currently overloaded. Please try again later.",
        "service_unavailable_error",
    ),
    "slow_down": ("Please slow down. Please try again in 1.5s.", "service_unavailable_error"),
    "policy_capacity_unavailable": (
        "Policy-restricted capacity is unavailable.",
        "service_unavailable_error",
    ),
    "rate_limit_exceeded": (
        (
            "Rate limit reached for gpt-6.1-sol on tokens per min (TPM): Limit 30000, Used 22999, "
            "Requested 12528. Please try again in 1.5s."
        ),
        "tokens",
    ),
    "server_error": (
        (
            "An error occurred while processing your request. You can retry your request. "
            "Please include the request ID req_simulated in your message."
        ),
        "server_error",
    ),
    "content_policy_violation": (
        "Your request was rejected by the safety system.",
        "invalid_request_error",
    ),
    "cyber_policy": (
        "This content was flagged for possible cybersecurity risk.",
        "invalid_request_error",
    ),
    "bio_policy": (
        "This content was flagged for possible biological risk.",
        "invalid_request_error",
    ),
    "misalignment_policy_violation": (
        "This content was flagged by a policy.",
        "invalid_request_error",
    ),
    "invalid_prompt": ("Your prompt was flagged. Please rephrase it.", "invalid_request_error"),
    "model_not_found": (
        "The model 'x' does not exist or you do not have access to it.",
        "invalid_request_error",
    ),
}
"""Message and type of each code that a run can fail with; any other code fails too."""
