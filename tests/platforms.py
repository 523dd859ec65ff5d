"""The types as they are on Windows and macOS: `python -m tests.platforms [--strict]`.

What a system lacks is a name that a module has not. To find those, other packages need not be read:
that takes a quarter of the CPU. `--strict` checks all that `mypy` checks.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).parents[1]
PLATFORMS = ("win32", "darwin")
# What the values of unknown packages lead to. `mypy` for this system has none of these.
UNKNOWN = (
    "assignment", "has-type", "index", "misc", "no-any-return", "return", "return-value",
    "union-attr", "untyped-decorator", "var-annotated",
)  # fmt: skip
QUICK = [
    "--no-site-packages", "--ignore-missing-imports",
    *(word for code in UNKNOWN for word in ("--disable-error-code", code)),
]  # fmt: skip
STUB = """
from typing import Any, NoReturn
def skip(reason: str = "", *, allow_module_level: bool = False) -> NoReturn: ...
def fail(reason: str = "", pytrace: bool = True) -> NoReturn: ...
def __getattr__(name: str) -> Any: ...
"""
"""Behind a skip for a platform, its names are not looked for."""


def main(arguments: list[str]) -> int:
    with tempfile.TemporaryDirectory() as folder:
        Path(folder, "pytest.pyi").write_text(STUB)
        strict = "--strict" in arguments
        environment = {**os.environ, "MYPYPATH": "" if strict else folder}
        started = [_start(platform, [] if strict else QUICK, environment) for platform in PLATFORMS]
        return max(process.wait() for process in started)


def _start(
    platform: str, options: list[str], environment: dict[str, str]
) -> subprocess.Popen[bytes]:
    # One cache for each set of options: mypy drops what it has cached with others.
    cache = f".mypy_cache/{platform}{'-quick' if options else ''}"
    return subprocess.Popen(
        [
            sys.executable, "-m", "mypy", "--platform", platform, "--no-warn-unused-ignores",
            "--cache-dir", cache, *options,
        ],
        cwd=ROOT, env=environment,
    )  # fmt: skip


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
