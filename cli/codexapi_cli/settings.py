"""A command's settings, of the environment and the flags, and the backend that they lead to."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any, TypeVar

import codexapi_engine as engine

from .global_options import environment
from .terminal.output import LOCAL_FILE, USAGE, Problem, say, verbosity

T = TypeVar("T")


def opened(chosen: engine.Settings) -> engine.Codex:
    """The backend. With --verbose, its events are printed."""
    from .parser.remembering import RememberingCodex  # httpx

    if not verbosity():
        return RememberingCodex(chosen)
    from .terminal.verbose import VerboseObserver  # seldom wanted

    return RememberingCodex(chosen, observer=VerboseObserver(headers=verbosity() > 1))


def check_every(seconds: float) -> None:
    """Raises Problem for what is no time between two looks."""
    if not seconds > 0:
        raise Problem("--every: expected a number of seconds above 0")


def checked(flag: str, read: Callable[[str], T], text: str) -> T:
    """What the text of a flag says. Ends the program with a usage error if it is wrong."""
    try:
        return read(text)
    except ValueError as error:
        say(f"codexapi: {flag}: {error}")
        raise SystemExit(USAGE) from None


def key_of(key_text: str | None, path: Path | None) -> str | None:
    """The key that clients must send: as it is given, or as a file holds it. Ends the program where
    it cannot be used."""
    if path is None:
        return key_text
    if key_text is not None:
        say("codexapi: --api-key and --api-key-file: give one of them")
        raise SystemExit(USAGE)
    import codexapi_http  # a front end, for a server that is about to start

    try:
        key, note = codexapi_http.read_key(path)
    except engine.InvalidRequest as error:
        say(f"codexapi: {error}")
        raise SystemExit(USAGE) from None
    except OSError as error:
        say(f"codexapi: --api-key-file: {path}: {error.strerror}")
        raise SystemExit(LOCAL_FILE) from None
    if note is not None:
        say(f"codexapi: {note}")
    return key


def settings(**flags: Any) -> engine.Settings:
    """The environment's settings, with the flags that were given laid over.

    Ends the program with a usage error if one of them is wrong.
    """
    changes = {
        name: value
        for name, value in flags.items()
        if value is not None and value is not False and value != ()
    }
    _check_record(changes.get("record"), content="record_content" in changes)
    try:
        return replace(engine.Settings.from_env(environment()), **changes)
    except engine.InvalidRequest as error:
        say(f"codexapi: {error}")
        raise SystemExit(USAGE) from None


def _check_record(folder: Path | None, *, content: bool) -> None:
    """Makes the folder of a recording before anything is asked. Ends the program where it cannot."""
    if folder is None:
        if content:
            say("codexapi: --record-content: it belongs to --record DIR")
            raise SystemExit(USAGE)
        return
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError as error:
        say(f"codexapi: --record: {folder}: {error.strerror}")
        raise SystemExit(LOCAL_FILE) from None
