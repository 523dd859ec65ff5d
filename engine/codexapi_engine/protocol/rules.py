"""The rule for a request field: translated, honoured, ignored or refused. A dialect has one table."""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum

from ..errors import InvalidRequest, JsonObject


class FieldRule(StrEnum):
    TRANSLATED = "translated"  # sent to the backend, in its form
    HONOURED = "honoured"  # implemented here
    IGNORED = "ignored"  # accepted, not sent, and named to the client
    REFUSED = "refused"  # 400: dropping it would change what the answer is


def apply(
    table: Mapping[str, FieldRule],
    body: JsonObject,
    *,
    strict: bool,
    no_effect: Mapping[str, object],
    unknown: FieldRule,
) -> tuple[str, ...]:
    """The names of the fields that will be ignored, in the body's order.

    Raises InvalidRequest for a refused field, and for an ignored one when `strict`. A null, and
    a field's value in `no_effect`, have no effect and are neither.
    """
    ignored = []
    for name, value in body.items():
        rule = table.get(name, unknown)
        if rule is FieldRule.TRANSLATED or rule is FieldRule.HONOURED:
            continue
        if value is None or (name in no_effect and value == no_effect[name]):
            continue
        if rule is FieldRule.REFUSED or strict:
            raise unsupported(name)
        ignored.append(name)
    return tuple(ignored)


def unsupported(name: str, why: str = "the Codex backend does not support it") -> InvalidRequest:
    return InvalidRequest(
        f"Unsupported parameter: '{name}': {why}.", code="unsupported_parameter", param=name
    )
