"""`codexapi`, and `python -m codexapi_cli`: the entry point.

Imports next to nothing, so that `--version` is answered before anything else is loaded.
"""

from __future__ import annotations

import gc
import sys

from codexapi_engine import __version__

NEW_OBJECTS = 10_000
"""What the collector waits for; by default it is 700. Of what is loaded nothing is garbage, and of a
request hardly anything: so a start takes a twentieth less, and a request too, for 2 MB."""


def main() -> None:
    if sys.argv[1:] == ["--version"]:
        _put_version()
        return
    import signal

    try:
        _main()
    except KeyboardInterrupt:  # Ctrl-C while it is still loading
        sys.exit(130)
    finally:
        # The interpreter takes a while to end, and would print where a late Ctrl-C met it.
        try:
            signal.signal(signal.SIGINT, signal.SIG_IGN)
        except KeyboardInterrupt:  # it came at this very moment, and nothing is left to stop
            signal.signal(signal.SIGINT, signal.SIG_IGN)


def _main() -> None:
    arguments = sys.argv[1:]
    if not arguments or arguments[0] == "help" or arguments[-1] in ("--help", "-h"):
        from .parser.help_pages import show_page

        if show_page(arguments):
            return
    from .terminal.streams import prepare

    prepare()
    gc.set_threshold(NEW_OBJECTS)
    if arguments == ["mcp", "serve"]:
        # As editors start it, and count the time until it answers: 70 ms less without typer.
        from codexapi_mcp.__main__ import main as serve

        sys.exit(serve())
    from .parser.plain import run_plain

    if run_plain(arguments):
        return
    from .app import app

    app(prog_name="codexapi")


def _put_version() -> None:
    try:
        if sys.stdout is None:
            raise OSError(None, "it is closed")
        print(f"codexapi {__version__}", flush=True)
    except OSError as error:
        from .terminal.streams import silence

        silence(1)
        if isinstance(error, BrokenPipeError):
            sys.exit(141)
        print(f"codexapi: stdout: {error.strerror}", file=sys.stderr)
        sys.exit(7)


if __name__ == "__main__":
    main()
