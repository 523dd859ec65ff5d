"""The table of commands. A command's module is loaded only when the command is called."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from importlib import import_module
from typing import Annotated, Any

import typer

from codexapi_engine import __version__

from .parser.help_text import DocumentedGroup
from .parser.implicit import command_first, show_help_of
from .parser.options import EVERYWHERE, Color, Colors, Quiet, Timeout, Unlogged, Verbose
from .parser.texts import is_question
from .parser.usage_errors import explain
from .parser.words import mark_questions, strip_marks
from .terminal.output import Problem, ending, put

COMMANDS = {
    "chat": "Ask a model, or talk with it",
    "sh": "Turn words into a shell command",
    "image": "Draw or edit pictures",
    "transcribe": "Print what is said in audio files",
    "serve": "Serve the OpenAI API on this machine",
    "stop": "Stop a server that runs in the background",
    "service": "Run the server as a service of your system",
    "top": "Watch the requests of a running server",
    "keys": "Give programs keys of their own",
    "setup": "Make other programs use the server",
    "mcp": "Connect editors and agents over MCP",
    "login": "Log in with the official Codex client",
    "logout": "Log out with the official Codex client",
    "status": "Show your login, your plan and the running servers",
    "usage": "Show how much of your plan is used",
    "models": "List the models of your account",
    "history": "List, show and delete the chats on this machine",
    "config": "Show the settings and where each comes from",
    "doctor": "Find problems and say how to fix them",
    "completion": "Print a completion script for your shell",
    "simulate": "Run the simulated backend for other programs",
    "replay": "Serve a recording as a backend for other programs",
    "drift": "Compare the official Codex client with codexapi",
}

_SECTIONS = {
    "Core commands": ("chat", "sh", "image", "transcribe"),
    "Server commands": ("serve", "stop", "service", "top", "keys", "setup", "mcp"),
    "Account commands": ("login", "logout", "status", "usage", "models"),
    "Other commands": ("history", "config", "doctor", "completion", "simulate", "replay", "drift"),
}

EXAMPLES = """
$ codexapi chat "why is the sky blue?"
$ git diff | codexapi chat "write a commit message"
$ codexapi image "a red fox" -o fox.png
$ codexapi serve
"""


_JSON = {"--json", "--stream-json"}


@contextmanager
def _parsing() -> Iterator[None]:
    """Ends the program as any other error does where a command line cannot be parsed."""
    with ending(as_json=bool(_JSON & set(sys.argv[1:]))):
        try:
            yield
        except Exception as error:
            if not hasattr(error, "format_message"):
                raise
            raise Problem(explain(error)) from None


class Lazy(DocumentedGroup):
    """A group that knows its commands by name, and loads one when it is called."""

    def list_commands(self, ctx: Any) -> list[str]:
        return list(COMMANDS)

    def get_command(self, ctx: Any, cmd_name: str) -> Any:
        if cmd_name not in COMMANDS:
            return None
        module = import_module(f".commands.{cmd_name}", __package__)
        made = typer.main.get_command(module.app)
        _with_global_options(made, [option for option in self.params if option.name in EVERYWHERE])
        return made

    def make_context(self, *arguments: Any, **options: Any) -> Any:
        with _parsing():  # --help is printed here
            return super().make_context(*arguments, **options)

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        if not ctx.resilient_parsing:
            args = mark_questions(args, self.get_params(ctx), first_alone=True)
            if args and args[0].startswith("-"):
                args = command_first(self, ctx, args)
        return super().parse_args(ctx, args)

    def invoke(self, ctx: Any) -> Any:
        with _parsing():  # exceptions that a command does not handle, such as a closed pipe
            return super().invoke(ctx)

    def resolve_command(self, ctx: Any, args: list[str]) -> Any:
        """A text with a space in it is a question. A single unknown word is not: a slip of the
        finger must cost no quota."""
        args = [*strip_marks(args[:1]), *args[1:]]
        if args[0] == "help":
            show_help_of(self, ctx, args[1:])
        if args[0] not in COMMANDS and is_question(args[0]):
            return "chat", self.get_command(ctx, "chat"), args
        return super().resolve_command(ctx, args)

    def sections(self) -> Mapping[str, Sequence[tuple[str, str]]]:
        return {
            heading: [(name, COMMANDS[name]) for name in names]
            for heading, names in _SECTIONS.items()
        }


def _with_global_options(made: Any, options: list[Any]) -> None:
    """Lets them stand after the command, and the commands of a group, unless it has its own of the
    name, or leaves its arguments to another program."""
    for inside in getattr(made, "commands", {}).values():
        _with_global_options(inside, options)
    if not made.context_settings.get("ignore_unknown_options"):
        taken = {name for own in made.params for name in own.opts}
        made.params.extend(option for option in options if not taken & set(option.opts))


def _version(wanted: bool) -> None:
    if wanted:
        put(f"codexapi {__version__}\n")
        raise typer.Exit


app = typer.Typer(
    cls=Lazy,
    rich_markup_mode=None,  # rich would double the time of --help
    pretty_exceptions_enable=False,
    add_completion=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)


@app.callback(epilog=EXAMPLES)
def codexapi(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version")
    ] = False,
    quiet: Quiet = False,
    verbose: Verbose = 0,
    color: Colors = Color.AUTO,
    timeout: Timeout = None,
    no_log: Unlogged = False,
) -> None:
    """Use your own Codex login from any OpenAI client, the shell and your editor.

    `codexapi "why is the sky blue?"` is short for `codexapi chat`: more than one word in quotes is
    a question. Options may stand before or after the command.
    """
