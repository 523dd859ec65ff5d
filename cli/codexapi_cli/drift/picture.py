"""What a client sends and knows, by name: the headers, fields and models, without any content.

`official_client.json` is the picture that codexapi is built for. After a newer client was looked
at, what `codexapi drift --json` prints as `picture` takes its place.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from importlib.resources import files
from typing import Any

from codexapi_engine.errors import JsonObject
from codexapi_engine.protocol.headers import LITE
from codexapi_engine.protocol.known import plain
from codexapi_engine.protocol.shapes import get_list, get_str

from .official_client import OfficialClient, default_model
from .requests import ClientRequest

_HEADER_VALUES = frozenset(
    {
        "accept", "accept-encoding", "content-encoding", "content-type", "openai-beta", "upgrade",
        "sec-websocket-version", "sec-websocket-extensions", "x-codex-beta-features", LITE,
    }
)  # fmt: skip
_FIELD_VALUES = frozenset(
    {
        "type",
        "stream",
        "store",
        "include",
        "tool_choice",
        "parallel_tool_calls",
        "reasoning.context",
    }
)
"""Protocol constants: their values say nothing of the user."""

_OPAQUE = frozenset({"parameters", "schema", "definition", "arguments"})
"""Fields that hold the schema or the arguments of a tool, and no protocol."""


@dataclass
class RequestPicture:
    """The requests of one kind."""

    headers: list[str] = field(default_factory=list)  # in their order
    fields: set[str] = field(default_factory=set)  # `input[message].role`
    values: dict[str, set[str]] = field(default_factory=dict)  # of protocol constants


@dataclass(frozen=True)
class ClientPicture:
    version: str
    requests: Mapping[str, RequestPicture]
    default_model: str
    models: frozenset[str]
    model_fields: frozenset[str]

    def to_json(self) -> JsonObject:
        return {
            "version": self.version,
            "default_model": self.default_model,
            "models": sorted(self.models),
            "model_fields": sorted(self.model_fields),
            "requests": {
                kind: {
                    "headers": one.headers,
                    "values": {name: sorted(one.values[name]) for name in sorted(one.values)},
                    "fields": sorted(one.fields),
                }
                for kind, one in sorted(self.requests.items())
            },
        }


def expected_picture() -> ClientPicture:
    data = json.loads(files(__package__).joinpath("official_client.json").read_text())
    requests = {
        kind: RequestPicture(
            one["headers"],
            set(one["fields"]),
            {name: set(values) for name, values in one["values"].items()},
        )
        for kind, one in data["requests"].items()
    }
    return ClientPicture(
        data["version"],
        requests,
        data["default_model"],
        frozenset(data["models"]),
        frozenset(data["model_fields"]),
    )


def picture_of(
    client: OfficialClient, requests: Iterable[ClientRequest], catalogue: JsonObject
) -> ClientPicture:
    models = get_list(catalogue, "models")
    return ClientPicture(
        client.version,
        pictures(requests),
        default_model(catalogue),
        frozenset(get_str(one, "slug") for one in models),
        frozenset(plain(name) for one in models for name in one),
    )


def pictures(requests: Iterable[ClientRequest]) -> dict[str, RequestPicture]:
    """By kind of request."""
    found: dict[str, RequestPicture] = {}
    for request in requests:
        one = found.setdefault(request.kind, RequestPicture())
        _add_headers(one, request.headers)
        if request.body is not None:
            one.fields |= set(paths(request.body))
            for name in _FIELD_VALUES:
                value = _value_at(request.body, name)
                if value is not None:
                    one.values.setdefault(name, set()).add(json.dumps(value))
    return found


def _add_headers(one: RequestPicture, headers: list[tuple[str, str]]) -> None:
    names = [plain(name) for name, _ in headers]
    longer, shorter = sorted((one.headers, names), key=len, reverse=True)
    one.headers = [*longer, *(name for name in shorter if name not in longer)]
    for name, value in headers:
        if name in _HEADER_VALUES:
            one.values.setdefault(name, set()).add(value)
        if value.startswith("{"):
            one.fields |= {f"{plain(name)}{path}" for path in _inside(value)}


def paths(value: JsonObject, above: str = "") -> Iterator[str]:
    """The names of all fields, with their holders: `input[message].content[input_text].text`."""
    for name, inside in value.items():
        path = f"{above}.{plain(name)}".removeprefix(".")
        yield path
        if name not in _OPAQUE:
            yield from (f"{path}{rest}" for rest in _inside(inside))


def _inside(value: Any) -> Iterator[str]:
    if isinstance(value, str) and value.startswith("{"):
        value = _json_or_none(value)
    if isinstance(value, dict):
        yield from paths(value, ".")
    elif isinstance(value, list):
        for member in value:
            if isinstance(member, dict):
                kind = plain(member["type"]) if isinstance(member.get("type"), str) else ""
                yield from paths(member, f"[{kind}]")


def _json_or_none(text: str) -> Any:
    try:
        return json.loads(text)
    except ValueError:  # a text that begins with a brace
        return None


def _value_at(body: JsonObject, path: str) -> Any:
    value: Any = body
    for name in path.split("."):
        value = value.get(name) if isinstance(value, dict) else None
    return value
