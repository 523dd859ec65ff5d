"""What the Codex client's own config.toml says that concerns us."""

from __future__ import annotations

from .bounds import MAX_LOGIN_BYTES
from .errors import JsonObject
from .files import read_regular
from .settings import Settings


def named_model(settings: Settings, name: str | None = None) -> str | None:
    """The request's model, else the user's own choice; None leaves it to the account."""
    chosen = name or settings.model or codex_config(settings).get("model")
    return chosen if isinstance(chosen, str) and chosen else None


def codex_config(settings: Settings) -> JsonObject:
    """The Codex client's own config.toml: the user's choice of model. `{}` if unreadable."""
    if settings.demo:
        return {}
    import tomllib  # seldom needed

    try:
        return tomllib.loads(
            read_regular(settings.codex_home / "config.toml", MAX_LOGIN_BYTES)[1].decode()
        )
    except (OSError, ValueError, RecursionError):
        return {}
