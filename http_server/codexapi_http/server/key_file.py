"""Reads the local API key from a file (`serve --api-key-file`), unseen by process lists."""

from __future__ import annotations

import os
import stat
import sys
from pathlib import Path

from codexapi_engine import InvalidRequest
from codexapi_engine.bounds import MAX_KEY_FILE_BYTES


def read_key(path: Path) -> tuple[str, str | None]:
    """The key in a file, and what the user should know of that file. Raises OSError, and
    InvalidRequest where it holds none."""
    with open(os.path.expanduser(path), "rb") as file:
        key = file.read(MAX_KEY_FILE_BYTES + 1).strip()
        mode = os.fstat(file.fileno()).st_mode
    if not key or len(key) > MAX_KEY_FILE_BYTES or len(key.split()) != 1:
        raise InvalidRequest(
            f"--api-key-file: {path} does not hold one key: expected a single word, for example "
            "of `openssl rand -hex 32`",
            param="api_key_file",
        )
    if stat.S_ISREG(mode) and mode & 0o077 and sys.platform != "win32":
        return key.decode(errors="surrogateescape"), (
            f"{path} can be read by others (mode {stat.S_IMODE(mode):04o}): chmod 600 {path}"
        )
    return key.decode(errors="surrogateescape"), None
