"""What may stand where a program expects a file of its own."""

from __future__ import annotations

from pathlib import Path

from tests import unix

KINDS = ("fifo", "device", "folder", "dangling", "loop")


def put_odd_file(path: Path, kind: str) -> None:
    """Puts a FIFO, an endless device, a folder, or a link that leads nowhere in a file's place."""
    if kind == "fifo":
        unix.make_fifo(path)
    elif kind == "device":
        path.symlink_to("/dev/zero")
    elif kind == "folder":
        path.mkdir()
    elif kind == "dangling":
        path.symlink_to(path.parent / "gone" / "file")
    else:
        path.symlink_to(path)
