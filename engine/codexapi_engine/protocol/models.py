"""Parses the backend's model catalogue, and builds the model list for clients.

Field names are those of the Codex catalogue (0.169.0). An entry that lacks one is still accepted.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

from ..errors import JsonObject
from .shapes import get_dict, get_int, get_list, get_str

CREATED = 1_704_067_200
"""`created` of every entry: the catalogue has no date, and clients only need a number."""

EFFORTS = ("none", "minimal", "low", "medium", "high", "xhigh", "max", "ultra")
"""Reasoning efforts that are known, least first. The catalogue decides which a model has, and may
list others."""

_NEVER_SENT = "ultra"
"""The catalogue lists it, and it is a mode of the Codex client, in which agents work for the model.
The backend refuses it by this name, so the highest of the model's others goes up in its place."""

_VERSION = re.compile(r"(\d{1,6})\.(\d{1,6})\.(\d{1,6})")
_NEEDED_BY_CODEX: JsonObject = {
    "supported_reasoning_levels": [],
    "shell_type": "shell_command",
    "visibility": "list",
    "supported_in_api": True,
    "support_verbosity": False,
    "truncation_policy": {"mode": "tokens", "limit": 10_000},
    "experimental_supported_tools": [],
    "base_instructions": "",  # or `model_messages.instructions_template`
}
"""As most entries of the recorded catalogues have them, or what claims the least."""


class Model(NamedTuple):
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
    models = [
        _parse_model(entry) for entry in get_list(catalogue, "models") if get_str(entry, "slug")
    ]
    return sorted(models, key=lambda model: model.priority)


def resolve(
    models: Iterable[Model], aliases: Mapping[str, str], wanted: str
) -> tuple[str, str | None]:
    """The model behind a name, and the effort that the name gives: `slug`, `slug:effort`, an alias
    of either, or `alias:effort`.

    A name that the catalogue lacks is what it was: the backend decides what there is.
    """
    name = aliases.get(wanted, wanted)
    head, mark, effort = name.rpartition(":")
    slug = aliases.get(head, head)
    model = find(models, slug) if mark else None
    if model is not None and effort in (*EFFORTS, *model.efforts):
        return slug, effort
    return name, None


def nearest_effort(model: Model, effort: str) -> str:
    """The effort itself where the model has it, else the nearest that it has; the lower one of two
    that are equally near.

    Upwards too: several clients report that an unlisted `minimal` is refused, or never answered.
    Where the catalogue lists no effort, or nobody knows this one, the backend decides.
    """
    available = _comparable_efforts(model)
    if effort in model.efforts or effort not in EFFORTS or not available:
        return effort
    wanted = EFFORTS.index(effort)
    return min(available, key=lambda name: abs(EFFORTS.index(name) - wanted))


def sent_effort(model: Model, effort: str) -> str:
    """The effort as the backend takes it."""
    if effort != _NEVER_SENT:
        return effort
    available = _comparable_efforts(model)
    return available[-1] if available else "max"


def _comparable_efforts(model: Model) -> list[str]:
    """Those that the backend takes, and whose order is known; least first."""
    return [name for name in EFFORTS if name in model.efforts and name != _NEVER_SENT]


def client_version(models: Iterable[Model], *, at_least: str) -> str:
    """The newest Codex version that an entry requires, or `at_least` where that is newer.

    The backend hides the models that are too new for the version that asks, so this rises only
    where it lists a model that it would then refuse.
    """
    versions = [at_least, *(get_str(model.raw, "minimal_client_version") for model in models)]
    return max(filter(_VERSION.fullmatch, versions), key=version_numbers, default=at_least)


def public_list(models: Sequence[Model], aliases: Mapping[str, str] | None = None) -> JsonObject:
    """One object that satisfies OpenAI clients (`data`) and the Codex client (`models`).

    Aliases stand after the plain ids: there are clients that take the first.
    """
    names = aliases or {}
    plain = [public(model) for model in models if model.listed]
    return {
        "object": "list",
        "data": plain + [entry for name in names if (entry := named(models, names, name))],
        "models": [for_codex(model) for model in models],
    }


def for_codex(model: Model) -> JsonObject:
    """The backend's own entry, with a neutral value for each key without which the Codex client
    drops the whole list (0.169.0 and 0.171.0, recorded: "failed to decode models response")."""
    entry = model.raw
    needed: JsonObject = {
        "display_name": model.display_name,
        "priority": model.priority,
        **_NEEDED_BY_CODEX,
    }
    if isinstance(get_dict(entry, "model_messages").get("instructions_template"), str):
        del needed["base_instructions"]
    return entry | {key: value for key, value in needed.items() if entry.get(key) is None}


def named(models: Sequence[Model], aliases: Mapping[str, str], name: str) -> JsonObject | None:
    """The entry by the name in a request: a slug, `slug:effort` or an alias."""
    slug, effort = resolve(models, aliases, name)
    model = find(models, slug)
    if model is None and name not in aliases:
        return None
    # An alias of what the catalogue does not list may still work: the backend decides.
    entry = public(model or _parse_model({"slug": slug}))
    entry["id"] = name
    if effort is not None:
        entry["default_reasoning_effort"] = effort
    if name != slug:
        entry["alias_of"] = slug
    return entry


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


class Hint(NamedTuple):
    """What to take in place of a name that the backend does not know."""

    text: str  # a sentence with a blank before it, or nothing
    instead: str | None


def hint(models: Iterable[Model], name: str, default: str | None = None) -> Hint:
    """The nearest name of those that are listed, and the default: the user's own choice, else the
    first."""
    names = [model.slug for model in models if model.listed]
    if not names:
        return Hint("", None)
    near = difflib.get_close_matches(name.lower(), names, n=1, cutoff=0.5)
    usual = default if default and default != name else names[0]
    meant = f" Did you mean `{near[0]}`?" if near else ""
    return Hint(f"{meant} The default is `{usual}`.", near[0] if near else usual)


def version_numbers(text: str) -> tuple[int, ...]:
    """Of a version such as `0.171.0`, to be compared. Raises ValueError."""
    return tuple(map(int, text.split(".")))


def _parse_model(entry: JsonObject) -> Model:
    efforts = [get_str(level, "effort") for level in get_list(entry, "supported_reasoning_levels")]
    slug, modalities = get_str(entry, "slug"), entry.get("input_modalities")
    priority = get_int(entry, "priority")
    return Model(
        slug=slug,
        display_name=get_str(entry, "display_name") or slug,
        description=get_str(entry, "description"),
        listed=entry.get("visibility", "list") == "list",
        priority=1_000 if priority is None else priority,
        efforts=tuple(filter(None, efforts)),
        default_effort=get_str(entry, "default_reasoning_level") or None,
        context_window=get_int(entry, "context_window"),
        modalities=tuple(modalities) if isinstance(modalities, list) else ("text", "image"),
        raw=entry,
    )
