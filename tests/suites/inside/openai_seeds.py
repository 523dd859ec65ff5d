"""A pytest plugin: before each test, what it reads, changes or deletes by a fixed id is there.

Runs inside the suite's own interpreter; `tests/suites/openai_python.py` loads it, and says by
`SEEDS` where the objects are and which file the server keeps them in.
"""

from __future__ import annotations

import json
import os
import sqlite3
from contextlib import closing


def pytest_runtest_setup() -> None:
    seeds = json.loads(os.environ["SEEDS"])
    with closing(sqlite3.connect(seeds["file"], timeout=10)) as database, database:
        database.executemany(
            "INSERT OR REPLACE INTO objects (kind, id, bytes, value) VALUES (?, ?, ?, ?)",
            [(kind, name, len(value), value.encode()) for kind, name, value in seeds["rows"]],
        )
        database.execute(
            "INSERT OR REPLACE INTO contents SELECT number, x'00' FROM objects WHERE kind = 'file'"
        )
