"""Random faults against real processes: `python -m tests.storm --seeds N [--seed S…] [--jobs J]`.

Plays N schedules, from each seed S on, or from one that is drawn and printed. A seed that fails is
printed with its schedule and what was violated; `--seeds 1 --seed S` plays it again, and
`--schedule` prints it alone. Exit code 1 if one fails.
"""

from __future__ import annotations

import argparse
import asyncio
import logging
import os
import secrets
import subprocess
import sys
import time
from collections.abc import Iterator
from typing import IO

from tests.processes import ROOT
from tests.storm.processes import Nursery
from tests.storm.run import play
from tests.storm.schedule import schedule
from tests.storm.surroundings import INSIDE, may_mount, with_mounts

PROGRESS = 50
"""Seeds after which a line says how far it is."""


def main(arguments: list[str]) -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.storm", description=__doc__)
    parser.add_argument("--seeds", type=int, default=1, metavar="N", help="how many to play")
    parser.add_argument("--seed", type=int, action="append", metavar="S", help="the first one")
    parser.add_argument("--jobs", type=int, default=4, metavar="J", help="how many at a time")
    parser.add_argument("--schedule", action="store_true", help="print the schedules alone")
    parser.add_argument("--play", action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_args(arguments)
    if options.play:
        logging.disable(
            logging.CRITICAL
        )  # the driver's own server tells of each stream that it breaks
        return asyncio.run(_play(sys.stdin))
    firsts = options.seed or [secrets.randbelow(10**9)]
    seeds = [seed for first in firsts for seed in range(first, first + options.seeds)]
    if options.schedule:
        print("\n\n".join(str(schedule(seed)) for seed in seeds))
        return 0
    return asyncio.run(_share(seeds, min(options.jobs, len(seeds))))


async def _play(orders: IO[str]) -> int:
    """Plays each seed that comes on stdin, and tells how it went."""
    async with Nursery() as nursery:
        while line := await asyncio.to_thread(orders.readline):
            for told in await play(int(line), nursery):
                print(f"violated: {told}".replace("\n", "\n    "), flush=True)
            print("over", flush=True)
    return 0


async def _share(seeds: list[int], jobs: int) -> int:
    print(f"storm: {len(seeds)} seeds from {seeds[0]} on, {jobs} at a time", flush=True)
    mounts = may_mount()
    if not mounts:
        print("storm: without disk faults, which need a mount of one's own", flush=True)
    began, left, failed = time.monotonic(), _count(seeds), list[int]()
    await asyncio.gather(*(_work(left, failed, mounts) for _ in range(jobs)))
    seconds = time.monotonic() - began
    print(f"storm: {len(seeds)} seeds in {seconds:.0f} s, {len(failed)} failed {sorted(failed)}")
    return 1 if failed else 0


def _count(seeds: list[int]) -> Iterator[int]:
    for number, seed in enumerate(seeds):
        if number and number % PROGRESS == 0:
            print(f"storm: {number} of {len(seeds)} seeds begun", flush=True)
        yield seed


async def _work(left: Iterator[int], failed: list[int], mounts: bool) -> None:
    command = [sys.executable, "-m", "tests.storm", "--play"]
    process = await asyncio.create_subprocess_exec(
        *(with_mounts(command) if mounts else command),
        cwd=ROOT,
        env={**os.environ, **({INSIDE: "1"} if mounts else {})},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        limit=2**24,
    )
    assert process.stdin is not None
    assert process.stdout is not None
    try:
        for seed in left:
            process.stdin.write(f"{seed}\n".encode())
            told = []
            while (line := (await process.stdout.readline()).decode()) != "over\n":
                if not line:
                    told.append("violated: the driver has ended")
                    break
                told.append(line.rstrip())
            if told:
                failed.append(seed)
                print("\n".join(["", str(schedule(seed)), *told, ""]), flush=True)
    finally:
        process.stdin.close()
        await process.wait()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
