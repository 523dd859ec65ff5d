"""`codexapi login`: runs the official client's login."""

from __future__ import annotations

import shutil
import subprocess

import typer

from codexapi_engine.login.login_hint import CODEX, INSTALL

from ..parser.options import command
from ..terminal.output import LOGIN, Problem, ending

PASSED_ON = {"allow_extra_args": True, "ignore_unknown_options": True}
"""How a command leaves its arguments to another program."""

EXAMPLES = """
# Log in with a browser
$ codexapi login

# Log in on a machine without one, as over SSH
$ codexapi login --device-auth
"""

app = command()


@app.command(context_settings=PASSED_ON, epilog=EXAMPLES)
def login(ctx: typer.Context) -> None:
    """Log in with the official Codex client: run `codex login`, with the options that follow.

    codexapi has no login of its own. `codex login --help` lists the options.
    """
    raise typer.Exit(official("login", ctx.args))


def official(name: str, arguments: list[str]) -> int:
    """Runs a command of the official client; returns its exit code, or ends with how to get it."""
    with ending():
        program = shutil.which(CODEX)
        if program is None:
            raise Problem(
                f"the official Codex client is not on PATH, and it alone can do this: {INSTALL}; "
                f"then `codex {name}`",
                LOGIN,
            )
        return subprocess.run([program, name, *arguments], check=False).returncode
