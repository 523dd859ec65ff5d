"""What we believe of the backend, as far as one small request settles it.

The names are those of the rows in `docs/backend.md`, which has the evidence for each.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

from codexapi_engine.errors import JsonObject
from codexapi_engine.protocol import models
from codexapi_engine.protocol.limits import from_headers, from_usage
from codexapi_engine.protocol.shapes import get_dict, get_int, get_str

ADDED, DONE = "response.output_item.added", "response.output_item.done"


@dataclass
class Observations:
    """What one small request and the two pages have shown."""

    model: str = ""  # that was asked for
    version: str = ""  # that we have named
    headers: Mapping[str, str] = field(default_factory=dict)  # of the answer, in lower case
    events: list[JsonObject] = field(default_factory=list)
    catalogue: JsonObject = field(default_factory=dict)
    catalogue_etag: str = ""
    usage_page: JsonObject = field(default_factory=dict)

    @property
    def end(self) -> JsonObject:
        """The last event; empty where the answer has no good end."""
        last = self.events[-1] if self.events else {}
        return last if get_str(last, "type") == "response.completed" else {}

    @property
    def response(self) -> JsonObject:
        return get_dict(self.end, "response")

    def of_type(self, *types: str) -> list[JsonObject]:
        return [event for event in self.events if get_str(event, "type") in types]

    def items(self, kind: str) -> list[JsonObject]:
        done = (get_dict(event, "item") for event in self.of_type(DONE))
        return [item for item in done if get_str(item, "type") == kind]


class Belief(NamedTuple):
    name: str
    text: str
    holds: Callable[[Observations], bool | None]  # None: this answer does not settle it


def _ended(seen: Observations) -> bool | None:
    """A request that is answered to its end was accepted; one that is not has other reasons."""
    return True if seen.end else None


def _has_end(seen: Observations) -> bool | None:
    if not seen.events:
        return None
    return bool(get_str(seen.response, "id") and get_dict(seen.response, "usage"))


def _output_is_empty(seen: Observations) -> bool | None:
    return seen.response.get("output") == [] if seen.end else None


def _items_are_done(seen: Observations) -> bool | None:
    if not seen.end:
        return None
    added, done = ({get_int(e, "output_index") for e in seen.of_type(t)} for t in (ADDED, DONE))
    return bool(done) and added <= done


def _text_is_obfuscated(seen: Observations) -> bool | None:
    deltas = seen.of_type("response.output_text.delta")
    return all("obfuscation" in delta for delta in deltas) if deltas else None


def _has_phases(seen: Observations) -> bool | None:
    messages = seen.items("message")
    return all(get_str(message, "phase") for message in messages) if messages else None


def _is_encrypted(seen: Observations) -> bool | None:
    items = seen.items("reasoning")
    return all(get_str(item, "encrypted_content") for item in items) if items else None


def _counts_details(seen: Observations) -> bool | None:
    usage = get_dict(seen.response, "usage")
    if not usage:
        return None
    cached = get_dict(usage, "input_tokens_details").get("cached_tokens")
    reasoning = get_dict(usage, "output_tokens_details").get("reasoning_tokens")
    return isinstance(cached, int) and isinstance(reasoning, int)


def _is_plain(seen: Observations) -> bool | None:
    return "content-encoding" not in seen.headers if seen.headers else None


def _has_no_media_type(seen: Observations) -> bool | None:
    return "content-type" not in seen.headers if seen.headers else None


def _names_model(seen: Observations) -> bool | None:
    return seen.headers.get("openai-model") == seen.model if seen.headers else None


def _names_list(seen: Observations) -> bool | None:
    named = seen.headers.get("x-models-etag")
    return named == seen.catalogue_etag if named and seen.catalogue_etag else None


def _has_limits(seen: Observations) -> bool | None:
    return from_headers(seen.headers).primary is not None if seen.headers else None


def _plans_agree(seen: Observations) -> bool | None:
    by_header, by_page = from_headers(seen.headers).plan, from_usage(seen.usage_page).plan
    return by_header == by_page if by_header and by_page else None


def _has_turn_state(seen: Observations) -> bool | None:
    return "x-codex-turn-state" in seen.headers if seen.headers else None


def _version_is_enough(seen: Observations) -> bool | None:
    found = models.parse(seen.catalogue)
    return models.client_version(found, at_least=seen.version) == seen.version if found else None


BELIEFS = (
    Belief("classic-shape", "`instructions` and no Lite header are accepted", _ended),
    Belief("own-name", "an originator and a User-Agent of our own are accepted", _ended),
    Belief("no-routing", "no request to accounts/check is needed first", _ended),
    Belief("last-event", "`response.completed` is last, with `id` and `usage`", _has_end),
    Belief("empty-output", "`output` is empty in the last event", _output_is_empty),
    Belief("done-items", "each item comes in `response.output_item.done`", _items_are_done),
    Belief("obfuscation", "each text delta has an `obfuscation`", _text_is_obfuscated),
    Belief("phases", "each message has a `phase`", _has_phases),
    Belief("encrypted", "reasoning has `encrypted_content` if asked for", _is_encrypted),
    Belief("token-details", "`usage` counts cached and reasoning tokens", _counts_details),
    Belief("plain-stream", "a stream asked for as `identity` is not compressed", _is_plain),
    Belief("media-type", "a stream names no media type", _has_no_media_type),
    Belief("model-header", "`openai-model` is the model that was asked for", _names_model),
    Belief("list-etag", "`x-models-etag` is the ETag of the model list", _names_list),
    Belief("limit-headers", "each answer has the plan's limits in headers", _has_limits),
    Belief("plan-names", "the headers and the usage page name one plan", _plans_agree),
    Belief("turn-state", "each answer has an `x-codex-turn-state`", _has_turn_state),
    Belief("version", "the version that we name opens every listed model", _version_is_enough),
)


def settled(seen: Observations) -> Iterator[tuple[Belief, bool | None]]:
    """Each belief, and whether it holds."""
    for belief in BELIEFS:
        yield belief, belief.holds(seen)
