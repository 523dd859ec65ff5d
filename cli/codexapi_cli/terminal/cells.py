"""Measures and cuts text in the cells of a terminal.

An East Asian letter has two cells, an accent none, and a family of emoji is one picture.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import TYPE_CHECKING

from wcwidth import iter_graphemes, wcswidth

if TYPE_CHECKING:
    from rich.text import Text

_WORD = re.compile(r"([^\S\xa0]*)((?:\S|\xa0)+)")
TAB = 8
_CLOSING = frozenset(
    "、。，．・：；？！）］｝〕〉》」』】〙〗〟’”｠»ー…‥々ぁぃぅぇぉっゃゅょゎァィゥェォッャュョヮ"
)
"""What begins no line in East Asian texts."""


def cells(text: str) -> int:
    """The columns that a text takes."""
    if text.isascii() and text.isprintable():
        return len(text)
    width = wcswidth(text)
    return width if width >= 0 else sum(max(0, wcswidth(letter)) for letter in text)


def wrap_lines(text: Text, width: int, *, fold: bool) -> list[Text]:
    """Lines that are cut between words, and `fold`: inside of those that are longer than a line.
    Those are left to the terminal otherwise, which knows that they are one."""
    lines: list[Text] = []
    for line in text.split("\n", allow_blank=True):
        for part in line.divide(_wrap_offsets(line.plain, width, fold=fold)):
            part.rstrip()
            lines.append(part)
    return lines


def continue_row(text: Text, width: int, column: int) -> list[Text]:
    """The rest of a row that ends in this column, and the rows below it."""
    rows: list[Text] = []
    for line in text.split("\n", allow_blank=True):
        rows += line.divide(_wrap_offsets(line.plain, width, fold=False, column=column))
        column = 0
    for row in rows[:-1]:
        row.rstrip()
    return rows


def fold_row(text: Text, width: int) -> list[Text]:
    """The lines into which a terminal wraps a line: cut wherever that is, but in no letter."""
    return list(text.divide(_fold_offsets(text.plain, width)))


def _wrap_offsets(text: str, width: int, *, fold: bool, column: int = 0) -> list[int]:
    offsets: list[int] = []
    for start, gap, word in _words(text):
        size = cells(word)
        if column and column + gap + size > width:
            offsets.append(start)
            column = gap = 0
        if size <= width:
            column += gap + size
        elif fold:
            inner = _fold_offsets(word, width, column + gap)
            offsets += [start + offset for offset in inner]
            column = cells(word[inner[-1] :]) if inner else column + gap + size
        else:
            column = (column + gap + size) % width or width
    return offsets


def _fold_offsets(text: str, width: int, column: int = 0) -> list[int]:
    offsets: list[int] = []
    at = 0
    for letter in iter_graphemes(text):
        size = TAB - column % TAB if letter == "\t" else cells(letter)
        if column and column + size > width:
            offsets.append(at)
            column = 0
        column += size
        at += len(letter)
    return offsets


def _words(text: str) -> Iterator[tuple[int, int, str]]:
    """Where each word begins, the cells of the blanks before it, and the word. Between letters of
    two cells a line may be cut too."""
    for match in _WORD.finditer(text):
        start, gap = match.start(2), cells(match[1])
        if match[2].isascii():
            yield start, gap, match[2]
            continue
        for piece in _pieces(match[2]):
            yield start, gap, piece
            start, gap = start + len(piece), 0


def _pieces(word: str) -> Iterator[str]:
    piece, wide = "", False
    for letter in iter_graphemes(word):
        now_wide = cells(letter) == 2
        if piece and (wide or now_wide) and letter not in _CLOSING:
            yield piece
            piece = ""
        piece, wide = piece + letter, now_wide
    yield piece
