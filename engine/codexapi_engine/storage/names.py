"""Makes ids, and the error for an id that is unknown."""

from __future__ import annotations

import secrets

from ..errors import InvalidRequest


def new_id(prefix: str) -> str:
    """An id that cannot be guessed."""
    return f"{prefix}_{secrets.token_hex(24)}"


def absent(what: str, id: str) -> InvalidRequest:  # noqa: A002  (the wire's word)
    return InvalidRequest(f"{what} with id '{id}' not found.", status=404)
