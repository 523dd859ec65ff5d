"""What must hold of every run. Nothing here knows the schedule: only what was acknowledged, what
was written, and what stands in the backend's books."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from PIL import Image
from tests.http_server import raw
from tests.matrix.doors import Told, streamed_chat, streamed_response, whole_chat, whole_response
from tests.storm.backend import MARK, OURS, Books
from tests.storm.background import Background
from tests.storm.clients import KEY, Reply
from tests.storm.login_store import LoginStore
from tests.storm.processes import Process
from tests.wire_files import events

from codexapi_cli.conversation.chat_history import ChatHistory, transcript
from codexapi_engine.errors import CodexError
from codexapi_engine.protocol import auth_file

LOGS = {".err", ".log", ".old"}
NOT_KEPT = "was not kept"
DEADLY = {"TERM", "INT", "HUP", "QUIT", "KILL"}
CODES = frozenset({0, 1, 2, 3, 4, 5, 6, 7, 9})
"""Exit codes of a command that nobody has told to end."""


@dataclass
class Command:
    """A run of the command line."""

    process: Process
    kind: str
    mark: bytes
    output: Path | None  # where its picture or answer goes


@dataclass
class Call:
    """A call of an MCP tool, and its answer."""

    process: Process
    tool: str
    mark: bytes
    answer: dict[str, Any] | None = None
    was_cancelled: bool = False


@dataclass
class Record:
    """What was seen of a run."""

    books: Books
    login: LoginStore
    folder: Path
    history: Path
    replies: list[Reply] = field(default_factory=list)
    servers: dict[str, Process] = field(default_factory=dict)  # by a reply's label
    commands: list[Command] = field(default_factory=list)
    calls: list[Call] = field(default_factory=list)
    backgrounds: list[Background] = field(default_factory=list)
    processes: list[Process] = field(default_factory=list)
    heard: list[bytes] = field(default_factory=list)  # from MCP servers
    excuses: list[tuple[float, float]] = field(default_factory=list)
    """When a pair of tokens on its way may be lost: a kill, or a disk that takes nothing."""
    problems: list[str] = field(default_factory=list)  # that the driver met itself

    def texts(self, mark: bytes) -> list[str]:
        """What the backend has said to its end to a prompt."""
        said = (attempt.text() for attempt in self.books.attempts.get(mark, ()))
        return [text for text in said if text is not None]


def violations(record: Record) -> list[str]:
    found = list(record.problems)
    for oracle in ORACLES:
        found += oracle(record)
    return found


def a_token_is_spent_once(record: Record) -> Iterator[str]:
    """A token that ours has sent, and that was looked at, is sent by none of ours again."""
    spent: set[str] = set()
    for entry in record.books.redemptions:
        if entry.who == OURS:
            if entry.token in spent:
                sent = [str(r) for r in record.books.redemptions if r.token == entry.token]
                yield "\n".join(["a refresh token was sent twice:", *sent])
            if entry.is_final:
                spent.add(entry.token)
            earlier = record.books.spender(entry.token)
            if entry.outcome == "refused" and earlier is None:
                yield f"a refresh token was sent that was never issued: {entry.token}"


def the_login_is_complete(record: Record) -> Iterator[str]:
    try:
        data = record.login.read()
        login = auth_file.parse(data)
    except (OSError, ValueError, CodexError) as error:
        yield f"there is no complete login: {error!r}"
        return
    token = login.refresh_token
    if token is None or token.reveal() not in record.books.secrets:
        yield "the login has a refresh token that nobody has issued"
        return
    spender = record.books.spender(token.reveal())
    if spender is None or spender.who != OURS or not spender.has_answer:
        return
    if not any(start <= spender.ended and end >= spender.began for start, end in record.excuses):
        yield f"a pair that reached us is lost: the login has a token that ours spent: {spender}"


def replies_tell_failures(record: Record) -> Iterator[str]:
    for reply in record.replies:
        if reply.client in ("vanish", "half"):
            continue
        try:
            yield from (f"{reply.label}: {problem}" for problem in _wrong(record, reply))
        except (AssertionError, ValueError, KeyError, TypeError) as error:
            told = " ".join(str(error).split())[:300]
            yield f"{reply.label}: not in the dialect's form: {error!r:.60} {told} {reply!r:.600}"


def _wrong(record: Record, reply: Reply) -> Iterator[str]:
    told_to_end = bool(DEADLY & set(record.servers[reply.label].signals))
    if reply.is_late:
        yield "no answer and no end within the bound"
    elif reply.status is None or not reply.is_complete:
        if not told_to_end:
            yield f"the connection broke without a word ({reply.status}): {reply.body[-200:]!r}"
        if b"data: [DONE]" in reply.body:
            yield from _untrue(record, reply)
    elif reply.status != 200:
        error = raw.Reply(reply.status, reply.headers, reply.body).error
        if reply.status == 500 or error["code"] == "internal_error":
            yield f"a fault of ours: {reply.body!r}"
    elif reply.door in ("chat", "completions", "responses"):
        yield from _untrue(record, reply)
    elif b'"error"' in reply.body[:10]:
        yield f"an error with status 200: {reply.body[:200]!r}"


def _untrue(record: Record, reply: Reply) -> Iterator[str]:
    """A success, and the backend has not said so."""
    if reply.background and not reply.stream:
        if reply.json["status"] != "queued":
            yield f"in the background, and {reply.json['status']}"
        return
    told = read(reply)
    said = record.texts(reply.mark)
    if told.finish is not None and told.text not in said:
        yield f"told as complete, and the backend has not said so: {told.text!r:.200} of {said!r:.300}"
    if told.finish is None and not told.code:
        yield f"neither an end nor an error: {reply.body[-200:]!r}"


def read(reply: Reply) -> Told:
    """What a reply with status 200 says. Raises AssertionError."""
    got = raw.Reply(reply.status or 0, reply.headers, reply.body)
    if reply.door == "responses":
        if reply.stream:
            told = streamed_response(got)
            return replace(told, text=_in_the_end(reply.body)) if told.finish else told
        told = whole_response(got)
        return told if told.finish else Told(code=str(got.json["error"]["code"]))
    return streamed_chat(got) if reply.stream else whole_chat(got)


def _in_the_end(body: bytes) -> str:
    """What the last event of a stream says: not every backend sends deltas."""
    ends = (e for e in events(body) if e.type in ("response.completed", "response.incomplete"))
    items = next(ends).json["response"]["output"]
    return "".join(part.get("text", "") for item in items for part in item.get("content") or ())


def commands_tell_failures(record: Record) -> Iterator[str]:
    for command in record.commands:
        process = command.process
        label = f"{process.name} ({command.kind}, signals {process.signals})"
        if not process.ended.done():
            continue  # told by the driver
        code, complaint = process.ended.result(), process.complaint()
        signalled = bool(DEADLY & set(process.signals))
        if code not in CODES and not signalled:
            yield f"{label}: exit code {code}: {complaint[-400:]}"
        if code in CODES - {0} and "codexapi: " not in complaint and not signalled:
            yield f"{label}: exit code {code}, and not a word of it: {complaint[-400:]}"
        if code == 0 and command.kind in ("chat", "continue", "file"):
            answer = process.answer() if command.output is None else command.output.read_text()
            said = record.texts(command.mark)
            if answer.strip() not in [text.strip() for text in said]:
                yield f"{label}: exit code 0, and the backend has not said so: {answer!r:.200}"
        if command.kind == "image" and command.output is not None:
            yield from (f"{label}: {problem}" for problem in _picture(command.output, code == 0))


def _picture(path: Path, is_told: bool) -> Iterator[str]:
    if is_told and not path.exists():
        yield "exit code 0, and no picture"
    elif path.exists():
        try:
            with Image.open(path) as picture:
                picture.load()
        except (OSError, ValueError) as error:
            yield f"half a picture is left: {error}"


def servers_in_the_background_are_found(record: Record) -> Iterator[str]:
    """What `serve --detach` tells of is there, and `stop` finds it and ends it."""
    known = {background.start.name for background in record.backgrounds}
    for command in record.commands:
        process = command.process
        has_begun = process.ended.done() and process.ended.result() == 0
        if command.kind == "detach" and has_begun and process.name not in known:
            yield f"{process.name}: exit code 0, and no server: {process.complaint()[-400:]}"
    for background in record.backgrounds:
        stop = background.stop
        if stop is None or not stop.ended.done() or stop.ended.result() != 0:
            continue
        if background.is_alive and background.is_known:
            yield f"{background.server.name} lives on after: {stop.complaint()[-400:]}"
        if background.was_alive and background.is_known and "stopped http" not in stop.complaint():
            yield f"{background.server.name} was not found: {stop.complaint()[-400:]}"


def calls_tell_failures(record: Record) -> Iterator[str]:
    for call in record.calls:
        told_to_end = bool(DEADLY & set(call.process.signals))
        label = f"MCP {call.tool} {call.mark.decode()}"
        if call.answer is None:
            if not call.was_cancelled and not told_to_end:
                yield f"{label}: no answer"
            continue
        result = call.answer.get("result")
        if result is None:
            yield f"{label}: {json.dumps(call.answer)[:300]}"
        elif result.get("isError"):
            error = (result.get("structuredContent") or {}).get("error") or {}
            if not error.get("code") or error["code"] == "internal_error":
                yield f"{label}: an error without a code, or a fault of ours: {result!r:.300}"
        elif call.tool == "generate_text":
            if result["content"][0]["text"] not in record.texts(call.mark):
                yield f"{label}: an answer that the backend has not given: {result!r:.300}"
        elif call.tool == "generate_image":
            for path in re.findall(r"(/\S+\.png)", json.dumps(result)):
                yield from (f"{label}: {problem}" for problem in _picture(Path(path), True))


def chats_are_kept(record: Record) -> Iterator[str]:
    """Each turn whose process ended well is in the history, or was said not to be."""
    done = [
        command
        for command in record.commands
        if command.kind in ("chat", "continue", "file")
        and command.process.ended.done()
        and command.process.ended.result() == 0
        and NOT_KEPT not in command.process.complaint()
    ]
    kept = _kept(record.history) if record.history.exists() else {}
    for command in done:
        if command.mark not in kept:
            yield f"{command.process.name} ({command.kind}): ended with 0, and its turn is lost"


def _kept(path: Path) -> dict[bytes, str]:
    """The chats, by each prompt in them."""
    with ChatHistory(path) as past:
        texts = [transcript(past.items(head["cid"])) for head in past.heads()]
    return {mark: text for text in texts for mark in MARK.findall(text.encode())}


def secrets_stay(record: Record) -> Iterator[str]:
    """No token anywhere but in the login, no prompt in a log, no key."""
    books = record.books
    tokens = [*(secret.encode() for secret in books.secrets), KEY.encode()]
    for path in sorted(record.folder.rglob("*")):
        if record.login.has(path) or not path.is_file():
            continue
        data = path.read_bytes()
        if any(token in data for token in tokens):
            yield f"a secret in {path.relative_to(record.folder)}"
        if path.suffix in LOGS and MARK.search(data):
            yield f"a prompt in {path.relative_to(record.folder)}"
        if path.suffix in LOGS and books.account_id.encode() in data:
            yield f"the account in {path.relative_to(record.folder)}"
    got = [(reply.label, reply.body) for reply in record.replies]
    for label, data in [*got, *(("MCP", heard) for heard in record.heard)]:
        if any(token in data for token in tokens):
            yield f"{label}: a secret was sent to a client"


_AT_THE_END = re.compile(
    r"Exception ignored in: <(module 'threading'|_io.TextIOWrapper name='<std).*KeyboardInterrupt:",
    re.DOTALL,
)
"""Ctrl-C when the program is over, and the interpreter is not: it alone can say that."""


def no_fault_of_ours(record: Record) -> Iterator[str]:
    for process in record.processes:
        complaint = _AT_THE_END.sub("", process.complaint())
        if "KeyboardInterrupt" in complaint and "codexapi_" not in complaint:
            continue  # Ctrl-C before our first line: the interpreter's own, likewise
        for sign in ("Traceback", "internal_error", "never awaited", "never retrieved", "a bug"):
            if sign in complaint:
                at = complaint.index(sign)
                yield f"{process.name} {process.signals}: {complaint[max(0, at - 300) : at + 900]}"
                break


ORACLES: tuple[Callable[[Record], Iterator[str]], ...] = (
    a_token_is_spent_once,
    the_login_is_complete,
    replies_tell_failures,
    commands_tell_failures,
    servers_in_the_background_are_found,
    calls_tell_failures,
    chats_are_kept,
    secrets_stay,
    no_fault_of_ours,
)
