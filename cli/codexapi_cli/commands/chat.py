"""`codexapi chat`: asks the model one question, or starts an interactive chat."""

from __future__ import annotations

from typing import Annotated

import typer

from ..conversation.ask import ask
from ..parser import completers
from ..parser.options import BaseUrl, Demo, Effort, Model, NoLog, Record, RecordContent, command
from ..parser.words import WordsCommand

app = command()

EXAMPLES = """
# Ask something
$ codexapi chat "why is the sky blue?"

# Ask about what a program prints
$ git diff | codexapi chat "write a commit message"

# Ask about files: a text, a picture
$ codexapi chat -f main.py "find the bug"
$ codexapi chat -a photo.jpg "what is on this picture?"

# Get JSON of a certain form
$ codexapi chat --schema "city, people int" "the largest city of Japan"

# Go on with the latest chat, and save the answer
$ codexapi chat -c "say it in French" -o answer.md
"""


@app.command(cls=WordsCommand, epilog=EXAMPLES)
def chat(
    prompt: Annotated[
        list[str] | None,
        typer.Argument(metavar="QUESTION", help="The question; - or none: read it from stdin"),
    ] = None,
    model: Model = None,
    system: Annotated[
        str | None,
        typer.Option(
            "-s", "--system", metavar="TEXT|@FILE", rich_help_panel="Model",
            help="Instructions for the model",
        ),
    ] = None,
    effort: Effort = None,
    attach: Annotated[
        list[str] | None,
        typer.Option(
            "-a", "--attach", metavar="FILE|URL|-", rich_help_panel="Input",
            help="Attach a picture, a PDF or a text; may be repeated",
        ),
    ] = None,
    file: Annotated[
        list[str] | None,
        typer.Option(
            "-f", "--file", metavar="FILE|DIR", rich_help_panel="Input",
            help="Put a text file into the question, with its name, or all texts of a folder; "
            "may be repeated",
        ),
    ] = None,
    continue_: Annotated[
        bool,
        typer.Option(
            "-c", "--continue", rich_help_panel="History", help="Continue the latest chat"
        ),
    ] = False,
    cid: Annotated[
        str | None,
        typer.Option(
            metavar="ID", rich_help_panel="History", autocompletion=completers.chats,
            help="Continue the chat with this id; `codexapi history` lists them",
        ),
    ] = None,
    schema: Annotated[
        str | None,
        typer.Option(
            metavar="FILE|JSON|FIELDS", rich_help_panel="Output",
            help="Answer in JSON of this schema; FIELDS is short for one, as in 'name, age int'",
        ),
    ] = None,
    as_json: Annotated[
        bool,
        typer.Option(
            "--json", rich_help_panel="Output",
            help="Print one JSON object with the answer, its model and its usage",
        ),
    ] = False,
    stream_json: Annotated[
        bool,
        typer.Option(
            "--stream-json", rich_help_panel="Output",
            help="Print JSON objects, one on a line, while the answer comes",
        ),
    ] = False,
    extract: Annotated[
        bool,
        typer.Option(
            "-x", "--extract", rich_help_panel="Output",
            help="Print only the first code block of the answer",
        ),
    ] = False,
    output: Annotated[
        str | None,
        typer.Option(
            "-o", "--output", metavar="FILE|-", rich_help_panel="Output",
            help="Write the answer to a file when it is complete",
        ),
    ] = None,
    raw: Annotated[
        bool,
        typer.Option(
            "--raw", rich_help_panel="Output",
            help="Print the answer unchanged, on a terminal too",
        ),
    ] = False,
    markdown: Annotated[
        bool,
        typer.Option(
            "--md", rich_help_panel="Output", help="Render Markdown, in a pipe too"
        ),
    ] = False,
    show_reasoning: Annotated[
        bool,
        typer.Option(
            "--show-reasoning", rich_help_panel="Output",
            help="Print summaries of the model's reasoning on stderr",
        ),
    ] = False,
    search: Annotated[
        bool,
        typer.Option("--search", rich_help_panel="Model", help="Let the model search the web"),
    ] = False,
    interactive: Annotated[
        bool,
        typer.Option(
            "-i", "--interactive", rich_help_panel="Input",
            help="Talk with the model: ask further questions after the first answer",
        ),
    ] = False,
    no_stdin: Annotated[
        bool,
        typer.Option("--no-stdin", rich_help_panel="Input", help="Do not read stdin"),
    ] = False,
    no_log: NoLog = False,
    dry_run: Annotated[
        bool,
        typer.Option(
            "--dry-run", rich_help_panel="Output",
            help="Print the request, without secrets, and send nothing",
        ),
    ] = False,
    base_url: BaseUrl = None,
    demo: Demo = False,
    record: Record = None,
    record_content: RecordContent = False,
) -> None:  # fmt: skip
    """Ask a model, and print its answer.

    What is piped in is the question, or is put beside it.
    """
    ask(
        prompt=prompt, model=model, system=system, effort=effort, attach=attach, file=file,
        continue_=continue_, cid=cid, schema=schema, as_json=as_json, stream_json=stream_json,
        extract=extract, output=output, raw=raw, markdown=markdown,
        show_reasoning=show_reasoning, search=search, interactive=interactive, no_stdin=no_stdin,
        no_log=no_log, dry_run=dry_run, base_url=base_url, demo=demo, record=record,
        record_content=record_content,
    )  # fmt: skip
