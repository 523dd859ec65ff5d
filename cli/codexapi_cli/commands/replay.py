"""`codexapi replay`: serves a recording as a backend, for other programs."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

import codexapi_engine as engine

from ..parser.options import ListenPort, command
from ..servers.stand_in import announce_backend, write_login
from ..terminal.output import FAILED, LOCAL_FILE, Problem, ending, say

app = command()


class Pace(StrEnum):
    """When the pieces of an answer are sent."""

    real = "real"
    none = "none"


EXAMPLES = """
# Record a server, then play what was recorded
$ codexapi serve --record ./recording
$ codexapi replay ./recording --login ./login

# Answer at once, and whatever is asked
$ codexapi replay ./recording --pace none --lenient
"""


@app.command(epilog=EXAMPLES)
def replay(
    recording: Annotated[
        Path, typer.Argument(metavar="DIR", help="Folder of a recording, or one of its files")
    ],
    pace: Annotated[
        Pace, typer.Option(help="Send the answers in the time that they took, or at once")
    ] = Pace.real,
    strict: Annotated[
        bool,
        typer.Option(
            "--strict/--lenient",
            help="Refuse a request that differs, or answer it with the next of its kind",
        ),
    ] = True,
    port: ListenPort = 0,
    login: Annotated[
        Path | None,
        typer.Option(metavar="DIR", help="Write an auth.json there, for programs that need one"),
    ] = None,
) -> None:
    """Serve a recording as a backend: no login, no quota, no network.

    Ends with 1 where a request was not as recorded.
    """
    # Loaded when it starts, with its server.
    from codexapi_engine.recording.lines import read_recording
    from codexapi_engine.recording.playback import Playback
    from codexapi_engine.simulator import Simulator
    from codexapi_http.simulate import serve_backend

    with ending():
        try:
            exchanges = read_recording(recording)
        except OSError as error:
            raise Problem(f"{error.filename or recording}: {error.strerror}", LOCAL_FILE) from None
        except engine.InvalidRequest as error:
            raise Problem(str(error), LOCAL_FILE) from None
        playback = Playback(
            exchanges,
            strict=strict,
            paced=pace is Pace.real,
            on_difference=lambda difference: say(f"codexapi: replay: {difference}"),
        )
        if login is not None:
            write_login(login, Simulator().login())

        def ready(url: str) -> None:
            announce_backend(url, login)
            say(f"codexapi replay of {len(exchanges)} exchanges on {url}/backend-api/codex")

        code = serve_backend(playback, port, ready)
        if playback.rest and not playback.differences:
            say(f"codexapi: replay: {len(playback.rest)} exchanges were not asked for")
    raise typer.Exit(FAILED if playback.differences else code)
