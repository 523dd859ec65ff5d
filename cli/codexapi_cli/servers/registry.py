"""The registry of running servers: one file per port, in the state folder.

Its server holds a kernel lock on the file for its lifetime. So a stale file is recognised, and a
signal never goes to a process that has reused an old one's number.
"""

from __future__ import annotations

import errno
import json
import os
import socket
import stat
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, NamedTuple, Self
from urllib.parse import urlsplit

from codexapi_engine.file_lock import try_lock
from codexapi_engine.files import NO_LINK, NO_WAIT, read_regular
from codexapi_engine.settings import private_folder

from ..terminal.output import CONFLICT, Problem
from ..terminal.plan import local

LOCK_WAIT = 0.5
"""Seconds to wait for a lock: another process may hold it to test it."""

POLL = 0.02
_MAX_BYTES = 64 * 1024


class Server(NamedTuple):
    port: int
    pid: int
    host: str  # the machine: a state folder may be on more than one
    since: float
    url: str | None = None  # None: it has only begun to start
    demo: bool = False

    def __str__(self) -> str:
        backend = " with the simulated backend (--demo)" if self.demo else ""
        return f"codexapi{backend}, process {self.pid}, since {local(self.since)}"


class PortLock:
    """A port that this process serves on, for others to see. Close it at the end."""

    def __init__(self, state_dir: Path, *, demo: bool = False) -> None:
        self._demo = demo
        self._folder = _folder(state_dir)
        self._descriptor: int | None = None
        self._server: Server | None = None

    def take(self, port: int) -> None:
        """Raises Problem if another server has the port, and OSError where there can be no file."""
        path = self._folder / f"{port}.json"
        private_folder(self._folder)
        until = time.monotonic() + LOCK_WAIT
        while (descriptor := _claimed(path)) is None:
            if time.monotonic() >= until:
                raise port_in_use(_server_in(path), port)
            time.sleep(POLL)
        self._descriptor = descriptor
        self._tell(Server(port, os.getpid(), socket.gethostname(), time.time(), demo=self._demo))

    def ready(self, url: str) -> Server:
        """Writes the URL of the server. Raises as `take` does."""
        if self._server is None:
            self.take(urlsplit(url).port or 0)
        assert self._server is not None
        return self._tell(self._server._replace(url=url))

    def close(self) -> None:
        if self._descriptor is None or self._server is None:
            return
        path = self._folder / f"{self._server.port}.json"
        with suppress(OSError):
            path.unlink()
        os.close(self._descriptor)
        if sys.platform == "win32":  # which removes no open file
            with suppress(OSError):
                path.unlink()
        self._descriptor = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _tell(self, server: Server) -> Server:
        assert self._descriptor is not None
        self._server = server
        os.lseek(self._descriptor, 0, os.SEEK_SET)
        # In one piece, and never shorter than what was there: a reader sees the one or the other.
        os.write(self._descriptor, json.dumps(server._asdict()).encode())
        return server


def running(state_dir: Path) -> list[Server]:
    """The servers that run now, by port. Removes the files of those that were killed."""
    found = []
    for path in _folder(state_dir).glob("*.json"):
        with suppress(OSError):
            if _alive(path) and (server := _server_in(path)) is not None:
                found.append(server)
    return sorted(found, key=lambda server: server.port)


def refuse_taken(state_dir: Path, port: int) -> None:
    """Raises Problem if a server of ours has the port."""
    for server in running(state_dir):
        if server.port == port:
            raise port_in_use(server, port)


def port_in_use(server: Server | None, port: int) -> Problem:
    who = server or "another codexapi"
    return Problem(
        f"port {port} is held by {who}: `codexapi stop --port {port}` ends it, or choose another "
        "--port",
        CONFLICT,
    )


def has_ended(state_dir: Path, server: Server, within: float) -> bool:
    """Whether a server ends within so many seconds."""
    path = _folder(state_dir) / f"{server.port}.json"
    until = time.monotonic() + within
    while True:
        try:
            if not _alive(path) or _server_in(path) not in (None, server):
                return True
        except FileNotFoundError:
            return True
        if time.monotonic() >= until:
            return False
        time.sleep(POLL)


def _folder(state_dir: Path) -> Path:
    return state_dir / "servers"


def _claimed(path: Path) -> int | None:
    """The file, locked by us; None if it is another's. Raises OSError."""
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | NO_LINK | NO_WAIT, 0o600)
    try:
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            raise OSError(errno.EINVAL, "it is not a regular file", str(path))
        if try_lock(descriptor) and _is_at(descriptor, path):
            os.ftruncate(descriptor, 0)
            return descriptor
    except BaseException:
        os.close(descriptor)
        raise
    os.close(descriptor)
    return None


def _alive(path: Path) -> bool:
    """Whether a process holds the file's lock; if none does, it is removed. Raises OSError."""
    with _open_file(path) as descriptor:
        if not try_lock(descriptor):
            return True
        if _is_at(descriptor, path):
            with suppress(PermissionError):  # Windows removes no open file
                path.unlink()
        return False


@contextmanager
def _open_file(path: Path) -> Iterator[int]:
    descriptor = os.open(path, os.O_RDWR | NO_WAIT)
    try:
        yield descriptor
    finally:
        os.close(descriptor)


def _server_in(path: Path) -> Server | None:
    """What a file says; None if it is just being written, or is none of ours."""
    try:
        fields: dict[str, Any] = json.loads(read_regular(path, _MAX_BYTES)[1])
        server = Server(**fields)
    except (OSError, ValueError, TypeError, RecursionError):
        return None
    numbers = (server.port, server.pid, server.since)
    texts = (server.host, server.url or "")
    if (
        all(type(one) in (int, float) for one in numbers)
        and all(type(one) is str for one in texts)
        and type(server.demo) is bool
    ):
        return server
    return None


def _is_at(descriptor: int, path: Path) -> bool:
    """Whether the file is still the one of that name: another may have removed it meanwhile."""
    try:
        return os.path.samestat(os.fstat(descriptor), path.stat())
    except FileNotFoundError:
        return False


def reachable(url: str) -> str:
    """The address under which this machine reaches a server that listens on all of its own."""
    for wildcard, own in (("//0.0.0.0:", "//127.0.0.1:"), ("//[::]:", "//[::1]:")):
        url = url.replace(wildcard, own)
    return url


def version_at(url: str, timeout: float = 10.0) -> str:
    """The version of the codexapi that answers there. Raises OSError."""
    from http.client import HTTPConnection, HTTPException  # only to contact a server

    place = url.partition("//")[2]
    connection = HTTPConnection(place, timeout=timeout)
    try:
        connection.request("GET", "/healthz")
        fields = json.loads(connection.getresponse().read(10_000))
        return str(fields["version"])
    except ConnectionRefusedError:  # its own words begin with "[Errno 111]"
        raise ConnectionRefusedError(f"nothing listens at {place}") from None
    except (HTTPException, ValueError, TypeError, KeyError) as error:
        raise OSError(f"{url} answers, and not as codexapi: {error}") from None
    finally:
        connection.close()
