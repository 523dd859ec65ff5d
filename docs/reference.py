"""Writes the reference of the commands, the manual page and the completion scripts, from the helps.

The wheel carries the last two to where `man` and the shells look for them.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from codexapi_cli.commands.completion import SCRIPTS, Shell
from codexapi_cli.parser.help_pages import EXAMPLES, PAGES, TABLE, TEXT, USAGE, lay_out
from codexapi_cli.parser.topics import ENVIRONMENT, EXIT_CODES
from codexapi_engine import __version__

if TYPE_CHECKING:
    from codexapi_cli.parser.help_pages import Page

ROOT = Path(__file__).parents[1]
SHARE = ROOT / "cli" / "share"
COMMANDS_HEAD = """\
# Commands

As `codexapi help COMMAND` and `codexapi COMMAND --help` print them. Global options stand before the
command or after it. Exit codes are in [Troubleshooting](troubleshooting.md#exit-codes), variables in
[Settings](settings.md). `man codexapi` has the same where the wheel was installed for `man` to find it.
"""


def commands() -> str:
    parts = [COMMANDS_HEAD]
    for name, page in _helps().items():
        heading = f"## codexapi {name}".rstrip()
        parts.append(f"{heading}\n\n```text\n{lay_out(page)}\n```\n")
    return "\n".join(parts)


def _helps() -> dict[str, Page]:
    pages: dict[str, Page] = json.loads(Path(PAGES).read_text("utf-8"))
    return pages


def manual() -> str:
    helps = _helps()
    root = helps.pop("")
    lines = [
        f'.TH CODEXAPI 1 "" "codexapi {__version__}" "User Commands"',
        ".SH NAME",
        "codexapi \\- your own Codex login for any OpenAI client, the shell and your editor",
        ".SH SYNOPSIS",
        ".B codexapi",
        "[options] command [arguments]",
        ".SH DESCRIPTION",
        *_paragraphs(root),
        *_parts(root, heading=".SH"),
    ]
    for name, page in helps.items():
        lines += [f".SH CODEXAPI {_roff(name.upper())}", *_paragraphs(page), *_parts(page)]
    lines += [".SH EXIT STATUS", *_definitions((str(code), text) for code, text in EXIT_CODES)]
    lines += [".SH ENVIRONMENT", *_definitions(iter(ENVIRONMENT))]
    lines += ["`codexapi help environment` lists those of the settings too."]
    lines += [".SH FILES", *_definitions(iter([("~/.codex/auth.json", "the login, of Codex")]))]
    return "\n".join(lines) + "\n"


def _paragraphs(page: Page) -> Iterator[str]:
    for paragraph in page[0]:
        yield ".PP"
        yield _roff(paragraph)


def _parts(page: Page, heading: str = ".SS") -> Iterator[str]:
    for title, kind, content in page[1]:
        yield f"{heading} {_roff(title.upper() if heading == '.SH' else title)}"
        yield from _KINDS[kind](content)


def _definitions(rows: Iterator[tuple[str, str]]) -> Iterator[str]:
    for term, text in rows:
        yield ".TP"
        yield f".B {_roff(term.strip())}"
        yield _roff(text)


def _text(lines: list[str]) -> Iterator[str]:
    for line in lines:
        yield ".PP"
        yield _roff(line)


def _examples(lines: list[str]) -> Iterator[str]:
    yield ".nf"
    yield from (_roff(line) for line in lines)
    yield ".fi"


def _roff(text: str) -> str:
    """A text as roff prints it: a `-` that can be copied, and no request at the start of a line."""
    escaped = text.replace("\\", "\\e").replace("-", "\\-")
    escaped = "".join(c if c.isascii() else f"\\[u{ord(c):04X}]" for c in escaped)
    return f"\\&{escaped}" if escaped.startswith((".", "'")) else escaped


_KINDS: dict[str, Callable[[Any], Iterator[str]]] = {
    USAGE: lambda line: iter([_roff(line)]),
    TABLE: _definitions,
    TEXT: _text,
    EXAMPLES: _examples,
}

FILES: dict[Path, Callable[[], str]] = {
    ROOT / "docs" / "commands.md": commands,
    SHARE / "codexapi.1": manual,
    SHARE / "completions" / "codexapi.bash": lambda: SCRIPTS[Shell.BASH],
    SHARE / "completions" / "_codexapi": lambda: SCRIPTS[Shell.ZSH],
    SHARE / "completions" / "codexapi.fish": lambda: SCRIPTS[Shell.FISH],
}
"""What is written here, and by what."""
