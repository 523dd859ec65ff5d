"""Removes from untrusted text what controls a terminal, and invisible characters.

The text may come from a model, a backend, a server or a foreign file. Escape sequences, control
characters, bidirectional controls and invisible letters are removed; what joins emoji and the
letters of a script stays.
"""

from __future__ import annotations

import json
import re

# Sources, which `re` compiles when they are first used: that takes 6 ms, and a pipe needs none.
# C1 controls are written as ESC and a letter, or alone.
_CSI, _STRING = r"(?:\x1b\[|\x9b)[0-?]*[ -/]*", r"(?:\x1b[\]PX^_]|[\x90\x98\x9d-\x9f])"
_SEQUENCE = rf"{_CSI}[@-~]|{_STRING}[^\x07\x9c\x1b]*(?:\x07|\x9c|\x1b\\)|\x1b[ -/]*[0-OQ-WYZ`-~]"
_GOES_ON = rf"(?:{_CSI}|{_STRING}[^\x07\x9c\x1b]*\x1b?|\x1b[ -/]*)\Z"
_CONTROL = r"[\x00-\x08\x0b-\x1f\x7f-\x9f]"  # C0 but tab and newline, DEL, C1

DIRECTIONS = "\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069"
INVISIBLE = (
    "\u00ad\u034f\u115f\u1160\u17b4\u17b5\u180e\u200b\u2060-\u2065\u206a-\u206f\u3164\ufeff"
    "\uffa0\ufff0-\ufffb\U0001bca0-\U0001bca3\U0001d173-\U0001d17a\U000e0000-\U000e007f"
)
"""Of Unicode's default ignorable letters all but joiners and variation selectors."""

JOINERS = "\u200c\u200d\ufe00-\ufe0f\U000e0100-\U000e01ef"
"""Joiners and variation selectors: they belong to the emoji or the letter before them."""

_FLAG = "\U0001f3f4[\U000e0030-\U000e007a]{3,6}\U000e007f"  # of a region: letters of tags
_UNSEEN = f"({_FLAG})|[{DIRECTIONS}{INVISIBLE}]"
_TAKES_JOINER = "\u0300-\u1fff\u20d0-\u20f0\u2190-\ufdff\ufe0f\ufe70-\ufefe\U00010000-\U0003ffff"
_STRAY_JOINER = f"(?<![#*0-9\xa9\xae{_TAKES_JOINER}])[{JOINERS}]"
_NOT_IN_JSON = (
    f"({_FLAG})|[\x7f-\x9f\u2028\u2029\ud800-\udfff{DIRECTIONS}{INVISIBLE}]"
    f"|(?<![#*0-9\xa9\xae{_TAKES_JOINER}])[{JOINERS}]"
)
_JOINED = {"\ufe0f": "\u2764", "\u200c": " ", "\u200d": " "}
"""What stands for a joiner at the end of a piece: an emoji, to which more can be joined, or not."""

_LONGEST = 4096
"""Characters of a sequence whose end is waited for."""


class TerminalSanitizer:
    """Cleans a text that arrives piece by piece."""

    def __init__(self) -> None:
        self._waiting = ""  # the beginning of a sequence that may go on in the next piece
        self._last = ""  # the letter that a joiner would belong to

    def feed(self, text: str) -> str:
        text = re.sub(_SEQUENCE, "", self._waiting + text)
        open_ended = re.compile(_GOES_ON).search(text, max(0, len(text) - _LONGEST))
        cut = open_ended.start() if open_ended else len(text)
        self._waiting = text[cut:]
        return self._without_controls(text[:cut])

    def end(self) -> str:
        """What was waited for, and is no sequence."""
        waiting, self._waiting = self._waiting, ""
        return self._without_controls(waiting)

    def _without_controls(self, text: str) -> str:
        text = re.sub(_CONTROL, "", text)
        if not text.isascii():
            text = _without_unseen(self._last + text)[len(self._last) :]
        if text:
            self._last = _JOINED.get(text[-1], text[-1])
        return text


def clean(text: str) -> str:
    """A complete text, as a terminal may have it."""
    text = re.sub(_CONTROL, "", re.sub(_SEQUENCE, "", text))
    return text if text.isascii() else _without_unseen(text)


def to_json(value: object, *, indent: int | None = None) -> str:
    """JSON that is readable, and harmless wherever it is shown: what `clean` would take out stands
    there as an escape, so that nothing is lost."""
    text = json.dumps(value, indent=indent, ensure_ascii=False)
    return (
        text if text.isascii() and "\x7f" not in text else re.sub(_NOT_IN_JSON, _json_escape, text)
    )


def _without_unseen(text: str) -> str:
    return re.sub(_STRAY_JOINER, "", re.sub(_UNSEEN, r"\1", text))


def _json_escape(found: re.Match[str]) -> str:
    return found[0] if found[1] else json.dumps(found[0])[1:-1] if found[0] != "\x7f" else "\\u007f"
