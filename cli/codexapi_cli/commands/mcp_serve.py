"""`codexapi mcp serve`: runs the MCP server, on stdin and stdout or over HTTP."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

import codexapi_engine as engine
from codexapi_engine.setting_values import parse_host

from ..parser import completers
from ..parser.options import BaseUrl, Demo, Model, ReadOnly, Record, RecordContent, Tools
from ..settings import checked, key_of, settings
from ..terminal.output import USAGE, Problem, ending, say


def serve(
    http: Annotated[
        str | None,
        typer.Option(
            metavar="[HOST:]PORT", rich_help_panel="HTTP",
            help="Serve over HTTP, at /mcp, instead of stdin and stdout; port 0: any free one",
        ),
    ] = None,
    tools: Tools = None,
    read_only: ReadOnly = False,
    image_dir: Annotated[
        Path | None,
        typer.Option(
            metavar="DIR", rich_help_panel="Pictures", show_default=False,
            help="Save pictures here (env: CODEXAPI_IMAGE_DIR, default: Pictures/codexapi)",
        ),
    ] = None,
    image_dir_only: Annotated[
        bool,
        typer.Option(
            "--image-dir-only", rich_help_panel="Pictures", help="Save pictures nowhere else"
        ),
    ] = False,
    inline: Annotated[
        str | None,
        typer.Option(
            metavar="auto|always|never", rich_help_panel="Pictures",
            help="Put pictures into results too, if a call does not say (default: auto)",
            autocompletion=completers.words("auto", "always", "never"),
        ),
    ] = None,
    max_images: Annotated[
        int | None,
        typer.Option(
            min=0, metavar="N", rich_help_panel="Pictures",
            help="Draw at most N pictures, then refuse until the server is restarted",
        ),
    ] = None,
    model: Model = None,
    api_key: Annotated[
        str | None,
        typer.Option(
            metavar="KEY", rich_help_panel="HTTP",
            help="Key that clients must send (env: CODEXAPI_API_KEY)",
        ),
    ] = None,
    api_key_file: Annotated[
        Path | None,
        typer.Option(metavar="FILE", rich_help_panel="HTTP", help="File that holds this key"),
    ] = None,
    allow_host: Annotated[
        list[str] | None,
        typer.Option(
            metavar="NAME", rich_help_panel="HTTP",
            help="Accept this host name in requests too; may be repeated",
        ),
    ] = None,
    base_url: BaseUrl = None,
    demo: Demo = False,
    record: Record = None,
    record_content: RecordContent = False,
) -> None:  # fmt: skip
    """Serve MCP on stdin and stdout, as editors start it, or over HTTP."""
    from codexapi_mcp.options import Options, checked_address, checked_groups, checked_inline

    with ending():
        values = {"--api-key": api_key, "--api-key-file": api_key_file, "--allow-host": allow_host}
        if http is None and (named := [name for name, value in values.items() if value]):
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
            record=record, record_content=record_content,
        )  # fmt: skip
    import codexapi_mcp  # a front end: loaded when it starts

    if http is None:
        raise typer.Exit(codexapi_mcp.serve(chosen, options))
    import codexapi_http  # the front end that serves it

    codexapi_http.configure_log(level="warning")
    mounts = [lambda codex: codexapi_mcp.Endpoint(codex, options)]
    try:
        raise typer.Exit(codexapi_http.serve(chosen, mounts=mounts, api=False))
    except engine.CodexError as error:
        say(f"codexapi: {error}")
        raise typer.Exit(USAGE) from None
