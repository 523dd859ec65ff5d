"""Makes the helps of all commands, which the command line prints without its parser; `python -m docs`
writes them.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import typer

from codexapi_cli.app import app
from codexapi_cli.parser.help_text import page_of

if TYPE_CHECKING:
    from codexapi_cli.parser.help_pages import Page


def text() -> str:
    root: Any = typer.main.get_command(app)
    context = root.make_context("codexapi", [], resilient_parsing=True)
    pages = {" ".join(names): page for names, page in _pages(root, context, ())}
    rows = [f"{json.dumps(name)}: {json.dumps(page)}" for name, page in pages.items()]
    return "{\n" + ",\n".join(rows) + "\n}\n"


def _pages(
    command: Any, ctx: Any, names: tuple[str, ...]
) -> Iterator[tuple[tuple[str, ...], Page]]:
    yield names, page_of(command, ctx)
    if hasattr(command, "list_commands"):
        for name in command.list_commands(ctx):
            inner = command.get_command(ctx, name)
            inside = type(ctx)(inner, parent=ctx, info_name=name)
            yield from _pages(inner, inside, (*names, name))
