"""Stores JSON objects by kind and id, in memory or in one SQLite file.

It is bounded by count and by bytes, and evicts the oldest first. An object may have a content, bytes
of any kind: such an object is never evicted, and its content is not counted. Two processes may use
one file: every change is one transaction.

Another program may hold the file's write lock for any time. Readers need no lock: they have a
connection of their own, and SQLite's WAL lets it read on. A writer waits for the lock, in an event
loop on a thread: `in_thread`.
"""

from __future__ import annotations

import errno
import os
import sqlite3
import stat
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TypeVar

from ..bounds import MAX_STORED_BYTES, MAX_STORED_OBJECTS, STATE_LOCK_WAIT
from ..errors import JsonObject, Unavailable
from ..files import BINARY, NO_WAIT
from ..protocol import json, long_json
from ..settings import private_folder

_READ_WAIT = 0.05
"""Seconds that reading waits. It has to only where a file system has no WAL: see `_prepare`."""

_AT_ONCE = 500
"""Names looked up in one query: SQLite takes only so many parameters."""

_OURS = 0x636F6478
"""By this number in its head a database file is known as ours."""

_SCHEMA = (
    f"PRAGMA application_id = {_OURS}",
    """CREATE TABLE IF NOT EXISTS objects (
        number INTEGER PRIMARY KEY AUTOINCREMENT,
        kind TEXT NOT NULL,
        id TEXT NOT NULL,
        bytes INTEGER NOT NULL,
        value BLOB NOT NULL,
        UNIQUE (kind, id)
    )""",
    """CREATE TABLE IF NOT EXISTS names (
        name TEXT NOT NULL,
        number INTEGER NOT NULL REFERENCES objects (number) ON DELETE CASCADE
    )""",
    """CREATE TABLE IF NOT EXISTS contents (
        number INTEGER PRIMARY KEY REFERENCES objects (number) ON DELETE CASCADE,
        content BLOB NOT NULL
    )""",
    "CREATE INDEX IF NOT EXISTS by_name ON names (name)",
    "CREATE INDEX IF NOT EXISTS by_number ON names (number)",
)
_TABLES = frozenset({"objects", "names", "contents", "by_name", "by_number"})

_MAY_GO = "number NOT IN (SELECT number FROM contents)"

T = TypeVar("T")


class ObjectStore:
    """A bounded store of JSON objects. With a path it is kept over restarts, mode 0600.

    Raises Unavailable where the file cannot be used: here, and in every later call.
    """

    def __init__(
        self,
        path: Path | None = None,
        *,
        max_objects: int = MAX_STORED_OBJECTS,
        max_bytes: int = MAX_STORED_BYTES,
        max_wait: float = STATE_LOCK_WAIT,
    ) -> None:
        self._max_objects = max_objects
        self._max_bytes = max_bytes
        self._max_wait = max_wait
        self._path = path
        with _translate_errors(path):
            if path is not None:
                private_folder(path.parent)
                _make(path)
            # One thread at a time uses it, and not always the same: tests and servers differ there.
            self._database = self._reader = _connection(path, max_wait)
        self._lock = threading.RLock()  # who has it may change something
        self._writer: int | None = None  # the thread that is inside a transaction
        self._until: float | None = None  # when its changes have waited long enough
        self._thread: ThreadPoolExecutor | None = None
        self._most = 0  # bytes on it: so many at most
        self._version: int | None = None  # of the file as others left it, when they were counted
        try:
            self._prepare()
            if path is not None:
                with _translate_errors(path):
                    self._reader = _connection(path, _READ_WAIT)
                    self._reader.execute("PRAGMA query_only = ON")
        except BaseException:
            self._database.close()
            raise

    async def in_thread(self, work: Callable[[], T], *, light: bool = False) -> T:
        """What `work` gives, which changes something, without holding the event loop: it runs in a
        thread, unless it is `light` and there is no file. In all, it waits no longer than a change
        does by itself, however many wait before it. If it is cancelled, the work is done all the
        same."""
        if light and self._path is None and self._lock.acquire(blocking=False):
            try:
                return work()
            finally:
                self._lock.release()
        import asyncio  # `history` does without

        if self._thread is None:
            self._thread = ThreadPoolExecutor(1, thread_name_prefix="codexapi-state")
        until = time.monotonic() + self._max_wait

        def bounded() -> T:
            with self._lock:
                self._until = until
                try:
                    return work()
                finally:
                    self._until = None

        running = asyncio.get_running_loop().run_in_executor(self._thread, bounded)
        return await asyncio.shield(running)

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """What is read and changed in here happens at once, or not at all."""
        with self._lock:
            if self._writer is not None:  # this thread's: others wait for the lock
                yield
                return
            with _translate_errors(self._path):
                self._begin()
                self._writer = threading.get_ident()
                try:
                    yield
                except BaseException:
                    self._version = None  # what was counted is not so
                    with suppress(sqlite3.Error):
                        self._database.execute("ROLLBACK")
                    raise
                finally:
                    self._writer = None
                counted, self._version = self._version, None
                try:
                    self._database.execute("COMMIT")
                except BaseException:
                    with suppress(sqlite3.Error):
                        self._database.execute("ROLLBACK")
                    raise
                self._version = counted

    def put(
        self,
        kind: str,
        id: str,  # noqa: A002  (the wire's word)
        value: JsonObject,
        *,
        names: Iterable[str] = (),
        content: bytes | None = None,
    ) -> None:
        """Keeps an object, as the newest; an older one of that name is replaced. `find_by_item` finds
        it by its `names`."""
        data = json.dumps_in_steps(value)
        with self.transaction():
            number = self._database.execute(
                "INSERT OR REPLACE INTO objects (kind, id, bytes, value) VALUES (?, ?, ?, ?)",
                (kind, id, len(data), data),
            ).lastrowid
            self._name(number, names)
            if content is not None:
                self._database.execute("INSERT INTO contents VALUES (?, ?)", (number, content))
            self._evict(kind, len(data))

    def get(self, kind: str, id: str) -> JsonObject | None:  # noqa: A002
        """The object; None if there is none, or it is damaged."""
        with self._reading() as database:
            row = database.execute(
                "SELECT value FROM objects WHERE kind = ? AND id = ?", (kind, id)
            ).fetchone()
        return _row_value(row[0]) if row else None

    def content(self, kind: str, id: str) -> bytes | None:  # noqa: A002
        """The content of an object; None if there is none."""
        with self._reading() as database:
            row = database.execute(
                "SELECT content FROM contents JOIN objects USING (number) "
                "WHERE kind = ? AND id = ?",
                (kind, id),
            ).fetchone()
        return row[0] if row and isinstance(row[0], bytes) else None

    def contents_size(self) -> tuple[int, int]:
        """How many contents there are, and how many bytes they have together."""
        with self._reading() as database:
            count, size = database.execute(
                "SELECT count(*), total(length(content)) FROM contents"
            ).fetchone()
        return count, int(size)

    def find_by_item(self, kind: str, names: Iterable[str]) -> dict[str, str]:
        """The newest object's id for each of the names that one has."""
        wanted = list(names)
        found: dict[str, str] = {}
        for at in range(0, len(wanted), _AT_ONCE):
            some = wanted[at : at + _AT_ONCE]
            with self._reading() as database:
                found.update(
                    database.execute(
                        "SELECT name, id FROM names JOIN objects USING (number) WHERE kind = ? "
                        f"AND name IN ({', '.join('?' * len(some))}) ORDER BY number",
                        (kind, *some),
                    ).fetchall()
                )
        return found

    def change(
        self,
        kind: str,
        id: str,  # noqa: A002
        change: Callable[[JsonObject], JsonObject],
        *,
        names: Callable[[JsonObject], Iterable[str]] | None = None,
    ) -> JsonObject | None:
        """Replaces an object by what `change` makes of it, in its old place; None if it is gone.

        `names` gives its new names; without, it keeps those it has.
        """
        with self.transaction():
            before = self.get(kind, id)
            if before is None:
                return None
            after = change(before)
            data = json.dumps_in_steps(after)
            self._database.execute(
                "UPDATE objects SET value = ?, bytes = ? WHERE kind = ? AND id = ?",
                (data, len(data), kind, id),
            )
            if names is not None:
                (number,) = self._database.execute(
                    "SELECT number FROM objects WHERE kind = ? AND id = ?", (kind, id)
                ).fetchone()
                self._database.execute("DELETE FROM names WHERE number = ?", (number,))
                self._name(number, names(after))
            self._evict(kind, len(data))
            return after

    def delete(self, kind: str, id: str) -> bool:  # noqa: A002
        """Whether there was one. Its bytes are overwritten: a client wants them to be gone."""
        with self.transaction():
            self._database.execute("PRAGMA secure_delete = ON")
            try:
                gone = self._database.execute(
                    "DELETE FROM objects WHERE kind = ? AND id = ?", (kind, id)
                )
            finally:
                self._database.execute("PRAGMA secure_delete = OFF")
            return gone.rowcount > 0

    def all(self, kind: str, *, newest_first: bool = False) -> Iterator[tuple[str, JsonObject]]:
        """The ids and objects of a kind, in the order in which they were put; no damaged ones."""
        order = "DESC" if newest_first else "ASC"
        with self._reading() as database:
            rows = database.execute(
                f"SELECT id, value FROM objects WHERE kind = ? ORDER BY number {order}", (kind,)
            ).fetchall()
        for name, data in rows:
            value = _row_value(data)
            if value is not None and isinstance(name, str):
                yield name, value

    def close(self) -> None:
        if self._thread is not None:
            self._thread.shutdown()
        self._reader.close()
        self._database.close()

    @contextmanager
    def _reading(self) -> Iterator[sqlite3.Connection]:
        """Where to read: who changes something sees what it has changed so far, and nobody else
        does. In memory there is but one connection, and its readers wait for a change."""
        with _translate_errors(self._path):
            if self._path is None:
                with self._lock:
                    yield self._database
            else:
                inside = self._writer == threading.get_ident()
                yield self._database if inside else self._reader

    def _prepare(self) -> None:
        with _translate_errors(self._path):
            # Nothing of the file is touched before it is known to be ours.
            # In this order: another process may be making it, tables and mark in one transaction.
            (tables,) = self._database.execute("SELECT count(*) FROM sqlite_master").fetchone()
            (mark,) = self._database.execute("PRAGMA application_id").fetchone()
            if tables and mark != _OURS:
                raise sqlite3.DatabaseError("it is another program's database")
            if self._path is not None:
                self._path.chmod(0o600)  # it may have been made by others than us
            # Looked at first: to set what is set would need the lock that another may hold.
            (mode,) = self._database.execute("PRAGMA journal_mode").fetchone()
            if mode != "wal":
                self._patiently("PRAGMA journal_mode = WAL")
            self._database.execute("PRAGMA synchronous = NORMAL")
            self._database.execute("PRAGMA foreign_keys = ON")
            rows = self._database.execute("SELECT name FROM sqlite_master").fetchall()
        if mark != _OURS or not {name for (name,) in rows} >= _TABLES:
            with self.transaction():
                for statement in _SCHEMA:
                    self._database.execute(statement)

    def _patiently(self, statement: str) -> None:
        """For the one change in which SQLite itself does not wait for another process."""
        until = time.monotonic() + self._max_wait
        while True:
            try:
                self._database.execute(statement)
                return
            except sqlite3.OperationalError:
                if time.monotonic() > until:
                    raise
            time.sleep(0.01)

    def _begin(self) -> None:
        wait = self._max_wait
        if self._until is not None:
            wait = min(max(self._until - time.monotonic(), 0), wait)
        self._database.execute(f"PRAGMA busy_timeout = {int(wait * 1000)}")
        self._database.execute("BEGIN IMMEDIATE")

    def _name(self, number: int | None, names: Iterable[str]) -> None:
        self._database.executemany(
            "INSERT INTO names (name, number) VALUES (?, ?)", ((name, number) for name in names)
        )

    def _evict(self, kind: str, added: int) -> None:
        """Lets the oldest go until the bounds hold: the count for each kind, the bytes for all.

        A full store does so for each object that is added, so it is not walked each time.
        """
        (count,) = self._database.execute(
            "SELECT count(*) FROM objects WHERE kind = ?", (kind,)
        ).fetchone()
        if count > self._max_objects:
            # `+`: from the oldest of all on, in place of sorting those of the kind.
            self._database.execute(
                "DELETE FROM objects WHERE number IN (SELECT number FROM objects WHERE +kind = ? "
                f"AND {_MAY_GO} ORDER BY number LIMIT ?)",
                (kind, count - self._max_objects),
            )
        if self._has_room(added):
            return
        while self._counted() > self._max_bytes:
            gone = self._database.execute(
                "DELETE FROM objects WHERE number = "
                f"(SELECT min(number) FROM objects WHERE {_MAY_GO})"
            )
            if not gone.rowcount:
                break

    def _has_room(self, added: int) -> bool:
        """Whether the bytes are within their bound, as far as that is known without counting them:
        no other process has changed the file, and what was added since would still fit."""
        (version,) = self._database.execute("PRAGMA data_version").fetchone()
        known, self._version = version == self._version, version
        self._most += added
        return known and self._most <= self._max_bytes

    def _counted(self) -> int:
        (total,) = self._database.execute("SELECT total(length(value)) FROM objects").fetchone()
        self._most = int(total)
        return self._most


def _make(path: Path) -> None:
    """Makes the file if there is none. Raises OSError for what is no regular file."""
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | NO_WAIT | BINARY, 0o600)
    try:
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            raise OSError(errno.EINVAL, "it is not a regular file")
    finally:
        os.close(descriptor)


def _connection(path: Path | None, wait: float) -> sqlite3.Connection:
    connection = sqlite3.connect(
        path or ":memory:", timeout=wait, isolation_level=None, check_same_thread=False
    )
    connection.text_factory = _decode  # without it one damaged name would hide all
    return connection


def _decode(data: bytes) -> str:
    return data.decode(errors="replace")


def _row_value(data: object) -> JsonObject | None:
    """What stands in a row, if it is what we write there."""
    if not isinstance(data, bytes | str):
        return None
    try:
        value = long_json.loads(data if isinstance(data, bytes) else data.encode())
    except (ValueError, RecursionError):
        return None
    return value if isinstance(value, dict) else None


@contextmanager
def _translate_errors(path: Path | None) -> Iterator[None]:
    """A file that cannot be used, in words for a person."""
    try:
        yield
    except (sqlite3.Error, OSError) as error:
        where = "the state in memory" if path is None else f"the state file {path}"
        raise Unavailable(f"{where} cannot be used: {error}", code="state_unavailable") from error
