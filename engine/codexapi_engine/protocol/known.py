"""The names in the backend's messages that we know, and the differences of a message from them.

Only names are reported, never a value, so a report can be shown to anybody. Every name is in a
wire of the tests, or is one that the official clients 0.169.0 and 0.171.0 read.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import NamedTuple

from ..errors import JsonObject, StreamInterrupted
from .responses import texts
from .responses.reply import LIFECYCLE, TERMINAL
from .shapes import get_dict, get_list, get_str
from .sse import Event

ANOTHER = "(a name of another form)"
"""In place of a name that is no plain word, and could be private: an id, an address."""

_LONGEST, _MOST_DIGITS = 120, 4
_PLAIN = re.compile(r"[A-Za-z][A-Za-z0-9_.-]*")
_MODEL = re.compile(r"(?:gpt|codex|o[0-9])(?:[.-][a-z0-9]{1,12}){0,5}")

_ITEM = {"item_id", "output_index"}
_PART = _ITEM | {"content_index"}
_SUMMARY = _ITEM | {"summary_index"}
_DELTA = {"delta", "obfuscation"}

_TEXT_EVENTS = {
    **{kind: {*_ITEM, form.part_index, *_DELTA} - {""} for kind, form in texts.DELTAS.items()},
    **{kind: {*_ITEM, form.part_index, form.field} - {""} for kind, form in texts.ENDS.items()},
}
EVENTS: Mapping[str, frozenset[str]] = {
    name: frozenset({"type", "sequence_number", *fields})
    for name, fields in {
        **{name: {"response"} for name in LIFECYCLE},
        "response.output_item.added": {"output_index", "item"},
        "response.output_item.done": {"output_index", "item"},
        "response.content_part.added": _PART | {"part"},
        "response.content_part.done": _PART | {"part"},
        **_TEXT_EVENTS,
        "response.output_text.delta": _PART | _DELTA | {"logprobs"},
        "response.output_text.done": _PART | {"text", "logprobs"},
        "response.output_text.annotation.added": _PART | {"annotation", "annotation_index"},
        "response.reasoning_summary_part.added": _SUMMARY | {"part"},
        "response.reasoning_summary_part.done": _SUMMARY | {"part"},
        "response.function_call_arguments.done": _ITEM | {"arguments", "name"},
        "response.web_search_call.in_progress": _ITEM,
        "response.web_search_call.searching": _ITEM,
        "response.web_search_call.completed": _ITEM,
        "response.image_generation_call.in_progress": _ITEM,
        "response.image_generation_call.generating": _ITEM,
        "response.image_generation_call.completed": _ITEM,
        "response.image_generation_call.partial_image": _ITEM
        | {"partial_image_b64", "partial_image_index"}
        | {"background", "output_format", "quality", "size"},
        "response.metadata": {"metadata", "headers"},
        "codex.response.metadata": {"metadata", "headers"},
        "codex.rate_limits": {"plan_type", "rate_limits", "credits"},
        "keepalive": set(),
        "error": {"code", "message", "param", "error"},
    }.items()
}
"""The events of a stream, each with its fields."""

ITEMS: Mapping[str, frozenset[str]] = {
    name: frozenset({"type", "id", "status", *fields})
    for name, fields in {
        "message": {"role", "content", "phase"},
        "reasoning": {"summary", "content", "encrypted_content"},
        "function_call": {"call_id", "name", "namespace", "arguments"},
        "custom_tool_call": {"call_id", "name", "input"},
        "web_search_call": {"action"},
        "image_generation_call": {
            "action", "background", "output_format", "quality", "result", "revised_prompt", "size",
        },
        "compaction": {"encrypted_content"},
    }.items()
}  # fmt: skip
"""The items of an answer, each with its fields."""

PARTS: Mapping[str, frozenset[str]] = {
    **{kind: frozenset({"type", form.field}) for kind, form in texts.PARTS.items()},
    "output_text": frozenset({"type", "text", "annotations", "logprobs"}),
}
"""The parts of an item, each with its fields."""

RESPONSE = frozenset(
    {
        "id", "object", "created_at", "completed_at", "status", "background", "error",
        "incomplete_details", "instructions", "max_output_tokens", "max_tool_calls", "model",
        "output", "parallel_tool_calls", "previous_response_id", "prompt_cache_key",
        "prompt_cache_retention", "reasoning", "safety_identifier", "service_tier", "store",
        "temperature", "text", "tool_choice", "tools", "tool_usage", "top_logprobs", "top_p",
        "truncation", "usage", "user", "metadata", "headers", "end_turn",
    }
)  # fmt: skip
USAGE = frozenset(
    {
        "input_tokens", "input_tokens_details", "input_tokens_details.cached_tokens",
        "input_tokens_details.cache_write_tokens", "output_tokens", "output_tokens_details",
        "output_tokens_details.reasoning_tokens", "total_tokens",
    }
)  # fmt: skip
"""The fields of a response's `usage`."""

CATALOGUE = frozenset({"models"})
MODEL = frozenset(
    {
        "slug", "display_name", "description", "visibility", "priority", "supported_in_api",
        "supported_reasoning_levels", "default_reasoning_level", "default_reasoning_summary",
        "supports_reasoning_effort_updates", "context_window", "max_context_window",
        "effective_context_window_percent", "auto_compact_token_limit", "comp_hash",
        "truncation_policy", "input_modalities", "supports_image_detail_original",
        "support_verbosity", "default_verbosity", "service_tiers", "default_service_tier",
        "additional_speed_tiers", "minimal_client_version", "prefer_websockets",
        "use_responses_lite", "shell_type", "tool_mode", "apply_patch_tool_type",
        "web_search_tool_type", "supports_search_tool", "experimental_supported_tools",
        "supports_experimental_context", "model_messages", "base_instructions", "model_specialty",
        "multi_agent_version", "multi_agent_reasoning_effort", "availability_nux", "upgrade",
        "include_apps_usage_instructions", "include_plugin_usage_instructions",
        "include_skills_usage_instructions", "node_repl_auto_review_required",
        "node_repl_disabled", "allow_only_codex_cloud_agent_orchestrator",
        "allow_only_chatgpt_workspace_executor", "auto_review_model_override",
        "available_in_plans", "guardian", "requires_sandboxed_review",
        "supports_parallel_tool_calls", "supports_reasoning_summaries",
        "supports_reasoning_summary_parameter",
    }
)  # fmt: skip
"""The fields of a model in the catalogue."""

MODEL_NEEDS = frozenset({"slug", "visibility", "priority", "supported_reasoning_levels"})

_LIMIT = {"allowed", "limit_reached"} | {
    f"{window}_window{field}"
    for window in ("primary", "secondary")
    for field in (
        "", ".used_percent", ".limit_window_seconds", ".reset_after_seconds", ".reset_at",
    )
}  # fmt: skip
PLAN = frozenset(
    {
        "user_id", "account_id", "email", "plan_type", "rate_limit", "code_review_rate_limit",
        "additional_rate_limits", "additional_rate_limits.limit_name",
        "additional_rate_limits.metered_feature", "additional_rate_limits.rate_limit", "credits",
        "credits.has_credits", "credits.unlimited", "credits.balance",
        "credits.approx_local_messages", "credits.approx_cloud_messages", "spend_control",
        "spend_control.reached", "spend_control.individual_limit", "rate_limit_reached_type",
        "rate_limit_reset_credits", "rate_limit_reset_credits.available_count", "promo",
        *(f"{holder}rate_limit.{field}" for holder in ("", "additional_rate_limits.")
          for field in _LIMIT),
        *(f"code_review_rate_limit.{field}" for field in _LIMIT),
    }
)  # fmt: skip
"""The fields of the usage page."""

PLAN_NEEDS = frozenset({"plan_type", "rate_limit", "rate_limit.primary_window.used_percent"})

HEADERS = frozenset(
    {
        "openai-model", "openai-processing-ms", "x-models-etag", "x-reasoning-included",
        "x-request-id", "x-oai-request-id", "x-openai-proxy-wasm", "x-error-json",
        "x-openai-authorization-error", "x-envoy-upstream-service-time", "x-codex-turn-state",
        "x-codex-plan-type", "x-codex-active-limit", "x-codex-rate-limit-reached-type",
        "x-codex-promo-campaign-id", "x-codex-promo-message", "x-codex-credits-has-credits",
        "x-codex-credits-unlimited", "x-codex-credits-balance",
        "x-codex-safety-buffering-enabled", "x-codex-safety-buffering-faster-model",
        # of HTTP, and of who stands between
        "alt-svc", "cache-control", "cf-cache-status", "cf-ray", "connection",
        "content-encoding", "content-length", "content-type", "cross-origin-opener-policy",
        "date", "etag", "expires", "keep-alive", "last-modified", "nel", "pragma",
        "referrer-policy", "report-to", "reporting-endpoints", "server", "server-timing",
        "set-cookie", "strict-transport-security", "transfer-encoding", "vary", "via",
        "x-content-type-options", "x-frame-options",
    }
)  # fmt: skip
HEADERS_NEEDED = frozenset(
    {"openai-model", "x-models-etag", "x-codex-primary-used-percent", "x-codex-plan-type"}
)
"""Those of a stream that we, or the official client, do something by."""

_LIMIT_HEADER = re.compile(
    r"x-[a-z0-9-]+-(?:limit-name|(?:primary|secondary)-(?:used-percent|window-minutes|reset-at"
    r"|reset-after-seconds|over-secondary-limit-percent))"
)
"""Each limit has a family of headers of its own."""


def plain(name: str) -> str:
    """A name that may be public: an id, an address or a key is none."""
    digits = sum(letter.isdigit() for letter in name)
    fits = len(name) <= _LONGEST and digits <= _MOST_DIGITS and _PLAIN.fullmatch(name)
    return name if fits else ANOTHER


def plain_model(slug: str) -> str:
    return slug if _MODEL.fullmatch(slug) else ANOTHER


def unknown_headers(names: Iterable[str]) -> set[str]:
    """Those that are not of the picture."""
    return {
        plain(name)
        for name in map(str.lower, names)
        if name not in HEADERS and not _LIMIT_HEADER.fullmatch(name)
    }


def catalogue_differences(catalogue: JsonObject) -> tuple[set[str], set[str]]:
    """The unknown fields of the model list, and those that a model lacks."""
    models = get_list(catalogue, "models")
    unknown = _unknown(catalogue, CATALOGUE).union(*(_unknown(each, MODEL) for each in models))
    lack = set() if models else {"models"}
    return unknown, lack.union(*(MODEL_NEEDS - each.keys() for each in models))


def plan_differences(usage: JsonObject) -> tuple[set[str], set[str]]:
    """The unknown fields of the usage page, and those that it lacks."""
    fields = set(_paths(usage))
    unknown = {name for name in fields - PLAN if _parent(name) not in fields - PLAN}
    return {plain(name) for name in unknown}, set(PLAN_NEEDS - fields)


class Survey:
    """What of a stream is known, and what is not. Feed it the events in order."""

    def __init__(self) -> None:
        self.names: list[str] = []  # in order; a repetition stands once
        self.unknown_events: set[str] = set()
        self.unknown_fields: set[str] = set()  # `event: field`, `item type: field`
        self.disorder: set[str] = set()  # what did not come in the order that we know
        self._numbers = -1
        self._items: set[int] = set()  # that were added, and are not done

    def feed(self, event: Event) -> None:
        try:
            data = event.json
        except StreamInterrupted:
            self.disorder.add("an event that is not a JSON object")
            return
        name = plain(event.type or "")
        if not self.names or self.names[-1] != name:
            self.names.append(name)
        self._visit_event(event.type or "", data)
        for kind, unknown in unknown_names(event.type or "", data):
            if kind == "event":
                self.unknown_events.add(unknown)
            else:
                self.unknown_fields.add(unknown if kind == "field" else f"{kind}: type {unknown}")

    def finish(self) -> None:
        """The stream has ended."""
        if not self.names or self.names[-1] not in TERMINAL:
            self.disorder.add("no last event")
        if self._items:
            self.disorder.add("an item without response.output_item.done")

    def _visit_event(self, name: str, data: JsonObject) -> None:
        if len(self.names) == 1 and name.startswith("response.") and name != "response.created":
            self.disorder.add("response.created is not first")
        number, index = data.get("sequence_number"), data.get("output_index")
        if isinstance(number, int):
            if number != self._numbers + 1:
                self.disorder.add("sequence_number does not count")
            self._numbers = number
        if not isinstance(index, int):
            return
        if name == "response.output_item.added":
            self._items.add(index)
        elif index not in self._items:
            self.disorder.add(f"{plain(name)} without response.output_item.added")
        elif name == "response.output_item.done":
            self._items.discard(index)


class UnknownName(NamedTuple):
    kind: str  # event, item, part, field, header, error
    name: str  # cleaned by `plain`; of a field with its holder: `message: phase`


def unknown_names(kind: str, data: JsonObject, *, output: bool = True) -> list[UnknownName]:
    """What we do not know of an event: its type, or fields of it, of its item and its response.
    `output`: also of the items that its response holds."""
    if kind not in EVENTS:
        return [UnknownName("event", plain(kind))]
    found = _fields(kind, data, EVENTS[kind])
    if item := get_dict(data, "item"):
        found += _item(item)
    if part := get_dict(data, "part"):
        found += _typed("part", part, PARTS)
    if response := get_dict(data, "response"):
        found += _fields("response", response, RESPONSE)
        usage = set(_paths(get_dict(response, "usage")))
        found += [UnknownName("field", f"usage: {plain(name)}") for name in sorted(usage - USAGE)]
        for item in get_list(response, "output") if output else ():
            found += _item(item)
    return found


def _item(item: JsonObject) -> list[UnknownName]:
    found = _typed("item", item, ITEMS)
    for part in (*get_list(item, "content"), *get_list(item, "summary")):
        found += _typed("part", part, PARTS)
    return found


def _typed(kind: str, value: JsonObject, known: Mapping[str, frozenset[str]]) -> list[UnknownName]:
    if not value:
        return []
    name = get_str(value, "type")
    if name in known:
        return _fields(name, value, known[name])
    return [UnknownName(kind, plain(name))]


def _fields(holder: str, value: JsonObject, known: frozenset[str]) -> list[UnknownName]:
    if value.keys() <= known:
        return []
    return [UnknownName("field", f"{holder}: {name}") for name in _unknown(value, known)]


def _unknown(value: JsonObject, known: frozenset[str]) -> set[str]:
    return {plain(name) for name in value if name not in known}


def _parent(path: str) -> str:
    return path.rpartition(".")[0]


def _paths(value: JsonObject, above: str = "") -> list[str]:
    """The names of all fields, those of inner objects behind the outer's."""
    paths = [f"{above}{name}" for name in value]
    for name, inside in value.items():
        for member in inside if type(inside) is list else (inside,):
            if type(member) is dict:
                paths += _paths(member, f"{above}{name}.")
    return paths
