"""Copies text to the clipboard: by a program that has it, by tmux, or by the terminal itself."""

from __future__ import annotations

import base64
import os
import shutil
import subprocess
from collections.abc import Mapping, Sequence

from .output import put_drawn

SECONDS = 5.0
"""How long such a program may take: one without its display hangs."""

_PROGRAMS = (
    ["pbcopy"], ["wl-copy"], ["xclip", "-selection", "clipboard"], ["xsel", "-ib"], ["clip.exe"],
)  # fmt: skip


def copy(text: str, environ: Mapping[str, str] = os.environ) -> str:
    """Copies a text, and returns by which way."""
    for program in _PROGRAMS:
        if _pipe_into(program, text):
            return f"copied, by {program[0]}"
    if environ.get("TMUX") and _pipe_into(["tmux", "load-buffer", "-w", "-"], text):
        return "copied into tmux's buffer, and into the clipboard if your terminal lets tmux"
    put_drawn(escape(text, in_tmux=bool(environ.get("TMUX"))))
    return "sent to your terminal as a copy; not every terminal takes one"


def escape(text: str, *, in_tmux: bool) -> str:
    """What asks a terminal to copy (OSC 52); in an envelope, where tmux stands between."""
    sequence = f"\x1b]52;c;{base64.b64encode(text.encode()).decode()}\x07"
    if not in_tmux:
        return sequence
    return "\x1bPtmux;" + sequence.replace("\x1b", "\x1b\x1b") + "\x1b\\"


def _pipe_into(program: Sequence[str], text: str) -> bool:
    path = shutil.which(program[0])
    if path is None:
        return False
    try:
        done = subprocess.run(
            [path, *program[1:]], input=text.encode(errors="replace"), check=False,
            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, timeout=SECONDS,
        )  # fmt: skip
    except (OSError, subprocess.TimeoutExpired):
        return False
    return done.returncode == 0
