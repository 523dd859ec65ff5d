"""The messages of a request, as items of a Responses request."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from ...errors import JsonObject
from .. import json
from ..responses.ids import legal_name
from ..shapes import get_dict, get_str
from .blocks import block_parts
from .fields import Ignored, content_blocks, invalid, required_object, required_text
from .results import joined_with_calls, output_item, server_result
from .signature import Writer, reasoning_item

_ROLES = ("user", "assistant", "system")
_CHANGES = ("tool_addition", "tool_removal")


class Conversation:
    """Makes items of messages. `tools` are those that calls and results may refer to, by the
    client's names, `reader` is whose reasoning can be sent."""

    def __init__(self, tools: Mapping[str, JsonObject], reader: Writer, ignored: Ignored) -> None:
        self._tools = tools
        self._reader = reader
        self._ignored = ignored
        self._queries: dict[str, str] = {}  # of the API's own searches, by id

    def items(self, messages: list[JsonObject]) -> list[JsonObject]:
        """All items, in order. Raises InvalidRequest, naming the block."""
        made: list[JsonObject] = []
        for index, message in enumerate(messages):
            path = f"messages.{index}"
            to_items = _BY_ROLE.get(get_str(message, "role"))
            if to_items is None:
                raise invalid(f"{path}.role", f"Input should be one of {', '.join(_ROLES)}")
            path = f"{path}.content"
            made += to_items(self, content_blocks(message.get("content"), path), path)
        return joined_with_calls(made)

    def _user(self, content: list[JsonObject], path: str) -> list[JsonObject]:
        """The results of tools, and then the message: no block may stand between call and output."""
        outputs: list[JsonObject] = []
        parts: list[JsonObject] = []
        for index, block in enumerate(content):
            here = f"{path}.{index}"
            if get_str(block, "type") == "tool_result":
                outputs.append(output_item(block, here, self._tools, self._ignored))
            else:
                parts += block_parts(block, here, self._ignored)
        return [*outputs, *_message("user", parts)]

    def _system(self, content: list[JsonObject], path: str) -> list[JsonObject]:
        """In its place, and not among the instructions: those stay the same for the cache."""
        parts: list[JsonObject] = []
        for index, block in enumerate(content):
            if get_str(block, "type") not in _CHANGES:
                parts += block_parts(block, f"{path}.{index}", self._ignored)
        return _message("developer", parts)

    def _assistant(self, content: list[JsonObject], path: str) -> list[JsonObject]:
        made: list[JsonObject] = []
        for index, block in enumerate(content):
            to_items = _ASSISTANT.get(get_str(block, "type"), Conversation._other)
            made += to_items(self, block, f"{path}.{index}")
        return made

    def _assistant_text(self, block: JsonObject, path: str) -> list[JsonObject]:
        """A message for each, as the backend wrote them: its cache knows what comes back the same."""
        text = required_text(block, "text", path)
        part = {"type": "output_text", "text": text, "annotations": []}
        return _message("assistant", [part] if text else [])

    def _call(self, block: JsonObject, path: str) -> list[JsonObject]:
        arguments = json.dumps(required_object(block, "input", path)).decode()
        call = {"call_id": required_text(block, "id", path), "arguments": arguments}
        name = required_text(block, "name", path)
        tool = self._tools.get(name, {})
        return [
            {"type": "function_call", "name": get_str(tool, "name") or legal_name(name), **call}
        ]

    def _thinking(self, block: JsonObject, path: str) -> list[JsonObject]:
        item = reasoning_item(get_str(block, "signature"), self._reader)
        return [item] if item else []

    def _no_items(self, block: JsonObject, path: str) -> list[JsonObject]:
        return []

    def _query(self, block: JsonObject, path: str) -> list[JsonObject]:
        self._queries[get_str(block, "id")] = get_str(get_dict(block, "input"), "query")
        return []

    def _other(self, block: JsonObject, path: str) -> list[JsonObject]:
        """A result of one of the API's own tools. Not in the model's words: it would take to
        writing such lines itself."""
        kind = get_str(block, "type")
        if not (kind.endswith("_tool_result") or kind in ("mcp_tool_use", "compaction")):
            raise invalid(f"{path}.type", f"Unsupported content block '{kind[:60]}'")
        text = server_result(block, self._queries)
        return _message("developer", [{"type": "input_text", "text": text}] if text else [])


_BY_ROLE: dict[str, Callable[[Conversation, list[JsonObject], str], list[JsonObject]]] = {
    "user": Conversation._user,
    "assistant": Conversation._assistant,
    "system": Conversation._system,
}
_ASSISTANT: dict[str, Callable[[Conversation, JsonObject, str], list[JsonObject]]] = {
    "text": Conversation._assistant_text,
    "tool_use": Conversation._call,
    "thinking": Conversation._thinking,
    "redacted_thinking": Conversation._no_items,
    "fallback": Conversation._no_items,
    "container_upload": Conversation._no_items,
    "server_tool_use": Conversation._query,
}


def _message(role: str, parts: list[JsonObject]) -> list[JsonObject]:
    return [{"type": "message", "role": role, "content": parts}] if parts else []
