"""Compares a request with a recorded one: their shape, where the recording has no content.

Ids differ from run to run and are not compared; neither are headers, nor bodies that are no JSON.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

from ..protocol.redaction import Equals, JsonRedaction

_MOST = 5
"""Differences that are named."""

_LONGEST = 60


class Comparison:
    """Requests, in the form in which those that count as equal are equal."""

    def __init__(self, *, content: bool) -> None:
        self._shapes = JsonRedaction(Equals(), content=content)

    def form(self, body: bytes) -> Any:
        """The form of a body; None for what is no JSON."""
        try:
            return json.loads(self._shapes.redact(body.decode()))
        except (ValueError, RecursionError):
            return None

    def differences(self, recorded: bytes, sent: bytes) -> list[str]:
        """What differs, one line each, with the place; no value of a secret is in them."""
        found = list(_differences("", self.form(recorded), self.form(sent)))
        more = len(found) - _MOST
        return found[:_MOST] + ([f"and {more} more"] if more > 0 else [])


def names(recorded: object, sent: object) -> Iterator[tuple[str, str]]:
    """The stand-ins for names in a recorded request, each with the name that was sent in its
    place."""
    if isinstance(recorded, dict) and isinstance(sent, dict):
        for key in recorded.keys() & sent.keys():
            pair = recorded[key], sent[key]
            if key in ("name", "namespace") and all(isinstance(each, str) for each in pair):
                yield pair
            else:
                yield from names(*pair)
    elif isinstance(recorded, list) and isinstance(sent, list):
        for one, other in zip(recorded, sent, strict=False):
            yield from names(one, other)


def _differences(place: str, recorded: Any, sent: Any) -> Iterator[str]:
    if isinstance(recorded, dict) and isinstance(sent, dict):
        for key in [*recorded, *(key for key in sent if key not in recorded)]:
            inside = f"{place}.{key}".lstrip(".")
            if key not in sent:
                yield f"{inside}: recorded {_short(recorded[key])}, now absent"
            elif key not in recorded:
                yield f"{inside}: not recorded, now {_short(sent[key])}"
            else:
                yield from _differences(inside, recorded[key], sent[key])
    elif isinstance(recorded, list) and isinstance(sent, list):
        if len(recorded) != len(sent):
            yield f"{place}: recorded {len(recorded)} entries, now {len(sent)}"
        for number, (one, other) in enumerate(zip(recorded, sent, strict=False)):
            yield from _differences(f"{place}[{number}]", one, other)
    elif recorded != sent or type(recorded) is not type(sent):
        yield f"{place or 'the body'}: recorded {_short(recorded)}, now {_short(sent)}"


def _short(value: object) -> str:
    text = json.dumps(value, ensure_ascii=False)
    return text if len(text) <= _LONGEST else f"{text[:_LONGEST]}… ({len(text)} characters)"
