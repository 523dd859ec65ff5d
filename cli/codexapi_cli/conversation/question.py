"""Builds the question from the words, stdin, and attached files."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Sequence
from pathlib import Path, PurePosixPath
from typing import NamedTuple
from urllib.parse import urlsplit

from codexapi_engine.attachments import PDF, is_on_the_web, media_type
from codexapi_engine.attachments import text as text_of
from codexapi_engine.errors import JsonObject
from codexapi_engine.protocol import images as pictures
from codexapi_engine.protocol.responses import user
from codexapi_engine.protocol.shapes import get_list, get_str

from ..parser.texts import decoded
from ..terminal.output import Problem
from ..terminal.stdin import IDLE, MOMENT, stdin_bytes
from .local_files import file_bytes, texts

STDIN = "-"


class Question(NamedTuple):
    text: str
    images: tuple[str, ...] = ()  # data or https URLs
    files: tuple[tuple[str, str], ...] = ()  # names, with such URLs

    @classmethod
    def of(cls, item: JsonObject) -> Question:
        """The question that a message of a user was made of."""
        parts = get_list(item, "content")
        files = (
            (get_str(p, "filename"), get_str(p, "file_data") or get_str(p, "file_url"))
            for p in parts
        )
        return cls(
            "\n\n".join(text for part in parts if (text := get_str(part, "text"))),
            tuple(url for part in parts if (url := get_str(part, "image_url"))),
            tuple((name, url) for name, url in files if url),
        )

    def __bool__(self) -> bool:
        return bool(self.text.strip() or self.images or self.files)

    def item(self) -> JsonObject:
        return user(self.text, self.images, self.files)

    def and_(self, other: Question) -> Question:
        """Both as one; a blank line between the texts."""
        texts = [text for text in (self.text, other.text) if text.strip()]
        return Question("\n\n".join(texts), self.images + other.images, self.files + other.files)

    def has(self, other: Question) -> bool:
        """Whether this one has all of the other. Each text is a paragraph of its own."""
        return (
            f"\n\n{other.text}\n\n" in f"\n\n{self.text}\n\n"
            and set(other.images) <= set(self.images)
            and set(other.files) <= set(self.files)
        )


NOTHING = Question("")


def composed(
    words: Sequence[str], attached: Sequence[str], files: Sequence[str], *, read_stdin: bool
) -> Question:
    """The words first, then the files, then what was piped in: read in any case where the last
    word is `-`. Raises Problem."""
    by_name = list(words[-1:]) == [STDIN] or STDIN in attached
    prompt = " ".join(words[:-1] if list(words[-1:]) == [STDIN] else words)
    piped = b""
    if read_stdin or by_name:
        # Alone it is the question, and worth waiting for.
        moment = MOMENT if words or attached or files else IDLE
        piped = stdin_bytes(by_name=by_name, moment=moment) or b""
    if STDIN in attached:
        if not piped:
            raise Problem("--attach -: there is nothing on stdin")
        sources = {STDIN: piped}
        piped = b""
    else:
        sources = {}
    question = Question(prompt)
    for name in files:
        for path, data in _texts(name):
            question = question.and_(Question(fenced(path, data)))
    for name in attached:
        question = question.and_(attachment(name, sources.get(name)))
    return question.and_(_piped(piped, alone=not question))


def _texts(name: str) -> Iterable[tuple[str, bytes]]:
    """A file, or the files of a folder. Raises Problem."""
    if "://" in name and not os.path.lexists(name):
        raise Problem(f"--file {name}: expected a file; --attach takes an address")
    if not os.path.isdir(os.path.expanduser(name)):
        return [(name, file_bytes(name))]
    return texts(name)


def attachment(name: str, data: bytes | None = None) -> Question:
    """A file, a URL or `data` under that name, as what it turns out to be. Raises Problem."""
    if data is None and "://" in name:
        return _by_address(name)
    if data is None:
        data = file_bytes(name)
    title = "stdin" if name == STDIN else Path(name).name
    kind = media_type(data)
    if kind is None:
        return Question(_tagged("file", data, f' name="{title}"', name))
    url = pictures.data_url(kind, data)
    return Question("", files=((title, url),)) if kind == PDF else Question("", images=(url,))


def fenced(name: str, data: bytes) -> str:
    """A text under its name, in a fence that nothing in it can close. Raises Problem."""
    text = _decode_text(data, name)
    longest = max(map(len, re.findall(r"`{3,}", text)), default=2)
    fence = "`" * (longest + 1)
    return f"{name}\n{fence}{PurePosixPath(name).suffix[1:]}\n{_with_line_end(text)}{fence}"


def text_or_file(text: str, option: str) -> str:
    """`TEXT`, or what stands in the file of `@FILE`. Raises Problem."""
    return (
        _decode_text(file_bytes(text[1:]), f"{option} {text}")
        if text.startswith("@")
        else decoded(text)
    )


def _piped(data: bytes, *, alone: bool) -> Question:
    if not data.strip():
        return NOTHING
    if media_type(data):
        return attachment(STDIN, data)
    return Question(_decode_text(data, "stdin") if alone else _tagged("stdin", data, "", "stdin"))


def _by_address(url: str) -> Question:
    if not is_on_the_web(url):
        raise Problem(f"--attach {url}: expected a file, or an https address")
    name = PurePosixPath(urlsplit(url).path).name
    if name.lower().endswith(".pdf"):
        return Question("", files=((name, url),))
    return Question("", images=(url,))


def _decode_text(data: bytes, name: str) -> str:
    text = text_of(data)
    if text is None:
        raise Problem(f"{name}: neither UTF-8 text, nor a PNG, JPEG, WebP, GIF or PDF")
    return text


def _tagged(tag: str, data: bytes, attributes: str, name: str) -> str:
    return f"<{tag}{attributes}>\n{_with_line_end(_decode_text(data, name))}</{tag}>"


def _with_line_end(text: str) -> str:
    return text if text.endswith("\n") else f"{text}\n"
