"""Where an unfinished Markdown text may be cut: what stands before it can no longer change."""

from __future__ import annotations

import pytest

from codexapi_cli.markdown import finished


@pytest.mark.parametrize(
    ("text", "whole"),
    [
        ("one\n\ntwo", "one\n\n"),
        ("one\n\n", ""),  # what follows may still belong to it
        ("one\ntwo", ""),
        ("- one\n\n  more of it\n\n- two", "- one\n\n  more of it\n\n"),
        ("- one\n\n  more of it", ""),
        ("```\na\n\nb", ""),
        ("```\na\n\nb\n```\n\nc", "```\na\n\nb\n```\n\n"),
        ("````\n```\n\nb\n````\n\nc", "````\n```\n\nb\n````\n\n"),
        ("~~~\n```\n\nb\n~~~\n\nc", "~~~\n```\n\nb\n~~~\n\n"),
        ("", ""),
    ],
)
def test_a_text_is_cut_between_its_blocks(text: str, whole: str) -> None:
    assert finished(text) == (whole, text[len(whole) :])
