"""Edits YAML as text, at the positions that PyYAML reports.

A library that writes whole files would reformat them. What is added is in block style, with its
scalars in JSON's form. `document` parses the outcome again and compares it with the intended
document, so that anchors and merges are refused where they would matter.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any

from .splice import MISSING, ListItem, Path, Step, TextEdit, Unsafe, at, newline_of, wrapped

NAME = "YAML"
_UNIT = "  "
_PLAIN_KEY = re.compile(
    r"(?!(?:true|false|null|yes|no|on|off|y|n)\Z)[A-Za-z_][\w-]*\Z", re.IGNORECASE
)
_REST_OF_LINE = re.compile(r"[ \t]*(?:#[^\r\n]*)?")


def parse(text: str) -> Any:
    """The document; an empty one is an empty object. Raises Unsafe, with the line."""
    import yaml  # for an edit alone

    _root(text)  # reports duplicate keys
    try:
        value = yaml.safe_load(text)
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        raise _unsafe(error) from None
    return {} if value is None else value


def put(text: str, path: Path, value: Any) -> TextEdit:
    """The splice that makes a value stand at the path. Raises Unsafe."""
    if at(parse(text), path) is not MISSING:
        return _replaced(text, path, value)
    node, newline = _root(text), newline_of(text)
    if node is None or (_is_null(node) and not node.value):
        start = "" if not text or text.endswith("\n") else newline
        return TextEdit(len(text), "", start + _joined(_block(wrapped(path, value), ""), newline))
    parent, key = None, None
    for depth, step in enumerate(path):
        if _is_null(node):
            return _filled(text, parent, key, node, wrapped(path[depth:], value))
        found = _find(node, step)
        if found is None:
            return _inserted(text, node, step, wrapped(path[depth + 1 :], value))
        parent, (key, node) = node, found
    raise AssertionError("it was missing")


def remove(text: str, path: Path) -> TextEdit:
    """The splice that takes out what stands at the path. Raises Unsafe."""
    start, end, column, parent = _lines_of(text, path)
    new = ""
    if len(parent.value) == 1:
        new = " " * column + _dumped(_kind(parent)) + newline_of(text)
    return TextEdit(start, text[start:end], new)


def _lines_of(text: str, path: Path) -> tuple[int, int, int, Any]:
    """Where the lines of a member begin and end, its column, and what it is a member of."""
    parent: Any = None
    key, node = None, _root(text)
    for step in path:
        found = None if node is None else _find(node, step)
        if found is None:
            raise Unsafe(f"there is no {step}")
        parent, (key, node) = node, found
    if parent.flow_style:
        raise Unsafe(f"{path[-1]} is in a collection on one line")
    column = parent.start_mark.column
    start = text.rfind("\n", 0, (key or node).start_mark.index) + 1
    if text[start : start + column].strip():
        raise Unsafe(f"{path[-1]} does not begin a line")
    return start, _line_after(text, node), column, parent


def _replaced(text: str, path: Path, value: Any) -> TextEdit:
    node = _root(text)
    for step in path:
        found = _find(node, step)
        assert found is not None  # it is there
        node = found[1]
    if isinstance(value, dict | list) or isinstance(node.value, list) or node.style in ("|", ">"):
        start, end, column, _ = _lines_of(text, path)
        lines = _block(_member(path[-1], value), " " * column)
        return TextEdit(start, text[start:end], _joined(lines, newline_of(text)))
    start, end = node.start_mark.index, node.end_mark.index
    gap = "" if text[:start].endswith((" ", "\t")) else " "
    return TextEdit(start, text[start:end], gap + _dumped(value))


def _member(step: Step, value: Any) -> Any:
    return [value] if isinstance(step, ListItem) else {step: value}


def _inserted(text: str, node: Any, step: Step, value: Any) -> TextEdit:
    """A new last member of a mapping, or a new last item of a sequence."""
    member = _member(step, value)
    if node.flow_style or not node.value:
        new = _dumped(member)[1:-1]
        return TextEdit(node.end_mark.index - 1, "", f", {new}" if node.value else new)
    newline, indent = newline_of(text), " " * node.start_mark.column
    lines = _block(member, indent)
    last = node.value[-1]
    place = _line_after(text, last[1] if isinstance(last, tuple) else last)
    start = "" if text[:place].endswith("\n") else newline
    return TextEdit(place, "", start + _joined(lines, newline))


def _filled(text: str, parent: Any, key: Any, node: Any, value: Any) -> TextEdit:
    """A container in the place of a null, which is mostly written as nothing at all."""
    start, end = node.start_mark.index, node.end_mark.index
    if parent is None or parent.flow_style or key is None:
        return TextEdit(start, text[start:end], _dumped(value))
    newline, indent = newline_of(text), " " * key.start_mark.column + _UNIT
    rest = _REST_OF_LINE.match(text, end)
    assert rest is not None  # it matches nothing at all, too
    lines = newline.join(_block(value, indent))
    return TextEdit(start, text[start : rest.end()], f"{rest[0].rstrip()}{newline}{lines}")


def _is_null(node: Any) -> bool:
    return bool(node.tag == "tag:yaml.org,2002:null")


def _line_after(text: str, node: Any) -> int:
    """Where the line after a node begins, behind a comment."""
    while isinstance(node.value, list) and node.value and not node.flow_style:
        last = node.value[-1]
        node = last[1] if isinstance(last, tuple) else last
    end: int = node.end_mark.index
    if text[:end].endswith("\n"):  # a block scalar ends with its last line
        return end
    rest = _REST_OF_LINE.match(text, end)
    assert rest is not None  # it matches nothing at all, too
    end = rest.end() + text.startswith("\r\n", rest.end())
    return end + (end < len(text))


def _find(node: Any, step: Step) -> tuple[Any, Any] | None:
    """The key, if it has one, and the value of a member."""
    if isinstance(step, ListItem):
        if not isinstance(_kind(node), list):
            raise Unsafe(f"a list is expected where {step} is looked for")
        fits = (
            (None, item)
            for item in node.value
            if isinstance(_kind(item), dict)
            and any(k.value == step.member and v.value == step.value for k, v in item.value)
        )
        return next(fits, None)
    if not isinstance(_kind(node), dict):
        raise Unsafe(f"an object is expected around {step}")
    return next(((k, v) for k, v in node.value if k.value == step), None)


def _kind(node: Any) -> Any:
    """An empty value of the same kind."""
    return {"mapping": {}, "sequence": []}.get(node.id, "")


def _root(text: str) -> Any:
    import yaml

    try:
        root = yaml.compose(text, Loader=yaml.SafeLoader)
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        raise _unsafe(error) from None
    for node in _mappings(root):
        names = [key.value for key, _ in node.value if isinstance(key.value, str)]
        for key, _ in node.value:
            if names.count(key.value) > 1:
                raise Unsafe(f"line {key.start_mark.line + 1}: {_dumped(key.value)} is there twice")
    return root


def _mappings(node: Any) -> Iterator[Any]:
    waiting, seen = [node], set[int]()
    while waiting:
        node = waiting.pop()
        if id(node) in seen or node is None or isinstance(node.value, str):
            continue
        seen.add(id(node))
        if node.id == "mapping":
            yield node
            waiting += [value for _, value in node.value]
        else:
            waiting += node.value


def _unsafe(error: Exception) -> Unsafe:
    mark = getattr(error, "problem_mark", None)
    what = getattr(error, "problem", None) or str(error).partition("\n")[0]
    return Unsafe(f"line {mark.line + 1}: {what}" if mark else what)


def _block(value: Any, indent: str) -> list[str]:
    """A value as lines in block style."""
    if isinstance(value, dict) and value:
        return [line for name, item in value.items() for line in _pair(name, item, indent)]
    if not _is_nested(value):
        return [indent + _dumped(value)]
    lines = []
    for item in value:
        first, *rest = _block(item, indent + _UNIT)
        lines += [f"{indent}- {first.lstrip(' ')}", *rest]
    return lines


def _pair(name: str, value: Any, indent: str) -> list[str]:
    key = name if _PLAIN_KEY.match(name) else _dumped(name)
    if _is_nested(value):
        return [f"{indent}{key}:", *_block(value, indent + _UNIT)]
    return [f"{indent}{key}: {_dumped(value)}"]


def _is_nested(value: Any) -> bool:
    """Whether a value takes lines of its own."""
    if isinstance(value, dict):
        return bool(value)
    return isinstance(value, list) and any(isinstance(item, dict | list) for item in value)


def _joined(lines: list[str], newline: str) -> str:
    return "".join(line + newline for line in lines)


def _dumped(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False)
