"""What `--help` says: of every command alike, at every width, with examples that work."""

from __future__ import annotations

import os
import re
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import typer
from docs import help_pages, parts
from tests import forks
from tests.audio_files import wav
from tests.cli.shell import PATIENCE, plain, run, shown
from tests.fake_codex import put_client
from tests.processes import codexapi, environment, simulator

from codexapi_cli.app import COMMANDS, app
from codexapi_cli.parser.help_pages import PAGES
from codexapi_cli.parser.help_text import TOPICS
from codexapi_cli.terminal import output
from codexapi_cli.terminal.wrapping import shell_line, wrap
from codexapi_engine.remedies import REMEDIES
from codexapi_engine.settings import VARIABLES
from codexapi_mcp.options import GROUPS

posix = pytest.mark.skipif(sys.platform == "win32", reason="opens terminals")


def commands(
    group: Any, ctx: Any, names: tuple[str, ...] = ()
) -> Iterator[tuple[tuple[str, ...], Any]]:
    """All commands, and their commands, by their names."""
    for name in group.list_commands(ctx):
        command = group.get_command(ctx, name)
        yield (*names, name), command
        if hasattr(command, "list_commands"):
            inner = type(ctx)(command, parent=ctx, info_name=name)
            yield from commands(command, inner, (*names, name))


ROOT = typer.main.get_command(app)
ALL = dict(commands(ROOT, ROOT.make_context("codexapi", [], resilient_parsing=True)))
EVERY = [(), *ALL]
BARE = [names for names, command in ALL.items() if hasattr(command, "list_commands")]
EXAMPLES = sorted(
    {
        line.removeprefix("$ ")
        for names in EVERY
        for line in str((ALL[names] if names else ROOT).epilog).splitlines()
        if line.startswith("$ ")
    }
)


@cache
def help_of(*names: str) -> str:
    done = run(*names, "--help")
    assert (done.returncode, done.stderr) == (0, "")
    return done.stdout


IN_QUOTES = re.compile(r" *\"[^\"]*\"")
"""A line that is one word of the shell."""


def heading(names: tuple[str, ...]) -> str:
    return " ".join(names) or "codexapi"


@pytest.mark.parametrize("names", EVERY, ids=heading)
def test_a_help_has_its_parts_in_plain_words(names: tuple[str, ...]) -> None:
    told = help_of(*names)
    parts = re.findall(r"^[A-Z][A-Z ]+$", told, re.MULTILINE)
    assert parts[0] == "USAGE"
    assert "EXAMPLES" in parts
    assert len(parts) == len(set(parts)), "a group is there once"
    assert told.count("\n  $ ") >= 2
    assert f"\n  codexapi {' '.join(names)}".rstrip() in told
    assert max(map(len, told.splitlines())) <= 80
    for leaked in (
        "<str>",
        "<int",
        "<float",
        "<path>",
        "<=",
        " VALUE",
        "[OPTIONS]",
        "'-n' / '--n'",
    ):
        assert leaked not in told, leaked
    assert not re.search(r"[a-z]\.\.\.$", told, re.MULTILINE), "nothing is cut"


@pytest.mark.parametrize("names", list(ALL), ids=heading)
def test_global_options_are_described_once_and_named_where_they_make_sense(
    names: tuple[str, ...],
) -> None:
    told = help_of(*names)
    assert "Print no notes" not in told
    line = re.search(r"GLOBAL OPTIONS\n  (.*)", told)
    named = set(line[1].partition(":")[0].split(", ")) if line else set()
    asks = "--base-url" in told
    assert ("-v" in named) == asks
    if named:
        assert {"-q", "--color"} <= named
    assert not ("--timeout" in named and not asks)


def test_the_first_help_describes_the_global_options_and_every_command() -> None:
    told = help_of()
    for option in ("--quiet", "--verbose", "--color", "--timeout", "--no-log", "--help"):
        assert len(re.findall(rf"^ +(-., |    ){option}", told, re.MULTILINE)) == 1, option
    for name in COMMANDS:
        assert len(re.findall(rf"^  {name} +[A-Z]", told, re.MULTILINE)) == 1, name


def test_the_helps_that_were_made_ahead_are_those_of_the_commands() -> None:
    assert Path(PAGES).read_text("utf-8") == help_pages.text(), "python -m docs"


@pytest.mark.parametrize("words", ["", "chat -h", "help mcp install"])
def test_a_help_is_printed_without_the_parser(words: str) -> None:
    command = codexapi(*words.split())
    command[1:1] = ["-X", "importtime"]
    done = subprocess.run(
        command, env=environment(), capture_output=True, text=True,
        stdin=subprocess.DEVNULL, check=True,
    )  # fmt: skip
    loaded = {line.rpartition("|")[2].strip() for line in done.stderr.splitlines()}
    assert "codexapi_cli.parser.help_pages" in loaded
    assert not loaded & {"typer", "typing", "pathlib", "codexapi_cli.app"}
    assert not [name for name in loaded if name.startswith("codexapi_engine.")]
    names = [word for word in words.split() if word not in ("help", "-h")]
    assert done.stdout == run("--color", "never", *names, "--help").stdout


def test_a_question_that_reads_like_a_command_is_none() -> None:
    assert run("mcp install", "--help").stdout == help_of("chat")


def test_a_chats_options_stand_in_groups() -> None:
    told = help_of("chat")
    parts = re.findall(r"^[A-Z][A-Z ]+$", told, re.MULTILINE)
    assert parts == [
        "USAGE", "ARGUMENTS", "MODEL", "INPUT", "HISTORY", "OUTPUT", "BACKEND", "GLOBAL OPTIONS",
        "EXAMPLES",
    ]  # fmt: skip


@posix
@pytest.mark.parametrize("width", [30, 50, 200])
@pytest.mark.parametrize("names", [(), ("chat",), ("serve",), ("mcp", "install")], ids=heading)
def test_a_help_fits_the_terminal_and_loses_no_word(names: tuple[str, ...], width: int) -> None:
    code, said = shown(*names, "--help", width=width)
    assert code == 0
    lines = plain(said).splitlines()
    assert all(len(line) <= width or IN_QUOTES.fullmatch(line) for line in lines)
    assert [w for w in plain(said).split() if w != "\\"] == help_of(*names).split()


@posix
@pytest.mark.parametrize(
    ("options", "env", "bold"),
    [
        ((), {}, True),
        ((), {"NO_COLOR": "1"}, False),
        (("--color", "never"), {}, False),
        ((), {"TERM": "dumb"}, False),
    ],
)
def test_headings_are_bold_on_a_terminal(
    options: tuple[str, ...], env: dict[str, str], bold: bool
) -> None:
    _, said = shown("chat", *options, "--help", env=env)
    assert ("\x1b[1mUSAGE\x1b[0m" in said) is bold
    assert ("\x1b" in said) is bold


@pytest.mark.parametrize(
    "names", [(), ("chat",), ("mcp",), ("mcp", "install"), ("history", "show")]
)
def test_help_as_a_word_is_the_same(names: tuple[str, ...]) -> None:
    assert run("help", *names).stdout == help_of(*names)


@pytest.mark.parametrize("name", TOPICS)
def test_a_topic_of_the_first_help_is_explained(name: str) -> None:
    assert f"\n  {name} " in help_of()
    done = run("help", name)
    assert (done.returncode, done.stderr) == (0, "")
    assert max(map(len, done.stdout.splitlines())) <= 80


def test_an_option_of_two_forms_is_listed_with_both() -> None:
    forms = {
        (names, f"{option.opts[-1]}, {option.secondary_opts[-1]}")
        for names, command in ALL.items()
        for option in command.params
        if option.secondary_opts
    }
    assert {"--page, --no-page", "--strict, --lenient"} <= {both for _, both in forms}
    for names, both in forms:
        assert f" {both} " in help_of(*names)
    assert "(default: --strict)" in help_of("replay").replace("\n", " ")
    assert "`--page`, `--no-page`" in parts.settings()


def test_the_settings_list_the_values_and_the_default_of_a_flag() -> None:
    assert "| `--log-format text\\|json` |  | `text` |" in parts.settings()


def test_a_recording_is_of_exchanges_and_never_of_sound() -> None:
    tables = (parts.limits(), parts.exit_codes(), *REMEDIES["invalid_audio"][:3])
    for text in (help_of("transcribe"), *tables):
        assert "recording" not in text.lower()


def test_the_topics_name_every_exit_code_and_every_variable_of_a_setting() -> None:
    codes = run("help", "exit-codes").stdout
    for name in terminal_codes():
        assert re.search(rf"^  {name} ", codes, re.MULTILINE), name
    variables = run("help", "environment").stdout.split()
    assert {names[0] for names in VARIABLES.values() if names} <= set(variables)


def terminal_codes() -> set[int]:
    """All numbers with which a command may end of its own."""
    return {value for name, value in vars(output).items() if name.isupper() and type(value) is int}


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (("nonsense",), "there is no command nonsense"),
        (("mcp", "instal"), "did you mean install?"),
        (("chat", "more"), "`codexapi chat` has no command more"),
    ],
)
def test_help_of_what_there_is_not_says_so(words: tuple[str, ...], told: str) -> None:
    done = run("help", *words)
    assert (done.returncode, done.stdout, done.stderr.count("\n")) == (2, "", 1)
    assert told in done.stderr


@pytest.mark.parametrize("names", [n for n in BARE if n != ("history",)], ids=heading)
def test_a_group_alone_shows_its_help(names: tuple[str, ...]) -> None:
    done = run(*names)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout == help_of(*names)
    assert "\nCOMMANDS\n" in done.stdout


def test_the_clients_are_in_the_help() -> None:
    setup, install = help_of("setup"), help_of("mcp", "install")
    assert re.search(r"^  zed +Zed$", setup, re.MULTILINE)
    assert "claude-desktop" in install
    assert "windsurf" in install


def test_the_groups_of_tools_are_in_the_help() -> None:
    text = " ".join(help_of("mcp", "serve").split())
    assert f"with commas: {', '.join(GROUPS)} (default: all)" in text


@pytest.mark.parametrize("command", ["login", "logout"])
@pytest.mark.parametrize("option", ["-h", "--help"])
def test_a_login_has_help_without_the_codex_client(
    command: str, option: str, tmp_path: Path
) -> None:
    done = run(command, option, env={"PATH": str(tmp_path)})
    assert (done.returncode, done.stderr) == (0, "")
    assert f"`codex {command}`" in done.stdout


# Options before the command


@pytest.mark.parametrize(
    "arguments",
    [
        ("--demo", "[[say Yes.]] please"),
        ("--demo", "-q", "--color", "never", "[[say Yes.]] please"),
        ("--timeout", "60", "--no-log", "--demo", "[[say Yes.]] please"),
        ("-m", "gpt-5.5", "--demo", "[[say Yes.]] please"),
        ("--model=gpt-5.5", "--demo", "-x", "[[say Yes.]] please"),
        ("--demo", "chat", "[[say Yes.]]"),
        ("--demo", "--", "[[say Yes.]] please"),
        ("-q", "--demo", "- [[say Yes.]]"),
    ],
)
def test_options_may_stand_before_a_question(arguments: tuple[str, ...]) -> None:
    done = run(*arguments, env={"CODEXAPI_NO_LOG": ""}, stdin=b"")
    assert (done.returncode, done.stdout) == (0, "Yes.\n")


def test_options_may_stand_before_the_command_of_a_group(tmp_path: Path) -> None:
    env = {"CODEXAPI_STATE_DIR": str(tmp_path)}
    assert run("--demo", "history", "path", env=env).stdout.endswith("history-demo.db\n")
    assert run("--demo", "models").returncode == 0


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (("--demo",), "--demo: name a command, or ask a question in quotes"),
        (("--demo", "hello"), "there is no command hello"),
        (("--dem", "why is it so"), "--dem: there is no such option"),
    ],
)
def test_options_alone_ask_nobody(arguments: tuple[str, ...], told: str) -> None:
    done = run(*arguments)
    assert (done.returncode, done.stdout) == (2, "")
    assert told in done.stderr


# What is wrong


@pytest.mark.parametrize(
    ("arguments", "line"),
    [
        ("image -n 20 x", ("-n: 20 is not a whole number between 1 and 10; "
         "`codexapi image --help` shows the usage")),
        ("stop --port many", ("--port: many is not a whole number between 1 and 65535; "
         "`codexapi stop --help` shows the usage")),
        ("usage --every x", "--every: x is not a number; `codexapi usage --help` shows the usage"),
        ("chat --color red x", ("--color: red is none of auto, always, never; "
         "`codexapi chat --help` shows the usage")),
        ("chat --colr", ("--colr: there is no such option; did you mean --color? "
         "`codexapi chat --help` lists them")),
        ("serve --anounce", "--anounce: there is no such option; `codexapi serve --help` lists them"),
        ("chat --cid", "--cid: it needs a value"),
        ("chat --demo=3 x", "--demo: it takes no value"),
        ("models foo", "foo: unexpected argument; `codexapi models --help` shows the usage"),
        ("mcp lst", "there is no command lst; did you mean list?"),
        ("mcp install cursr", "there is no client cursr; did you mean cursor?"),
        ("mcp uninstall --all", ("--all: there is no such option; did you mean --all-detected? "
         "`codexapi mcp uninstall --help` lists them")),
        ("help exit-code", "there is no command exit-code; did you mean exit-codes?"),
        ("exit-code", "there is no command exit-code; `codexapi --help` lists them"),
        ("mcp xyzzy", "there is no command xyzzy; `codexapi mcp --help` lists them"),
        ("image", "PROMPT is missing; `codexapi image --help` shows the usage"),
    ],
)  # fmt: skip
def test_a_wrong_command_line_is_one_line_that_says_what_to_do(arguments: str, line: str) -> None:
    done = run(*arguments.split())
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == f"codexapi: {line}\n"


def test_a_wrong_command_line_is_an_object_where_json_is_wanted() -> None:
    import json

    done = run("models", "--json", "--wrong")
    assert (done.returncode, done.stdout) == (2, "")
    error = json.loads(done.stderr)["error"]
    assert set(error) == {"message", "type", "param", "code"}


# Examples


@pytest.fixture(scope="module")
def prepared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Path, dict[str, str]]]:
    """A folder in which everything is that an example names, and a login."""
    folder = tmp_path_factory.mktemp("examples")
    (folder / "main.py").write_text("print(1 / 0)\n")
    for recording in ("memo.m4a", "interview.wav"):
        (folder / recording).write_bytes(wav([1] * 3))
    for place in ("bin", ".cursor", ".config/fish/completions"):
        (folder / place).mkdir(parents=True)
    forks.put_program(folder / "bin" / "codexapi")
    put_client(folder / "bin")
    with simulator(tmp_path_factory.mktemp("backend") / "login") as backend:
        in_folder(folder, backend.env, "git init -q && git add main.py && echo '# more' >> main.py")
        in_folder(folder, backend.env, "codexapi image -q fox -o fox.png && cp fox.png photo.jpg")
        in_folder(folder, backend.env, "codexapi chat --no-log --record ./recording 'a question'")
        for option in ("", "--demo"):
            in_folder(folder, backend.env, f"codexapi chat {option} 'a chat that is kept'")
        yield folder, backend.env


def environment_in(folder: Path, env: dict[str, str]) -> dict[str, str]:
    found = environment(
        **env, HOME=str(folder), CODEXAPI_STATE_DIR=str(folder / "state"), CODEXAPI_NO_LOG="",
        CODEXAPI_PORT="0", XDG_CONFIG_HOME=str(folder / ".config"), XDG_DATA_HOME=str(folder),
    )  # fmt: skip
    return {**found, "PATH": f"{folder / 'bin'}:{found['PATH']}"}


def in_folder(folder: Path, env: dict[str, str], line: str) -> subprocess.CompletedProcess[str]:
    done = subprocess.run(
        ["bash", "-o", "pipefail", "-c", line], env=environment_in(folder, env), cwd=folder,
        stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False, timeout=PATIENCE,
    )  # fmt: skip
    assert done.returncode == 0, f"{line}\n{done.stdout}{done.stderr}"
    return done


def with_demo(line: str) -> str:
    """The example with --demo for each command that has it, and on a port that is free."""

    def add(match: re.Match[str]) -> str:
        names = tuple(match[1].split())
        while names and names not in ALL:
            names = names[:-1]
        has_demo = names and any("--demo" in p.opts for p in ALL[names].params)
        return f"codexapi {' '.join(names)}{' --demo' if has_demo else ''}{match[1][len(' '.join(names)) :]}"

    line = re.sub(r"codexapi ((?:[a-z]+ ?)+)(?=[ )-]|$)", add, line)
    return line if "codexapi stop" in line else re.sub(r"\b18\d{3}\b", "0", line)


GOES_ON = re.compile(
    r"codexapi (serve(?!.*--detach)|simulate(?!.*--list)|replay|(?:usage|status).*--watch|mcp serve.*--http)"
)
"""Examples that end only when they are ended."""

BEFORE = {
    "codexapi top": "codexapi serve --demo --detach",
    "codexapi keys revoke": "codexapi keys add editor",
}
"""What an example goes on from."""


@posix
@pytest.mark.parametrize("line", EXAMPLES)
def test_every_example_works(
    line: str, prepared: tuple[Path, dict[str, str]], tmp_path: Path
) -> None:
    if line.startswith("git ") and shutil.which("git") is None:
        pytest.skip("there is no git here")
    source, env = prepared
    folder = tmp_path / "here"
    shutil.copytree(source, folder)
    if "-o fox.png" in line:
        (folder / "fox.png").unlink()
    typed = with_demo(line)
    if not GOES_ON.match(line):
        before = next((BEFORE[first] for first in BEFORE if line.startswith(first)), "true")
        in_folder(folder, env, before)
        in_folder(folder, env, typed)
        if "--detach" in before + line:
            in_folder(folder, env, "codexapi stop --all")
        return
    with subprocess.Popen(
        ["bash", "-c", f"exec {typed}"], env=environment_in(folder, env), cwd=folder, text=True,
        stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
    ) as process:  # fmt: skip
        assert process.stdout is not None
        first = process.stdout.readline()
        os.kill(process.pid, signal.SIGTERM)
        rest = process.stdout.read()
    assert first, rest
    assert "Error" not in first + rest
    assert process.returncode in (0, 143)


# Lines


def test_a_line_is_broken_between_words_and_a_command_is_kept_together() -> None:
    text = "say `codexapi stop --port 1` to the one that runs"
    assert wrap(text, 30) == "say `codexapi stop --port 1`\nto the one that runs"
    assert wrap(text, 12).split() == text.split(), "unless it cannot be"


def test_an_example_that_is_too_long_goes_on_as_the_shell_takes_it(tmp_path: Path) -> None:
    line = "$ echo one 'two three' \"four five\" six"
    drawn = shell_line(line, 24, "  ")
    assert max(map(len, drawn.splitlines())) <= 24
    typed = drawn.strip().removeprefix("$ ")
    done = subprocess.run(["sh", "-c", typed], capture_output=True, text=True, check=True)
    assert done.stdout == "one two three four five six\n"
