"""Makes the table of options that are parsed without the parser; `python -m docs` writes it."""

from __future__ import annotations

import json
from typing import Any

import typer

from codexapi_cli.app import app
from codexapi_cli.parser.help_text import takes_value
from codexapi_cli.parser.plain import CHAT, FLAG, NUMBER, SERVE, TEXT, TEXTS

_MOST = 2**31
"""Of a number without an upper limit."""


def text() -> str:
    root: Any = typer.main.get_command(app)
    context = root.make_context("codexapi", [], resilient_parsing=True)
    tables = {name: _table(root.get_command(context, name)) for name in (CHAT, SERVE)}
    return json.dumps(tables, indent=1) + "\n"


def _table(command: Any) -> dict[str, Any]:
    options = [param for param in command.params if param.param_type_name == "option"]
    arguments = [param for param in command.params if param.param_type_name == "argument"]
    plain = [(option, kind) for option in options if (kind := _kind(option)) is not None]
    return {
        "argument": arguments[0].name if arguments else None,
        "options": {name: [o.name, *kind] for o, kind in plain for name in o.opts},
        "variables": {o.envvar: o.name for o in options if o.envvar and o.expose_value},
    }


def _kind(option: Any) -> list[Any] | None:
    """None for what is more than a value that is passed on."""
    if option.callback is not None or option.secondary_opts or option.nargs != 1:
        return None
    if not takes_value(option):
        return [FLAG] if option.is_flag and option.expose_value else None
    if option.type.name == "str" and option.envvar is None:
        return [TEXTS if option.multiple else TEXT]
    if option.type.name == "int range" and not option.multiple:
        most = option.type.max
        return [NUMBER, option.type.min, _MOST if most is None else most]
    return None
