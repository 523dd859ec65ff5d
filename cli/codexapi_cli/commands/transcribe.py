"""`codexapi transcribe`: prints what is said in audio files."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, NamedTuple

import typer

import codexapi_engine as engine
from codexapi_engine import transcription
from codexapi_engine.bounds import MAX_AUDIO_BYTES, MIB
from codexapi_engine.protocol.audio import AudioFile

from ..conversation.local_files import file_bytes
from ..parser.options import BaseUrl, Demo, Json, Record, RecordContent, command
from ..settings import opened, settings
from ..terminal.output import (
    LOCAL_FILE,
    Problem,
    Progress,
    ending,
    note,
    put,
    put_json,
    run,
    say_warning,
)
from ..terminal.stdin import stdin_bytes

app = command()


class Source(NamedTuple):
    name: str  # as the user writes it
    data: bytes


EXAMPLES = """
# Print what is said in an audio file
$ codexapi transcribe memo.m4a

# A long WAV file, in pieces, for a program
$ codexapi transcribe --split --json interview.wav

# From a pipe
$ cat memo.m4a | codexapi transcribe - --language en
"""


@app.command(epilog=EXAMPLES)
def transcribe(
    file: Annotated[
        list[str], typer.Argument(metavar="FILE", help="Audio file to read; -: stdin")
    ],
    language: Annotated[
        str | None,
        typer.Option(
            "-l", "--language", metavar="LANG", rich_help_panel="Input",
            help="Language that is spoken, as en or de (default: the backend finds out)",
        ),
    ] = None,
    split: Annotated[
        bool,
        typer.Option(
            "--split", rich_help_panel="Input",
            help="Cut a long WAV file in its pauses, and send it in pieces",
        ),
    ] = False,
    as_json: Json = False,
    base_url: BaseUrl = None,
    demo: Demo = False,
    record: Record = None,
    record_content: RecordContent = False,
) -> None:  # fmt: skip
    """Print what is said in audio files.

    Of an audio file of more than about 80 seconds the backend leaves out the end: --split helps, for
    WAV files. Nobody has tried this with the real backend yet. Several files have a heading each;
    with --json they are a JSON object on each line.
    """
    chosen = settings(base_url=base_url, demo=demo, record=record, record_content=record_content)
    with ending(as_json=as_json):
        sources = [_source(name) for name in file]
    run(_transcribe(chosen, sources, language, split, as_json), as_json=as_json)


def _source(name: str) -> Source:
    """Read before anything is sent. Raises Problem."""
    data = (stdin_bytes(by_name=True) or b"") if name == "-" else file_bytes(name)
    if not data:
        raise Problem(f"{name}: it is empty", LOCAL_FILE)
    if len(data) > MAX_AUDIO_BYTES:
        raise Problem(f"{name}: it has more than {MAX_AUDIO_BYTES // MIB} MiB", LOCAL_FILE)
    return Source(name, data)


async def _transcribe(
    chosen: engine.Settings,
    sources: Sequence[Source],
    language: str | None,
    split: bool,
    as_json: bool,
) -> None:
    several = len(sources) > 1
    async with opened(chosen) as codex:
        for number, source in enumerate(sources):
            audio_file = AudioFile(source.data, Path(source.name).name)
            async with Progress().running(f"transcribing {number + 1} of {len(sources)}"):
                found = await transcription.transcribe(
                    codex.upload, audio_file, language, split=split
                )
            if as_json:
                answer = {"file": source.name, "text": found.text, "warning": found.warning}
                put_json(answer, indent=None if several else 2)
            else:
                between = "\n" if number else ""
                heading = f"{between}==> {source.name} <==\n" if several else ""
                put(f"{heading}{found.text}\n")
                _say(source.name, found.text, found.warning)


def _say(name: str, text: str, warning: str | None) -> None:
    """What a person has to know of a transcript."""
    if warning:
        say_warning(f"{name}: {warning}; --split cuts a WAV file in its pauses")
    if not text:
        note(f"codexapi: {name}: nothing is said in it")
