"""Parses a Responses request as the simulated backend reads it: the messages and the tools."""

from __future__ import annotations

import base64
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import PurePosixPath
from urllib.parse import urlsplit

from ..errors import JsonObject
from . import prose, schema
from .scripts import Directions, read

CALLS = {"function_call": "function_call_output", "custom_tool_call": "custom_tool_call_output"}
ADDED = "additional_tools"
_DATA_URL = re.compile(r"data:[\w.+/-]*(?:;[\w=.+-]+)*;base64,", re.ASCII)


_SHOWN = re.compile(rb"\(([^()\\]+)\)\s*Tj")
"""A text in a page of a PDF, where it stands uncompressed."""

_QUOTED = 100
_REMINDER = re.compile(r"<system-reminder>.*?</system-reminder>\s*", re.DOTALL)
"""What Claude Code adds to a user's message. A model does not take it for the question."""


@dataclass(frozen=True, slots=True)
class Tool:
    """A tool that can be called, from any list."""

    kind: str
    name: str
    namespace: str | None
    description: str
    parameters: JsonObject
    strict: bool
    definition: JsonObject


@dataclass(frozen=True, slots=True)
class ModelRequest:
    body: JsonObject
    directions: Directions
    pictures: Sequence[str]  # a description of each image: `4×4 PNG`
    files: Sequence[str]  # and of each file: `a.pdf`
    tools: Sequence[Tool]
    outputs: Sequence[tuple[str, str]]  # (tool, output) for the calls since the last user message

    @property
    def prompt(self) -> str:
        return self.directions.prompt

    @property
    def form(self) -> JsonObject:
        """`text.format`, `{"type": "text"}` if there is none."""
        return (self.body.get("text") or {}).get("format") or {"type": "text"}

    @property
    def effort(self) -> str | None:
        return (self.body.get("reasoning") or {}).get("effort")

    @property
    def rules(self) -> Iterator[str]:
        """What the application says besides the user: the place of schemas in prose."""
        yield str(self.body.get("instructions") or "")
        for item in self.body["input"]:
            if item.get("role") == "developer":
                yield text_of(item.get("content"))

    @property
    def story(self) -> str:
        """What an object is filled from: the prompt, and what the application says of people
        where the prompt names none."""
        if prose.people(self.prompt):
            return self.prompt
        rule = next((text for text in self.rules if prose.people(text)), "")
        return f"{self.prompt}\n{rule}" if rule else self.prompt

    @property
    def parallel(self) -> bool:
        return self.body.get("parallel_tool_calls") is not False

    @property
    def compacts(self) -> bool:
        items = self.body["input"]
        return bool(items) and items[-1].get("type") == "compaction_trigger"


def parse_request(body: JsonObject, *, lite: bool) -> ModelRequest:
    """Reads a request that was checked. Raises Refused for a script that is none."""
    last, rest = _last_user_message(body["input"])
    parts = _content_parts(last)
    texts = [str(part["text"]) for part in parts if part.get("type") == "input_text"]
    plain = [_REMINDER.sub("", text) for text in texts]
    pictures = [_describe_picture(part) for part in parts if part.get("type") == "input_image"]
    files = [_describe_file(part) for part in parts if part.get("type") == "input_file"]
    return ModelRequest(
        body,
        read(*filter(None, plain)),
        pictures,
        files,
        tools(body, lite=lite),
        _outputs(body, rest),
    )


def tools(body: JsonObject, *, lite: bool) -> list[Tool]:
    """Every tool on offer. `additional_tools` count in the Lite shape alone: without its header
    the real backend does not see them."""
    found = list(_flat(body.get("tools") or [], None))
    added = [item.get("tools") or [] for item in body["input"] if item.get("type") == ADDED]
    for listing in added if lite else ():
        # A hosted tool in such an item is silently ignored.
        found += [tool for tool in _flat(listing, None) if tool.kind in ("function", "custom")]
    return found


def text_of(content: object) -> str:
    """The text of a message's content, or of an output."""
    if isinstance(content, str):
        return content
    parts = content if isinstance(content, list) else []
    return "".join(str(part.get("text") or "") for part in parts if isinstance(part, dict))


def decoded(url: str) -> bytes | None:
    """The bytes of a base64 data URL; None if it is not one."""
    match = _DATA_URL.match(url)
    if match is None:
        return None
    try:
        return base64.b64decode(url[match.end() :], validate=True)
    except ValueError:
        return None


def media_type(url: str) -> str | None:
    """The media type in a data URL; None for any other URL."""
    if not url.startswith("data:"):
        return None
    return re.split("[;,]", url.removeprefix("data:"), maxsplit=1)[0].lower()


def kind_of(image: bytes) -> str | None:
    """PNG, JPEG, GIF or WEBP, by the first bytes."""
    if image[8:12] == b"WEBP":
        return "WEBP"
    begins = {b"\x89PNG\r\n\x1a\n": "PNG", b"\xff\xd8\xff": "JPEG", b"GIF8": "GIF"}
    return next((kind for first, kind in begins.items() if image.startswith(first)), None)


def _last_user_message(items: list[JsonObject]) -> tuple[JsonObject, list[JsonObject]]:
    for at in range(len(items) - 1, -1, -1):
        item = items[at]
        if item.get("role") == "user" and item.get("type", "message") == "message":
            return item, items[at + 1 :]
    return {}, items


def _content_parts(message: JsonObject) -> list[JsonObject]:
    content = message.get("content")
    if isinstance(content, str):
        return [{"type": "input_text", "text": content}]
    return [part for part in content or [] if isinstance(part, dict)]


def _flat(listing: list[JsonObject], namespace: str | None) -> Iterator[Tool]:
    for tool in listing:
        if tool.get("type") == "namespace":
            yield from _flat(tool.get("tools") or [], str(tool.get("name")))
            continue
        strict = tool.get("type") == "function" and tool.get("strict") in (None, True)
        parameters = tool.get("parameters") or {"type": "object", "properties": {}}
        yield Tool(
            kind=str(tool.get("type")),
            name=str(tool.get("name") or tool.get("type")),
            namespace=namespace,
            description=str(tool.get("description") or ""),
            parameters=schema.strict(parameters) if strict else parameters,
            strict=strict,
            definition=tool,
        )


def _outputs(body: JsonObject, rest: list[JsonObject]) -> list[tuple[str, str]]:
    names = {
        item.get("call_id"): str(item.get("name"))
        for item in body["input"]
        if item.get("type") in CALLS
    }
    return [
        (names.get(item.get("call_id"), "?"), _describe_output(item.get("output")))
        for item in rest
        if item.get("type") in CALLS.values()
    ]


def _describe_output(output: object) -> str:
    """The text of an output, and what stands beside it."""
    parts = _content_parts({"content": output})
    seen = [_describe_picture(part) for part in parts if part.get("type") == "input_image"]
    seen += [_describe_file(part) for part in parts if part.get("type") == "input_file"]
    return "\n".join(filter(None, [text_of(output), *seen]))


def _describe_picture(part: JsonObject) -> str:
    url = str(part.get("image_url") or "")
    data = decoded(url)
    if data is None:
        parts = urlsplit(url)
        name = PurePosixPath(parts.path).name
        return f"{name} from {parts.hostname}".strip() if url else "by file id"
    size, caption = _pixel_size(data), _caption(data)
    description = f"{size[0]}×{size[1]} {kind_of(data)}" if size else str(kind_of(data))
    return f"{description} (“{caption}”)" if caption else description


def _caption(image: bytes) -> str:
    """A description of a PNG, from its header."""
    at = 8
    while kind_of(image) == "PNG" and at + 12 <= len(image):
        length = int.from_bytes(image[at : at + 4])
        key, _, text = image[at + 8 : at + 8 + length].partition(b"\0")
        if image[at + 4 : at + 8] == b"tEXt" and key in (b"Title", b"Description"):
            return text.decode("latin-1")
        at += 12 + length
    return ""


def _describe_file(part: JsonObject) -> str:
    name = str(part.get("filename") or part.get("file_url") or "unnamed")
    data = decoded(str(part.get("file_data") or "")) or b""
    words = " ".join(shown.decode("latin-1") for shown in _SHOWN.findall(data))
    return f"{name} (“{words[:_QUOTED]}”)" if words else name


def _pixel_size(image: bytes) -> tuple[int, int] | None:
    kind = kind_of(image)
    if kind == "PNG" and len(image) >= 24:
        return int.from_bytes(image[16:20]), int.from_bytes(image[20:24])
    if kind == "GIF" and len(image) >= 10:
        return int.from_bytes(image[6:8], "little"), int.from_bytes(image[8:10], "little")
    return _jpeg_size(image) if kind == "JPEG" else None


def _jpeg_size(image: bytes) -> tuple[int, int] | None:
    at = 2
    while at + 9 <= len(image) and image[at] == 0xFF:
        marker, length = image[at + 1], int.from_bytes(image[at + 2 : at + 4])
        if 0xC0 <= marker <= 0xCF and marker not in (0xC4, 0xC8, 0xCC):
            return int.from_bytes(image[at + 7 : at + 9]), int.from_bytes(image[at + 5 : at + 7])
        at += 2 + length
    return None
