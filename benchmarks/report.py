"""Figures of several rounds as tables: medians, their spread, and ratios to the Go peer and to our
previous release. `≈` beside a ratio: the two are within noise.
"""

from __future__ import annotations

import math
import re
import statistics
from collections.abc import Collection, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from tests.processes import ROOT

from benchmarks.figures import CORPUS, COSTS, ESCAPES, FIGURES, TABLES, Figure
from benchmarks.servers import GO, OURS, PREVIOUS

DOCUMENTS = (ROOT / "docs" / "performance.md", ROOT / "docs" / "benchmarks.md")
"""For users, and for developers."""

Samples = Mapping[str, Mapping[str, Sequence[float]]]
"""By server and figure: a value for each round."""

_BESIDE = frozenset({"paced.chat", "saturation.chat", "tools.chat"})
"""What a delta costs in Chat, for comparison."""

_KNOW_NOISE = 2
"""Rounds. One tells nothing of it."""

_GOAL = re.compile(r"([≤≥<]) ([\d.]+)( ×)?")


def tables(samples: Samples) -> dict[str, str]:
    """By name. Those without a single figure are left out."""
    measured = {key for key, _ in _measured(samples)}
    special = {"messages": _messages, "corpora": _corpora}
    made = {
        name: special[name](samples) if name in special else _medians(samples, keys)
        for name, keys in TABLES.items()
        if measured & keys.keys()
    }
    if measured & set(COSTS):
        made["costs"] = _medians(samples, COSTS, (OURS, GO))
    if samples.get(PREVIOUS):
        made["previous"] = _beside_previous(samples)
    return {**made, "spread": _spreads(samples)}


def place(tables: Mapping[str, str], documents: Iterable[Path] = DOCUMENTS) -> None:
    """Puts each table into the document that has it, between `<!-- table NAME -->` and the next
    `<!-- end -->`."""
    texts = {document: document.read_text() for document in documents}
    for name, table in tables.items():
        mark = f"<!-- table {name} -->\n"
        document = next((each for each, text in texts.items() if mark in text), None)
        if document is None:
            raise ValueError(f"no document has a place for the table {name!r}")
        before, _, rest = texts[document].partition(mark)
        texts[document] = f"{before}{mark}{table}\n<!-- end -->{rest.partition('<!-- end -->')[2]}"
    for document, text in texts.items():
        document.write_text(text)


def summary(samples: Samples) -> Any:
    """Medians and spread, for JSON."""

    def told(name: str, key: str, values: Sequence[float]) -> dict[str, float]:
        figures = {
            "median": statistics.median(values), "least": min(values), "most": max(values),
            "to_go": ratio(samples, name, key),
        }  # fmt: skip
        return {what: value for what, value in figures.items() if value is not None}

    return finite(
        {
            name: {key: told(name, key, values) for key, values in figures.items()}
            for name, figures in samples.items()
        }
    )


def finite(value: Any) -> Any:
    """For JSON, which has no infinity: what never came is null."""
    if isinstance(value, dict):
        return {name: finite(each) for name, each in value.items()}
    if isinstance(value, list):
        return [finite(each) for each in value]
    return None if value == math.inf else value


def ratio(samples: Samples, name: str, key: str) -> float | None:
    """The median, as a multiple of the Go peer's. None where one of them has no such figure."""
    return _times(samples.get(name, {}).get(key), _go(samples, key))


def _go(samples: Samples, key: str) -> Sequence[float] | None:
    return samples.get(GO, {}).get(FIGURES[key].beside or key)


def _times(one: Sequence[float] | None, other: Sequence[float] | None) -> float | None:
    if not one or not other or not statistics.median(other):
        return None
    times = statistics.median(one) / statistics.median(other)
    return times if math.isfinite(times) else None


def within_noise(one: Sequence[float], other: Sequence[float]) -> bool:
    """Whether the middle halves of the rounds of both overlap: then another run may well turn
    them round. After a single round there is no telling."""
    if min(len(one), len(other)) < _KNOW_NOISE:
        return False
    (low, _, high), (least, _, most) = (
        statistics.quantiles(each, n=4, method="inclusive") for each in (one, other)
    )
    return low <= most and least <= high


def _ratio_shown(one: Sequence[float] | None, other: Sequence[float] | None) -> str:
    times = _times(one, other)
    if times is None or not one or not other:
        return "–"
    return f"{times:.2f} ×{' ≈' if within_noise(one, other) else ''}"


def verdict(samples: Samples, key: str) -> str:
    """Whether our figure is as good as was promised."""
    have = reached(samples, key)
    return "" if have is None else "yes" if met(have, FIGURES[key].goal) else "**no**"


def reached(samples: Samples, key: str) -> float | None:
    """What the goal of a figure is of: our median, or its ratio to the Go peer's. None without a goal."""
    goal = _GOAL.match(FIGURES[key].goal)
    values = samples.get(OURS, {}).get(key)
    if goal is None or not values:
        return None
    return ratio(samples, OURS, key) if goal[3] else statistics.median(values)


def met(value: float, goal: str) -> bool:
    wanted = _GOAL.match(goal)
    if wanted is None:
        raise ValueError(f"no goal: {goal!r}")
    return value >= float(wanted[2]) if wanted[1] == "≥" else value <= float(wanted[2])


def _medians(
    samples: Samples, keys: Collection[str], servers: Collection[str] | None = None
) -> str:
    names = [name for name in _named(samples) if servers is None or name in servers]

    def line(key: str, figure: Figure) -> list[str]:
        shown = [_shown(samples[name].get(key), figure) for name in names]
        to_go = _ratio_shown(samples.get(OURS, {}).get(key), _go(samples, key))
        return [figure.title, *shown, to_go, figure.goal, verdict(samples, key)]

    rows = [line(key, figure) for key, figure in _measured(samples) if key in keys]
    return table(["", *names, f"{OURS} / {GO}", "goal", "met"], rows)


def _corpora(samples: Samples) -> str:
    """With what our escaped deltas reach of what plain ones do."""
    names = _named(samples)

    def line(key: str, figure: Figure) -> list[str]:
        share = f"{ESCAPES}{key.removeprefix(CORPUS)}"
        shown = [_shown(samples[name].get(key), figure) for name in names]
        to_go = _ratio_shown(samples.get(OURS, {}).get(key), _go(samples, key))
        if share not in FIGURES:
            return [figure.title, *shown, to_go, "", "", ""]
        of_plain = _shown(samples.get(OURS, {}).get(share), FIGURES[share])
        return [figure.title, *shown, to_go, of_plain, FIGURES[share].goal, verdict(samples, share)]

    rows = [line(key, figure) for key, figure in _measured(samples) if key.startswith(CORPUS)]
    return table(["", *names, f"{OURS} / {GO}", "of plain", "goal", "met"], rows)


def _beside_previous(samples: Samples) -> str:
    """Ours, old and new."""
    old, new = samples[PREVIOUS], samples.get(OURS, {})
    rows = [
        [
            figure.title,
            *(_shown(each[key], figure) for each in (old, new)),
            _ratio_shown(new[key], old[key]),
            _change(new[key], old[key], figure),
        ]
        for key, figure in _measured(samples)
        if key in old and key in new
    ]
    return table(["", PREVIOUS, OURS, f"{OURS} / {PREVIOUS}", ""], rows)


def _change(new: Sequence[float], old: Sequence[float], figure: Figure) -> str:
    after, before = statistics.median(new), statistics.median(old)
    if after == before:
        return ""
    if min(len(new), len(old)) < _KNOW_NOISE:
        return "one round"
    if within_noise(new, old):
        return "within noise"
    return "better" if (after > before) == figure.more else "**worse**"


def _messages(samples: Samples) -> str:
    """Without a ratio: the Go peer lacks the dialect. Chat's rows are there for comparison."""
    names, dialect = _named(samples), TABLES["messages"]
    rows = [
        [
            figure.title,
            *(_shown(samples[name].get(key), figure) for name in names),
            *((figure.goal, verdict(samples, key)) if key in dialect else ("", "")),
        ]
        for key, figure in _measured(samples)
        if key in dialect.keys() | _BESIDE
    ]
    return table(["", *names, "goal", "met"], rows)


def _spreads(samples: Samples) -> str:
    """The least and the most of all rounds."""
    names = _named(samples)

    def spread(values: Sequence[float] | None, figure: Figure) -> str:
        if not values:
            return "–"
        return f"{_number(min(values), figure)} … {_number(max(values), figure)}"

    rows = [
        [figure.title, *(spread(samples[name].get(key), figure) for name in names)]
        for key, figure in _measured(samples)
    ]
    return table(["least … most", *names], rows)


def _named(samples: Samples) -> list[str]:
    return [name for name in samples if samples[name]]


def _measured(samples: Samples) -> list[tuple[str, Figure]]:
    keys = {key for figures in samples.values() for key in figures}
    return [(key, figure) for key, figure in FIGURES.items() if key in keys]


def _shown(values: Sequence[float] | None, figure: Figure) -> str:
    return _number(statistics.median(values), figure) if values else "–"


def _number(value: float, figure: Figure) -> str:
    return f"{value:,.{figure.digits}f}" if math.isfinite(value) else "never"


def table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)
