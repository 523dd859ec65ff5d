"""The model catalogue: what the backend lists, and the list we show.

Field names as in the Codex catalogue (0.169.0). An entry that lacks one is still an entry.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from ..errors import JsonObject
from .shapes import listed, number, word

CREATED = 1_704_067_200
"""`created` of every entry: the catalogue tells no date, and clients only need a number."""


@dataclass(frozen=True, slots=True)
class Model:
    slug: str
    display_name: str
    description: str
    listed: bool  # False: usable, and not shown
    priority: int  # ascending: the first is the account's default
    efforts: tuple[str, ...]
    default_effort: str | None
    context_window: int | None  # tokens
    modalities: tuple[str, ...]
    raw: JsonObject  # the backend's own entry, whole


def parse(catalogue: JsonObject) -> list[Model]:
    """The models of `GET /models`, first choice first."""
    models = [_model(entry) for entry in listed(catalogue, "models") if word(entry, "slug")]
    return sorted(models, key=lambda model: model.priority)


def public_list(models: Sequence[Model]) -> JsonObject:
    """One object that satisfies OpenAI clients (`data`) and the Codex client (`models`)."""
    return {
        "object": "list",
        "data": [public(model) for model in models if model.listed],
        "models": [model.raw for model in models],
    }


def public(model: Model) -> JsonObject:
    """One entry in OpenAI's form, with what clients otherwise have to guess."""
    return {
        "id": model.slug,
        "object": "model",
        "created": CREATED,
        "owned_by": "openai",
        "display_name": model.display_name,
        "context_window": model.context_window,
        "reasoning_efforts": list(model.efforts),
        "default_reasoning_effort": model.default_effort,
        "input_modalities": list(model.modalities),
    }


def find(models: Iterable[Model], slug: str) -> Model | None:
    return next((model for model in models if model.slug == slug), None)


def suggestions(models: Iterable[Model], slug: str) -> list[str]:
    """Up to three listed names for one that the backend does not know: near ones, else the first."""
    names = [model.slug for model in models if model.listed]
    return difflib.get_close_matches(slug, names, n=3, cutoff=0.5) or names[:3]


def _model(entry: JsonObject) -> Model:
    efforts = [word(level, "effort") for level in listed(entry, "supported_reasoning_levels")]
    slug, modalities = word(entry, "slug"), entry.get("input_modalities")
    priority = number(entry, "priority")
    return Model(
        slug=slug,
        display_name=word(entry, "display_name") or slug,
        description=word(entry, "description"),
        listed=entry.get("visibility", "list") == "list",
        priority=1_000 if priority is None else priority,
        efforts=tuple(filter(None, efforts)),
        default_effort=word(entry, "default_reasoning_level") or None,
        context_window=number(entry, "context_window"),
        modalities=tuple(modalities) if isinstance(modalities, list) else ("text", "image"),
        raw=entry,
    )
