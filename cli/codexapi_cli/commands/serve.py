"""`codexapi serve`: runs the HTTP server."""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import replace
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

import codexapi_engine as engine
from codexapi_engine.bounds import IDLE_TIMEOUT
from codexapi_engine.setting_values import parse_alias, parse_host, parse_origin
from codexapi_engine.settings import OLLAMA_PORT

from ..parser import completers
from ..parser.help_text import BACKEND
from ..parser.options import (
    BaseUrl,
    Demo,
    Record,
    RecordContent,
    checked,
    command,
    key_of,
    settings,
)
from ..servers.background import announce, start
from ..servers.registry import PortLock
from ..terminal.output import USAGE, Problem, ending, quiet, say_error, verbosity

if TYPE_CHECKING:
    from codexapi_engine.protocol.models import Model

app = command()


class Level(StrEnum):
    """The log's level: this, and more severe."""

    debug = "debug"
    info = "info"
    warning = "warning"
    error = "error"


class LogFormat(StrEnum):
    """The log's format."""

    text = "text"
    json = "json"


EXAMPLES = """
# Serve on http://127.0.0.1:18080/v1 until Ctrl-C
$ codexapi serve

# Serve in the background; `codexapi stop` stops it
$ codexapi serve --detach

# Serve another name for a model, on a free port
$ codexapi serve --port 0 --model-alias gpt-4o=gpt-5.5
"""


@app.command(epilog=EXAMPLES)
def serve(
    host: Annotated[
        str | None,
        typer.Option(
            metavar="ADDRESS", rich_help_panel="Address",
            help="Address to listen on (default: 127.0.0.1)",
            autocompletion=completers.words("127.0.0.1", "::1", "0.0.0.0"),
        ),
    ] = None,
    port: Annotated[
        int | None,
        typer.Option(
            metavar="PORT", min=0, max=65535, rich_help_panel="Address",
            help="Port to listen on; 0: any free one (default: 18080)",
        ),
    ] = None,
    api_key: Annotated[
        str | None,
        typer.Option(
            metavar="KEY", rich_help_panel="Access",
            help="Key that clients must send; other users may see it in the list of processes "
            "(env: CODEXAPI_API_KEY)",
        ),
    ] = None,
    api_key_file: Annotated[
        Path | None,
        typer.Option(metavar="FILE", rich_help_panel="Access", help="File that holds this key"),
    ] = None,
    base_url: BaseUrl = None,
    timeout: Annotated[
        float | None,
        typer.Option(
            metavar="SECONDS", rich_help_panel=BACKEND,
            help=f"Seconds to wait while the backend sends nothing (default: {IDLE_TIMEOUT:g})",
        ),
    ] = None,
    model: Annotated[
        str | None,
        typer.Option(
            metavar="NAME", rich_help_panel="Models",
            help="Model for requests that name none (env: CODEXAPI_MODEL)",
            autocompletion=completers.models,
        ),
    ] = None,
    model_alias: Annotated[
        list[str] | None,
        typer.Option(
            metavar="NAME=MODEL", rich_help_panel="Models",
            help="Serve a model under another name too; may be repeated",
        ),
    ] = None,
    allow_host: Annotated[
        list[str] | None,
        typer.Option(
            metavar="NAME", rich_help_panel="Access",
            help="Accept this host name in requests too; may be repeated",
        ),
    ] = None,
    cors: Annotated[
        list[str] | None,
        typer.Option(
            metavar="ORIGIN", rich_help_panel="Access",
            help="Let web pages of this origin call the server; may be repeated",
        ),
    ] = None,
    max_streams: Annotated[
        int | None,
        typer.Option(
            metavar="N", min=1, rich_help_panel=BACKEND,
            help="Most requests to the backend at a time (default: no limit)",
        ),
    ] = None,
    metrics: Annotated[
        bool,
        typer.Option(
            "--metrics", rich_help_panel="Features", help="Serve GET /metrics for Prometheus"
        ),
    ] = False,
    page: Annotated[
        bool | None,
        typer.Option(
            "--page/--no-page", rich_help_panel="Features",
            help="Serve a status page at /, or not (default: where only this machine can reach it)",
            show_default=False,
        ),
    ] = None,
    demo: Demo = False,
    record: Record = None,
    record_content: RecordContent = False,
    state: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE", rich_help_panel="Features",
            help="Keep stored responses and files in this file (default: in memory)",
        ),
    ] = None,
    strict: Annotated[
        bool,
        typer.Option(
            "--strict", rich_help_panel="Features", help="Refuse parameters that would be ignored"
        ),
    ] = False,
    transcribe_audio: Annotated[
        bool,
        typer.Option(
            "--transcribe-audio", rich_help_panel="Features",
            help="Transcribe audio for models that take none",
        ),
    ] = False,
    mcp: Annotated[
        bool,
        typer.Option(
            "--mcp", rich_help_panel="Features",
            help="Serve MCP at /mcp too, as `codexapi mcp serve` does",
        ),
    ] = False,
    ollama: Annotated[
        bool,
        typer.Option(
            "--ollama", rich_help_panel="Features",
            help="Serve at 127.0.0.1:11434 too, for programs that look for Ollama "
            "(env: CODEXAPI_OLLAMA_PORT, for another port)",
        ),
    ] = False,
    detach: Annotated[
        bool,
        typer.Option(
            "--detach", rich_help_panel="Process",
            help="Run in the background; `codexapi stop` stops it",
        ),
    ] = False,
    announcing: Annotated[bool, typer.Option("--announce", hidden=True)] = False,
    log_level: Annotated[
        Level | None,
        typer.Option(rich_help_panel="Process", help="Least level to log (default: info)"),
    ] = None,
    log_format: Annotated[
        LogFormat, typer.Option(rich_help_panel="Process", help="Format of the log")
    ] = LogFormat.text,
) -> None:  # fmt: skip
    """Serve the OpenAI API on this machine, with your own login.

    Point a client at http://127.0.0.1:18080/v1; any text will do as its key.
    """
    if timeout is not None and not timeout > 0:
        say_error("--timeout: expected a number of seconds above 0")
        raise typer.Exit(USAGE)
    aliases = dict(checked("--model-alias", parse_alias, text) for text in model_alias or ())
    hosts = tuple(checked("--allow-host", parse_host, text) for text in allow_host or ())
    origins = tuple(checked("--cors", parse_origin, text) for text in cors or ())
    chosen = settings(
        host=host, base_url=base_url, api_key=key_of(api_key, api_key_file),
        timeout=timeout, model=model, allow_hosts=hosts, demo=demo, strict=strict,
        port=port, model_aliases=aliases, state=state,
        cors=origins, max_streams=max_streams, metrics=metrics,
        transcribe_audio=transcribe_audio, record=record, record_content=record_content,
    )  # fmt: skip
    if page is not None:
        chosen = replace(chosen, page=page)
    if ollama and chosen.ollama_port is None:
        chosen = replace(chosen, ollama_port=OLLAMA_PORT)
    if detach:
        with ending():
            again = [word for word in sys.argv[1:] if word != "--detach"]
            raise typer.Exit(start(chosen.state_dir, chosen.port, again))
    with ending(), PortLock(chosen.state_dir, demo=chosen.demo) as place:
        _take(place, chosen.port)
        import codexapi_http  # a front end: loaded when it starts

        level = log_level or _level()
        codexapi_http.configure_log(form=log_format.value, level=level.value)

        def ready(url: str, notes: list[str]) -> None:
            _show(place, url, notes)
            if announcing:
                announce(url, notes)

        try:
            code = codexapi_http.serve(
                chosen, ready, mounts=_mounts() if mcp else (), snippets=_snippets
            )
        except engine.CodexError as error:
            say_error(str(error))
            code = USAGE
    raise typer.Exit(code)


def _mounts() -> Sequence[Callable[[engine.Codex], Any]]:
    import codexapi_mcp  # as above

    return [codexapi_mcp.Endpoint]


def _snippets(url: str, models: Sequence[Model], keyed: bool) -> Sequence[dict[str, Any]]:
    from ..integrations.snippets import snippets  # when a browser opens the page

    return snippets(url, models, keyed)


def _level() -> Level:
    if quiet():
        return Level.warning
    return Level.debug if verbosity() else Level.info


def _take(place: PortLock, port: int) -> None:
    """Raises Problem where another server of ours has the port."""
    with suppress(OSError):  # shown when the server is ready
        if port:
            place.take(port)


def _show(place: PortLock, url: str, notes: list[str]) -> None:
    """A server that cannot be shown to others serves all the same."""
    try:
        place.ready(url)
    except (OSError, Problem) as error:
        notes.append(f"`codexapi stop` will not find this server: {error}")
