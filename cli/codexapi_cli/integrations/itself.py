"""The command line by which another program starts this one, with an absolute and trusted path."""

from __future__ import annotations

import os
import shutil
import sys
import zipfile
from itertools import pairwise
from pathlib import Path, PureWindowsPath

from codexapi_engine.settings import INSTALL_COPY, PACKAGE

from .edits import Refused

NAMES = ("codexapi", PACKAGE)
"""`codexapi` on the package index is another program."""

MODULE, MCP_MODULE = "codexapi_cli", "codexapi_mcp"

_WRAPPERS = ("cmd", "env")
"""Programs that start the one which their arguments name."""


def command(interpreter: str = sys.executable, path: str | None = None) -> list[str]:
    """The command that starts codexapi from anywhere: a script if one of ours is installed.

    Raises Refused where it would be gone tomorrow. `path` is that of the programs, if not PATH.
    """
    if any(part.startswith("archive-v") for part in Path(interpreter).parts):
        raise Refused(
            f"{interpreter} is an environment for one run (uvx): "
            f"{INSTALL_COPY}, then run this again"
        )
    for name in NAMES:
        beside = Path(interpreter).with_name(f"{name}.exe" if os.name == "nt" else name)
        on_path = shutil.which(name, path=path)
        # The name on PATH may be a link to the script, which stays where it is over an update.
        for script in [*([Path(on_path).absolute()] if on_path else []), beside]:
            if is_ours(script) and _same_place(script, beside):
                return [str(script)]
    return [interpreter, "-m", MODULE]


def is_this(tokens: list[str]) -> bool:
    """Whether a command line starts this very program."""
    try:
        own = command()
    except Refused:
        return False
    return tokens[: len(own)] == own


def is_ours(program: Path) -> bool:
    """Whether a script or launcher starts our code: another package has the same name."""
    try:
        if zipfile.is_zipfile(program):  # the launchers of Windows carry their script in one
            with zipfile.ZipFile(program) as launcher:
                return MODULE.encode() in launcher.read("__main__.py")
        return MODULE.encode() in program.read_bytes()
    except (OSError, KeyError):
        return False


def looks_like_ours(tokens: list[str]) -> bool:
    """Whether a command line, of any system, is that of our MCP server."""
    while tokens and _program_name(tokens[0]) in _WRAPPERS:
        tokens = tokens[1:]
        while tokens and (tokens[0].lower() in ("/c", "/d", "/s") or "=" in tokens[0]):
            tokens = tokens[1:]
    if ("-m", MCP_MODULE) in pairwise(tokens):
        return True
    named = tokens and _program_name(tokens[0]) in NAMES
    named = named or bool({MODULE, PACKAGE} & {*tokens})
    return bool(named) and ("mcp", "serve") in pairwise(tokens)


def fault_of(tokens: list[str]) -> str | None:
    """Why a command line of ours cannot start any more, or may not tomorrow; None if it can."""
    program = tokens[0]
    file = shutil.which(program)
    if file is None:
        return f"there is no program {program}"
    if any(part.startswith("archive-v") for part in Path(file).parts):
        return f"{program} is in a cache (uvx) that is emptied"
    interpreter = _interpreter(Path(file))
    if interpreter and not os.path.exists(interpreter):
        return f"{program} needs {interpreter}, which is gone"
    return None


def _interpreter(script: Path) -> str:
    """The program that a script names in its first line; "" where it names none."""
    try:
        with open(script, "rb") as file:
            line = file.readline(4096)
    except OSError:
        return ""
    words = line.removeprefix(b"#!").decode(errors="replace").strip()
    return words.partition(" ")[0] if line.startswith(b"#!/") and " " not in words else ""


def _program_name(program: str) -> str:
    """A program's name on any system, without what Windows adds to it."""
    name = PureWindowsPath(program).name.lower()
    return name.rpartition(".")[0] if name.endswith((".exe", ".cmd", ".bat")) else name


def _same_place(one: Path, other: Path) -> bool:
    try:
        return one.samefile(other)
    except OSError:
        return False
