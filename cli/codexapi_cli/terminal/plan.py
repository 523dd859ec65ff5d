"""Formats the usage of the plan for a person."""

from __future__ import annotations

import time
from collections.abc import Iterator
from datetime import datetime

from codexapi_engine.errors import JsonObject, duration
from codexapi_engine.protocol.shapes import get_dict, get_list, get_str

BAR, _LEAST = 24, 8
"""Characters of a bar: where there is room, and where there is none."""

_WIDTH = 15


def lines(limits: JsonObject, *, letters: bool = False, columns: int = 0) -> Iterator[str]:
    """A line for each window: its bar (of `letters` where the terminal has no others), how much
    is used, and when it begins anew. The bars are shorter where the terminal has few columns."""
    rows = [*_rows(limits, "")]
    for more in get_list(limits, "additional"):
        rows += _rows(more, get_str(more, "name"))
    longest = max((len(text) for _, used, text in rows if used is not None), default=0)
    size = min(BAR, max(columns - _WIDTH - longest - 4, _LEAST)) if columns else BAR
    for name, used, text in rows:
        bar = "" if used is None else f"{_bar(used, size, letters)}  "
        yield f"{name:>{_WIDTH}}  {bar}{text}"
    credits = get_dict(limits, "credits")  # noqa: A001  (the wire's word)
    if credits.get("unlimited"):
        yield f"{'credits':>{_WIDTH}}  unlimited"
    elif credits.get("has_credits"):
        yield f"{'credits':>{_WIDTH}}  {credits.get('balance') or 'some'}"


def local(epoch: float) -> str:
    """A moment as a person reads it: today's without the date."""
    try:
        when = datetime.fromtimestamp(epoch)
    except (ValueError, OverflowError, OSError):  # OSError: Windows, before 1970
        return "a time that no calendar has"
    today = datetime.fromtimestamp(time.time()).date()
    return f"{when:%H:%M}" if when.date() == today else f"{when:%a %d %b %H:%M}"


def length(minutes: int) -> str:
    """How long a window is, as its name: `5-hour`, `7-day`."""
    hours = round(minutes / 60)
    return f"{hours}-hour" if hours < 48 else f"{round(hours / 24)}-day"


def _rows(limits: JsonObject, name: str) -> Iterator[tuple[str, float | None, str]]:
    """The name of each window, how much of it is used (None: no bar), and the words after that."""
    for window in (get_dict(limits, "primary"), get_dict(limits, "secondary")):
        if not window:
            continue
        used, minutes, resets = (
            window[key] for key in ("used_percent", "window_minutes", "resets_at")
        )
        text = f"{used:3.0f} % used"
        if resets:
            text += f", resets {local(resets)} (in {duration(resets - time.time())})"
        label = f"{length(minutes) if minutes else '?'} window"
        yield label, used, f"{text}  ({name})" if name else text
    if limits.get("limit_reached"):
        yield "", None, "the limit is reached"


def _bar(used: float, size: int, letters: bool) -> str:
    full, rest = ("#", "-") if letters else ("█", "░")
    filled = max(round(min(max(used, 0), 100) * size / 100), int(used > 0))
    return f"{full * filled}{rest * (size - filled)}"
