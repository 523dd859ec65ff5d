"""A help as it is laid out, and the helps of all commands as they were made ahead: to print one of
those neither the parser nor the command has to be loaded, which take most of the time.

`python -m docs` makes them anew.
"""

from __future__ import annotations

import json
import os
import sys

from ..terminal.colors import colourful
from ..terminal.wrapping import shell_line, table, wrap

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from typing import Any, TypeAlias

    Part: TypeAlias = tuple[str, str, Any]
    """A heading, the kind of what stands below it, and that."""
    Page: TypeAlias = tuple[Sequence[str], Sequence[Part]]
    """Paragraphs, and parts."""

USAGE, TABLE, TEXT, EXAMPLES = "usage", "table", "text", "examples"
"""The kinds of parts."""

PIPE_WIDTH = 80
"""Columns of a help that goes into a pipe."""

PAGES = os.path.join(os.path.dirname(__file__), "help_pages.json")  # a Path takes longer

_BOLD, _PLAIN = "\x1b[1m", "\x1b[0m"


def show_page(arguments: Sequence[str]) -> bool:
    """Prints the help that the arguments ask for: none, `help NAMES`, or `NAMES --help`. False
    where there is none by these names, or it cannot be printed: the parser then says why."""
    names = arguments[1:] if arguments[:1] == ["help"] else arguments[:-1]
    if sys.stdout is None or any(" " in name for name in names):
        return False
    try:
        with open(PAGES, "rb") as file:
            page = json.load(file).get(" ".join(names))
        if page is None:
            return False
        text = lay_out(page, columns(), bold=colourful(sys.stdout.isatty()))
        data = f"{text}\n".encode()
        while data:  # past the buffer, in which a failure would leave it for the next writer
            data = data[os.write(sys.stdout.fileno(), data) :]
    except OSError:
        return False
    return True


def lay_out(page: Page, width: int = PIPE_WIDTH, *, bold: bool = False) -> str:
    paragraphs, parts = page
    blocks = [wrap(paragraph, width) for paragraph in paragraphs]
    for heading, kind, content in parts:
        title = f"{_BOLD}{heading.upper()}{_PLAIN}" if bold else heading.upper()
        blocks.append("\n".join([title, *_lines(kind, content, width)]))
    return "\n\n".join(blocks)


def columns() -> int:
    """Of the terminal that stdout is; PIPE_WIDTH where it is none."""
    try:
        return os.get_terminal_size(sys.stdout.fileno()).columns or PIPE_WIDTH
    except OSError:
        return PIPE_WIDTH


def _lines(kind: str, content: Any, width: int) -> Iterable[str]:
    if kind == USAGE:
        return [shell_line(content, width, "  ").replace(" \\\n", "\n")]
    if kind == TABLE:
        return table(content, width)
    if kind == TEXT:
        return [wrap(line, width, "  ") for line in content]
    return [
        shell_line(line, width, "  ") if line.startswith("$") else wrap(line, width, "  ")
        for line in content
    ]
