"""Which lines of an interactive chat are commands."""

from __future__ import annotations

import pytest

from codexapi_cli.conversation.slash import COMMANDS, SlashCommand, UnknownCommand, help_text, parse


@pytest.mark.parametrize(
    ("line", "command"),
    [
        ("/model", SlashCommand("model", "")),
        ("  /model gpt-6-luna ", SlashCommand("model", "gpt-6-luna")),
        ("/Bye", SlashCommand("bye", "")),
        ("/exit", SlashCommand("bye", "")),
        ("/attach a b", SlashCommand("attach", "a b")),
        ("/image a fox\nin snow", SlashCommand("image", "a fox\nin snow")),
    ],
)
def test_a_command_is_known_by_its_name(line: str, command: SlashCommand) -> None:
    assert parse(line) == command


@pytest.mark.parametrize("line", ["/models", "/foo", "/foo bar", "/", "/mod el"])
def test_an_unknown_command_is_no_question(line: str) -> None:
    assert isinstance(parse(line), UnknownCommand)


@pytest.mark.parametrize(
    ("line", "question"),
    [
        ("hello /bye", "hello /bye"),
        ("/etc/passwd: what is it?", "/etc/passwd: what is it?"),
        ("/etc is what?", "/etc is what?"),
        ("/r/python or /r/rust", "/r/python or /r/rust"),
        ("/ is a slash", "/ is a slash"),
        ("//bye is a command", "/bye is a command"),
        ("//", "//"),
        ("// a comment", "// a comment"),
        ("// a\nint x;", "// a\nint x;"),
        ("/bye\nand more", "/bye\nand more"),
    ],
)
def test_a_text_with_a_slash_may_be_a_question(line: str, question: str) -> None:
    assert parse(line) == question


def test_a_paste_of_several_lines_is_never_a_command() -> None:
    assert parse("/image x\ny", is_paste=True) == "/image x\ny"
    assert parse("/bye\n", is_paste=True) == "/bye\n"
    assert parse("/bye", is_paste=True) == SlashCommand("bye", "")


def test_an_unknown_command_says_which_there_are() -> None:
    assert "did you mean /model?" in str(parse("/modle x"))
    for name in COMMANDS:
        assert f"/{name}" in str(parse("/nonsense"))
        assert f"/{name}" in help_text(80)


@pytest.mark.parametrize("columns", [40, 80, 200])
def test_the_help_is_broken_between_words(columns: int) -> None:
    lines = help_text(columns).splitlines()
    assert max(map(len, lines)) <= columns
    words = " ".join(lines).split()
    assert words == " ".join(help_text(1000).splitlines()).split()
