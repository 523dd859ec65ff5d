"""`serve --detach`: starts a server that outlives its terminal."""

from __future__ import annotations

import json
import os
import secrets
import subprocess
import sys
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from codexapi_engine.settings import private_folder

from ..terminal.output import FAILED, LOCAL_FILE, Problem, put, say
from .registry import reachable, refuse_taken, version_at


def start(state_dir: Path, port: int, arguments: Sequence[str]) -> int:
    """Starts `codexapi ARGUMENTS --announce`, and returns the exit code when it answers, or has
    ended. Raises Problem."""
    refuse_taken(state_dir, port)
    log = _new_log(state_dir / "logs", port)
    # -P: nothing in the folder that we happen to be in is taken for a module.
    command = [sys.executable, "-P", "-m", "codexapi_cli", *arguments, "--announce"]
    with log.open("ab") as written:
        server = subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=written,
            **_detached_options(),
        )
    assert server.stdout is not None
    try:
        with server.stdout as stdout:
            line = stdout.readline()
        if not line:
            say(log.read_text("utf-8", "replace").rstrip())
            return server.wait() or FAILED
        _announce(json.loads(line), log)
    except BaseException:  # Ctrl-C did not reach it
        server.kill()
        server.wait()
        raise
    return 0


def announce(url: str, notes: Sequence[str]) -> None:
    """Says to who waits in `start` that the server is ready; nothing more will come."""
    put(json.dumps({"pid": os.getpid(), "url": url, "notes": list(notes)}) + "\n")
    os.dup2(os.open(os.devnull, os.O_WRONLY), 1)


def _announce(announcement: dict[str, Any], log: Path) -> None:
    try:
        version_at(reachable(announcement["url"]))
    except OSError as error:
        raise Problem(
            f"{announcement['url']} does not answer: {error}; see {log}", FAILED
        ) from None
    put(f"{announcement['url']}/v1\n")
    for note in announcement["notes"]:
        say(f"codexapi: {note}")
    port = urlsplit(announcement["url"]).port
    say(
        f"codexapi: process {announcement['pid']} goes on in the background: `codexapi stop --port {port}` "
        f"ends it, and its log is {log}"
    )


def _new_log(folder: Path, port: int) -> Path:
    """An empty log; the one before is kept beside it. Raises Problem."""
    path = folder / f"serve-{port or secrets.token_hex(3)}.log"
    try:
        private_folder(folder)
        with suppress(FileNotFoundError):
            path.replace(path.with_suffix(".old"))
        os.close(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600))
    except OSError as error:
        raise Problem(f"{path}: {error.strerror}", LOCAL_FILE) from None
    return path


def _detached_options() -> dict[str, Any]:
    """The options that make a process outlive the terminal, without its Ctrl-C."""
    if sys.platform == "win32":
        return {"creationflags": subprocess.DETACHED_PROCESS | subprocess.CREATE_NEW_PROCESS_GROUP}
    return {"start_new_session": True}
