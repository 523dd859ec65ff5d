"""Reads local files, and the text files of a folder, for a question."""

from __future__ import annotations

import os
from collections.abc import Iterator

from codexapi_engine.attachments import text as text_of
from codexapi_engine.bounds import MAX_FILE_BYTES
from codexapi_engine.login.login_files import LoginFiles
from codexapi_engine.settings import Settings

from ..terminal.output import LOCAL_FILE, Problem

_GENERATED = {"__pycache__", "node_modules"}


def file_bytes(name: str, option: str = "") -> bytes:
    """A file's content, for a model. Raises Problem, whose message begins with the option."""
    where = f"{option} {name}".strip()
    try:
        path = os.path.expanduser(name)
        with open(path, "rb") as file:
            if LoginFiles.of(Settings.from_env()).has(path, file.fileno()):
                raise Problem(f"{where}: it is a part of your login, which goes to no model")
            data = file.read(MAX_FILE_BYTES + 1)
    except OSError as error:
        raise Problem(f"{where}: {error.strerror}", LOCAL_FILE) from None
    if len(data) > MAX_FILE_BYTES:
        raise Problem(f"{where}: it has more than {MAX_FILE_BYTES // 1024**2} MiB", LOCAL_FILE)
    return data


def texts(folder: str) -> Iterator[tuple[str, bytes]]:
    """The text files below a folder, by name. Hidden ones are left out, for secrets live there;
    so are links, and what a program has generated. Raises Problem."""
    room = MAX_FILE_BYTES
    count = 0
    for name in _names(folder):
        data = file_bytes(name)
        if text_of(data) is None:
            continue
        room -= len(data)
        if room < 0:
            megabytes = MAX_FILE_BYTES // 1024**2
            raise Problem(f"{folder}: its texts have more than {megabytes} MiB", LOCAL_FILE)
        count += 1
        yield name, data
    if not count:
        raise Problem(f"{folder}: there is no text in this folder", LOCAL_FILE)


def _names(folder: str) -> Iterator[str]:
    for path, folders, files in os.walk(os.path.expanduser(folder), onerror=_raise_problem):
        folders[:] = sorted(name for name in folders if _is_visible(name))
        for name in sorted(filter(_is_visible, files)):
            whole = os.path.join(path, name)
            if os.path.isfile(whole) and not os.path.islink(whole):
                yield whole


def _is_visible(name: str) -> bool:
    return not name.startswith(".") and name not in _GENERATED


def _raise_problem(error: OSError) -> None:
    raise Problem(f"{error.filename}: {error.strerror}", LOCAL_FILE)
