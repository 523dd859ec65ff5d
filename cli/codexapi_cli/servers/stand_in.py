"""What a backend of ours gives to other programs: a login, and the settings that lead to it."""

from __future__ import annotations

import os
import shlex
from pathlib import Path

from codexapi_engine.files import Disk

from ..terminal.output import LOCAL_FILE, put, say


def write_login(folder: Path, login: bytes) -> None:
    """Writes an auth.json. Ends the program where it cannot."""
    path = folder / "auth.json"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        Disk().create(path, login)
    except FileExistsError:
        say(f"codexapi: {path} exists, and is left as it is: choose another folder")
        raise SystemExit(LOCAL_FILE) from None
    except OSError as error:
        say(f"codexapi: {path}: {error.strerror}")
        raise SystemExit(LOCAL_FILE) from None


def announce_backend(url: str, login: Path | None) -> None:
    """Prints the settings that make a program use the backend with this login. A token in a variable
    would go before it, and a real one to the simulator: it is emptied."""
    if login is not None:
        settings = {
            "CODEX_HOME": str(login.absolute()),
            "CODEXAPI_BASE_URL": f"{url}/backend-api/codex",
            "CODEX_REFRESH_TOKEN_URL_OVERRIDE": f"{url}/oauth/token",
        }
        if os.environ.get("CODEX_ACCESS_TOKEN"):
            settings["CODEX_ACCESS_TOKEN"] = ""
        for name, value in settings.items():
            put(f"export {name}={shlex.quote(value)}\n")
