"""`codexapi logout`: runs the official client's logout."""

from __future__ import annotations

import typer

from ..parser.options import command
from .login import PASSED_ON, official

app = command()


EXAMPLES = """
# Log out
$ codexapi logout

# Then see who is logged in
$ codexapi status
"""


@app.command(context_settings=PASSED_ON, epilog=EXAMPLES)
def logout(ctx: typer.Context) -> None:
    """Log out with the official Codex client: run `codex logout`, with the options that follow.

    Both programs use the same login, so both are logged out.
    """
    raise typer.Exit(official("logout", ctx.args))
