"""`codexapi serve`: the HTTP door."""

from __future__ import annotations

import logging
import sys
from pathlib import Path
from typing import Annotated

import typer

import codexapi_engine as engine
from codexapi_engine.settings import checked_alias

from .options import BaseUrl, Demo, command, settings
from .terminal import USAGE, say

app = command()


@app.command()
def serve(
    host: Annotated[
        str | None, typer.Option(help="The address to listen on. [default: 127.0.0.1]")
    ] = None,
    port: Annotated[
        int | None, typer.Option(min=0, max=65535, help="The port; 0: any free. [default: 18080]")
    ] = None,
    api_key: Annotated[
        str | None, typer.Option(help="A key that clients must send. [env: CODEXAPI_API_KEY]")
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
    quiet: Annotated[bool, typer.Option("-q", "--quiet", help="No line for each request.")] = False,
) -> None:
    """Serve the OpenAI API on this machine, with your own login behind it."""
    if timeout is not None and not timeout > 0:
        say("codexapi: --timeout: expected a number of seconds above 0")
        raise typer.Exit(USAGE)
    try:
        aliases = dict(checked_alias(text) for text in model_alias or ())
    except ValueError as error:
        say(f"codexapi: --model-alias: {error}")
        raise typer.Exit(USAGE) from None
    chosen = settings(
        host=host, base_url=base_url, api_key=api_key, timeout=timeout, model=model,
        allow_hosts=tuple(allow_host or ()), demo=demo, strict=strict,
        port=port, model_aliases=aliases, state=state,
    )  # fmt: skip
    logging.basicConfig(
        stream=sys.stderr,
        level=logging.WARNING if quiet else logging.INFO,
        format="%(asctime)s %(name)s %(message)s",
        datefmt="%H:%M:%S",
    )
    # They name URLs at INFO, and headers below it.
    for name in ("httpx", "httpcore", "asyncio"):
        logging.getLogger(name).setLevel(logging.WARNING)
    # It warns of every WebSocket attempt, which we answer ourselves.
    logging.getLogger("uvicorn").setLevel(logging.ERROR)
    import codexapi_http  # a door: loaded when it is opened

    try:
        code = codexapi_http.serve(chosen)
    except engine.CodexError as error:
        say(f"codexapi: {error}")
        code = USAGE
    raise typer.Exit(code)
