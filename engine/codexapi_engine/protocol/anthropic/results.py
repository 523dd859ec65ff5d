"""What tools gave, the client's and the API's own, as items and texts of a Responses request."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from ...errors import JsonObject
from .. import json
from ..shapes import get_dict, get_list, get_str
from .blocks import block_parts
from .fields import Ignored, content_blocks, required_text

NO_RESULT = "[no result]"
_ERROR = "[tool error]"


def output_item(
    block: JsonObject, path: str, tools: Mapping[str, JsonObject], ignored: Ignored
) -> JsonObject:
    """The `function_call_output` of a `tool_result`; `tools` are those that it may refer to."""
    call_id = required_text(block, "tool_use_id", path)
    parts: list[JsonObject] = []
    for index, inside in enumerate(content_blocks(block.get("content"), f"{path}.content")):
        if get_str(inside, "type") == "tool_reference":
            parts += reference_parts(inside, tools)
        else:
            parts += block_parts(inside, f"{path}.content.{index}", ignored)
    if block.get("is_error") is True:
        parts.insert(0, {"type": "input_text", "text": _ERROR})
    plain = all(part["type"] == "input_text" for part in parts)
    output = "\n".join(part["text"] for part in parts) if plain else parts
    return {"type": "function_call_output", "call_id": call_id, "output": output}


def reference_parts(block: JsonObject, tools: Mapping[str, JsonObject]) -> list[JsonObject]:
    """A tool that a search has found, in the form that the search tool's description promises."""
    tool = tools.get(get_str(block, "tool_name"))
    if tool is None:
        return []
    shown = {name: tool[name] for name in ("description", "name", "parameters") if name in tool}
    line = f"<function>{json.dumps(shown).decode()}</function>"
    return [{"type": "input_text", "text": f"<functions>\n{line}\n</functions>"}]


def lonely_result(item: JsonObject) -> JsonObject:
    """A result whose call is not in the conversation, as what a user says: a history may be cut."""
    output = item["output"]
    parts = [{"type": "input_text", "text": output}] if isinstance(output, str) else output
    head = {"type": "input_text", "text": f"[result of an earlier call, {item['call_id']}]"}
    return {"type": "message", "role": "user", "content": [head, *parts]}


def joined_with_calls(items: list[JsonObject]) -> list[JsonObject]:
    """The items, each call with one output behind it and each output with a call before it: the
    backend refuses a request for one that is alone."""
    last = {
        item["call_id"]: place
        for place, item in enumerate(items)
        if item["type"] == "function_call_output"
    }
    open_calls: set[str] = set()
    calls: set[str] = set()
    joined: list[JsonObject] = []
    for place, item in enumerate(items):
        if item["type"] == "function_call":
            if item["call_id"] in calls:
                continue  # a turn that stands twice in the history
            calls.add(item["call_id"])
            joined.append(item)
            if last.get(item["call_id"], -1) > place:
                open_calls.add(item["call_id"])
            else:
                joined.append(_no_result(item["call_id"]))
        elif item["type"] == "function_call_output" and item["call_id"] not in open_calls:
            joined.append(lonely_result(item))
        else:
            joined.append(item)
            if item["type"] == "function_call_output":
                open_calls.discard(item["call_id"])
    return joined


def _no_result(call_id: str) -> JsonObject:
    return {"type": "function_call_output", "call_id": call_id, "output": NO_RESULT}


def server_result(block: JsonObject, queries: Mapping[str, str]) -> str:
    """What a tool of the API itself gave, as a text; empty where it cannot be read."""
    if block.get("type") != "web_search_tool_result":
        return "\n".join(_all_texts(block))
    found = [
        f"{get_str(result, 'title')} {get_str(result, 'url')}".strip()
        for result in get_list(block, "content")
    ]
    query = queries.get(get_str(block, "tool_use_id"), "")
    return f'[web search "{query}" found: {"; ".join(found) or "nothing"}]'


def _all_texts(holder: JsonObject) -> Iterator[str]:
    """All that is called text in a block, however deep."""
    for name in ("text", "stdout", "stderr"):
        if text := get_str(holder, name):
            yield text
    source = get_dict(holder, "source")  # of a page that was fetched
    if get_str(source, "type") == "text" and (text := get_str(source, "data")):
        yield text
    content = holder.get("content")
    if isinstance(content, str):
        yield content
    for inside in [content] if isinstance(content, dict) else get_list(holder, "content"):
        yield from _all_texts(inside)
