"""`codexapi config`: shows the effective settings, and where each of them comes from."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass

import codexapi_engine as engine
from codexapi_engine.codex_config import codex_config
from codexapi_engine.settings import SECRETS, VARIABLES, proxy_text

from ..conversation.chat_history import path_in
from ..global_options import environment, global_options
from ..parser.options import NO_LOG, Json, command
from ..settings import settings
from ..terminal.output import put, put_json

DEFAULT = "default"
app = command()


@dataclass(frozen=True, slots=True)
class Setting:
    name: str
    value: object
    source: str


EXAMPLES = """
# Show the settings
$ codexapi config

# Show where a variable leads
$ CODEXAPI_TIMEOUT=60 codexapi config --json
"""


@app.command(epilog=EXAMPLES)
def config(as_json: Json = False) -> None:
    """Show the settings in effect, and where each comes from.

    There is no configuration file: flags override environment variables, and those the defaults.
    """
    found = effective(settings(), environment())
    if as_json:
        objects = [{"name": s.name, "value": s.value, "source": s.source} for s in found]
        put_json(objects)
        return
    width = max(len(setting.name) for setting in found)
    for setting in found:
        value = "none" if setting.value is None else setting.value
        put(f"{setting.name:<{width}}  {value}  ({setting.source})\n")


def effective(chosen: engine.Settings, environ: Mapping[str, str]) -> list[Setting]:
    """The settings that hold, each with its source."""
    values = {name: plain(name, getattr(chosen, name)) for name in VARIABLES}
    values["client_version"] = chosen.protocol_version
    found = [Setting(name, values[name], _source(name, chosen, environ)) for name in VARIABLES]
    variable = NO_LOG if _is_on(environ.get(NO_LOG, "")) else None
    off = "--no-log" if global_options().no_log else variable
    found.append(Setting("history", None if off else str(path_in(chosen)), off or DEFAULT))
    if chosen.model is None and (model := codex_config(chosen).get("model")):
        where = str(chosen.codex_home / "config.toml")
        at = list(VARIABLES).index("model")
        found[at] = Setting("model", str(model), where)
    return found


def _is_on(text: str) -> bool:
    """As the command line reads a switch from a variable; what it refuses keeps no chats either."""
    return text.lower() not in ("", "0", "false", "f", "no", "n", "off")


def _source(name: str, chosen: engine.Settings, environ: Mapping[str, str]) -> str:
    if name == "timeout" and global_options().timeout is not None:
        return "--timeout"
    for variable in VARIABLES[name]:
        text = environ.get(variable, "").strip()
        if text and (
            name != "state_dir" or str(chosen.state_dir).startswith(os.path.expanduser(text))
        ):
            return variable
    return DEFAULT


def plain(name: str, value: object) -> object:
    """A value as JSON has it, and without secrets."""
    if name in SECRETS:
        return value and "(set)"
    if name == "proxy" and value:
        return proxy_text(str(value))
    if isinstance(value, tuple):
        return ",".join(value) or None
    return value if value is None or isinstance(value, int | float) else str(value)
