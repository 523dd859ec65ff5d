"""Lines for a terminal."""

from __future__ import annotations

from codexapi_engine.folding import fold, width


def test_a_line_is_broken_between_words_and_a_command_stays_whole() -> None:
    text = "codexapi: the port is held: `codexapi stop --port 41400` ends it, or choose another"
    lines = fold(text, 50).split("\n")
    assert all(len(line) <= 50 for line in lines)
    assert " ".join(line.strip() for line in lines) == text
    assert any("`codexapi stop --port 41400`" in line for line in lines)
    assert [line[:2] for line in lines[1:]] == ["  "] * (len(lines) - 1)


def test_only_the_first_of_several_lines_is_broken() -> None:
    diff = "- a line that is longer than the terminal\n+ another"
    assert fold(f"codexapi: no\n{diff}", 20) == f"codexapi: no\n{diff}"


def test_a_word_that_is_longer_than_the_terminal_stays_whole() -> None:
    path = "/a/path/that/is/longer/than/the/terminal"
    assert fold(f"codexapi: {path}: no", 20) == f"codexapi:\n  {path}:\n  no"


def test_wide_letters_take_two_columns() -> None:
    assert width("日本 a") == 6
    assert fold("日本 日本 日本", 10) == "日本 日本\n  日本"


def test_without_a_width_nothing_is_broken() -> None:
    text = "word " * 50
    assert fold(text, 0) == text
