"""Answers in a pipe, messages, and a terminal in tmux."""

from __future__ import annotations

import os
import re
import shutil
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from tests import unix
from tests.cli.drawn_screens import never_too_early
from tests.cli.screens import Tmux, tmux
from tests.cli.shell import plain, run, shown
from tests.processes import ROOT, codexapi

from codexapi_cli.terminal.markdown import Markdown, Screen

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="draws as terminals elsewhere do")


needs_tmux = pytest.mark.skipif(shutil.which("tmux") is None, reason="needs tmux")


# In a pipe


MARKED = "[[slow 0.01]] [[say # Title\n\nSome **bold** words\n\n```sh\nls\n```]]"


@pytest.mark.parametrize(
    ("more", "env"), [((), {}), (("--color", "always"), {}), ((), {"FORCE_COLOR": "1"})]
)
def test_markdown_in_a_pipe_is_finished_blocks_with_their_looks(
    more: tuple[str, ...], env: dict[str, str]
) -> None:
    done = run("chat", "--demo", "--md", *more, MARKED, env=env)
    assert plain(done.stdout) == "Title\n\nSome bold words\n\nsh\nls\n"
    assert "\x1b[1mbold\x1b[0m" in done.stdout


@pytest.mark.parametrize(
    ("more", "env"), [(("--color", "never"), {}), ((), {"NO_COLOR": "1"}), ((), {"TERM": "dumb"})]
)
def test_markdown_in_a_pipe_without_colours_has_no_sequence(
    more: tuple[str, ...], env: dict[str, str]
) -> None:
    done = run("chat", "--demo", "--md", *more, MARKED, env=env)
    assert done.stdout == "Title\n\nSome bold words\n\nsh\nls\n"


def test_markdown_in_a_pipe_is_there_when_a_block_is_finished() -> None:
    written: list[str] = []
    size = os.terminal_size((80, 24))
    answer = Markdown(Screen(written.append, lambda: size, False, False), clock=never_too_early)
    answer.write("one\n\ntw")
    assert written == ["one\n"]
    answer.end()
    assert written[1:] == ["\ntw\n"]


# Messages


def test_a_message_on_a_narrow_terminal_breaks_no_word() -> None:
    code, said = shown("chat", "--demo", "--cid", "none", "x", width=40)
    assert code == 2
    lines = plain(said).split("\n")
    assert all(len(line) <= 40 for line in lines)
    assert "no such chat" in " ".join(plain(said).split())


# In tmux


PIECES = """
import os, signal, sys, tty
from codexapi_cli.terminal.markdown import Markdown

signal.signal(signal.SIGWINCH, lambda *_: None)
signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGWINCH})
print("top", flush=True)
tty.setcbreak(0)

def shown():
    os.write(1, b"\\x1b[6n")  # tmux answers when it has shown what came before
    while not os.read(0, 100).endswith(b"R"):
        pass

answer = Markdown(clock=lambda: float("inf"))
with open(sys.argv[1]) as pieces, open(sys.argv[2], "w") as done:
    for line in pieces:
        name, _, rest = line.rstrip("\\n").partition(" ")
        if name == "width":
            while os.get_terminal_size().columns != int(rest):
                signal.sigwait({signal.SIGWINCH})
        else:
            answer.write(rest.replace("~", "\\n"))
        shown()
        print("done", file=done, flush=True)
answer.end()
"""


@contextmanager
def drawing_in_tmux(
    folder: Path, columns: int, lines: int = 24
) -> Iterator[tuple[Tmux, Callable[[str], None], Callable[[], None]]]:
    """Markdown that is drawn in a tmux, piece by piece: each is drawn when the call returns; and
    what ends it."""
    for name in ("pieces", "done"):
        unix.make_fifo(folder / name)
    (folder / "program.py").write_text(PIECES)
    command = f"{sys.executable} program.py pieces done"
    with tmux(folder, f"cd {folder}; {command}", columns=columns, lines=lines) as window:
        with (folder / "pieces").open("w") as pieces, (folder / "done").open() as done:

            def tell(line: str) -> None:
                print(line, file=pieces, flush=True)
                assert done.readline() == "done\n"

            def finish() -> None:
                pieces.close()
                window("wait-for", "ended")

            yield window, tell, finish


@needs_tmux
@pytest.mark.parametrize("start", ["", "clear; "], ids=["below", "at the top"])
def test_tmux_keeps_each_line_once(tmp_path: Path, start: str) -> None:
    answer = "[[slow 0.002]] [[long 400]]"
    command = f"{start}{' '.join(codexapi('chat', '--demo', '--no-log'))} '{answer}'"
    with tmux(tmp_path, f"cd {ROOT}; {command}", columns=60, lines=10) as window:
        window("wait-for", "ended")
        assert " ".join(window.history()).split() == [str(n) for n in range(1, 401)]


@needs_tmux
@pytest.mark.parametrize(
    ("head", "row"),
    [
        ("| a | b |~|---|---|~", "| row{} | x |~"),
        ("```py~", "row{} = 1~"),
        ("", "- row{}~  text~"),
        ("", "> row{}~"),
    ],
    ids=["table", "code", "list", "quote"],
)
def test_tmux_keeps_each_row_of_a_tall_block_once(tmp_path: Path, head: str, row: str) -> None:
    with drawing_in_tmux(tmp_path, 40, lines=10) as (window, tell, finish):
        tell(f"write {head}")
        for number in range(30):
            tell("write " + row.format(f"{number:02}"))
        finish()
        shown = re.findall(r"row(\d\d)", "\n".join(window.history()))
    assert shown == [f"{number:02}" for number in range(30)]


@needs_tmux
@pytest.mark.parametrize("columns", [(100, 50, 30), (30, 60, 120)], ids=["narrower", "wider"])
def test_a_resize_leaves_no_copy_in_tmux(tmp_path: Path, columns: tuple[int, ...]) -> None:
    words = iter([f"word{n:02}" for n in range(99)])
    with drawing_in_tmux(tmp_path, columns[0]) as (window, tell, finish):
        for width in columns:
            window("resize-window", "-t", "window", "-x", str(width))
            tell(f"width {width}")
            tell("write " + "".join(f"{next(words)} " for _ in range(15)))
        finish()
        assert " ".join(window.history(joined=True)).split() == [
            "top",
            *(f"word{n:02}" for n in range(45)),
        ]


@needs_tmux
@pytest.mark.parametrize(
    ("pieces", "rows"),
    [
        (
            ["- item " + "word " * 10, "more " * 10, "end " * 10],
            ["• item" + " word" * 4, "  word" + " word" * 4, "  word" + " more" * 4,
             "  more" + " more" * 4, "  more end end end end end end", "  end end end end"],
        ),
        (
            ["some **bold ", "text is " * 8, "here** done"],
            ["some bold text is text is text", "is text is text is text is", "text is text is here done"],
        ),
        (
            ["| a | b |~|---|---|~| " + "cell " * 9 + "| x |", "~| y | z |", "~| q | r |"],
            ["a                          │ b", "cell cell cell cell cell   │ x",
             "cell cell cell cell        │", "y                          │ z",
             "q                          │ r"],
        ),
    ],
    ids=["list", "bold", "table"],
)  # fmt: skip
def test_a_narrower_window_leaves_no_copy_of_other_blocks(
    tmp_path: Path, pieces: list[str], rows: list[str]
) -> None:
    with drawing_in_tmux(tmp_path, 100) as (window, tell, finish):
        for width, piece in zip((100, 50, 30), pieces, strict=True):
            window("resize-window", "-t", "window", "-x", str(width))
            tell(f"width {width}")
            tell(f"write {piece}")
        finish()
        shown = [row for row in window.history() if "─" not in row]
    assert shown == ["top", *rows]


@needs_tmux
def test_a_long_line_of_code_is_one_line_for_who_selects_it(tmp_path: Path) -> None:
    line = "curl -X POST https://example.com/" + "a" * 100 + " -d x"
    with drawing_in_tmux(tmp_path, 50) as (window, tell, finish):
        tell(f"write Run~~1. this:~   ```sh~   {line}~   ```~~```sh~{line}~```~")
        finish()
        assert window.history(joined=True).count(line) == 2
