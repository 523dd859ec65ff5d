"""The help topics of `codexapi help` that are no commands."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import fields

from ..terminal.output import (
    BACKEND,
    CLOSED_PIPE,
    CONFLICT,
    FAILED,
    INCOMPLETE,
    INTERRUPTED,
    LIMIT,
    LOCAL_FILE,
    LOGIN,
    REJECTED,
    USAGE,
)
from ..terminal.wrapping import table, wrap

EXIT_CODES = (
    (0, "it worked"),
    (FAILED, "the model failed or refused, or a check found a problem"),
    (USAGE, "the command line is wrong"),
    (LOGIN, "there is no login, or it has expired"),
    (LIMIT, "the limit of the plan, or of requests, is reached"),
    (BACKEND, "the backend cannot be reached, or failed"),
    (REJECTED, "the backend rejected the request"),
    (LOCAL_FILE, "a local file or program, or stdout, cannot be used"),
    (CONFLICT, "the port is in use, or a client has a different entry of this name"),
    (INCOMPLETE, "the answer is incomplete; what came is printed"),
    (INTERRUPTED, "Ctrl-C"),
    (CLOSED_PIPE, "the reader of a pipe has gone"),
    (143, "SIGTERM"),
)
ENVIRONMENT = (
    ("CODEXAPI_NO_LOG", "1: keep no chats on this machine"),
    ("NO_COLOR", "use no colours"),
    ("FORCE_COLOR", "use colours in a pipe too"),
    ("VISUAL, EDITOR", "the editor for a long question: Ctrl-X Ctrl-E in a chat"),
    ("SHELL", "the shell that `codexapi sh` writes for"),
)


def topic(name: str, width: int) -> str:
    if name == "exit-codes":
        intro = "How a command ends. With --json an error is an object on stderr too."
        rows = [(str(code), text) for code, text in EXIT_CODES]
    else:
        intro = (
            "Flags override these variables. `codexapi config` shows which settings hold, and "
            "where each comes from."
        )
        rows = [*_settings(), *ENVIRONMENT]
    return "\n".join([wrap(intro, width), "", *table(rows, width)])


def _settings() -> Iterator[tuple[str, str]]:
    from codexapi_engine.settings import Settings

    for setting in fields(Settings):
        if variables := setting.metadata.get("variables"):
            yield variables[0], setting.metadata["help"]
