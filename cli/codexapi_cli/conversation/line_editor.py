"""The line editor of an interactive chat, on a terminal.

A paste is one text, Tab completes commands, and the arrow keys find earlier lines. It imports
prompt_toolkit, so this module is loaded for an interactive chat alone.
"""

from __future__ import annotations

import os
import re
import signal
import sys
from collections.abc import Callable, Iterable, Iterator
from contextlib import AbstractContextManager, contextmanager
from types import FrameType

from prompt_toolkit import PromptSession
from prompt_toolkit.completion import CompleteEvent, Completer, Completion
from prompt_toolkit.document import Document
from prompt_toolkit.history import History
from prompt_toolkit.input import Input, create_input
from prompt_toolkit.key_binding import KeyBindings, KeyPress, KeyPressEvent
from prompt_toolkit.keys import Keys
from prompt_toolkit.layout.processors import Processor, Transformation, TransformationInput
from prompt_toolkit.output import ColorDepth, create_output
from prompt_toolkit.output.vt100 import Vt100_Output

from ..terminal.cleaning import DIRECTIONS, INVISIBLE, clean
from ..terminal.colors import colourful
from ..terminal.runner import Runner
from .line_input import (
    MORE,
    PROMPT,
    InputLine,
    Interrupt,
    LineStore,
    inside_block,
    is_block,
    opens_block,
)
from .shell_words import last_word, quote
from .slash import COMMANDS

if sys.platform != "win32":
    import termios

    from prompt_toolkit.input.vt100 import Vt100Input

_PLAIN = "fg:default"
"""A style that changes nothing, and for which the blank at the end of a prompt is written too."""

_UNSEEN = re.compile(f"[{DIRECTIONS}{INVISIBLE}]")

FILE_COMMANDS = frozenset({"attach", "save"})


class LineEditor:
    """Reads lines. `values` gives what the argument of a command may be, by the command's name."""

    def __init__(
        self, runner: Runner, store: LineStore, values: Callable[[str], Iterable[str]]
    ) -> None:
        self._runner = runner
        self._is_paste = False
        output = create_output()
        if isinstance(output, Vt100_Output):
            output.enable_cpr = False  # a late answer to such a question would be typed text
        self._session: PromptSession[str] = PromptSession(
            [(_PLAIN, PROMPT)],
            multiline=True,
            prompt_continuation=[(_PLAIN, MORE)],
            key_bindings=self._bindings(),
            completer=SlashCompleter(values),
            complete_while_typing=False,
            history=_LineHistory(store),
            input_processors=[_MarkUnseen()],
            enable_suspend=True,
            enable_open_in_editor=True,
            input=_input(),
            output=output,
            color_depth=None if colourful(True) else ColorDepth.DEPTH_1_BIT,
        )

    def read(self) -> InputLine:
        """What was typed. Raises EOFError at Ctrl-D, and Interrupt at Ctrl-C."""
        self._is_paste = False
        text = self._runner.run(self._prompt())
        if text is None:
            raise Interrupt(empty=not self._session.default_buffer.text)
        if not self._is_paste and is_block(text):
            text = inside_block(text)
        return InputLine(text, self._is_paste)

    def session(self) -> AbstractContextManager[None]:
        """Around the whole conversation: what is typed between two reads is for the second."""
        return _typing_ahead()

    async def _prompt(self) -> str | None:
        try:
            return await self._session.prompt_async()
        except KeyboardInterrupt:  # raised further, it would end the loop
            return None

    def _bindings(self) -> KeyBindings:
        bindings = KeyBindings()

        @bindings.add("enter")
        def send(event: KeyPressEvent) -> None:
            buffer = event.current_buffer
            if buffer.complete_state is not None and buffer.complete_state.current_completion:
                buffer.complete_state = None  # what the menu shows is taken; another Enter sends
            elif buffer.document.is_cursor_at_the_end and buffer.text.endswith("\\"):
                buffer.delete_before_cursor()
                buffer.insert_text("\n")
            elif not self._is_paste and opens_block(buffer.text):
                buffer.insert_text("\n")
            else:
                buffer.validate_and_handle()

        @bindings.add("escape", "enter")
        @bindings.add("c-j")
        def begin_line(event: KeyPressEvent) -> None:
            if event.current_buffer.text:
                event.current_buffer.insert_text("\n")

        @bindings.add(Keys.BracketedPaste)
        def paste(event: KeyPressEvent) -> None:
            text = event.data.replace("\r\n", "\n").replace("\r", "\n")
            if "\n" in text and not event.current_buffer.text.strip():
                self._is_paste = True
            event.current_buffer.insert_text(text)

        return bindings


class SlashCompleter(Completer):
    """Completes commands, and the arguments of those that have some to choose from."""

    def __init__(self, values: Callable[[str], Iterable[str]]) -> None:
        self._values = values

    def get_completions(self, document: Document, event: CompleteEvent) -> Iterator[Completion]:
        before = document.text_before_cursor
        if not before.startswith("/") or "\n" in document.text:
            return
        name, blank, argument = before[1:].partition(" ")
        if not blank:
            for command, (usage, text) in COMMANDS.items():
                if command.startswith(name):
                    ending = " " if usage else ""
                    yield _completion(f"/{command}{ending}", len(before), f"/{command}", text)
        elif name in FILE_COMMANDS:
            yield from files(argument)
        else:
            for value in self._values(name):
                if value.startswith(argument):
                    yield _completion(value, len(argument), value)


def files(line: str) -> Iterator[Completion]:
    """What the last word of a line may be: files, quoted as a shell would."""
    word = last_word(line)
    folder, name = os.path.split(word.text)
    directory = os.path.expanduser(folder) if word.tilde else folder
    try:
        entries = sorted(os.scandir(directory or "."), key=lambda entry: entry.name)
    except OSError:
        return
    for entry in entries:
        if not entry.name.startswith(name) or (entry.name.startswith(".") and not name):
            continue
        ending = "/" if entry.is_dir() else f"{word.quote} "
        text = word.quote + quote(os.path.join(folder, entry.name), word.quote) + ending
        label = entry.name + ending.rstrip(f"{word.quote} " if word.quote else " ")
        yield _completion(text, len(line) - word.start, label)


def _completion(text: str, length: int, label: str, meta: str = "") -> Completion:
    return Completion(text, -length, display=clean(label), display_meta=meta)


class _MarkUnseen(Processor):
    """Shows a question mark for letters that nobody sees, and that turn the direction of others:
    they came with a paste, or with the name of a file."""

    def apply_transformation(self, transformation_input: TransformationInput) -> Transformation:
        fragments = transformation_input.fragments
        return Transformation([(part[0], _UNSEEN.sub("?", part[1])) for part in fragments])


class _LineHistory(History):
    def __init__(self, store: LineStore) -> None:
        super().__init__()
        self._store = store
        self._lines = store.load()  # before there is a prompt that a message could break

    def load_history_strings(self) -> Iterable[str]:
        return self._lines

    def store_string(self, string: str) -> None:
        self._store.append(string)


if sys.platform == "win32":

    @contextmanager
    def _typing_ahead() -> Iterator[None]:
        yield

    def _input() -> Input:
        return create_input()

else:

    @contextmanager
    def _typing_ahead() -> Iterator[None]:
        """What is typed while an answer comes is not shown among it, and waits for the next prompt as it
        was typed. Ctrl-C and Ctrl-Z stay signals; a shell that we are suspended to gets the terminal as
        it was."""
        if signal.getsignal(signal.SIGTSTP) is signal.SIG_IGN:
            yield
            return
        before = termios.tcgetattr(0)
        quiet = termios.tcgetattr(0)
        quiet[0] &= ~termios.ICRNL
        quiet[3] &= ~(termios.ECHO | termios.ICANON)

        def suspend(number: int, frame: FrameType | None) -> None:
            termios.tcsetattr(0, termios.TCSADRAIN, before)
            signal.signal(signal.SIGTSTP, signal.SIG_DFL)
            os.kill(os.getpid(), signal.SIGTSTP)
            signal.signal(signal.SIGTSTP, suspend)  # it goes on
            termios.tcsetattr(0, termios.TCSADRAIN, quiet)

        handler = signal.signal(signal.SIGTSTP, suspend)
        termios.tcsetattr(0, termios.TCSADRAIN, quiet)
        try:
            yield
        finally:
            termios.tcsetattr(0, termios.TCSADRAIN, before)
            signal.signal(signal.SIGTSTP, handler)

    class _TerminalInput(Vt100Input):
        """A newline that comes along with other letters was sent by a program, or typed ahead: it
        is Enter. Alone it is Ctrl-J."""

        def read_keys(self) -> list[KeyPress]:
            keys = super().read_keys()
            if any(key.key is Keys.BracketedPaste for key in keys):
                return keys
            letters = any(len(key.data) == 1 and key.data.isprintable() for key in keys)
            return [
                KeyPress(Keys.ControlM, "\r") if letters and key.key is Keys.ControlJ else key
                for key in keys
            ]

    def _input() -> Input:
        return _TerminalInput(sys.stdin)
