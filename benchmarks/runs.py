"""What was promised, in each run that is kept: `python -m benchmarks.runs [NAME --run FILE --startup FILE]`.

With a name, what `python -m benchmarks --json` and `python -m benchmarks.startup --json` wrote is
kept as `benchmarks/runs/NAME.json`: the figures that have a goal, and no others. Always, the table of
all kept runs is written to `docs/benchmarks.md`.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from benchmarks import report, startup
from benchmarks.figures import FIGURES

FOLDER = Path(__file__).parent / "runs"


class Run(NamedTuple):
    """`figures`: by key of `FIGURES` or pair of `startup.PAIRS`, what its goal is of: a ratio or a value."""

    date: str
    python: str  # its version, and `static` or `shared`
    where: str  # which machine it was
    figures: Mapping[str, float]


def main() -> None:
    options = argparse.ArgumentParser(prog="python -m benchmarks.runs", description=__doc__)
    options.add_argument("name", nargs="?", help="of a run that is to be kept")
    options.add_argument("--run", type=Path, metavar="FILE")
    options.add_argument("--startup", type=Path, metavar="FILE")
    options.add_argument("--where", default="", help="which machine it was")
    given = options.parse_args()
    if given.name:
        if given.run is None or given.startup is None:
            options.error("a run that is to be kept needs --run FILE and --startup FILE")
        run = keep(given.run, given.startup, given.where)
        (FOLDER / f"{given.name}.json").write_text(json.dumps(run._asdict(), indent=1) + "\n")
    report.place({"runs": table(kept())})


def keep(run: Path, times: Path, where: str) -> Run:
    found = json.loads(run.read_text())
    figures = {**_reached(found["rounds"]), **_started(json.loads(times.read_text()))}
    return Run(found["machine"]["date"], found["machine"]["python"], where, figures)


def kept() -> list[Run]:
    """In the order of their names."""
    return [Run(**json.loads(file.read_text())) for file in sorted(FOLDER.glob("*.json"))]


def table(runs: Sequence[Run]) -> str:
    """A row for each goal that some run missed, a column for each run; and how many goals none missed."""
    goals = {key: (figure.title, figure.goal) for key, figure in FIGURES.items()}
    pairs = {name: (name, goal) for name, goal in startup.goals().items()}
    rows, never = [], 0
    for key, (title, goal) in {**goals, **pairs}.items():
        values = [run.figures.get(key) for run in runs]
        if any(value is not None and not report.met(value, goal) for value in values):
            rows.append([title, goal, *(_shown(value, goal) for value in values)])
        elif any(value is not None for value in values):
            never += 1
    heads = (f"{run.date}, {run.where}: {run.python}" for run in runs)
    missed = report.table(["", "goal", *heads], rows)
    return f"{missed}\n\nThe other {never} goals were met by every run."


def _reached(samples: report.Samples) -> dict[str, float]:
    found = {key: report.reached(samples, key) for key in FIGURES}
    return {key: round(value, 3) for key, value in found.items() if value is not None}


def _started(times: Mapping[str, Sequence[float]]) -> dict[str, float]:
    goals = startup.goals()
    return {name: round(ratio, 3) for name, ratio in startup.ratios(times).items() if name in goals}


def _shown(value: float | None, goal: str) -> str:
    if value is None:
        return "–"
    text = f"{value:.3g}"
    return text if report.met(value, goal) else f"**{text}**"


if __name__ == "__main__":
    main()
