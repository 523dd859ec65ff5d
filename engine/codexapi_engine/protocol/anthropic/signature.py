"""The encrypted reasoning of the backend, as the `signature` of a thinking block.

Clients send every block back as it was. A signature names who wrote it, since the backend refuses
the whole request for reasoning of another account or model; and what is not ours is left out.
"""

from __future__ import annotations

from base64 import b64decode, urlsafe_b64encode
from typing import NamedTuple

from ...errors import JsonObject
from ..responses.items import family
from ..shapes import get_str

_MARK = "cxa1"


class Writer(NamedTuple):
    """The account and the model that reasoning is of. An empty account is unknown."""

    account: str
    model: str


UNKNOWN = Writer("", "")


def sign(item: JsonObject, writer: Writer) -> str:
    """The signature of a reasoning item; empty for one that cannot be sent back."""
    encrypted = get_str(item, "encrypted_content")
    if not encrypted:
        return ""
    name = urlsafe_b64encode(get_str(item, "id").encode()).decode()
    return ":".join((_MARK, writer.account, family(writer.model), name, encrypted))


def reasoning_item(signature: str, reader: Writer) -> JsonObject | None:
    """The reasoning item behind a signature; None where the reader cannot have it."""
    mark, _, rest = signature.partition(":")
    account, _, rest = rest.partition(":")
    model, _, rest = rest.partition(":")
    name, _, encrypted = rest.partition(":")
    if mark != _MARK or not encrypted or model != family(reader.model):
        return None
    if account and reader.account and account != reader.account:
        return None
    try:
        item_id = b64decode(name, altchars=b"-_", validate=True).decode()
    except ValueError:
        return None
    item: JsonObject = {"type": "reasoning", "summary": [], "encrypted_content": encrypted}
    return {"id": item_id, **item} if item_id else item
