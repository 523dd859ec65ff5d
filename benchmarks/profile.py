"""Where our own time goes: `python -m benchmarks.profile [ROAD] [--deltas N] [--requests N]`.

Calls that each request makes, by package, from the standard profiler: counted and not timed, so the
same on any machine, however busy it is. Of two runs, one of twice as many requests, so that what
the start costs falls out. The share of the time is the longer run's, with its start.
"""

from __future__ import annotations

import argparse
import asyncio
import pstats
import re
from collections import Counter
from pathlib import Path
from tempfile import TemporaryDirectory

from benchmarks import report, servers
from benchmarks.plays import Play
from benchmarks.servers import OURS, SERVERS, Place, Start
from benchmarks.short import loop

CONNECTIONS = 8
SHOWN = 18
_PACKAGE = re.compile(
    r"site-packages/(\w+)|python3\.\d+/(?!site-packages)(\w+)|/(codexapi_\w+/(?:protocol/)?\w+)"
)

Cost = Counter[str]
"""By package."""


def main() -> None:
    options = argparse.ArgumentParser(prog="python -m benchmarks.profile", description=__doc__)
    options.add_argument("road", nargs="?", default="chat", choices=["responses", "chat", "whole"])
    options.add_argument("--deltas", type=int, default=20, help="of each answer")
    options.add_argument("--requests", type=int, default=400)
    given = options.parse_args()
    play, count = Play("text", given.deltas), -(-given.requests // CONNECTIONS) * CONNECTIONS
    fewer, _ = _profiled(given.road, play, count)
    calls, seconds = _profiled(given.road, play, 2 * count)
    calls.subtract(fewer)
    rows = [["all", f"{calls.total() / count:,.0f}", ""]]
    rows += [
        [package, f"{called / count:,.0f}", f"{100 * seconds[package] / seconds.total():.1f} %"]
        for package, called in calls.most_common(SHOWN)
    ]
    head = [f"{given.road}, {given.deltas} deltas", "calls a request", "of the time"]
    print(report.table(head, rows))


def _profiled(road: str, play: Play, count: int) -> tuple[Cost, Cost]:
    """Calls and seconds."""
    with TemporaryDirectory() as scratch:
        path = Path(scratch) / "profile"

        def start(place: Place) -> Start:
            made = SERVERS[OURS](place)
            assert made is not None
            interpreter, *arguments = made.command
            return Start([interpreter, "-m", "cProfile", "-o", path, *arguments], made.env)

        with servers.on_core(servers.DRIVER_CORE), servers.backends() as backend:
            with servers.running(OURS, start, backend) as server:
                assert server is not None
                asyncio.run(loop(server, road, play, CONNECTIONS, count))
        return _costs(pstats.Stats(str(path)))


def _costs(stats: pstats.Stats) -> tuple[Cost, Cost]:
    calls, seconds = Cost(), Cost()
    # (file, line, function): (calls, all calls, seconds, seconds with callees, the same by caller)
    for (file, _, _), (_, count, own, _, callers) in stats.stats.items():  # type: ignore[attr-defined]
        if file != "~":
            calls[_package(file)] += count
            seconds[_package(file)] += own
            continue
        for (caller, _, _), (_, count, own, _) in callers.items():  # a builtin is its caller's
            calls[_package(caller)] += count
            seconds[_package(caller)] += own
    return calls, seconds


def _package(file: str) -> str:
    found = _PACKAGE.search(file)
    return next(filter(None, found.groups())) if found else file


if __name__ == "__main__":
    main()
