"""Wraps text to a width, between words only."""

from __future__ import annotations

import re
import textwrap
from collections.abc import Iterable, Iterator

_CODE = re.compile(r"`[^`\n]+`")
_SHELL_WORD = re.compile(r"""(?:"[^"]*"|'[^']*'|\S)+""")
_FIXED = "\0"
"""Stands for a blank where no line may end."""

_LEAST = 24
"""Columns that the right side of a table needs; with fewer it stands below the left one."""

_LONGEST = 30
"""Columns of the left side; what is longer has a line of its own."""


def wrap(text: str, width: int, indent: str = "", later: str | None = None) -> str:
    """One paragraph. A command in backquotes stays on a line if it fits there."""
    room = max(width - len(indent if later is None else later), 1)
    fixed = _CODE.sub(lambda code: _fixed(code[0], room), text)
    lines = textwrap.wrap(
        fixed, max(width, 1), initial_indent=indent,
        subsequent_indent=indent if later is None else later,
        break_long_words=False, break_on_hyphens=False,
    )  # fmt: skip
    return "\n".join(lines).replace(_FIXED, " ")


def table(rows: Iterable[tuple[str, str]], width: int, indent: int = 2) -> Iterator[str]:
    """Names with their texts beside them, or below them where the width is too small."""
    rows = list(rows)
    column = max((len(name) for name, _ in rows if len(name) <= _LONGEST), default=_LONGEST // 2)
    start = indent + column + 2
    if width - start < _LEAST:
        start = indent + 4
    for name, text in rows:
        left = wrap(name, width, " " * indent, " " * start)
        if not text:
            yield left
        elif "\n" in left or len(left) + 2 > start:
            yield left
            yield wrap(text, width, " " * start)
        else:
            yield wrap(text, width, left.ljust(start), " " * start)


def shell_line(line: str, width: int, indent: str) -> str:
    """A command to copy: where it does not fit it goes on as the shell takes it."""
    lines = [indent]
    for word in _SHELL_WORD.findall(line):
        glue = "" if lines[-1].isspace() else " "
        if glue and len(lines[-1]) + len(glue) + len(word) + 2 > width:
            lines[-1] += " \\"
            lines.append(f"{indent}    {word}")
        else:
            lines[-1] += glue + word
    whole = indent + line
    return whole if len(whole) <= width else "\n".join(lines)


def _fixed(code: str, room: int) -> str:
    return code.replace(" ", _FIXED) if len(code) <= room else code
