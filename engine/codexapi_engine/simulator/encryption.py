"""Encrypts reasoning for the simulated backend: opaque to clients, and bound to account and model.

Nothing in it is a secret. A client may keep it and send it back, but not read it.
"""

from __future__ import annotations

import base64
import json
from typing import NamedTuple

_BEGINS = "gAAAAABsimulated-"


class Origin(NamedTuple):
    """Who wrote an encrypted content, and for which item."""

    key: int  # the number of the key that it was encrypted with
    account: str
    model: str
    item: str  # the id of the item that carries it


def encrypt(origin: Origin) -> str:
    data = json.dumps(origin, separators=(",", ":")).encode()
    return _BEGINS + base64.urlsafe_b64encode(data).decode()


def decrypt(content: str) -> Origin | None:
    """None for what no simulated backend wrote."""
    if not content.startswith(_BEGINS):
        return None
    try:
        key, *names = json.loads(base64.urlsafe_b64decode(content.removeprefix(_BEGINS)))
        account, model, item = names
    except (ValueError, TypeError):
        return None
    return Origin(key, account, model, item)
