"""Secrets that a test plants, and the search for them.

Each has a mark that no filler has, so that a search is one pattern for all of them.
"""

from __future__ import annotations

import base64
import binascii
import json
import random
import re
import string
from collections.abc import Callable, Iterator
from typing import Any
from urllib.parse import quote, unquote

_LETTERS = string.ascii_lowercase + string.digits
_MARK = re.compile(r"zq([a-z0-9]{10})qz", re.IGNORECASE)
_RUN = re.compile(r"[A-Za-z0-9+/_-]{16,}")

FORMS: list[Callable[[str], str]] = [
    lambda core: core,
    lambda core: f"sk-proj-{core}",
    lambda core: f"{core}@mail.example",
    lambda core: core.upper(),
    lambda core: f"/home/{core}/notes on {core}.txt",
    lambda core: f"https://{core}.example/{core}?q={quote(core)}",
    lambda core: f"Dr. {core.title()} 日本 \U0001f600\n\t\"{core}\"",
    lambda core: json.dumps({core: {"deep": [core]}}),
    lambda core: base64.b64encode(f"picture of {core}, taken here".encode()).decode(),
    lambda core: f"data:image/png;base64,{base64.b64encode(core.encode() * 3).decode()}",
    lambda core: f"eyJhbGciOiJub25lIn0.{_coded(json.dumps({'name': core, 'exp': 1}))}.{core}",
]  # fmt: skip


def _coded(text: str) -> str:
    return base64.urlsafe_b64encode(text.encode()).decode().rstrip("=")


class Planter:
    """Makes secrets, and remembers them."""

    def __init__(self, seed: int) -> None:
        self._dice = random.Random(seed)
        self.cores: set[str] = set()

    def __call__(self) -> str:
        core = "".join(self._dice.choices(_LETTERS, k=10))
        form = FORMS[len(self.cores) % len(FORMS)]
        self.cores.add(core)
        return form(f"zq{core}qz")

    def plain(self) -> str:
        """One that fits in a header."""
        core = "".join(self._dice.choices(_LETTERS, k=10))
        self.cores.add(core)
        return f"zq{core}qz"

    def everywhere(self, value: Any, kept: Callable[[str, object], bool]) -> Any:
        """A JSON value with a secret for each string that is not `kept`, by its field and value."""
        return self._planted(value, "", kept)

    def _planted(self, value: Any, key: str, kept: Callable[[str, object], bool]) -> Any:
        if isinstance(value, dict):
            return {name: self._planted(each, name, kept) for name, each in value.items()}
        if isinstance(value, list):
            return [self._planted(each, key, kept) for each in value]
        return self() if isinstance(value, str) and not kept(key, value) else value

    def found_in(self, data: bytes) -> set[str]:
        """The secrets that can be read in some bytes, in whatever coding."""
        return {
            core
            for text in _readings(data)
            for core in map(str.lower, _MARK.findall(text))
            if core in self.cores
        }


def _readings(data: bytes) -> Iterator[str]:
    text = data.decode("utf-8", "replace")
    yield text
    yield text[::-1]
    yield unquote(text)
    yield data.decode("utf-16-le", "replace")
    yield data[1:].decode("utf-16-le", "replace")
    for _ in range(3):  # JSON within JSON within JSON
        text = re.sub(r'\\(["\\/])', r"\1", re.sub(r"\\u([0-9a-fA-F]{4})", _letter, text))
        yield text
    for run in _RUN.findall(text):
        for start in range(4):
            part = run[start:].replace("-", "+").replace("_", "/")
            try:
                yield binascii.a2b_base64(part[: len(part) // 4 * 4]).decode("latin-1")
            except binascii.Error:
                continue
            if len(run) > 4000:
                break


def _letter(found: re.Match[str]) -> str:
    return chr(int(found[1], 16))
