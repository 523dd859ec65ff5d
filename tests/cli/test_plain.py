"""What the usual command lines of `chat` and `serve` say is read without the parser, and as it would."""

from __future__ import annotations

import json
import shlex
from pathlib import Path
from typing import Any

import pytest
import typer
from docs import plain_options

from codexapi_cli.app import app
from codexapi_cli.parser.plain import OPTIONS, parse, run_plain

DECLARED = json.loads(Path(OPTIONS).read_text("utf-8"))

PLAIN = [
    "chat why is the sky blue",
    "chat -m gpt-6.1-sol 'why is the sky blue?' --json",
    "chat -a one.png --attach two.png -f a.py -f b.py what",
    "chat -",
    "chat - --no-stdin",
    "chat --demo --raw --md -x -c -i --search",
    "chat -s 'be short' -o answer.md --cid abc --schema 'name, age int' who",
    "chat -m one -m two ünïcode",
    "chat --no-log --dry-run hi",
    "serve",
    "serve --port 0 --host ::1 --demo --mcp --metrics",
    "serve --port 65535 --model-alias a=b --model-alias c=d --cors http://localhost",
    "serve --detach --announce --max-streams 4",
]
FOR_THE_PARSER = [
    "chat --help",
    "chat -h",
    "chat --model=x hi",
    "chat -mx hi",
    "chat -e high hi",
    "chat --record somewhere hi",
    "chat -q hi",
    "chat hi --color never",
    "chat --no-such-option",
    "chat -- -x",
    "chat '- summarise these points'",
    "chat -m",
    "chat -m -x",
    "chat ''",
    "chat caf\udce9",
    "serve here",
    "serve --port 65536",
    "serve --port -1",
    "serve --port 1e3",
    "serve --port 99999999999",
    "serve --max-streams 0",
    "serve --port",
    "serve --no-page",
    "serve --log-level debug",
    "serve --timeout 3",
]


def _plain(line: str) -> dict[str, Any] | None:
    command, *words = shlex.split(line)
    return parse(words, DECLARED[command])


def test_the_options_that_were_written_ahead_are_those_of_the_commands() -> None:
    assert Path(OPTIONS).read_text("utf-8") == plain_options.text(), "python -m docs"


@pytest.mark.parametrize("line", PLAIN)
def test_a_plain_command_line_says_what_it_says_to_the_parser(
    line: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("CODEXAPI_NO_LOG", raising=False)
    command, *words = shlex.split(line)
    root: Any = typer.main.get_command(app)
    above = root.make_context("codexapi", [], resilient_parsing=True)
    inside = root.get_command(above, command)
    parsed = inside.make_context(command, words, parent=above).params
    unset = inside.make_context(command, [], parent=above).params
    wanted = {name: value for name, value in parsed.items() if value != unset[name]}
    assert _plain(line) == {n: list(v) if isinstance(v, tuple) else v for n, v in wanted.items()}


@pytest.mark.parametrize("line", FOR_THE_PARSER)
def test_all_else_is_left_to_the_parser(line: str) -> None:
    assert _plain(line) is None


@pytest.mark.parametrize(
    "arguments",
    [[], ["models"], ["--demo", "why is it so"], ["word"], ["- a question"], ["chat", "--help"]],
)
def test_a_command_that_is_none_of_the_two_is_the_parsers(arguments: list[str]) -> None:
    assert not run_plain(arguments)


@pytest.mark.parametrize("value", ["true", "0", "no"])
def test_a_variable_with_a_word_is_the_parsers_to_read(
    value: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CODEXAPI_NO_LOG", value)
    assert not run_plain(["chat", "hi"])
