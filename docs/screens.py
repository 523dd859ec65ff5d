"""Draws `docs/screens/*.svg`: what a person sees of some commands on a terminal.

`python docs/screens.py` runs them for real, on a pseudo-terminal, against the simulated backend,
and draws the screen that a terminal emulator shows at the end. The gate runs them again and
compares all but what a clock and a machine decide: numbers, days, the temporary home.
"""

from __future__ import annotations

import os
import re
import sys
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from xml.sax.saxutils import escape, unescape

import pexpect
import pyte
from pyte.screens import Char

FOLDER = Path(__file__).with_name("screens")
COLUMNS, ROWS = 96, 40
HOME = "/home/you"
LINE, CHARACTER, MARGIN = 18, 7.25, 16  # pixels

QUESTION = """\
[[say To undo the last commit and **keep** its changes:

```sh
git reset --soft HEAD~1
```

1. `--soft` leaves them staged
2. `--mixed` leaves them in the files
3. `--hard` throws them *away*
]]
"""
_COLOURS = {
    "default": "#c9d1d9", "black": "#484f58", "red": "#ff7b72", "green": "#7ee787",
    "brown": "#d29922", "blue": "#79c0ff", "magenta": "#d2a8ff", "cyan": "#56d4dd",
    "white": "#f0f6fc",
}  # fmt: skip
PATIENCE = 60
"""Seconds after which a command that says nothing more has failed."""


@dataclass(frozen=True, slots=True)
class Scene:
    """A command as it is typed, and what is typed into it at which prompt."""

    typed: str
    replies: Sequence[tuple[str, str]] = ()


SCENES = {
    "chat": Scene("codexapi chat --demo < question.md"),
    "sh": Scene(
        'codexapi sh --demo "[[say du -sh * | sort -h | tail]] what takes the room here?"',
        [(r"bort[^ ]* ", "a\n")],
    ),
    "usage": Scene("codexapi usage --demo"),
    "doctor": Scene("codexapi doctor --demo"),
}


def captured(scene: Scene) -> list[list[Char]]:
    """The lines that a terminal shows when the command has ended, the typed one first."""
    screen = pyte.Screen(COLUMNS, ROWS)
    stream = pyte.Stream(screen)
    stream.feed(f"$ {scene.typed}\r\n")
    with tempfile.TemporaryDirectory() as home:
        (Path(home) / "question.md").write_text(QUESTION)
        programs = Path(home) / ".local" / "bin"
        programs.mkdir(parents=True)
        (programs / "codexapi").symlink_to(Path(sys.executable).with_name("codexapi"))
        child = pexpect.spawn(
            "sh", ["-c", scene.typed], cwd=home, env=_environment(home, programs),
            encoding="utf-8", dimensions=(ROWS, COLUMNS), timeout=PATIENCE,
        )  # fmt: skip
        try:
            for prompt, reply in scene.replies:
                child.expect(prompt)
                stream.feed(f"{child.before}{child.after}".replace(home, HOME))
                child.send(reply)
            stream.feed(child.read().replace(home, HOME))
        finally:
            child.close(force=True)
    lines = [[screen.buffer[row][column] for column in range(COLUMNS)] for row in range(ROWS)]
    while lines and not _text(lines[-1]):
        lines.pop()
    return lines


def _environment(home: str, programs: Path) -> dict[str, str]:
    kept = {name: os.environ[name] for name in ("LANG", "LC_ALL", "TZ") if name in os.environ}
    path = os.pathsep.join([str(programs), "/usr/bin", "/bin"])
    ours = {"HOME": home, "PATH": path, "TERM": "xterm-256color", "CODEXAPI_NO_LOG": "1"}
    return {**kept, **ours, "CODEXAPI_PORT": "1"}  # a port that nobody listens on


def drawing(name: str, lines: Sequence[Sequence[Char]]) -> str:
    width = int(COLUMNS * CHARACTER) + 2 * MARGIN
    height = len(lines) * LINE + 2 * MARGIN
    body = "\n".join(
        f'<text y="{MARGIN + LINE * (row + 1) - 5}">{"".join(_spans(line))}</text>'
        for row, line in enumerate(lines)
    )
    return f"""\
<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" role="img"
     xml:space="preserve">
<title>codexapi {name} on a terminal, against the simulated backend</title>
<style>
text {{ font: 12px ui-monospace, Menlo, Consolas, monospace; fill: {_COLOURS["default"]}; }}
</style>
<rect width="{width}" height="{height}" rx="8" fill="#0d1117"/>
{body}
</svg>
"""


def _spans(line: Sequence[Char]) -> Iterator[str]:
    """The letters of a line, those of one look together."""
    end = len(_text(line))
    start = 0
    while start < end:
        look = line[start]._replace(data="")
        stop = start
        while stop < end and line[stop]._replace(data="") == look:
            stop += 1
        text = escape("".join(letter.data for letter in line[start:stop]))
        x = MARGIN + start * CHARACTER
        yield f'<tspan x="{x:g}"{_style(look)}>{text}</tspan>'
        start = stop


def _style(look: Char) -> str:
    style = ""
    if look.fg != "default":
        style += f' fill="{_COLOURS.get(look.fg, "#" + look.fg)}"'
    if look.bold:
        style += ' font-weight="bold"'
    if look.italics:
        style += ' font-style="italic"'
    if look.underscore:
        style += ' text-decoration="underline"'
    return style


def _text(line: Sequence[Char]) -> str:
    return "".join(letter.data for letter in line).rstrip()


def said(svg: str) -> list[str]:
    """The words of a screen, without what differs from day to day and machine to machine."""
    lines = re.findall(r"<text y=.*?</text>", svg)
    texts = ["".join(re.findall(r"<tspan[^>]*>(.*?)</tspan>", line)) for line in lines]
    return [_steady(unescape(text)) for text in texts]


def _steady(text: str) -> str:
    text = re.sub(r"(Mon|Tue|Wed|Thu|Fri|Sat|Sun) \d\d \w{3} ", "", text)
    text = re.sub(r"\d+ d \d+ h|\d+ h \d+ min|\d+ (min|s)\b", "a while", text)
    text = re.sub(r"Linux \S+|Darwin \S+", "a system", text)
    return re.sub(r"\d+", "N", text)


if __name__ == "__main__":
    FOLDER.mkdir(exist_ok=True)
    for title, played in SCENES.items():
        (FOLDER / f"{title}.svg").write_text(drawing(title, captured(played)))
