"""What of an answer may reach a terminal."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from codexapi_cli.conversation.ask import extracted
from codexapi_cli.terminal.cleaning import TerminalSanitizer

HARM = [
    "\x1b[2J", "\x1b[?1049h", "\x1b[38;5;1m", "\x9b31m", "\x1bc", "\x1b(0", "\x1b#8",
    "\x1b]0;title\x07", "\x1b]52;c;aGk=\x1b\\", "\x9d0;title\x9c", "\x1bP+q\x1b\\",
    "\x1b_Ga=d\x1b\\", "\x07", "\x08", "\x00", "\x7f", "\x85", "\r",
]  # fmt: skip


def cleaned(*pieces: str) -> str:
    harmless = TerminalSanitizer()
    return "".join([*map(harmless.feed, pieces), harmless.end()])


@pytest.mark.parametrize("harm", HARM)
def test_a_sequence_goes_wherever_it_is_cut(harm: str) -> None:
    text = f"one{harm}two"
    for at in range(len(text) + 1):
        assert cleaned(text[:at], text[at:]) == "onetwo"
    assert cleaned(*text) == "onetwo"


@pytest.mark.parametrize(
    ("text", "left"),
    [
        ("\t1\n2", "\t1\n2"),
        ("naïve 日本 👍🏽", "naïve 日本 👍🏽"),
        ("ends with \x1b", "ends with "),
        ("never closed \x1b]0;title", "never closed ]0;title"),
        ("\x1b\x1b[2J[2J", "[2J"),
    ],
)
def test_the_rest_stays(text: str, left: str) -> None:
    assert cleaned(text) == left


def test_a_sequence_without_an_end_holds_nothing_for_ever() -> None:
    harmless = TerminalSanitizer()
    assert len(harmless.feed("\x1b]0;" + "x" * 5_000)) > 4_000
    assert harmless.feed("y" * 5_000).endswith("y")


@given(st.lists(st.text(st.sampled_from("\x1b[]\\;?0123mJPc \x07\x9b\x9c\x9da"), max_size=8)))
def test_nothing_that_is_left_is_a_control(pieces: list[str]) -> None:
    left = cleaned(*pieces)
    assert not [letter for letter in left if ord(letter) < 32 or 127 <= ord(letter) < 160]


@pytest.mark.parametrize(
    ("text", "block"),
    [
        ("a\n```\nb\n```\nc", "b\n"),
        ("```py\nb\n```\n```\nc\n```", "b\n"),
        ("~~~\nb\n~~~", "b\n"),
        ("````md\n```\nb\n```\n````", "```\nb\n```\n"),
        ("   ```\nb\n   ```", "b\n"),
        ("```\n```", ""),
        ("no block", "no block"),
        ("```\nnever closed", "```\nnever closed"),
    ],
)
def test_the_first_fenced_block_is_found(text: str, block: str) -> None:
    assert extracted(text) == block
