"""A keyring in a file: the one of the programs under test, where a seed keeps the login in a keyring."""

from __future__ import annotations

import json
import os
from contextlib import suppress
from pathlib import Path

from keyring.backend import KeyringBackend

PLACE = "CODEXAPI_STORM_KEYRING"
"""Names the file."""

BACKEND = {"PYTHON_KEYRING_BACKEND": "tests.storm.keyring_file.FileKeyring"}
"""What makes the package `keyring` take this one."""


class FileKeyring(KeyringBackend):
    """An entry is replaced in one step, as keyrings do it. Raises OSError where the disk does."""

    priority = 1

    def __init__(self, path: Path | None = None) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.path = path or Path(os.environ[PLACE])

    def get_password(self, service: str, username: str) -> str | None:
        value: str | None = self._entries().get(f"{service} {username}")
        return value

    def set_password(self, service: str, username: str, password: str) -> None:
        entries = {**self._entries(), f"{service} {username}": password}
        beside = self.path.with_name(f"{self.path.name}.{os.getpid()}")
        try:
            beside.write_text(json.dumps(entries))
            beside.replace(self.path)
        finally:
            with suppress(OSError):
                beside.unlink()

    def _entries(self) -> dict[str, str]:
        try:
            entries: dict[str, str] = json.loads(self.path.read_bytes())
        except FileNotFoundError:
            return {}
        return entries
