"""The options that commands share, and the settings that result from them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any, TypeVar

import typer

import codexapi_engine as engine
from codexapi_engine.bounds import IDLE_TIMEOUT

from ..global_options import environment, set_global_options
from ..terminal.output import LOCAL_FILE, USAGE, Problem, say, verbosity
from . import completers
from .help_text import BACKEND, GLOBAL, DocumentedCommand, DocumentedGroup

NO_LOG = "CODEXAPI_NO_LOG"

T = TypeVar("T")


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


def opened(chosen: engine.Settings) -> engine.Codex:
    """The backend. With --verbose, its events are printed."""
    from .remembering import RememberingCodex  # httpx

    if not verbosity():
        return RememberingCodex(chosen)
    from ..terminal.verbose import VerboseObserver  # seldom wanted

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
        raise typer.Exit(USAGE) from None


def key_of(key_text: str | None, path: Path | None) -> str | None:
    """The key that clients must send: as it is given, or as a file holds it. Ends the program where
    it cannot be used."""
    if path is None:
        return key_text
    if key_text is not None:
        say("codexapi: --api-key and --api-key-file: give one of them")
        raise typer.Exit(USAGE)
    import codexapi_http  # a front end, for a server that is about to start

    try:
        key, note = codexapi_http.read_key(path)
    except engine.InvalidRequest as error:
        say(f"codexapi: {error}")
        raise typer.Exit(USAGE) from None
    except OSError as error:
        say(f"codexapi: --api-key-file: {path}: {error.strerror}")
        raise typer.Exit(LOCAL_FILE) from None
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
        raise typer.Exit(USAGE) from None


def _check_record(folder: Path | None, *, content: bool) -> None:
    """Makes the folder of a recording before anything is asked. Ends the program where it cannot."""
    if folder is None:
        if content:
            say("codexapi: --record-content: it belongs to --record DIR")
            raise typer.Exit(USAGE)
        return
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError as error:
        say(f"codexapi: --record: {folder}: {error.strerror}")
        raise typer.Exit(LOCAL_FILE) from None
