"""Reads members of untyped JSON objects: a member of another type counts as an empty one.

The backend may change its messages any day, and that must not end as a TypeError of ours.
"""

from __future__ import annotations

from collections.abc import Mapping

from ..errors import JsonObject

_MOST = 10**18


def get_str(holder: Mapping[str, object], name: str) -> str:
    value = holder.get(name)
    return value if isinstance(value, str) else ""


def get_int(holder: Mapping[str, object], name: str) -> int | None:
    value = holder.get(name)
    # By `type`, which excludes bool and is fast: it runs for each delta of a stream.
    if type(value) is int:
        return value if -_MOST < value < _MOST else None
    return int(value) if type(value) is float and -_MOST < value < _MOST else None


def get_dict(holder: Mapping[str, object], name: str) -> JsonObject:
    value = holder.get(name)
    return value if isinstance(value, dict) else {}


def get_list(holder: Mapping[str, object], name: str) -> list[JsonObject]:
    """The objects of a list."""
    value = holder.get(name)
    return (
        [member for member in value if isinstance(member, dict)] if isinstance(value, list) else []
    )
