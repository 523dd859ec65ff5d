"""Where a Markdown text that grows is cut: what stands before can no longer change."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from codexapi_cli.terminal.markdown_blocks import Blocks, Piece


def blocks(*pieces: str) -> tuple[list[str], str]:
    """The finished blocks, and the rest."""
    cut = Blocks()
    found = [piece.text for text in pieces for piece in cut.feed(text)]
    return found, cut.tail(10_000).text


@pytest.mark.parametrize(
    ("text", "finished", "rest"),
    [
        ("one\n\ntwo", ["one\n\n"], "two"),
        ("one\n\n", [], "one\n\n"),  # what follows may still belong to it
        ("one\ntwo", [], "one\ntwo"),
        ("- one\n\n  more of it\n\n- two", ["- one\n\n  more of it\n\n"], "- two"),
        ("- one\n- two\n- three", ["- one\n"], "- two\n- three"),
        ("- one\n* * *\n", [], "- one\n* * *\n"),
        ("one\n2. two\n", [], "one\n2. two\n"),  # a list begins in no paragraph with 2
        ("# one\ntwo", ["# one\n"], "two"),
        ("```\na\n\nb", ["a\n\n"], "b"),
        ("one\n```\na\n```\ntwo", ["one\n", "a\n"], "two"),
        ("````\n```\n\nb\n````\n\nc", ["```\n\nb\n"], "c"),
        ("~~~\n```\n\nb\n~~~\n\nc", ["```\n\nb\n"], "c"),
        ("```a``` b\n\nc", ["```a``` b\n\n"], "c"),  # no fence
        ("1. x\n   ```\n   a\n\n   b\n   ```\n2. y\n", ["1. x\n   ```\n   a\n\n   b\n   ```\n"], "2. y\n"),
        ("1. x\n   ```\n   never closed\n\nb\n", ["1. x\n   ```\n   never closed\n\n"], "b\n"),
        ("", [], ""),
    ],
)  # fmt: skip
def test_a_text_is_cut_between_its_blocks(text: str, finished: list[str], rest: str) -> None:
    assert blocks(text) == (finished, rest)
    found, left = blocks(*text)
    assert ("".join(found), left) == ("".join(finished), rest)


LINES = st.sampled_from(
    ["a", "", "- a", "1. a", "  a", "```", "```py", "   ```", "> a", "# a", "| a | b |", "|---|---|", "---"]
)  # fmt: skip


@given(st.lists(LINES, max_size=12).map("\n".join), st.integers(1, 9))
def test_nothing_is_left_out_between_blocks_but_blank_lines_and_fences(
    text: str, step: int
) -> None:
    cut, found = Blocks(), list[Piece]()
    for at in range(0, len(text), step):
        found += cut.feed(text[at : at + step])
    found += cut.end()
    lines = [line for piece in found for line in piece.text.split("\n") if line]
    wanted = [line for line in text.split("\n") if line]
    rest = iter(wanted)
    assert all(line in rest for line in lines)  # in this order
    assert not [line for line in wanted if line not in lines and not line.strip().startswith("```")]


def test_a_table_s_end_comes_with_its_head() -> None:
    cut = Blocks()
    cut.feed("| a | b |\n|---|---|\n" + "| 1 | 2 |\n" * 100)
    assert cut.tail(30).text.startswith("| a | b |\n|---|---|\n| 1 | 2 |\n")
    assert len(cut.tail(30).text) < 60
