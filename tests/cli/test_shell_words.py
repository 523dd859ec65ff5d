"""Words as a shell splits them. The standard library's own splitter says what is right."""

from __future__ import annotations

import shlex
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from codexapi_cli.conversation.shell_words import dragged_files, last_word, paths, quote, words

pytestmark = pytest.mark.skipif(
    sys.platform == "win32", reason="a backslash is another thing there"
)

LINES = st.text(alphabet="ab '\"\\$`*é\t", max_size=20)
NAMES = st.text(
    st.characters(exclude_categories=["Cs", "Cc", "Zs", "Zl", "Zp"], include_characters=" '\"\\$"),
    min_size=1,
)


def by_shlex(line: str) -> list[str] | None:
    lexer = shlex.shlex(line, posix=True, punctuation_chars="")
    lexer.whitespace_split, lexer.commenters = True, ""
    lexer.escapedquotes = '"'
    try:
        return list(lexer)
    except ValueError:
        return None


@given(LINES.filter(lambda line: "\\$" not in line and "\\`" not in line))
def test_a_line_is_split_as_a_shell_splits_it(line: str) -> None:
    # shlex knows of no `$` and backtick behind a backslash inside double quotes.
    expected = by_shlex(line)
    found = words(line)
    if expected is not None:
        assert [word.text for word in found] == expected
        assert not any(word.quote for word in found)


@given(NAMES)
def test_a_name_that_is_quoted_is_read_back(name: str) -> None:
    for mark in ("", "'", '"'):
        line = f"/attach {mark}{quote(name, mark)}{mark}"
        assert [word.text for word in words(line)][1:] == [name]
        assert shlex.split(line)[1:] == [name] or mark == '"'


def test_the_last_word_may_be_open() -> None:
    assert last_word("a 'b c").text == "b c"
    assert last_word("a 'b c").quote == "'"
    assert last_word("a ").text == ""
    assert last_word("a b\\ ").text == "b "


def test_files_are_named_in_every_way_a_terminal_types_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    names = ["My Photo.txt", "it's.txt", "100% é.txt", "plain.txt"]
    for name in names:
        (tmp_path / name).write_text(name)
    whole = [str(tmp_path / name) for name in names]
    assert paths(rf"~/My\ Photo.txt '{whole[0]}' ~/plain.txt") == [whole[0], whole[0], whole[3]]
    assert paths(f'"{whole[1]}"') == [whole[1]]
    assert paths((tmp_path / names[2]).as_uri()) == [whole[2]]
    assert paths("file://elsewhere/x") == ["file://elsewhere/x"]
    assert paths("~/*.txt") == sorted(whole)
    assert paths("'~/plain.txt'") == ["~/plain.txt"]
    assert paths("https://example.com/a.png") == ["https://example.com/a.png"]
    with pytest.raises(ValueError, match="not closed"):
        paths("'My Photo.txt")


def test_a_line_of_nothing_but_full_paths_was_dragged(tmp_path: Path) -> None:
    file = tmp_path / "My Photo.txt"
    file.write_text("x")
    assert dragged_files(f"'{file}' ") == [str(file)]
    assert dragged_files(f"{quote(str(file))} {file.as_uri()}") == [str(file)] * 2
    for other in (f"what is in '{file}'", f"{tmp_path}", "My Photo.txt", "", f"'{file}'\nx"):
        assert dragged_files(other) == []
