from __future__ import annotations

from pathlib import Path

import pytest

from codexapi_engine.bounds import MAX_FILE_BYTES
from codexapi_engine.images import image_files
from codexapi_engine.login.login_files import LoginFiles


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
    assert image_files.name_for(prompt, "1", "png") == name


def test_each_format_has_its_extension() -> None:
    assert [image_files.extension(kind) for kind in ("png", "jpeg", "webp")] == [
        ".png",
        ".jpg",
        ".webp",
    ]


def test_several_pictures_are_numbered() -> None:
    path = Path("/a/fox.png")
    assert image_files.numbered(path, 1) == [path]
    assert [one.name for one in image_files.numbered(path, 2)] == ["fox-1.png", "fox-2.png"]


def test_no_more_of_a_file_is_read_than_would_be_taken(tmp_path: Path) -> None:
    path = tmp_path / "huge.png"
    with path.open("wb") as file:
        file.truncate(MAX_FILE_BYTES * 3)
    assert (
        len(image_files.load(path, "image", LoginFiles(tmp_path / "none", tmp_path / "none")).data)
        == MAX_FILE_BYTES + 1
    )


def test_pictures_go_to_the_users_folder_for_them_or_to_ours(tmp_path: Path) -> None:
    state = tmp_path / "state"
    assert image_files.default_folder(state, tmp_path) == state / "pictures"
    (tmp_path / "Pictures").mkdir()
    assert image_files.default_folder(state, tmp_path) == tmp_path / "Pictures" / "codexapi"
