"""A program that `setup` configures (`ApiClient`), and the server that it gets (`ServerInfo`)."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import PurePath
from typing import Final

from ..terminal.output import Problem
from .edits import Entry
from .system import System

NAME: Final = "codexapi"
"""Our name among the endpoints that a client knows."""

UNUSED = "unused"
"""The key for a server that needs none: many clients require one."""

CONTEXT = 272_000
"""The default context of a model, which most of the backend's have."""

OUTPUT = 32_000
"""Tokens of an answer that a client shall reckon with."""


@dataclass(frozen=True, slots=True)
class ModelInfo:
    """A model that the server has."""

    name: str
    context: int = CONTEXT
    images: bool = True  # whether it can look at them


@dataclass(frozen=True, slots=True)
class ServerInfo:
    """What a client has to know of the server. Raises Problem where no settings file, shell or
    terminal could hold it."""

    url: str  # with /v1
    models: Sequence[ModelInfo]  # the first is the one to begin with
    key: str = UNUSED

    def __post_init__(self) -> None:
        for name in (self.url, self.key, *(model.name for model in self.models)):
            if not name.isprintable():
                what = "the API key" if name == self.key else ascii(name)
                raise Problem(
                    f"{what} has letters that no program can be set up with (control characters, "
                    "or no UTF-8); --model NAME names another model"
                )

    @property
    def model(self) -> str:
        return self.models[0].name

    @property
    def base(self) -> str:
        """The URL for programs of Anthropic's API, which put /v1 behind it themselves."""
        return self.url.removesuffix("/v1")


@dataclass(frozen=True, slots=True)
class ApiClient:
    """One program.

    `files` are its settings on each system ("" for all of them), as templates of `System.path`; a
    relative one is in the folder of today. `entries` belong in that file, and `opening` is what a
    new one needs besides. `env` are the variables that it is started with, `run` the command that
    starts it. `words` is what a user has to enter, `after` what is to be done when it is written.
    """

    name: str
    title: str
    after: str = ""
    files: Mapping[str, str] = field(default_factory=dict)
    form: str = "jsonc"
    entries: Callable[[ServerInfo], list[Entry]] | None = None
    opening: Sequence[Entry] = ()
    env: Callable[[ServerInfo], Mapping[str, str]] = lambda point: {}
    unset: str = "unset {}"  # how its shell forgets a variable
    run: Sequence[str] = ()
    words: Callable[[ServerInfo], str] | None = None
    models: bool = True  # whether its settings must list them

    def place(self, system: System) -> PurePath:
        return system.path(self.files.get(system.platform) or self.files[""])
