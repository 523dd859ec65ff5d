"""A Messages stream, and the blocks in it."""

from __future__ import annotations

from typing import Any

from tests.message_replies import added_up
from tests.wire_files import events, translated, wire

from codexapi_engine.errors import CodexError
from codexapi_engine.protocol import JsonObject, anthropic, sse

ME = anthropic.Writer("account", "m:high")
PLAIN = anthropic.MessageOptions("asked", writer=ME, input_tokens=7)


def message(name: str, options: anthropic.MessageOptions = PLAIN) -> JsonObject:
    out, error = translated(events(wire(name)), anthropic.MessageStream(options))
    assert error is None
    return added_up(out)


def event(kind: str, **data: Any) -> bytes:
    return sse.encode({"type": kind, **data}, kind)


def delta(index: int, piece: str, kind: str = "output_text") -> bytes:
    place = {"output_index": index} | ({"content_index": 0} if kind == "output_text" else {})
    return event(f"response.{kind}.delta", **place, delta=piece)


def text(words: str, *notes: JsonObject) -> JsonObject:
    part = {"type": "output_text", "text": words, "annotations": list(notes)}
    return {"type": "message", "role": "assistant", "content": [part]}


BEGIN = event("response.created", response={"id": "resp_1"})


def end(**response: Any) -> bytes:
    return event("response.completed", response={"id": "resp_1", **response})


def made(
    *pieces: bytes, options: anthropic.MessageOptions = PLAIN, **response: Any
) -> tuple[bytes, CodexError | None]:
    data = b"".join([BEGIN, *pieces, end(**response)])
    return translated(events(data), anthropic.MessageStream(options))
