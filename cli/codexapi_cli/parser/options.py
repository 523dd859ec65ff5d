"""The options that commands share, and the settings that result from them."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any

import typer

from codexapi_engine.bounds import IDLE_TIMEOUT

from ..global_options import set_global_options
from . import completers
from .help_text import BACKEND, GLOBAL, DocumentedCommand, DocumentedGroup

NO_LOG = "CODEXAPI_NO_LOG"


def _lower(text: str | None) -> str | None:
    return text.lower() if text else None


BaseUrl = Annotated[
    str | None,
    typer.Option(
        metavar="URL",
        help="Use another backend than chatgpt.com: https or loopback (env: CODEXAPI_BASE_URL)",
        show_default=False,
        rich_help_panel=BACKEND,
    ),
]
Demo = Annotated[
    bool,
    typer.Option(
        "--demo",
        help="Use the simulated backend: no login, no quota, no network",
        rich_help_panel=BACKEND,
    ),
]
Record = Annotated[
    Path | None,
    typer.Option(
        "--record", metavar="DIR", show_default=False, rich_help_panel=BACKEND,
        help="Record the exchanges with the backend here: a file each, without secrets or content",
    ),
]  # fmt: skip
RecordContent = Annotated[
    bool,
    typer.Option(
        "--record-content", rich_help_panel=BACKEND,
        help="With --record: keep prompts and answers; secrets go all the same",
    ),
]  # fmt: skip
Json = Annotated[bool, typer.Option("--json", help="Print JSON", rich_help_panel="Output")]
Model = Annotated[
    str | None,
    typer.Option(
        "-m", "--model", metavar="NAME", help="Model to use (env: CODEXAPI_MODEL)",
        show_default=False, rich_help_panel="Model", autocompletion=completers.models,
    ),
]  # fmt: skip
Effort = Annotated[
    str | None,
    typer.Option(
        "-e", "--effort", metavar="LEVEL", rich_help_panel="Model", callback=_lower,
        help="Reasoning effort: low, medium, high or another that the model has",
        autocompletion=completers.efforts,
    ),
]  # fmt: skip
NoLog = Annotated[
    bool,
    typer.Option(
        "--no-log",
        help="Do not keep this chat on this machine (env: CODEXAPI_NO_LOG)",
        envvar=NO_LOG,
        show_envvar=False,
        rich_help_panel="History",
    ),
]


class Color(StrEnum):
    AUTO = "auto"
    ALWAYS = "always"
    NEVER = "never"


def _quiet(wanted: bool) -> None:
    if wanted:
        set_global_options(quiet=True)


def _verbose(count: int) -> None:
    if count:
        set_global_options(verbosity=count)


def _color(wanted: Color) -> None:
    if wanted is not Color.AUTO:
        set_global_options(color=wanted is Color.ALWAYS)


def _timeout(text: str | None) -> None:
    if text is not None:
        from codexapi_engine.setting_values import parse_seconds  # --help does without

        try:
            parse_seconds(text)
        except ValueError:
            raise typer.BadParameter(f"{text} is not a number of seconds above 0") from None
        set_global_options(timeout=text)


def _no_log(wanted: bool) -> None:
    if wanted:
        set_global_options(no_log=True)


Quiet = Annotated[
    bool,
    typer.Option(
        "-q", "--quiet", callback=_quiet, expose_value=False, rich_help_panel=GLOBAL,
        help="Print no notes and no progress",
    ),
]  # fmt: skip
Verbose = Annotated[
    int,
    typer.Option(
        "-v", "--verbose", count=True, callback=_verbose, expose_value=False, show_default=False,
        rich_help_panel=GLOBAL,
        help="Print model, time, tokens and request id on stderr; -vv: headers too, without secrets",
    ),
]  # fmt: skip
Colors = Annotated[
    Color,
    typer.Option(
        "--color", callback=_color, expose_value=False, is_eager=True, rich_help_panel=GLOBAL,
        help="When to use colours (env: NO_COLOR, FORCE_COLOR)",
    ),
]  # fmt: skip
Timeout = Annotated[
    str | None,
    typer.Option(
        "--timeout", metavar="SECONDS", callback=_timeout, expose_value=False, show_default=False,
        rich_help_panel=GLOBAL,
        help="Seconds to wait while the backend sends nothing (env: CODEXAPI_TIMEOUT, "
        f"default: {IDLE_TIMEOUT:g})",
    ),
]  # fmt: skip
Unlogged = Annotated[
    bool,
    typer.Option(
        "--no-log", callback=_no_log, expose_value=False, rich_help_panel=GLOBAL,
        help="Do not keep chats on this machine (env: CODEXAPI_NO_LOG)",
    ),
]  # fmt: skip
ServerPort = Annotated[
    int | None,
    typer.Option(
        "--port", metavar="PORT", min=1, max=65535, autocompletion=completers.ports,
        help="Port of the server (default: the only one that runs)",
    ),
]  # fmt: skip
Tools = Annotated[
    str | None,
    typer.Option(
        metavar="LIST", rich_help_panel="Tools",
        help="Serve only these, with commas: text, image, audio, status (default: all)",
        autocompletion=completers.tool_groups,
    ),
]  # fmt: skip
ReadOnly = Annotated[
    bool,
    typer.Option("--read-only", rich_help_panel="Tools", help="Serve no tool that writes files"),
]
ListenPort = Annotated[
    int,
    typer.Option(
        "--port", metavar="PORT", min=0, max=65535, help="Port to listen on; 0: any free one"
    ),
]
EVERYWHERE = {"quiet", "verbose", "color", "timeout"}
"""The global options that may stand after the command too."""


class _App(typer.Typer):
    def command(self, name: str | None = None, **options: Any) -> Any:
        return super().command(name, **{"cls": DocumentedCommand, **options})


def command() -> typer.Typer:
    """A command of its own, with our manners."""
    return _App(
        cls=DocumentedGroup,
        rich_markup_mode=None,
        pretty_exceptions_enable=False,
        add_completion=False,
        context_settings={"help_option_names": ["-h", "--help"]},
    )
