"""Draws the requests of a server as a table that fits a terminal."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from typing import NamedTuple

from codexapi_engine.errors import JsonObject, duration
from codexapi_engine.protocol.shapes import get_dict, get_int, get_list, get_str

from .cells import cells
from .cleaning import clean


class Column(NamedTuple):
    title: str
    value: Callable[[JsonObject], str]
    rank: int
    """What a narrow terminal does without: the highest first."""
    numeric: bool = False


def _text(name: str) -> Callable[[JsonObject], str]:
    return lambda entry: get_str(entry, name) or "-"


def _tokens(name: str) -> Callable[[JsonObject], str]:
    def value(entry: JsonObject) -> str:
        count = get_int(get_dict(entry, "tokens"), name)
        return "-" if count is None else str(count)

    return value


def _seconds(name: str) -> Callable[[JsonObject], str]:
    def value(entry: JsonObject) -> str:
        seconds = entry.get(name)
        return f"{seconds:.1f}" if isinstance(seconds, int | float) else "-"

    return value


def _clock(entry: JsonObject) -> str:
    at = entry.get("at")
    try:
        return time.strftime("%H:%M:%S", time.localtime(at)) if isinstance(at, int | float) else "-"
    except (ValueError, OverflowError, OSError):
        return "-"


def _outcome(entry: JsonObject) -> str:
    if "stoppable" in entry:
        return "running"
    code, status = get_str(entry, "code"), get_int(entry, "status") or 0
    return f"{status} {code}".rstrip()


COLUMNS = (
    Column("TIME", _clock, 3),
    Column("PROGRAM", _text("program"), 0),
    Column("ROUTE", _text("route"), 2),
    Column("MODEL", _text("model"), 1),
    Column("EFFORT", _text("effort"), 6),
    Column("IN", _tokens("input"), 4, numeric=True),
    Column("CACHED", _tokens("cached"), 7, numeric=True),
    Column("OUT", _tokens("output"), 4, numeric=True),
    Column("FIRST", _seconds("first"), 5, numeric=True),
    Column("SECONDS", _seconds("seconds"), 0, numeric=True),
    Column("STATUS", _outcome, 0),
)
_GAP = "  "
_MOST = 40
"""Cells of a value: a longer one is cut."""


def title(report: JsonObject, url: str) -> str:
    since, now = report.get("started_at"), report.get("now")
    up = ""
    if isinstance(since, int | float) and isinstance(now, int | float):
        up = f", up {duration(now - since)}"
    count = len(get_list(report, "running"))
    return clean(f"codexapi {get_str(report, 'version')} on {url}{up}: {count} running")


def table(report: JsonObject, columns: int = 0, rows: int = 0) -> list[str]:
    """The running requests, the longest first, and those that have ended, the newest first. Clean,
    and no wider than `columns` or longer than `rows`, where there are any."""
    entries = [
        entry
        for name in ("running", "recent")
        for entry in get_list(report, name)
        if isinstance(entry, dict)
    ]
    if rows:
        entries = entries[: max(0, rows - 1)]
    shown = list(COLUMNS)
    while True:
        grid = [[one.title for one in shown], *([_cell(one, e) for one in shown] for e in entries)]
        widths = [max(map(cells, values)) for values in zip(*grid, strict=True)]
        least = max(shown, key=lambda one: one.rank)
        if not columns or sum(widths) + len(_GAP) * (len(widths) - 1) <= columns or not least.rank:
            return [cut(_table_line(shown, row, widths), columns) for row in grid]
        shown.remove(least)


def _cell(column: Column, entry: JsonObject) -> str:
    return cut(" ".join(clean(column.value(entry)).split()), _MOST)


def _table_line(shown: Sequence[Column], row: Sequence[str], widths: Sequence[int]) -> str:
    return _GAP.join(_padded(shown, row, widths)).rstrip()


def _padded(shown: Sequence[Column], row: Sequence[str], widths: Sequence[int]) -> Iterator[str]:
    for column, text, width in zip(shown, row, widths, strict=True):
        space = " " * (width - cells(text))
        yield space + text if column.numeric else text + space


def cut(text: str, columns: int) -> str:
    if not columns or cells(text) <= columns:
        return text
    while text and cells(text) >= columns:
        text = text[:-1]
    return f"{text}…"
