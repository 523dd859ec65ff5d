"""Reads lines without a line editor: stdin or stdout is no terminal, or the terminal is dumb."""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from typing import NamedTuple

from ..terminal.output import say_drawn

PROMPT, MORE = "> ", "… "
QUOTES = '"""'


class InputLine(NamedTuple):
    text: str
    is_paste: bool = False  # it begins with a paste of several lines


class LineStore(NamedTuple):
    """Where earlier lines are kept."""

    load: Callable[[], Sequence[str]]  # the newest first
    append: Callable[[str], None]


class Interrupt(Exception):
    """Ctrl-C at the prompt."""

    def __init__(self, *, empty: bool) -> None:
        super().__init__()
        self.empty = empty  # nothing stood on the line


class PlainInput:
    """Reads lines as they come. The prompt goes to stderr: stdout is for answers."""

    def read(self) -> InputLine:
        """Raises EOFError at the end, and Interrupt at Ctrl-C."""
        try:
            return InputLine(_read_question())
        except KeyboardInterrupt:
            say_drawn("")
            raise Interrupt(empty=True) from None
        except EOFError:
            say_drawn("")
            raise

    def session(self) -> AbstractContextManager[None]:
        """Around the whole conversation: the terminal is as it was."""
        return nullcontext()


def is_block(text: str) -> bool:
    """Whether it is a complete text between triple quotes."""
    text = text.strip()
    return len(text) >= 6 and text.startswith(QUOTES) and text.endswith(QUOTES)


def opens_block(text: str) -> bool:
    return text.lstrip().startswith(QUOTES) and not is_block(text)


def inside_block(text: str) -> str:
    return text.strip().removeprefix(QUOTES).removesuffix(QUOTES).strip("\n")


def _read_question() -> str:
    text = _read_line(PROMPT)
    while True:
        if text.endswith("\\"):
            text = text[:-1] + "\n" + _read_line(MORE)
        elif opens_block(text):
            text += "\n" + _read_line(MORE)
        else:
            return inside_block(text) if is_block(text) else text


def _read_line(prompt: str) -> str:
    say_drawn(prompt, end="")
    data = sys.stdin.buffer.readline()
    if not data:
        raise EOFError
    return data.decode(errors="replace").rstrip("\r\n")
