"""Lays out a table in the cells of a terminal."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from rich.style import Style
from rich.text import Text

from .cells import cells, wrap_lines

NARROWEST = 8
"""Cells of a column into which a text can be fold_row and still be read."""

_BETWEEN = " │ "
_CROSSING = "─┼─"
_DIM = Style(dim=True)


class Cell(NamedTuple):
    text: Text
    style: str  # CSS, as `text-align:right`


def table(rows: Sequence[Sequence[Cell]], width: int) -> list[Text] | None:
    """Its lines, the first row as the head; None where its columns do not fit."""
    columns = _widths(rows, width)
    if columns is None:
        return None
    head, *body = [
        [_lines(cell, size) for cell, size in zip(row, columns, strict=True)] for row in rows
    ]
    rule = Text(_CROSSING.join("─" * size for size in columns), _DIM)
    for line in (line for cell in head for line in cell):
        line.stylize_before(Style(bold=True))
    lines = [*_row(head, columns), rule]
    # A row of several lines would run into the next.
    tall = any(len(cell) > 1 for row in body for cell in row)
    for number, row in enumerate(body):
        if tall and number:
            lines.append(rule)
        lines += _row(row, columns)
    return lines


def _widths(rows: Sequence[Sequence[Cell]], width: int) -> list[int] | None:
    """The cells of each column. What is missing is taken from the widest."""
    wanted = [
        max(1, *(cells(line) for cell in column for line in cell.text.plain.split("\n")))
        for column in zip(*rows, strict=True)
    ]
    room = width - len(_BETWEEN) * (len(wanted) - 1)
    if sum(min(size, NARROWEST) for size in wanted) > room:
        return None
    # The highest limit on a column under which all of them fit.
    low, high = NARROWEST, max(wanted)
    while low < high:
        middle = (low + high + 1) // 2
        fits = sum(min(size, middle) for size in wanted) <= room
        low, high = (middle, high) if fits else (low, middle - 1)
    sizes = [min(size, low) for size in wanted]
    spare = room - sum(sizes)
    for at, size in enumerate(wanted):
        more = min(spare, size - sizes[at])
        sizes[at] += more
        spare -= more
    return sizes


def _lines(cell: Cell, width: int) -> list[Text]:
    lines = wrap_lines(cell.text, width, fold=True)
    for line in lines:
        room = width - cells(line.plain)
        line.pad_left(room if "right" in cell.style else room // 2 if "center" in cell.style else 0)
    return lines


def _row(row: Sequence[Sequence[Text]], columns: Sequence[int]) -> list[Text]:
    """The lines of a row, beside each other, without blanks at their ends."""
    lines = []
    for number in range(max(map(len, row))):
        line = Text()
        for at, (cell, size) in enumerate(zip(row, columns, strict=True)):
            text = cell[number] if number < len(cell) else Text()
            line.append(_BETWEEN if at else "", _DIM).append_text(text)
            line.append(" " * (size - cells(text.plain)))
        line.rstrip()
        lines.append(line)
    return lines
