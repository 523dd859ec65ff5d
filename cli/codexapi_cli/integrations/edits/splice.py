"""A text edit at a position, and the values inside a parsed document."""

from __future__ import annotations

import json
from collections.abc import Iterator
from copy import deepcopy
from dataclasses import dataclass
from typing import Any, Final

MISSING: Final = object()
"""The value where there is none. A null where a container belongs is an empty one: programs write
that, and people who have emptied it."""


class Unsafe(ValueError):
    """A text that cannot be edited without a risk; says why."""


@dataclass(frozen=True, slots=True)
class ListItem:
    """A step into a list: to the item that has this member. The last step of a path."""

    member: str
    value: str

    def __str__(self) -> str:
        return f"[{self.member}={self.value}]"


Step = str | ListItem
Path = tuple[Step, ...]


@dataclass(frozen=True, slots=True)
class TextEdit:
    """At this place of a text, `old` stands and `new` shall stand."""

    at: int
    old: str
    new: str

    def apply(self, text: str) -> str:
        return text[: self.at] + self.new + text[self.at + len(self.old) :]

    def taken_back(self, text: str) -> str | None:
        """A text in which it was made, and perhaps other things since, without it. None where
        that is not plain to see."""
        if not self.new or text.count(self.new) != 1:
            return None
        return text.replace(self.new, self.old)


def difference(before: str, after: str) -> TextEdit:
    """The smallest single splice that makes one text of another."""
    shorter = min(len(before), len(after))
    start = next((n for n in range(shorter) if before[n] != after[n]), shorter)
    rest = shorter - start
    end = next((n for n in range(rest) if before[-1 - n] != after[-1 - n]), rest)
    return TextEdit(start, before[start : len(before) - end], after[start : len(after) - end])


def newline_of(text: str) -> str:
    """How the lines of a text end."""
    first = text.find("\n")
    return "\r\n" if first > 0 and text[first - 1] == "\r" else "\n"


def spelled(path: Path) -> str:
    return ".".join(str(step) for step in path)


def at(document: Any, path: Path) -> Any:
    """The value at a path, or MISSING. Raises Unsafe where a step leads into no container."""
    for step in path:
        document = _step(document, step)
        if document is MISSING:
            break
    return document


def with_entry(document: Any, path: Path, value: Any) -> Any:
    """A copy of the document in which this value stands at the path."""
    if not path:
        return value
    step, *rest = path
    if isinstance(step, ListItem):
        items = [] if document in (MISSING, None) else list(document)
        found = [n for n, item in enumerate(items) if _matches(item, step)]
        place = found[0] if found else len(items)
        return [*items[:place], value, *items[place + 1 :]]
    members = {} if document in (MISSING, None) else dict(document)
    members[step] = with_entry(members.get(step, MISSING), tuple(rest), value)
    return members


def without_entry(document: Any, path: Path) -> Any:
    """A copy of the document without the path, and without parents that are empty then."""
    document = deepcopy(document)
    for length in range(len(path), 0, -1):
        if length < len(path) and at(document, path[:length]):
            break
        _drop(at(document, path[: length - 1]), path[length - 1])
    return document


def wrapped(path: Path, value: Any) -> Any:
    """A value inside the containers that lead to it."""
    for step in reversed(path):
        value = [value] if isinstance(step, ListItem) else {step: value}
    return value


def holds(there: Any, wanted: Any) -> bool:
    """Whether all that is wanted is there; a user may have added members."""
    if isinstance(there, dict) and isinstance(wanted, dict):
        return all(name in there and holds(there[name], wanted[name]) for name in wanted)
    return same(there, wanted)


def same(one: Any, other: Any) -> bool:
    """Equality that distinguishes 1, 1.0 and true."""
    return one is other or _spelled_out(one) == _spelled_out(other)


def _spelled_out(value: Any) -> str:
    return json.dumps(value, sort_keys=True, default=repr)


def parents(path: Path) -> Iterator[Path]:
    """The containers on the way to a path, the nearest first; not the document itself."""
    return (path[:length] for length in range(len(path) - 1, 0, -1))


def _step(document: Any, step: Step) -> Any:
    if document is None:
        return MISSING
    if isinstance(step, ListItem):
        if not isinstance(document, list):
            raise Unsafe(f"a list is expected where {step} is looked for")
        return next((item for item in document if _matches(item, step)), MISSING)
    if not isinstance(document, dict):
        raise Unsafe(f"an object is expected around {step}")
    return document.get(step, MISSING)


def _matches(item: Any, step: ListItem) -> bool:
    return isinstance(item, dict) and item.get(step.member) == step.value


def _drop(container: Any, step: Step) -> None:
    if container is MISSING or container is None:
        return
    if isinstance(step, ListItem):
        container[:] = [item for item in container if not _matches(item, step)]
    else:
        container.pop(step, None)
