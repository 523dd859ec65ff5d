"""The picture of a run: how many times better than the Go peer each server is, row by row."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from importlib import import_module
from pathlib import Path
from typing import Any

from benchmarks.figures import FIGURES, TABLES
from benchmarks.report import ratio
from benchmarks.servers import GO, OURS

_DRAWN = ("peers", "tls")
_MARKS = {OURS: ("o", "#0b7a75"), "nginx": ("|", "#888888")}
_OTHER = (("s", "#d1495b"), ("^", "#edae49"), ("v", "#66a182"), ("D", "#8d6a9f"))


def draw(samples: Mapping[str, Mapping[str, Sequence[float]]], path: Path) -> None:
    import_module("matplotlib").use("Agg")  # by name: type checkers need not have it
    pyplot: Any = import_module("matplotlib.pyplot")
    keys = [key for name in _DRAWN for key in TABLES[name] if better(samples, OURS, key)]
    picture, axes = pyplot.subplots(figsize=(9, 0.34 * len(keys) + 1.6), layout="constrained")
    others = iter(_OTHER)
    for name in samples:
        if name == GO or not samples[name]:
            continue
        mark, colour = _MARKS.get(name) or next(others)
        points = [
            (times, -row) for row, key in enumerate(keys) if (times := better(samples, name, key))
        ]
        axes.scatter(*zip(*points, strict=True), marker=mark, color=colour, label=name, zorder=3)
    axes.axvline(1, color="black", linewidth=1, label=GO)
    axes.set_xscale("log")
    axes.set_ylim(0.6 - len(keys), 0.6)
    axes.set_yticks([-row for row in range(len(keys))], [FIGURES[key].title for key in keys])
    axes.set_xlabel(f"times better than {GO} →")
    axes.grid(axis="x", alpha=0.3)
    axes.legend(loc="best", fontsize="small")
    picture.savefig(path, dpi=110)


def better(
    samples: Mapping[str, Mapping[str, Sequence[float]]], name: str, key: str
) -> float | None:
    """How many times better than the Go peer; None where that has no meaning."""
    times = ratio(samples, name, key)
    if times is None or times <= 0:
        return None
    return times if FIGURES[key].more else 1 / times
