"""Explains a usage error in one line that names the word and the fix."""

from __future__ import annotations

import re
from difflib import get_close_matches
from typing import Any

from .help_text import choices_of, limits_of, name_of

_EXTRA = re.compile(r"Got unexpected extra arguments?(?:\(s\))? \((.*)\)")


def explain(error: Any) -> str:
    """An error of the parser as a sentence of ours."""
    ctx = getattr(error, "ctx", None)
    path = ctx.command_path if ctx is not None else "codexapi"
    param, option = getattr(error, "param", None), getattr(error, "option_name", None)
    if hasattr(error, "possibilities"):
        return _no_such_option(error, path)
    if param is not None:
        return f"{_of_parameter(error, param)}; `{path} --help` shows the usage"
    if option is not None:
        return f"{option}: it {'needs a' if 'requires' in error.message else 'takes no'} value"
    message = _EXTRA.sub(r"\1: unexpected argument", error.message)
    return f"{_sentence(message)}; `{path} --help` shows the usage"


def _no_such_option(error: Any, path: str) -> str:
    params = error.ctx.command.get_params(error.ctx) if error.ctx is not None else ()
    names = [name for param in params if not getattr(param, "hidden", False) for name in param.opts]
    long = [name for name in names if len(name) > 2]
    near = [name for name in long if name.startswith(error.option_name)]
    near = near or get_close_matches(error.option_name, long, n=1, cutoff=0.8)
    line = f"{error.option_name}: there is no such option; "
    if near:
        line += f"did you mean {near[0]}? "
    line += f"`{path} --help` lists them"
    hint = error.message.partition(" (")[2].removesuffix(")")
    return f"{line}; {hint}" if hint and not near else line


def _of_parameter(error: Any, param: Any) -> str:
    name = name_of(param)
    value = re.match(r"'?(.*?)'? is not (?:in the range|one of|a valid)", error.message)
    if type(error).__name__ == "MissingParameter":
        return f"{name} is missing"
    if value is None:
        return f"{name}: {_sentence(error.message)}"
    if names := choices_of(param):
        return f"{name}: {value[1]} is none of {', '.join(names)}"
    wanted = "a whole number" if "int" in getattr(param.type, "name", "") else "a number"
    limits = limits_of(param).replace(" to ", " and ")
    return f"{name}: {value[1]} is not {wanted}{_between(limits)}"


def _between(limits: str) -> str:
    return f" between {limits}" if " and " in limits else f", {limits}" if limits else ""


def _sentence(text: str) -> str:
    text = text.strip().rstrip(".")
    return text[:1].lower() + text[1:]
