from __future__ import annotations

import base64
import re

import pytest
from tests.drawn import opened, picture

from codexapi_cli.preview import Preview, chosen, escapes
from codexapi_engine import pictures


@pytest.mark.parametrize(
    ("environ", "how"),
    [
        ({}, Preview.NONE),
        ({"TERM": "xterm-256color"}, Preview.NONE),
        ({"TERM": "xterm-kitty"}, Preview.KITTY),
        ({"KITTY_WINDOW_ID": "1"}, Preview.KITTY),
        ({"KONSOLE_VERSION": "230800"}, Preview.KITTY),
        ({"TERM_PROGRAM": "ghostty"}, Preview.KITTY),
        ({"TERM_PROGRAM": "iTerm.app"}, Preview.ITERM),
        ({"TERM_PROGRAM": "vscode"}, Preview.ITERM),
        ({"TERM_PROGRAM": "Apple_Terminal"}, Preview.NONE),
        ({"TERM_PROGRAM": "iTerm.app", "TMUX": "/tmp/x"}, Preview.NONE),
        ({"TERM": "xterm-kitty", "STY": "1"}, Preview.NONE),
        ({"TERM": "xterm-kitty", "CI": "true"}, Preview.NONE),
    ],
)
def test_a_terminal_says_what_it_can_show(environ: dict[str, str], how: Preview) -> None:
    assert chosen(Preview.AUTO, environ) is how


@pytest.mark.parametrize("wish", [Preview.KITTY, Preview.ITERM, Preview.NONE])
def test_a_wish_goes_before_what_the_terminal_says(wish: Preview) -> None:
    assert chosen(wish, {"TMUX": "x"}) is wish


@pytest.mark.parametrize("kind", ["png", "jpeg", "webp"])
def test_kitty_gets_a_png_in_chunks_of_which_only_the_last_says_so(kind: str) -> None:
    data = escapes(pictures.finished(picture(kind, (400, 300))), Preview.KITTY)
    chunks = re.findall(rb"\x1b_G([^;]*);([^\x1b]*)\x1b\\", data)
    assert chunks[0][0].startswith(b"a=T,f=100,")
    assert [told.endswith(b"m=0") for told, _ in chunks] == [False] * (len(chunks) - 1) + [True]
    assert all(len(chunk) <= 4096 for _, chunk in chunks)
    image = opened(base64.b64decode(b"".join(chunk for _, chunk in chunks)))
    assert (image.format, image.size) == ("PNG", (400, 300))


def test_iterm_gets_the_file_as_it_is() -> None:
    data = escapes(pictures.finished(picture("webp")), Preview.ITERM)
    match = re.fullmatch(rb"\x1b\]1337;File=inline=1;size=(\d+):(.*)\x07\n", data)
    assert match is not None
    assert base64.b64decode(match[2]) == picture("webp")
    assert int(match[1]) == len(picture("webp"))


def test_none_is_nothing() -> None:
    assert escapes(pictures.finished(picture()), Preview.NONE) == b""
