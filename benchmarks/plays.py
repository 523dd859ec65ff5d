"""What the fake backend plays: asked for in the prompt, made before it is sent.

Every delta holds one MARK, a byte that no server escapes. Where the backend says the whole text
again, it writes the mark as an escape. So who counts the marks of an answer, in pieces of any size,
has counted its deltas.
"""

from __future__ import annotations

import functools
import json
import re
from dataclasses import dataclass
from typing import Any, NamedTuple, Self

MARK = b"~"
MODEL = "gpt-6.1-sol"
_ASKED = re.compile(rb"play=(\w+),(\d+),(\d+),(\d+);")
_MEGABYTE = 2**20
_ITEM = "msg_0a1b2c3d4e5f60718293a4b5c6d7e8f9"
_FILLING = "kT2vQ9xLmW4zRb7Y"
_SAID = " and~so"


@dataclass(frozen=True, slots=True)
class Play:
    """One answer. As a string it is the prompt that asks for it."""

    kind: str = "text"  # or `tool`: deltas of a tool call's arguments; or `image`: one event
    count: int = 20  # deltas; of an image, megabytes
    rate: int = 0  # deltas a second, each alone; 0: all of them in one write
    wait: int = 0  # milliseconds before the first delta

    def __str__(self) -> str:
        return f"play={self.kind},{self.count},{self.rate},{self.wait};"

    @classmethod
    def asked(cls, body: bytes) -> Self:
        found = _ASKED.search(body)
        if found is None:
            return cls()
        kind, *numbers = found.groups()
        return cls(kind.decode(), *map(int, numbers))

    @property
    def marks(self) -> int:
        """How many marks a whole answer has."""
        return 1 if self.kind == "image" else self.count


class Events(NamedTuple):
    """An answer's events, each framed as a chunk of HTTP."""

    opening: bytes
    deltas: list[bytes]
    closing: bytes


@functools.lru_cache(maxsize=32)
def events(kind: str, count: int) -> Events:
    return {"text": _text, "tool": _tool, "image": _image}[kind](count)


def _text(count: int) -> Events:
    item = {"id": _ITEM, "type": "message", "role": "assistant", "phase": "final_answer"}
    part = {"type": "output_text", "annotations": [], "logprobs": []}
    where = {"item_id": _ITEM, "output_index": 0, "content_index": 0}
    said = _SAID * count
    opening = [
        *_begun(),
        _event("response.output_item.added", output_index=0, item={**item, "content": []}),
        _event("response.content_part.added", **where, part={**part, "text": ""}),
    ]
    deltas = _numbered(
        _event(
            "response.output_text.delta", **where, delta=_SAID, logprobs=[], obfuscation=_FILLING
        ),
        count,
    )
    whole = {**item, "status": "completed", "content": [{**part, "text": said}]}
    closing = [
        _again("response.output_text.done", **where, text=said, logprobs=[]),
        _again("response.content_part.done", **where, part={**part, "text": said}),
        _again("response.output_item.done", output_index=0, item=whole),
        _completed(count),
    ]
    return Events(b"".join(opening), deltas, b"".join(closing))


def _tool(count: int) -> Events:
    item = {"id": _ITEM, "type": "function_call", "call_id": "call_0001", "name": "note"}
    where = {"item_id": _ITEM, "output_index": 0}
    deltas = _numbered(
        _event(
            "response.function_call_arguments.delta", **where, delta=_SAID, obfuscation=_FILLING * 3
        ),
        count,
    )
    # So that what was said in deltas is what the whole call says.
    first, last = (
        _event("response.function_call_arguments.delta", **where, delta=delta)
        for delta in ('{"text":"', '"}')
    )
    arguments = json.dumps({"text": _SAID * count}, separators=(",", ":"))
    whole = {**item, "status": "completed", "arguments": arguments}
    opening = [
        *_begun(),
        _event("response.output_item.added", output_index=0, item={**item, "arguments": ""}),
        first,
    ]
    closing = [
        last,
        _again("response.function_call_arguments.done", **where, arguments=arguments),
        _again("response.output_item.done", output_index=0, item=whole),
        _completed(count),
    ]
    return Events(b"".join(opening), deltas, b"".join(closing))


def _image(megabytes: int) -> Events:
    item = {"id": _ITEM, "type": "image_generation_call"}
    drawn = {
        **item, "status": "completed", "output_format": "png", "size": "1024x1024",
        "revised_prompt": "a fox~", "result": "iVBORw0K" * (megabytes * _MEGABYTE // 8),
    }  # fmt: skip
    opening = [*_begun(), _event("response.output_item.added", output_index=0, item=item)]
    heavy = _event("response.output_item.done", output_index=0, item=drawn)
    return Events(b"".join(opening), [heavy], _completed(1))


def _begun() -> list[bytes]:
    return [
        _event(f"response.{status}", response=_response("in_progress"))
        for status in ("created", "in_progress")
    ]


def _completed(tokens: int) -> bytes:
    usage = {
        "input_tokens": 12, "input_tokens_details": {"cached_tokens": 0}, "output_tokens": tokens,
        "output_tokens_details": {"reasoning_tokens": 0}, "total_tokens": tokens + 12,
    }  # fmt: skip
    return _event("response.completed", response={**_response("completed"), "usage": usage})


def _response(status: str) -> dict[str, Any]:
    """As the backend sends it: with an empty `output` at the end too."""
    return {
        "id": "resp_0a1b2c3d4e5f60718293a4b5c6d7e8f9", "object": "response",
        "created_at": 1795332000, "status": status, "background": False, "error": None,
        "incomplete_details": None, "instructions": "Be brief.", "max_output_tokens": None,
        "metadata": {}, "model": MODEL, "output": [], "parallel_tool_calls": True,
        "previous_response_id": None, "reasoning": {"effort": "low", "summary": None},
        "service_tier": "auto", "store": False, "temperature": 1.0,
        "text": {"format": {"type": "text"}, "verbosity": "medium"}, "tool_choice": "auto",
        "tools": [], "top_p": 1.0, "truncation": "disabled", "usage": None, "user": None,
    }  # fmt: skip


def _event(kind: str, **data: Any) -> bytes:
    content = json.dumps({"type": kind, "sequence_number": 0, **data}, separators=(",", ":"))
    return _chunk(f"event: {kind}\ndata: {content}\n\n".encode())


def _again(kind: str, **data: Any) -> bytes:
    """An event that says what deltas have said."""
    _, _, event = _event(kind, **data).removesuffix(b"\r\n").partition(b"\r\n")
    return _chunk(event.replace(MARK, b"\\u%04x" % ord(MARK)))


def _chunk(data: bytes) -> bytes:
    return b"%x\r\n%b\r\n" % (len(data), data)


def _numbered(chunk: bytes, count: int) -> list[bytes]:
    """The chunk so many times, all of one length and each with a number of its own."""
    _, _, event = chunk.removesuffix(b"\r\n").partition(b"\r\n")
    before, after = event.split(b'"sequence_number":0', 1)
    frame = b'%b"sequence_number":%%d%b' % (before.replace(b"%", b"%%"), after.replace(b"%", b"%%"))
    return [_chunk(frame % (100_000 + number)) for number in range(count)]
