"""The options that hold for the whole run, wherever they stand on the command line.

They are values of this run's context, and not variables of its environment: the programs that a
command starts keep the environment that the user gave.
"""

from __future__ import annotations

import os
from contextvars import ContextVar


class GlobalOptions:
    """Not a NamedTuple: each help loads this module, and `typing` takes as long as a help."""

    def __init__(
        self,
        *,
        quiet: bool = False,
        verbosity: int = 0,
        color: bool | None = None,
        timeout: str | None = None,
        no_log: bool = False,
    ) -> None:
        self.quiet = quiet
        self.verbosity = verbosity
        self.color = color  # None: as the environment and the terminal have it
        self.timeout = timeout  # seconds
        self.no_log = no_log


_NONE = GlobalOptions()
_OPTIONS = ContextVar("global options", default=_NONE)


def global_options() -> GlobalOptions:
    return _OPTIONS.get()


def set_global_options(**changes: object) -> None:
    """A thread of our own needs a copy of the context to know them."""
    _OPTIONS.set(GlobalOptions(**{**vars(_OPTIONS.get()), **changes}))


def environment() -> dict[str, str]:
    """The process's environment, with the options laid over that are settings of the engine."""
    timeout = global_options().timeout
    return {**os.environ, **({} if timeout is None else {"CODEXAPI_TIMEOUT": timeout})}
