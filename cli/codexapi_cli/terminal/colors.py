"""Whether to write colours and the like. Loaded by each help, so it loads next to nothing."""

from __future__ import annotations

import os

from ..global_options import global_options

TYPE_CHECKING = False  # `typing` takes longer than all else here
if TYPE_CHECKING:
    from collections.abc import Mapping


def colourful(terminal: bool, environ: Mapping[str, str] = os.environ) -> bool:
    """Whether to write more than plain letters; `terminal`: whether they go to one."""
    if (color := global_options().color) is not None:
        return color
    if environ.get("NO_COLOR") or environ.get("FORCE_COLOR"):
        return not environ.get("NO_COLOR")
    return terminal and environ.get("TERM") != "dumb"
