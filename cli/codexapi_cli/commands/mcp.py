"""`codexapi mcp`: the group of MCP commands."""

from __future__ import annotations

from ..parser.options import command
from .mcp_doctor import doctor
from .mcp_install import ClientsCommand, install, uninstall
from .mcp_list import list_
from .mcp_serve import serve

app = command()


EXAMPLES = """
# Register with a client, or with all that are here
$ codexapi mcp install cursor --dry-run
$ codexapi mcp install --all-detected --dry-run

# List what is registered, and try it
$ codexapi mcp list
$ codexapi mcp doctor
"""
SERVE_EXAMPLES = """
# On stdin and stdout, as editors start it
$ codexapi mcp serve

# Over HTTP, at http://127.0.0.1:18081/mcp
$ codexapi mcp serve --http 18081
"""
INSTALL_EXAMPLES = """
# Show what would change in Cursor's settings
$ codexapi mcp install cursor --dry-run

# Print what to paste into the settings of a client
$ codexapi mcp install windsurf --print
"""
UNINSTALL_EXAMPLES = """
# Show what would change in Cursor's settings
$ codexapi mcp uninstall cursor --dry-run

# Take it out there
$ codexapi mcp uninstall cursor
"""
LIST_EXAMPLES = """
# List the clients
$ codexapi mcp list

# For a program
$ codexapi mcp list --json
"""
DOCTOR_EXAMPLES = """
# Try every registered server
$ codexapi mcp doctor

# For a program
$ codexapi mcp doctor --json
"""


@app.callback(epilog=EXAMPLES)
def mcp() -> None:
    """Connect editors and agents to your Codex login over MCP."""


app.command(epilog=SERVE_EXAMPLES)(serve)
app.command(cls=ClientsCommand, epilog=INSTALL_EXAMPLES)(install)
app.command(cls=ClientsCommand, epilog=UNINSTALL_EXAMPLES)(uninstall)
app.command("list", epilog=LIST_EXAMPLES)(list_)
app.command(epilog=DOCTOR_EXAMPLES)(doctor)
