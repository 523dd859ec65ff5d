"""Shows a picture inside a terminal that supports it.

Three protocols: kitty's (kitty, Ghostty, Konsole), iTerm2's (iTerm2, WezTerm, VS Code, Warp), and
sixel (foot, xterm, Windows Terminal and more: a terminal reports it on request).
"""

from __future__ import annotations

import base64
import os
import re
import select
import sys
import time
from collections.abc import Mapping
from contextlib import suppress
from enum import StrEnum

from codexapi_engine.images import processing
from codexapi_engine.protocol.images import Picture

from .sixel import sixel

if sys.platform != "win32":
    import termios
    import tty

MAX_BYTES = 512 * 1024
"""More would make the terminal wait; what is shown is then smaller than the file."""

SIXEL_SIZE = (640, 480)
"""Pixels at most: sixel is not packed, and the terminal may be small."""

ANSWER_SECONDS = 1.0
"""How long a terminal may take to say what it is."""

_CHUNK = 4096


class Preview(StrEnum):
    AUTO = "auto"
    KITTY = "kitty"
    ITERM = "iterm"
    SIXEL = "sixel"
    NONE = "none"


_ITERM_PROGRAMS = ("iTerm.app", "WezTerm", "vscode", "WarpTerminal")
_ATTRIBUTES = re.compile(rb"\x1b\[\?([0-9;]*)c")
_SIXEL_ATTRIBUTE = b"4"


def chosen(wanted: Preview, environ: Mapping[str, str]) -> Preview:
    """What the terminal understands, by what it says of itself; never inside a multiplexer."""
    if wanted is not Preview.AUTO:
        return wanted
    if environ.get("CI") or in_multiplexer(environ):
        return Preview.NONE
    program, kind = environ.get("TERM_PROGRAM", ""), environ.get("TERM", "")
    if environ.get("KITTY_WINDOW_ID") or environ.get("KONSOLE_VERSION") or "kitty" in kind:
        return Preview.KITTY
    if program == "ghostty" or "ghostty" in kind:
        return Preview.KITTY
    # LC_TERMINAL is what ssh takes along.
    known = program in _ITERM_PROGRAMS or environ.get("LC_TERMINAL") == "iTerm2"
    return Preview.ITERM if known else Preview.NONE


def in_multiplexer(environ: Mapping[str, str]) -> bool:
    """Whether tmux or the like stands before the terminal: it knows nothing of a picture's place,
    and would write over it. On another machine only the terminal's kind tells."""
    kind = environ.get("TERM", "")
    named = any(environ.get(name) for name in ("TMUX", "STY", "ZELLIJ"))
    return named or kind.startswith(("screen", "tmux"))


def shows_sixel(environ: Mapping[str, str]) -> bool:
    """Asks the terminal, where stdin and stdout are one that answers, and waits a moment at most.
    What has been typed by then would be lost: then nothing is asked."""
    if environ.get("CI") or in_multiplexer(environ):
        return False
    if environ.get("TERM", "dumb") in ("dumb", "linux"):
        return False
    if sys.platform != "win32" and _is_ours():
        with suppress(OSError, termios.error):
            before = termios.tcgetattr(0)
            try:
                tty.setcbreak(0, termios.TCSADRAIN)
                return _SIXEL_ATTRIBUTE in _attributes().split(b";")
            finally:
                termios.tcsetattr(0, termios.TCSADRAIN, before)
    return False


def _is_ours() -> bool:
    """Whether stdin and stdout are one terminal, and we are in its foreground."""
    if sys.platform == "win32":
        return False
    with suppress(OSError, ValueError, AttributeError):
        one = os.isatty(0) and sys.stdout.isatty() and os.ttyname(0) == os.ttyname(1)
        return one and os.tcgetpgrp(0) == os.getpgrp()
    return False


def _attributes() -> bytes:
    """The terminal's reply to a request for its attributes (DA1); empty without a reply."""
    if select.select([0], [], [], 0)[0]:
        return b""
    os.write(1, b"\x1b[c")
    answer, until = b"", time.monotonic() + ANSWER_SECONDS
    while (left := until - time.monotonic()) > 0 and select.select([0], [], [], left)[0]:
        answer += os.read(0, 1024)
        if match := _ATTRIBUTES.search(answer):
            return match[1]
    return b""


def escapes(picture: Picture, how: Preview) -> bytes:
    """What makes the terminal show the picture; nothing for `none`."""
    if how is Preview.SIXEL:
        return sixel(processing.reduce_colours(picture, SIXEL_SIZE)) + b"\n"
    small = processing.preview(picture, max_bytes=MAX_BYTES)
    if how is Preview.KITTY:  # it takes PNG alone
        return _kitty(processing.finished(small.data, format="png").data)
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
