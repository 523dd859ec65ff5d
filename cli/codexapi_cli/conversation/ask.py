"""Asks the model one question, or starts an interactive chat: what `codexapi chat` does.

It knows the command's options by their names, and nothing of how a command line is parsed.
"""

from __future__ import annotations

import json
import os
import re
import sys
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple, NoReturn

import codexapi_engine as engine
from codexapi_engine import user_files
from codexapi_engine.codex_config import named_model
from codexapi_engine.errors import JsonObject
from codexapi_engine.protocol.headers import affinity, backend_headers
from codexapi_engine.protocol.responses import json_form, to_backend
from codexapi_engine.settings import user_agent

from ..global_options import global_options
from ..settings import opened, settings
from ..terminal.answer import Answer, Events, Plain, SilentSink, put_event
from ..terminal.cleaning import to_json
from ..terminal.output import (
    FAILED,
    INCOMPLETE,
    LOCAL_FILE,
    Problem,
    ending,
    note,
    put,
    put_drawn,
    run,
    stdout_problem,
)
from ..terminal.streams import StdoutError
from .chat_history import ChatHistory, path_in
from .question import Question, composed, text_or_file
from .schema import schema as schema_of
from .turns import Conversation, history_hint

_FENCED = r"(?ms)^ {0,3}(`{3,}|~{3,})[^\n]*\n(.*?)^ {0,3}\1[`~]*[ \t]*$"
_DATA_URL = r"(?a)(data:[\w.+/-]+;base64,)[A-Za-z0-9+/=]{64,}"


class AnswerFormat(NamedTuple):
    """What the answer looks like, and where it goes."""

    output: Path | None  # None: stdout
    as_json: bool
    stream_json: bool
    extract: bool
    schema: bool
    raw: bool
    markdown: bool

    def answer(self) -> Answer:
        if self.stream_json:
            return Events()
        if self._waits_for_end():
            return SilentSink()
        dumb = os.environ.get("TERM") == "dumb"
        wanted = self.markdown or (sys.stdout.isatty() and not (self.schema or dumb))
        if wanted and not self.raw:
            from ..terminal.markdown import (
                Markdown,  # rich, while the model thinks
            )

            return Markdown()
        return Plain(raw=self.raw)

    def finish(self, outcome: JsonObject) -> None:
        """Writes what waited for the complete answer. Raises Problem."""
        text = str(outcome["text"])
        in_json = self.as_json or self.stream_json
        hides_refusal = self.output is not None or (self._waits_for_end() and not in_json)
        if outcome["refusal"] is not None and hides_refusal:
            untouched = f"; {self.output} is as it was" if self.output is not None else ""
            raise Problem(f"the model refused: {text}{untouched}", FAILED)
        if self.stream_json:
            put_event("done", **self._with_parsed(outcome))
            return
        if self.as_json:
            text = to_json(self._with_parsed(outcome), indent=2)
        elif self.extract:
            text = extracted(text)
        elif not self._waits_for_end():
            return
        text = text if text.endswith("\n") else f"{text}\n"
        if self.output is None:
            put_drawn(text) if self.raw else put(text)
        elif outcome["finish_reason"] != "stop":  # its place is for a complete answer
            put(text)
            raise Problem(f"{self.output} is as it was; what came is on stdout", INCOMPLETE)
        else:
            _save(self.output, text)

    def _waits_for_end(self) -> bool:
        """Whether nothing is shown before all is there: a program that reads a schema's JSON is
        not to get a refusal."""
        for_program = self.schema and not sys.stdout.isatty()
        return self.as_json or self.extract or self.output is not None or for_program

    def _with_parsed(self, outcome: JsonObject) -> JsonObject:
        if not self.schema:
            return outcome
        parsed = None
        with suppress(ValueError):  # cut short, or refused
            parsed = json.loads(outcome["text"])
        return {**outcome, "parsed": parsed}


def ask(
    *,
    prompt: Sequence[str] | None = None,
    model: str | None = None,
    system: str | None = None,
    effort: str | None = None,
    attach: Sequence[str] | None = None,
    file: Sequence[str] | None = None,
    continue_: bool = False,
    cid: str | None = None,
    schema: str | None = None,
    as_json: bool = False,
    stream_json: bool = False,
    extract: bool = False,
    output: str | None = None,
    raw: bool = False,
    markdown: bool = False,
    show_reasoning: bool = False,
    search: bool = False,
    interactive: bool = False,
    no_stdin: bool = False,
    no_log: bool = False,
    dry_run: bool = False,
    base_url: str | None = None,
    demo: bool = False,
    record: Path | None = None,
    record_content: bool = False,
) -> None:
    """Asks, prints the answer, and ends the program with the exit code of what went wrong."""
    in_json = as_json or stream_json
    with ending(as_json=in_json):
        one_of(("--json", as_json), ("--stream-json", stream_json), ("--extract", extract))
        one_of(("--raw", raw), ("--md", markdown))
        one_of(("--continue", continue_), ("--cid", cid is not None))
        one_of(("--stream-json", stream_json), ("--output", output not in (None, "-")))
        for other in (
            ("--json", as_json), ("--stream-json", stream_json), ("--extract", extract),
            ("--output", output is not None), ("--dry-run", dry_run),
        ):  # fmt: skip
            one_of(("--interactive", interactive), other)
        alone = not (prompt or attach or file or no_stdin or dry_run or output is not None)
        interactive = interactive or (alone and not (in_json or extract) and sys.stdin.isatty())
        if interactive and not sys.stdin.isatty():
            raise Problem("--interactive: stdin is no terminal")
        form = AnswerFormat(
            output=_output_path(output), as_json=as_json, stream_json=stream_json, extract=extract,
            schema=schema is not None, raw=raw, markdown=markdown,
        )  # fmt: skip
        chosen = settings(
            base_url=base_url, demo=demo, record=record, record_content=record_content
        )
        log = None if no_log or global_options().no_log else path_in(chosen)
        conversation = _new_conversation(system, effort, schema, search, show_reasoning, log)
        if continue_ or cid is not None:
            model = _go_on(conversation, path_in(chosen), cid, model)
        read_stdin = not (no_stdin or interactive)
        question = composed(prompt or (), attach or (), file or (), read_stdin=read_stdin)
        if not question and not interactive:
            nothing_to_ask("codexapi chat")
        if dry_run:
            put(_request(chosen, conversation, question, model))
            return
        if interactive:
            from .interactive import converse  # most never do

            converse(chosen, conversation, question, model, form.answer)
            return
    if code := run(_chat(chosen, conversation, question, model, form), as_json=in_json):
        raise SystemExit(code)


def _new_conversation(
    system: str | None,
    effort: str | None,
    schema: str | None,
    search: bool,
    summary: bool,
    log: Path | None,
) -> Conversation:
    return Conversation(
        model="",
        system=text_or_file(system, "--system") if system else None,
        effort=effort,
        form=json_form(schema_of(schema)) if schema is not None else None,
        search=search,
        summary=summary,
        log=log,
    )


async def _chat(
    chosen: engine.Settings,
    conversation: Conversation,
    question: Question,
    model: str | None,
    form: AnswerFormat,
) -> int:
    """Returns the exit code of what the model ended with."""
    async with opened(chosen) as codex:
        await begin(conversation, codex, model)
        outcome = await conversation.turn(codex, question, form.answer)
    try:
        form.finish(outcome)
    except StdoutError as error:
        raise stdout_problem(error, history_hint(outcome["cid"], demo=chosen.demo)) from None
    return ending_of(outcome)


def ending_of(outcome: JsonObject) -> int:
    """The exit code of what a model ended with."""
    if outcome["refusal"] is not None:
        note("codexapi: the model refused")
        return FAILED
    return 0 if outcome["finish_reason"] == "stop" else INCOMPLETE


async def begin(conversation: Conversation, codex: engine.Codex, model: str | None) -> None:
    """Sets a conversation's model: the option's, else the one it had, else the user's own."""
    conversation.switch(await codex.model(model))


def one_of(*options: tuple[str, bool]) -> None:
    """Raises Problem if more than one of these options is set: they exclude each other."""
    names = [name for name, is_set in options if is_set]
    if len(names) > 1:
        raise Problem(f"{names[0]} and {names[1]} do not go together")


def nothing_to_ask(command: str) -> NoReturn:
    """Ends the program, in one line. Raises Problem."""
    raise Problem(f"there is nothing to ask: give it in words, or on stdin; {command} --help")


def extracted(text: str) -> str:
    """The content of the first fenced block; the complete text where there is none."""
    block = first_block(text)
    if block is None:
        note("codexapi: the answer has no fenced block; this is all of it")
    return text if block is None else block


def first_block(text: str) -> str | None:
    match = re.search(_FENCED, text)
    return match[2] if match else None


def _go_on(
    conversation: Conversation, path: Path, cid: str | None, model: str | None
) -> str | None:
    """Continues an earlier chat in this conversation; returns its model. Raises Problem."""
    with ChatHistory(path) as history:
        head = history.find(cid)
        if head is None:
            raise Problem(
                f"--cid {cid}: there is no such chat, or more than one: see `codexapi history`"
                if cid is not None
                else "--continue: there is no chat yet"
            )
        conversation.cid, conversation.items = head["cid"], history.items(head["cid"])
        conversation.base = conversation.items
        conversation.account = history.account(conversation.cid)
    conversation.model = head["model"]
    conversation.system = conversation.system or head["system"]
    return model or str(head["model"])


def _output_path(output: str | None) -> Path | None:
    """The sink of the answer. Raises Problem where it is unusable, before any request."""
    if output in (None, "-"):
        return None
    try:
        path = user_files.absolute(str(output))
        user_files.check(path, over=True)
    except OSError as error:
        raise Problem(f"--output {output}: {error.strerror}", LOCAL_FILE) from None
    return path


def _save(path: Path, text: str) -> None:
    """An answer that its file does not take goes to stdout: it was paid for."""
    try:
        user_files.write(path, text.encode(errors="replace"), over=True)
    except OSError as error:
        put(text)
        raise Problem(f"{path}: {error.strerror}; the answer is on stdout", LOCAL_FILE) from None


def _request(
    chosen: engine.Settings, conversation: Conversation, question: Question, model: str | None
) -> str:
    """The request that would be sent. No login is read, and pictures are cut short."""
    known = named_model(chosen, model)
    conversation.switch(known or "")
    if known is None:
        note("codexapi: no model is named: it would be the first of your account")
    headers = {
        "authorization": "Bearer (left out)",
        "accept": "text/event-stream",
        "content-type": "application/json",
        **backend_headers(user_agent(), chosen.protocol_version),
        **affinity(conversation.cid),
    }
    body = to_backend(conversation.request(question))
    outcome = {
        "method": "POST", "url": f"{chosen.base_url}/responses", "headers": headers,
        "body": {**body, "model": known},
    }  # fmt: skip
    written = to_json(outcome, indent=2)
    return re.sub(_DATA_URL, lambda url: f"{url[1]}… ({len(url[0])} characters)", written) + "\n"
