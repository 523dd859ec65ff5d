"""Answers that are drawn on a terminal of a test's own."""

from __future__ import annotations

import math
import unicodedata
from collections import Counter

from tests.cli.screens import Emulator

from codexapi_cli.terminal.markdown import Markdown, Screen


def never_too_early() -> float:
    """A clock by which each piece is drawn."""
    return math.inf


def markdown(shown: Emulator, *, styled: bool = True, rewraps: bool = False) -> Markdown:
    target = Screen(shown.write, shown.size, moves=True, styled=styled, rewraps=rewraps)
    return Markdown(target, clock=never_too_early)


def drawn(
    text: str, columns: int = 80, lines: int = 24, *, step: int = 7, rewraps: bool = False
) -> Emulator:
    """An answer that comes in pieces of so many letters."""
    shown = Emulator(columns, lines)
    answer = markdown(shown, rewraps=rewraps)
    for at in range(0, len(text), step):
        answer.write(text[at : at + step])
    answer.end()
    return shown


def letters(text: str) -> Counter[str]:
    """Letters, accents and emoji."""
    return Counter(
        c
        for c in unicodedata.normalize("NFC", text)
        if c.isalnum() or unicodedata.combining(c) or unicodedata.category(c) == "So"
    )
