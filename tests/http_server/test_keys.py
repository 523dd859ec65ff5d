"""The local key in a file, and a process that keeps its memory to itself."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest

from codexapi_engine import InvalidRequest
from codexapi_engine.bounds import MAX_KEY_FILE_BYTES
from codexapi_http.server.key_file import read_key

unix = pytest.mark.skipif(sys.platform == "win32", reason="modes are Unix's")


def file(folder: Path, data: bytes, mode: int = 0o600) -> Path:
    path = folder / "key"
    path.write_bytes(data)
    path.chmod(mode)
    return path


@pytest.mark.parametrize(
    ("data", "key"),
    [
        (b"abc", "abc"),
        (b" abc\r\n", "abc"),
        ("schlüssel\n".encode(), "schlüssel"),
        (b"x" * MAX_KEY_FILE_BYTES, "x" * MAX_KEY_FILE_BYTES),
    ],
)
def test_key_is_the_one_word_of_the_file(tmp_path: Path, data: bytes, key: str) -> None:
    assert read_key(file(tmp_path, data)) == (key, None)


@pytest.mark.parametrize(
    "data", [b"", b"\n", b"two words", b"a\nb", b"x" * (MAX_KEY_FILE_BYTES + 1)]
)
def test_file_without_a_key_is_refused_and_not_quoted(tmp_path: Path, data: bytes) -> None:
    with pytest.raises(InvalidRequest, match="--api-key-file") as caught:
        read_key(file(tmp_path, data))
    assert caught.value.param == "api_key_file"
    assert "two words" not in str(caught.value)


@unix
@pytest.mark.parametrize("mode", [0o644, 0o640, 0o604, 0o660])
def test_file_that_others_can_read_is_told_with_its_mend(tmp_path: Path, mode: int) -> None:
    path = file(tmp_path, b"abc", mode)
    key, note = read_key(path)
    assert key == "abc"
    assert note is not None
    assert f"{mode:04o}" in note
    assert note.endswith(f"chmod 600 {path}")
    assert "abc" not in note.replace(str(path), "")


@unix
def test_key_may_come_out_of_a_pipe() -> None:
    ours, theirs = os.pipe()
    os.write(theirs, b"abc\n")
    os.close(theirs)
    assert read_key(Path(f"/dev/fd/{ours}")) == ("abc", None)
    os.close(ours)


def test_file_that_is_not_there_is_an_os_error(tmp_path: Path) -> None:
    for path in (tmp_path / "nothing", Path("~no-such-user/key")):
        with pytest.raises(FileNotFoundError):
            read_key(path)
