"""What a Chat Completions reply is made of, as a stream and complete."""

from __future__ import annotations

from dataclasses import dataclass

from ...errors import JsonObject
from ..choices import limit_reason
from ..responses import Part
from ..responses.backend import SERVICE_TIERS
from ..shapes import get_int, get_list, get_str

PREFIX = "chatcmpl-"

# item type -> (the word for it in chat, the field of its input)
CALLS = {"function_call": ("function", "arguments"), "custom_tool_call": ("custom", "input")}


@dataclass(frozen=True, slots=True)
class ReplyOptions:
    """What of a request shapes its reply."""

    model: str
    include_usage: bool = False
    service_tier: str | None = None
    reasoning: bool = False  # summaries as `reasoning_content`
    json: bool = False  # content is JSON: commentary must not be part of it
    legacy: bool = False  # `functions`: one `function_call` in place of `tool_calls`
    stop: tuple[str, ...] = ()  # the content ends before the first of these
    n: int = 1  # choices, each a run of its own


def tier_of(tier: object) -> str | None:
    """The tier that a reply tells. One that the backend does not take is ignored, and has no echo."""
    known = isinstance(tier, str) and tier in ("auto", "default", *SERVICE_TIERS)
    return str(tier) if known else None


def finish_reason(response: JsonObject, called: bool, form: ReplyOptions) -> str:
    """Why the answer ended. A call is a reason even where the choice was forced: agents wait for it."""
    return limit_reason(response) or normal_finish_reason(called, form)


def normal_finish_reason(called: bool, form: ReplyOptions) -> str:
    if called:
        return "function_call" if form.legacy else "tool_calls"
    return "stop"


def tool_call(item: JsonObject, *, empty: bool = False) -> JsonObject:
    """A call as chat has it; `empty` before its input is known. The namespace is beyond the
    official API: two servers may both have a `search` (`tests/wires/namespace_calls.sse`)."""
    kind, field = CALLS[item["type"]]
    body = {"name": get_str(item, "name")}
    if namespace := get_str(item, "namespace"):
        body["namespace"] = namespace
    body[field] = "" if empty else get_str(item, field)
    return {"id": get_str(item, "call_id"), "type": kind, kind: body}


def picture_of(item: JsonObject, order: int) -> JsonObject | None:
    """A drawn picture, in the field that OpenRouter made known: chat has none of its own."""
    data = get_str(item, "result") if item.get("type") == "image_generation_call" else ""
    if not data:
        return None
    url = f"data:image/{get_str(item, 'output_format') or 'png'};base64,{data}"
    return {"type": "image_url", "index": order, "image_url": {"url": url}}


def indexed_parts(item: JsonObject, index: int = 0) -> list[tuple[Part, JsonObject]]:
    """The parts of an item, each with the indices by which its events name it."""
    if item.get("type") not in ("message", "reasoning"):
        return []
    summaries = enumerate(get_list(item, "summary"))
    found: list[tuple[Part, JsonObject]] = [((index, n, None), part) for n, part in summaries]
    return found + [((index, None, n), part) for n, part in enumerate(get_list(item, "content"))]


def is_aside(item: JsonObject, *, as_json: bool) -> bool:
    """Commentary before a JSON answer: as content it would break the JSON
    (`tests/wires/commentary_then_final.sse`)."""
    return as_json and item.get("type") == "message" and item.get("phase") == "commentary"


def annotations_of(part: JsonObject, start: int) -> list[JsonObject]:
    """The citations of a part, as chat nests them, counted from the start of the content: the
    backend counts from the start of the part (`tests/wires/several_parts.sse`)."""
    return [
        {
            "type": "url_citation",
            "url_citation": {
                "start_index": start + (get_int(citation, "start_index") or 0),
                "end_index": start + (get_int(citation, "end_index") or 0),
                "title": get_str(citation, "title"),
                "url": get_str(citation, "url"),
            },
        }
        for citation in get_list(part, "annotations")
        if citation.get("type") == "url_citation"
    ]
