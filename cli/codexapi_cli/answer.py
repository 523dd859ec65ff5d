"""An answer on its way to the person: in a pipe as it comes, on a terminal without what could harm
it, as JSON events, or held until it is whole.

Knows nothing of where the text comes from.
"""

from __future__ import annotations

import json
import os
import re
import sys
from collections.abc import Mapping
from typing import Protocol

from .terminal import colourful, put

# What model output could do to a terminal. C1 controls are written as ESC and a letter, or alone.
_CSI, _STRING = r"(?:\x1b\[|\x9b)[0-?]*[ -/]*", r"(?:\x1b[\]PX^_]|[\x90\x98\x9d-\x9f])"
_SEQUENCE = re.compile(
    rf"{_CSI}[@-~]|{_STRING}[^\x07\x9c\x1b]*(?:\x07|\x9c|\x1b\\)|\x1b[ -/]*[0-OQ-WYZ`-~]"
)
_GOES_ON = re.compile(rf"(?:{_CSI}|{_STRING}[^\x07\x9c\x1b]*\x1b?|\x1b[ -/]*)\Z")
_CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f]")  # C0 but tab and newline, DEL, C1
_LONGEST = 4096
"""Characters of a sequence whose end is waited for."""


class Answer(Protocol):
    """Where an answer goes, piece by piece. `end` is called once, however it ended."""

    def write(self, text: str) -> None: ...

    def think(self, text: str) -> None:
        """A piece of the reasoning's summary."""

    def end(self) -> None: ...


class Harmless:
    """Takes from a text, piece by piece, what could make a terminal do things."""

    def __init__(self) -> None:
        self._held = ""  # the beginning of a sequence that may go on in the next piece

    def feed(self, text: str) -> str:
        text = _SEQUENCE.sub("", self._held + text)
        open_ended = _GOES_ON.search(text, max(0, len(text) - _LONGEST))
        cut = open_ended.start() if open_ended else len(text)
        self._held = text[cut:]
        return _CONTROL.sub("", text[:cut])

    def end(self) -> str:
        """What was held, and is no sequence."""
        held, self._held = self._held, ""
        return _CONTROL.sub("", held)


class Thinking:
    """Reasoning summaries on stderr, dim on a terminal, and apart from the answer."""

    def __init__(self, environ: Mapping[str, str] = os.environ) -> None:
        self._terminal = sys.stderr.isatty()
        self._dim = colourful(self._terminal, environ)
        self._harmless = Harmless()
        self._begun = False

    def write(self, text: str) -> None:
        text = self._harmless.feed(text) if self._terminal else text
        self._begun = True
        self._put(f"\x1b[2m{text}\x1b[0m" if self._dim and text else text)

    def end(self) -> None:
        if self._begun:
            self._put("\n\n")
        self._begun = False

    def _put(self, text: str) -> None:
        sys.stderr.buffer.write(text.encode(errors="replace"))
        sys.stderr.buffer.flush()


class Plain:
    """The answer on stdout as it comes, with exactly one newline at its end; on a terminal without
    control sequences, unless `raw`."""

    def __init__(self, *, raw: bool = False) -> None:
        self._harmless = Harmless() if sys.stdout.isatty() and not raw else None
        self._newline = True
        self._thinking = Thinking()

    def write(self, text: str) -> None:
        self._thinking.end()
        if self._harmless is not None:
            text = self._harmless.feed(text)
        if text:
            self._newline = text.endswith("\n")
            put(text)

    def think(self, text: str) -> None:
        self._thinking.write(text)

    def end(self) -> None:
        self._thinking.end()
        if self._harmless is not None and (rest := self._harmless.end()):
            self.write(rest)
        if not self._newline:
            put("\n")
            self._newline = True


class Held:
    """Writes nothing: the answer is wanted whole, and the caller has it."""

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


def put_event(kind: str, **told: object) -> None:
    put(json.dumps({"type": kind, **told}, ensure_ascii=False) + "\n")
