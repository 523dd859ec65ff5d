"""The catalogue as Ollama's clients read it: names with tags, and what a model can do."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping, Sequence

from ...errors import JsonObject
from .. import models
from ..models import Model

VERSION = "0.17.6"
"""The version of Ollama whose API this is. Programs compare it as numbers: Ollama's extension for
VS Code wants this one, Copilot Chat 0.6.4."""

_TAG = ":latest"
_FAMILY = "openai"
_HOST = "https://chatgpt.com"


def resolve(known: Iterable[Model], aliases: Mapping[str, str], name: str) -> str:
    """The name as the other dialects have it: without `:latest`, and written as the list has it,
    since Ollama's names are compared without case."""
    if name in aliases:
        return name
    bare = name[: -len(_TAG)] if name.lower().endswith(_TAG) else name
    spelling = {each.lower(): each for each in (*(model.slug for model in known), *aliases)}
    if found := spelling.get(bare.lower()):
        return found
    head, mark, effort = bare.rpartition(":")
    found = spelling.get(head.lower())
    return f"{found}{mark}{effort.lower()}" if found else bare


def tags(known: Sequence[Model], aliases: Mapping[str, str], modified_at: str) -> JsonObject:
    """`GET /api/tags`. Nothing is on this disk, and the catalogue tells no size: those are zero or
    empty, in the types that clients parse. The digest is the name's, so that it is stable."""
    names = [*(model.slug for model in known if model.listed), *aliases]
    entries = ((name, models.named(known, aliases, name)) for name in names)
    return {"models": [_tag(name, entry, modified_at) for name, entry in entries if entry]}


def show(
    known: Sequence[Model], aliases: Mapping[str, str], name: str, modified_at: str
) -> JsonObject | None:
    """`POST /api/show`; None for a model that the list lacks."""
    entry = models.named(known, aliases, name)
    if entry is None:
        return None
    info: JsonObject = {
        "general.architecture": _FAMILY,
        "general.basename": entry["display_name"],
    }
    if entry["context_window"]:
        info[f"{_FAMILY}.context_length"] = entry["context_window"]
    return {
        "details": _details(),
        "model_info": info,
        "capabilities": _capabilities(entry),
        "modified_at": modified_at,
        **_host(entry),
    }


def _tag(name: str, entry: JsonObject, modified_at: str) -> JsonObject:
    return {
        "name": name,
        "model": name,
        "modified_at": modified_at,
        "size": 0,
        "digest": hashlib.sha256(name.encode(errors="replace")).hexdigest(),
        "details": _details(),
        "capabilities": _capabilities(entry),
        **_host(entry),
    }


def _details() -> JsonObject:
    return {
        "parent_model": "",
        "format": "",
        "family": _FAMILY,
        "families": [_FAMILY],
        "parameter_size": "",
        "quantization_level": "",
    }


def _host(entry: JsonObject) -> JsonObject:
    """Ollama's own mark of a model that runs elsewhere."""
    return {"remote_model": entry.get("alias_of", entry["id"]), "remote_host": _HOST}


def _capabilities(entry: JsonObject) -> list[str]:
    found = ["completion", "tools", "insert"]
    if "image" in entry["input_modalities"]:
        found.append("vision")
    if entry["reasoning_efforts"]:
        found.append("thinking")
    return found
