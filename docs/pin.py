"""Pins every dependency, with hashes and without download addresses: `python docs/pin.py`.

Needs `uv` on PATH, for its resolution over all systems and Python versions at once.
"""

from __future__ import annotations

import subprocess
from pathlib import Path

ROOT = Path(__file__).parents[1]
RESOLVE = [
    "uv", "pip", "compile", "pyproject.toml", "--universal", "--python-version", "3.11",
    "--generate-hashes", "--no-header", "--upgrade", "--quiet",
]  # fmt: skip
TESTS = [
    "--extra",
    "tests",
    "--extra",
    "lint",
    "--extra",
    "docs",
    "--constraints",
    "constraints.txt",
]


def main() -> None:
    for output, more in {"constraints.txt": [], "tests/constraints.txt": TESTS}.items():
        subprocess.run([*RESOLVE, *more, "--output-file", output], cwd=ROOT, check=True)


if __name__ == "__main__":
    main()
