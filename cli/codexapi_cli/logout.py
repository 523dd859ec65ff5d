"""`codexapi logout`: the official client's own logout."""

from __future__ import annotations

import typer

from .login import PASSED_ON, official
from .options import command

app = command()


@app.command(context_settings=PASSED_ON)
def logout(ctx: typer.Context) -> None:
    """Log out, with the official Codex client: runs `codex logout`, which forgets the login that
    the two programs share."""
    raise typer.Exit(official("logout", ctx.args))
