"""Which files belong to the login, whatever they are called."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from codexapi_engine.login.login_files import LoginFiles


def belongs(path: Path | str, folder: Path) -> bool:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        return LoginFiles(folder / "codex", folder / "state").has(path, descriptor)
    finally:
        os.close(descriptor)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for name in ("codex/auth.json", "codex/.auth.json.codexapi-1-2.tmp", "codex/.credentials.json",
                 "codex/sessions/1.jsonl", "codex/generated_images/fox.png", "codex/config.toml",
                 "state/.auth.json.codexapi-spent", "state/login/0a/.auth.json.codexapi-1.tmp",
                 "state/login/0a/deeper/tokens", "state/fox.png", "notes.txt"):  # fmt: skip
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text("canary")
    return tmp_path


@pytest.mark.parametrize(
    "name",
    [
        "codex/auth.json", "codex/.auth.json.codexapi-1-2.tmp", "codex/.credentials.json",
        "codex/sessions/1.jsonl", "codex/config.toml", "state/.auth.json.codexapi-spent",
        "state/login/0a/.auth.json.codexapi-1.tmp", "state/login/0a/deeper/tokens",
        "codex/../codex/auth.json",
    ],
)  # fmt: skip
def test_what_the_folder_of_a_login_holds_is_its_own(folder: Path, name: str) -> None:
    (folder / "symbolic").symlink_to(folder / name)
    assert belongs(folder / name, folder)
    assert belongs(folder / "symbolic", folder)


@pytest.mark.parametrize(
    "name",
    ["codex/auth.json", "codex/.auth.json.codexapi-1-2.tmp", "codex/.credentials.json",
     "codex/sessions/1.jsonl", "state/.auth.json.codexapi-spent",
     "state/login/0a/.auth.json.codexapi-1.tmp", "state/login/0a/deeper/tokens"],
)  # fmt: skip
def test_a_hard_link_to_a_login_is_one(folder: Path, name: str) -> None:
    (folder / "hard").hardlink_to(folder / name)
    assert belongs(folder / "hard", folder)


def test_the_folder_by_another_name_is_the_folder(folder: Path) -> None:
    (folder / "alias").symlink_to(folder / "codex")
    assert belongs(folder / "alias" / "sessions" / "1.jsonl", folder)
    (folder / "codex").rename(folder / "real")
    (folder / "codex").symlink_to(folder / "real")
    assert belongs(folder / "real" / "auth.json", folder)


def test_a_login_that_is_a_link_has_its_copies_beside_the_real_file(folder: Path) -> None:
    (folder / "elsewhere").mkdir()
    for name in ("login.json", ".login.json.codexapi-1.tmp", ".auth.json.codexapi-1.tmp", "other"):
        (folder / "elsewhere" / name).write_text("canary")
    (folder / "codex" / "auth.json").unlink()
    (folder / "codex" / "auth.json").symlink_to(folder / "elsewhere" / "login.json")
    found = {path.name for path in (folder / "elsewhere").iterdir() if belongs(path, folder)}
    assert found == {"login.json", ".login.json.codexapi-1.tmp", ".auth.json.codexapi-1.tmp"}


@pytest.mark.parametrize("name", ["notes.txt", "state/fox.png", "codex/generated_images/fox.png"])
def test_all_else_is_the_users(folder: Path, name: str) -> None:
    (folder / "hard").hardlink_to(folder / name)
    assert not belongs(folder / name, folder)
    assert not belongs(folder / "hard", folder)


def test_settings_that_the_user_keeps_elsewhere_are_the_users(folder: Path) -> None:
    (folder / "codex" / "AGENTS.md").symlink_to(folder / "notes.txt")
    assert not belongs(folder / "notes.txt", folder)


def test_without_a_folder_nothing_belongs_to_it(folder: Path) -> None:
    descriptor = os.open(folder / "notes.txt", os.O_RDONLY)
    assert not LoginFiles(folder / "none", folder / "none").has(folder / "notes.txt", descriptor)
    os.close(descriptor)


@pytest.mark.skipif(not os.path.exists("/proc/self/environ"), reason="Linux has it")
def test_the_environment_of_a_process_may_hold_a_token(folder: Path) -> None:
    assert belongs("/proc/self/environ", folder)
