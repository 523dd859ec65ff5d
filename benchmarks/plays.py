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

from benchmarks import corpora

MARK = corpora.MARK.encode()
MODEL = "gpt-6.1-sol"
_ASKED = re.compile(rb"play=(\w+),(\d+),(\d+),(\d+),(\d);")
_MEGABYTE = 2**20
_ITEM = "msg_0a1b2c3d4e5f60718293a4b5c6d7e8f9"
_FILLING = "kT2vQ9xLmW4zRb7Y"
_SAID = " and~so"


@dataclass(frozen=True, slots=True)
class Play:
    """One answer. As a string it is the prompt that asks for it."""

    kind: str = "text"  # or `tool`: a call's arguments; `image`: one event; or one of the corpora
    count: int = 20  # deltas; of an image, megabytes
    rate: int = 0  # deltas a second, each alone; 0: all of them in one write
    wait: int = 0  # milliseconds before the first delta
    closes: bool = False  # the connection after the answer, so that the next one needs another

    def __str__(self) -> str:
        return f"play={self.kind},{self.count},{self.rate},{self.wait},{self.closes:d};"

    @classmethod
    def asked(cls, body: bytes) -> Self:
        found = _ASKED.search(body)
        if found is None:
            return cls()
        kind, count, rate, wait, closes = found.groups()
        return cls(kind.decode(), int(count), int(rate), int(wait), closes == b"1")

    @property
    def is_call(self) -> bool:
        """Whether its deltas are a tool call's."""
        return self.kind == "tool" or self.kind in corpora.CALLS

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
    if kind == "image":
        return _image(count)
    if kind in corpora.KINDS:
        said, raw = corpora.corpus(kind, count), kind not in corpora.ASCII
        return (_tool if kind in corpora.CALLS else _text)(said, raw=raw)
    if kind == "tool":
        return _tool(corpora.Corpus((_SAID,) * count, '{"text":"', '"}'))
    return _text(corpora.Corpus((_SAID,) * count))


def _text(corpus: corpora.Corpus, *, raw: bool = False) -> Events:
    kind = "response.output_text.delta"
    item = {"id": _ITEM, "type": "message", "role": "assistant", "phase": "final_answer"}
    part = {"type": "output_text", "annotations": [], "logprobs": []}
    where = {"item_id": _ITEM, "output_index": 0, "content_index": 0}
    said = "".join(corpus.deltas)
    opening = [
        *_begun(),
        _event("response.output_item.added", output_index=0, item={**item, "content": []}),
        _event("response.content_part.added", **where, part={**part, "text": ""}),
    ]
    deltas = [
        _delta(kind, number, delta, where, raw=raw, padding=16, logprobs=[])
        for number, delta in enumerate(corpus.deltas)
    ]
    whole = {**item, "status": "completed", "content": [{**part, "text": said}]}
    closing = [
        _again("response.output_text.done", raw=raw, **where, text=said, logprobs=[]),
        _again("response.content_part.done", raw=raw, **where, part={**part, "text": said}),
        _again("response.output_item.done", raw=raw, output_index=0, item=whole),
        _completed(len(deltas)),
    ]
    return Events(b"".join(opening), deltas, b"".join(closing))


def _tool(corpus: corpora.Corpus, *, raw: bool = False) -> Events:
    kind = "response.function_call_arguments.delta"
    item = {"id": _ITEM, "type": "function_call", "call_id": "call_0001", "name": "note"}
    where = {"item_id": _ITEM, "output_index": 0}
    deltas = [
        _delta(kind, number, delta, where, raw=raw, padding=48)
        for number, delta in enumerate(corpus.deltas)
    ]
    # So that what was said in deltas is what the whole call says.
    first, last = (_event(kind, **where, delta=each) for each in (corpus.begins, corpus.ends))
    arguments = "".join([corpus.begins, *corpus.deltas, corpus.ends])
    whole = {**item, "status": "completed", "arguments": arguments}
    opening = [
        *_begun(),
        _event("response.output_item.added", output_index=0, item={**item, "arguments": ""}),
        first,
    ]
    closing = [
        last,
        _again("response.function_call_arguments.done", raw=raw, **where, arguments=arguments),
        _again("response.output_item.done", raw=raw, output_index=0, item=whole),
        _completed(len(deltas)),
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
    return _chunk(_framed(kind, {"type": kind, "sequence_number": 0, **data}, raw=False))


def _delta(
    kind: str, number: int, delta: str, where: dict[str, Any], *, raw: bool, padding: int,
    **more: Any,
) -> bytes:  # fmt: skip
    """An event with a number of its own, and a filling that hides how long the delta is."""
    padding += len(_SAID) - len(delta) % len(_FILLING)
    said = {"delta": delta, **more, "obfuscation": (_FILLING * 4)[:padding]}
    data = {"type": kind, "sequence_number": 100_000 + number, **where, **said}
    return _chunk(_framed(kind, data, raw=raw))


def _framed(kind: str, data: dict[str, Any], *, raw: bool) -> bytes:
    content = json.dumps(data, separators=(",", ":"), ensure_ascii=not raw)
    return f"event: {kind}\ndata: {content}\n\n".encode()


def _again(kind: str, *, raw: bool, **data: Any) -> bytes:
    """An event that says what deltas have said."""
    event = _framed(kind, {"type": kind, "sequence_number": 0, **data}, raw=raw)
    return _chunk(event.replace(MARK, b"\\u%04x" % ord(MARK)))


def _chunk(data: bytes) -> bytes:
    return b"%x\r\n%b\r\n" % (len(data), data)
