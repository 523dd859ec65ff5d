"""`codexapi image`, as a script and as a person at a terminal see it."""

from __future__ import annotations

import asyncio
import json
import os
import re
import signal
import stat
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from tests import forks, unix
from tests.cli import shell
from tests.cli.shell import PATIENCE
from tests.drawn import mask, opened, picture
from tests.http_server.doors import listening
from tests.processes import Running, codexapi, environment, simulator

from codexapi_engine.simulator import Simulator
from codexapi_engine.simulator.asgi import app

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="sends signals, opens terminals")


def run(
    folder: Path, *arguments: str, demo: bool = True, env: dict[str, str] | None = None
) -> subprocess.CompletedProcess[bytes]:
    more = ("--demo",) if demo else ()
    return forks.run(
        codexapi("image", *more, *arguments), env=environment(**(env or {})), cwd=folder,
        stdin=subprocess.DEVNULL, capture_output=True, check=False,
    )  # fmt: skip


def files(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


@pytest.fixture
def backend(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    with simulator(tmp_path_factory.mktemp("login") / "codex") as running:
        yield running


def test_a_picture_is_in_the_file_and_its_path_on_stdout(tmp_path: Path) -> None:
    done = run(tmp_path, "a red fox", "-o", "fox.png")
    assert (done.returncode, done.stderr) == (0, b"")
    assert done.stdout.decode() == f"{tmp_path / 'fox.png'}\n"
    assert opened((tmp_path / "fox.png").read_bytes()).size == (1024, 1024)
    assert files(tmp_path) == ["fox.png"]


def test_without_a_name_it_gets_one_of_its_prompt_and_the_time(tmp_path: Path) -> None:
    done = run(tmp_path, "a", "Red", "fox")
    (name,) = files(tmp_path)
    assert name.startswith("a-red-fox-2")
    assert len(name) == len("a-red-fox-20261124-093000.png")
    assert done.stdout.decode() == f"{tmp_path / name}\n"


def test_a_folder_takes_it_too(tmp_path: Path) -> None:
    (tmp_path / "pictures").mkdir()
    done = run(tmp_path, "a fox", "-o", "pictures", "--format", "webp")
    (name,) = files(tmp_path / "pictures")
    assert done.stdout.decode() == f"{tmp_path / 'pictures' / name}\n"
    assert opened((tmp_path / "pictures" / name).read_bytes()).format == "WEBP"


@pytest.mark.parametrize(
    ("name", "kind"), [("a.png", "PNG"), ("a.jpg", "JPEG"), ("a.JPEG", "JPEG"), ("a.webp", "WEBP")]
)
def test_the_extension_decides_the_format(tmp_path: Path, name: str, kind: str) -> None:
    assert run(tmp_path, "a fox", "-o", name).returncode == 0
    assert opened((tmp_path / name).read_bytes()).format == kind


def test_an_exact_size_is_exact_and_any_other_is_told(tmp_path: Path) -> None:
    done = run(tmp_path, "x", "-o", "out.webp", "--size", "640x480", "--fit", "exact")
    assert (done.returncode, done.stderr) == (0, b"")
    image = opened((tmp_path / "out.webp").read_bytes())
    assert (image.format, image.size) == ("WEBP", (640, 480))
    done = run(tmp_path, "x", "-o", "out.png", "--size", "640x480")
    assert b"1536x1024" in done.stderr
    assert opened((tmp_path / "out.png").read_bytes()).size == (1536, 1024)


def test_a_clear_background_has_alpha(tmp_path: Path) -> None:
    assert run(tmp_path, "x", "-o", "out.png", "--background", "transparent").returncode == 0
    assert opened((tmp_path / "out.png").read_bytes()).mode == "RGBA"


def test_several_pictures_are_numbered(tmp_path: Path) -> None:
    done = run(tmp_path, "x", "-o", "out.png", "-n", "3")
    names = ["out-1.png", "out-2.png", "out-3.png"]
    assert files(tmp_path) == names
    assert done.stdout.decode().splitlines() == [str(tmp_path / name) for name in names]


def test_stdout_takes_the_bytes(tmp_path: Path) -> None:
    done = run(tmp_path, "x", "-o", "-", "--format", "jpeg")
    assert (done.returncode, done.stderr) == (0, b"")
    assert opened(done.stdout).format == "JPEG"
    assert files(tmp_path) == []


def test_json_tells_all_of_it(tmp_path: Path) -> None:
    done = run(tmp_path, "a fox", "-o", "out.png", "--json")
    told = json.loads(done.stdout)
    (image,) = told["images"]
    assert image["path"] == str(tmp_path / "out.png")
    assert (image["width"], image["height"], image["format"]) == (1024, 1024, "png")
    assert image["bytes"] == (tmp_path / "out.png").stat().st_size
    assert len(image["sha256"]) == 64
    assert image["revised_prompt"] == "a fox"
    assert told["model"] == "gpt-image-2"
    assert told["usage"]["total_tokens"] > 0


def test_the_prompt_that_it_was_made_from_is_told_when_asked_for(tmp_path: Path) -> None:
    done = run(tmp_path, "a fox", "-o", "out.png", "--show-prompt")
    assert done.stdout.decode() == f"{tmp_path / 'out.png'}\n"
    assert done.stderr == b"codexapi: drawn from: a fox\n"


def test_an_edit_takes_files_and_a_mask(tmp_path: Path) -> None:
    (tmp_path / "in.png").write_bytes(picture())
    (tmp_path / "two.jpg").write_bytes(picture("jpeg"))
    (tmp_path / "mask.png").write_bytes(mask())
    done = run(tmp_path, "in snow", "-i", "in.png", "-i", "two.jpg", "-o", "out.png", "--json")
    assert json.loads(done.stdout)["usage"]["input_tokens_details"]["image_tokens"] > 0
    done = run(tmp_path, "in snow", "-i", "in.png", "--mask", "mask.png", "-o", "masked.png")
    assert (done.returncode, done.stderr) == (0, b"")


# What is wrong is found before anything is spent


def test_an_existing_file_is_never_touched_and_no_request_is_made(
    tmp_path: Path, backend: Running
) -> None:
    path = tmp_path / "fox.png"
    path.write_bytes(b"mine")
    (tmp_path / "many-2.png").symlink_to("nowhere")
    # A backend that would fail the command with another code, if it were asked at all.
    env = {**backend.env, "CODEXAPI_BASE_URL": "http://127.0.0.1:1"}
    for arguments in (("-o", "fox.png"), ("-o", "many.png", "-n", "2")):
        done = run(tmp_path, "a fox", *arguments, demo=False, env=env)
        assert (done.returncode, done.stdout) == (7, b"")
        assert b"--force" in done.stderr
    assert path.read_bytes() == b"mine"
    assert run(tmp_path, "a fox", "-o", "fox.png", "--force").returncode == 0
    assert opened(path.read_bytes()).format == "PNG"


@pytest.mark.parametrize(
    ("arguments", "code", "word"),
    [
        ((), 2, "PROMPT"),
        (("  ",), 2, "prompt"),
        (("x", "-o", "out.bmp"), 2, "--output"),
        (("x", "-o", "out"), 2, "--output"),
        (("x", "-o", "out.png", "--format", "webp"), 2, "--format"),
        (("x", "--format", "gif"), 2, "--format"),
        (("x", "-o", "-", "-n", "2"), 2, "--output"),
        (("x", "-o", "-", "--open"), 2, "--open"),
        (("x", "--size", "big"), 2, "--size"),
        (("x", "--fit", "exact"), 2, "--size"),
        (("x", "--fit", "some"), 2, "--fit"),
        (("x", "--quality", "ultra"), 2, "--quality"),
        (("x", "-o", "out.jpg", "--background", "transparent"), 2, "--background"),
        (("x", "--mask", "mask.png"), 2, "--input"),
        (("x", "-n", "11"), 2, "-n"),
        (("x", "-o", "no/such/out.png"), 7, "no such folder"),
        (("x", "-o", "no/"), 7, "no such folder"),
        (("x", "-o", "~no-such-user/out.png"), 7, "no such folder"),
        (("x", "-i", "absent.png"), 7, "absent.png"),
        (("x", "-i", "~no-such-user/absent.png"), 7, "absent.png"),
        (("x", "-i", "."), 7, "."),
        (("x", "-i", "text.txt"), 6, "--input"),
        (("x", "-i", "https://127.0.0.1/a.png"), 6, "--input"),
        (("x", "-i", "http://example.org/a.png"), 6, "--input"),
    ],
)
def test_each_mistake_has_its_exit_code_and_leaves_no_file(
    tmp_path: Path, arguments: tuple[str, ...], code: int, word: str
) -> None:
    (tmp_path / "text.txt").write_text("no picture")
    done = run(tmp_path, *arguments)
    assert (done.returncode, done.stdout) == (code, b"")
    assert word in done.stderr.decode()
    assert files(tmp_path) == ["text.txt"]


@pytest.mark.skipif(unix.is_root(), reason="root may write anywhere")
def test_a_folder_that_may_not_be_written_to_is_found_first(tmp_path: Path) -> None:
    tmp_path.chmod(stat.S_IRUSR | stat.S_IXUSR)
    assert run(tmp_path, "x", "-o", "out.png").returncode == 7


@pytest.mark.parametrize(
    ("script", "code"),
    [
        ("blocked", 1),
        ("status usage_limit_reached", 4),
        ("status bad_gateway", 5),
        ("status model_not_found", 6),
    ],
)
def test_each_failure_has_its_exit_code_and_leaves_no_file(
    tmp_path: Path, script: str, code: int
) -> None:
    done = run(tmp_path, f"x [[{script}]]", "-o", "out.png")
    assert (done.returncode, done.stdout) == (code, b"")
    assert done.stderr.startswith(b"codexapi: ")
    assert files(tmp_path) == []


def test_without_a_login_it_says_what_to_run(tmp_path: Path) -> None:
    empty = {"CODEX_HOME": str(tmp_path / "none"), "HOME": str(tmp_path)}
    done = run(tmp_path, "x", demo=False, env=empty)
    assert done.returncode == 3
    assert b"codex login" in done.stderr


def test_what_was_paid_for_is_kept_where_another_picture_fails(
    tmp_path: Path, backend: Running
) -> None:
    # The first of two requests with this prompt is refused.
    done = run(
        tmp_path, "x [[status moderation_blocked 1]]", "-n", "2", "-o", "out.png",
        demo=False, env=backend.env,
    )  # fmt: skip
    assert done.returncode == 1
    (name,) = files(tmp_path)
    assert done.stdout.decode() == f"{tmp_path / name}\n"


# At a terminal


def test_ctrl_c_at_a_terminal_leaves_no_file(tmp_path: Path, backend: Running) -> None:
    pexpect = pytest.importorskip("pexpect")
    child = forks.spawn(
        codexapi("image", "[[silence 600]]", "-o", "out.png", "-m", "gpt-image-2"),
        env=environment(**backend.env, TERM="xterm"), cwd=tmp_path,
    )  # fmt: skip
    try:
        child.expect("drawing, [0-9]+ s")
        child.sendintr()
        child.expect(pexpect.EOF)
        child.close()
    finally:
        child.close(force=True)
    assert child.exitstatus == 130
    assert files(tmp_path) == []


async def test_ctrl_c_ends_the_drawing_at_the_backend(tmp_path: Path) -> None:
    waiting, left = asyncio.Event(), asyncio.Event()

    async def sleep(seconds: float) -> None:
        waiting.set()
        try:
            await asyncio.Event().wait()
        finally:
            left.set()

    backend = Simulator(sleep=sleep)
    (tmp_path / "codex").mkdir()
    (tmp_path / "codex" / "auth.json").write_bytes(backend.login())
    async with listening(app(backend)) as port:
        env = {
            "CODEX_HOME": str(tmp_path / "codex"),
            "CODEXAPI_BASE_URL": f"http://127.0.0.1:{port}/backend-api/codex",
        }
        process = await forks.execute(
            *codexapi("image", "[[silence 600]]", "-o", "out.png"),
            env=environment(**env), cwd=tmp_path, stdin=subprocess.DEVNULL,
        )  # fmt: skip
        try:
            await waiting.wait()
            process.send_signal(signal.SIGINT)
            await left.wait()
            assert await process.wait() == 130
        finally:
            if process.returncode is None:
                process.kill()
                await process.wait()
    assert files(tmp_path) == ["codex"]
    assert backend.cancelled == 1


def test_partial_pictures_are_counted_on_a_terminal_alone(tmp_path: Path, backend: Running) -> None:
    pexpect = pytest.importorskip("pexpect")
    (tmp_path / "in.png").write_bytes(picture())
    (tmp_path / "mask.png").write_bytes(mask())
    arguments = ["-i", "in.png", "--mask", "mask.png", "-o", "out.png"]
    child = forks.spawn(
        codexapi("image", "x [[slow 1.5]]", *arguments),
        env=environment(**backend.env, TERM="xterm"), cwd=tmp_path,
    )  # fmt: skip
    try:
        child.expect("drawing, [0-9]+ s, 1 partial")
        child.expect("out.png")
        child.expect(pexpect.EOF)
        child.close()
    finally:
        child.close(force=True)
    assert child.exitstatus == 0
    assert opened((tmp_path / "out.png").read_bytes()).format == "PNG"


def test_a_terminal_is_no_place_for_bytes(tmp_path: Path) -> None:
    pexpect = pytest.importorskip("pexpect")
    command = codexapi("image", "--demo", "x", "-o", "-")
    child = forks.spawn(command, env=environment(TERM="xterm"), cwd=tmp_path)
    child.expect("--output")
    child.expect(pexpect.EOF)
    child.close()
    assert child.exitstatus == 2


@pytest.mark.parametrize(
    ("env", "begins"),
    [
        ({"TERM": "xterm-kitty"}, "\x1b_Ga=T,f=100,"),
        ({"TERM_PROGRAM": "WezTerm"}, "\x1b]1337;File=inline=1;size="),
        ({"TERM_PROGRAM": "WezTerm", "TMUX": "x"}, None),
        ({"TERM": "xterm"}, None),
    ],
)
def test_a_terminal_that_can_show_it_shows_it(
    tmp_path: Path, env: dict[str, str], begins: str | None
) -> None:
    pexpect = pytest.importorskip("pexpect")
    command = codexapi("image", "--demo", "x", "-o", "out.webp")
    given = {
        name: value
        for name, value in environment().items()
        if name not in ("CI", "TMUX", "STY", "TERM", "TERM_PROGRAM", "KITTY_WINDOW_ID")
    }
    child = forks.spawn(command, env={**given, **env}, cwd=tmp_path)
    child.expect(pexpect.EOF)
    child.close()
    shown = child.before.decode("latin-1")
    assert child.exitstatus == 0
    assert "out.webp" in shown
    if begins is None:
        assert "\x1b_G" not in shown
        assert "\x1b]" not in shown
    else:
        assert begins in shown


def at_a_terminal(folder: Path, *arguments: str, **env: str) -> Any:
    command = codexapi("image", "--demo", "x", "-o", "out.webp", *arguments)
    names = ("CI", "TMUX", "STY", "TERM", "TERM_PROGRAM", "KITTY_WINDOW_ID")
    kept = {name: value for name, value in environment().items() if name not in names}
    return forks.spawn(command, env={**kept, **env}, cwd=folder, encoding="latin-1")


def test_a_terminal_that_says_that_it_knows_sixel_gets_it(tmp_path: Path) -> None:
    child = at_a_terminal(tmp_path, TERM="xterm-256color")
    child.expect_exact("\x1b[c")
    child.send("\x1b[?62;4;22c")
    child.expect_exact("\x1bP0;1;0q")
    child.expect_exact("\x1b\\")
    child.expect_exact(child.delimiter)
    child.close()
    assert child.exitstatus == 0


@pytest.mark.parametrize("answer", ["\x1b[?62;22c", "\x1b[?1;", "x", ""])
def test_a_terminal_that_says_no_or_nothing_is_waited_for_a_moment_alone(
    tmp_path: Path, answer: str
) -> None:
    child = at_a_terminal(tmp_path, TERM="xterm-256color")
    child.expect_exact("\x1b[c")
    child.send(answer)
    child.expect_exact(child.delimiter)
    child.close()
    assert child.exitstatus == 0
    assert "\x1bP" not in child.before


@pytest.mark.parametrize(
    "env", [{"CI": "1"}, {"TMUX": "x"}, {"TERM": "screen"}, {"TERM": "dumb"}], ids=str
)
def test_no_terminal_is_asked_where_none_would_show_it(tmp_path: Path, env: dict[str, str]) -> None:
    child = at_a_terminal(tmp_path, **{"TERM": "xterm-256color", **env})
    shown = child.read()
    child.close()
    assert child.exitstatus == 0
    assert not re.search("\x1b(?:\\[c|P|_|])", shown)


def test_in_tmux_a_wish_is_no_garbage_either(tmp_path: Path) -> None:
    child = at_a_terminal(tmp_path, "--preview", "kitty", TERM="xterm-256color", TMUX="x")
    shown = child.read()
    child.close()
    assert child.exitstatus == 0
    assert "no preview" in shown
    assert not re.search("\x1b(?:P|_|])", shown)


def test_a_pipe_has_the_path_alone(tmp_path: Path) -> None:
    done = run(tmp_path, "x", "-o", "out.png", env={"TERM": "xterm-kitty"})
    assert done.stdout.decode() == f"{tmp_path / 'out.png'}\n"


@pytest.fixture
def opener(tmp_path: Path) -> Path:
    """A desktop's opener, which writes down what it opens."""
    folder = tmp_path / "programs"
    folder.mkdir()
    program = folder / ("open" if sys.platform == "darwin" else "xdg-open")
    program.write_text(f'#!/bin/sh\necho "$@" > {folder / "seen"}\nexit $CODE\n')
    program.chmod(0o755)
    return folder


@pytest.mark.parametrize("code", ["0", "3"])
def test_the_picture_is_opened_when_it_is_there(tmp_path: Path, opener: Path, code: str) -> None:
    env = {"PATH": f"{opener}:/bin:/usr/bin", "CODE": code}
    done = run(tmp_path, "x", "-o", "a fox.png", "--open", env=env)
    assert done.returncode == 0
    assert done.stdout.decode() == f"{tmp_path / 'a fox.png'}\n"
    assert (opener / "seen").read_text() == f"{tmp_path / 'a fox.png'}\n"
    assert done.stderr.count(b"\n") == (1 if code != "0" else 0)
    assert (b"--open" in done.stderr) is (code != "0")


def test_without_an_opener_a_line_says_so(tmp_path: Path) -> None:
    done = run(tmp_path, "x", "-o", "fox.png", "--open", env={"PATH": str(tmp_path)})
    assert done.returncode == 0
    assert opened((tmp_path / "fox.png").read_bytes()).format == "PNG"
    assert done.stderr.startswith(b"codexapi: --open: there is no ")
    assert done.stderr.count(b"\n") == 1


@pytest.mark.parametrize("bytes_", [240, 255, 256, 300])
def test_a_long_name_is_taken_or_refused_before_anything_is_asked(
    tmp_path: Path, backend: Running, bytes_: int
) -> None:
    name = "x" * (bytes_ - 4) + ".png"
    if bytes_ <= 255:
        assert run(tmp_path, "a fox", "-o", name).returncode == 0
        assert opened((tmp_path / name).read_bytes()).format == "PNG"
        return
    env = {**backend.env, "CODEXAPI_BASE_URL": "http://127.0.0.1:1"}
    done = run(tmp_path, "a fox", "-o", name, demo=False, env=env)
    assert (done.returncode, done.stdout) == (7, b"")
    assert b"too long" in done.stderr
    assert done.stderr.count(b"\n") == 1


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="a device of Linux")
def test_a_picture_that_stdout_does_not_take_is_kept(tmp_path: Path) -> None:
    with open("/dev/full", "wb") as full:
        done = forks.run(
            codexapi("image", "--demo", "a fox", "-o", "-"), stdin=subprocess.DEVNULL, stdout=full,
            stderr=subprocess.PIPE, env=environment(CODEXAPI_STATE_DIR=str(tmp_path)), check=False,
        )  # fmt: skip
    assert done.returncode == 7
    (kept,) = (tmp_path / "unsaved").iterdir()
    assert str(kept).encode() in done.stderr
    assert kept.read_bytes().startswith(b"\x89PNG")


def test_a_picture_that_nobody_reads_is_kept(tmp_path: Path) -> None:
    with shell.pipe_without_reader() as stdout:
        done = forks.run(
            codexapi("image", "--demo", "a fox", "-o", "-"), stdin=subprocess.DEVNULL,
            stdout=stdout, stderr=subprocess.PIPE, timeout=PATIENCE,
            env=environment(CODEXAPI_STATE_DIR=str(tmp_path)),
        )  # fmt: skip
    assert done.returncode == 141
    (kept,) = (tmp_path / "unsaved").iterdir()
    assert done.stderr.decode() == f"codexapi: nobody reads stdout; the picture is {kept}\n"
    assert kept.read_bytes().startswith(b"\x89PNG")


def test_a_picture_to_edit_may_be_piped_in(tmp_path: Path) -> None:
    first, second = tmp_path / "first.png", tmp_path / "second.png"
    assert shell.run("image", "--demo", "a fox", "-o", str(first)).returncode == 0
    done = shell.run(
        "image", "--demo", "in snow", "-i", "-", "-o", str(second), stdin=first.read_bytes()
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert second.read_bytes().startswith(b"\x89PNG")
    done = shell.run("image", "--demo", "in snow", "-i", "-", "-o", str(tmp_path / "third.png"))
    assert (done.returncode, "nothing on stdin" in done.stderr) == (2, True)
