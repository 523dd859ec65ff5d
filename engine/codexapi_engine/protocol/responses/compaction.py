"""Builds a compacted conversation: the user's messages, and one encrypted item."""

from __future__ import annotations

from collections.abc import Iterable

from ...errors import JsonObject, UnexpectedAnswer
from ..shapes import get_dict, get_int, get_list, get_str
from .items import kind_of
from .public import complete_usage

TRIGGER: JsonObject = {"type": "compaction_trigger"}
"""The last item of a request's input, which requests a compaction."""


def from_response(response: JsonObject, items: Iterable[JsonObject], created: int) -> JsonObject:
    """The answer to a client, from the run that was triggered. `items` were its input, with ids.

    Raises UnexpectedAnswer if the run made no compaction.
    """
    made = [item for item in get_list(response, "output") if kind_of(item) == "compaction"]
    if not made:
        raise UnexpectedAnswer("the backend made no compaction")
    messages = [item for item in items if kind_of(item) == "message" and item.get("role") == "user"]
    return {
        "id": get_str(response, "id"),
        "object": "response.compaction",
        "created_at": get_int(response, "created_at") or created,
        "output": [*messages, *made[-1:]],
        "usage": complete_usage(get_dict(response, "usage")),
    }
