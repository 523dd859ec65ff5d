"""Takes tokens out of content that stays, also those that a stream brings in several deltas.

No token spans a character that no token has, so a text is settled up to the last of these; the
deltas behind it wait for what follows.
"""

from __future__ import annotations

import re
from collections import deque
from collections.abc import Callable

from .letters import blank, blank_literal, escape, unescape, units

_WORD_START = r"(?:\b|(?<=\\[nrtbf]))"
"""Behind a line end too that JSON within a text writes as an escape."""

_TOKEN = re.compile(
    rf"eyJ[\w-]{{8,}}\.[\w-]+\.[\w-]*|{_WORD_START}(?:sk|rt|sess)[-_.][\w-]{{16,}}"
    r"|(?<=Bearer )[\w.~+/-]{8,}=*"
)
_TOKEN_WITHOUT_END = re.compile(
    rf"(?:eyJ[\w-]*(?:\.[\w-]*){{0,2}}|{_WORD_START}(?:sk|rt|sess)[-_.][\w-]*"
    r"|(?<=Bearer )[\w.~+/-]+=*)\Z"
)
_RUN = re.compile(r"[\w.~+/=-]*")
"""Of characters that a token may have."""

_CONTEXT = 8
"""Characters before a token that decide whether it is one."""

Identifier = Callable[[str], str]


def redact_content(literal: str, identifier: Identifier) -> str:
    """The inside of a JSON string without its tokens."""
    if "\\" not in literal:
        return _TOKEN.sub(lambda found: identifier(found[0]), literal)
    letters = units(literal)
    text = "".join(map(unescape, letters))
    changed = _TOKEN.sub(lambda found: identifier(found[0]), text)
    return literal if changed == text else "".join(map(escape, letters, changed))


class ContentDelta:
    """One delta, and what is shown of it once that is known."""

    def __init__(self, text: str, identifier: Identifier) -> None:
        self.text = text
        self.shown: str | None = None
        self._identifier = identifier

    def literal(self, literal: str) -> str:
        """What is shown in the place of the inside of a JSON string."""
        letters = units(literal)
        if self.shown is None or "".join(map(unescape, letters)) != self.text:
            return redact_content(literal, self._identifier)
        if len(self.shown) != len(letters):
            return blank_literal(literal)
        return "".join(map(escape, letters, self.shown))


class DeltaText:
    """A text that comes in deltas."""

    def __init__(self, identifier: Identifier) -> None:
        self._identifier = identifier
        self._waiting: deque[ContentDelta] = deque()
        self._text = ""  # of the deltas that wait
        self._shown = ""  # as far as it is settled
        self._before = ""  # the end of the text of those that wait no more
        self._overflow = False

    def feed(self, delta: ContentDelta) -> None:
        self._waiting.append(delta)
        self._text += delta.text
        if self._overflow:
            self._continue_overflow()
        open_run = _length_of_open_run(delta.text)
        if open_run < len(delta.text):
            self._settle(len(self._text) - open_run)
        else:
            self._release()

    def finish(self) -> None:
        """Nothing follows: a token may be cut off, and goes too."""
        self._settle(len(self._text), ends=True)

    def overflow(self) -> None:
        """Does not wait for the end of a run that is too long: all of it is filled."""
        start = len(self._shown)
        self._overflow = self._overflow or start < len(self._text)
        self._shown += blank(self._text[start:])
        self._release()

    def _continue_overflow(self) -> None:
        start = len(self._shown)
        run = _RUN.match(self._text, start)
        end = run.end() if run else start
        self._overflow = end == len(self._text)
        self._shown += blank(self._text[start:end])
        self._release()

    def _settle(self, end: int, *, ends: bool = False) -> None:
        start = len(self._shown)
        if end > start:
            context = (self._before + self._text[:start])[-_CONTEXT:]
            text = context + self._text[start:end]
            self._shown += self._redacted(text, len(context), ends=ends)
        self._release()

    def _redacted(self, text: str, start: int, *, ends: bool) -> str:
        done, at = [], start
        for found in _TOKEN.finditer(text, start):
            done += [text[at : found.start()], self._identifier(found[0])]
            at = found.end()
        cut = _TOKEN_WITHOUT_END.search(text, at) if ends else None
        if cut is not None:
            done += [text[at : cut.start()], self._identifier(cut[0])]
            at = cut.end()
        return "".join([*done, text[at:]])

    def _release(self) -> None:
        while self._waiting and len(self._waiting[0].text) <= len(self._shown):
            delta = self._waiting.popleft()
            size = len(delta.text)
            delta.shown = self._shown[:size]
            self._before = (self._before + delta.text)[-_CONTEXT:]
            self._text, self._shown = self._text[size:], self._shown[size:]


def _length_of_open_run(text: str) -> int:
    run = _RUN.match(text[::-1])
    return run.end() if run else 0
