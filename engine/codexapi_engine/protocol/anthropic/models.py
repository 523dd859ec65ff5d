"""Models under the names that clients of this API know, and the list of them in its form."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from ...errors import JsonObject
from .. import models
from ..models import Model

PREFIX = "claude-"
"""Claude Code lists no model without it, so each model has a second name."""

_SMALL = "claude-haiku"
_LONG_CONTEXT = "[1m]"
_SMALL_WORDS = ("nano", "mini", "luna", "small", "lite")
"""Of the names of smaller models, the smallest first: the catalogue tells no size."""

_CREATED_AT = "2024-01-01T00:00:00Z"
_MAX_OUTPUT = 128_000


def is_foreign(name: str) -> bool:
    """Whether a name may be one of Claude's, so that only the catalogue tells what it means."""
    return name.startswith(PREFIX)


def resolve(known: Sequence[Model], aliases: Mapping[str, str], name: str, default: str) -> str:
    """The model behind a name: an alias, one of the list, `claude-` and one of the list, and for
    any other Claude the `default`, or the smallest where it is a Haiku."""
    name = name.removesuffix(_LONG_CONTEXT)
    if name in aliases or not is_foreign(name):
        return name
    plain = name.removeprefix(PREFIX)
    slug, _ = models.resolve(known, aliases, plain)
    if plain in aliases or models.find(known, slug):
        return plain
    return smallest(known) or default if name.startswith(_SMALL) else default


def smallest(known: Sequence[Model]) -> str | None:
    """The first of the listed models whose name says that it is small; None if none does."""
    listed = [model.slug for model in known if model.listed]
    for word in _SMALL_WORDS:
        if found := [slug for slug in listed if word in slug]:
            return found[0]
    return None


def models_page(known: Sequence[Model], aliases: Mapping[str, str]) -> JsonObject:
    """The list, whole: there are no further pages."""
    names = [name for model in known if model.listed for name in (model.slug, PREFIX + model.slug)]
    data = [entry for name in [*names, *aliases] if (entry := model_entry(known, aliases, name))]
    first, last = (data[0]["id"], data[-1]["id"]) if data else (None, None)
    return {"data": data, "has_more": False, "first_id": first, "last_id": last}


def model_entry(known: Sequence[Model], aliases: Mapping[str, str], name: str) -> JsonObject | None:
    """One model under the name that it is asked for by; None if there is none."""
    found = models.named(known, aliases, name)
    if found is None and is_foreign(name):
        found = models.named(known, aliases, name.removeprefix(PREFIX))
    if found is None:
        return None
    return {
        "type": "model",
        "id": name,
        "display_name": found["display_name"],
        "created_at": _CREATED_AT,
        "lifecycle": "active",
        "max_input_tokens": found["context_window"],
        "max_tokens": _MAX_OUTPUT,
    }
