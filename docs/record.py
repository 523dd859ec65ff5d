"""Draws `docs/three-doors.svg`: one login answering through all three doors.

`python docs/record.py` runs the three for real, against the simulated backend, and draws what they
printed; the gate compares. Each panel shows what was run and, below it, the output.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tempfile
import textwrap
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from xml.sax.saxutils import escape

PICTURE = Path(__file__).with_name("three-doors.svg")
COLUMNS = 48  # characters of a panel
LINE, CHARACTER, MARGIN = 18, 7.25, 16  # pixels

CLIENT = """\
from openai import OpenAI

client = OpenAI(base_url=URL, api_key="any")
model = client.models.list().data[0].id
answer = client.responses.create(
    model=model, input="Say hello")
print(answer.output_text)
"""
SHELL = """\
codexapi chat "Say hello"
"""
MCP = """\
server = StdioServerParameters(
    command="codexapi", args=["mcp", "serve"],
    env=dict(os.environ))
async with Client(server) as client:
    answer = await client.call_tool(
        "generate_text", {"prompt": "Say hello"})
print(answer.content[0].text)
"""
_MCP_PROGRAM = (
    "import asyncio\nimport os\nfrom mcp import Client, StdioServerParameters\n\n"
    "async def main():\n{body}\nasyncio.run(main())\n"
)


@dataclass(frozen=True, slots=True)
class Panel:
    title: str
    source: str
    output: str


def recorded(programs: Path | None = None) -> str:
    """The picture, of what the three doors answer now; with the `codexapi` of a folder, if given."""
    with one_login(programs or Path(sys.executable).parent) as environment:
        panels = [
            Panel("Any OpenAI client, through codexapi serve", CLIENT, _client(environment)),
            Panel("The command line", "$ " + SHELL, _said(["bash", "-c", SHELL], environment)),
            Panel("An editor, through MCP", MCP, _mcp(environment)),
        ]
    if len({panel.output for panel in panels}) != 1:
        raise RuntimeError(f"the doors do not answer alike: {[p.output for p in panels]}")
    return _drawing(panels)


@contextmanager
def one_login(programs: Path) -> Iterator[dict[str, str]]:
    """A simulated backend with one login on disk, and the environment that uses it."""
    path = [str(programs), str(Path(sys.executable).parent), os.environ["PATH"]]
    with tempfile.TemporaryDirectory() as folder:
        environment = {
            **{name: value for name, value in os.environ.items() if not name.startswith("CODEX")},
            "PATH": os.pathsep.join(path),
            "HOME": folder,
        }
        command = ["codexapi", "simulate", "--login", f"{folder}/codex"]
        with _running(command, environment) as simulator:
            assert simulator.stdout is not None
            for _ in range(3):
                told = re.match(r"export (\w+)=(.+)", simulator.stdout.readline())
                assert told, "the simulator told no login"
                environment[told[1]] = told[2]
            yield environment


def _client(environment: dict[str, str]) -> str:
    with _running(["codexapi", "serve", "--port", "0", "--quiet"], environment) as server:
        assert server.stderr is not None
        url = server.stderr.readline().split()[-1]
        return _said(["python", "-c", CLIENT.replace("URL", f'"{url}"')], environment)


def _mcp(environment: dict[str, str]) -> str:
    program = _MCP_PROGRAM.format(body=textwrap.indent(MCP, "    "))
    return _said(["python", "-c", program], environment)


def _said(command: list[str], environment: dict[str, str]) -> str:
    done = subprocess.run(
        command, env=environment, stdin=subprocess.DEVNULL, capture_output=True, text=True,
        check=False,
    )  # fmt: skip
    if done.returncode:
        raise RuntimeError(f"{command[0]} failed: {done.stderr}")
    return done.stdout


@contextmanager
def _running(command: list[str], environment: dict[str, str]) -> Iterator[subprocess.Popen[str]]:
    process = subprocess.Popen(
        command, env=environment, text=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )
    try:
        yield process
    finally:
        process.terminate()
        process.communicate()


def _drawing(panels: list[Panel]) -> str:
    wide = int(COLUMNS * CHARACTER) + 2 * MARGIN
    rows = max(len(_lines(panel)) for panel in panels)
    width, height = len(panels) * (wide + 12) - 12, (rows + 3) * LINE + MARGIN
    body = "\n".join(
        _panel(panel, place * (wide + 12), wide, height - LINE - 6)
        for place, panel in enumerate(panels)
    )
    note = "Recorded against the simulated backend: one login, three doors."
    return f"""\
<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" role="img"
     xml:space="preserve">
<title>{note}</title>
<style>
text {{ font: 12px ui-monospace, Menlo, Consolas, monospace; fill: #c9d1d9; }}
.title {{ fill: #8b949e; font-weight: bold; }} .output {{ fill: #7ee787; }} .note {{ fill: #8b949e; }}
</style>
{body}
<text class="note" x="0" y="{height - 4}">{note}</text>
</svg>
"""


def _panel(panel: Panel, left: int, wide: int, high: int) -> str:
    drawn = [f'<rect x="{left}" y="0" width="{wide}" height="{high}" rx="8" fill="#0d1117"/>']
    x, y = left + MARGIN, LINE + 6
    drawn.append(f'<text class="title" x="{x}" y="{y}">{escape(panel.title)}</text>')
    for kind, line in _lines(panel):
        y += LINE
        drawn.append(f'<text class="{kind}" x="{x}" y="{y}">{escape(line)}</text>')
    return "\n".join(drawn)


def _lines(panel: Panel) -> list[tuple[str, str]]:
    source = [("source", line) for line in ["", *panel.source.splitlines(), ""]]
    answer = [part for line in panel.output.splitlines() for part in textwrap.wrap(line, COLUMNS)]
    return source + [("output", line) for line in answer]


if __name__ == "__main__":
    PICTURE.write_text(recorded())
