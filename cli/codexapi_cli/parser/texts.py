"""Tells a word of a command line that is a text, and reads it."""

from __future__ import annotations

import re
from typing import Any

_BYTES = "[\udc80-\udcff]+"
"""What Python makes of bytes that the system's encoding lacks."""


def is_question(word: str) -> bool:
    """Whether a word is a text: with a blank in it."""
    return any(map(str.isspace, word.strip()))


def decoded(word: Any) -> Any:
    """A word of a text in UTF-8, whatever the encoding of the system. Names of files stay as they
    are: by them they are found."""
    return re.sub(_BYTES, _as_utf8, word) if isinstance(word, str) and not word.isascii() else word


def _as_utf8(found: re.Match[str]) -> str:
    return found[0].encode(errors="surrogateescape").decode(errors="replace")
