"""Redacts the body of a request or an answer while it comes, without a change of its length."""

from __future__ import annotations

import re
from typing import Any, NamedTuple, Protocol

from .byte_text import fit, redact_text
from .events import ContentEvents, Events
from .json_text import JsonRedaction
from .letters import blank, blank_literal
from .pictures import blank_bytes
from .standins import Standins
from .vocabulary import PATHS, is_field, is_word, keep_parts

_EVENT_STREAM = (b"event:", b"data:", b":", b"id:", b"retry:")
_FORM_FIELD = re.compile(r"([^=&]*)(=?)([^&]*)")
_BOUNDARY = re.compile(r'boundary="?([^";]+)')
_PART_WORDS = re.compile(r'((?:file)?name\*?=")([^"]*)(")')


Headers = list[tuple[str, str]]


class Body(Protocol):
    """One body. What is fed comes back redacted, in order, once enough of it is there."""

    def feed(self, data: bytes) -> bytes: ...

    def finish(self) -> bytes:
        """The rest, which may be incomplete."""
        ...


class Redaction(NamedTuple):
    """How one recording is redacted."""

    standins: Standins
    json: JsonRedaction
    content: bool  # whether it stays

    @classmethod
    def of(cls, key: bytes, *, content: bool = False) -> Redaction:
        standins = Standins(key)
        return cls(standins, JsonRedaction(standins, content=content), content)

    def body(self, media_type: str = "", encoding: str = "identity") -> Body:
        """For a body of this type; what names none is known by its first bytes."""
        if encoding.lower() not in ("", "identity"):
            return Opaque()
        if media_type.startswith("multipart/"):
            return Whole(lambda data: _multipart(data, media_type, self))
        if media_type.startswith("application/x-www-form-urlencoded"):
            return Whole(lambda data: redact_text(data, lambda text: _form(text, self)))
        return Unnamed(self)

    def headers(self, lines: Headers) -> Headers:
        """Header lines, in their order. A name that is no plain word has a stand-in too."""
        return [
            (
                keep_parts(name, self.standins.name),
                self.json.header(name, value),
            )
            for name, value in lines
        ]

    def target(self, target: str) -> str:
        """A path and its query."""
        path, mark, query = target.partition("?")
        parts = (part if part in PATHS else blank(part) for part in path.split("/"))
        return "/".join(parts) + mark + _form(query, self)


class Opaque:
    """A compressed body: its length alone is kept."""

    def feed(self, data: bytes) -> bytes:
        return bytes(len(data))

    def finish(self) -> bytes:
        return b""


class Whole:
    """A body that is redacted when all of it is there."""

    def __init__(self, redact: Any) -> None:
        self._redact = redact
        self._data = bytearray()

    def feed(self, data: bytes) -> bytes:
        self._data += data
        return b""

    def finish(self) -> bytes:
        return fit(self._redact(bytes(self._data)), bytes(self._data)) if self._data else b""


class Unnamed:
    """A body whose first bytes say what it is: events, JSON, a text or neither."""

    def __init__(self, redaction: Redaction) -> None:
        self._redaction = redaction
        self._start = b""
        self._body: Body | None = None

    def feed(self, data: bytes) -> bytes:
        if self._body is None:
            self._start += data
            start = self._start.removeprefix(b"\xef\xbb\xbf").lstrip()
            if len(start) < 12:
                return b""
            return self._choose(start)
        return self._body.feed(data)

    def finish(self) -> bytes:
        begun = self._choose(self._start.lstrip()) if self._body is None else b""
        assert self._body is not None
        return begun + self._body.finish()

    def _choose(self, start: bytes) -> bytes:
        redaction = self._redaction
        if start.startswith(_EVENT_STREAM):
            kind = ContentEvents if redaction.content else Events
            self._body = kind(redaction.standins, redaction.json)
        elif start.startswith((b"{", b"[", b'"')):
            self._body = Whole(lambda data: redact_text(data, redaction.json.redact))
        elif start.startswith(b"<") or _is_text(start):
            self._body = Whole(lambda data: redact_text(data, _markup))
        else:
            self._body = Whole(blank_bytes)
        return self._body.feed(self._start)


def _is_text(start: bytes) -> bool:
    begin = start[:512]
    return b"\0" not in begin and len(begin.decode("utf-8", "ignore").encode()) > len(begin) - 4


def _markup(text: str) -> str:
    """A web page or a plain text: only that it begins as a page stays."""
    found = re.match(r"\s*(?:<!doctype html>|<html>?)?", text, re.IGNORECASE)
    head = found[0] if found else ""
    return head + blank_literal(text[len(head) :])


def _form(text: str, redaction: Redaction) -> str:
    def field(found: re.Match[str]) -> str:
        key, mark, value = found.groups()
        name = keep_parts(key, redaction.standins.name)
        return name + mark + (value if is_word(value) else redaction.json.identifier(value))

    return _FORM_FIELD.sub(field, text)


def _multipart(data: bytes, media_type: str, redaction: Redaction) -> bytes:
    found = _BOUNDARY.search(media_type)
    if found is None:
        return blank_bytes(data)
    mark = b"--" + found[1].encode("latin-1")
    shown = b"--" + redaction.json.identifier(found[1]).encode("latin-1")
    return shown.join(_part(part, redaction) for part in data.split(mark))


def _part(part: bytes, redaction: Redaction) -> bytes:
    head, blank_line, content = part.partition(b"\r\n\r\n")
    if not blank_line:
        return part if part.strip(b"-\r\n") == b"" else blank_bytes(part)
    words = redact_text(head, lambda text: _PART_WORDS.sub(_part_name, text))
    end = content[-2:] if content.endswith(b"\r\n") else b""
    body = content[: len(content) - len(end)]
    is_value = is_word(body.decode("latin-1"))
    if redaction.content or is_value:
        return words + blank_line + content
    return words + blank_line + blank_bytes(body) + end


def _part_name(found: re.Match[str]) -> str:
    begin, name, end = found.groups()
    kept = begin.startswith("name") and is_field(name)
    return begin + (name if kept else blank(name)) + end
