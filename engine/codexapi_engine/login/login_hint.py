"""The message for a person without a login: how to log in on this machine, or use codexapi without.

Only the official client can log in. Whether it is installed is checked when the message is made.
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
    """The message for a missing login, the same in every front end."""
    return with_client(f"not logged in ({reason}). To log in, {LOGIN_HINT}. {WITHOUT}")


def with_client(message: str) -> str:
    """A message about a login; where `codex` is not installed, with the way to install it."""
    if LOGIN_HINT not in message or INSTALL in message:
        return message
    import shutil  # when something is wrong with a login

    if shutil.which(CODEX) is not None:
        return message
    return message.replace(LOGIN_HINT, f"{LOGIN_HINT} (`codex` is not installed: {INSTALL})", 1)
