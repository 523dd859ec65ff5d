"""Formats the usage of the plan for a person."""

from __future__ import annotations

import time
from collections.abc import Iterator
from datetime import datetime

from codexapi_engine.errors import JsonObject, duration
from codexapi_engine.protocol.shapes import get_dict, get_list, get_str

BAR = 24
"""Characters of a bar."""

_WIDTH = 15


def lines(limits: JsonObject, *, letters: bool = False) -> Iterator[str]:
    """A line for each window: its bar (of `letters` where the terminal has no others), how much
    is used, and when it begins anew."""
    yield from _windows(limits, "", letters)
    for more in get_list(limits, "additional"):
        yield from _windows(more, get_str(more, "name"), letters)
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


def _windows(limits: JsonObject, name: str, letters: bool) -> Iterator[str]:
    for window in (get_dict(limits, "primary"), get_dict(limits, "secondary")):
        if window:
            yield _window(window, letters) + (f"  ({name})" if name else "")
    if limits.get("limit_reached"):
        yield f"{'':>{_WIDTH}}  the limit is reached"


def _window(window: JsonObject, letters: bool) -> str:
    used, minutes, resets = window["used_percent"], window["window_minutes"], window["resets_at"]
    name = f"{length(minutes) if minutes else '?'} window"
    full, rest = ("#", "-") if letters else ("█", "░")
    filled = round(min(max(used, 0), 100) * BAR / 100)
    line = f"{name:>{_WIDTH}}  {full * filled}{rest * (BAR - filled)}  {used:3.0f} % used"
    if not resets:
        return line
    return f"{line}, resets {local(resets)} (in {duration(resets - time.time())})"
