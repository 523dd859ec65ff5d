"""What a person sees on a terminal."""

from __future__ import annotations

import re
import signal
import sys
from pathlib import Path

import pytest
from tests.cli.screens import Screen
from tests.cli.shell import exit_code, plain, run, shown, terminal

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="opens terminals")

RAW = ("chat", "--demo", "--raw")


def screen(text: str) -> list[str]:
    """The lines that are left on the screen and above it, after every redrawing."""
    shown = Screen(80, 24)
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


def test_a_talk_goes_on_until_its_end() -> None:
    with terminal("chat", "--demo", "-i", "--raw") as child:
        child.expect("> ")
        child.sendline("[[say First.]]")
        child.expect(r"First\.\r\n> ")
        child.sendline("hello")
        child.expect("Hello!.*> ")
        child.sendline("/bye")
        child.read()
        assert exit_code(child) == 0


def test_ctrl_c_ends_the_answer_alone_and_keeps_what_was_said(tmp_path: Path) -> None:
    with terminal("chat", "--demo", "-i", "--raw") as child:
        child.expect("> ")
        child.sendline("[[slow 600]] [[say Never.]]")
        child.expect("thinking")
        child.sendintr()
        child.expect("> ")
        child.sendline("[[long 1000000]]")
        child.expect("1 2 3")
        child.sendintr()
        child.expect("> ")
        child.sendline("[[say Still here.]]")
        child.expect(r"Still here\.\r\n> ")
        child.sendline(f"/save {tmp_path / 'talk.md'}")
        child.expect("saved to.*> ")
        child.sendeof()
        child.read()
        assert exit_code(child) == 0
    talk = (tmp_path / "talk.md").read_text()
    assert "Never" not in talk
    assert "> [[long 1000000]]\n\n1 2 3" in talk


def test_ctrl_c_at_the_prompt_throws_the_line_away() -> None:
    with terminal("chat", "--demo", "-i", "--raw") as child:
        child.expect("> ")
        child.send("half a li")
        child.expect("half a li")
        child.sendintr()
        child.expect("> ")
        child.sendline("[[say Whole.]]")
        child.expect(r"Whole\.\r\n> ")
        child.sendline("/bye")
        child.read()
        assert exit_code(child) == 0


def test_several_lines_are_one_question() -> None:
    with terminal("chat", "--demo", "-i", "--raw") as child:
        child.expect("> ")
        child.sendline('"""repeat')
        child.expect("… ")
        child.sendline("[[say two]]")
        child.expect("… ")
        child.sendline('"""')
        child.expect("two\r\n> ")
        child.sendline("[[say \\")
        child.expect("… ")
        child.sendline("backslash]]")
        child.expect("backslash\r\n> ")
        child.sendline("/bye")
        child.read()


def test_a_talk_has_commands(tmp_path: Path) -> None:
    (tmp_path / "note.txt").write_text("[[say I read the note.]]")
    saved = tmp_path / "talk.md"
    with terminal("chat", "--demo", "-i", "--raw") as child:
        child.expect("> ")
        child.sendline("/model gpt-6-luna")
        child.expect("gpt-6-luna.*gpt-6-luna\r\n> ")
        child.sendline(f"/attach {tmp_path / 'note.txt'}")
        child.expect("next question\r\n> ")
        child.sendline("what does it say")
        child.expect(r"I read the note\.\r\n> ")
        child.sendline("/attach none")
        child.expect("No such file.*> ")
        child.sendline("/nonsense")
        child.expect("/help lists them\r\n> ")
        child.sendline(f"/save {saved}")
        child.expect("saved to.*> ")
        child.sendline("/bye")
        child.read()
        assert exit_code(child) == 0
    assert saved.read_text().startswith("> what does it say\n>\n> <file")
    assert saved.read_text().endswith("\n\nI read the note.\n")


def test_an_error_in_a_talk_does_not_end_it() -> None:
    with terminal("chat", "--demo", "-i", "--raw") as child:
        child.expect("> ")
        child.sendline("[[status bad_gateway]]")
        child.expect("codexapi: upstream_error.*> ")
        child.sendline("[[say Fine.]]")
        child.expect(r"Fine\.\r\n> ")
        child.sendeof()
        child.read()
        assert exit_code(child) == 0
