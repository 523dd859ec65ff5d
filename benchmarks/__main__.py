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
import os
import signal
import sys
import time
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path

from tests.processes import ROOT

from benchmarks import plot, report, rows, servers, sizes
from benchmarks.driver import Failed, check, one, request
from benchmarks.figures import TLS
from benchmarks.servers import OURS, PREVIOUS, Backend, Maker, Server
from benchmarks.short import started
from benchmarks.sizes import SHORT, Bench, Measure, Sizes
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
    with Runner() as runner, ExitStack() as stack:
        stack.enter_context(servers.on_core(servers.DRIVER_CORE))
        backend = stack.enter_context(servers.backends())
        bench = Bench(backend.port, _sizes(options), options.python)
        run = Run(bench, backend, _makers(options), options.only)
        for number in range(options.rounds):
            runner.run(run.round(number))
    _write(options, run)


def _sizes(options: argparse.Namespace) -> Sizes:
    return sizes.TINY if options.tiny else sizes.QUICK if options.quick else Sizes()


def _makers(options: argparse.Namespace) -> dict[str, Maker]:
    """How each server is started, by name; our previous release right after ours."""
    ours = {OURS: servers.codexapi_of(options.python)}
    if options.previous:
        ours[PREVIOUS] = servers.codexapi_of(options.python, options.previous)
    others = {name: make for name, make in servers.SERVERS.items() if name != OURS}
    return {
        name: make
        for name, make in {**ours, **others}.items()
        if name in options.servers or name == PREVIOUS
    }


def _write(options: argparse.Namespace, run: Run) -> None:
    machine = {
        "date": time.strftime("%Y-%m-%d"), "python": servers.build(options.python),
        "cores": os.cpu_count(), "load": Path("/proc/loadavg").read_text().split()[0],
    }  # fmt: skip
    tables = {"machine": _described(machine), **report.tables(run.samples)}
    print("\n\n".join(tables.values()))
    if options.json:
        found = {
            "machine": machine,
            "figures": report.summary(run.samples),
            "rounds": report.finite(run.samples),
            "faults": run.faults,
        }
        options.json.write_text(json.dumps(found, indent=1, allow_nan=False))
    if options.docs is not None:
        chosen = {name: made for name, made in tables.items() if name in (options.docs or tables)}
        report.place(chosen)
    if options.plot or options.docs == []:
        plot.draw(run.samples, options.plot or DOCS / "performance.png")
    for what, why in run.faults.items():
        print(f"\n{what}: {why}")


def _described(machine: Mapping[str, object]) -> str:
    return (
        f"Measured on {machine['date']} by Python {machine['python']}, on {machine['cores']} cores, "
        f"load average at the end: {machine['load']}."
    )


def _options() -> argparse.ArgumentParser:
    options = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    names = list(servers.SERVERS)
    options.add_argument("--rounds", type=int, default=5)
    options.add_argument("--servers", nargs="+", choices=names, default=names)
    options.add_argument(
        "--only",
        nargs="+",
        default=[""],
        help="measures whose name has one of these in it; those over TLS begin with `tls.`",
    )
    options.add_argument(
        "--previous",
        type=Path,
        metavar="DIR",
        help="a checkout or an unpacked release of codexapi, which is measured beside this one",
    )
    options.add_argument(
        "--python",
        default=sys.executable,
        metavar="PATH",
        help="the interpreter of our servers; by default, this one",
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


async def reach(server: Server, road: str, bench: Bench) -> dict[str, float]:
    """Whether a server reaches the backend at all: one that does not is left out."""
    check(await one(server.port, request(road, SHORT)), SHORT)
    return {}


class Run:
    """Some rounds: their figures, by server, and what went wrong."""

    def __init__(
        self, bench: Bench, backend: Backend, makers: Mapping[str, Maker], only: Sequence[str]
    ) -> None:
        self._bench = bench
        self._backend = backend
        self._makers = makers
        self._only = only
        self.samples: dict[str, dict[str, list[float]]] = {name: {} for name in makers}
        self.faults: dict[str, str] = {}

    async def round(self, number: int) -> None:
        """Every server before the plain backend; then anew before the one over TLS."""
        await self._all(number, rows.MEASURES, started, "")
        if chosen := [row for row in rows.SECURE if self._chosen(row[0], TLS)]:
            await self._all(number, chosen, reach, TLS)

    async def _all(
        self, number: int, measures: Sequence[rows.Row], opening: Measure, before: str
    ) -> None:
        with ExitStack() as stack:
            running = []
            for name in self.samples:
                own = stack.enter_context(ExitStack())
                # At once: a start lasts until the first answer.
                if (server := self._start(own, name, before)) and (
                    await self._measure(server, opening, ("chat", "responses", "messages"), before)
                    or opening is not reach
                ):
                    running.append((own, server))
            for measure, roads in measures:
                if not self._chosen(measure, before):
                    continue
                print(f"round {number + 1}: {before}{measure.__name__} {roads[0]}", file=sys.stderr)
                for turn in range(len(running)):
                    place = (turn + number) % len(running)
                    own, server = running[place]
                    if not await self._measure(server, measure, roads, before):
                        own.close()  # it may be at work on that for long
                        running[place] = own, self._start(own, server.name, before) or server

    def _chosen(self, measure: Measure, before: str) -> bool:
        return any(word in f"{before}{measure.__name__}" for word in self._only)

    def _start(self, stack: ExitStack, name: str, before: str) -> Server | None:
        fault = ""
        for _ in range(_TRIES):
            made = servers.running(name, self._makers[name], self._backend, secure=before == TLS)
            try:
                return stack.enter_context(made)
            except Failed as error:
                fault = str(error)
        self.faults[f"{before}{name}"] = fault
        return None

    async def _measure(
        self, server: Server, measure: Measure, roads: Sequence[str], before: str
    ) -> bool:
        """On the first of the roads that the server has. False where it has failed."""
        road = next((road for road in roads if road in server.roads), None)
        if road is None:
            return True
        await self._bench.open_streams(within=15)  # what the last one has left behind
        try:
            async with asyncio.timeout(_SECONDS):
                figures = await measure(server, road, self._bench)
        except (Failed, OSError) as error:
            what = f"{server.name}, {before}{measure.__name__} {road}"
            self.faults[what] = str(error) or f"not done after {_SECONDS:g} s"
            return False
        for key, value in figures.items():
            self.samples[server.name].setdefault(f"{before}{key}", []).append(value)
        return True


if __name__ == "__main__":
    main()
