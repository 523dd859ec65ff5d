"""`codexapi chat`: a question, an answer."""

from __future__ import annotations

from typing import Annotated

import typer

import codexapi_engine as engine

from .options import BaseUrl, Demo, Model, command, settings
from .terminal import USAGE, Answer, run, say, stdin_text

app = command()


@app.command()
def chat(
    ctx: typer.Context,
    prompt: Annotated[
        list[str] | None, typer.Argument(help="The question; '-' or none: stdin.")
    ] = None,
    model: Model = None,
    system: Annotated[
        str | None, typer.Option("-s", "--system", help="Instructions for the model.")
    ] = None,
    effort: Annotated[
        str | None, typer.Option("-e", "--effort", help="How hard it thinks: low, medium, high…")
    ] = None,
    base_url: BaseUrl = None,
    demo: Demo = False,
) -> None:
    """Ask a model, and print its answer.

    Text on stdin is the question, or stands beside it:  git diff | codexapi chat "commit message"
    """
    chosen = settings(base_url=base_url, demo=demo)
    run(_chat(chosen, _question(ctx, " ".join(prompt or [])), model, system, effort))


def _question(ctx: typer.Context, prompt: str) -> str:
    try:
        piped = stdin_text()
    except engine.InvalidRequest as error:
        say(f"codexapi: {error}")
        raise typer.Exit(USAGE) from None
    prompt = "" if prompt == "-" else prompt
    if piped and piped.strip() and prompt:
        ending = "" if piped.endswith("\n") else "\n"
        return f"{prompt}\n\n<stdin>\n{piped}{ending}</stdin>"
    if prompt or (piped and piped.strip()):
        return prompt or str(piped)
    say(ctx.get_help())
    raise typer.Exit(USAGE)


async def _chat(
    chosen: engine.Settings,
    question: str,
    model: str | None,
    system: str | None,
    effort: str | None,
) -> None:
    answer, text = Answer(), engine.Text()
    async with engine.Codex(chosen) as codex:
        asked = engine.request(
            question, model=await codex.model(model), instructions=system, effort=effort
        )
        try:
            async with await codex.open(asked) as events:
                await _print(events, answer, text)
        finally:
            answer.end()


async def _print(events: engine.EventStream, answer: Answer, text: engine.Text) -> None:
    fold = engine.Assembler()
    while batch := await events.batch():
        for event in batch:
            fold.feed(event)
            answer.write(text.feed(event))
    response = fold.finish()
    if response["status"] == "incomplete":
        reason = (response.get("incomplete_details") or {}).get("reason")
        answer.end()
        say(f"codexapi: the answer is incomplete ({reason})")
