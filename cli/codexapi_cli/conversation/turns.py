"""A conversation with a model: its items so far, and the next turn.

It knows nothing of options; an `Answer` is the sink of the text.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from pathlib import Path

import codexapi_engine as engine
from codexapi_engine.errors import JsonObject
from codexapi_engine.protocol.responses import ReasoningText, text_of
from codexapi_engine.protocol.responses.items import ENCRYPTED_INPUT, family, without_reasoning
from codexapi_engine.protocol.shapes import get_dict, get_list, get_str
from codexapi_engine.storage import Owner

from ..terminal.answer import Answer
from ..terminal.output import Progress, note, say, stdout_problem
from ..terminal.streams import StdoutError
from .chat_history import ChatHistory, Turn, is_question, new_id, sayable, text_in, title_of
from .question import Question

_ENDS = {None: "stop", "max_output_tokens": "length", "content_filter": "content_filter"}
"""Why an answer ended, in the words of Chat Completions."""


@dataclass(slots=True)
class Conversation:
    """Everything that the next request is made of."""

    model: str
    system: str | None = None
    effort: str | None = None
    form: JsonObject | None = None
    search: bool = False
    summary: bool = False
    log: Path | None = None  # where it is kept; None: nowhere
    cid: str = field(default_factory=new_id)
    items: list[JsonObject] = field(default_factory=list)
    account: str = ""  # whose login its items are of, as an owner names it; "": unknown
    base: list[JsonObject] = field(default_factory=list)  # what is kept of it, when last looked at
    added: list[JsonObject] = field(default_factory=list)  # of the items, those not kept yet
    additions: int = 0  # how often something was added to it

    def request(self, question: Question) -> JsonObject:
        made = engine.request(
            [*self.items, question.item()],
            model=self.model,
            instructions=self.system,
            effort=self.effort,
            summary=self.summary,
            form=self.form,
            search=self.search,
        )
        return {**made, "prompt_cache_key": self.cid}

    async def turn(
        self, codex: engine.Codex, question: Question, answer: Callable[[], Answer]
    ) -> JsonObject:
        """Asks, shows the answer as it comes, and returns what came of it. Raises CodexError.

        `answer` is called when the request is on its way: loading what it needs costs nothing then.
        What was said before a break stays part of the talk, unless nothing was; `keep` puts it into
        the history.
        """
        texts: list[str] = []
        async with AsyncExitStack() as waiting:
            await waiting.enter_async_context(Progress().running("thinking"))
            try:
                self.switch(self.model, (await codex.owner(self.model)).account)
                async with await codex.open(self.request(question)) as events:
                    self._tell_changes(events.changed)
                    self.account = Owner.of(events.account, self.model).account
                    shown = _LastingAnswer(answer(), required=self.log is None)
                    try:
                        response = await _show(events, shown, texts, waiting)
                    finally:
                        await waiting.aclose()
                        shown.end()
            except BaseException:
                if texts:
                    self._add_turn(question, [_spoken("".join(texts))])
                raise
        self._add_turn(question, [sayable(item) for item in get_list(response, "output")])
        if reason := _cut_short(response):
            say(f"codexapi: the answer is incomplete ({reason})")
        kept = self._save_turn(question.text, str(response.get("model") or self.model))
        if shown.failure is not None:
            hint = history_hint(self.cid if kept else None, demo=codex.settings.demo)
            raise stdout_problem(shown.failure, hint)
        return self._outcome(response, self.cid if kept else None)

    def switch(self, model: str, account: str = "") -> None:
        """Goes on with this model, and as this account, if it is known."""
        writer, account = Owner(self.account, family(self.model)), account or self.account
        self.items = Owner(account, family(model)).sendable(self.items, writer)
        self.model, self.account = model, account

    def start_anew(self) -> None:
        """Begins another chat, with the same model and instructions."""
        self.cid = new_id()
        self.items, self.base, self.added = [], [], []

    def keep(self, text: str) -> None:
        """Puts what is not kept yet into the history. `text` is the title of a new chat."""
        if self.added:
            self._save_turn(text, self.model)

    async def add_picture(self, codex: engine.Codex, prompt: str, url: str) -> None:
        """Puts a picture into the talk, for later questions."""
        self.switch(self.model, (await codex.owner(self.model)).account)
        self._add_turn(
            Question(f"This picture was drawn for me, from the prompt: {prompt}", (url,)), []
        )
        self._save_turn(prompt, self.model)

    def undo(self) -> JsonObject | None:
        """Takes the last turn back, in the history too, and returns its question; None where there
        is no turn. Raises Unavailable where the history cannot be used."""
        start = _last_question(self.items)
        if start is None:
            return None
        question = self.items[start]
        unkept = _last_question(self.added)
        if self.log is None or unkept is not None:
            self.items = self.items[:start]
            self.added = self.added[: unkept or 0]
            return question
        with ChatHistory(self.log) as history:
            head = history.find(self.cid) or {}
            writer = Owner(history.account(self.cid), family(get_str(head, "model") or self.model))
            rest = history.take_back(self.cid, question)
        if rest is None:  # it was removed from the history meanwhile
            self.items = self.items[:start]
            return question
        self.base = rest
        self.items = Owner(self.account, family(self.model)).sendable(self.base, writer)
        return question

    def restore(self, turn: list[JsonObject]) -> None:
        """Puts a turn back that was taken back."""
        self.items, self.added = [*self.items, *turn], [*self.added, *turn]
        self.keep(title_of(text_in(turn[0])))

    def last_turn(self) -> list[JsonObject]:
        """The last question and its answer; nothing where there is none."""
        start = _last_question(self.items)
        return [] if start is None else self.items[start:]

    def _tell_changes(self, changed: tuple[str, ...]) -> None:
        """Says what of the request could not stay as it was."""
        if "reasoning_effort" in changed:
            note(f"codexapi: {family(self.model)} has no such effort: the nearest is used")
        if ENCRYPTED_INPUT in changed:
            note("codexapi: the model's earlier reasoning could not be read, and is left out")
            self.items = without_reasoning(self.items)

    def _add_turn(self, question: Question, answered: list[JsonObject]) -> None:
        turn = [question.item(), *answered]
        self.items, self.added = [*self.items, *turn], [*self.added, *turn]
        self.additions += 1

    def _save_turn(self, text: str, model: str) -> bool:
        if self.log is None:
            return False
        title = text or "(a picture or a file)"
        try:
            with ChatHistory(self.log) as history:
                self.items = history.keep(
                    self.cid,
                    Turn(self.items, self.base, self.added),
                    title=title,
                    model=model,
                    account=self.account,
                    system=self.system,
                )
        except engine.CodexError as error:  # the person has the answer by now
            say(f"codexapi: the chat was not kept: {error}")
            return False
        self.base, self.added = self.items, []
        return True

    def _outcome(self, response: JsonObject, cid: str | None) -> JsonObject:
        return {
            "id": response.get("id"),
            "text": text_of(response),
            "model": response.get("model") or self.model,
            "finish_reason": _ENDS.get(_cut_short(response), "length"),
            "refusal": refusal_in(response),
            "usage": response.get("usage"),
            "citations": list(dict.fromkeys(_citations(response))),
            "cid": cid,
        }


@dataclass(slots=True)
class _LastingAnswer:
    """An answer that is shown as long as stdout takes it. Where it does not and the answer is kept,
    the rest is read all the same: it is paid for."""

    answer: Answer
    required: bool
    failure: StdoutError | None = None

    def write(self, text: str) -> None:
        self._try(lambda: self.answer.write(text))

    def think(self, text: str) -> None:
        self._try(lambda: self.answer.think(text))

    def end(self) -> None:
        self._try(self.answer.end)

    def _try(self, show: Callable[[], None]) -> None:
        if self.failure is not None:
            return
        try:
            show()
        except StdoutError as error:
            if self.required:
                raise
            self.failure = error


def history_hint(cid: str | None, *, demo: bool) -> str:
    if not cid:
        return ""
    return f"; the answer is kept: codexapi history show {cid}{' --demo' if demo else ''}"


def refusal_in(response: JsonObject) -> str | None:
    """The words in which a model refuses; None where it answers."""
    parts = [part for item in get_list(response, "output") for part in get_list(item, "content")]
    words = [get_str(part, "refusal") for part in parts if part.get("type") == "refusal"]
    return "\n\n".join(words) if words else None


async def _show(
    events: engine.EventStream, shown: _LastingAnswer, texts: list[str], waiting: AsyncExitStack
) -> JsonObject:
    """The finished response; its text is shown and added to `texts` as it streams."""
    fold, text, thoughts = engine.Assembler(), engine.Text(), ReasoningText()
    while batch := await events.batch():
        for event in batch:
            fold.feed(event)
            if thought := thoughts.feed(event):
                await waiting.aclose()
                shown.think(thought)
            if piece := text.feed(event):
                await waiting.aclose()
                texts.append(piece)
                shown.write(piece)
    return fold.finish()


def _last_question(items: list[JsonObject]) -> int | None:
    """Where the last turn begins."""
    return next((n for n in reversed(range(len(items))) if is_question(items[n])), None)


def _spoken(text: str) -> JsonObject:
    """The partial output of an interrupted answer, as items that may be sent."""
    part = {"type": "output_text", "text": text}
    return {"type": "message", "role": "assistant", "content": [part]}


def _cut_short(response: JsonObject) -> str | None:
    """Why an answer is incomplete; None if it is complete."""
    if response.get("status") != "incomplete":
        return None
    return str(get_dict(response, "incomplete_details").get("reason"))


def _citations(response: JsonObject) -> Iterator[str]:
    """The addresses that an answer names as its sources."""
    for item in get_list(response, "output"):
        for part in get_list(item, "content"):
            for source in get_list(part, "annotations"):
                if source.get("type") == "url_citation" and isinstance(source.get("url"), str):
                    yield source["url"]
