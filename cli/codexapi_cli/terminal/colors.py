"""Whether to write colours and the like. Loaded by each help, and so it loads nothing else."""

from __future__ import annotations

import os

TYPE_CHECKING = False  # `typing` takes longer than all else here
if TYPE_CHECKING:
    from collections.abc import Mapping


def colourful(terminal: bool, environ: Mapping[str, str] = os.environ) -> bool:
    """Whether to write more than plain letters, to a terminal or what is none."""
    if environ.get("NO_COLOR") or environ.get("FORCE_COLOR"):
        return not environ.get("NO_COLOR")
    return terminal and environ.get("TERM") != "dumb"
