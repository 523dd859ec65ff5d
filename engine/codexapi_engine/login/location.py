"""Finds where the login is stored: in a variable, in a file, or in the system's keyring."""

from __future__ import annotations

from pathlib import Path

from ..bounds import MAX_LOGIN_BYTES
from ..errors import NotLoggedIn
from ..files import read_regular
from ..protocol import auth_file
from ..protocol.auth_file import LOGIN_HINT
from ..settings import Settings
from .file_store import CodexFile
from .keyring_store import Keyring, KeyringOrFile
from .store import InMemory, MissingStore, Store

STORE = "cli_auth_credentials_store"
"""The setting of Codex's config.toml that says where a login is."""

STORES = ("file", "keyring", "auto", "ephemeral")
"""Its words. Where it has another, `auth.json` is read."""

ANOTHER_TOKEN = f"set CODEX_ACCESS_TOKEN to a token that is good, or unset it and {LOGIN_HINT}"
"""A new login of the client's is not looked at while the variable is set."""


def store_of(settings: Settings) -> Store:
    """Where the user's login is: in the environment, or where Codex's own config says."""
    if settings.access_token is not None:
        try:
            login = auth_file.from_access_token(settings.access_token.reveal())
            return InMemory(login, login_hint=ANOTHER_TOKEN)
        except NotLoggedIn as error:
            return MissingStore(error)
    home = settings.codex_home
    kind = _setting(home / "config.toml", STORE)
    if kind in ("keyring", "auto"):
        keyring = Keyring(home, state_dir=settings.state_dir)
        if kind == "keyring":
            return keyring
        return KeyringOrFile(keyring, CodexFile(home, state_dir=settings.state_dir))
    if kind == "ephemeral":
        return MissingStore(
            NotLoggedIn(
                "Codex keeps its login in memory alone, by cli_auth_credentials_store in its "
                f'config.toml: set that to "file" and {LOGIN_HINT}'
            )
        )
    return CodexFile(home, state_dir=settings.state_dir)


def _setting(config: Path, name: str) -> object:
    """One setting of Codex's own config.toml; None if it is not there."""
    try:
        text = read_regular(config, MAX_LOGIN_BYTES)[1].decode()
        if name not in text:
            return None  # reading TOML takes 12 ms to begin with
        import tomllib

        return tomllib.loads(text).get(name)
    except (OSError, ValueError, RecursionError):
        return None
