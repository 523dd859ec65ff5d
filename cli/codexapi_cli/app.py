"""The commands by name. A command's module is loaded when it is called, and only then."""

from __future__ import annotations

from importlib import import_module
from typing import Annotated, Any

import typer
from typer.core import TyperGroup

from .terminal import USAGE, say

COMMANDS = {
    "chat": "Ask a model, and print its answer.",
    "sh": "Turn words into one shell command, and run it if you say so.",
    "image": "Draw a picture, or change one.",
    "serve": "Serve the OpenAI API on this machine.",
    "mcp": "Serve text and pictures to editors (MCP).",
    "login": "Log in, with the official Codex client.",
    "logout": "Log out, with the official Codex client.",
    "status": "Show your login and how much of your plan is used.",
    "usage": "Show how much of your plan is used, or watch it.",
    "models": "List the models of your account.",
    "history": "List, show and forget the chats kept on this machine.",
    "config": "Show the settings that hold, and where they come from.",
    "completion": "Print a completion script for your shell.",
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

    def resolve_command(self, ctx: Any, args: list[str]) -> Any:
        """A text with a space in it is a question. A single unknown word is not: a slip of the
        finger must cost no quota."""
        name = args[0]
        if name not in COMMANDS and any(map(str.isspace, name.strip())):
            return "chat", self.get_command(ctx, "chat"), args
        if name not in COMMANDS and not name.startswith("-") and not ctx.resilient_parsing:
            say(f"codexapi: there is no command {name}{_suggestion(name)}")
            raise typer.Exit(USAGE)
        return super().resolve_command(ctx, args)

    def format_commands(self, ctx: Any, formatter: Any) -> None:
        with formatter.section("Commands"):
            formatter.write_dl(list(COMMANDS.items()))


def _suggestion(name: str) -> str:
    from difflib import get_close_matches  # only after a slip of the finger

    near = get_close_matches(name, COMMANDS, n=1)
    return f"; did you mean {near[0]}?" if near else "; codexapi --help lists them"


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
