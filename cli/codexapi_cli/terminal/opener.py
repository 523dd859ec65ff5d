"""Opens a file in the program that the desktop has for it."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

FAILURE_SECONDS = 3.0
"""Seconds in which an opener fails, if it does. Some stay as long as what they opened."""

_OPENERS = ("open",) if sys.platform == "darwin" else ("xdg-open", "wslview")


def open_file(path: Path) -> str | None:
    """Opens it, beside us. Returns in a line why it did not work."""
    if sys.platform == "win32":
        try:
            os.startfile(path)
        except OSError as error:
            return f"{path}: {error.strerror}"
        return None
    for opener in _OPENERS:
        if program := shutil.which(opener):
            return _launch([program, str(path)])
    return f"there is no {' or '.join(_OPENERS)} here; the picture is {path}"


def _launch(command: Sequence[str]) -> str | None:
    try:
        process = subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL, start_new_session=True,
        )  # fmt: skip
    except OSError as error:
        return f"{command[0]}: {error.strerror}"
    try:
        code = process.wait(FAILURE_SECONDS)
    except subprocess.TimeoutExpired:
        process.returncode = 0  # it goes on by itself
        return None
    return f"{command[0]} ended with {code}; the picture is {command[-1]}" if code else None
