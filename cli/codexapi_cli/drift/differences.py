"""The differences between a client and codexapi, and which of them a person should look at."""

from __future__ import annotations

import tomllib
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from enum import StrEnum
from fnmatch import fnmatchcase
from importlib.resources import files
from typing import Any

from codexapi_engine.protocol import known
from codexapi_engine.protocol.headers import CLIENT_VERSION
from codexapi_engine.protocol.models import version_numbers

from .picture import ClientPicture, RequestPicture
from .requests import MESSAGE

CLIENT = "client"
"""In place of a kind of request, for what is about the client itself."""


class Concern(StrEnum):
    KNOWN = "known"  # expected, for the reason given
    MINOR = "harmless"  # not expected, and nothing depends on it
    LOOK = "look"  # a person should look at it


class DifferenceKind(StrEnum):
    NEW = "new"  # the client has it, and our picture of it does not
    MISSING = "missing"  # our picture has it, and the client does not
    DIFFERENT = "different"
    DROPPED = "not passed on"  # the client sends it to us, and the backend does not get it


@dataclass(frozen=True)
class Difference:
    request: str
    part: str  # `request`, `header`, `order`, `value`, `field`, `model`, `turn`, `version`
    name: str
    change: DifferenceKind
    concern: Concern = Concern.LOOK
    why: str = ""


@dataclass(frozen=True)
class Expectation:
    """A row of `expected.toml`."""

    request: str
    part: str
    change: str
    names: tuple[str, ...]  # patterns
    concern: Concern
    why: str
    since: str = "0.0.0"
    until: str = ""  # the last version that has it

    @classmethod
    def of(cls, row: Mapping[str, Any]) -> Expectation:
        return cls(**{**row, "names": tuple(row["names"]), "concern": Concern(row["concern"])})

    def covers(self, one: Difference, version: str) -> bool:
        return (
            fnmatchcase(one.request, self.request)
            and (self.part, self.change) == (one.part, one.change)
            and any(fnmatchcase(one.name, name) for name in self.names)
            and version_numbers(version) >= version_numbers(self.since)
            and (not self.until or version_numbers(version) <= version_numbers(self.until))
        )


def expectations() -> list[Expectation]:
    rows = tomllib.loads(files(__package__).joinpath("expected.toml").read_text())["difference"]
    return [Expectation.of(row) for row in rows]


def judged(found: Iterable[Difference], version: str) -> list[Difference]:
    """The differences with their concern and its reason."""
    rows = expectations()
    return [_judge(one, version, rows) for one in found]


def _judge(one: Difference, version: str, rows: list[Expectation]) -> Difference:
    row = next((row for row in rows if row.covers(one, version)), None)
    if row is not None:
        return replace(one, concern=row.concern, why=row.why)
    for part, change, concern, why in _BY_PART:
        if part == one.part and change in (None, one.change):
            return replace(one, concern=concern, why=why)
    if one.part == "field" and one.change is DifferenceKind.MISSING and "." in one.name:
        return replace(one, concern=Concern.MINOR, why="an inner field that may be left out")
    return replace(one, concern=Concern.LOOK, why=one.why or _WHY[one.change])


_BY_PART = (
    ("order", None, Concern.MINOR, "HTTP gives the order of headers no meaning"),
    ("model", None, Concern.MINOR, "codexapi takes the models from the backend's own list"),
    ("version", None, Concern.MINOR, "codexapi names the version that it was tested with"),
)
_WHY = {
    DifferenceKind.NEW: "the client sends or knows it, and codexapi does not know it",
    DifferenceKind.MISSING: "clients so far sent it, and this one does not",
    DifferenceKind.DIFFERENT: "codexapi knows another one",
    DifferenceKind.DROPPED: "the client sends it, and codexapi keeps it from the backend",
}


def compare(
    client: ClientPicture, expected: ClientPicture, turns: Mapping[str, str]
) -> Iterator[Difference]:
    """The differences of a client from the picture that codexapi is built for."""
    for kind in sorted(client.requests.keys() - expected.requests.keys()):
        yield Difference(kind, "request", kind, DifferenceKind.NEW)
    for kind, one in expected.requests.items():
        if kind in client.requests:
            yield from _compare_requests(kind, client.requests[kind], one)
        else:
            yield Difference(kind, "request", kind, DifferenceKind.MISSING)
    for name, problem in turns.items():
        if problem:
            why = f"the client did not finish it: {problem}"
            yield Difference(name, "turn", name, DifferenceKind.DIFFERENT, why=why)
    yield from _compare_models(client, expected)


def _compare_models(client: ClientPicture, expected: ClientPicture) -> Iterator[Difference]:
    if client.version != CLIENT_VERSION:
        name = f"{client.version}, not {CLIENT_VERSION}"
        yield Difference(CLIENT, "version", name, DifferenceKind.DIFFERENT)
    if client.default_model != expected.default_model:
        name = f"{known.plain_model(client.default_model)}, not {expected.default_model}"
        yield Difference(CLIENT, "default model", name, DifferenceKind.DIFFERENT)
    for change, slugs in _both_ways(client.models, expected.models):
        for slug in sorted(map(known.plain_model, slugs)):
            yield Difference(CLIENT, "model", slug, change)
    for name in sorted(client.model_fields - known.MODEL):
        yield Difference(CLIENT, "catalogue", name, DifferenceKind.NEW)
    for name in sorted(expected.model_fields - client.model_fields):
        yield Difference(CLIENT, "catalogue", name, DifferenceKind.MISSING)


def _compare_requests(
    kind: str, client: RequestPicture, expected: RequestPicture
) -> Iterator[Difference]:
    if _common(client, expected) != _common(expected, client):
        yield Difference(kind, "order", "headers", DifferenceKind.DIFFERENT)
    both = zip(
        _both_ways(set(client.headers), set(expected.headers)),
        _both_ways(client.fields, expected.fields),
        strict=True,
    )
    for (change, headers), (_, fields) in both:
        yield from _named(kind, change, headers, fields)
    for name in sorted(client.values.keys() & expected.values.keys()):
        for value in sorted(client.values[name] - expected.values[name]):
            yield Difference(kind, "value", f"{name}: {value}", DifferenceKind.DIFFERENT)


def _named(
    kind: str, change: DifferenceKind, headers: set[str], fields: set[str]
) -> Iterator[Difference]:
    for name in sorted(headers):
        yield Difference(kind, "header", name, change)
    for name in _outermost(fields, headers):
        yield Difference(kind, "field", name, change)


def _common(one: RequestPicture, other: RequestPicture) -> list[str]:
    return [name for name in one.headers if name in other.headers]


def _has_holder(path: str, names: set[str]) -> bool:
    """Whether the object that holds this field is among the names too."""
    return any(path.startswith((f"{name}.", f"{name}[")) for name in names)


def _outermost(paths: set[str], holders: set[str]) -> list[str]:
    return [path for path in sorted(paths) if not _has_holder(path, paths | holders)]


def _both_ways(
    client: Iterable[str], expected: Iterable[str]
) -> Iterator[tuple[DifferenceKind, set[str]]]:
    yield DifferenceKind.NEW, set(client) - set(expected)
    yield DifferenceKind.MISSING, set(expected) - set(client)


def compare_forwarded(
    client: Mapping[str, RequestPicture], backend: Mapping[str, RequestPicture]
) -> Iterator[Difference]:
    """What the client sent to codexapi, and codexapi not to the backend."""
    for kind, one in client.items():
        received = backend.get("responses" if kind == MESSAGE else kind)
        if received is None:
            continue
        headers = set(one.headers) - set(received.headers)
        yield from _named(kind, DifferenceKind.DROPPED, headers, one.fields - received.fields)
        for name in sorted(one.values.keys() & received.values.keys()):
            for value in sorted(one.values[name] - received.values[name]):
                other = ", ".join(sorted(received.values[name]))
                text = f"{name}: {value}, sent on as {other}"
                yield Difference(kind, "value", text, DifferenceKind.DIFFERENT)
