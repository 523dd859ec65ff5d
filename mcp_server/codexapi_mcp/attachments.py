"""Reads the pictures and files that a call names on the user's disk.

It raises InvalidRequest alone, with the name of the parameter.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit
from urllib.request import url2pathname

from codexapi_engine import InvalidRequest, Settings
from codexapi_engine.attachments import PDF, is_on_the_web, media_type, text
from codexapi_engine.bounds import MAX_FILE_BYTES
from codexapi_engine.errors import JsonObject
from codexapi_engine.login.login_files import LoginFiles
from codexapi_engine.protocol.images import data_url
from codexapi_engine.protocol.responses import user


@dataclass(frozen=True, slots=True)
class Disk:
    """The user's files, without those of the login."""

    login: LoginFiles

    @classmethod
    def of(cls, settings: Settings) -> Disk:
        return cls(LoginFiles.of(settings))

    def read(self, name: str, param: str, room: int = MAX_FILE_BYTES) -> bytes:
        """A complete file, by its absolute path or `file:` URL. `room` is what is left of the
        bytes that a call takes, which are no more than those of one file."""
        path = absolute(name, param)
        try:
            with open(os.open(path, os.O_RDONLY | _NONBLOCK), "rb") as file:
                if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
                    raise _invalid_input(param, f"{_short(path)} is not a file")
                if self.login.has(path, file.fileno()):
                    raise _invalid_input(
                        param, f"{path} is a part of your login, which goes to no model"
                    )
                data = file.read(room + 1)
        except OSError as error:
            raise _invalid_input(param, f"{_short(path)}: {error.strerror}") from None
        except ValueError:  # half a character
            raise _invalid_input(param, "no file can have such a name") from None
        if len(data) > room:
            raise _invalid_input(
                param, f"{_short(path)} is too large: a call takes {MAX_FILE_BYTES >> 20} MB"
            )
        return data


def absolute(name: str, param: str) -> Path:
    """The base of a relative path is unknown here."""
    try:
        text = url2pathname(urlsplit(name).path) if name.startswith("file://") else name
        path = Path(text).expanduser()
        if path.is_absolute() and "\0" not in text:
            return path
    except (RuntimeError, ValueError):  # the home of an unknown user; an incomplete URL
        pass
    raise _invalid_input(param, f"{_short(name)} is not an absolute path")


def message(prompt: str, images: Sequence[str], files: Sequence[str], disk: Disk) -> JsonObject:
    """The user's message: the prompt, the texts after it, and pictures and PDFs beside it."""
    room = MAX_FILE_BYTES
    urls, texts, documents = [], [prompt], []
    for at, name in enumerate(images):
        if is_address(name):
            urls.append(_fetch_address(name, f"images[{at}]"))
            continue
        data = disk.read(name, f"images[{at}]", room)
        room -= len(data)
        urls.append(_picture(data, name, f"images[{at}]"))
    for at, name in enumerate(files):
        data = disk.read(name, f"files[{at}]", room)
        room -= len(data)
        title = Path(name).name
        if media_type(data) == PDF:
            documents.append((title, data_url(PDF, data)))
        else:
            texts.append(_tagged(title, data, name, f"files[{at}]"))
    return user("\n\n".join(texts), urls, documents)


def is_address(name: str) -> bool:
    return "://" in name and not name.startswith("file://")


def _fetch_address(url: str, param: str) -> str:
    if is_on_the_web(url):
        return url
    raise _invalid_input(param, f"{_short(url)} is neither an absolute path nor an https address")


def _picture(data: bytes, name: str, param: str) -> str:
    kind = media_type(data)
    if kind is None or kind == PDF:
        raise _invalid_input(param, f"{name} is not a PNG, JPEG, WebP or GIF")
    return data_url(kind, data)


def _tagged(title: str, data: bytes, name: str, param: str) -> str:
    found = text(data)
    if found is None:
        raise _invalid_input(
            param, f"{name} is neither UTF-8 text nor a PDF; pictures go into `images`"
        )
    return f'<file name="{title}">\n{found.rstrip()}\n</file>'


def _short(name: str | Path) -> str:
    """Models also send the data itself, which is megabytes, where a path belongs."""
    text = str(name)
    return text if len(text) <= _MAX_SHOWN else f"{text[:_MAX_SHOWN]}…"


def _invalid_input(param: str, why: str) -> InvalidRequest:
    return InvalidRequest(f"{param}: {why}", code="invalid_value", param=param)


_MAX_SHOWN = 300
"""Characters of a name that an error quotes."""

_NONBLOCK = getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0)
"""A pipe without a writer must not hold the call."""
