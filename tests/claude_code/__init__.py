"""What the real Claude Code and the Anthropic SDK send: `requests.json`, described in the README."""

from __future__ import annotations

import json
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

JsonObject = dict[str, Any]


class Sent(NamedTuple):
    """One request of a client."""

    method: str
    path: str  # with its query
    headers: dict[str, str]
    body: JsonObject | None


class Recording(NamedTuple):
    """One run of a client."""

    name: str
    what: str
    requests: list[Sent]


@cache
def recordings() -> list[Recording]:
    table = json.loads(Path(__file__).with_name("requests.json").read_bytes())
    return [
        Recording(run["name"], run["what"], [_request(row, table) for row in run["requests"]])
        for run in table["runs"]
    ]


def recording(name: str) -> Recording:
    return next(run for run in recordings() if run.name == name)


def _request(row: JsonObject, table: JsonObject) -> Sent:
    method, path = row["request"].split()
    values, body = table["values"], None
    if "body" in row:
        body = {field: values[place] for field, place in row["body"].items()}
        if "tools" in body:
            body["tools"] = [_tool(tool, table["tools"]) for tool in body["tools"]]
    return Sent(method, path, values[row["headers"]], body)


def _tool(tool: str | JsonObject, known: JsonObject) -> JsonObject:
    """A tool by its name: those of the recording's long list are kept once, some by name alone."""
    if not isinstance(tool, str):
        return tool
    plain = {"name": tool, "input_schema": {"type": "object", "properties": {}}}
    found: JsonObject = known.get(tool, plain)
    return found
