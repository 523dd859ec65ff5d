"""Edits JSON as text, with comments and trailing commas where a file has them.

No library for Python does this without Node. Every edit is one splice of the text, in the style of
its surroundings; `document` parses the outcome again and compares it with the intended document.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from .splice import ListItem, Path, Step, TextEdit, Unsafe, newline_of, wrapped

NAME = "JSON"
DEPTH = 200
"""Levels of nesting, beyond which a file is no settings file."""

_TRIVIA = re.compile(r"(?:[ \t\r\n]+|//[^\r\n]*|/\*.*?\*/)*", re.DOTALL)
_STRING = re.compile(r'"(?:[^"\\\x00-\x1f]|\\.)*"')
_PLAIN = re.compile(r"-?[0-9][0-9.eE+-]*|true|false|null")
_EXTRAS = re.compile(
    r'(?P<kept>"(?:[^"\\\x00-\x1f]|\\.)*")|//[^\r\n]*|/\*.*?\*/|'
    r",(?=(?>(?:[ \t\r\n]++|//[^\r\n]*+|(?>/\*.*?\*/))*)[}\]])",
    re.DOTALL,
)
"""Strings, which stay; comments and trailing commas, which go. Possessive: what follows a comma is
read once."""

_INDENT = re.compile(r'\n([ \t]+)"')


@dataclass(frozen=True, slots=True)
class Node:
    """A value and where it stands. `members` is None for what contains nothing."""

    start: int
    end: int
    value: Any
    members: tuple[Member, ...] | None = None


@dataclass(frozen=True, slots=True)
class Member:
    """A member of an object, or an item of a list. `comma` is where the comma after it stands."""

    key: str | None
    start: int
    node: Node
    comma: int | None


def parse(text: str) -> Any:
    """The document; a text of nothing but comments is an empty object. Raises Unsafe, with the
    line."""
    if _is_empty(text):
        return {}
    try:  # twenty times as fast as nodes, for files of megabytes
        return json.loads(
            _without_comments(text), object_pairs_hook=_once_each, parse_constant=_no_constant
        )
    except (ValueError, RecursionError):
        return read(text).value


def _is_empty(text: str) -> bool:
    return _TRIVIA.fullmatch(text) is not None


def _without_comments(text: str) -> str:
    """The document without comments and trailing commas. What is no JSON besides stays none."""
    return _EXTRAS.sub(lambda found: found["kept"] or " ", text)


def _once_each(members: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(members)
    if len(found) < len(members):
        raise ValueError("the reader of nodes tells which, and where")
    return found


def _no_constant(name: str) -> Any:
    raise ValueError(f"{name} is no JSON")


def put(text: str, path: Path, value: Any) -> TextEdit:
    """The splice that makes a value stand at the path. Raises Unsafe."""
    style = _Style(text)
    if _is_empty(text):
        gap = style.newline if text.strip() and not text.endswith("\n") else ""
        new = gap + style.rendered(wrapped(path, value), "") + style.newline
        return TextEdit(len(text), "", new)
    node = read(text)
    for depth, step in enumerate(path, 1):
        if node.value is None:
            value = wrapped(path[depth - 1 :], value)
            break
        member = _member(node, step)
        if member is None:
            return _inserted(style, node, step, wrapped(path[depth:], value))
        node = member.node
    return TextEdit(node.start, text[node.start : node.end], style.replacement(node, value))


def remove(text: str, path: Path) -> TextEdit:
    """The splice that takes out what stands at the path. Raises Unsafe."""
    parent = node = read(text)
    for step in path:
        parent, member = node, _member(node, step)
        if member is None:
            raise Unsafe(f"there is no {step}")
        node = member.node
    number = [member.node for member in parent.members or ()].index(node)
    splice = _removed(text, parent, number, tight=True)
    try:
        read(splice.apply(text))
    except Unsafe:  # the line before ends in a comment, which would swallow what follows
        return _removed(text, parent, number, tight=False)
    return splice


def read(text: str) -> Node:
    """The document as nodes. Raises Unsafe."""
    return _Reader(text).document()


class _Reader:
    def __init__(self, text: str) -> None:
        self._text = text
        self._at = 0

    def document(self) -> Node:
        self._skip()
        root = self._node(0)
        self._skip()
        if self._at < len(self._text):
            raise self._error("something follows the end")
        return root

    def _node(self, depth: int) -> Node:
        if depth > DEPTH:
            raise self._error("it is nested too deeply")
        opening = self._text[self._at : self._at + 1]
        if opening and opening in "{[":
            return self._container(depth, "}" if opening == "{" else "]")
        start, value = self._at, self._scalar()
        return Node(start, self._at, value)

    def _container(self, depth: int, closing: str) -> Node:
        start, members = self._at, list[Member]()
        self._at += 1
        self._skip()
        while not self._took(closing):
            if members and members[-1].comma is None:
                raise self._error("a comma is missing")
            members.append(self._read_member(depth, named=closing == "}"))
            self._skip()
        items = [member.node.value for member in members]
        names = [member.key for member in members]
        if closing == "}" and len(set(names)) < len(names):
            twice = next(name for n, name in enumerate(names) if name in names[:n])
            raise self._error(f"{json.dumps(twice)} is there twice")
        value = dict(zip(names, items, strict=True)) if closing == "}" else items
        return Node(start, self._at, value, tuple(members))

    def _read_member(self, depth: int, *, named: bool) -> Member:
        start, key = self._at, None
        if named:
            key = self._string()
            self._skip()
            if not self._took(":"):
                raise self._error("a colon is missing")
            self._skip()
        node = self._node(depth + 1)
        self._skip()
        comma = self._at
        return Member(key, start, node, comma if self._took(",") else None)

    def _scalar(self) -> Any:
        if self._text.startswith('"', self._at):
            return self._string()
        found = _PLAIN.match(self._text, self._at)
        if found is None:
            raise self._error("a value is missing")
        try:
            value = json.loads(found[0])
        except ValueError:
            raise self._error("a number is malformed") from None
        self._at = found.end()
        return value

    def _string(self) -> str:
        found = _STRING.match(self._text, self._at)
        if found is None:
            raise self._error("a string is missing")
        try:
            text: str = json.loads(found[0])
        except ValueError:
            raise self._error("a string is malformed") from None
        self._at = found.end()
        return text

    def _took(self, sign: str) -> bool:
        taken = self._text.startswith(sign, self._at)
        self._at += len(sign) * taken
        return taken

    def _skip(self) -> None:
        found = _TRIVIA.match(self._text, self._at)
        assert found is not None  # it matches nothing at all, too
        self._at = found.end()

    def _error(self, what: str) -> Unsafe:
        return Unsafe(f"line {self._text.count(chr(10), 0, self._at) + 1}: {what}")


def _member(node: Node, step: Step) -> Member | None:
    if isinstance(step, ListItem):
        if not isinstance(node.value, list):
            raise Unsafe(f"a list is expected where {step} is looked for")
        fits: Iterator[Member] = (
            member
            for member in node.members or ()
            if isinstance(member.node.value, dict)
            and member.node.value.get(step.member) == step.value
        )
    else:
        if not isinstance(node.value, dict):
            raise Unsafe(f"an object is expected around {step}")
        fits = (member for member in node.members or () if member.key == step)
    return next(fits, None)


def _inserted(style: _Style, node: Node, step: Step, value: Any) -> TextEdit:
    """A new last member."""
    key = None if isinstance(step, ListItem) else step
    if node.members:
        return _inserted_after(style, node, node.members[-1], key, value)
    text, inside, closing = style.text, node.start + 1, node.end - 1
    trivia = text[inside:closing]
    if not style.lines:
        return TextEdit(closing, "", style.member(key, value, None))
    outer = style.indent_at(node.start)
    place = inside + len(trivia.rstrip())
    new = f"{style.newline}{outer}{style.unit}" + style.member(key, value, outer + style.unit)
    # What follows is white space: its newline, if it has one, does for the closing bracket too.
    return TextEdit(place, "", new + ("" if "\n" in text[place:closing] else style.newline + outer))


def _inserted_after(
    style: _Style, node: Node, last: Member, key: str | None, value: Any
) -> TextEdit:
    text, trailing = style.text, last.comma is not None
    after = last.node.end if last.comma is None else last.comma + 1
    begins = text.rfind("\n", 0, last.start) + 1
    if text[begins : last.start].strip() or not style.lines:
        new = style.member(key, value, None)
        return TextEdit(after, "", f" {new}," if trailing else f",{style.space}{new}")
    indent = text[begins : last.start]
    comments = text[after : node.end - 1].rstrip()
    new = f"{style.newline}{indent}" + style.member(key, value, indent)
    if trailing:
        return TextEdit(after + len(comments), "", f"{new},")
    return TextEdit(after, comments, f",{comments}{new}")


def _removed(text: str, parent: Node, number: int, *, tight: bool) -> TextEdit:
    """`tight`: with the white space before it."""
    members = parent.members or ()
    member = members[number]
    start, end = member.start, member.node.end
    if tight:
        start = len(text[:start].rstrip())
    if member.comma is not None:
        end = member.comma + 1
    elif number:
        before = members[number - 1].comma
        assert before is not None
        return TextEdit(before, text[before:end], text[before + 1 : start])
    inside, closing = parent.start + 1, parent.end - 1
    if len(members) == 1 and not (text[inside:start] + text[end:closing]).strip():
        start, end = inside, closing
    return TextEdit(start, text[start:end], "")


class _Style:
    """How a document is written: its newlines, its indentation, its spaces."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.newline = newline_of(text)
        indent = _INDENT.search(text)
        self.unit = indent[1] if indent else "  "
        self.lines = "\n" in text.strip() or text.strip() == "{}" or _is_empty(text)
        compact = re.search(r'":\S', text) and not re.search(r'":\s', text)
        self.space = "" if compact else " "

    def indent_at(self, place: int) -> str:
        """The indentation of the line in which something stands."""
        line = self.text[self.text.rfind("\n", 0, place) + 1 : place]
        return line[: len(line) - len(line.lstrip(" \t"))]

    def member(self, key: str | None, value: Any, indent: str | None) -> str:
        name = "" if key is None else f"{_dumped(key)}:{self.space}"
        return name + self.rendered(value, indent)

    def rendered(self, value: Any, indent: str | None) -> str:
        """A value over several lines, but for lists of scalars; on one where `indent` is None."""
        nested = isinstance(value, dict | list) and any(
            isinstance(item, dict | list) for item in value
        )
        if not value or indent is None or not (nested or isinstance(value, dict)):
            return self._on_one_line(value)
        inner = indent + self.unit
        items = (
            [self.member(key, item, inner) for key, item in value.items()]
            if isinstance(value, dict)
            else [self.rendered(item, inner) for item in value]
        )
        opening, closing = "{}" if isinstance(value, dict) else "[]"
        joined = f",{self.newline}{inner}".join(items)
        return f"{opening}{self.newline}{inner}{joined}{self.newline}{indent}{closing}"

    def replacement(self, node: Node, value: Any) -> str:
        """A value in the place of another: on one line where that was."""
        old = self.text[node.start : node.end]
        one_line = isinstance(node.value, dict | list) and node.value and "\n" not in old
        return self.rendered(value, None if one_line else self.indent_at(node.start))

    def _on_one_line(self, value: Any) -> str:
        return _dumped(value, separators=(f",{self.space}", f":{self.space}"))


def _dumped(value: Any, **how: Any) -> str:
    return json.dumps(value, ensure_ascii=False, **how)
