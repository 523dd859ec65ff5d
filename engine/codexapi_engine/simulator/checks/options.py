"""Rules of the parameters, of the model, and of the Lite shape."""

from __future__ import annotations

import re

from ...errors import JsonObject
from ..model_request import text_of
from ..refusals import REFUSALS, Refused, detail, error
from .submission import LONGEST, Submission, enumeration, invalid, too_long
from .tools import HOSTED

UNSUPPORTED = (
    "max_output_tokens", "max_completion_tokens", "temperature", "top_p", "frequency_penalty",
    "presence_penalty", "metadata", "user", "truncation", "safety_identifier",
    "prompt_cache_retention", "prompt_cache_options", "context_management",
    "previous_response_id", "stop", "background", "conversation", "top_logprobs",
    "max_tool_calls", "moderation", "prompt",
)  # fmt: skip
TIERS = ("priority", "flex")
EFFORTS = ("none", "minimal", "low", "medium", "high", "xhigh", "max")
UNVERSIONED = (0, 124, 0)
"""The refusal of a client without a version: reports differ, and this is the stricter reading."""

_LITE_NAME = "X-OpenAI-Internal-Codex-Responses-Lite"
_VERSION = re.compile(r"(\d+)\.(\d+)\.(\d+)")


def version_of(text: str | None) -> tuple[int, ...] | None:
    match = _VERSION.match(text or "")
    return tuple(map(int, match.groups())) if match else None


def needed(model: JsonObject) -> tuple[int, ...]:
    return version_of(model.get("minimal_client_version")) or (0, 0, 0)


def check_stream(submission: Submission) -> None:
    if submission.body.get("stream") is not True:
        raise Refused(REFUSALS["stream_required"])


def check_store(submission: Submission) -> None:
    if submission.body.get("store") is not False:
        raise Refused(REFUSALS["store_required"])


def check_parameters(submission: Submission) -> None:
    for name in submission.body:
        if name in UNSUPPORTED:
            raise detail(f"Unsupported parameter: {name}")


def check_stream_options(submission: Submission) -> None:
    for name in submission.body.get("stream_options") or {}:
        if name != "reasoning_summary_delivery":
            raise detail(f"Unsupported parameter: stream_options.{name}")  # ours


def check_instructions(submission: Submission) -> None:
    """Today's official client sends none, and a developer message in their place."""
    developers = any(item.get("role") == "developer" for item in submission.body["input"])
    if not (submission.body.get("instructions") or developers or submission.warms_up):
        raise Refused(REFUSALS["instructions_required"])


def check_cache_key(submission: Submission) -> None:
    key = submission.body.get("prompt_cache_key") or ""
    if len(key) > LONGEST:
        raise too_long("prompt_cache_key", key)


def check_tier(submission: Submission) -> None:
    tier = submission.body.get("service_tier")
    if "service_tier" in submission.body and tier not in TIERS:
        raise detail(f"Unsupported service_tier: {tier}")  # ours


def check_json_word(submission: Submission) -> None:
    form = (submission.body.get("text") or {}).get("format") or {}
    if form.get("type") != "json_object":
        return
    words = " ".join(text_of(item.get("content")) for item in submission.body["input"])
    if "json" not in words.lower():  # instructions do not count
        raise error(
            "Response input messages must contain the word 'json' in some form to use "
            "'text.format' of type 'json_object'.",
            param="input",
        )


def check_model(submission: Submission) -> None:
    model, version = submission.model, _version(submission)
    if model is None or (version is None and needed(model) > UNVERSIONED):
        raise detail(
            f"The '{submission.body['model']}' model is not supported when using Codex with a "
            "ChatGPT account."
        )


def check_version(submission: Submission) -> None:
    model, version = submission.model, _version(submission)
    if model is not None and version is not None and version < needed(model):
        raise detail(
            f"The '{submission.body['model']}' model requires a newer version of Codex. "
            "Please upgrade to the latest app or CLI and try again."
        )


def check_effort(submission: Submission) -> None:
    if submission.effort is not None and submission.effort not in EFFORTS:
        raise invalid("reasoning.effort", submission.effort, EFFORTS)


def check_model_effort(submission: Submission) -> None:
    levels = (submission.model or {}).get("supported_reasoning_levels") or []
    efforts = [level["effort"] for level in levels if level["effort"] in EFFORTS]
    if efforts and submission.effort not in (None, *efforts):
        raise error(
            f"Unsupported value: '{submission.effort}' is not supported with the "
            f"'{submission.body['model']}' model. Supported values are: {enumeration(efforts)}.",
            param="reasoning.effort",
            code="unsupported_value",
        )


def check_effort_updates(submission: Submission) -> None:
    """Whether the effort of the model may change in the middle of a conversation."""
    able = (submission.model or {}).get("supports_reasoning_effort_updates")
    for path, item in submission.input_items():
        if item.get("type") == "configuration_update" and not able:
            raise error(
                "The 'configuration_update' item type is not supported with the "
                f"'{submission.body['model']}' model.",
                param=path,
                code="unsupported_value",
            )


def check_lite_model(submission: Submission) -> None:
    model = submission.model
    if submission.lite and model is not None and not model.get("use_responses_lite"):
        raise Refused(REFUSALS["lite_model"])


def check_lite_parallel(submission: Submission) -> None:
    if submission.lite and submission.body.get("parallel_tool_calls") is not False:
        raise Refused(REFUSALS["lite_parallel"])


def check_lite_context(submission: Submission) -> None:
    context = (submission.body.get("reasoning") or {}).get("context")
    if submission.lite and context != "all_turns":
        raise _lite("requires `reasoning.context` to be `all_turns`.", "reasoning.context")  # ours


def check_lite_tools(submission: Submission) -> None:
    choice = submission.body.get("tool_choice")
    hosted = any(tool.get("type") in HOSTED for tool in submission.body.get("tools") or [])
    forced = isinstance(choice, dict) and choice.get("type") in HOSTED
    if submission.lite and (hosted or forced):
        raise _lite(
            "only supports function tools, custom tools, and client-executed tool search.",
            "tools" if hosted else "tool_choice",
        )


def _version(submission: Submission) -> tuple[int, ...] | None:
    return version_of(submission.headers.get("version"))


def _lite(what: str, param: str) -> Refused:
    return error(f"{_LITE_NAME} {what}", param=param, code="unsupported_value")
