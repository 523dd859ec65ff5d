"""Completes the values of options and arguments, each with a short description.

Candidates are looked up on this machine alone; a failure means no candidates. The parser calls each
with its context; `before` are the words before the cursor.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import suppress
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import codexapi_engine as engine

Values = list[tuple[str, str]]

BEFORE = "codexapi.words"
"""Where the words before the one to complete stand in the parser's `meta`."""

_MOST_CHATS = 50


def models(ctx: Any, args: list[str], incomplete: str) -> Values:
    from .known_models import remembered

    with suppress(Exception):
        return [(model.slug, model.description) for model in remembered(_settings(ctx))]
    return []


def efforts(ctx: Any, args: list[str], incomplete: str) -> Values:
    """Those of the model that is named, else of all."""
    from codexapi_engine.protocol.models import EFFORTS

    from .known_models import remembered

    known: dict[str, None] = {}  # in the order of the list
    with suppress(Exception):
        found = remembered(_settings(ctx))
        named = _value_of(ctx, "-m", "--model")
        for model in [model for model in found if model.slug == named] or found:
            known.update(dict.fromkeys(model.efforts))
    return [(name, "") for name in known or EFFORTS]


def chats(ctx: Any, args: list[str], incomplete: str) -> Values:
    """The newest chats, each with its first words."""
    from ..conversation.chat_history import ChatHistory, path_in

    with suppress(Exception):
        path = path_in(_settings(ctx))
        if path.exists():  # else it would be made
            with ChatHistory(path) as chats:
                heads = zip(range(_MOST_CHATS), chats.heads(), strict=False)
                return [(head["cid"], head["title"]) for _, head in heads]
    return []


def ports(ctx: Any, args: list[str], incomplete: str) -> Values:
    """The ports that servers of ours have."""
    from ..servers.registry import running

    with suppress(Exception):
        found = running(_settings(ctx).state_dir)
        return [(str(server.port), server.url or "") for server in found]
    return []


def program_keys(ctx: Any, args: list[str], incomplete: str) -> Values:
    """The programs that have a key."""
    from codexapi_engine.program_keys import ProgramKeys

    with suppress(Exception):
        return [(name, "") for name in ProgramKeys(_settings(ctx).state_dir).load()]
    return []


def setup_clients(ctx: Any, args: list[str], incomplete: str) -> Values:
    from ..integrations.http_clients import CLIENTS

    return [(client.name, client.title) for client in CLIENTS]


def mcp_clients(ctx: Any, args: list[str], incomplete: str) -> Values:
    """Those that are not named yet."""
    from ..integrations.mcp_clients import CLIENTS

    named = _words(ctx)
    return [(client.name, client.title) for client in CLIENTS if client.name not in named]


def tool_groups(ctx: Any, args: list[str], incomplete: str) -> Values:
    """A list with commas: the next of it."""
    from codexapi_mcp.options import GROUPS

    before, comma, _ = incomplete.rpartition(",")
    named = before.split(",")
    return [(f"{before}{comma}{name}", "") for name in GROUPS if name not in named]


def words(*choices: str) -> Any:
    """What offers these words."""

    def values(ctx: Any, args: list[str], incomplete: str) -> Values:
        return [(choice, "") for choice in choices]

    return values


def _settings(ctx: Any) -> engine.Settings:
    from dataclasses import replace

    from codexapi_engine.settings import Settings

    return replace(Settings.from_env(), demo="--demo" in _words(ctx))


def _words(ctx: Any) -> Sequence[str]:
    found: Sequence[str] = ctx.meta.get(BEFORE, ())
    return found


def _value_of(ctx: Any, *names: str) -> str | None:
    def values() -> Iterator[str]:
        arguments = _words(ctx)
        for at, word in enumerate(arguments):
            if word in names and at + 1 < len(arguments):
                yield arguments[at + 1]
            elif word.partition("=")[0] in names and "=" in word:
                yield word.partition("=")[2]

    return next(values(), None)
