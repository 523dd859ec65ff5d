"""Reads members of untyped JSON objects: a member of another type counts as an empty one.

The backend may change its messages any day, and that must not end as a TypeError of ours. Types are
compared by `type`, without a call: each request has some 50 members read. What JSON becomes has no
subclasses.
"""

from __future__ import annotations

from collections.abc import Mapping

from ..errors import JsonObject

_MOST = 10**18


def get_str(holder: Mapping[str, object], name: str) -> str:
    value = holder.get(name)
    return value if type(value) is str else ""


def get_int(holder: Mapping[str, object], name: str) -> int | None:
    value = holder.get(name)
    # By `type`, which excludes bool too.
    if type(value) is int:
        return value if -_MOST < value < _MOST else None
    return int(value) if type(value) is float and -_MOST < value < _MOST else None


def get_dict(holder: Mapping[str, object], name: str) -> JsonObject:
    value = holder.get(name)
    return value if type(value) is dict else {}


def get_list(holder: Mapping[str, object], name: str) -> list[JsonObject]:
    """The objects of a list."""
    value = holder.get(name)
    return [member for member in value if type(member) is dict] if type(value) is list else []
