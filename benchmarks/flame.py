"""Where the server's time goes, as a flame graph: `python -m benchmarks.flame [ROAD] [--out FILE]`.

py-spy (`benchmarks/requirements.txt`) looks at the server's stack 500 times a second while short
requests keep it busy. The picture is one SVG without a script: the wider, the more time.
"""

from __future__ import annotations

import argparse
import asyncio
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from xml.sax.saxutils import escape

from tests.processes import ROOT

from benchmarks import servers
from benchmarks.plays import Play
from benchmarks.servers import OURS, SERVERS, Server
from benchmarks.short import loop

CONNECTIONS = 8
WIDTH, ROW, LETTER, LEGEND = 1200, 17, 6.6, 172
"""Pixels: of the picture, of a row, of a letter, of a word of the legend."""

LEAST = 2.0
"""A stack that is narrower than so many pixels is left out."""

_LOOP = "Runner.run ("
_LINE = re.compile(r"^(?P<name>.*) \((?P<file>.*?)(?::\d+)?\)$")
_COLOURS = {
    "codexapi_engine/protocol": "#0b7a75", "codexapi_engine": "#4aa8a3", "codexapi_http": "#d1495b",
    "httpx": "#edae49", "uvicorn": "#8d6a9f", "starlette": "#a98bb8",
}  # fmt: skip
_OTHER = "#9aa5ab"


@dataclass(slots=True)
class Frame:
    """A function, as it was called by those above it."""

    name: str
    file: str
    samples: int = 0
    callees: dict[str, Frame] = field(default_factory=dict)

    def depth(self, least: float) -> int:
        """In frames that have so many samples."""
        callees = (callee for callee in self.callees.values() if callee.samples >= least)
        return 1 + max((callee.depth(least) for callee in callees), default=0)


def main() -> None:
    options = argparse.ArgumentParser(prog="python -m benchmarks.flame", description=__doc__)
    options.add_argument("road", nargs="?", default="chat", choices=servers.OUR_ROADS)
    options.add_argument("--deltas", type=int, default=20, help="of each answer")
    options.add_argument("--seconds", type=int, default=15)
    options.add_argument("--out", type=Path, default=ROOT / "docs" / "flame.svg")
    given = options.parse_args()
    lines = _record(given.road, Play("text", given.deltas), given.seconds)
    given.out.write_text(picture(tree(lines)))


def _record(road: str, play: Play, seconds: int) -> list[str]:
    if (spy := shutil.which("py-spy", path=str(Path(sys.executable).parent))) is None:
        sys.exit("py-spy is not installed: pip install -r benchmarks/requirements.txt")
    with (
        tempfile.TemporaryDirectory() as scratch,
        servers.on_core(servers.DRIVER_CORE),
        servers.backends() as backend,
        servers.running(OURS, SERVERS[OURS], backend) as server,
    ):
        assert server is not None
        out = Path(scratch) / "stacks"
        command = [
            spy, "record", "--pid", str(server.pid), "--duration", str(seconds), "--rate", "500",
            "--format", "raw", "--output", str(out),
        ]  # fmt: skip
        with subprocess.Popen(command, stdout=subprocess.DEVNULL) as recording:
            asyncio.run(_ask_until(recording, server, road, play))
        return out.read_text().splitlines()


async def _ask_until(
    recording: subprocess.Popen[bytes], server: Server, road: str, play: Play
) -> None:
    while recording.poll() is None:
        await loop(server, road, play, CONNECTIONS, CONNECTIONS * 25)


def tree(lines: Iterable[str]) -> Frame:
    """Of py-spy's raw lines, `outer (file:line);inner (file:line) samples`: what the event loop
    calls, without the frames that start it and the threads that wait beside it."""
    root = Frame("event loop", "")
    for line in lines:
        stack, _, count = line.partition(_LOOP)[2].rpartition(" ")
        if not count:
            continue
        place = root
        place.samples += int(count)
        for label in filter(None, stack.partition(";")[2].split(";")):
            name, file = _function(label)
            place = place.callees.setdefault(f"{name} {file}", Frame(name, file))
            place.samples += int(count)
    return root


def _function(label: str) -> tuple[str, str]:
    """Its name and its file, by the package: what stands before that differs from machine to machine."""
    found = _LINE.match(label)
    if found is None:
        return label, ""
    file = re.sub(r"^.*(?:site-packages|python3\.\d+)/", "", found["file"])
    return found["name"], re.sub(r"^.*?(?=codexapi_\w+/)", "", file)


def picture(root: Frame) -> str:
    height = ROW * (root.depth(LEAST * root.samples / WIDTH) + 2)
    boxes = "\n".join(_boxes(root, 0.0, float(WIDTH), height - 2 * ROW, root.samples))
    names = {"other": _OTHER, **_COLOURS}
    legend = "".join(
        f'<rect x="{number * LEGEND}" y="{height - ROW + 3}" width="11" height="11" fill="{colour}"/>'
        f'<text x="{number * LEGEND + 15}" y="{height - 4}" fill="#888">{name}</text>'
        for number, (name, colour) in enumerate(reversed(names.items()))
    )
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" '
        f'font-family="monospace" font-size="11">\n{boxes}\n{legend}\n</svg>\n'
    )


def _boxes(frame: Frame, left: float, width: float, top: int, total: int) -> Iterator[str]:
    name = f"{frame.name} {frame.file}".rstrip()
    title = f"{name}, {100 * frame.samples / total:.1f} %"
    yield (
        f'<rect x="{left:.1f}" y="{top}" width="{width:.1f}" height="{ROW - 1}" '
        f'fill="{_colour(frame.file)}"><title>{escape(title)}</title></rect>'
    )
    if label := frame.name[: int((width - 4) / LETTER)]:
        yield f'<text x="{left + 2:.1f}" y="{top + ROW - 5}">{escape(label)}</text>'
    for callee in sorted(frame.callees.values(), key=lambda callee: callee.name):
        part = width * callee.samples / frame.samples
        if part >= LEAST:
            yield from _boxes(callee, left, part, top - ROW, total)
        left += part


def _colour(file: str) -> str:
    return next((colour for name, colour in _COLOURS.items() if file.startswith(name)), _OTHER)


if __name__ == "__main__":
    main()
