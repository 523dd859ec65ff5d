"""What a person sees on a terminal."""

from __future__ import annotations

import re
import signal
import sys

import pytest
from tests.cli.screens import Emulator
from tests.cli.shell import exit_code, plain, run, shown, terminal

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="opens terminals")

RAW = ("chat", "--demo", "--raw")


def screen(text: str) -> list[str]:
    """The lines that are left on the screen and above it, after every redrawing."""
    shown = Emulator(80, 24)
    shown.write(text)
    return [*shown.rows, ""]


def test_markdown_is_drawn_as_it_comes_and_stands_there_once() -> None:
    code, said = shown(
        "chat", "--demo", "[[say # Title\n\nSome **bold** words.\n\n1. one\n2. two]]"
    )
    assert code == 0
    assert [line.strip() for line in screen(said)] == [
        "Title", "", "Some bold words.", "", "1. one", "2. two", "",
    ]  # fmt: skip
    assert "\x1b[1mbold" in said
    assert "**" not in plain(said)


def test_html_in_an_answer_is_not_lost() -> None:
    assert screen(shown("chat", "--demo", "[[say <b>x</b>]]")[1])[0] == "<b>x</b>"


def test_a_long_answer_stands_there_whole() -> None:
    code, said = shown("chat", "--demo", "[[long 3000]]")
    assert code == 0
    # What has left the screen at its top cannot be drawn anew.
    ups = [int(lines) for lines in re.findall(r"\x1b\[(\d+)A", said)]
    assert max(ups, default=0) < 23
    words = " ".join(screen(said)).split()
    assert words == run("chat", "--demo", "[[long 3000]]").stdout.split()


@pytest.mark.parametrize("more", [(), ("--schema", "name")], ids=["markdown", "plain"])
@pytest.mark.parametrize(
    "harm",
    ["\x1b[2J", "\x1b]0;[title\x07", "\x1b]52;c;[aGk=\x1b\\", "\x9b31m", "\x07", "\x1bc", "\x08"],
)
def test_control_sequences_of_an_answer_reach_no_terminal(harm: str, more: tuple[str, ...]) -> None:
    code, said = shown("chat", "--demo", *more, f"[[say one{harm}two]]")
    assert code == 0
    assert screen(said)[0] == "onetwo"
    assert harm not in said


def test_raw_is_raw_on_a_terminal_too() -> None:
    code, said = shown(*RAW, "[[say # one\x1b[31mtwo]]")
    assert code == 0
    assert "# one\x1b[31mtwo" in said


@pytest.mark.parametrize(
    ("env", "coloured"), [({}, True), ({"NO_COLOR": "1"}, False), ({"TERM": "dumb"}, False)]
)
def test_no_color_and_a_dumb_terminal_have_none(env: dict[str, str], coloured: bool) -> None:
    _, said = shown("chat", "--demo", "[[say Look: `code` here]]", env=env)
    assert bool(re.search(r"\x1b\[[\d;]*3\d", said)) is coloured


@pytest.mark.parametrize(("env", "dim"), [({}, True), ({"NO_COLOR": "1"}, False)])
def test_reasoning_is_dim(env: dict[str, str], dim: bool) -> None:
    _, said = shown(*RAW, "--show-reasoning", "[[reason]] [[say Yes.]]", env=env)
    assert ("\x1b[2m" in said) is dim
    assert "It is simulated." in "\n".join(screen(said))
    assert screen(said)[-2:] == ["Yes.", ""]


def test_ctrl_c_on_a_terminal_keeps_what_was_said() -> None:
    with terminal("chat", "--demo", "[[long 1000000]]") as child:
        child.expect(r"\d+ \d+ \d+")
        child.kill(signal.SIGINT)
        rest = child.read()
        assert exit_code(child) == 130
    assert rest.endswith("\r\n")
