from __future__ import annotations

import base64
import re

import pytest
from PIL import Image
from tests.drawn import opened, photo, picture

from codexapi_cli.terminal.preview import Preview, chosen, escapes
from codexapi_engine.images import processing


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
        ({"TERM": "xterm-kitty", "ZELLIJ": "0"}, Preview.NONE),
        ({"TERM": "tmux-256color", "LC_TERMINAL": "iTerm2"}, Preview.NONE),  # by ssh
        ({"TERM": "xterm-256color", "LC_TERMINAL": "iTerm2"}, Preview.ITERM),
    ],
)
def test_a_terminal_says_what_it_can_show(environ: dict[str, str], how: Preview) -> None:
    assert chosen(Preview.AUTO, environ) is how


@pytest.mark.parametrize("wish", [wish for wish in Preview if wish is not Preview.AUTO])
def test_a_wish_goes_before_what_the_terminal_says(wish: Preview) -> None:
    assert chosen(wish, {"TMUX": "x"}) is wish


@pytest.mark.parametrize("kind", ["png", "jpeg", "webp"])
def test_kitty_gets_a_png_in_chunks_of_which_only_the_last_says_so(kind: str) -> None:
    data = escapes(processing.finished(picture(kind, (400, 300))), Preview.KITTY)
    chunks = re.findall(rb"\x1b_G([^;]*);([^\x1b]*)\x1b\\", data)
    assert chunks[0][0].startswith(b"a=T,f=100,")
    assert [told.endswith(b"m=0") for told, _ in chunks] == [False] * (len(chunks) - 1) + [True]
    assert all(len(chunk) <= 4096 for _, chunk in chunks)
    image = opened(base64.b64decode(b"".join(chunk for _, chunk in chunks)))
    assert (image.format, image.size) == ("PNG", (400, 300))


def test_iterm_gets_the_file_as_it_is() -> None:
    data = escapes(processing.finished(picture("webp")), Preview.ITERM)
    match = re.fullmatch(rb"\x1b\]1337;File=inline=1;size=(\d+):(.*)\x07\n", data)
    assert match is not None
    assert base64.b64decode(match[2]) == picture("webp")
    assert int(match[1]) == len(picture("webp"))


def test_none_is_nothing() -> None:
    assert escapes(processing.finished(picture()), Preview.NONE) == b""


def decoded(sequence: bytes) -> Image.Image:
    """The picture that a sixel sequence draws; clear where it draws nothing."""
    body = re.fullmatch(rb"\x1bP0;1;0q\"1;1;(\d+);(\d+)(.*)\x1b\\\n", sequence, re.DOTALL)
    assert body is not None
    image = Image.new("RGBA", (int(body[1]), int(body[2])))
    palette: dict[int, tuple[int, int, int, int]] = {}
    at, top, colour = 0, 0, (0, 0, 0, 0)
    for piece in re.finditer(
        rb"#(\d+);2;(\d+);(\d+);(\d+)|#(\d+)|!(\d+)(.)|([$-])|([?-~])", body[3]
    ):
        if piece[1]:
            red, green, blue = (round(int(piece[n]) * 255 / 100) for n in (2, 3, 4))
            palette[int(piece[1])] = (red, green, blue, 255)
        elif piece[5]:
            colour = palette[int(piece[5])]
        elif piece[8]:
            at, top = 0, top + 6 * (piece[8] == b"-")
        else:
            bits = (piece[7] or piece[9])[0] - 63
            run = int(piece[6] or 1)
            for row in (row for row in range(6) if bits >> row & 1):
                image.paste(colour, (at, top + row, at + run, top + row + 1))
            at += run
    return image


@pytest.mark.parametrize("size", [(6, 4), (13, 20), (1024, 700)])
def test_sixel_draws_the_picture(size: tuple[int, int]) -> None:
    image = decoded(escapes(processing.finished(photo("png", size, 1)), Preview.SIXEL))
    assert image.size == (size if size[0] < 640 else (640, 438))
    middle = image.height // 2
    left, right = (image.getpixel((at, middle)) for at in (0, image.width - 1))
    assert (left, right) == ((255, 0, 0, 255), (0, 0, 255, 255))


def test_what_is_clear_is_left_as_it_is() -> None:
    image = decoded(escapes(processing.finished(picture(mode="RGBA")), Preview.SIXEL))
    assert image.getextrema() == ((0, 0),) * 4
