from __future__ import annotations

import stat
import sys
from pathlib import Path

import pytest
from tests.clock import Clock

from codexapi_engine.bounds import IMAGE_LIFETIME
from codexapi_engine.errors import Unavailable
from codexapi_engine.images.hosting import HostedImages


def test_a_picture_is_found_by_its_name_for_an_hour(tmp_path: Path) -> None:
    clock = Clock(1_800_000_000.0)
    gallery = HostedImages(tmp_path / "state" / "images", clock=clock)
    name = gallery.add(b"one", "png")
    path = gallery.find(name)
    assert path is not None
    assert path.read_bytes() == b"one"
    clock.now += IMAGE_LIFETIME
    assert gallery.find(name) == path
    clock.now += 1
    assert gallery.find(name) is None


def test_what_has_expired_goes_when_another_comes(tmp_path: Path) -> None:
    clock = Clock(1_800_000_000.0)
    gallery = HostedImages(tmp_path, clock=clock)
    (tmp_path / "mine.png").write_bytes(b"not ours")
    old = gallery.add(b"old", "png")
    clock.now += IMAGE_LIFETIME + 1
    new = gallery.add(b"new", "webp")
    assert {path.name for path in tmp_path.iterdir()} == {"mine.png", new}
    assert old != new


def test_names_cannot_be_guessed(tmp_path: Path) -> None:
    gallery = HostedImages(tmp_path)
    names = {gallery.add(b"x", "png") for _ in range(20)}
    assert len(names) == 20
    assert all(len(name) == 32 + len(".png") for name in names)


@pytest.mark.parametrize("name", ["", "..", "../secret.png", "mine.png", "a" * 32 + ".txt"])
def test_nothing_else_of_the_folder_can_be_had(name: str, tmp_path: Path) -> None:
    (tmp_path / "images").mkdir()
    for path in (tmp_path / "secret.png", tmp_path / "images" / "mine.png"):
        path.write_bytes(b"mine")
    (tmp_path / "images" / ("a" * 32 + ".txt")).write_bytes(b"x")
    assert HostedImages(tmp_path / "images").find(name) is None


@pytest.mark.skipif(sys.platform == "win32", reason="modes are Unix's")
def test_the_folder_is_the_users_alone(tmp_path: Path) -> None:
    folder = tmp_path / "state" / "images"
    name = HostedImages(folder).add(b"x", "png")
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    assert stat.S_IMODE(folder.parent.stat().st_mode) == 0o700
    assert stat.S_IMODE((folder / name).stat().st_mode) == 0o600


def test_a_folder_that_cannot_be_is_an_error_of_ours(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(Unavailable, match="file"):
        HostedImages(tmp_path / "file" / "images").add(b"x", "png")
