"""A command that may take only so much memory says so."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from tests.processes import codexapi, environment

MEBIBYTES, TIMES = 24, 12
"""Of a file, and how often it is attached: half a gigabyte does not hold all the copies of a
request."""


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere ulimit -v does nothing")
def test_files_that_do_not_fit_are_told(tmp_path: Path) -> None:
    large = tmp_path / "large.txt"
    large.write_bytes(b"x " * (MEBIBYTES << 19))
    limited = ["sh", "-c", 'ulimit -v 524288; exec "$@"', "sh"]
    done = subprocess.run(
        [*limited, *codexapi("chat", "--demo", *["-f", str(large)] * TIMES, "hi")],
        env=environment(), stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.stderr == "codexapi: there is not enough memory for this: ask for less at once\n"
    assert (done.returncode, done.stdout) == (1, "")
