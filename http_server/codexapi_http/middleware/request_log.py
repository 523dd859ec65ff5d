"""Writes one log line per request, after the response.

It has the route, the outcome and sizes, and never any content.
"""

from __future__ import annotations

import logging
import re
import time
from collections.abc import Callable, Iterable, Mapping
from contextvars import ContextVar
from dataclasses import dataclass, field
from typing import Any

from codexapi_engine import CodexError
from codexapi_engine.errors import (
    BackendError,
    ConnectFailed,
    NotLoggedIn,
    RefreshUnavailable,
    StreamInterrupted,
    UnexpectedAnswer,
)
from codexapi_engine.telemetry import RunMetrics

CLIENT_LEFT = 499
"""What the log says of a request whose client did not wait: nginx's number for it."""

_IN_OUR_WORDS = (
    ConnectFailed, NotLoggedIn, RefreshUnavailable, StreamInterrupted, UnexpectedAnswer,
)  # fmt: skip
"""The errors that have more to say than their code, and can quote no request and no answer."""

_FIELD = re.compile(r"[A-Za-z0-9_.\[\]-]{1,200}")
_MODEL = re.compile(r"[A-Za-z0-9][A-Za-z0-9._:/@+-]{0,99}")
_CODE = re.compile(r"[a-z0-9_]{1,64}")
_EFFORT = re.compile(r"[a-z]{1,16}")
_OTHER = "other"
"""Stands for untrusted text."""

log = logging.getLogger("codexapi.http")


@dataclass(slots=True, eq=False)
class Entry:
    """One request: what the log, the metrics and the page say of it."""

    request_id: str = ""
    method: str = ""
    path: str = ""
    route: str = ""  # its pattern; empty where there is none
    status: int = 0
    sent: int = 0  # bytes of the body
    ended: bool = False  # the answer is whole
    events: int = 0  # of the backend
    model: str = ""
    tokens: dict[str, int] = field(default_factory=dict)  # by kind
    ignored: str = ""  # names of fields
    code: str | None = None  # of what went wrong
    param: str | None = None  # the field that was wrong
    why: str = ""  # in our words
    backend_id: str | None = None  # what the backend calls its part
    program: str = ""  # whose request it is: the name of its key, or what its User-Agent says
    effort: str = ""
    first: float | None = None  # seconds until the first output of the backend
    runs: list[RunMetrics] = field(default_factory=list)  # that are open at the backend
    stop: Callable[[], object] | None = None  # cancels its work; None where that cannot be
    stopped: bool = False  # by the user
    took: float | None = None  # seconds; None while it runs
    at: float = field(default_factory=time.time)  # epoch seconds
    since: float = field(default_factory=time.monotonic)

    @property
    def seconds(self) -> float:
        return time.monotonic() - self.since if self.took is None else self.took

    def failed(self, error: CodexError) -> None:
        """What went wrong. Text that may quote the request or its answer is left out."""
        self.code = error.known_code
        self.param = _field(error)
        if isinstance(error, _IN_OUR_WORDS):
            self.why = str(error)

    def write(self) -> None:
        if self.code is None and (self.status == CLIENT_LEFT or not self.ended):
            self.code = "client_left"
        level = logging.WARNING if self._broke() else logging.INFO
        if log.isEnabledFor(level):
            log.log(level, "%s", self._line(), extra={"fields": self._fields()})

    def _broke(self) -> bool:
        """Whether it failed, by no fault of the request, its client, or an orderly end."""
        failed = self.status >= 500 or (self.status == 200 and self.code is not None)
        return failed and self.code not in ("client_left", "shutting_down", "stopped")

    def _line(self) -> str:
        words = [
            self.method,
            self.path,
            str(self.status),
            f"{self.seconds:.3f} s",
            f"{self.sent} B",
        ]
        if self.events:
            words.append(f"{self.events} events")
        if self.model:
            words.append(self.model)
        if self.tokens:
            words.append(f"{self.tokens.get('input', 0)}+{self.tokens.get('output', 0)} tokens")
        if self.ignored:
            words.append(f"ignored {self.ignored}")
        if self.code:
            words.append(f"{self.code} ({self.param})" if self.param else self.code)
        if self.why:
            words.append(f"({self.why})")
        return " ".join([*words, self.request_id])

    def _fields(self) -> Mapping[str, Any]:
        fields = {
            "request_id": self.request_id,
            "method": self.method,
            "path": self.path,
            "route": self.route,
            "status": self.status,
            "seconds": round(self.seconds, 6),
            "bytes": self.sent,
            "program": self.program,
            "events": self.events or None,
            "model": self.model,
            "effort": self.effort,
            "tokens": self.tokens,
            "ignored": self.ignored,
            "code": self.code,
            "param": self.param,
            "why": self.why,
            "backend_request_id": self.backend_id,
        }
        return {name: value for name, value in fields.items() if value not in ("", {}, None)}


_CURRENT: ContextVar[Entry] = ContextVar("entry")


def begin(entry: Entry) -> None:
    """From here on, in this task and those that it starts, `current` is this entry."""
    _CURRENT.set(entry)


def current() -> Entry:
    """The entry of the current request; an unused one where there is none."""
    return _CURRENT.get(None) or Entry()


def _field(error: CodexError) -> str | None:
    """The field that was wrong. Of one that the backend names, only what OpenAI's API calls so."""
    if error.param is None or not _FIELD.fullmatch(error.param):
        return None
    if isinstance(error, BackendError) or error.code == "unsupported_parameter":
        root = _root(error.param)
        return root if _is_field(root) else None
    return error.param


def _is_field(name: str) -> bool:
    from .known_fields import FIELDS  # with the schemas of every dialect

    return name in FIELDS


def _root(param: str) -> str:
    return param.partition(".")[0].partition("[")[0]


def model_name(name: str) -> str:
    """A model's name. Other text is a client's, even where the backend accepted it."""
    return name if not name or _MODEL.fullmatch(name) else _OTHER


def error_code(code: str) -> str:
    """A code that the backend may have made up."""
    return code if _CODE.fullmatch(code) else _OTHER


def effort_name(name: str) -> str:
    return name if not name or _EFFORT.fullmatch(name) else _OTHER


def field_names(names: Iterable[str]) -> str:
    """The fields that the API has, by name. What a client calls another may be anything."""
    known = (name if _is_field(_root(name)) else _OTHER for name in names)
    return ",".join(dict.fromkeys(known))


def plain(path: str) -> str:
    """A path fit for a line: it is untrusted input."""
    shown = path if path.isprintable() else "".join(c if c.isprintable() else "?" for c in path)
    return shown if len(shown) <= 200 else shown[:199] + "…"
