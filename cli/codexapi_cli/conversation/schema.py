"""Parses `--schema`: a JSON Schema from a file, from JSON, or in short form.

The short form is that of `llm`: `name, age int, bio: what they are known for`.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path

from codexapi_engine.errors import JsonObject

from ..terminal.output import Problem
from .local_files import file_bytes

TYPES = {"str": "string", "int": "integer", "float": "number", "bool": "boolean"}
_NAME = r"(?a)[A-Za-z_][\w-]*"


def schema(text: str) -> JsonObject:
    """Raises Problem."""
    if text.lstrip().startswith("{"):
        return _parsed(text, "--schema")
    try:
        is_file = Path(text).is_file()
    except (OSError, ValueError):  # too long for a name, or no name at all
        is_file = False
    if is_file or text.endswith(".json"):
        return _parsed(_read_file(text), f"--schema {text}")
    properties = dict(_field(line) for line in _fields(text))
    if not properties:
        raise Problem("--schema: it names no field, as in 'name, age int'")
    return {
        "type": "object",
        "properties": properties,
        "required": list(properties),
        "additionalProperties": False,
    }


def _fields(text: str) -> Iterator[str]:
    """One a line, so that descriptions may hold commas; else between commas."""
    for part in text.split("\n" if "\n" in text.strip() else ","):
        if part.strip():
            yield part.strip()


def _field(text: str) -> tuple[str, JsonObject]:
    head, mark, description = text.partition(":")
    name, _, kind = head.strip().partition(" ")
    kind = kind.strip() or "str"
    if not re.fullmatch(_NAME, name) or kind not in TYPES:
        raise Problem(
            f"--schema: '{text}' is no field: expected NAME [{'|'.join(TYPES)}] [: what it is], "
            "a JSON Schema, or a file with one"
        )
    made: JsonObject = {"type": TYPES[kind]}
    if mark and description.strip():
        made["description"] = description.strip()
    return name, made


def _read_file(name: str) -> str:
    try:
        return file_bytes(name, "--schema").decode()
    except UnicodeDecodeError:
        raise Problem(f"--schema {name}: it is not UTF-8 text") from None


def _parsed(text: str, where: str) -> JsonObject:
    try:
        parsed = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise Problem(f"{where}: it is not JSON: {error}") from None
    if not isinstance(parsed, dict):
        raise Problem(f"{where}: a JSON Schema is an object")
    return parsed
