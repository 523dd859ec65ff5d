"""Redacts JSON text in place: each string by the name of its field, everything else as it stands.

The text need not be complete: a stream may end anywhere. Its length in bytes stays.
"""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum
from typing import Protocol

from . import vocabulary
from .content import redact_content
from .filler import Filler
from .letters import blank, blank_literal, escape, unescape, units
from .pictures import blank_base64
from .standins import Standins

_TOKEN = re.compile(
    r'"(?>(?:[^"\\]++|\\.)*)(?:"|\\?\Z)|[{}\[\]:,]|\s++|-?[0-9][0-9.eE+-]*+|true|false|null|.',
    re.DOTALL,
)
_DATA_URL = re.compile(r"(data:)([a-z]+/[a-z0-9.+-]+)(;base64,)(.*)", re.DOTALL)
_MESSAGE_PART = re.compile(r"\\u[0-9a-fA-F]{4}|\\.|[A-Za-z0-9_'-]+|[^\x00-\x7f]", re.DOTALL)
_WORD_PART = re.compile(r"[^._]+")
_NUMERAL = re.compile(r"[0-9]{1,6}(?:s|ms)?")


_JWT = re.compile(r"(eyJ[\w-]+)\.([\w-]+)\.([\w-]*)")
_AGENT = re.compile(r"([A-Za-z_-]{1,24}/[0-9.]{1,16})(.*)", re.DOTALL)
_BOUNDARY = re.compile(r'^multipart/form-data; boundary=([^";\s]+)$')
_LIST_PART = re.compile(r"[^\s,;]+")


class Mode(Enum):
    WIRE = 0  # the API's own fields
    SCHEMA = 1
    NAMES = 2  # an object whose fields are named by the user, with a schema each
    MAP = 3  # likewise, with values of the user's
    HEADERS = 4


class DeltaFiller(Protocol):
    """What stands for the delta of an event."""

    def literal(self, literal: str) -> str:
        """In the place of the inside of a JSON string."""
        ...


@dataclass(slots=True)
class _Frame:
    """An object or an array that is open."""

    mode: Mode
    key: str = ""  # of an array: the name of the field that it is in
    is_object: bool = True
    key_next: bool = True


class JsonRedaction:
    """Redacts the texts of one recording. With `content`, content stays and secrets go."""

    def __init__(self, standins: Standins, *, content: bool = False) -> None:
        self._standins = standins
        self._content = content

    def redact(self, text: str, delta: DeltaFiller | None = None, mode: Mode = Mode.WIRE) -> str:
        """The text, redacted. `delta` fills the deltas of an event, in the order of the events."""
        done: list[str] = []
        frames = [_Frame(mode, is_object=False)]
        for found in _TOKEN.finditer(text):
            token = found[0]
            top = frames[-1]
            if token[0] == '"':
                done.append(self._string(token, top, delta))
            elif token in "{[":
                frames.append(_Frame(_inner(top), top.key, token == "{", token == "{"))
                done.append(token)
            elif token in "}]":
                del frames[max(1, len(frames) - 1) :]
                done.append(token)
            else:
                if token == ",":
                    top.key_next = top.is_object
                done.append(self._other(token, top))
        return "".join(done)

    def identifier(self, value: str) -> str:
        """The stand-in of a secret. A JWT stays one: its dates are read."""
        if not (found := _JWT.fullmatch(value)):
            return self._standins.identifier(value)
        parts = [self._jwt_part(part) for part in found.groups()[:2]]
        return ".".join([*parts, self._standins.identifier(found[3])])

    def _jwt_part(self, part: str) -> str:
        try:
            claims = base64.urlsafe_b64decode(part + "=" * (-len(part) % 4)).decode()
        except ValueError:
            return self._standins.identifier(part)
        coded = base64.urlsafe_b64encode(self.redact(claims).encode()).decode().rstrip("=")
        return coded if len(coded) == len(part) else self._standins.identifier(part)

    def word(self, value: str) -> str:
        """A word of the wire, of which what is known stays."""
        return value if vocabulary.is_word(value) else _fill_parts(value)

    def header(self, name: str, value: str) -> str:
        """A header's value."""
        name = name.lower()
        scheme, space, rest = value.partition(" ")
        if name == "authorization" and scheme in ("Bearer", "Basic"):
            return scheme + space + self.identifier(rest)
        if name == "user-agent":
            return _agent(value)
        if vocabulary.is_secret_header(name):
            return self.identifier(value)
        if name in vocabulary.DATES and vocabulary.is_date(value):
            return value
        if name in vocabulary.MODEL_KEYS and vocabulary.is_model(value):
            return value
        if name == "content-type" and (found := _BOUNDARY.search(value)):
            boundary = self.identifier(found[1])
            return value[: found.start(1)] + boundary + value[found.end(1) :]
        return _LIST_PART.sub(lambda part: _header_part(name, part[0]), value)

    def _other(self, token: str, frame: _Frame) -> str:
        if token[0] in "-0123456789" and frame.mode is Mode.MAP and not self._content:
            return blank_literal(token)
        known = token.isspace() or token in ("true", "false", "null") or token in ":,"
        is_number = token[0].isdigit() or (token[0] == "-" and len(token) > 1)
        return token if known or is_number else blank_literal(token)

    def _string(self, token: str, frame: _Frame, delta: DeltaFiller | None) -> str:
        end = '"' if len(token) > 1 and token[-1] == '"' and _is_closed(token) else ""
        inside = token[1 : len(token) - len(end)]
        if frame.is_object and frame.key_next:
            frame.key_next, frame.key = False, _decode(inside)
            return f'"{self._field_name(inside, frame)}{end}'
        return f'"{self._value(inside, frame, delta)}{end}'

    def _field_name(self, inside: str, frame: _Frame) -> str:
        if self._content:
            return inside
        if frame.mode in (Mode.WIRE, Mode.HEADERS):
            name = self._standins.name
            return _each(inside, lambda key: vocabulary.keep_parts(key, name))
        is_keyword = frame.mode is Mode.SCHEMA and frame.key in vocabulary.SCHEMA_KEYWORDS
        return inside if is_keyword else self._name(inside)

    def _value(self, inside: str, frame: _Frame, delta: DeltaFiller | None) -> str:
        if not inside:
            return inside
        key = frame.key.lower()
        if frame.mode is Mode.HEADERS:
            return _each(inside, lambda value: self.header(key, value))
        if frame.mode is Mode.WIRE and vocabulary.is_secret(key):
            return inside if inside in vocabulary.WORDS else _each(inside, self.identifier)
        if vocabulary.is_secret(key) and frame.mode is Mode.MAP:
            return _each(inside, self.identifier)
        if self._content and key != "email":
            if key == "delta" and delta is not None:
                return delta.literal(inside)
            return redact_content(inside, self.identifier)
        if frame.mode is Mode.NAMES:
            return self._name(inside)
        if frame.mode is Mode.SCHEMA:
            return self._schema_value(inside, key)
        if frame.mode is Mode.MAP:
            return self._fill(inside, None)
        return self._wire_value(inside, key, delta)

    def _wire_value(self, inside: str, key: str, delta: DeltaFiller | None) -> str:
        if key in vocabulary.MODEL_KEYS and vocabulary.is_model(inside):
            return inside
        if key in vocabulary.NAME_KEYS:
            return inside if inside in vocabulary.TOOLS else self._name(inside)
        if key in vocabulary.MESSAGE_KEYS:
            return _redact_message(inside)
        if key == "delta":
            return self._fill(inside, delta)
        if key in vocabulary.BINARY_KEYS and (blanked := blank_base64(inside)) is not None:
            return blanked
        if key in vocabulary.CONTENT_KEYS:
            return self._fill(inside, None)
        if vocabulary.is_word(inside):
            return inside
        return _fill_parts(inside) if key in vocabulary.WORD_KEYS else self._fill(inside, None)

    def _schema_value(self, inside: str, key: str) -> str:
        if key == "required":
            return self._name(inside)
        if key == "$ref":
            return "/".join(self._reference_part(part) for part in inside.split("/"))
        if key in ("type", "format", "$schema") and vocabulary.is_word(inside):
            return inside
        return self._fill(inside, None)

    def _reference_part(self, part: str) -> str:
        is_keyword = part == "#" or part in vocabulary.SCHEMA_KEYWORDS
        return part if is_keyword else self._name(part)

    def _name(self, inside: str) -> str:
        return _each(inside, self._standins.name)

    def _fill(self, inside: str, filler: DeltaFiller | None) -> str:
        url = _DATA_URL.fullmatch(inside)
        if url and url[2] in vocabulary.MEDIA and (data := blank_base64(url[4])) is not None:
            return f"{url[1]}{url[2]}{url[3]}{data}"
        return (filler or Filler(self._standins)).literal(inside)


def _inner(frame: _Frame) -> Mode:
    """The mode of an object or an array that begins as a frame's value."""
    mode, key = frame.mode, frame.key
    if mode is Mode.WIRE:
        if key in vocabulary.SCHEMA_KEYS:
            return Mode.SCHEMA
        if key in vocabulary.MAP_KEYS or key == "arguments":
            return Mode.MAP
        return Mode.HEADERS if key == "headers" else Mode.WIRE
    if mode is Mode.SCHEMA:
        if key in vocabulary.SCHEMA_MAPS:
            return Mode.NAMES
        return Mode.MAP if key in vocabulary.SCHEMA_VALUES else Mode.SCHEMA
    return Mode.SCHEMA if mode is Mode.NAMES else mode


def _agent(value: str) -> str:
    """Only the product stays of a user agent, not the system that it runs on."""
    found = _AGENT.fullmatch(value)
    return found[1] + blank(found[2]) if found else blank(value)


def _header_part(name: str, part: str) -> str:
    known = vocabulary.is_word(part) or vocabulary.is_count(name, part)
    return part if known else blank(part)


def _is_closed(token: str) -> bool:
    """Whether the last quote is no escaped one."""
    backslashes = len(token) - 1 - len(token[:-1].rstrip("\\"))
    return backslashes % 2 == 0


def _decode(inside: str) -> str:
    if "\\" not in inside:
        return inside
    try:
        return str(json.loads(f'"{inside}"', strict=False))
    except ValueError:
        return inside


def _each(inside: str, change: Callable[[str], str]) -> str:
    """The inside of a string with its letters changed, and escapes where they were."""
    if "\\" not in inside and inside.isascii():
        return change(inside)
    letters = units(inside)
    changed = change("".join(map(unescape, letters)))
    return "".join(map(escape, letters, changed))


def _redact_message(inside: str) -> str:
    """A message of an error: the words that such messages have stay, with the numbers."""

    def part(found: re.Match[str]) -> str:
        word = found[0]
        known = word.lower() in vocabulary.MESSAGE_WORDS or word in vocabulary.WORDS
        kept = known or _NUMERAL.fullmatch(word) or vocabulary.is_model(word)
        return word if kept else blank_literal(word)

    return _MESSAGE_PART.sub(part, inside)


def _fill_parts(inside: str) -> str:
    """A composed word, of which the parts that are known stay."""

    def part(found: re.Match[str]) -> str:
        return found[0] if found[0] in vocabulary.PARTS_OF_WORDS else blank_literal(found[0])

    return blank_literal(inside) if "\\" in inside else _WORD_PART.sub(part, inside)
