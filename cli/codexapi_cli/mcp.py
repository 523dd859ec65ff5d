"""`codexapi mcp`: the MCP door."""

from __future__ import annotations

import typer

from .options import BaseUrl, Demo, Model, command, settings

app = command()


@app.callback()
def mcp() -> None:
    """Serve text generation to editors and agents, over MCP."""


@app.command()
def serve(model: Model = None, base_url: BaseUrl = None, demo: Demo = False) -> None:
    """Serve MCP over stdin and stdout, as editors start it."""
    chosen = settings(base_url=base_url, demo=demo, model=model)
    import codexapi_mcp  # a door: loaded when it is opened

    raise typer.Exit(codexapi_mcp.serve(chosen))
