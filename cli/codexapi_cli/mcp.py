"""`codexapi mcp`: the MCP door."""

from __future__ import annotations

from .mcp_doctor import doctor
from .mcp_install import install, uninstall
from .mcp_list import list_
from .mcp_serve import serve
from .options import command

app = command()


@app.callback()
def mcp() -> None:
    """Serve text and pictures to editors and agents, over MCP."""


app.command()(serve)
app.command()(install)
app.command()(uninstall)
app.command("list")(list_)
app.command()(doctor)
