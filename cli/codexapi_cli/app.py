"""The commands by name. A command's module is loaded when it is called, and only then."""

from __future__ import annotations

from importlib import import_module
from typing import Annotated, Any

import typer
from typer.core import TyperGroup

COMMANDS = {
    "chat": "Ask a model, and print its answer.",
    "image": "Draw a picture, or change one.",
    "serve": "Serve the OpenAI API on this machine.",
    "models": "List the models of your account.",
    "status": "Show your login and how much of your plan is used.",
    "mcp": "Serve text and pictures to editors (MCP).",
    "simulate": "Run the simulated backend for other programs.",
}


class Lazy(TyperGroup):
    """A group that knows its commands by name, and loads one when it is asked for."""

    def list_commands(self, ctx: Any) -> list[str]:
        return list(COMMANDS)

    def get_command(self, ctx: Any, cmd_name: str) -> Any:
        if cmd_name not in COMMANDS:
            return None
        module = import_module(f".{cmd_name}", __package__)
        return typer.main.get_command(module.app)

    def format_commands(self, ctx: Any, formatter: Any) -> None:
        with formatter.section("Commands"):
            formatter.write_dl(list(COMMANDS.items()))


def _version(asked: bool) -> None:
    if asked:
        from codexapi_engine import __version__  # as `__main__` does: loaded only when asked for

        typer.echo(f"codexapi {__version__}")
        raise typer.Exit


app = typer.Typer(
    cls=Lazy,
    rich_markup_mode=None,  # rich would double the time of --help
    pretty_exceptions_enable=False,
    add_completion=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)


@app.callback()
def codexapi(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Show the version.")
    ] = False,
) -> None:
    """Use your own Codex login from any OpenAI client, the shell and your editor."""
