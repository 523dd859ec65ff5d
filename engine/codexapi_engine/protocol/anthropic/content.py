"""The items of a response, as whole content blocks of a reply; and what the reply says beside them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from ...errors import JsonObject
from .. import json
from ..responses.arguments import CALLS, arguments_of
from ..responses.estimate import BYTES_PER_TOKEN
from ..responses.texts import Role, complete_text, role_of
from ..shapes import get_dict, get_int, get_list, get_str
from .signature import UNKNOWN, Writer, sign

GAP = "\n\n"
"""Between the parts of one thought."""

_BLOCKS: Mapping[Role | None, str] = {"answer": "text", "refusal": "text", "reasoning": "thinking"}
_SPEAKS = ("text", "tool_use", "web_search_tool_result")
_READ, _PAGES = "Read", "pages"


@dataclass(frozen=True, slots=True)
class MessageOptions:
    """What of a request shapes its reply."""

    model: str  # as the client named it
    writer: Writer = UNKNOWN
    thinking: bool = False  # reasoning as blocks
    summaries: bool = False  # with its summaries
    stop: tuple[str, ...] = ()
    names: Mapping[str, str] = field(default_factory=dict)  # the client's names of tools
    edits: bool = False  # the client wants to hear of edits of its context
    input_tokens: int = 0  # an estimate
    window: int | None = None  # tokens that the model takes

    @property
    def shows_thoughts(self) -> bool:
        return self.thinking and self.summaries


def blocks_of(
    item: JsonObject, options: MessageOptions, sources: list[JsonObject]
) -> list[JsonObject]:
    """The blocks of an item that is done; `sources` are a search's. Raises BackendError."""
    kind = get_str(item, "type")
    if kind == "message":
        return _message_blocks(item, options)
    if kind == "reasoning":
        return thinking_block(item, options)
    if kind in CALLS:
        call = call_block(item, options)
        return [{**call, "input": json.loads(arguments(item))}]
    return search_blocks(item, sources) if kind == "web_search_call" else []


def says_something(kinds: Iterable[str]) -> bool:
    """Whether blocks of these types are an answer: a thought alone is none."""
    return any(kind in _SPEAKS for kind in kinds)


def _message_blocks(item: JsonObject, options: MessageOptions) -> list[JsonObject]:
    """The texts of a message, in which a refusal is text too, and what of it is reasoning."""
    blocks: list[JsonObject] = []
    gap = ""  # before the next part of reasoning
    for part in get_list(item, "content"):
        kind, text = _BLOCKS.get(role_of(part)), complete_text(part)
        if not text or kind is None or (kind == "thinking" and not options.shows_thoughts):
            continue
        if not blocks or blocks[-1]["type"] != kind:
            more = {"signature": ""} if kind == "thinking" else {}
            blocks.append({"type": kind, kind: "", **more})
        blocks[-1][kind] += gap + text if kind == "thinking" else text
        gap = GAP if kind == "thinking" else gap
    if (locations := citations_of(item)) and blocks and blocks[-1]["type"] == "text":
        blocks[-1]["citations"] = locations
    return blocks


def thought_of(item: JsonObject) -> str:
    parts = [*get_list(item, "summary"), *get_list(item, "content")]
    return GAP.join(text for part in parts if (text := complete_text(part)))


def thinking_block(item: JsonObject, options: MessageOptions) -> list[JsonObject]:
    if not options.thinking:
        return []
    thought = thought_of(item) if options.summaries else ""
    signature = sign(item, options.writer)
    if not (thought or signature):
        return []
    return [{"type": "thinking", "thinking": thought, "signature": signature}]


def call_block(item: JsonObject, options: MessageOptions) -> JsonObject:
    """A call before its input is known."""
    name = get_str(item, "name")
    return {
        "type": "tool_use",
        "id": get_str(item, "call_id"),
        "name": options.names.get(name, name),
        "input": {},
        "caller": {"type": "direct"},
    }


def rewrites(item: JsonObject) -> bool:
    """Whether the input of a call may differ from what the backend streams."""
    return item.get("type") != "function_call" or item.get("name") == _READ


def arguments(item: JsonObject) -> str:
    """The input of a call that is done, as the JSON of an object. Raises BackendError."""
    value, text = arguments_of(item), get_str(item, CALLS[item["type"]])
    if item["type"] == "custom_tool_call":
        return json.dumps(value).decode()
    # Models fill in this optional field, and Claude Code then refuses the call.
    if item.get("name") == _READ and value.get(_PAGES) == "":
        return json.dumps({name: value[name] for name in value if name != _PAGES}).decode()
    return text or "{}"


def search_blocks(item: JsonObject, sources: list[JsonObject]) -> list[JsonObject]:
    """A search of the web, and what it found."""
    name = "srvtoolu_" + (get_str(item, "id").removeprefix("ws_") or "0")
    action = get_dict(item, "action")
    query = get_str(action, "query") or get_str(action, "url")
    found = [
        {
            "type": "web_search_result",
            "url": get_str(source, "url"),
            "title": get_str(source, "title") or get_str(source, "url"),
            "encrypted_content": "",
            "page_age": None,
        }
        for source in sources
    ]
    return [
        {"type": "server_tool_use", "id": name, "name": "web_search", "input": {"query": query}},
        {"type": "web_search_tool_result", "tool_use_id": name, "content": found},
    ]


def own_sources(item: JsonObject) -> list[JsonObject]:
    """What a search tells itself of what it found."""
    return _unique(get_list(get_dict(item, "action"), "sources"))


def citations(item: JsonObject) -> list[JsonObject]:
    """The pages that a message cites."""
    return _unique(
        note
        for part in get_list(item, "content")
        for note in get_list(part, "annotations")
        if note.get("type") == "url_citation"
    )


def citations_of(item: JsonObject) -> list[JsonObject]:
    """The pages that a message cites, in the form of its block's `citations`. The backend does not
    tell which of a page's words it means."""
    return [
        {
            "type": "web_search_result_location",
            "url": page["url"],
            "title": get_str(page, "title") or page["url"],
            "cited_text": "",
            "encrypted_index": "",
        }
        for page in citations(item)
    ]


def _unique(sources: Iterable[JsonObject]) -> list[JsonObject]:
    return list(
        {get_str(source, "url"): source for source in sources if get_str(source, "url")}.values()
    )


def usage_of(response: JsonObject, options: MessageOptions, searches: int) -> JsonObject:
    """The tokens in this API's words: those that were read from a cache are not input tokens."""
    counts = get_dict(response, "usage")
    read, written = (
        get_dict(counts, "input_tokens_details"),
        get_dict(counts, "output_tokens_details"),
    )
    cached, stored = get_int(read, "cached_tokens") or 0, get_int(read, "cache_write_tokens") or 0
    total = get_int(counts, "input_tokens")
    if total is None:
        total = options.input_tokens + cached + stored
    usage: JsonObject = {
        "input_tokens": max(0, total - cached - stored),
        "cache_creation_input_tokens": stored,
        "cache_read_input_tokens": cached,
        "output_tokens": get_int(counts, "output_tokens") or 0,
        "output_tokens_details": {"thinking_tokens": get_int(written, "reasoning_tokens") or 0},
    }
    if searches:
        usage["server_tool_use"] = {"web_search_requests": searches, "web_fetch_requests": 0}
    return usage


def text_tokens(size: int) -> int:
    """An estimate for so many bytes of text."""
    return max(1, round(size / BYTES_PER_TOKEN))


def message_id(response: JsonObject) -> str:
    return "msg_" + get_str(response, "id").removeprefix("resp_")


def refusal_of(items: Iterable[JsonObject]) -> str | None:
    """What the model says in place of an answer; None if it refuses nothing."""
    parts = [part for item in items for part in get_list(item, "content")]
    texts = [get_str(part, "refusal") for part in parts if part.get("type") == "refusal"]
    return "".join(texts) if texts else None


def ending(response: JsonObject, called: bool, refusal: str | None) -> JsonObject:
    """`stop_reason` and what goes with it."""
    reason = get_str(get_dict(response, "incomplete_details"), "reason")
    details = None
    if called:
        stop = "tool_use"
    elif refusal is not None or reason == "content_filter":
        stop = "refusal"
        details = {"type": "refusal", "category": None, "explanation": refusal}
    elif reason == "max_output_tokens" or response.get("status") == "incomplete":
        stop = "max_tokens"  # for another reason too: a text that was cut is no end of a turn
    else:
        stop = "end_turn"
    return {"stop_reason": stop, "stop_sequence": None, "stop_details": details}
