from __future__ import annotations

import os
import stat
import sys
from pathlib import Path

import pytest

from codexapi_engine import album
from codexapi_engine.pictures import MAX_BYTES


@pytest.mark.parametrize(
    ("prompt", "name"),
    [
        ("a red fox", "a-red-fox-1.png"),
        ("  A *Red*\nFox!  ", "a-red-fox-1.png"),
        ("../../etc/passwd", "etc-passwd-1.png"),
        ("狐", "picture-1.png"),
        ("word " * 50, "word-word-word-word-word-word-word-word-1.png"),
        ("x" * 300, "picture-1.png"),
    ],
)
def test_a_name_is_words_of_the_prompt(prompt: str, name: str) -> None:
    assert album.name_for(prompt, "1", "png") == name


def test_each_format_has_its_extension() -> None:
    assert [album.extension(kind) for kind in ("png", "jpeg", "webp")] == [".png", ".jpg", ".webp"]


def test_several_pictures_are_numbered() -> None:
    path = Path("/a/fox.png")
    assert album.numbered(path, 1) == [path]
    assert [one.name for one in album.numbered(path, 2)] == ["fox-1.png", "fox-2.png"]


def test_a_picture_is_saved_and_nothing_else_is_left(tmp_path: Path) -> None:
    path = tmp_path / "fox.png"
    assert album.save(path, b"one") == path
    assert path.read_bytes() == b"one"
    assert os.listdir(tmp_path) == ["fox.png"]


def test_what_is_there_is_never_touched(tmp_path: Path) -> None:
    path = tmp_path / "fox.png"
    path.write_bytes(b"mine")
    (tmp_path / "fox-2.png").symlink_to("nowhere")
    assert album.save(path, b"new") == tmp_path / "fox-3.png"
    assert path.read_bytes() == b"mine"
    assert (tmp_path / "fox-3.png").read_bytes() == b"new"


def test_it_is_written_over_where_that_was_asked_for(tmp_path: Path) -> None:
    path = tmp_path / "fox.png"
    path.write_bytes(b"mine")
    assert album.save(path, b"new", over=True) == path
    assert path.read_bytes() == b"new"
    assert os.listdir(tmp_path) == ["fox.png"]


@pytest.mark.skipif(sys.platform == "win32", reason="the umask is Unix's")
def test_a_picture_is_the_users_file_like_any_other(tmp_path: Path) -> None:
    before = os.umask(0o022)
    try:
        album.save(tmp_path / "fox.png", b"x")
    finally:
        os.umask(before)
    assert stat.S_IMODE((tmp_path / "fox.png").stat().st_mode) == 0o644


def test_a_folder_that_is_not_there_leaves_nothing(tmp_path: Path) -> None:
    with pytest.raises(OSError, match="No such file"):
        album.save(tmp_path / "no" / "fox.png", b"x")
    assert not os.listdir(tmp_path)


def test_no_more_of_a_file_is_read_than_would_be_taken(tmp_path: Path) -> None:
    path = tmp_path / "huge.png"
    with path.open("wb") as file:
        file.truncate(MAX_BYTES * 3)
    assert len(album.load(path, "image").data) == MAX_BYTES + 1


def test_pictures_go_to_the_users_folder_for_them_or_to_ours(tmp_path: Path) -> None:
    state = tmp_path / "state"
    assert album.default_folder(state, tmp_path) == state / "codexapi"
    (tmp_path / "Pictures").mkdir()
    assert album.default_folder(state, tmp_path) == tmp_path / "Pictures" / "codexapi"
