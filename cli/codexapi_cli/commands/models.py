"""`codexapi models`: lists the models of the account."""

from __future__ import annotations

from typing import Annotated

import typer

import codexapi_engine as engine
from codexapi_engine.protocol.models import Model, public

from ..parser.options import BaseUrl, Demo, Json, command
from ..settings import opened, settings
from ..terminal.output import note, put, put_json, run

app = command()


EXAMPLES = """
# List them
$ codexapi models

# With the hidden ones, for a program
$ codexapi models --all --json
"""


@app.command(epilog=EXAMPLES)
def models(
    all_: Annotated[bool, typer.Option("--all", help="List hidden models too")] = False,
    as_json: Json = False,
    base_url: BaseUrl = None,
    demo: Demo = False,
) -> None:
    """List the models of your account, the default one first.

    `--model NAME` chooses one; CODEXAPI_MODEL changes the default.
    """
    run(_models(settings(base_url=base_url, demo=demo), all_, as_json), as_json=as_json)


async def _models(chosen: engine.Settings, hidden_too: bool, as_json: bool) -> None:
    async with opened(chosen) as codex:
        shown = [model for model in await codex.models() if model.listed or hidden_too]
        default = await codex.model() if shown and not as_json else ""
    if as_json:
        put_json([public(model) for model in shown])
        return
    rows = [("MODEL", "CONTEXT", "EFFORTS"), *(_row(model, default) for model in shown)]
    width = max(len(name) for name, _, _ in rows)
    for name, context, efforts in rows:
        put(f"{name:<{width}}  {context:>7}  {efforts}".rstrip() + "\n")
    if default not in {model.slug for model in shown} and default:
        note(f"codexapi: the default is {default}, which is not in this list: `codexapi config`")


def _row(model: Model, default: str) -> tuple[str, str, str]:
    name = f"{model.slug} (default)" if model.slug == default else model.slug
    context = f"{model.context_window // 1000}k" if model.context_window else "?"
    return name, context, " ".join(model.efforts)
