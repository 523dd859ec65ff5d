"""Stop sequences: text ends before the first of them, wherever the stream is cut."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from codexapi_engine.protocol.stop import Stop, cut

letters = st.text(alphabet="ab\n", max_size=30)


@pytest.mark.parametrize(
    ("text", "sequences", "said", "hit"),
    [
        ("one\ntwo", ["\n"], "one", True),
        ("one two", ["\n"], "one two", False),
        ("a END b", ["END", "E"], "a ", True),
        ("a##b###c", ["###"], "a##b", True),
        ("ends with ##", ["###"], "ends with ##", False),
        ("STOP", ["STOP"], "", True),
        ("aab", ["ab"], "a", True),
        ("aba", ["aba", "b"], "a", True),
        ("xab", ["b", "ab"], "x", True),
        ("anything", [], "anything", False),
        ("anything", [""], "anything", False),
    ],
)
def test_text_ends_before_the_first_sequence(
    text: str, sequences: list[str], said: str, hit: bool
) -> None:
    assert cut(text, sequences) == (said, hit)


@given(letters, st.lists(st.text(alphabet="ab\n", min_size=1, max_size=4), max_size=4), st.data())
def test_where_the_text_is_cut_does_not_matter(
    text: str, sequences: list[str], data: st.DataObject
) -> None:
    stop, said, rest = Stop(sequences), "", text
    while rest:
        size = data.draw(st.integers(1, len(rest)))
        said += stop.feed(rest[:size])
        rest = rest[size:]
    assert (said + stop.rest(), stop.hit) == cut(text, sequences)
    found = [at for sequence in sequences if (at := text.find(sequence)) >= 0]
    assert stop.hit == bool(found)


def test_nothing_that_cannot_begin_a_sequence_is_held_back() -> None:
    stop = Stop(["###"])
    assert stop.feed("word") == "word"
    assert stop.feed("#") == ""
    assert stop.feed("!") == "#!"
