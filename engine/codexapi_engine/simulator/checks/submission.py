"""A request as the rules see it, and the helpers that several rules use."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from ...errors import JsonObject
from ..accounts import NOBODY, Account
from ..model_request import ADDED
from ..refusals import Refused, error

LITE = "x-openai-internal-codex-responses-lite"
LONGEST = 64


@dataclass(frozen=True, slots=True)
class Submission:
    """A request body, and what the backend checks it against."""

    body: JsonObject
    headers: Mapping[str, str] = field(default_factory=dict)
    models: Sequence[JsonObject] = ()
    account: Account = NOBODY
    key: int = 0  # the number of the key that encrypts today

    @property
    def lite(self) -> bool:
        return self.headers.get(LITE) == "true"

    @property
    def model(self) -> JsonObject | None:
        return self.model_named(self.body["model"])

    @property
    def effort(self) -> object:
        return (self.body.get("reasoning") or {}).get("effort")

    @property
    def warms_up(self) -> bool:
        """Whether it only prepares a connection: such a request may be empty."""
        return self.body.get("generate") is False

    def model_named(self, slug: object) -> JsonObject | None:
        return next((model for model in self.models if model["slug"] == slug), None)

    def input_items(self) -> Iterator[tuple[str, JsonObject]]:
        """Each item of the input, with its path."""
        return ((f"input[{at}]", item) for at, item in enumerate(self.body["input"]))

    def all_tools(self) -> Iterator[tuple[str, JsonObject]]:
        """Each tool with its path, from every list; a namespace before its members."""
        yield from _members("tools", self.body.get("tools"))
        for path, item in self.input_items():
            if item.get("type") == ADDED:
                yield from _members(f"{path}.tools", item.get("tools"))


def _members(path: str, tools: Sequence[JsonObject] | None) -> Iterator[tuple[str, JsonObject]]:
    for at, tool in enumerate(tools or []):
        yield f"{path}[{at}]", tool
        if tool.get("type") == "namespace":
            yield from _members(f"{path}[{at}].tools", tool.get("tools"))


def missing(name: str) -> Refused:
    return error(
        f"Missing required parameter: '{name}'.", param=name, code="missing_required_parameter"
    )


def wrong_type(path: str, wanted: str) -> Refused:
    return error(f"Invalid type for '{path}': expected {wanted}.", param=path, code="invalid_type")


def invalid(path: str, value: object, allowed: Sequence[str]) -> Refused:
    return error(
        f"Invalid value: '{value}'. Supported values are: {enumeration(allowed)}.",
        param=path,
        code="invalid_value",
    )


def enumeration(values: Sequence[str]) -> str:
    *most, last = (f"'{value}'" for value in values)
    return f"{', '.join(most)}{',' if len(most) > 1 else ''} and {last}" if most else last


def too_long(path: str, text: str, longest: int = LONGEST) -> Refused:
    return error(
        f"Invalid '{path}': string too long. Expected a string with maximum length "
        f"{longest}, but got a string with length {len(text)} instead.",
        param=path,
        code="string_above_max_length",
    )


def empty(path: str) -> Refused:
    return error(
        f"Invalid '{path}': empty string. Expected a string with minimum length 1, but got an "
        "empty string instead.",
        param=path,
        code="empty_string",
    )


def no_match(path: str) -> Refused:
    return error(
        f"Invalid '{path}': string does not match pattern. "
        "Expected a string that matches the pattern '^[a-zA-Z0-9_-]+$'.",
        param=path,
        code="invalid_value",
    )
