"""What stands around the processes: disks that fill up, locks, and the official client."""

from __future__ import annotations

import asyncio
import errno
import json
import os
import sqlite3
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path

import httpx2
from tests import unix
from tests.storm.backend import Port
from tests.storm.login_store import LoginStore

from codexapi_engine.simulator.accounts import CLIENT_ID

COMMIT = 5.0
"""Seconds for which the official client waits for `auth.json.lock`."""

INSIDE = "CODEXAPI_STORM_MOUNTS"
"""Set where the mounts are our own, and nobody else's."""


QUOTA = "CODEXAPI_STORM_QUOTA"


def may_mount() -> bool:
    """Whether this process can have mounts of its own."""
    if sys.platform != "linux" or os.geteuid() != 0:
        return False
    try:
        return subprocess.run(["unshare", "-m", "true"], check=False, timeout=10).returncode == 0
    except (OSError, subprocess.TimeoutExpired):
        return False


def with_mounts(command: list[str]) -> list[str]:
    """A command in a mount namespace of its own."""
    return ["unshare", "-m", "--propagation", "private", *command]


def quota_library(folder: Path) -> dict[str, str]:
    """What lets a full disk look like a quota that is used up, while the file `QUOTA` names is
    there; nothing where there is no C compiler."""
    library = folder / "quota.so"
    command = [
        "cc",
        "-shared",
        "-fPIC",
        "-o",
        str(library),
        str(Path(__file__).with_name("quota.c")),
    ]
    try:
        _run(*command)
    except (OSError, subprocess.CalledProcessError):
        return {}
    return {"LD_PRELOAD": str(library)}


class Disk:
    """A small file system in a folder, or the folder as it is where nothing can be mounted."""

    def __init__(self, folder: Path, size: str) -> None:
        folder.mkdir(parents=True)
        self._folder = folder
        self.has_faults = bool(os.environ.get(INSIDE))
        if self.has_faults:
            _run("mount", "-t", "tmpfs", "-o", f"size={size},mode=700", "tmpfs", str(folder))

    def fill(self) -> None:
        """Takes all the room there is; where the disk has another fault by now, none."""
        try:
            ballast = os.open(self._folder / "ballast", os.O_WRONLY | os.O_CREAT | os.O_APPEND)
        except OSError:
            return
        try:
            for size in (65536, 4096, 1):
                with suppress(OSError):
                    while True:
                        os.write(ballast, b"\0" * size)
        finally:
            os.close(ballast)

    async def protect(self) -> bool:
        """Read-only, as soon as nobody has a file open for writing. Whether it could be done."""
        for _ in range(20):
            mount = await asyncio.create_subprocess_exec(
                "mount", "-o", "remount,ro", str(self._folder), stderr=subprocess.DEVNULL
            )
            if await mount.wait() == 0:
                return True
            await asyncio.sleep(0.01)
        return False

    def free(self) -> None:
        with suppress(subprocess.CalledProcessError):
            _run("mount", "-o", "remount,rw", str(self._folder))
        with suppress(FileNotFoundError):
            (self._folder / "ballast").unlink()

    def close(self) -> None:
        if self.has_faults:
            _run("umount", "-l", str(self._folder))


def _run(*command: str) -> None:
    subprocess.run(command, check=True, capture_output=True)


async def hold(path: Path, seconds: float) -> None:
    """Holds a lock as another program would: of the kernel, or of SQLite."""
    if path.suffix == ".db":
        await _hold_database(path, seconds)
        return
    with suppress(OSError):
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
        try:
            unix.lock(descriptor)
            await asyncio.sleep(seconds)
        finally:
            os.close(descriptor)


async def _hold_database(path: Path, seconds: float) -> None:
    try:
        database = sqlite3.connect(
            f"file:{path}?mode=rw", timeout=0, isolation_level=None, uri=True
        )
    except sqlite3.Error:
        return  # there is none yet
    try:
        database.execute("BEGIN IMMEDIATE")
        await asyncio.sleep(seconds)
        database.execute("ROLLBACK")
    except sqlite3.Error:
        pass  # another holds it
    finally:
        database.close()


async def renew_as_codex(home: Path, store: LoginStore, port: Port) -> None:
    """The official client 0.169: it reads again, sends, and takes the locks when it has its
    answer."""
    before = json.loads(store.read())
    token = before["tokens"]["refresh_token"]
    body = {"client_id": CLIENT_ID, "grant_type": "refresh_token", "refresh_token": token}
    try:
        async with httpx2.AsyncClient(trust_env=False) as http:
            answer = await http.post(
                f"{port.url}/oauth/token", json=body, headers={"originator": "codex_exec"}
            )
        pair = answer.json() if answer.status_code == 200 else None
    except (httpx2.HTTPError, ValueError):
        return
    if pair and pair["access_token"].isprintable():
        tokens = {name: pair[name] for name in ("id_token", "access_token", "refresh_token")}
        stamp = time.strftime("%Y-%m-%dT%H:%M:%S.123456789Z", time.gmtime())
        new = {**before, "tokens": {**before["tokens"], **tokens}, "last_refresh": stamp}
        with suppress(OSError):
            await _commit(home, store, token, json.dumps(new, indent=2).encode())


async def _commit(home: Path, store: LoginStore, token: str, data: bytes) -> None:
    async with asyncio.timeout(30):
        shared = await _flock(home / "auth.lock", 30)
    try:
        own = await _flock(home / "auth.json.lock", COMMIT)
        if own is None:
            return
        try:
            if json.loads(store.read())["tokens"]["refresh_token"] == token:
                store.put(data)
        finally:
            os.close(own)
    finally:
        if shared is not None:
            os.close(shared)


async def _flock(path: Path, seconds: float) -> int | None:
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        try:
            unix.lock(descriptor)
            return descriptor
        except OSError as error:
            if error.errno != errno.EAGAIN:
                break
        await asyncio.sleep(0.01)
    os.close(descriptor)
    return None
