"""Redacts bytes as text, without a change of their length; not all of them need be UTF-8."""

from __future__ import annotations

import re
from collections.abc import Callable

from .letters import blank

_SURROGATE = re.compile("[\ud800-\udfff]")
"""What stands for a byte that is no UTF-8."""


def redact_text(data: bytes, redact: Callable[[str], str]) -> bytes:
    text = redact(data.decode("utf-8", "surrogateescape"))
    return _SURROGATE.sub("\udcff", text).encode("utf-8", "surrogateescape")


def fit(redacted: bytes, raw: bytes) -> bytes:
    """What was redacted, if it is as long as it was; else nothing of it."""
    if len(redacted) == len(raw):
        return redacted
    return blank(raw.decode("latin-1")).encode("ascii", "replace")
