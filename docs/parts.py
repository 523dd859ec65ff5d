"""Writes the parts of the pages that follow from the code's tables: clients, settings, exit codes, …

A part stands between `<!-- NAME: made by python -m docs -->` and `<!-- end of NAME -->`. The gate
compares.
"""

from __future__ import annotations

import inspect
import re
import signal
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import MISSING, Field, fields
from pathlib import PurePosixPath
from typing import Any

import typer
from docs import findings as doctor
from docs import versions
from docs.pages import PAGES, SECTIONS, existing

import codexapi_engine as engine
from codexapi_cli.commands import mcp, serve
from codexapi_cli.integrations.api_client import ApiClient
from codexapi_cli.integrations.http_clients import CLIENTS
from codexapi_cli.integrations.mcp_clients import CLIENTS as MCP_CLIENTS
from codexapi_cli.integrations.mcp_clients import McpClient
from codexapi_cli.integrations.system import LINUX, System
from codexapi_cli.parser.help_text import choices_of
from codexapi_cli.parser.topics import ENVIRONMENT, EXIT_CODES
from codexapi_cli.terminal import output
from codexapi_engine import bounds
from codexapi_engine.errors import duration
from codexapi_engine.protocol.headers import CLIENT_VERSION
from codexapi_engine.remedies import REMEDIES, Remedy
from codexapi_engine.settings import Settings

_PART = re.compile(
    r"<!-- (?P<name>[\w-]+): made by python -m docs -->\n.*?<!-- end of (?P=name) -->", re.DOTALL
)
_LINUX = System(LINUX, PurePosixPath("~"), {})
MIB = bounds.MIB

Row = Sequence[str]


def fill(text: str) -> str:
    """The text of a page, with its parts as the tables have them now."""

    def again(match: re.Match[str]) -> str:
        name = match["name"]
        return (
            f"<!-- {name}: made by python -m docs -->\n\n{PARTS[name]()}\n\n<!-- end of {name} -->"
        )

    return _PART.sub(again, text)


def table(heads: Row, rows: Iterable[Row]) -> str:
    lines = [heads, ["---"] * len(heads), *rows]
    return "\n".join("| " + " | ".join(map(_cell, line)) + " |" for line in lines)


def _cell(text: str) -> str:
    return text.replace("|", "\\|").replace("\n", " ")


def pages() -> str:
    return "\n\n".join(
        f"## {section}\n\n"
        + table(
            ("page", "what it says"),
            ((f"[{page.title}]({page.file})", page.about) for page in existing(section)),
        )
        for section in SECTIONS
    )


def clients() -> str:
    rows = (
        (client.title, f"`{client.name}`", _settings_of(client), versions.of(client.name))
        for client in CLIENTS
    )
    return table(("program", "`codexapi setup …`", "what it does", "tried with"), rows)


def _settings_of(client: ApiClient) -> str:
    if client.files:
        return f"writes `{client.place(_LINUX)}`"
    if client.words is None or client.env(versions.SERVER):
        return f"prints {_names(client.env(versions.SERVER))}"
    return "prints what to enter" if client.name != "cursor" else "says why it cannot, and what can"


def _names(variables: Iterable[str]) -> str:
    return ", ".join(f"`{name}`" for name in variables)


def editors() -> str:
    rows = (
        (client.title, f"`{client.name}`", _registration_of(client), versions.of_editor(client))
        for client in MCP_CLIENTS
    )
    return table(("program", "`codexapi mcp install …`", "what it does", "tried, or read"), rows)


def _registration_of(client: McpClient) -> str:
    place = client.places(_LINUX)[0]
    if not client.written:
        return f"prints the entry for `{place}`, with `--print`"
    project = f"; `{client.project}` in a project" if client.project else ""
    return f"writes `{place}`{project}"


_FLAGS = {"allow_hosts": "allow_host", "model_aliases": "model_alias", "ollama_port": "ollama"}
"""Settings whose flag has another name."""

_DEFAULTS = {
    "codex_home": "`~/.codex`",
    "client_version": f"`{CLIENT_VERSION}`, or newer",
    "token_url": "the login's own",
    "ca_file": "certifi's",
    "state_dir": "[the platform's folder](install.md#where-things-are)",
    "image_dir": "`~/Pictures/codexapi`, or `pictures` in the state folder",
    "ollama_port": "closed",
    "state": "in memory",
    "api_key": "none; required off loopback",
    "page": "where only this machine can reach it",
    "max_streams": "no limit",
}
"""Of settings whose default is no plain value."""


def settings() -> str:
    options = {option.name: option for option in _options(serve.app)}
    rows: list[Row] = []
    for setting in fields(Settings):
        option = options.pop(_FLAGS.get(setting.name, setting.name), None)
        variables = setting.metadata["variables"]
        if option is not None or variables:
            flag = _flag(option) if option is not None else ""
            rows.append(
                (
                    _sentence(setting.metadata["help"]),
                    flag,
                    _names(variables[:1]),
                    _default(setting),
                )
            )
    rows += [_option_alone(option) for option in options.values()]
    return table(("setting", "flag of `serve`", "variable", "default"), rows)


def _options(app: typer.Typer, *names: str) -> Iterator[Any]:
    command: Any = typer.main.get_command(app)
    for name in names:
        command = command.commands[name]
    return (option for option in command.params if not option.hidden and option.name != "help")


def _option_alone(option: Any) -> Row:
    """A flag of the command line, which tells its default in its help."""
    help, _, default = option.help.removesuffix(")").partition(" (default: ")  # noqa: A001
    value = default or option.default
    return help, _flag(option), "", "off" if option.is_flag else f"`{value}`" if value else "none"


def _sentence(text: str) -> str:
    return text[0].upper() + text[1:]


def _flag(option: Any) -> str:
    value = option.metavar or "|".join(choices_of(option))
    metavar = f" {value}" if value and not option.is_flag else ""
    return ", ".join(f"`{name}`" for name in [option.opts[-1] + metavar, *option.secondary_opts])


def _default(setting: Field[Any]) -> str:
    default = setting.default
    if setting.name in _DEFAULTS:
        return _DEFAULTS[setting.name]
    if default is False:
        return "off"
    if default is MISSING or default is None or default == ():
        return "none"
    return f"`{default:g}`" if isinstance(default, float) else f"`{default}`"


def mcp_settings() -> str:
    return table(
        ("flag of `mcp serve`", "what it does"),
        ((_flag(option), option.help) for option in _options(mcp.app, "serve")),
    )


def variables() -> str:
    return table(
        ("variable", "what it does"), ((_names([name]), text) for name, text in ENVIRONMENT)
    )


_EXIT_REMEDIES = {
    **output.KINDS,
    output.LIMIT: "usage_limit_reached",
    output.REJECTED: "invalid_request",
    output.INTERRUPTED: "stopped",
    output.CLOSED_PIPE: "stopped",
    128 + signal.SIGTERM: "stopped",
}
"""The error code whose remedy is that of an exit code."""


def exit_codes() -> str:
    rows = ((f"`{code}`", text, *_exit_remedy(code)) for code, text in EXIT_CODES)
    return table(("code", "meaning", "what helps", "command"), rows)


def _exit_remedy(code: int) -> Row:
    return _remedy(REMEDIES[_EXIT_REMEDIES[code]]) if code else ("", "")


def _remedy(one: Remedy) -> Row:
    return one.remedy, _names([one.command] if one.command else [])


def error_codes() -> str:
    return table(
        ("code", "meaning", "what helps", "command"),
        ((f"`{one.code}`", one.meaning, *_remedy(one)) for one in REMEDIES.values()),
    )


def findings() -> str:
    return table(("check", "state", "it says", "what helps"), doctor.findings())


def api() -> str:
    rows = []
    for name in engine.__all__:
        value = getattr(engine, name)
        summary = inspect.cleandoc(value.__doc__ or "").split("\n\n")[0]
        code = getattr(value, "code", None)
        ending = f", `{code}`" if code else ""
        rows.append((f"`{name}`", _kind(value), summary or f"status {value.status}{ending}"))
    return table(("name", "kind", "what it is"), rows)


def _kind(value: Any) -> str:
    if not isinstance(value, type):
        return "function"
    base = value.__mro__[1].__name__
    return "class" if base == "object" else f"`{base}`"


def limits() -> str:
    return table(("what", "limit"), _limits())


def _limits() -> Iterator[Row]:
    yield "one request, as JSON", _size(bounds.MAX_BODY_BYTES)
    yield "one request, as a form (files, pictures to edit)", _size(bounds.MAX_FORM_BYTES)
    yield "one file of `/v1/files`, and all files of one request", _size(bounds.MAX_FILE_BYTES)
    yield (
        "all files of `/v1/files`",
        (f"{bounds.MAX_STORED_FILES:,}, {_size(bounds.MAX_STORED_FILE_BYTES)}"),
    )
    yield (
        "stored responses, conversations and chats",
        (f"{bounds.MAX_STORED_OBJECTS:,}, {_size(bounds.MAX_STORED_BYTES)}; the oldest go first"),
    )
    yield "one audio file", _size(bounds.MAX_AUDIO_BYTES)
    yield "what the backend transcribes of one audio file", f"{bounds.MAX_TRANSCRIPT_SECONDS:g} s"
    yield "`n` choices of one request", f"{bounds.MAX_CHOICES}"
    yield "pictures of one request", f"{bounds.MAX_IMAGES}; of an MCP call {bounds.MAX_CALL_IMAGES}"
    yield "pictures that one edit takes", f"{bounds.MAX_INPUTS}"
    yield "edge of a picture", f"{bounds.MIN_EDGE} to {bounds.MAX_EDGE} pixels"
    yield "a picture's address", f"{duration(bounds.IMAGE_LIFETIME)}"
    yield (
        "`stop` sequences",
        f"{bounds.MAX_STOPS}; {bounds.MAX_STOP_SEQUENCES} over Anthropic's and Ollama's APIs",
    )
    yield "tools of one request", f"{bounds.MAX_TOOLS}"
    yield (
        "silence of the backend",
        (f"{bounds.IDLE_TIMEOUT:g} s; over a picture {bounds.IMAGE_IDLE_TIMEOUT:g} s"),
    )
    yield "waiting for `--max-streams`", f"{bounds.MAX_QUEUE_WAIT:g} s, then a 503"
    yield "responses side by side on one WebSocket", f"{bounds.MAX_SOCKET_RUNS}"
    yield "one WebSocket", duration(bounds.SOCKET_LIFETIME)


def _size(count: int) -> str:
    return f"{count // MIB} MiB"


PARTS: dict[str, Callable[[], str]] = {
    "pages": pages,
    "clients": clients,
    "editors": editors,
    "settings": settings,
    "mcp-settings": mcp_settings,
    "variables": variables,
    "exit-codes": exit_codes,
    "api": api,
    "error-codes": error_codes,
    "findings": findings,
    "limits": limits,
}
__all__ = ["PAGES", "PARTS", "fill"]
