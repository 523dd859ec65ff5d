"""`codexapi mcp`: the MCP door."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from .options import BaseUrl, Demo, Model, command, settings

app = command()


@app.callback()
def mcp() -> None:
    """Serve text and pictures to editors and agents, over MCP."""


@app.command()
def serve(
    model: Model = None,
    image_dir: Annotated[
        Path | None,
        typer.Option(
            metavar="DIR",
            help="Where pictures go. [env: CODEXAPI_IMAGE_DIR] [default: your Pictures/codexapi]",
            show_default=False,
        ),
    ] = None,
    base_url: BaseUrl = None,
    demo: Demo = False,
) -> None:
    """Serve MCP over stdin and stdout, as editors start it."""
    chosen = settings(base_url=base_url, demo=demo, model=model, image_dir=image_dir)
    import codexapi_mcp  # a door: loaded when it is opened

    raise typer.Exit(codexapi_mcp.serve(chosen))
