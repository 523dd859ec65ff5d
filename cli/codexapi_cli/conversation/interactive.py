"""The interactive chat on a terminal: a loop of questions and answers."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterable
from contextlib import AbstractContextManager, suppress
from dataclasses import dataclass, field
from difflib import get_close_matches
from pathlib import Path
from typing import Protocol

import codexapi_engine as engine
from codexapi_engine import user_files
from codexapi_engine.attachments import is_on_the_web
from codexapi_engine.codex_config import named_model
from codexapi_engine.errors import JsonObject
from codexapi_engine.folding import columns_of
from codexapi_engine.protocol import models as catalogue
from codexapi_engine.protocol.models import EFFORTS, Model
from codexapi_engine.protocol.responses.items import family
from codexapi_engine.protocol.shapes import get_dict, get_int

from ..commands.image import draw_in_chat
from ..commands.usage import speaks_unicode
from ..settings import opened
from ..terminal.answer import Answer
from ..terminal.cleaning import clean
from ..terminal.clipboard import copy
from ..terminal.output import Problem, note, say
from ..terminal.plan import lines
from ..terminal.runner import Runner
from .chat_history import ChatHistory, is_question, text_in, title_of, transcript
from .line_input import InputLine, Interrupt, LineStore, PlainInput
from .question import NOTHING, Question, attachment, text_or_file
from .shell_words import dragged_files, paths
from .slash import WITHOUT_ARGUMENT, SlashCommand, UnknownCommand, help_text, parse
from .turns import Conversation


class LineReader(Protocol):
    def read(self) -> InputLine:
        """Raises EOFError at the end, and Interrupt at Ctrl-C."""

    def session(self) -> AbstractContextManager[None]:
        """Around the whole conversation: what is typed between two reads is for the second."""


def converse(
    chosen: engine.Settings,
    conversation: Conversation,
    question: Question,
    model: str | None,
    answer: Callable[[], Answer],
) -> None:
    """Asks, answers, and asks again, until the person leaves. Raises CodexError at its beginning
    alone: later, it is said, and the talk goes on."""
    with Runner() as runner:
        codex = opened(chosen)
        session = _ChatSession(runner, codex, conversation, answer)
        reader = session.reader()
        with reader.session():
            try:
                runner.run(session.begin(model))
                session.go_on(reader, question)
            finally:
                runner.run(codex.aclose())


@dataclass(slots=True)
class _ChatSession:
    runner: Runner
    codex: engine.Codex
    conversation: Conversation
    answer: Callable[[], Answer]
    models: list[Model] = field(default_factory=list)  # as last seen, for the Tab key
    default_model: str = ""
    attachments: Question = NOTHING  # for the next question
    names: list[str] = field(default_factory=list)  # of the attachments
    tokens: dict[str, int] = field(default_factory=dict)
    over: bool = False

    def reader(self) -> LineReader:
        """A line editor where there is a terminal for it."""
        dumb = os.environ.get("TERM", "").lower() in ("dumb", "unknown")
        if dumb or not (sys.stdin.isatty() and sys.stdout.isatty()):
            return PlainInput()
        from .line_editor import LineEditor  # for a person alone

        return LineEditor(self.runner, _line_store(self.conversation), self._values)

    async def begin(self, model: str | None) -> None:
        """Loads the account and the model. Raises CodexError."""
        await self.codex.credentials()  # without a login, no question needs to be typed
        try:
            self.models = await self.codex.models()
        except engine.CodexError as error:
            if named_model(self.codex.settings, model) is None:
                raise
            _complain(error)
        self.conversation.switch(await self.codex.model(model))
        self.default_model = named_model(self.codex.settings) or next(iter(self._names()), "")
        if self.models and not self._is_known(self.conversation.model):
            say(f"codexapi: {self._unknown_model(self.conversation.model)}")
        note(f"{self.conversation.model}; /help lists the commands, Ctrl-D leaves")
        if turns := sum(map(is_question, self.conversation.items)):
            note(
                f"goes on with {self.conversation.cid}, {turns} {'turn' if turns == 1 else 'turns'} so far"
            )

    def go_on(self, reader: LineReader, question: Question) -> None:
        if question.text.strip():
            self._ask(question)
        else:
            self.attachments = question
        interrupts = 0
        while not self.over:
            try:
                line = reader.read()
                interrupts = 0
                self._run_line(line)
            except EOFError:
                return
            except Interrupt as interrupt:
                interrupts = interrupts + 1 if interrupt.empty else 0
                if interrupts > 1:
                    return
                if interrupts:
                    note("Ctrl-C again, Ctrl-D or /bye leaves")
            except KeyboardInterrupt:  # in the midst of a command
                say("")

    def _run_line(self, line: InputLine) -> None:
        match parse(line.text, is_paste=line.is_paste):
            case SlashCommand(name, argument) if argument and name in WITHOUT_ARGUMENT:
                say(f"codexapi: /{name} stands alone (//{name} sends it as text)")
            case SlashCommand(name, argument):
                self._try(lambda: _COMMANDS[name](self, argument))
            case UnknownCommand() as unknown:
                say(f"codexapi: {unknown}")
            case text:
                if files := dragged_files(text):
                    self._try(lambda: self._attach(files))
                elif text.strip():
                    self._ask(Question(_mended(text)).and_(self.attachments))

    def _try(self, command: Callable[[], None]) -> None:
        try:
            command()
        except Problem as problem:
            say(f"codexapi: {problem}")
        except engine.CodexError as error:
            _complain(error)

    def _ask(self, question: Question) -> None:
        """Asks. Where nothing came of it, the attachments are for the next question still."""
        before = self.conversation.additions
        outcome: JsonObject = {}
        try:
            outcome = self.runner.run(self.conversation.turn(self.codex, question, self.answer))
        except KeyboardInterrupt:
            came = "what came is kept" if self.conversation.additions > before else "nothing came"
            note(f"stopped; {came}")
        except engine.CodexError as error:
            _complain(error)
        if self.conversation.additions > before:
            self.attachments, self.names = NOTHING, []
            if not outcome:
                self.conversation.keep(question.text)
        for name in ("input_tokens", "output_tokens"):
            count = get_int(get_dict(outcome, "usage"), name) or 0
            self.tokens[name] = self.tokens.get(name, 0) + count

    # Commands

    def model(self, name: str) -> None:
        self.models = self.runner.run(self.codex.models())
        if name:
            if not self._is_known(name):
                raise Problem(self._unknown_model(name))
            self.conversation.switch(name)
            say(f"{name} answers from now on")
            return
        rows = [(model.slug, model) for model in self.models if model.listed]
        width = max((len(slug) for slug, _ in rows), default=0)
        for slug, model in rows:
            mark = "*" if slug == family(self.conversation.model) else " "
            default = "  (default)" if slug == self.default_model else ""
            say(f"{mark} {slug:<{width}}  {' '.join(model.efforts)}{default}")
        if family(self.conversation.model) not in [slug for slug, _ in rows]:
            say(f"* {self.conversation.model}")

    def effort(self, name: str) -> None:
        name, levels = name.lower(), self._efforts()
        if name and name != "default" and name not in levels:
            near = get_close_matches(name, levels, n=1)
            meant = f"did you mean {near[0]}? It" if near else "it"
            raise Problem(
                f"{self.conversation.model} has no effort {name}; {meant} has: {' '.join(levels)}"
            )
        if name:
            self.conversation.effort = None if name == "default" else name
        model, aliases = self._model(), self.codex.settings.model_aliases
        _, by_name = catalogue.resolve(self.models, aliases, self.conversation.model)
        default = by_name or (model and model.default_effort) or "the model's own"
        say(f"effort: {self.conversation.effort or f'default ({default})'}; {' '.join(levels)}")

    def system(self, text: str) -> None:
        if text in ("''", '""'):
            self.conversation.system = None
        elif text:
            self.conversation.system = text_or_file(_mended(text), "/system")
        say(self.conversation.system or "no instructions")

    def attach(self, line: str) -> None:
        try:
            files = paths(line)
        except ValueError as error:
            raise Problem(f"/attach {line}: {error}") from None
        if len(files) > 1 and os.path.isfile(line) and not all(map(os.path.isfile, files)):
            files = [line]  # a name with blanks, without quotes
        if files:
            self._attach(files)
        elif self.names:
            say(f"for the next question: {', '.join(self.names)}")
        else:
            raise Problem("/attach: name a file or a URL")

    def _attach(self, files: Iterable[str]) -> None:
        beside, names = NOTHING, list[str]()
        for name in dict.fromkeys(files):
            if "://" in name and not is_on_the_web(name):
                raise Problem(f"/attach {name}: expected a file, or an https address")
            found = attachment(name, None)
            label = name if "://" in name else Path(name).name
            if self.attachments.has(found):
                say(f"{label} is attached already")
                continue
            beside = beside.and_(found)
            names.append(label)
        if not names:
            return
        self.attachments = self.attachments.and_(beside)
        self.names = [*self.names, *names]
        verb = "it goes" if len(names) == 1 else "they go"
        say(f"attached {', '.join(names)}; {verb} with your next question")

    def image(self, prompt: str) -> None:
        if not prompt:
            raise Problem("/image: say what to draw")
        try:
            url = self.runner.run(draw_in_chat(self.codex, _mended(prompt)))
            self.runner.run(self.conversation.add_picture(self.codex, prompt, url))
        except KeyboardInterrupt:
            note("stopped; no picture came")

    def usage(self, _: str) -> None:
        limits = self.runner.run(self.codex.plan())
        columns = columns_of(sys.stderr)
        windows = list(lines(limits.as_json(), letters=not speaks_unicode(), columns=columns))
        for line in windows or ["the backend says nothing of your plan"]:
            say(line)
        if self.tokens:
            count, out = self.tokens["input_tokens"], self.tokens["output_tokens"]
            say(f"this chat: {count:,} tokens in, {out:,} out")

    def copy(self, _: str) -> None:
        answers = [
            item for item in self.conversation.last_turn()[1:] if item.get("type") == "message"
        ]
        if not answers:
            raise Problem("/copy: there is no answer yet")
        say(copy(clean("\n\n".join(map(text_in, answers)))))

    def retry(self, _: str) -> None:
        turn = self.conversation.last_turn()
        if len(turn) < 2:
            raise Problem("/retry: there is no answer to replace")
        self.conversation.undo()
        before, beside = self.conversation.additions, (self.attachments, self.names)
        self._ask(Question.of(turn[0]))
        self.attachments, self.names = beside
        if self.conversation.additions == before:
            self.conversation.restore(turn)
            note("the answer before is kept")

    def undo(self, _: str) -> None:
        if self.names:
            say(f"{', '.join(self.names)}: not attached any more")
            self.attachments, self.names = NOTHING, []
            return
        question = self.conversation.undo()
        if question is None:
            raise Problem("/undo: this chat has no turn")
        say(f"taken back: {_first_line(question)}")

    def new(self, _: str) -> None:
        before = self.conversation.cid if self.conversation.base else None
        self.conversation.start_anew()
        self.attachments, self.names, self.tokens = NOTHING, [], {}
        say("a new chat" + (f"; the last one is {before}" if before else ""))

    def save(self, line: str) -> None:
        try:
            words = paths(line)
        except ValueError as error:
            raise Problem(f"/save {line}: {error}") from None
        names = [word for word in words if word != "--force"]
        if len(names) != 1:
            raise Problem("/save: name one file")
        try:
            path = user_files.absolute(names[0])
            user_files.check(path, over="--force" in words)
            text = transcript(self.conversation.items).encode(errors="replace")
            user_files.write(path, text, over="--force" in words)
        except FileExistsError as error:
            raise Problem(f"{names[0]}: {error.strerror}; --force overwrites it") from None
        except OSError as error:
            raise Problem(f"{names[0]}: {error.strerror}") from None
        say(f"saved to {names[0]}")

    def help(self, _: str) -> None:
        say(help_text(columns_of(sys.stderr) or 80))

    def leave(self, _: str) -> None:
        self.over = True

    # Models

    def _names(self) -> list[str]:
        return [model.slug for model in self.models if model.listed]

    def _is_known(self, name: str) -> bool:
        aliases = self.codex.settings.model_aliases
        slug, _ = catalogue.resolve(self.models, aliases, name)
        return slug != name or catalogue.find(self.models, slug) is not None

    def _unknown_model(self, name: str) -> str:
        near = get_close_matches(name, self._names(), n=1, cutoff=0.5)
        meant = f"did you mean {near[0]}? " if near else ""
        the = "The" if near else "the"
        default = f"{the} default is {self.default_model}; " if self.default_model else ""
        return f"there is no model {name}; {meant}{default}/model lists them"

    def _model(self) -> Model | None:
        aliases = self.codex.settings.model_aliases
        slug, _ = catalogue.resolve(self.models, aliases, self.conversation.model)
        return catalogue.find(self.models, slug)

    def _efforts(self) -> list[str]:
        model = self._model()
        return list((model.efforts if model else ()) or EFFORTS)

    def _values(self, command: str) -> Iterable[str]:
        """What the Tab key knows of a command's argument."""
        if command == "model":
            return [*self._names(), *self.codex.settings.model_aliases]
        return [*self._efforts(), "default"] if command == "effort" else []


_COMMANDS: dict[str, Callable[[_ChatSession, str], None]] = {
    "model": _ChatSession.model,
    "effort": _ChatSession.effort,
    "system": _ChatSession.system,
    "attach": _ChatSession.attach,
    "image": _ChatSession.image,
    "usage": _ChatSession.usage,
    "copy": _ChatSession.copy,
    "retry": _ChatSession.retry,
    "undo": _ChatSession.undo,
    "new": _ChatSession.new,
    "save": _ChatSession.save,
    "help": _ChatSession.help,
    "bye": _ChatSession.leave,
}


def _complain(error: engine.CodexError) -> None:
    say("codexapi: " + " ".join(f"{error.code or error.type}: {error}".split()))


def _mended(text: str) -> str:
    """Without bytes that are no UTF-8, which stand for a file's name alone."""
    return text.encode(errors="surrogateescape").decode(errors="replace")


def _first_line(question: JsonObject) -> str:
    return title_of(text_in(question)) or "(a picture or a file)"


def _line_store(conversation: Conversation) -> LineStore:
    """Of earlier lines: in the history's file, or nowhere where nothing is to be kept."""
    log = conversation.log
    if log is None:
        return LineStore(load=list, append=lambda text: None)

    def load() -> list[str]:
        try:
            with ChatHistory(log) as history:
                return history.lines()
        except engine.CodexError as error:
            note(f"codexapi: earlier lines cannot be read: {error}")
            return []

    def append(text: str) -> None:
        with suppress(engine.CodexError), ChatHistory(log) as history:
            history.add_line(text, conversation.cid)

    return LineStore(load, append)
