"""The one function that writes what a user asked for."""

from __future__ import annotations

import os
import secrets
import shutil
import socket
import stat
import subprocess
import sys
import threading
from pathlib import Path

import pytest
from tests.processes import ROOT, environment

from codexapi_engine import user_files
from codexapi_engine.user_files import check, write

if sys.platform == "win32":
    pytest.skip("modes, links and FIFOs of Unix", allow_module_level=True)

NOBODY = 65534


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def test_a_new_file_is_the_users_like_any_other_and_nothing_else_is_left(tmp_path: Path) -> None:
    before = os.umask(0o022)
    try:
        assert write(tmp_path / "fox.png", b"one", over=False) == tmp_path / "fox.png"
    finally:
        os.umask(before)
    assert (tmp_path / "fox.png").read_bytes() == b"one"
    assert mode(tmp_path / "fox.png") == 0o644
    assert os.listdir(tmp_path) == ["fox.png"]


def test_what_is_there_is_never_touched_unasked(tmp_path: Path) -> None:
    path = tmp_path / "fox.png"
    path.write_bytes(b"mine")
    (tmp_path / "fox-2.png").symlink_to("nowhere")
    with pytest.raises(FileExistsError):
        check(path, over=False)
    assert write(path, b"new", over=False) == tmp_path / "fox-3.png"
    assert path.read_bytes() == b"mine"
    assert (tmp_path / "fox-3.png").read_bytes() == b"new"


def test_a_link_is_followed(tmp_path: Path) -> None:
    (tmp_path / "there").mkdir()
    real, link = tmp_path / "there" / "real.md", tmp_path / "link.md"
    link.symlink_to("there/real.md")
    for text in (b"first", b"second"):  # the link dangles, and then it does not
        check(link, over=True)
        assert write(link, text, over=True) == link
        assert link.is_symlink()
        assert real.read_bytes() == text
    assert os.listdir(tmp_path / "there") == ["real.md"]


def test_links_in_a_circle_are_refused(tmp_path: Path) -> None:
    (tmp_path / "one").symlink_to("other")
    (tmp_path / "other").symlink_to("one")
    with pytest.raises(OSError, match=r"links|loop"):
        check(tmp_path / "one", over=True)


@pytest.mark.parametrize("bits", [0o600, 0o640, 0o755])
def test_mode_and_owner_stay(tmp_path: Path, bits: int) -> None:
    path = tmp_path / "private.md"
    path.write_bytes(b"old")
    path.chmod(bits)
    if os.geteuid() == 0:
        os.chown(path, NOBODY, NOBODY)
    owner = path.stat().st_uid
    write(path, b"new", over=True)
    assert (path.read_bytes(), mode(path), path.stat().st_uid) == (b"new", bits, owner)
    assert os.listdir(tmp_path) == ["private.md"]


def test_a_second_name_of_a_file_stays_one(tmp_path: Path) -> None:
    one, other = tmp_path / "one.md", tmp_path / "other.md"
    one.write_bytes(b"something long")
    os.link(one, other)
    write(one, b"new", over=True)
    assert other.read_bytes() == b"new"
    assert one.stat().st_ino == other.stat().st_ino
    assert sorted(os.listdir(tmp_path)) == ["one.md", "other.md"]


@pytest.mark.parametrize("over", [True, False])
def test_a_fifo_is_written_to_and_not_replaced(tmp_path: Path, over: bool) -> None:
    path, read = tmp_path / "fifo", []
    os.mkfifo(path)
    check(path, over=over)
    reader = threading.Thread(target=lambda: read.append(path.read_bytes()))
    reader.start()
    write(path, b"through", over=over)
    reader.join(timeout=60)
    assert read == [b"through"]
    assert stat.S_ISFIFO(path.stat().st_mode)


@pytest.mark.skipif(not shutil.which("unshare"), reason="needs namespaces")
@pytest.mark.skipif(os.name != "posix" or os.geteuid() != 0, reason="only root may make devices")
@pytest.mark.parametrize("command", [("chat", "-o"), ("image", "--force", "-o", "fox.png")])
def test_a_device_stays_a_device_even_for_root(tmp_path: Path, command: tuple[str, ...]) -> None:
    """In a `/dev` of its own, since a failure would replace the machine's."""
    name = "null" if command[0] == "chat" else "fox.png"
    place = f"/dev/{name}"
    line = [sys.executable, "-m", "codexapi_cli", command[0], "--demo", "[[say x]]"]
    line += ["--force"] if command[0] == "image" else []
    script = (
        f"mkdir {tmp_path}/dev && mount -t tmpfs none {tmp_path}/dev && cd {tmp_path}/dev && "
        f"mknod -m 666 null c 1 3 && mknod -m 666 fox.png c 1 3 && mknod -m 666 urandom c 1 9 && "
        f'mount --bind {tmp_path}/dev /dev && cd {ROOT} && "$@" -o {place} && stat -c %F {place}'
    )
    done = subprocess.run(
        ["unshare", "-m", "sh", "-c", script, "sh", *line],
        capture_output=True, text=True, env=environment(), check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[-1] == "character special file"


def test_what_cannot_be_written_is_refused_before_anything_is_asked(tmp_path: Path) -> None:
    listening = socket.socket(socket.AF_UNIX)
    here = os.getcwd()
    os.chdir(tmp_path)  # the name of a socket is short
    try:
        listening.bind("socket")
    finally:
        os.chdir(here)
        listening.close()
    (tmp_path / "folder").mkdir()
    (tmp_path / "file").touch()
    refused = {
        "folder": "folder", "nothing/fox.png": "no such folder", "file/fox.png": r"no such folder|Not a dir",
        "x" * 256 + ".png": "too long", "ä" * 128 + ".png": "too long", "socket": "socket",
        "a\0b": "such a name", "\ud800.png": "such a name",
    }  # fmt: skip
    for name, why in refused.items():
        with pytest.raises(OSError, match=why):
            check(Path(f"{tmp_path}/{name}"), over=True)
    assert sorted(os.listdir(tmp_path)) == ["file", "folder", "socket"]


@pytest.mark.parametrize("name", ["x" * 251 + ".png", "ä" * 125 + ".png", " -;'\".png", "\udcff"])
def test_any_name_that_the_file_system_takes_is_taken(tmp_path: Path, name: str) -> None:
    path = tmp_path / name
    check(path, over=False)
    assert os.listdir(tmp_path) == []
    assert write(path, b"one", over=False) == path
    second = write(path, b"two", over=False)
    assert second != path
    assert second.read_bytes() == b"two"
    assert write(path, b"three", over=True).read_bytes() == b"three"
    assert len(os.listdir(tmp_path)) == 2


@pytest.mark.skipif(os.name != "posix" or os.geteuid() != 0, reason="becomes another user")
def test_a_read_only_file_is_refused_and_left(tmp_path: Path) -> None:
    path = tmp_path / "mine.md"
    path.write_bytes(b"old")
    path.chmod(0o444)
    for one in (path, tmp_path):
        os.chown(one, NOBODY, NOBODY)
    tmp_path.parent.chmod(0o755)
    script = (
        "import os, sys; from pathlib import Path; from codexapi_engine import user_files\n"
        f"os.setgroups([]); os.setresgid({NOBODY}, {NOBODY}, {NOBODY})\n"
        f"os.setresuid({NOBODY}, {NOBODY}, {NOBODY})\n"
        "for act in (lambda p: user_files.check(p, over=True),"
        " lambda p: user_files.write(p, b'new', over=True)):\n"
        "    try:\n        act(Path(sys.argv[1]))\n"
        "    except PermissionError as error:\n        print(error.strerror)\n"
    )
    folders = [folder for folder in tmp_path.parents if not folder.stat().st_mode & 0o001]
    for folder in folders:
        folder.chmod(folder.stat().st_mode | 0o001)
    try:
        done = subprocess.run(
            [sys.executable, "-c", script, str(path)],
            capture_output=True, text=True, env=environment(), cwd="/", check=False,
        )  # fmt: skip
    finally:
        for folder in folders:
            folder.chmod(folder.stat().st_mode & ~0o001)
    if "Permission" in done.stderr:
        pytest.skip("this interpreter is in a folder that nobody else may enter")
    assert done.stdout.splitlines() == ["it is read-only"] * 2, done.stderr
    assert (path.read_bytes(), mode(path)) == (b"old", 0o444)


@pytest.mark.skipif(os.open not in os.supports_dir_fd, reason="folders have no descriptors")
def test_within_a_folder_no_link_is_followed_whatever_came_between(tmp_path: Path) -> None:
    """As `--image-dir-only` promises: a picture takes a minute, and folders can move."""
    root, outside = tmp_path / "root", tmp_path / "outside"
    outside.mkdir()
    assert write(root / "a" / "b" / "fox.png", b"x", over=False, root=root).read_bytes() == b"x"
    assert write(root / "a" / "b" / "fox.png", b"y", over=False, root=root).name == "fox-2.png"
    shutil.rmtree(root / "a" / "b")
    (root / "a" / "b").symlink_to(outside)
    for path in (root / "a" / "b" / "fox.png", root / ".." / "outside" / "fox.png"):
        with pytest.raises((OSError, ValueError)):
            write(path, b"z", over=False, root=root)
    assert os.listdir(outside) == []


def test_what_was_paid_for_and_cannot_be_written_is_kept(tmp_path: Path) -> None:
    for name in ("fox.png", "fox.png", "x" * 300):
        kept = user_files.rescue(tmp_path, name, b"picture")
        assert kept is not None
        assert kept.read_bytes() == b"picture"
        assert mode(kept.parent) == 0o700
    (tmp_path / "file").touch()
    assert user_files.rescue(tmp_path / "file", secrets.token_hex(4), b"x") is None
