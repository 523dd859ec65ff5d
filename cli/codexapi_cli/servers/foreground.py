"""Runs the HTTP server in this process: what `codexapi serve` does.

It knows the command's options by their names, and nothing of how a command line is parsed.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import codexapi_engine as engine
from codexapi_engine.setting_values import parse_alias, parse_host, parse_origin
from codexapi_engine.settings import OLLAMA_PORT

from ..settings import checked, key_of, settings
from ..terminal.output import USAGE, Problem, ending, quiet, say_error, verbosity
from .background import announce, start
from .registry import PortLock

if TYPE_CHECKING:
    from codexapi_engine.protocol.models import Model


def serve(
    *,
    host: str | None = None,
    port: int | None = None,
    api_key: str | None = None,
    api_key_file: Path | None = None,
    base_url: str | None = None,
    timeout: float | None = None,
    model: str | None = None,
    model_alias: Sequence[str] | None = None,
    allow_host: Sequence[str] | None = None,
    cors: Sequence[str] | None = None,
    max_streams: int | None = None,
    metrics: bool = False,
    page: bool | None = None,
    demo: bool = False,
    record: Path | None = None,
    record_content: bool = False,
    state: Path | None = None,
    strict: bool = False,
    transcribe_audio: bool = False,
    mcp: bool = False,
    ollama: bool = False,
    detach: bool = False,
    announcing: bool = False,
    log_level: str | None = None,
    log_format: str = "text",
) -> None:
    """Serves until a signal comes, and ends the program with the exit code of that."""
    if timeout is not None and not timeout > 0:
        say_error("--timeout: expected a number of seconds above 0")
        raise SystemExit(USAGE)
    aliases = dict(checked("--model-alias", parse_alias, text) for text in model_alias or ())
    hosts = tuple(checked("--allow-host", parse_host, text) for text in allow_host or ())
    origins = tuple(checked("--cors", parse_origin, text) for text in cors or ())
    chosen = settings(
        host=host, base_url=base_url, api_key=key_of(api_key, api_key_file),
        timeout=timeout, model=model, allow_hosts=hosts, demo=demo, strict=strict,
        port=port, model_aliases=aliases, state=state,
        cors=origins, max_streams=max_streams, metrics=metrics,
        transcribe_audio=transcribe_audio, record=record, record_content=record_content,
    )  # fmt: skip
    if page is not None:
        chosen = replace(chosen, page=page)
    if ollama and chosen.ollama_port is None:
        chosen = replace(chosen, ollama_port=OLLAMA_PORT)
    if detach:
        with ending():
            again = [word for word in sys.argv[1:] if word != "--detach"]
            raise SystemExit(start(chosen.state_dir, chosen.port, again))
    with ending(), PortLock(chosen.state_dir, demo=chosen.demo) as place:
        _claim_port(place, chosen.port)
        import codexapi_http  # a front end: loaded when it starts

        codexapi_http.configure_log(form=log_format, level=log_level or _level())

        def ready(url: str, notes: list[str]) -> None:
            _show_ready(place, url, notes)
            if announcing:
                announce(url, notes)

        try:
            code = codexapi_http.serve(
                chosen, ready, mounts=_mounts() if mcp else (), snippets=_snippets
            )
        except engine.CodexError as error:
            say_error(str(error))
            code = USAGE
    raise SystemExit(code)


def _mounts() -> Sequence[Callable[[engine.Codex], Any]]:
    import codexapi_mcp  # as above

    return [codexapi_mcp.Endpoint]


def _snippets(url: str, models: Sequence[Model], keyed: bool) -> Sequence[dict[str, Any]]:
    from ..integrations.snippets import snippets  # when a browser opens the page

    return snippets(url, models, keyed)


def _level() -> str:
    if quiet():
        return "warning"
    return "debug" if verbosity() else "info"


def _claim_port(place: PortLock, port: int) -> None:
    """Raises Problem where another server of ours has the port."""
    with suppress(OSError):  # shown when the server is ready
        if port:
            place.take(port)


def _show_ready(place: PortLock, url: str, notes: list[str]) -> None:
    """A server that cannot be shown to others serves all the same."""
    try:
        place.ready(url)
    except (OSError, Problem) as error:
        notes.append(f"`codexapi stop` will not find this server: {error}")
