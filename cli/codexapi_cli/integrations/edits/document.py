"""A settings document as text: adds and removes entries, and verifies the outcome."""

from __future__ import annotations

import codecs
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Protocol

from ...terminal.output import CONFLICT, LOCAL_FILE, Problem
from .splice import (
    MISSING,
    ListItem,
    Path,
    TextEdit,
    Unsafe,
    at,
    holds,
    parents,
    same,
    spelled,
    with_entry,
    without_entry,
)

__all__ = [
    "MISSING",
    "Conflict",
    "Document",
    "DocumentFormat",
    "Entry",
    "ListItem",
    "Path",
    "Refused",
]

BOM = codecs.BOM_UTF8.decode()


class Refused(Problem):
    """The file cannot be edited safely. Nothing was changed."""

    def __init__(self, message: str) -> None:
        super().__init__(message, LOCAL_FILE)


class Conflict(Problem):
    """An entry under our name says something else. Nothing was changed."""

    def __init__(self, message: str) -> None:
        super().__init__(message, CONFLICT)


class DocumentFormat(Protocol):
    """A way to write documents: the modules `jsonc`, `toml` and `yaml`. All raise Unsafe."""

    @property
    def NAME(self) -> str: ...
    def parse(self, text: str) -> Any: ...
    def put(self, text: str, path: Path, value: Any) -> TextEdit: ...
    def remove(self, text: str, path: Path) -> TextEdit: ...


@dataclass(frozen=True, slots=True)
class Entry:
    """A value and where it belongs. Members that a user adds to it are the user's."""

    path: Path
    value: Any

    def __str__(self) -> str:
        return spelled(self.path)


@dataclass(frozen=True, slots=True)
class Document:
    """A text in some form. Nothing here touches a file."""

    form: DocumentFormat
    text: str = ""

    @classmethod
    def of(cls, form: DocumentFormat, data: bytes) -> Document:
        """Raises Unsafe."""
        try:
            return cls(form, data.decode())
        except UnicodeDecodeError:
            raise Unsafe("it is not UTF-8 text") from None

    def value(self, path: Path) -> Any:
        """What stands at a path, or MISSING. Raises Unsafe."""
        return at(self._value(), path)

    def has(self, entry: Entry) -> bool:
        """Raises Unsafe."""
        return holds(self.value(entry.path), entry.value)

    def put(self, entries: Iterable[Entry], *, force: bool = False) -> Document:
        """With the entries in it. Raises Unsafe, and Conflict where one says something else."""
        document = self
        for entry in entries:
            there = document.value(entry.path)
            if holds(there, entry.value):
                continue
            if there is not MISSING and not force:
                raise Conflict(f"{entry} is there, and differs")
            document = document._with(entry)[0]
        return document

    def present(self, entries: Iterable[Entry]) -> list[Entry]:
        """Those of the entries that are there. Raises Unsafe, and Conflict where one differs."""
        present = [entry for entry in entries if self.value(entry.path) is not MISSING]
        for entry in present:
            if not self.has(entry):
                raise Conflict(f"{entry} has been changed since")
        return present

    def take_out(self, entries: Iterable[Entry], before: Document | None) -> Document:
        """Without the entries: with what was in their places in the document `before` that they
        were put in, if one is known. Raises Unsafe, and Conflict where one has been changed."""
        document = self
        present = self.present(entries)
        put = [entry for entry in present if before is None or not before.has(entry)]
        for entry, splice in _steps(put, before):
            document = document._without(entry, splice, before)
        return document

    def _value(self) -> Any:
        """To be looked at, and not to be changed: one text is read once."""
        return _parse(self.form.parse, self.text)

    def _with(self, entry: Entry) -> tuple[Document, TextEdit]:
        mark = BOM if self.text.startswith(BOM) else ""
        splice = self.form.put(self.text.removeprefix(BOM), entry.path, entry.value)
        splice = TextEdit(splice.at + len(mark), splice.old, splice.new)
        made = Document(self.form, splice.apply(self.text))
        made._must_be(with_entry(self._value(), entry.path, entry.value))
        return made, splice

    def _without(self, entry: Entry, splice: TextEdit | None, before: Document | None) -> Document:
        intended = without_entry(self._value(), entry.path)
        taken_back = None if splice is None else splice.taken_back(self.text)
        if taken_back is not None:
            made = Document(self.form, taken_back)
            with suppress(Unsafe):  # it was not the same place after all
                if same(without_entry(made._value(), entry.path), intended):
                    return made
        made = self._cut(entry.path)
        for parent in parents(entry.path):
            was_there = before is None or before.value(parent) is not MISSING
            if made.value(parent) in ({}, []) and not was_there:
                made = made._cut(parent)
        if not same(without_entry(made._value(), entry.path), intended):
            raise Unsafe("other settings would change")
        return made

    def _cut(self, path: Path) -> Document:
        text = self.text.removeprefix(BOM)
        mark = self.text[: len(self.text) - len(text)]
        return Document(self.form, mark + self.form.remove(text, path).apply(text))

    def _must_be(self, intended: Any) -> None:
        if not same(self._value(), intended):
            raise Unsafe("other settings would change")


@lru_cache(maxsize=4)
def _parse(parse: Callable[[str], Any], text: str) -> Any:
    return parse(text.removeprefix(BOM))


def _steps(
    entries: list[Entry], before: Document | None
) -> Iterator[tuple[Entry, TextEdit | None]]:
    """The splices that put the entries in, the last first; None where they are not known."""
    made: list[tuple[Entry, TextEdit | None]] = []
    for entry in entries:
        splice = None
        if before is not None:
            try:
                before, splice = before._with(entry)
            except Unsafe:
                before = None
        made.append((entry, splice))
    return reversed(made)


def snippet(form: DocumentFormat, entries: Iterable[Entry]) -> str:
    """The entries alone, for the user to paste. Raises Refused."""
    try:
        return Document(form).put(entries).text
    except Unsafe as error:
        raise Refused(f"{form.NAME} cannot hold these settings: {error}") from None
