"""Finds the program of this user that listens on a port of this machine (Linux only)."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path

_LISTENING = "0A"
"""The state of such a socket, in /proc/net/tcp."""


def listener(port: int, proc: Path = Path("/proc")) -> str | None:
    """The program that listens there, as `nginx, process 42`; None where that cannot be seen."""
    sockets = {f"socket:[{inode}]" for inode in _inodes(port, proc)}
    if not sockets:
        return None
    for process in proc.glob("[0-9]*"):
        with suppress(OSError):  # another user's, or it has ended
            if any(str(file.readlink()) in sockets for file in (process / "fd").iterdir()):
                name = (process / "comm").read_text(errors="replace").strip()
                shown = "".join(letter if letter.isprintable() else "?" for letter in name)
                return f"{shown}, process {process.name}"
    return None


def _inodes(port: int, proc: Path) -> set[str]:
    found = set()
    for name in ("tcp", "tcp6"):
        with suppress(OSError):  # no Linux, or no such protocol
            for line in (proc / "net" / name).read_text().splitlines()[1:]:
                _, local, _, state, *rest = line.split()
                if state == _LISTENING and int(local.rpartition(":")[2], 16) == port:
                    found.add(rest[5])
    return found
