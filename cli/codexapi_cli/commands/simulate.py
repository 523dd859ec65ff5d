"""`codexapi simulate`: runs the simulated backend on a port, for other programs."""

from __future__ import annotations

import secrets
from pathlib import Path
from typing import Annotated

import typer

from ..parser.options import ListenPort, command
from ..servers.stand_in import announce_backend, write_login
from ..terminal.output import USAGE, put, say

app = command()


EXAMPLES = """
# Run it on any free port; it prints its address
$ codexapi simulate

# Write a login for it too, and print the settings that lead there
$ codexapi simulate --port 18090 --login ./login

# List what a prompt may ask of it
$ codexapi simulate --list
"""


@app.command(epilog=EXAMPLES)
def simulate(
    port: ListenPort = 0,
    login: Annotated[
        Path | None,
        typer.Option(metavar="DIR", help="Write an auth.json there that the simulator accepts"),
    ] = None,
    token_lifetime: Annotated[
        float, typer.Option(metavar="SECONDS", help="Lifetime of its access tokens")
    ] = 864_000.0,
    lenient: Annotated[
        list[str] | None,
        typer.Option(metavar="RULE", help="Switch a rule off; may be repeated"),
    ] = None,
    max_body: Annotated[
        int | None,
        typer.Option(
            metavar="BYTES", min=0, help="Drop larger requests unread, as the backend does"
        ),
    ] = None,
    listing: Annotated[
        bool, typer.Option("--list", help="List the scripts that a prompt may hold")
    ] = False,
    list_rules: Annotated[
        bool, typer.Option("--list-rules", help="List the rules, and how each is known")
    ] = False,
) -> None:
    """Run the simulated backend for other programs: no login, no quota, no network."""
    # Loaded when the simulator starts, with its server.
    from codexapi_engine import simulator
    from codexapi_http.simulate import serve_backend

    if listing:
        put(f"{simulator.listing()}\n")
        return
    if list_rules:
        typer.echo(simulator.listing_of_rules())
        return
    if names := simulator.unknown_rules(lenient or ()):
        say(f"codexapi: --lenient: no rule {', '.join(names)}; the rules:\n")
        say("\n".join(simulator.NAMES))
        raise typer.Exit(USAGE)
    if not token_lifetime > 0:
        say("codexapi: --token-lifetime: expected a number of seconds above 0")
        raise typer.Exit(USAGE)
    simulated = simulator.Simulator(
        token_lifetime=token_lifetime,
        seed=secrets.randbits(32),
        lenient=lenient or (),
        max_body=simulator.MAX_BODY if max_body is None else max_body,
    )
    if login is not None:
        write_login(login, simulated.login())

    def ready(url: str) -> None:
        announce_backend(url, login)
        say(f"codexapi simulator on {url}/backend-api/codex")

    raise typer.Exit(serve_backend(simulated, port, ready))
