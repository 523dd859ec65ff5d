"""Writes an answer: plain in a pipe, sanitised on a terminal, as JSON events, or when complete."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping
from typing import Protocol

from .cleaning import TerminalSanitizer, to_json
from .colors import colourful
from .output import put_drawn, say_drawn


class Answer(Protocol):
    """Where an answer goes, piece by piece. `end` is called once, however it ended."""

    def write(self, text: str) -> None: ...

    def think(self, text: str) -> None:
        """A piece of the reasoning's summary."""

    def end(self) -> None: ...


class Thinking:
    """Reasoning summaries on stderr, dim on a terminal, and separate from the answer."""

    def __init__(self, environ: Mapping[str, str] = os.environ) -> None:
        self._terminal = sys.stderr.isatty()
        self._dim = colourful(self._terminal, environ)
        self._sanitizer = TerminalSanitizer()
        self._begun = False

    def write(self, text: str) -> None:
        text = self._sanitizer.feed(text) if self._terminal else text
        self._begun = True
        say_drawn(f"\x1b[2m{text}\x1b[0m" if self._dim and text else text, end="")

    def end(self) -> None:
        if self._begun:
            say_drawn("\n\n", end="")
        self._begun = False


class Plain:
    """The answer on stdout as it comes, with exactly one newline at its end; on a terminal without
    control sequences, unless `raw`."""

    def __init__(self, *, raw: bool = False) -> None:
        self._sanitizer = TerminalSanitizer() if sys.stdout.isatty() and not raw else None
        self._newline = True
        self._thinking = Thinking()

    def write(self, text: str) -> None:
        self._thinking.end()
        if self._sanitizer is not None:
            text = self._sanitizer.feed(text)
        if text:
            self._newline = text.endswith("\n")
            put_drawn(text)

    def think(self, text: str) -> None:
        self._thinking.write(text)

    def end(self) -> None:
        self._thinking.end()
        if self._sanitizer is not None and (rest := self._sanitizer.end()):
            self.write(rest)
        if not self._newline:
            put_drawn("\n")
            self._newline = True


class SilentSink:
    """Writes nothing: the caller uses the complete answer."""

    def __init__(self) -> None:
        self._thinking = Thinking()

    def write(self, text: str) -> None:
        self._thinking.end()

    def think(self, text: str) -> None:
        self._thinking.write(text)

    def end(self) -> None:
        self._thinking.end()


class Events:
    """A JSON object a line, for programs: `text` and `reasoning` as they come."""

    def write(self, text: str) -> None:
        put_event("text", text=text)

    def think(self, text: str) -> None:
        put_event("reasoning", text=text)

    def end(self) -> None:
        pass


def put_event(kind: str, **fields: object) -> None:
    put_drawn(to_json({"type": kind, **fields}) + "\n")
