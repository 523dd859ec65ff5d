"""`codexapi transcribe`, as a script sees it."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.audio_files import flac, scripted, wav
from tests.cli.shell import run, shown
from tests.processes import Running, simulator

from codexapi_engine.bounds import MAX_AUDIO_BYTES, MIB

LONG = wav([1, 2] * 50, pause=80)


@pytest.fixture(scope="module")
def backend(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    with simulator(tmp_path_factory.mktemp("login") / "codex") as running:
        yield running


def saved(folder: Path, name: str, data: bytes) -> str:
    (folder / name).write_bytes(data)
    return str(folder / name)


def test_what_is_said_is_on_stdout_and_nothing_else_anywhere(
    backend: Running, tmp_path: Path
) -> None:
    name = saved(tmp_path, "memo.wav", wav([1, 2]))
    done = run("transcribe", name, "--language", "en", env=backend.env)
    assert (done.returncode, done.stdout, done.stderr) == (0, "two three\n", "")
    done = run("transcribe", "-", "--json", stdin=wav([1, 2]), env=backend.env)
    assert json.loads(done.stdout) == {"file": "-", "text": "two three", "warning": None}


def test_several_files_have_a_heading_or_a_line_each(backend: Running, tmp_path: Path) -> None:
    names = [saved(tmp_path, f"{n}.wav", wav([n])) for n in (1, 2)]
    done = run("transcribe", *names, env=backend.env)
    assert done.stdout == f"==> {names[0]} <==\ntwo\n\n==> {names[1]} <==\nthree\n"
    done = run("transcribe", "--json", *names, env=backend.env)
    assert [json.loads(line)["text"] for line in done.stdout.splitlines()] == ["two", "three"]


def test_a_long_audio_file_is_warned_of_and_split_on_demand(
    backend: Running, tmp_path: Path
) -> None:
    name = saved(tmp_path, "long.wav", LONG)
    done = run("transcribe", name, env=backend.env)
    assert len(done.stdout.split()) == 86
    assert "100 s" in done.stderr
    assert "--split" in done.stderr
    done = run("transcribe", "--split", name, env=backend.env)
    assert (len(done.stdout.split()), done.stderr) == (100, "")
    done = run("transcribe", "--split", saved(tmp_path, "a.flac", flac(90)), env=backend.env)
    assert "90 s" in done.stderr, "it cannot be cut"


def test_silence_is_an_empty_line_and_a_note(backend: Running) -> None:
    done = run("transcribe", "-", stdin=wav([0]), env=backend.env)
    assert (done.returncode, done.stdout) == (0, "\n")
    assert done.stderr == "codexapi: -: nothing is said in it\n"


@pytest.mark.parametrize(
    ("script", "code", "words"),
    [
        ("[[status cloudflare]]", 5, "Cloudflare"),
        ("[[status unauthorized_detail]]", 3, "the login is as it was"),
        ("[[status usage_limit_reached]]", 4, "usage limit"),
        ("[[html]]", 5, "not a JSON object"),
    ],
)
def test_each_failure_has_its_exit_code_and_a_sentence(
    backend: Running, script: str, code: int, words: str
) -> None:
    done = run("transcribe", "-", stdin=scripted(script), env=backend.env)
    assert (done.returncode, done.stdout, done.stderr.count("\n")) == (code, "", 1), done.stderr
    assert words in done.stderr


def test_all_files_are_looked_at_before_anything_is_sent(tmp_path: Path) -> None:
    (tmp_path / "codex").mkdir()
    good, empty = saved(tmp_path, "a.wav", wav([1])), saved(tmp_path, "b.wav", b"")
    large, login = (
        saved(tmp_path, "c.wav", bytes(MAX_AUDIO_BYTES + 1)),
        saved(tmp_path / "codex", "auth.json", b"{}"),
    )
    env = {"CODEX_HOME": str(tmp_path / "codex")}
    for name, code, words in (
        (empty, 7, "it is empty"),
        (large, 7, f"more than {MAX_AUDIO_BYTES // MIB} MiB"),
        (str(tmp_path / "none.wav"), 7, "No such file"),
        (login, 2, "part of your login"),
    ):
        done = run("transcribe", "--demo", good, name, env=env)
        assert (done.returncode, done.stdout) == (code, ""), name
        assert words in done.stderr


def test_on_a_terminal_it_says_that_it_works(backend: Running, tmp_path: Path) -> None:
    name = saved(tmp_path, "memo.wav", wav([1, 2]))
    code, said = shown("transcribe", name, env=backend.env)
    assert code == 0
    assert "transcribing 1 of 1" in said
    assert said.endswith("two three\n")
