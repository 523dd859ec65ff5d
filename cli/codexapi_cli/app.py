"""The commands by name. A command's module is loaded when it is called, and only then."""

from __future__ import annotations

from importlib import import_module
from typing import Annotated, Any

import typer
from typer.core import TyperGroup

from .options import EVERYWHERE, Color, Colors, Quiet, Timeout, Unlogged, Verbose
from .terminal import USAGE, ending, put, say
from .words import mark_questions, strip_marks

COMMANDS = {
    "chat": "Ask a model, and print its answer.",
    "sh": "Turn words into one shell command, and run it if you say so.",
    "image": "Draw a picture, or change one.",
    "serve": "Serve the OpenAI API on this machine.",
    "stop": "End a server that runs on this machine.",
    "service": "Print what makes your system run the server.",
    "setup": "Make a program that you have use the server.",
    "mcp": "Serve text and pictures to editors (MCP).",
    "login": "Log in, with the official Codex client.",
    "logout": "Log out, with the official Codex client.",
    "status": "Show your login and how much of your plan is used.",
    "usage": "Show how much of your plan is used, or watch it.",
    "models": "List the models of your account.",
    "history": "List, show and forget the chats kept on this machine.",
    "config": "Show the settings that hold, and where they come from.",
    "doctor": "Look for what is wrong, and say what would mend it.",
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
        made = typer.main.get_command(module.app)
        _with_global_options(made, [given for given in self.params if given.name in EVERYWHERE])
        return made

    def make_context(self, *arguments: Any, **options: Any) -> Any:
        with ending():  # --help is printed here
            return super().make_context(*arguments, **options)

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        return super().parse_args(ctx, mark_questions(args, self.get_params(ctx), first_alone=True))

    def invoke(self, ctx: Any) -> Any:
        with ending():  # whatever a command does not see to itself, such as a closed pipe
            return super().invoke(ctx)

    def resolve_command(self, ctx: Any, args: list[str]) -> Any:
        """A text with a space in it is a question. A single unknown word is not: a slip of the
        finger must cost no quota."""
        (name,) = strip_marks(args[:1])
        if name not in COMMANDS and any(map(str.isspace, name.strip())):
            return "chat", self.get_command(ctx, "chat"), [name, *args[1:]]
        if name not in COMMANDS and not name.startswith("-") and not ctx.resilient_parsing:
            say(f"codexapi: there is no command {name}{_suggestion(name)}")
            raise typer.Exit(USAGE)
        return super().resolve_command(ctx, args)

    def format_commands(self, ctx: Any, formatter: Any) -> None:
        with formatter.section("Commands"):
            formatter.write_dl(list(COMMANDS.items()))


def _with_global_options(made: Any, options: list[Any]) -> None:
    """Lets them stand after the command, and the commands of a group, unless it has its own of the
    name, or leaves its arguments to another program."""
    for inside in getattr(made, "commands", {}).values():
        _with_global_options(inside, options)
    if not made.context_settings.get("ignore_unknown_options"):
        taken = {name for own in made.params for name in own.opts}
        made.params.extend(option for option in options if not taken & set(option.opts))


def _suggestion(name: str) -> str:
    from difflib import get_close_matches  # only after a slip of the finger

    near = get_close_matches(name, COMMANDS, n=1)
    return f"; did you mean {near[0]}?" if near else "; codexapi --help lists them"


def _version(asked: bool) -> None:
    if asked:
        from codexapi_engine import __version__  # as `__main__` does: loaded only when asked for

        put(f"codexapi {__version__}\n")
        raise typer.Exit


app = typer.Typer(
    cls=Lazy,
    rich_markup_mode=None,  # rich would double the time of --help
    pretty_exceptions_enable=False,
    add_completion=False,
    no_args_is_help=True,
    context_settings={"help_option_names": ["-h", "--help"]},
)


@app.callback()
def codexapi(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Show the version.")
    ] = False,
    quiet: Quiet = False,
    verbose: Verbose = 0,
    color: Colors = Color.AUTO,
    timeout: Timeout = None,
    no_log: Unlogged = False,
) -> None:
    """Use your own Codex login from any OpenAI client, the shell and your editor.

    The options stand before the command or after it.
    """
