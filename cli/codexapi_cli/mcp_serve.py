"""`codexapi mcp serve`: the MCP door, on stdin and stdout or over HTTP."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

import codexapi_engine as engine
from codexapi_engine.setting_values import parse_host

from .options import BaseUrl, Demo, Model, checked, key_of, settings
from .terminal import USAGE, Problem, ending, say


def serve(
    http: Annotated[
        str | None,
        typer.Option(
            metavar="[HOST:]PORT",
            help="Serve over HTTP, at /mcp, in place of stdin and stdout; port 0: any free.",
        ),
    ] = None,
    tools: Annotated[
        str | None,
        typer.Option(metavar="LIST", help="Some of text,image,status. [default: all]"),
    ] = None,
    read_only: Annotated[
        bool, typer.Option("--read-only", help="No tool that writes files: no pictures.")
    ] = False,
    image_dir: Annotated[
        Path | None,
        typer.Option(
            metavar="DIR",
            help="Where pictures go. [env: CODEXAPI_IMAGE_DIR] [default: your Pictures/codexapi]",
            show_default=False,
        ),
    ] = None,
    image_dir_only: Annotated[
        bool, typer.Option("--image-dir-only", help="Save pictures nowhere else.")
    ] = False,
    inline: Annotated[
        str | None,
        typer.Option(
            metavar="auto|always|never",
            help="Whether results carry pictures too, where a call does not say. [default: auto]",
        ),
    ] = None,
    max_images: Annotated[
        int | None,
        typer.Option(
            min=0, metavar="N", help="Make at most N pictures, then refuse until restart."
        ),
    ] = None,
    model: Model = None,
    api_key: Annotated[
        str | None,
        typer.Option(help="With --http: a key that clients must send. [env: CODEXAPI_API_KEY]"),
    ] = None,
    api_key_file: Annotated[
        Path | None, typer.Option(metavar="FILE", help="With --http: the file that has that key.")
    ] = None,
    allow_host: Annotated[
        list[str] | None,
        typer.Option(help="With --http: a further name by which clients call this server."),
    ] = None,
    base_url: BaseUrl = None,
    demo: Demo = False,
) -> None:
    """Serve MCP over stdin and stdout, as editors start it, or over HTTP."""
    from codexapi_mcp.options import Options, checked_address, checked_groups, checked_inline

    with ending():
        given = {"--api-key": api_key, "--api-key-file": api_key_file, "--allow-host": allow_host}
        if http is None and (named := [name for name, value in given.items() if value]):
            raise Problem(f"{named[0]}: it is for --http alone")
        options = Options(
            Options().groups if tools is None else checked("--tools", checked_groups, tools),
            read_only, image_dir_only,
            Options().inline if inline is None else checked("--inline", checked_inline, inline),
            max_images,
        )  # fmt: skip
        host, port = (None, None) if http is None else checked("--http", checked_address, http)
        hosts = tuple(checked("--allow-host", parse_host, text) for text in allow_host or ())
        chosen = settings(
            base_url=base_url, demo=demo, model=model, image_dir=image_dir,
            host=host, port=port, api_key=key_of(api_key, api_key_file), allow_hosts=hosts,
        )  # fmt: skip
    import codexapi_mcp  # a door: loaded when it is opened

    if http is None:
        raise typer.Exit(codexapi_mcp.serve(chosen, options))
    import codexapi_http  # the door whose guard and process it is behind

    codexapi_http.configure_log(level="warning")
    annexes = [lambda codex: codexapi_mcp.Endpoint(codex, options)]
    try:
        raise typer.Exit(codexapi_http.serve(chosen, annexes=annexes, api=False))
    except engine.CodexError as error:
        say(f"codexapi: {error}")
        raise typer.Exit(USAGE) from None
