"""How many tokens a request is, about, for clients that show what takes them.

They ask for the parts one by one and subtract: so what is counted is a sum over texts, tools and
items, each a whole number, with nothing for their being together.
"""

from __future__ import annotations

from math import ceil

from ...errors import JsonObject
from ..responses.estimate import ITEM_TOKENS, token_count
from ..shapes import get_dict, get_list, get_str


def tokens(sent: JsonObject) -> int:
    """An estimate for a translated request."""
    # Texts of the system were joined by blank lines: cut there, they add up whoever joined them.
    texts = get_str(sent, "instructions").split("\n\n")
    schema = get_dict(get_dict(sent, "text"), "format").get("schema")
    parts = [*texts, *get_list(sent, "tools"), schema, *get_list(sent, "input")]
    return sum(ceil(token_count(part)) for part in parts) + ITEM_TOKENS * len(sent["input"])
