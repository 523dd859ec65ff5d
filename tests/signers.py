"""Stand-ins for the login, for tests of what lies beneath it."""

from __future__ import annotations

from codexapi_engine.protocol.auth_file import Credentials


class Unsigned:
    """Signs with nothing."""

    async def signing_credentials(self) -> Credentials | None:
        return None

    async def other_credentials(self, refused: Credentials | None) -> Credentials | None:
        return None

    def note_status(self, credentials: Credentials | None, status: int) -> None:
        """Nothing is to be noted."""
