"""Prints lines in place of those before, for what is shown again and again."""

from __future__ import annotations

import sys
from collections.abc import Sequence

from codexapi_engine.folding import columns_of, width

from .output import put, put_drawn


def redraw(lines: Sequence[str], before: int) -> int:
    """Prints lines; on a terminal in place of the last `before` rows. Returns the rows of these."""
    columns = columns_of(sys.stdout)
    put_drawn(f"\x1b[{before}A\r\x1b[J" if before and sys.stdout.isatty() else "")
    put("".join(f"{line}\n" for line in lines))
    return sum(max(1, -(-width(line) // columns)) for line in lines) if columns else len(lines)
