"""Call ids for clients that keep none: most send back a call's name and arguments alone.

An id made of these, and of what was said before, is the same each time a conversation comes back,
so that the backend's cache and the reasoning that is stored by call find it again.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Iterable
from typing import Any

from ...errors import JsonObject
from .. import json
from ..responses.arguments import arguments_of
from ..responses.backend import beginning
from ..shapes import get_str


class CallIds:
    """The ids of the calls of one conversation, message by message."""

    def __init__(self) -> None:
        self._before = hashlib.sha256()  # the messages so far
        self._calls: Counter[bytes] = Counter()  # of the message that is next

    def add(self, role: str, text: str) -> None:
        """Ends a message; its calls have their ids by now. System messages do not count: programs
        write the time of day into them."""
        if role != "system":
            self._before.update(json.dumps([role, beginning(text)]))
        self._calls.clear()

    def next(self, name: str, arguments: Any) -> str:
        """The id of the next call. A call that is repeated in one message has another one."""
        call = json.dumps([name, _sorted(arguments)])
        self._calls[call] += 1
        digest = self._before.copy()
        digest.update(b"%d %b" % (self._calls[call], call))
        return f"call_{digest.hexdigest()[:32]}"

    def with_ids(self, items: Iterable[JsonObject]) -> list[JsonObject]:
        """The items of the reply, its function calls with such ids."""
        return [
            {**item, "call_id": self.next(get_str(item, "name"), arguments_of(item))}
            if item.get("type") == "function_call"
            else item
            for item in items
        ]


def _sorted(value: Any) -> Any:
    """Clients may keep the members of an object in any order."""
    if isinstance(value, dict):
        return {name: _sorted(value[name]) for name in sorted(value)}
    return [_sorted(item) for item in value] if isinstance(value, list) else value
