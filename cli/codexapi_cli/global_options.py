"""The options that hold for the whole run, wherever they stand on the command line.

They are values of this run's context, and not variables of its environment: the programs that a
command starts keep the environment that the user gave.
"""

from __future__ import annotations

import os
from contextvars import ContextVar
from typing import Any, NamedTuple


class GlobalOptions(NamedTuple):
    quiet: bool = False
    verbosity: int = 0
    color: bool | None = None  # None: as the environment and the terminal have it
    timeout: str | None = None  # seconds
    no_log: bool = False


_NONE = GlobalOptions()
_OPTIONS = ContextVar("global options", default=_NONE)


def global_options() -> GlobalOptions:
    return _OPTIONS.get()


def set_global_options(**changes: Any) -> None:
    """A thread of our own needs a copy of the context to know them."""
    _OPTIONS.set(_OPTIONS.get()._replace(**changes))


def environment() -> dict[str, str]:
    """The process's environment, with the options laid over that are settings of the engine."""
    timeout = global_options().timeout
    return {**os.environ, **({} if timeout is None else {"CODEXAPI_TIMEOUT": timeout})}
