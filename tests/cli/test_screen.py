"""An answer as a terminal shows it, to its end and while it is drawn."""

from __future__ import annotations

import asyncio
import re
import sys
from html import unescape

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from tests.cli.drawn_screens import drawn, letters, markdown, never_too_early
from tests.cli.screens import Emulator

from codexapi_cli.terminal.markdown import Markdown, Screen
from codexapi_cli.terminal.markdown_drawing import Drawing, Line

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="draws as terminals elsewhere do")


COLUMNS = (20, 50, 80, 200)
TABLE = """\
| Name | Address | Place |
|---|--:|---|
| alpha | https://docs.example.com/reference/long/path/of/it | /usr/local/share/doc/alpha/example |
| 日本語のとても長い文字列です | e\u0301te\u0301 | 👩‍👩‍👧‍👦👍🏽 |
"""
ANSWER = f"""\
Words **before** a table, and [a link](https://example.com/a "Title"):

{TABLE}
- one
  {TABLE.replace(chr(10), chr(10) + "  ").rstrip()}
- two

> quoted text

```python title="x.py"
print("a line of code that is longer than narrow terminals are wide, by quite some letters")
```

<details>
<summary>More</summary>
</details>

[1]: https://example.com/reference
"""


@pytest.mark.parametrize("rewraps", [False, True])
@pytest.mark.parametrize("columns", COLUMNS)
def test_no_letter_of_an_answer_is_lost(columns: int, rewraps: bool) -> None:
    assert not letters(ANSWER) - letters(drawn(ANSWER, columns, rewraps=rewraps).text)


LETTERS = [*"abcXYZ0189äßéж日本語한글", "e\u0301", "👩‍👩‍👧", "👍🏽", "❤️", "🇩🇪"]
WORDS = st.lists(st.sampled_from(LETTERS), min_size=1, max_size=30).map("".join)
MARKS = st.sampled_from(
    ["*", "**", "_", "`", "```", "~~~", "~~", "[", "](", ")", "<", ">", "|", "|---|", "|--|--|", "#", "-", "- ",
     "1. ", "2) ", "> ", "    ", "  ", " ", "\t", "\n", "\n\n", "\\", "!", "&amp;", "&", "<br>", "===", "---",
     ": ", "<!--", "-->", "<pre>", "https://a.b/c", "[1]: ", "\n| ", " |\n"]
)  # fmt: skip
TEXTS = st.lists(WORDS | MARKS | MARKS, max_size=60).map("".join)


@settings(max_examples=100, deadline=None)
@given(
    TEXTS, st.sampled_from([*COLUMNS, 7]), st.sampled_from([3, 10, 24]), st.integers(1, 40),
    st.booleans(),
)  # fmt: skip
@example("> " * 120 + "deep", 20, 24, 50, False)
@example("- a\n2. b\n```\nc", 20, 24, 50, False)
@example("1. x\n   ```\n   a\n\nb\n   ```\nc", 20, 24, 1, True)
@example("|a|\n|-|\n|b|c|\n", 20, 24, 50, False)
def test_the_letters_of_any_text_stand_on_the_screen(
    text: str, columns: int, lines: int, step: int, rewraps: bool
) -> None:
    shown = drawn(text, columns, lines, step=step, rewraps=rewraps)
    written = unescape(re.sub(r"<br\s*/?>", "", text))
    assert not letters(written) - letters(shown.text)


@settings(max_examples=50, deadline=None)
@given(TEXTS, st.integers(1, 9))
def test_it_looks_alike_however_it_was_cut_into_pieces(text: str, step: int) -> None:
    assert drawn(text, step=step).rows == drawn(text, step=len(text) or 1).rows


def test_each_letter_of_a_long_line_of_code_is_on_the_line_that_it_was_written_on() -> None:
    line = "curl -X POST https://example.com/" + "a" * 100 + " -d x"
    shown = Emulator(50, 24)
    answer = markdown(shown)
    answer.write(f"```sh\n{line}\n\tmake  it   \n```\n")
    answer.end()
    looks = re.sub(r"\x1b\[[0-9;?]*[a-zA-Z]|\x1b[78]|\r", "", shown.written)
    assert f"sh\n{line}\n\tmake  it   \n" in looks
    assert not re.search(r"\x1b\[[0-9;]*4[0-8]", shown.written)  # a background


def test_code_in_a_list_stands_at_the_margin() -> None:
    rows = drawn("1. Write:\n\n   ```py\n   if x:\n       y()\n   ```\n\n2. done").rows
    assert rows == ["1. Write:", "", "py", "if x:", "    y()", "", "2. done"]


@pytest.mark.parametrize(
    ("text", "rows"),
    [
        ("3. three\n4. four", ["3. three", "4. four"]),
        ("1. a\n1. b", ["1. a", "1. b"]),
        ("7) a\n\n9) b", ["7) a", "", "9) b"]),
        ("2. a\n   - b\n     1. c\n3. d", ["2. a", "   • b", "     1. c", "3. d"]),
        ("1. a\n\n```\nx\n```\n\n3. three", ["1. a", "", "x", "", "3. three"]),
    ],
)
def test_the_numbers_of_a_list_are_the_author_s(text: str, rows: list[str]) -> None:
    assert drawn(text).rows == rows


@pytest.mark.parametrize(
    ("text", "rows"),
    [
        ("[a](http://b.c)", ["a (http://b.c)"]),
        ("<http://b.c/ü>", ["http://b.c/ü"]),
        ("![a](b.png)", ["a (b.png)"]),
        ("> a\n> > b", ["▌ a", "▌", "▌ ▌ b"]),
        ("> - a\n>   b", ["▌ • a b"]),
        ("<div>\n*x*\n</div>", ["<div>", "*x*", "</div>"]),
        ("a<br>b", ["a", "b"]),
        ("```py\nnever closed", ["py", "never closed"]),
        ("| a | b |\n|---|---|\n| 1", ["a │ b", "──┼──", "1 │"]),
        (
            "- x\n\n  | a | b |\n  |---|--:|\n  | 1 | 2 |",
            ["• x", "", "  a │ b", "  ──┼──", "  1 │ 2"],
        ),
        ("[1]: http://a\n[2]: http://b", ["[1]: http://a", "[2]: http://b"]),
        ("```a``` b", ["a b"]),
    ],
)
def test_each_form_has_its_look(text: str, rows: list[str]) -> None:
    assert drawn(text).rows == rows


def test_a_table_folds_what_is_long_and_is_shown_as_its_source_where_its_columns_do_not_fit() -> (
    None
):
    rows = drawn(TABLE, 50).rows
    assert rows[0].split() == ["Name", "│", "Address", "│", "Place"]
    assert max(map(len, rows)) <= 50
    source = TABLE.replace("e\u0301", "é").replace("\u200d", "")  # as the emulator shows it
    assert drawn(TABLE, 20).text.replace("\n", "") == source.replace("\n", "")


PROSE = """\
Some **words that** stand in `one` paragraph, with a [link](http://a.b/c) and 2 * 3 = 6, snake_case_names,
日本語のとても長い文字列です。 and "a quotation", **a bold text that goes
on in the next line**, and the rest.\\
A hard break  
and another. The end of it comes
- with an item
- and another

Next one.
"""


@pytest.mark.parametrize("columns", COLUMNS)
@pytest.mark.parametrize("step", [1, 7, 50])
def test_words_that_are_printed_one_by_one_look_as_if_they_came_at_once(
    columns: int, step: int
) -> None:
    shown = drawn(PROSE, columns, step=step, rewraps=True)
    assert shown.rows == drawn(PROSE, columns).rows
    assert "\x1b[J" not in shown.written.partition("and another")[0]


class Counting(Drawing):
    """Counts the letters that are drawn."""

    def __init__(self) -> None:
        super().__init__(styled=True)
        self.finished = self.drafts = self.longest = 0

    def lines(self, source: str, width: int) -> list[Line]:
        self.finished += len(source)
        return super().lines(source, width)

    def draft(self, source: str, width: int) -> list[Line]:
        self.longest = max(self.longest, len(source))
        return super().draft(source, width)

    def code(self, code: str, info: str, context: str = "") -> list[Line]:
        self.longest = max(self.longest, len(code) + len(context))
        return super().code(code, info, context)


@pytest.mark.parametrize(
    "text",
    [
        "word " * 2_000,
        "word\n" * 2_000,
        "```py\n" + "print(1)\n" * 1_000,
        "- a\n  b\n" * 1_000,
        "> a\n" * 2_000,
        "| a | b |\n|---|---|\n" + "| 1 | 2 |\n" * 1_000,
        "text\n\n" * 1_500,
    ],
    ids=["line", "lines", "code", "list", "quote", "table", "blocks"],
)
def test_a_long_answer_costs_no_more_a_letter_than_a_short_one(text: str) -> None:
    """Counted: each letter is drawn for good once, and a frame is no longer than a window."""
    shown, drawing = Emulator(40, 10), Counting()
    answer = Markdown(Screen(lambda _: None, shown.size, True, True), drawing, never_too_early)
    for at in range(0, len(text), 50):
        answer.write(text[at : at + 50])
    longest, drawing.longest = drawing.longest, 0
    answer.end()
    assert drawing.finished <= len(text) + 1
    assert longest <= 1_000


def test_what_is_finished_is_printed_once_and_a_frame_leaves_room_for_a_resize() -> None:
    shown = drawn("\n\n".join(f"Block{n} of some words" for n in range(50)), 40, 10)
    ups = [int(up) for up in re.findall(r"\x1b\[(\d+)A", shown.written)]
    assert max(ups, default=0) < 4
    assert shown.text.count("Block") == 50
    shown = drawn("word " * 400, 40, 10)
    assert shown.text.split() == ["word"] * 400
    assert max(int(up) for up in re.findall(r"\x1b\[(\d+)A", shown.written)) < 4


@pytest.mark.parametrize("columns", [(100, 50, 30), (30, 60, 120)], ids=["narrower", "wider"])
def test_a_resize_leaves_no_copy(columns: tuple[int, ...]) -> None:
    shown = Emulator(columns[0], 24)
    shown.write("top\n")
    answer = markdown(shown)
    for number, width in enumerate(columns):
        shown.resize(width)
        answer.write(" ".join(f"word{number}{n:02}" for n in range(10)) + " ")
    answer.end()
    words = shown.text.split()
    assert words == ["top", *(f"word{number}{n:02}" for number in range(3) for n in range(10))]


def test_the_cursor_is_below_the_answer_in_the_end_and_at_no_other_place_s_cost() -> None:
    shown = Emulator(40, 10)
    shown.write("$ codexapi\n")
    answer = markdown(shown)
    answer.write("half a sen")
    assert shown.rows == ["$ codexapi", "half a sen"]
    answer.write("tence")
    answer.end()
    shown.write("$ ")
    assert shown.rows == ["$ codexapi", "half a sentence", "$"]


def test_without_looks_there_are_letters_alone() -> None:
    shown = Emulator(40, 10)
    answer = markdown(shown, styled=False)
    answer.write("# A **b** `c` [d](http://e.f)\n\n```py\nx = 1\n```\n")
    answer.end()
    assert shown.rows == ["A b c d (http://e.f)", "", "py", "x = 1"]
    assert not re.search(r"\x1b\[[\d;]*m|\x1b\]", shown.written)


async def test_what_came_too_early_for_a_frame_is_drawn_when_nothing_follows() -> None:
    shown, there = Emulator(40, 10), asyncio.Event()

    def write(text: str) -> None:
        shown.write(text)
        if shown.text == "half a sentence":
            there.set()

    answer = Markdown(Screen(write, shown.size, moves=True, styled=True))
    answer.write("half a")
    answer.write(" sentence")
    await there.wait()
    answer.end()
    assert shown.text == "half a sentence"
