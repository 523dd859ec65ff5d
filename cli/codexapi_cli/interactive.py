"""`codexapi chat -i`: one question after another, on the terminal itself."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass

import codexapi_engine as engine
from codexapi_engine.settings import private_folder

from .answer import Answer
from .options import opened
from .past import transcript
from .question import NOTHING, Question, attachment
from .runner import Runner
from .talk import Talk
from .terminal import Problem, note, say

try:
    import readline
except ImportError:  # Windows has none
    readline = None  # type: ignore[assignment]

HELP = """\
/model [NAME]   which model answers; another one
/attach FILE    a picture, a PDF or a text (or a URL) for the next question
/save FILE      write the talk so far to a new file, as Markdown
/help           this
/bye            leave, as Ctrl-D does

Ctrl-C stops the answer alone. A line that ends with \\ goes on in the next one; \"\"\" begins and
ends a text of several lines."""

PROMPT, MORE = "> ", "… "
QUOTES = '"""'
_LINES = 1_000
"""Lines that are remembered for the arrow keys."""


def converse(
    chosen: engine.Settings,
    talk: Talk,
    question: Question,
    model: str | None,
    answer: Callable[[], Answer],
) -> None:
    """Asks, answers, and asks again, until the person leaves. Raises CodexError at its beginning
    alone: later, it is said, and the talk goes on."""
    with Runner() as runner, _lines_kept(chosen, talk):
        codex = opened(chosen)
        try:
            talk.switch(runner.run(codex.model(model)))
            note(f"{talk.model}; /help tells more, Ctrl-D leaves")
            _Session(runner, codex, talk, answer).go_on(question)
        finally:
            runner.run(codex.aclose())


@dataclass(slots=True)
class _Session:
    runner: Runner
    codex: engine.Codex
    talk: Talk
    answer: Callable[[], Answer]
    beside: Question = NOTHING  # what was attached, for the next question
    over: bool = False

    def go_on(self, question: Question) -> None:
        if question.text.strip():
            self._ask(question)
        else:
            self.beside = question
        while not self.over:
            try:
                said = _read()
            except EOFError:
                print()
                return
            except KeyboardInterrupt:  # what was being typed is thrown away
                print()
                continue
            self._take(said)

    def _take(self, said: str) -> None:
        name, _, argument = said.strip().partition(" ")
        if name in _COMMANDS and "\n" not in said:
            try:
                _COMMANDS[name](self, argument.strip())
            except Problem as problem:
                say(f"codexapi: {problem}")
        elif name.startswith("/") and name[1:].isalpha() and "\n" not in said:
            say(f"codexapi: {name} is no command: /help lists them")
        elif said.strip():
            asked, self.beside = self.beside, NOTHING
            self._ask(Question(said).and_(asked))

    def _ask(self, question: Question) -> None:
        try:
            self.runner.run(self._turn(question))
        except KeyboardInterrupt:
            print()
        except engine.CodexError as error:
            say(f"codexapi: {error.code or error.type}: {error}")

    async def _turn(self, question: Question) -> None:
        await self.talk.turn(self.codex, question, self.answer)

    def model(self, name: str) -> None:
        if name:
            self.talk.switch(name)
        say(self.talk.model)

    def attach(self, name: str) -> None:
        if not name or name == "-":
            raise Problem("/attach needs a file or a URL")
        self.beside = self.beside.and_(attachment(name))
        say("it goes with your next question")

    def save(self, name: str) -> None:
        if not name:
            raise Problem("/save needs a file")
        try:
            with open(os.path.expanduser(name), "x", encoding="utf-8", errors="replace") as file:
                file.write(transcript(self.talk.items))
        except OSError as error:
            raise Problem(f"{name}: {error.strerror}") from None
        say(f"saved to {name}")

    def help(self, _: str) -> None:
        say(HELP)

    def leave(self, _: str) -> None:
        self.over = True


_COMMANDS: dict[str, Callable[[_Session, str], None]] = {
    "/model": _Session.model,
    "/attach": _Session.attach,
    "/save": _Session.save,
    "/help": _Session.help,
    "/bye": _Session.leave,
    "/exit": _Session.leave,
    "/quit": _Session.leave,
}


def _read() -> str:
    """What the person says: one line, or several. Raises EOFError at the end."""
    line = input(PROMPT)
    if line.strip().startswith(QUOTES):
        lines = [line.strip().removeprefix(QUOTES)]
        while not lines[-1].rstrip().endswith(QUOTES):
            lines.append(input(MORE))
        lines[-1] = lines[-1].rstrip().removesuffix(QUOTES)
        return "\n".join(lines).strip("\n")
    lines = [line]
    while lines[-1].endswith("\\"):
        lines[-1] = lines[-1][:-1]
        lines.append(input(MORE))
    return "\n".join(lines)


@contextmanager
def _lines_kept(chosen: engine.Settings, talk: Talk) -> Iterator[None]:
    """The arrow keys find earlier lines, where the system can: from the file of them, too, unless
    nothing is to be kept."""
    if readline is None:
        yield
        return
    path = chosen.state_dir / "lines" if talk.log is not None else None
    if path is not None and path.exists() and not path.is_file():
        path = None  # a FIFO would hang: readline opens it as it is
    if path is not None:
        with suppress(OSError):
            readline.read_history_file(path)
    try:
        yield
    finally:
        if path is not None:
            with suppress(OSError):
                private_folder(path.parent)
                os.close(os.open(path, os.O_WRONLY | os.O_CREAT, 0o600))
                readline.set_history_length(_LINES)
                readline.write_history_file(path)
