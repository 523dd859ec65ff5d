"""What to tell a person who has no login: how to get one on this machine, and how to do without.

The official client alone can log in, and it may not be installed: that is looked up when it is said.
"""

from __future__ import annotations

from ..protocol.auth_file import LOGIN_HINT

CODEX = "codex"
INSTALL = "npm install -g @openai/codex, or on a Mac brew install --cask codex"
WITHOUT = "To try codexapi without a login: --demo"
MAKE_WRITABLE = (
    "mount its folder, and not auth.json alone, so that it can be written, or renew it where it "
    "can be (run `codex` there)"
)
"""What to do where a login has to be renewed, and a new one could not be saved."""


def not_logged_in(reason: str) -> str:
    """The message where there is no login, the same at every door."""
    return with_client(f"not logged in ({reason}). To log in, {LOGIN_HINT}. {WITHOUT}")


def with_client(message: str) -> str:
    """A message about a login; where `codex` is not installed, with the way to install it."""
    import shutil  # only where a login is missing

    if LOGIN_HINT not in message or INSTALL in message or shutil.which(CODEX) is not None:
        return message
    return message.replace(LOGIN_HINT, f"{LOGIN_HINT} (`codex` is not installed: {INSTALL})", 1)
