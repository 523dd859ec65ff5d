"""`codexapi serve`: the HTTP door."""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from contextlib import suppress
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any

import typer

import codexapi_engine as engine
from codexapi_engine.setting_values import parse_alias, parse_host, parse_origin

from .background import announce, start
from .options import BaseUrl, Demo, checked, command, key_of, settings
from .servers import Place
from .terminal import USAGE, Problem, ending, quiet, say, verbosity

app = command()


class Level(StrEnum):
    """What the log tells: this, and what is graver."""

    debug = "debug"
    info = "info"
    warning = "warning"
    error = "error"


class Form(StrEnum):
    """How the log tells it."""

    text = "text"
    json = "json"


@app.command()
def serve(
    host: Annotated[
        str | None, typer.Option(help="The address to listen on. [default: 127.0.0.1]")
    ] = None,
    port: Annotated[
        int | None, typer.Option(min=0, max=65535, help="The port; 0: any free. [default: 18080]")
    ] = None,
    api_key: Annotated[
        str | None,
        typer.Option(
            help="A key that clients must send; lists of processes show it. [env: CODEXAPI_API_KEY]"
        ),
    ] = None,
    api_key_file: Annotated[
        Path | None, typer.Option(metavar="PATH", help="A file that holds that key instead.")
    ] = None,
    base_url: BaseUrl = None,
    timeout: Annotated[
        float | None, typer.Option(help="Seconds a backend stream may be silent. [default: 300]")
    ] = None,
    model: Annotated[
        str | None, typer.Option(help="The model for requests that name none.")
    ] = None,
    model_alias: Annotated[
        list[str] | None,
        typer.Option(metavar="NAME=MODEL", help="Another name for a model; may be repeated."),
    ] = None,
    allow_host: Annotated[
        list[str] | None, typer.Option(help="A further name by which clients call this server.")
    ] = None,
    cors: Annotated[
        list[str] | None,
        typer.Option(metavar="ORIGIN", help="A web page's origin that may call; may be repeated."),
    ] = None,
    max_streams: Annotated[
        int | None,
        typer.Option(min=1, help="Runs at the backend at a time. [default: no limit]"),
    ] = None,
    metrics: Annotated[
        bool, typer.Option("--metrics", help="Serve GET /metrics for Prometheus.")
    ] = False,
    demo: Demo = False,
    state: Annotated[
        Path | None,
        typer.Option(
            metavar="PATH", help="A file that keeps stored responses. [default: in memory]"
        ),
    ] = None,
    strict: Annotated[
        bool, typer.Option("--strict", help="Refuse parameters that would be ignored.")
    ] = False,
    mcp: Annotated[
        bool, typer.Option("--mcp", help="Serve MCP too, at /mcp, as `codexapi mcp serve` does.")
    ] = False,
    detach: Annotated[
        bool, typer.Option("--detach", help="Go on in the background; `codexapi stop` ends it.")
    ] = False,
    announcing: Annotated[bool, typer.Option("--announce", hidden=True)] = False,
    log_level: Annotated[
        Level | None, typer.Option(help="What the log tells. [default: info]")
    ] = None,
    log_format: Annotated[Form, typer.Option(help="How it tells it.")] = Form.text,
) -> None:
    """Serve the OpenAI API on this machine, with your own login behind it."""
    if timeout is not None and not timeout > 0:
        say("codexapi: --timeout: expected a number of seconds above 0")
        raise typer.Exit(USAGE)
    aliases = dict(checked("--model-alias", parse_alias, text) for text in model_alias or ())
    hosts = tuple(checked("--allow-host", parse_host, text) for text in allow_host or ())
    origins = tuple(checked("--cors", parse_origin, text) for text in cors or ())
    chosen = settings(
        host=host, base_url=base_url, api_key=key_of(api_key, api_key_file),
        timeout=timeout, model=model, allow_hosts=hosts, demo=demo, strict=strict,
        port=port, model_aliases=aliases, state=state,
        cors=origins, max_streams=max_streams, metrics=metrics,
    )  # fmt: skip
    if detach:
        with ending():
            again = [word for word in sys.argv[1:] if word != "--detach"]
            raise typer.Exit(start(chosen.state_dir, chosen.port, again))
    with ending(), Place(chosen.state_dir) as place:
        _take(place, chosen.port)
        import codexapi_http  # a door: loaded when it is opened

        told = log_level or _level()
        codexapi_http.configure_log(form=log_format.value, level=told.value)

        def ready(url: str, notes: list[str]) -> None:
            _show(place, url, notes)
            if announcing:
                announce(url, notes)

        try:
            code = codexapi_http.serve(chosen, ready, annexes=_annexes() if mcp else ())
        except engine.CodexError as error:
            say(f"codexapi: {error}")
            code = USAGE
    raise typer.Exit(code)


def _annexes() -> Sequence[Callable[[engine.Codex], Any]]:
    import codexapi_mcp  # as above

    return [codexapi_mcp.Endpoint]


def _level() -> Level:
    if quiet():
        return Level.warning
    return Level.debug if verbosity() else Level.info


def _take(place: Place, port: int) -> None:
    """Raises Problem where another server of ours has the port."""
    with suppress(OSError):  # told when the server is ready
        if port:
            place.take(port)


def _show(place: Place, url: str, notes: list[str]) -> None:
    """A server that cannot be shown to others serves all the same."""
    try:
        place.ready(url)
    except (OSError, Problem) as error:
        notes.append(f"`codexapi stop` will not find this server: {error}")
