"""Reads the usage limits of the plan, from response headers and from the usage endpoint."""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from math import isfinite
from typing import NamedTuple

from ..errors import JsonObject
from .shapes import get_dict, get_int, get_list, get_str

WHOLE = 100
"""The precision of a window: percent points of the plan's window."""

ALIKE = 32
"""Parsed limits are cached for so many answers: most repeat those of the one before."""


class Window(NamedTuple):
    """One window of the plan: the 5-hour one, the weekly one, or another."""

    used_percent: float
    minutes: int | None  # the window's length; 299 and 10079 are seen beside 300 and 10080
    resets_at: int | None  # epoch seconds
    resets_in: int | None  # seconds, where known


class Credits(NamedTuple):
    """What can be used beyond the windows."""

    has: bool
    unlimited: bool
    balance: str | None  # as the backend writes it


class Limits(NamedTuple):
    """The plan's limits as the backend reports them. None stands for a missing value."""

    plan: str | None
    primary: Window | None
    secondary: Window | None
    reached: bool = False
    credits: Credits | None = None
    additional: tuple[tuple[str, Limits], ...] = ()  # limits of their own, by name
    reset_credits: int | None = None  # how many resets of a window the account has left

    def as_json(self) -> JsonObject:
        fields: JsonObject = {"plan": self.plan, **self._windows_json()}
        if self.credits is not None:
            fields["credits"] = {
                "has_credits": self.credits.has,
                "unlimited": self.credits.unlimited,
                "balance": self.credits.balance,
            }
        if self.reset_credits is not None:
            fields["reset_credits"] = {"available": self.reset_credits}
        if self.additional:
            fields["additional"] = [
                {"name": name, **limits._windows_json()} for name, limits in self.additional
            ]
        return fields

    @lru_cache(ALIKE)  # noqa: B019  (they are small, and few)
    def as_headers(self) -> Mapping[str, str]:
        """The windows in the headers that OpenAI's clients know: the primary one under `requests`,
        the secondary one under `tokens`, in percent points."""
        headers: dict[str, str] = {}
        for kind, window in (("requests", self.primary), ("tokens", self.secondary)):
            if window is not None:
                headers[f"x-ratelimit-limit-{kind}"] = str(WHOLE)
                left = min(WHOLE, max(0, WHOLE - int(window.used_percent)))
                headers[f"x-ratelimit-remaining-{kind}"] = str(left)
                if window.resets_in is not None:
                    headers[f"x-ratelimit-reset-{kind}"] = compact(window.resets_in)
        return headers

    def _windows_json(self) -> JsonObject:
        windows = {"primary": self.primary, "secondary": self.secondary}
        shown = {name: window and _window_json(window) for name, window in windows.items()}
        return {"limit_reached": self.reached, **shown}


UNTOLD = Limits(None, None, None)


def from_headers(headers: Mapping[str, str]) -> Limits:
    """The limits in `x-codex-*` headers (`tests/wires/headers.json`)."""
    return _from_fields(*map(headers.get, _HEADERS))


@lru_cache(ALIKE)
def _from_fields(plan: str | None, reached: str | None, *windows: str | None) -> Limits:
    primary, secondary = _window(*windows[:4]), _window(*windows[4:])
    return Limits(plan, primary, secondary, reached is not None)


def from_usage(usage: JsonObject) -> Limits:
    """The limits in the usage endpoint's answer (`tests/wires/usage.json`). Any member may be null
    or absent."""
    credits = get_dict(usage, "credits")  # noqa: A001  (the wire's word)
    return _of(get_dict(usage, "rate_limit"))._replace(
        plan=get_str(usage, "plan_type") or None,
        credits=_credits(credits) if credits else None,
        reset_credits=get_int(get_dict(usage, "rate_limit_reset_credits"), "available_count"),
        additional=tuple(
            (get_str(limit, "limit_name"), _of(get_dict(limit, "rate_limit")))
            for limit in get_list(usage, "additional_rate_limits")
        ),
    )


def compact(seconds: int) -> str:
    """Seconds as the `x-ratelimit-reset-*` headers have them: `27m17s`, `46h29m24s`."""
    whole = max(0, seconds)
    hours, minutes = whole // 3600, whole % 3600 // 60
    head = f"{hours}h{minutes}m" if hours else f"{minutes}m" if minutes else ""
    return f"{head}{whole % 60}s"


def _of(limit: JsonObject) -> Limits:
    """The limits in one `rate_limit` object."""

    def window(name: str) -> Window | None:
        fields = get_dict(limit, f"{name}_window")
        seconds = _int(fields.get("limit_window_seconds"))
        minutes = seconds // 60 if seconds is not None else None
        moment, after = fields.get("reset_at"), fields.get("reset_after_seconds")
        return _window(fields.get("used_percent"), minutes, moment, after)

    return Limits(None, window("primary"), window("secondary"), bool(limit.get("limit_reached")))


_HEADERS = (
    "x-codex-plan-type",
    "x-codex-rate-limit-reached-type",
    *(
        f"x-codex-{window}-{field}"
        for window in ("primary", "secondary")
        for field in ("used-percent", "window-minutes", "reset-at", "reset-after-seconds")
    ),
)
"""As `_from_fields` takes their values."""


def _window(used: object, minutes: object, resets_at: object, resets_in: object) -> Window | None:
    percent = _float(used)
    if percent is None:
        return None
    return Window(percent, _int(minutes), _moment(resets_at), _int(resets_in))


def _credits(fields: JsonObject) -> Credits:
    return Credits(
        bool(fields.get("has_credits")),
        bool(fields.get("unlimited")),
        get_str(fields, "balance") or None,
    )


def _window_json(window: Window) -> JsonObject:
    return {
        "used_percent": window.used_percent,
        "window_minutes": window.minutes,
        "resets_at": window.resets_at,
        "resets_in_seconds": window.resets_in,
    }


def _float(value: object) -> float | None:
    if not isinstance(value, _NUMBERS):
        return None
    try:
        number = float(value)
    except (ValueError, OverflowError):
        return None
    return number if isfinite(number) else None


def _int(value: object) -> int | None:
    number = _float(value)
    return int(number) if number is not None else None


def _moment(value: object) -> int | None:
    """Epoch seconds of a year that a calendar has, in any zone."""
    moment = _int(value)
    return moment if moment is not None and 0 < moment < _YEAR_9999 else None


_NUMBERS = (str, int, float)
_YEAR_9999 = 253_370_764_800
