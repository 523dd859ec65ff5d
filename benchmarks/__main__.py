"""What codexapi costs beside its peers: `python -m benchmarks [--rounds N] [--quick] [--json FILE]`.

One machine with two cores, Linux: the server that is measured has one of them, this client and the
fake backend have the other. In each round every server is started anew, and each row is measured
on all of them one after another, in another order each round; so only ratios within a run mean
anything. `python -m benchmarks.peers` installs the peers.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import signal
import sys
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path

from tests.processes import ROOT

from benchmarks import plot, report, rows, servers
from benchmarks.driver import Failed
from benchmarks.rows import Bench, Measure, Sizes
from benchmarks.servers import Server
from codexapi_cli.terminal.output import Terminated
from codexapi_cli.terminal.runner import Runner

DOCS = ROOT / "docs"
_SECONDS = 30.0
"""A measure that takes longer has failed."""

_TRIES = 3
"""A port that was free may be taken by the time that a server binds it."""


def main() -> None:
    options = _options().parse_args()
    try:
        _measure_all(options)
    except KeyboardInterrupt:
        sys.exit(128 + signal.SIGINT)
    except Terminated as ended:
        sys.exit(ended.exit_code)


def _measure_all(options: argparse.Namespace) -> None:
    """A signal ends it as anything else does: what was started is ended on the way out."""
    sizes = rows.TINY if options.tiny else rows.QUICK if options.quick else Sizes()
    with Runner() as runner, ExitStack() as stack:
        stack.enter_context(servers.on_core(servers.DRIVER_CORE))
        bench = Bench(stack.enter_context(servers.backend()), sizes)
        run = Run(bench, options.servers, options.only)
        for number in range(options.rounds):
            runner.run(run.round(number))
    tables = report.tables(run.samples)
    print("\n\n".join(tables.values()))
    if options.json:
        told = {
            "figures": report.summary(run.samples),
            "rounds": report.finite(run.samples),
            "faults": run.faults,
        }
        options.json.write_text(json.dumps(told, indent=1, allow_nan=False))
    if options.docs is not None:
        chosen = options.docs or tables
        report.place(DOCS / "performance.md", {name: tables[name] for name in chosen})
    if options.plot or options.docs == []:
        plot.draw(run.samples, options.plot or DOCS / "performance.png")
    for what, why in run.faults.items():
        print(f"\n{what}: {why}")


def _options() -> argparse.ArgumentParser:
    options = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    names = list(servers.SERVERS)
    options.add_argument("--rounds", type=int, default=5)
    options.add_argument("--servers", nargs="+", choices=names, default=names)
    options.add_argument(
        "--only", nargs="+", default=[""], help="measures whose name has one of these in it"
    )
    options.add_argument("--quick", action="store_true", help="fewer samples")
    options.add_argument("--tiny", action="store_true", help="so few that they mean nothing")
    options.add_argument("--json", type=Path)
    options.add_argument("--plot", type=Path, help="a PNG; needs benchmarks/requirements.txt")
    options.add_argument(
        "--docs",
        nargs="*",
        metavar="TABLE",
        help="write these tables to docs/; without a name, all of them and the picture",
    )
    return options


class Run:
    """Some rounds: their figures, by server, and what went wrong."""

    def __init__(self, bench: Bench, names: Sequence[str], only: Sequence[str]) -> None:
        self._bench = bench
        self._only = only
        self.samples: dict[str, dict[str, list[float]]] = {name: {} for name in names}
        self.faults: dict[str, str] = {}

    async def round(self, number: int) -> None:
        with ExitStack() as stack:
            running = []
            for name in self.samples:
                own = stack.enter_context(ExitStack())
                if server := self._start(own, name):
                    running.append((own, server))
                    # At once: a start lasts until the first answer.
                    await self._measure(server, rows.started, ("chat", "responses"))
            for measure, roads in rows.MEASURES:
                if number and measure in rows.ONCE:
                    continue
                if not any(word in measure.__name__ for word in self._only):
                    continue
                print(f"round {number + 1}: {measure.__name__} {roads[0]}", file=sys.stderr)
                for turn in range(len(running)):
                    place = (turn + number) % len(running)
                    own, server = running[place]
                    if not await self._measure(server, measure, roads):
                        own.close()  # it may be at work on that for long
                        running[place] = own, self._start(own, server.name) or server

    def _start(self, stack: ExitStack, name: str) -> Server | None:
        for _ in range(_TRIES):
            made = servers.running(name, servers.SERVERS[name], self._bench.backend)
            try:
                return stack.enter_context(made)
            except Failed as error:
                fault = str(error)
        self.faults[name] = fault
        return None

    async def _measure(self, server: Server, measure: Measure, roads: Sequence[str]) -> bool:
        """On the first of the roads that the server has. False where it has failed."""
        road = next((road for road in roads if road in server.roads), None)
        if road is None:
            return True
        await self._bench.open_streams(within=15)  # what the last one has left behind
        try:
            async with asyncio.timeout(_SECONDS):
                figures = await measure(server, road, self._bench)
        except (Failed, OSError) as error:
            what = f"{server.name}, {measure.__name__} {road}"
            self.faults[what] = str(error) or f"not done after {_SECONDS:g} s"
            return False
        for key, value in figures.items():
            self.samples[server.name].setdefault(key, []).append(value)
        return True


if __name__ == "__main__":
    main()
