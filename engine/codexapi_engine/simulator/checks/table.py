"""The table of rules: what the real backend is known to refuse, with the evidence.

Each rule can be switched off by its name, in case it turns out wrong.
"""

from __future__ import annotations

import textwrap
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass

from . import items, options, pictures, search, tools
from .submission import Submission


@dataclass(frozen=True, slots=True)
class Rule:
    check: Callable[[Submission], None]  # raises Refused
    evidence: str


RULES: Mapping[str, Rule] = {
    "stream": Rule(
        options.check_stream,
        "Many clients report `Stream must be set to true`; the official one streams always.",
    ),
    "store": Rule(
        options.check_store,
        "Many clients report `Store must be set to false`, also for a body without `store`.",
    ),
    "system_role": Rule(
        items.check_system,
        "CLIProxyAPI#3625, tingly-box#1489 and AIClient2API#632: since May 2026 a system message "
        "is refused.",
    ),
    "empty_input": Rule(
        items.check_empty,
        "openclaw#73820: `input: []` is refused with these words; the official client's warm-up "
        "(`generate: false`) is empty, recorded.",
    ),
    "role": Rule(items.check_roles, "The public API's words for a role that it does not know."),
    "item_type": Rule(
        items.check_types,
        "The public API's words; the types are those that official clients send, recorded.",
    ),
    "stored_item": Rule(
        items.check_stored,
        "Many clients report that a bare id is 404: `Items are not persisted when store is set "
        "to false`.",
    ),
    "item_id_characters": Rule(
        items.check_id_characters,
        "openai/codex#9360 (colons), langchainjs#11044 and open-grok#23 (an empty id).",
    ),
    "item_id_prefix": Rule(
        items.check_id_begins,
        "openai/codex#33176, CLIProxyAPI#4641 and others: an id begins as its item's type does.",
    ),
    "item_id_length": Rule(
        items.check_id_length,
        "hermes-agent#27038 and openai/codex#39133: over 64 characters, even an id of 408 that "
        "the backend itself made.",
    ),
    "duplicate_item_id": Rule(
        items.check_duplicates,
        "ai-sdk-provider#254 and others: the same item twice is refused with these words.",
    ),
    "call_id_empty": Rule(items.check_call_id_empty, "pi#2917: these words for an empty call id."),
    "call_id_characters": Rule(
        items.check_call_id_characters,
        "Several clients clean call ids; one measurement (ungate#41) saw the length checked "
        "alone. The words are those for names.",
    ),
    "call_id_length": Rule(
        items.check_call_id_length,
        "ungate#26, fastllm#45, dsh-plugin-subscriptions#29: over 64 characters, even one of 69 "
        "that the backend itself made.",
    ),
    "call_name": Rule(
        items.check_call_name,
        "pi#9852 and OmniRoute#346: the name of a call in the history is checked as a tool's is.",
    ),
    "call_name_length": Rule(
        items.check_call_name_length,
        "By analogy with the names of tools; no report of a history alone.",
    ),
    "readable_content": Rule(
        items.check_readable,
        "openai/codex#8119 and a dozen more of that day: after a change of keys, "
        "`invalid_encrypted_content` for all that was written before; likewise what is invented.",
    ),
    "other_account": Rule(
        items.check_account,
        "opencodex#2269, bifrost#5892: what one account's reasoning or compaction holds, no "
        "other can read.",
    ),
    "other_model": Rule(
        items.check_model,
        "openai/codex#17541: another model cannot read it. A compaction it can, if `comp_hash` "
        "is the same (openai/codex#27520).",
    ),
    "other_item_id": Rule(
        items.check_item_id,
        "codex-lb#1316 and bifrost#5186: the content is bound to the id of its item.",
    ),
    "content_part": Rule(items.check_parts, "The public API's words, and its types of parts."),
    "cache_breakpoint": Rule(
        items.check_breakpoints, "Several clients report these words for `prompt_cache_breakpoint`."
    ),
    "image_media_type": Rule(
        items.check_media_types,
        "openai/codex#5346: these words for a media type that is no picture's. For `image/jpg` "
        "reports of other services alone are known.",
    ),
    "image_data": Rule(
        items.check_images,
        "openai/codex#4946 and #7459: these words, with the four kinds, for what is no picture.",
    ),
    "unsupported_parameter": Rule(
        options.check_parameters,
        "suna#5124, geode#818, hermes-agent#16487, openai/codex#39442: refused by name.",
    ),
    "stream_options": Rule(
        options.check_stream_options,
        "Several clients report that only `reasoning_summary_delivery` is taken.",
    ),
    "instructions": Rule(
        options.check_instructions,
        "llxprt#1197 and OmniRoute#1711: `Instructions are required`; the official client sends "
        "developer messages in their place, recorded.",
    ),
    "call_without_output": Rule(
        items.check_answered,
        "sub2api#5150 and OmniRoute#8946: each call needs its output.",
    ),
    "output_without_call": Rule(
        items.check_called, "openclaw#24615: each output needs its call."
    ),
    "web_search_name": Rule(
        tools.check_search_names,
        "just-every/code#147 and CLIProxyAPI#2223 for `web_search_preview`; the dated names by "
        "analogy.",
    ),
    "tool_type": Rule(
        tools.check_types, "The same reports' words, for any type that no official client sends."
    ),
    "tool_name": Rule(
        tools.check_names, "openai/codex#8174: these words for a name with a dot."
    ),
    "tool_name_length": Rule(
        tools.check_name_length,
        "openai/codex#1289 at 64; since openai/codex#39594 the official client sends up to 128.",
    ),
    "array_items": Rule(
        tools.check_array_items,
        "agenc-core#538 and hermes-agent#24158: `array schema missing items`, nested too.",
    ),
    "schema_type": Rule(
        tools.check_schema_type,
        "stagehand#1159 and others, of the public API: `parameters: {}` is no object's schema.",
    ),
    "object_properties": Rule(
        tools.check_properties,
        "inboxapi/cli#105 (through Codex), forgecode#1359, jan#7017: `object schema missing "
        "properties`.",
    ),
    "inner_object_properties": Rule(
        tools.check_inner_properties,
        "By analogy with arrays, where the message names the place; no report of a nested one.",
    ),
    "strict_tool": Rule(
        tools.check_strict_tools,
        "spring-ai#6865 and openai/codex#539: `strict: true` needs additionalProperties false "
        "and every property required, in each object.",
    ),
    "image_tool": Rule(
        tools.check_image_tool,
        "Several clients report that `n` is unknown and a transparent background refused.",
    ),
    "tool_choice": Rule(
        tools.check_choice, "raine/claude-code-proxy#26: these words for a choice of no tool."
    ),
    "allowed_tools": Rule(
        tools.check_allowed,
        "vercel/ai#18997, measured: each entry has to name a tool, a hosted one by its type.",
    ),
    "cache_key": Rule(
        options.check_cache_key, "pi cuts it at 64 characters; the words are the public API's."
    ),
    "service_tier": Rule(
        options.check_tier,
        "The official client sends priority and flex alone, recorded; several clients report "
        "that others are refused.",
    ),
    "effort": Rule(options.check_effort, "The public API's list; `ultra` is the client's own."),
    "json_word": Rule(
        options.check_json_word, "Many clients report these words; instructions do not count."
    ),
    "strict_format": Rule(
        tools.check_strict_format,
        "pi-web-providers#14, through Codex: a strict format needs additionalProperties false.",
    ),
    "model": Rule(
        options.check_model,
        "clodex#271, OmniRoute#12761 and others: a model that is not of the account's list.",
    ),
    "client_version": Rule(
        options.check_version,
        "GCMP#420, CLIProxyAPI#6061, agent-zero#1770: a model that is newer than the client.",
    ),
    "model_effort": Rule(
        options.check_model_effort,
        "opencode#26268, measured at OpenAI; codex-lb#493 saw a stall in place of a refusal. "
        "Whether `none` passes unlisted, reports differ.",
    ),
    "effort_update": Rule(
        options.check_effort_updates,
        "The official client sends `configuration_update` to the models alone whose entry says "
        "`supports_reasoning_effort_updates`, recorded; the words are those reported of pro models.",
    ),
    "lite_model": Rule(
        options.check_lite_model, "oh-my-pi#7666: a model without the Lite shape."
    ),
    "lite_parallel_calls": Rule(
        options.check_lite_parallel, "oh-my-pi#5771: Lite needs `parallel_tool_calls: false`."
    ),
    "lite_context": Rule(
        options.check_lite_context, "openai/codex#31894: Lite needs the context `all_turns`."
    ),
    "lite_tools": Rule(
        options.check_lite_tools, "oh-my-pi#7666: Lite takes no hosted tool, and no choice of one."
    ),
}  # fmt: skip
"""The rules of `/responses`, in the order in which they are looked at."""

EDIT_RULES: Mapping[str, Rule] = {
    "edit_image_count": Rule(
        pictures.check_count, "Peers send 16 at most; the official client 5, recorded."
    ),
    "edit_image_url": Rule(
        pictures.check_address,
        "hermes-agent#111000: an address cannot be fetched; opencode-gpt-imagegen#82 measured "
        "that some can.",
    ),
    "edit_image_media_type": Rule(
        pictures.check_media_types, "By analogy with /responses; no report of this endpoint."
    ),
    "edit_image_data": Rule(
        pictures.check_data, "By analogy with /responses; no report of this endpoint."
    ),
    "edit_image_kind": Rule(
        pictures.check_kind,
        "opencode-gpt-imagegen#82, measured: a GIF and a BMP are `invalid_image_file`; PNG, JPEG "
        "and WebP pass.",
    ),
}
"""The rules of `/images/edits`."""

SEARCH_RULES: Mapping[str, Rule] = {
    "search_parameter": Rule(
        search.check_parameters,
        "CLIProxyAPI#4289: `Unknown parameter: 'prompt_cache_key'`; the six that pass are "
        "recorded.",
    ),
}
"""The rules of `/alpha/search`."""

NAMES = (*RULES, *EDIT_RULES, *SEARCH_RULES)


def apply(rules: Mapping[str, Rule], submission: Submission, lenient: Collection[str]) -> None:
    """Raises Refused for the first rule that the request breaks, but for those of `lenient`."""
    for name, rule in rules.items():
        if name not in lenient:
            rule.check(submission)


def unknown_rules(names: Collection[str]) -> list[str]:
    return sorted(set(names) - set(NAMES))


def listing_of_rules() -> str:
    """The table for a person: each rule with its evidence."""
    lines = []
    for name, rule in (*RULES.items(), *EDIT_RULES.items(), *SEARCH_RULES.items()):
        lines += [
            name,
            *textwrap.wrap(rule.evidence, 96, initial_indent="  ", subsequent_indent="  "),
        ]
    return "\n".join(lines)
