"""JSON objects by kind and id, in memory or in one SQLite file.

Bounded by count and by bytes: the oldest goes first. Two processes on one file stay correct: every
change is one transaction. Knows nothing of what it keeps.
"""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from ..errors import JsonObject
from ..protocol import json

MAX_OBJECTS = 1_000
MAX_BYTES = 256 * 1024 * 1024
_WAIT = 5.0
"""Seconds to wait for another process's transaction."""

_SCHEMA = """
CREATE TABLE IF NOT EXISTS objects (
    number INTEGER PRIMARY KEY AUTOINCREMENT,
    kind TEXT NOT NULL,
    id TEXT NOT NULL,
    bytes INTEGER NOT NULL,
    value BLOB NOT NULL,
    UNIQUE (kind, id)
)
"""


class Shelf:
    """A bounded store of JSON objects. With a path it is kept over restarts, mode 0600."""

    def __init__(
        self,
        path: Path | None = None,
        *,
        max_objects: int = MAX_OBJECTS,
        max_bytes: int = MAX_BYTES,
    ) -> None:
        self._max_objects = max_objects
        self._max_bytes = max_bytes
        if path is not None:
            path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
            os.close(os.open(path, os.O_RDWR | os.O_CREAT, 0o600))
        # One thread at a time uses it, and not always the same: tests and servers differ in that.
        self._database = sqlite3.connect(
            path or ":memory:", timeout=_WAIT, isolation_level=None, check_same_thread=False
        )
        self._database.execute("PRAGMA journal_mode = WAL")
        self._database.execute("PRAGMA synchronous = NORMAL")
        self._database.execute(_SCHEMA)

    def put(self, kind: str, id: str, value: JsonObject) -> None:  # noqa: A002  (the wire's word)
        """Keeps an object, as the newest; an older one of that name is replaced."""
        data = json.dumps(value)
        with self._transaction():
            self._database.execute(
                "INSERT OR REPLACE INTO objects (kind, id, bytes, value) VALUES (?, ?, ?, ?)",
                (kind, id, len(data), data),
            )
            self._shed(kind)

    def get(self, kind: str, id: str) -> JsonObject | None:  # noqa: A002
        row = self._database.execute(
            "SELECT value FROM objects WHERE kind = ? AND id = ?", (kind, id)
        ).fetchone()
        return json.loads(row[0]) if row else None

    def change(
        self,
        kind: str,
        id: str,  # noqa: A002
        change: Callable[[JsonObject], JsonObject],
    ) -> JsonObject | None:
        """Replaces an object by what `change` makes of it, in its old place; None if it is gone."""
        with self._transaction():
            before = self.get(kind, id)
            if before is None:
                return None
            after = change(before)
            data = json.dumps(after)
            self._database.execute(
                "UPDATE objects SET value = ?, bytes = ? WHERE kind = ? AND id = ?",
                (data, len(data), kind, id),
            )
            self._shed(kind)
            return after

    def delete(self, kind: str, id: str) -> bool:  # noqa: A002
        """Whether there was one."""
        return (
            self._database.execute(
                "DELETE FROM objects WHERE kind = ? AND id = ?", (kind, id)
            ).rowcount
            > 0
        )

    def all(self, kind: str, *, newest_first: bool = False) -> Iterator[tuple[str, JsonObject]]:
        """The ids and objects of a kind, in the order in which they were put."""
        order = "DESC" if newest_first else "ASC"
        rows = self._database.execute(
            f"SELECT id, value FROM objects WHERE kind = ? ORDER BY number {order}", (kind,)
        ).fetchall()
        for name, value in rows:
            yield name, json.loads(value)

    def close(self) -> None:
        self._database.close()

    @contextmanager
    def _transaction(self) -> Iterator[None]:
        self._database.execute("BEGIN IMMEDIATE")
        try:
            yield
        except BaseException:
            with suppress(sqlite3.Error):
                self._database.execute("ROLLBACK")
            raise
        self._database.execute("COMMIT")

    def _shed(self, kind: str) -> None:
        """Lets the oldest go until the bounds hold: the count for each kind, the bytes for all."""
        self._database.execute(
            "DELETE FROM objects WHERE number IN (SELECT number FROM objects WHERE kind = ? "
            "ORDER BY number DESC LIMIT -1 OFFSET ?)",
            (kind, self._max_objects),
        )
        while self._bytes() > self._max_bytes:
            self._database.execute(
                "DELETE FROM objects WHERE number = (SELECT min(number) FROM objects)"
            )

    def _bytes(self) -> int:
        return int(self._database.execute("SELECT total(bytes) FROM objects").fetchone()[0])
