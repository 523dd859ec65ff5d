"""A picture inside the terminal, where it can show one.

Two ways: kitty's graphics protocol (kitty, Ghostty, Konsole), and iTerm2's (iTerm2, WezTerm, VS
Code, Warp). Knows nothing of where pictures come from.
"""

from __future__ import annotations

import base64
from collections.abc import Mapping
from enum import StrEnum

from codexapi_engine import pictures
from codexapi_engine.protocol.images import Picture

MAX_BYTES = 512 * 1024
"""More would make the terminal wait; what is shown is then smaller than the file."""

_CHUNK = 4096


class Preview(StrEnum):
    AUTO = "auto"
    KITTY = "kitty"
    ITERM = "iterm"
    NONE = "none"


_ITERM_PROGRAMS = ("iTerm.app", "WezTerm", "vscode", "WarpTerminal")


def chosen(wish: Preview, environ: Mapping[str, str]) -> Preview:
    """What the terminal understands, by what it says of itself; never inside a multiplexer."""
    if wish is not Preview.AUTO:
        return wish
    if environ.get("TMUX") or environ.get("STY") or environ.get("CI"):
        return Preview.NONE
    program, kind = environ.get("TERM_PROGRAM", ""), environ.get("TERM", "")
    if environ.get("KITTY_WINDOW_ID") or environ.get("KONSOLE_VERSION") or "kitty" in kind:
        return Preview.KITTY
    if program == "ghostty" or "ghostty" in kind:
        return Preview.KITTY
    return Preview.ITERM if program in _ITERM_PROGRAMS else Preview.NONE


def escapes(picture: Picture, how: Preview) -> bytes:
    """What makes the terminal show the picture; nothing for `none`."""
    small = pictures.preview(picture, max_bytes=MAX_BYTES)
    if how is Preview.KITTY:  # it takes PNG alone
        return _kitty(pictures.finished(small.data, format="png").data)
    if how is Preview.ITERM:
        size = len(small.data)
        data = base64.b64encode(small.data)
        return b"\x1b]1337;File=inline=1;size=%d:%b\x07\n" % (size, data)
    return b""


def _kitty(png: bytes) -> bytes:
    data = base64.b64encode(png)
    chunks = [data[at : at + _CHUNK] for at in range(0, len(data), _CHUNK)]
    out = []
    for number, chunk in enumerate(chunks, 1):
        first = b"a=T,f=100,q=2," if number == 1 else b""  # q=2: no answer into our stdin
        out.append(b"\x1b_G%bm=%d;%b\x1b\\" % (first, number < len(chunks), chunk))
    return b"".join(out) + b"\n"
