"""How much of the plan is used: from the headers of any answer, and from the usage endpoint."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from ..errors import JsonObject
from .shapes import inner, word


@dataclass(frozen=True, slots=True)
class Window:
    """One window of the plan: the 5-hour one, the weekly one, or another."""

    used_percent: float
    minutes: int | None  # the window's length; 299 and 10079 are seen beside 300 and 10080
    resets_at: int | None  # epoch seconds
    resets_in: int | None  # seconds, when told


@dataclass(frozen=True, slots=True)
class Limits:
    """What the backend told of the plan. None stands for what it did not tell."""

    plan: str | None
    primary: Window | None
    secondary: Window | None
    reached: bool = False

    def as_json(self) -> JsonObject:
        windows = {"primary": self.primary, "secondary": self.secondary}
        return {
            "plan": self.plan,
            "limit_reached": self.reached,
            **{name: window and _window_json(window) for name, window in windows.items()},
        }


def from_headers(headers: Mapping[str, str]) -> Limits:
    """The limits in `x-codex-*` headers (backend.md E.2)."""

    def window(name: str) -> Window | None:
        used = _float(headers.get(f"x-codex-{name}-used-percent"))
        if used is None:
            return None
        return Window(
            used,
            _int(headers.get(f"x-codex-{name}-window-minutes")),
            _int(headers.get(f"x-codex-{name}-reset-at")),
            _int(headers.get(f"x-codex-{name}-reset-after-seconds")),
        )

    return Limits(
        headers.get("x-codex-plan-type"),
        window("primary"),
        window("secondary"),
        "x-codex-rate-limit-reached-type" in headers,
    )


def from_usage(usage: JsonObject) -> Limits:
    """The limits in the usage endpoint's answer (backend.md G). Any member may be null or absent."""
    limit = inner(usage, "rate_limit")

    def window(name: str) -> Window | None:
        told = inner(limit, f"{name}_window")
        used = _float(told.get("used_percent"))
        if used is None:
            return None
        seconds = _int(told.get("limit_window_seconds"))
        return Window(
            used,
            seconds // 60 if seconds is not None else None,
            _int(told.get("reset_at")),
            _int(told.get("reset_after_seconds")),
        )

    return Limits(
        word(usage, "plan_type") or None,
        window("primary"),
        window("secondary"),
        bool(limit.get("limit_reached")),
    )


def _window_json(window: Window) -> JsonObject:
    return {
        "used_percent": window.used_percent,
        "window_minutes": window.minutes,
        "resets_at": window.resets_at,
        "resets_in_seconds": window.resets_in,
    }


def _float(value: object) -> float | None:
    try:
        number = float(value) if isinstance(value, str | int | float) else None
    except (ValueError, OverflowError):
        return None
    return number if number is not None and abs(number) < float("inf") else None


def _int(value: object) -> int | None:
    number = _float(value)
    return int(number) if number is not None else None
