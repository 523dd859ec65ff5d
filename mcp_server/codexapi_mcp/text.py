"""The tool that asks a model, and its conversations.

The answer is plain text in a block of its own: clients show their model nothing else where they
find structured content. Facts about it follow in a second block, and for programs in `_meta`.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from mcp.server.mcpserver import Context
from mcp.types import CallToolResult, ContentBlock, TextContent

from codexapi_engine import Assembler, Codex, CodexError, EventStream, Text, request, text_of
from codexapi_engine.errors import InvalidRequest, JsonObject
from codexapi_engine.protocol.responses import json_form
from codexapi_engine.protocol.responses.estimate import BYTES_PER_TOKEN
from codexapi_engine.protocol.responses.items import ENCRYPTED_INPUT
from codexapi_engine.protocol.shapes import get_dict, get_str
from codexapi_engine.storage import Owner

from .attachments import Disk, message
from .failures import Partial
from .runtime import Runtime, with_progress


@dataclass(frozen=True, slots=True)
class Question:
    prompt: str
    system: str | None = None
    model: str | None = None
    effort: str | None = None
    images: Sequence[str] = ()
    files: Sequence[str] = ()
    schema: JsonObject | None = None
    limit: int | None = None  # tokens of the answer
    conversation: str | None = None


@dataclass(slots=True)
class Answer:
    """How far it has come."""

    limit: int | None  # bytes
    pieces: list[str] = field(default_factory=list)
    changed: tuple[str, ...] = ()  # what of the request could not stay as it was
    size: int = 0  # characters
    weight: int = 0  # bytes

    @property
    def text(self) -> str:
        return "".join(self.pieces)

    @property
    def is_full(self) -> bool:
        return self.limit is not None and self.weight > self.limit

    def add(self, piece: str) -> None:
        self.pieces.append(piece)
        self.size += len(piece)
        self.weight += len(piece.encode(errors="replace"))

    def cut(self) -> str:
        return self.text.encode(errors="replace")[: self.limit].decode(errors="ignore")

    def progress(self, seconds: float) -> str:
        """How far it is, for a person who waits."""
        if self.size:
            return f"{self.size:,} characters".replace(",", " ")
        return f"reasoning, {seconds:.0f} s"


async def generate(ctx: Context[Runtime, Any], question: Question) -> CallToolResult:
    """Raises CodexError, and Partial where a part of the answer had come."""
    runtime = ctx.request_context.lifespan_context
    codex = runtime.codex
    before, begun = _before(runtime, question)
    disk = Disk.of(codex.settings)
    item = await asyncio.to_thread(message, question.prompt, question.images, question.files, disk)
    answer = Answer(round(question.limit * BYTES_PER_TOKEN) if question.limit else None)

    async def run() -> tuple[str, Owner, JsonObject]:
        model = await codex.model(question.model or get_str(begun, "model") or None)
        owner = await codex.owner(model)
        history = runtime.state.conversations.history(before, owner=owner) if before else []
        body = request(
            [*history, item],
            model=model,
            instructions=question.system or get_str(begun, "system") or None,
            effort=question.effort,
            form=json_form(question.schema) if question.schema is not None else None,
        )
        account, response = await _response(codex, body, answer)
        return model, Owner.of(account, model), response

    model, owner, response = await with_progress(ctx, answer.progress, run)
    reason = _finish_reason(response)
    text = answer.cut() if answer.is_full else text_of(response)
    output = response["output"] if not answer.is_full else [_assistant_message(text)]
    conversation = before or _new_conversation(runtime, model, question.system)
    runtime.state.conversations.add(conversation, [item, *output], owner=owner)
    return _to_result(
        text, reason, model, conversation, response,
        _notes(question, answer.changed, model, response), answer.changed,
    )  # fmt: skip


async def _response(
    codex: Codex, body: JsonObject, answer: Answer
) -> tuple[str | None, JsonObject]:
    """The account that was asked, and the finished response, or what there is of it when the answer
    is full: the rest of it is then cancelled at the backend."""
    try:
        async with await codex.open(body) as events:
            answer.changed = events.changed
            response = await _collect(events, answer)
            return events.account, response
    except CodexError as error:
        if answer.size:
            raise Partial(answer.text) from error
        raise


async def _collect(events: EventStream, answer: Answer) -> JsonObject:
    fold, text = Assembler(), Text()
    while batch := await events.batch():
        for event in batch:
            fold.feed(event)
            answer.add(text.feed(event))
            if answer.is_full:
                return {"status": "incomplete", "incomplete_details": _FULL, "output": []}
    return fold.finish()


_FULL: JsonObject = {"reason": "max_output_tokens"}


def _before(runtime: Runtime, question: Question) -> tuple[str | None, JsonObject]:
    """The conversation that is gone on with, and what it began with."""
    if question.conversation is None:
        return None, {}
    try:
        kept = runtime.state.conversations.get(question.conversation)
    except InvalidRequest:
        raise InvalidRequest(
            f"conversation_id: this server knows no conversation {question.conversation[:80]}: ids "
            "are good until it is started anew; begin another one by leaving it out",
            code="conversation_not_found",
            param="conversation_id",
        ) from None
    return question.conversation, get_dict(kept, "metadata")


def _new_conversation(runtime: Runtime, model: str, system: str | None) -> str:
    kept = {"model": model, **({"system": system} if system else {})}
    made = runtime.state.conversations.create([], kept, created=int(time.time()))
    return get_str(made, "id")


def _assistant_message(text: str) -> JsonObject:
    """A message of the model's, for the history."""
    part = {"type": "output_text", "text": text, "annotations": []}
    return {"type": "message", "role": "assistant", "status": "incomplete", "content": [part]}


def _finish_reason(response: JsonObject) -> str:
    if response["status"] != "incomplete":
        return "stop"
    reason = get_str(get_dict(response, "incomplete_details"), "reason")
    return {"max_output_tokens": "length"}.get(reason, reason or "unknown")


def _notes(
    question: Question, changed: Sequence[str], model: str, response: JsonObject
) -> list[str]:
    """What of the request could not stay as it was."""
    notes = []
    if "reasoning_effort" in changed:
        effort = get_str(get_dict(response, "reasoning"), "effort") or "the nearest"
        wanted = question.effort or model.rpartition(":")[2]
        notes.append(f"[effort: {model} does not have {wanted[:40]}; {effort} was used.]")
    if ENCRYPTED_INPUT in changed:
        notes.append("[The model's earlier reasoning was left out: the backend does not take it.]")
    return notes


def _to_result(
    text: str,
    reason: str,
    model: str,
    conversation: str,
    response: JsonObject,
    notes: list[str],
    ignored: Sequence[str],
) -> CallToolResult:
    if reason != "stop":
        why = _WHY.get(reason, "")
        notes.append(f"[The answer is incomplete{why}.]")
    notes.append(f"[conversation_id: {conversation}]")
    content: list[ContentBlock] = [TextContent(text=text), TextContent(text="\n".join(notes))]
    meta = {
        "model": get_str(response, "model") or model,
        "usage": response.get("usage"),
        "conversation_id": conversation,
        "finish_reason": reason,
        "ignored": list(ignored),
    }
    return CallToolResult(content=content, _meta={"codexapi": meta})


_WHY = {
    "length": ": it reached its limit of tokens",
    "content_filter": ": a content filter stopped it",
}
