"""The lines of a recording's file: one exchange with the backend, as JSON Lines.

The first line says which codexapi wrote it, the second has the request, the third the head of the
answer. Each further line is a piece of the body as the network gave it, and the last says how it
ended. `docs/recording.md` has the fields.
"""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from .. import __version__
from ..bounds import MAX_RECORDING_BODY_BYTES
from ..errors import InvalidRequest
from ..files import read_regular
from ..protocol.endpoints import endpoint_path

FORMAT = 1
SUFFIX = ".exchange.jsonl"

_NAME = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
_VALUE = re.compile(r"[\x01-\x09\x0b\x0c\x0e-\xff]*")
_LONGEST_MS = 86_400_000.0

COMPLETE, CLOSED, BROKEN = "complete", "closed", "broken"
"""How an answer ended: at its own end, by us before it, or by an error."""

Headers = list[tuple[str, str]]


@dataclass(slots=True)
class Piece:
    """What the network gave at once, `ms` milliseconds after the request was sent."""

    ms: float
    data: bytes


@dataclass(slots=True)
class ExchangeFile:
    """One exchange, as it was read from its file."""

    path: Path
    codexapi: str = ""
    began: str = ""
    content: bool = False
    method: str = ""
    target: str = ""
    headers: Headers = field(default_factory=list)
    body: bytes = b""
    head_ms: float = 0.0
    status: int | None = None  # None: the connection broke before there was one
    answer_headers: Headers = field(default_factory=list)
    pieces: list[Piece] = field(default_factory=list)
    end: str = BROKEN  # also where the file has no last line
    left_out: int = 0  # bytes of the answer that were not kept

    @property
    def answer(self) -> bytes:
        return b"".join(piece.data for piece in self.pieces)

    @property
    def kind(self) -> tuple[str, str]:
        """What was called: method and path, wherever the backend stands."""
        return self.method, endpoint_of(self.target)


def endpoint_of(target: str) -> str:
    """What a target calls, without its query."""
    return endpoint_path(urlsplit(target).path)


def line(**fields: object) -> bytes:
    return (
        json.dumps(fields, ensure_ascii=False, separators=(", ", ": ")).encode(
            "utf-8", "surrogatepass"
        )
        + b"\n"
    )


def first_line(began: str, *, content: bool) -> bytes:
    return line(recording=FORMAT, codexapi=__version__, began=began, content=content)


def data_fields(data: bytes) -> dict[str, str]:
    """Bytes as a field of a line: a text, where they are one."""
    try:
        return {"text": data.decode()}
    except UnicodeDecodeError:
        return {"base64": base64.b64encode(data).decode()}


def read_exchange(path: Path) -> ExchangeFile:
    """Raises OSError, and InvalidRequest for a file that is no recording."""
    _, data = read_regular(path, 2 * MAX_RECORDING_BODY_BYTES)
    found = ExchangeFile(path)
    try:
        # Behind the last line end there is what a killed process did not write to its end.
        head, *rest = [json.loads(one) for one in data.split(b"\n")[:-1]]
        if head["recording"] != FORMAT:
            raise InvalidRequest(f"{path}: a recording of format {head['recording']!r} is unknown")
        found.codexapi, found.began = str(head["codexapi"]), str(head["began"])
        found.content = bool(head["content"])
        _read_lines(found, rest)
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise InvalidRequest(f"{path}: no recording of codexapi ({error})") from None
    if not found.method:
        raise InvalidRequest(f"{path}: the recording has no request")
    return found


def _read_lines(found: ExchangeFile, lines: Iterable[dict[str, Any]]) -> None:
    continued = False
    for fields in lines:
        if "request" in fields:
            request = fields["request"]
            found.method, found.target = str(request["method"]), str(request["target"])
            found.headers = _headers(request["headers"])
            found.body = _data(request)
        elif "status" in fields:
            found.status, found.head_ms = _status(fields["status"]), _ms(fields)
            found.answer_headers = _headers(fields["headers"])
        elif "end" in fields:
            found.end = str(fields["end"])
        elif "left_out" in fields:
            found.left_out += int(fields["left_out"])
        elif continued:
            found.pieces[-1].data += _data(fields)
            continued = "more" in fields
        else:
            found.pieces.append(Piece(_ms(fields), _data(fields)))
            continued = "more" in fields


def _status(value: Any) -> int:
    if not isinstance(value, int) or not 200 <= value <= 599:
        raise ValueError(f"status {value!r}")
    return value


def _ms(fields: dict[str, Any]) -> float:
    ms = float(fields["ms"])
    if not 0 <= ms < _LONGEST_MS:
        raise ValueError(f"ms {ms}")
    return ms


def _headers(lines: Any) -> Headers:
    """Header lines that HTTP can carry: a file may be a stranger's."""
    found = [(name, value) for name, value in lines]
    for name, value in found:
        if not _NAME.fullmatch(name) or not _VALUE.fullmatch(value):
            raise ValueError("a header that HTTP cannot carry")
    return found


def _data(fields: dict[str, Any]) -> bytes:
    if "base64" in fields:
        return base64.b64decode(fields["base64"], validate=True)
    return str(fields.get("text", "")).encode("utf-8", "surrogatepass")


def read_recording(path: Path) -> list[ExchangeFile]:
    """The exchanges of a folder, or of one file, in the order in which they began. Raises OSError,
    and InvalidRequest where there is none."""
    paths = sorted(path.glob(f"*{SUFFIX}")) if path.is_dir() else [path]
    found = [read_exchange(each) for each in paths]
    if not found:
        raise InvalidRequest(f"{path}: no recording is there (*{SUFFIX})")
    return found
