"""What the commands have in common: their options, and the settings that come of them."""

from __future__ import annotations

from dataclasses import replace
from typing import Annotated, Any

import typer

import codexapi_engine as engine

from .terminal import USAGE, say

BaseUrl = Annotated[
    str | None,
    typer.Option(
        metavar="URL",
        help="The backend, in place of chatgpt.com; https or loopback. [env: CODEXAPI_BASE_URL]",
        show_default=False,
    ),
]
Demo = Annotated[
    bool, typer.Option("--demo", help="Use the simulated backend: no login, no quota.")
]
Json = Annotated[bool, typer.Option("--json", help="Print JSON.")]
Model = Annotated[
    str | None,
    typer.Option("-m", "--model", help="The model. [env: CODEXAPI_MODEL]", show_default=False),
]
Effort = Annotated[
    str | None, typer.Option("-e", "--effort", help="How hard it thinks: low, medium, high…")
]
NoLog = Annotated[
    bool,
    typer.Option(
        "--no-log",
        help="Keep nothing of this chat. [env: CODEXAPI_NO_LOG]",
        envvar="CODEXAPI_NO_LOG",
        show_envvar=False,
    ),
]


def command() -> typer.Typer:
    """A command of its own, with our manners."""
    return typer.Typer(
        rich_markup_mode=None,
        pretty_exceptions_enable=False,
        add_completion=False,
        context_settings={"help_option_names": ["-h", "--help"]},
    )


def settings(**flags: Any) -> engine.Settings:
    """The environment's settings, with the flags that were given laid over.

    Ends the program with a usage error if one of them is wrong.
    """
    given = {
        name: value
        for name, value in flags.items()
        if value is not None and value is not False and value != ()
    }
    try:
        return replace(engine.Settings.from_env(), **given)
    except engine.InvalidRequest as error:
        say(f"codexapi: {error}")
        raise typer.Exit(USAGE) from None
