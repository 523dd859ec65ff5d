"""`codexapi serve`: runs the HTTP server."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from codexapi_engine.bounds import IDLE_TIMEOUT

from ..parser import completers
from ..parser.help_text import BACKEND
from ..parser.options import BaseUrl, Demo, Record, RecordContent, command
from ..servers.foreground import serve as serve_here

app = command()


class Level(StrEnum):
    """The log's level: this, and more severe."""

    debug = "debug"
    info = "info"
    warning = "warning"
    error = "error"


class LogFormat(StrEnum):
    """The log's format."""

    text = "text"
    json = "json"


EXAMPLES = """
# Serve on http://127.0.0.1:18080/v1 until Ctrl-C
$ codexapi serve

# Serve in the background; `codexapi stop` stops it
$ codexapi serve --detach

# Serve another name for a model, on a free port
$ codexapi serve --port 0 --model-alias gpt-4o=gpt-5.5
"""


@app.command(epilog=EXAMPLES)
def serve(
    host: Annotated[
        str | None,
        typer.Option(
            metavar="ADDRESS", rich_help_panel="Address",
            help="Address to listen on (default: 127.0.0.1)",
            autocompletion=completers.words("127.0.0.1", "::1", "0.0.0.0"),
        ),
    ] = None,
    port: Annotated[
        int | None,
        typer.Option(
            metavar="PORT", min=0, max=65535, rich_help_panel="Address",
            help="Port to listen on; 0: any free one (default: 18080)",
        ),
    ] = None,
    api_key: Annotated[
        str | None,
        typer.Option(
            metavar="KEY", rich_help_panel="Access",
            help="Key that clients must send; other users may see it in the list of processes "
            "(env: CODEXAPI_API_KEY)",
        ),
    ] = None,
    api_key_file: Annotated[
        Path | None,
        typer.Option(metavar="FILE", rich_help_panel="Access", help="File that holds this key"),
    ] = None,
    base_url: BaseUrl = None,
    timeout: Annotated[
        float | None,
        typer.Option(
            metavar="SECONDS", rich_help_panel=BACKEND,
            help=f"Seconds to wait while the backend sends nothing (default: {IDLE_TIMEOUT:g})",
        ),
    ] = None,
    model: Annotated[
        str | None,
        typer.Option(
            metavar="NAME", rich_help_panel="Models",
            help="Model for requests that name none (env: CODEXAPI_MODEL)",
            autocompletion=completers.models,
        ),
    ] = None,
    model_alias: Annotated[
        list[str] | None,
        typer.Option(
            metavar="NAME=MODEL", rich_help_panel="Models",
            help="Serve a model under another name too; may be repeated",
        ),
    ] = None,
    allow_host: Annotated[
        list[str] | None,
        typer.Option(
            metavar="NAME", rich_help_panel="Access",
            help="Accept this host name in requests too; may be repeated",
        ),
    ] = None,
    cors: Annotated[
        list[str] | None,
        typer.Option(
            metavar="ORIGIN", rich_help_panel="Access",
            help="Let web pages of this origin call the server; may be repeated",
        ),
    ] = None,
    max_streams: Annotated[
        int | None,
        typer.Option(
            metavar="N", min=1, rich_help_panel=BACKEND,
            help="Most requests to the backend at a time (default: no limit)",
        ),
    ] = None,
    metrics: Annotated[
        bool,
        typer.Option(
            "--metrics", rich_help_panel="Features", help="Serve GET /metrics for Prometheus"
        ),
    ] = False,
    page: Annotated[
        bool | None,
        typer.Option(
            "--page/--no-page", rich_help_panel="Features",
            help="Serve a status page at /, or not (default: where only this machine can reach it)",
            show_default=False,
        ),
    ] = None,
    demo: Demo = False,
    record: Record = None,
    record_content: RecordContent = False,
    state: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE", rich_help_panel="Features",
            help="Keep stored responses and files in this file (default: in memory)",
        ),
    ] = None,
    strict: Annotated[
        bool,
        typer.Option(
            "--strict", rich_help_panel="Features", help="Refuse parameters that would be ignored"
        ),
    ] = False,
    transcribe_audio: Annotated[
        bool,
        typer.Option(
            "--transcribe-audio", rich_help_panel="Features",
            help="Transcribe audio for models that take none",
        ),
    ] = False,
    mcp: Annotated[
        bool,
        typer.Option(
            "--mcp", rich_help_panel="Features",
            help="Serve MCP at /mcp too, as `codexapi mcp serve` does",
        ),
    ] = False,
    ollama: Annotated[
        bool,
        typer.Option(
            "--ollama", rich_help_panel="Features",
            help="Serve at 127.0.0.1:11434 too, for programs that look for Ollama "
            "(env: CODEXAPI_OLLAMA_PORT, for another port)",
        ),
    ] = False,
    detach: Annotated[
        bool,
        typer.Option(
            "--detach", rich_help_panel="Process",
            help="Run in the background; `codexapi stop` stops it",
        ),
    ] = False,
    announcing: Annotated[bool, typer.Option("--announce", hidden=True)] = False,
    log_level: Annotated[
        Level | None,
        typer.Option(rich_help_panel="Process", help="Least level to log (default: info)"),
    ] = None,
    log_format: Annotated[
        LogFormat, typer.Option(rich_help_panel="Process", help="Format of the log")
    ] = LogFormat.text,
) -> None:  # fmt: skip
    """Serve the OpenAI API on this machine, with your own login.

    Point a client at http://127.0.0.1:18080/v1; any text will do as its key.
    """
    serve_here(
        host=host, port=port, api_key=api_key, api_key_file=api_key_file, base_url=base_url,
        timeout=timeout, model=model, model_alias=model_alias, allow_host=allow_host, cors=cors,
        max_streams=max_streams, metrics=metrics, page=page, demo=demo, record=record,
        record_content=record_content, state=state, strict=strict,
        transcribe_audio=transcribe_audio, mcp=mcp, ollama=ollama, detach=detach,
        announcing=announcing, log_level=log_level, log_format=log_format,
    )  # fmt: skip
