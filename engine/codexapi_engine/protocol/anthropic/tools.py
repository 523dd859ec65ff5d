"""Tools and the choice among them, from this API's form to the Responses form."""

from __future__ import annotations

import re
from collections.abc import Iterable

from ...errors import InvalidRequest, JsonObject
from ..responses.backend import can_be_strict
from ..responses.ids import is_name, legal_name, name_with_hash
from ..shapes import get_dict, get_list, get_str
from .client_tools import CLIENT_TOOLS
from .fields import Ignored, invalid, required_object, required_text
from .schemas import cleaned

_DATE = re.compile(r"_\d{8}$")
_NOT_AVAILABLE = (
    "computer", "browser", "web_fetch", "code_execution", "advisor", "mcp_toolset",
)  # fmt: skip
_SEARCH, _TOOL_SEARCH = "web_search", "tool_search_tool"
_CHOICES = {"auto": "auto", "any": "required", "none": "none"}


class Toolbox:
    """The tools of a request. A deferred one is offered from when a search, or a system message,
    has named it; all are, where the search is the API's own, which there is none of."""

    def __init__(
        self, tools: Iterable[JsonObject], messages: Iterable[JsonObject], ignored: Ignored
    ) -> None:
        self.names: dict[str, str] = {}  # the client's name of a tool by the backend's
        self._ignored = ignored
        self._all: dict[str, JsonObject] = {}  # in the Responses form, by the client's name
        self._deferred: set[str] = set()
        self._searches = False
        tools = list(tools)
        # Those that the backend takes as they are: another one may become the same.
        self._taken = {name for tool in tools if is_name(name := get_str(tool, "name"))}
        for index, tool in enumerate(tools):
            if get_str(tool, "name") in self._all:
                raise invalid("tools", "Tool names must be unique.")
            self._add_tool(tool, f"tools.{index}")
        for index, message in enumerate(messages):
            self._read_message(message, f"messages.{index}.content")

    @property
    def known(self) -> dict[str, JsonObject]:
        """What a result may refer to."""
        return self._all

    @property
    def offer(self) -> list[JsonObject]:
        """What the model may call now."""
        hidden = set() if self._searches else self._deferred
        return [tool for name, tool in self._all.items() if name not in hidden]

    def choice(self, choice: JsonObject) -> str | JsonObject:
        """`tool_choice`; a tool that must be called is offered. Raises InvalidRequest for one that
        is not among the tools."""
        kind = get_str(choice, "type")
        if kind == "any" and not self.offer:
            raise invalid("tool_choice.type", "'any' needs a tool that can be called")
        if kind in _CHOICES:
            return _CHOICES[kind]
        if kind != "tool":
            raise invalid("tool_choice.type", "Input should be one of auto, any, tool, none")
        name = required_text(choice, "name", "tool_choice")
        tool = self._all.get(name)
        if tool is None:
            raise invalid("tool_choice.name", f"Tool '{name[:60]}' is not among the tools")
        self._deferred.discard(name)
        if tool["type"] == _SEARCH:  # cannot be forced alone
            return {"type": "allowed_tools", "mode": "required", "tools": [{"type": _SEARCH}]}
        return {"type": "function", "name": tool["name"]}

    def _add_tool(self, tool: JsonObject, path: str) -> None:
        kind = _DATE.sub("", get_str(tool, "type") or "custom")
        if any(kind.startswith(name) for name in _NOT_AVAILABLE):
            why = f"The tool '{get_str(tool, 'type')[:60]}' is not available on the Codex backend"
            raise invalid(f"{path}.type", why)
        if kind.startswith(_TOOL_SEARCH):
            self._searches = True
            return
        name = required_text(tool, "name", path)
        if not name:
            raise invalid(f"{path}.name", "String should have at least 1 character")
        self._all[name] = self._translate_tool(kind, name, tool, path)
        if tool.get("defer_loading") is True:
            self._deferred.add(name)

    def _translate_tool(self, kind: str, name: str, tool: JsonObject, path: str) -> JsonObject:
        if kind == _SEARCH:
            return self._web_search(tool, path)
        if kind == "custom":
            about, schema = tool.get("description"), required_object(tool, "input_schema", path)
        elif kind in CLIENT_TOOLS:
            about, schema = CLIENT_TOOLS[kind]
        else:
            raise invalid(f"{path}.type", f"Unsupported tool type '{kind[:60]}'")
        made: JsonObject = {"type": "function", "name": self._backend_name(name)}
        self.names[made["name"]] = name
        if isinstance(about, str):
            made["description"] = about
        schema = cleaned(schema)
        strict = tool.get("strict") is True and can_be_strict(schema)
        if tool.get("strict") is True and not strict:
            self._ignored.add(f"{path}.strict")
        # Always said: where it is left out, the backend is strict, and optional fields are filled.
        return {**made, "parameters": schema, "strict": strict}

    def _backend_name(self, name: str) -> str:
        """A legal name that no other tool has, and the same at each turn."""
        if known := get_str(self._all.get(name, {}), "name"):
            return known
        if is_name(name) and name not in self.names:
            return name
        legal = legal_name(name)
        if legal in self._taken:
            legal = name_with_hash(name)
        self._taken.add(legal)
        return legal

    def _web_search(self, tool: JsonObject, path: str) -> JsonObject:
        made: JsonObject = {"type": _SEARCH, "external_web_access": True}
        if tool.get("max_uses") is not None:
            self._ignored.add(f"{path}.max_uses")
        domains = {
            name: tool[name] for name in ("allowed_domains", "blocked_domains") if tool.get(name)
        }
        if domains:
            made["filters"] = domains
        if place := get_dict(tool, "user_location"):
            made["user_location"] = place
        return made

    def _read_message(self, message: JsonObject, path: str) -> None:
        """Takes what a message says of the tools."""
        for index, block in enumerate(get_list(message, "content")):
            kind, here = get_str(block, "type"), f"{path}.{index}"
            if kind == "tool_result":
                for inside in get_list(block, "content"):
                    self._deferred.discard(get_str(inside, "tool_name"))
            elif message.get("role") != "system":
                continue
            elif kind == "tool_addition":
                self._include(required_object(block, "tool", here), f"{here}.tool")
            elif kind == "tool_removal":
                tool = required_object(block, "tool", here)
                self._deferred.add(required_text(tool, "name", f"{here}.tool"))

    def _include(self, tool: JsonObject, path: str) -> None:
        if tool.get("type") == "tool_definition":
            definition = required_object(tool, "definition", path)
            self._add_tool({**definition, "defer_loading": False}, f"{path}.definition")
            self._deferred.discard(get_str(definition, "name"))
        elif tool.get("type") == "tool_reference":
            self._deferred.discard(required_text(tool, "name", path))
        else:
            raise _no_servers(path)


def _no_servers(path: str) -> InvalidRequest:
    return invalid(f"{path}.type", "MCP servers are not available on the Codex backend")
