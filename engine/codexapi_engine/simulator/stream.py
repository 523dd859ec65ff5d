"""Makes the events of a simulated response, in the order and form of the real ones.

`Run` makes the steps, and is pure; `played` sends them in chunks of odd sizes.
"""

from __future__ import annotations

import asyncio
import json
import random
import re
import string
from collections.abc import AsyncGenerator, Awaitable, Callable, Iterable, Iterator
from dataclasses import dataclass
from itertools import pairwise

from ..errors import JsonObject
from . import schema
from .answers import Output
from .model_request import ModelRequest
from .refusals import failure

_BATCH = 6
"""The most events in one write, as the real backend sends them under load."""

_PIECE = re.compile(r"\s*\S{1,7}|\s+")
_CONTINUES = re.compile(rb"[\x80-\xbf]")
_COMPACT = json.JSONEncoder(ensure_ascii=False, separators=(",", ":"))
_LETTERS = string.ascii_letters + string.digits
_NOISE = 16
"""Characters of `obfuscation` at most: it hides from a listener how long a delta is."""

_UNKNOWN = (
    b"event: response.simulated.unknown\n"
    b'data: {"type":"response.simulated.unknown","what":"nobody knows"}\n\n'
)
_NOT_JSON = b'event: response.output_text.delta\ndata: {"type":"response.output_text.del\n\n'


@dataclass(frozen=True, slots=True)
class Pause:
    seconds: float


class Stall:
    """The stream says no more, and does not end."""


class Disconnect:
    """The connection breaks."""


Step = JsonObject | bytes | Pause | Stall | Disconnect


@dataclass(frozen=True, slots=True)
class Facts:
    """What a run has from outside: the same facts give the same bytes."""

    number: int
    now: float
    request_id: str
    user: str
    seed: str


class Run:
    """One answer as steps. The scripts of the prompt bend it."""

    def __init__(self, request: ModelRequest, outputs: list[Output], facts: Facts) -> None:
        # set once
        self._request = request
        self._script = request.directions
        self._outputs = outputs
        self._facts = facts
        self._response = _envelope(request, facts)
        self._dice = random.Random(facts.seed).random
        self._noise = "".join(random.Random(facts.seed).choices(_LETTERS, k=1000 + _NOISE))
        # moves
        self._sequence = 0

    def steps(self) -> Iterator[Step]:
        if "empty" in self._script:
            return
        for step in filter(self._sent, self._bent(self._all_steps())):
            if isinstance(step, dict) and "sequence_number" in step:
                step["sequence_number"] = self._sequence
                self._sequence += 1
            yield step

    def _sent(self, step: Step) -> bool:
        """Whether no script leaves this event out."""
        kind = str(step.get("type")) if isinstance(step, dict) else ""
        return not any(name in self._script and lacks(kind) for name, lacks in _LACKS.items())

    def _all_steps(self) -> Iterator[Step]:
        script = self._script
        if "fail_first" in script:
            yield self._failed(script.text("fail_first"))
            return
        yield _event_payload("response.created", response=self._response)
        yield _event_payload("response.in_progress", response=self._response)
        yield from self._opening_events()
        if "fail" in script:
            yield self._failed(script.text("fail"))
            return
        for index, output in enumerate(self._outputs):
            kind = output.item["type"]
            if "no_deltas" in script or kind not in _PLAYED:
                yield _event_payload(
                    "response.output_item.done", output_index=index, item=output.item
                )
            else:
                yield from self._item_steps(index, output)
        yield self._ended()
        if "hold" in script:
            yield Stall()

    def _opening_events(self) -> Iterator[Step]:
        script = self._script
        if "rate_limits" in script:
            yield _rate_limits(script.count("usage", 12), self._facts.now)
        silence, beats = script.number("silence"), script.count("keepalive")
        for _ in range(beats):
            yield Pause(silence / (beats + 1))
            yield _event_payload("keepalive")
        if silence:
            yield Pause(silence / (beats + 1))

    def _bent(self, steps: Iterator[Step]) -> Iterator[Step]:
        """The steps, with waits between deltas, and with what goes wrong in their midst."""
        fault, after = self._fault()
        curiosities = [b for name, b in _CURIOSITIES.items() if name in self._script]
        slow, deltas, output = self._script.number("slow"), 0, False
        for step in steps:
            kind = step.get("type", "") if isinstance(step, dict) else ""
            output = output or kind.startswith(("response.output_item", "response.completed"))
            if output:
                yield from curiosities
                curiosities = []
                ending = kind in ("response.completed", "response.incomplete")
                if fault is not None and (deltas >= after or ending):
                    yield fault
                    return
            if kind.endswith((".delta", ".partial_image")):
                deltas += 1
                if slow:
                    yield Pause(slow)
            yield step

    def _fault(self) -> tuple[Step | None, int]:
        """What goes wrong, and after how many deltas."""
        script = self._script
        if "cut" in script:
            return Pause(0), script.count("cut")
        if "drop" in script:
            return Disconnect(), script.count("drop")
        if "error" in script:
            detail = self._failure(script.text("error", "server_error"))
            flat = {"code": detail["code"], "message": detail["message"], "param": None}
            return _event_payload("error", **flat), 2
        if "error_nested" in script:
            detail = self._failure(script.text("error_nested", "server_error"))
            return _event_payload("error", error={**detail, "param": None}), 2
        return None, 0

    def _failed(self, code: str) -> JsonObject:
        failed = {"status": "failed", "error": self._failure(code)}
        return _event_payload("response.failed", response={**self._response, **failed})

    def _failure(self, code: str) -> JsonObject:
        detail = failure(code)
        message = detail["message"].replace("req_simulated", self._facts.request_id)
        return {**detail, "message": message}

    def _ended(self) -> JsonObject:
        early = "incomplete" in self._script
        status = "incomplete" if early else "completed"
        ended = {
            **self._response,
            "status": status,
            "service_tier": "default",  # recorded: even where priority was granted
            "usage": usage(self._request, self._outputs),
            "completed_at": int(self._facts.now) + 1,
        }
        if drawn := [o.item for o in self._outputs if "result" in o.item]:
            width, height = map(int, drawn[0]["size"].split("x"))
            image_usage = drawing_usage(self._request.prompt, 0, width * height * len(drawn))
            ended["tool_usage"] = {"image_gen": image_usage}
        if early:
            reason = self._script.text("incomplete", "max_output_tokens")
            ended["incomplete_details"] = {"reason": reason}
            del ended["completed_at"]
        return _event_payload(f"response.{status}", response=ended)

    def _item_steps(self, index: int, output: Output) -> Iterator[Step]:
        begun, play = _PLAYED[output.item["type"]]
        item = {key: part for key, part in output.item.items() if key not in _AT_THE_END}
        yield _event_payload(
            "response.output_item.added", output_index=index, item={**item, **begun}
        )
        yield from play(self, index, output)
        yield _event_payload("response.output_item.done", output_index=index, item=output.item)

    def _reasoning_steps(self, index: int, output: Output) -> Iterator[Step]:
        for number, part in enumerate(output.item["summary"]):
            at = {"item_id": output.item["id"], "output_index": index, "summary_index": number}
            empty = {"type": "summary_text", "text": ""}
            yield _event_payload("response.reasoning_summary_part.added", **at, part=empty)
            for delta in _text_pieces(part["text"]):
                yield self._delta("response.reasoning_summary_text.delta", at, delta)
            yield _event_payload("response.reasoning_summary_text.done", **at, text=part["text"])
            yield _event_payload("response.reasoning_summary_part.done", **at, part=part)

    def _message_steps(self, index: int, output: Output) -> Iterator[Step]:
        for number, part in enumerate(output.item["content"]):
            at = {"item_id": output.item["id"], "output_index": index, "content_index": number}
            yield from self._part_steps(at, part, output.deltas)

    def _part_steps(
        self, at: JsonObject, part: JsonObject, deltas: Iterable[str] | None
    ) -> Iterator[Step]:
        kind, field = part["type"], "text" if part["type"] == "output_text" else "refusal"
        logprobs: JsonObject = {"logprobs": []} if kind == "output_text" else {}
        empty = {**part, field: "", **({"annotations": []} if logprobs else {})}
        yield _event_payload("response.content_part.added", **at, part=empty)
        for delta in _text_pieces(part[field]) if deltas is None else deltas:
            yield self._delta(f"response.{kind}.delta", at, delta, **logprobs)
        for number, annotation in enumerate(part.get("annotations") or []):
            yield _event_payload(
                "response.output_text.annotation.added",
                **at,
                annotation_index=number,
                annotation=annotation,
            )
        yield _event_payload(f"response.{kind}.done", **at, **{field: part[field]}, **logprobs)
        yield _event_payload("response.content_part.done", **at, part=part)

    def _call_steps(self, index: int, output: Output) -> Iterator[Step]:
        kind, field = _ARGUMENTS[output.item["type"]]
        at = {"item_id": output.item["id"], "output_index": index}
        for delta in _text_pieces(output.item[field]):
            yield self._delta(f"response.{kind}.delta", at, delta)
        yield _event_payload(f"response.{kind}.done", **at, **{field: output.item[field]})

    def _search(self, index: int, output: Output) -> Iterator[Step]:
        at = {"output_index": index, "item_id": output.item["id"]}
        for phase in ("in_progress", "searching", "completed"):
            yield _event_payload(f"response.web_search_call.{phase}", **at)

    def _image(self, index: int, output: Output) -> Iterator[Step]:
        at = {"output_index": index, "item_id": output.item["id"]}
        options = {
            key: output.item[key] for key in ("output_format", "size", "quality", "background")
        }
        yield _event_payload("response.image_generation_call.in_progress", **at)
        if "result" not in output.item:
            return
        yield _event_payload("response.image_generation_call.generating", **at)
        for number, partial in enumerate(output.partials):
            yield _event_payload(
                "response.image_generation_call.partial_image",
                **at,
                partial_image_index=number,
                partial_image_b64=partial,
                **options,
            )
        yield _event_payload("response.image_generation_call.completed", **at)

    def _delta(self, kind: str, at: JsonObject, delta: str, **more: object) -> JsonObject:
        start = int(self._dice() * 1000)
        noise = self._noise[start : start + 1 + int(self._dice() * _NOISE)]
        return _event_payload(kind, **at, delta=delta, **more, obfuscation=noise)


async def played(
    run: Run, facts: Facts, request: ModelRequest, sleep: Callable[[float], Awaitable[None]]
) -> AsyncGenerator[bytes, None]:
    """The bytes of a run. Raises ConnectionResetError where the connection breaks."""
    script = request.directions
    dice = random.Random(f"{facts.seed} pieces")
    waiting: list[bytes] = []

    def pieces() -> list[bytes]:
        data = b"".join(waiting)
        waiting.clear()
        if "bytewise" in script:
            return [data[at : at + 1] for at in range(len(data))]
        return odd_pieces(data, dice)

    for step in run.steps():
        if isinstance(step, dict | bytes):
            waiting.append(_encoded(step, named="unnamed" not in script, crlf="crlf" in script))
            if len(waiting) < dice.randint(1, _BATCH):
                continue
        for piece in pieces():
            yield piece
        if isinstance(step, Pause):
            await sleep(step.seconds)
        elif isinstance(step, Disconnect):
            raise ConnectionResetError("the simulated connection broke")
        elif isinstance(step, Stall):
            await asyncio.Event().wait()
        else:
            await asyncio.sleep(0)  # a long answer must not keep the loop to itself
    for piece in pieces():
        yield piece


def odd_pieces(data: bytes, dice: random.Random) -> list[bytes]:
    """The bytes cut where networks cut: anywhere, and best inside a character."""
    if len(data) < 2:
        return [data] if data else []
    cuts = {dice.randrange(1, len(data)) for _ in range(dice.randint(0, 2))}
    if inside := _CONTINUES.search(data, dice.randrange(1, len(data))):
        cuts.add(inside.start())
    edges = [0, *sorted(cuts), len(data)]
    return [data[start:end] for start, end in pairwise(edges)]


def usage(request: ModelRequest, outputs: list[Output]) -> JsonObject:
    """Plausible counts: four characters a token."""
    length_in = _length(request.body["input"]) + _length(request.body.get("instructions"))
    length_in += _length(request.body.get("tools"))
    length_out = sum(_length(output.item) for output in outputs)
    thought = 64 if any(output.item["type"] == "reasoning" for output in outputs) else 0
    tokens_in, tokens_out = 8 + length_in // 4, thought + max(1, length_out // 4)
    later = any(item.get("role") == "assistant" for item in request.body["input"])
    return {
        "input_tokens": tokens_in,
        "input_tokens_details": {
            "cached_tokens": tokens_in // 128 * 128 if later else 0,
            "cache_write_tokens": 0,
        },
        "output_tokens": tokens_out,
        "output_tokens_details": {"reasoning_tokens": thought},
        "total_tokens": tokens_in + tokens_out,
    }


def drawing_usage(prompt: str, seen: int, pixels: int) -> JsonObject:
    """What a picture costs: a token for 1024 pixels, and `seen` for those that it was made of."""
    text, drawn = 4 + len(prompt) // 4, pixels // 1024
    return {
        "input_tokens": text + seen,
        "input_tokens_details": {"image_tokens": seen, "text_tokens": text},
        "output_tokens": drawn,
        "output_tokens_details": {"image_tokens": drawn, "text_tokens": 0},
        "total_tokens": text + seen + drawn,
    }


_SPOKEN = frozenset({"text", "refusal", "arguments", "input", "output", "content", "description"})


def _length(value: object, spoken: bool = True) -> int:
    """Characters that a model would read: no ids, no images."""
    if isinstance(value, str):
        return len(value) if spoken else 0
    if isinstance(value, list):
        return sum(_length(part, spoken) for part in value)
    if isinstance(value, dict):
        return sum(_length(part, key in _SPOKEN) for key, part in value.items())
    return 0


def _event_payload(kind: str, **fields: object) -> JsonObject:
    return {"type": kind, "sequence_number": None, **fields}


def _rate_limits(used: int, now: float) -> JsonObject:
    def window(percent: int, minutes: int) -> JsonObject:
        return {
            "used_percent": percent,
            "window_minutes": minutes,
            "reset_at": int(now) + minutes * 30,
        }

    return {
        "type": "codex.rate_limits",
        "plan_type": "plus",
        "rate_limits": {
            "allowed": True,
            "limit_reached": False,
            "primary": window(used, 300),
            "secondary": window(used // 4, 10080),
        },
        "credits": {"has_credits": False, "unlimited": False, "balance": None},
    }


def _envelope(request: ModelRequest, facts: Facts) -> JsonObject:
    """The `response` of the lifecycle events, while it runs."""
    body = request.body
    reasoning, text = body.get("reasoning") or {}, body.get("text") or {}
    return {
        "id": f"resp_simulated_{facts.number:06d}",
        "object": "response",
        "created_at": int(facts.now),
        "status": "in_progress",
        "background": False,
        "error": None,
        "incomplete_details": None,
        "instructions": body.get("instructions"),
        "max_output_tokens": None,
        "max_tool_calls": None,
        "metadata": {},
        "model": body["model"],
        "output": [],
        "parallel_tool_calls": request.parallel,
        "previous_response_id": None,
        "prompt_cache_key": body.get("prompt_cache_key"),
        "reasoning": {
            "effort": reasoning.get("effort", "low"),
            "summary": reasoning.get("summary"),
        },
        "safety_identifier": facts.user,
        "service_tier": "auto",
        "store": False,
        "temperature": 1.0,
        "text": {"format": request.form, "verbosity": text.get("verbosity") or "medium"},
        "tool_choice": body.get("tool_choice", "auto"),
        "tools": [_echoed(tool) for tool in body.get("tools") or []],
        "top_logprobs": 0,
        "top_p": 1.0,
        "truncation": "disabled",
        "usage": None,
        "user": None,
    }


def _echoed(tool: JsonObject) -> JsonObject:
    """Recorded: without `strict` a function's schema comes back as a strict one."""
    if tool.get("type") != "function" or tool.get("strict") is False:
        return tool
    return {**tool, "parameters": schema.strict(tool.get("parameters") or {}), "strict": True}


def _text_pieces(text: str) -> Iterator[str]:
    """A text in pieces of a few characters, as a model writes; one empty piece for none."""
    found = False
    for match in _PIECE.finditer(text):
        found = True
        yield match[0]
    if not found:
        yield ""


def _encoded(step: JsonObject | bytes, *, named: bool, crlf: bool) -> bytes:
    frame = step if isinstance(step, bytes) else _frame(step)
    if not named:
        frame = re.sub(rb"^event: .*\n", b"", frame)
    return frame.replace(b"\n", b"\r\n") if crlf else frame


def _frame(event: JsonObject) -> bytes:
    try:
        data = _COMPACT.encode(event).encode()
    except UnicodeEncodeError:  # a lone surrogate travels as an escape
        data = json.dumps(event, separators=(",", ":")).encode()
    return b"event: " + str(event["type"]).encode() + b"\ndata: " + data + b"\n\n"


_Play = Callable[[Run, int, Output], Iterator[Step]]

_AT_THE_END = frozenset(
    {
        "encrypted_content", "action", "background", "output_format", "quality", "size",
        "revised_prompt", "result",
    }
)  # fmt: skip
_ARGUMENTS = {
    "function_call": ("function_call_arguments", "arguments"),
    "custom_tool_call": ("custom_tool_call_input", "input"),
}

# What an item lacks when it is added, and the events between that and its end. An item of another
# kind comes whole.
_PLAYED: dict[str, tuple[JsonObject, _Play]] = {
    "reasoning": ({"summary": []}, Run._reasoning_steps),
    "message": ({"status": "in_progress", "content": []}, Run._message_steps),
    "function_call": ({"status": "in_progress", "arguments": ""}, Run._call_steps),
    "custom_tool_call": ({"status": "in_progress", "input": ""}, Run._call_steps),
    "web_search_call": ({"status": "in_progress"}, Run._search),
    "image_generation_call": ({"status": "in_progress"}, Run._image),
}
_AROUND = frozenset(
    f"response.{name}"
    for name in (
        "created", "in_progress", "completed", "incomplete", "failed", "output_item.added",
        "output_item.done",
    )
)  # fmt: skip
# What a script leaves out of the stream.
_LACKS: dict[str, Callable[[str], bool]] = {
    "no_text_deltas": lambda kind: kind.endswith(".delta"),
    "no_parts": lambda kind: kind not in _AROUND and kind.startswith("response."),
    "unannounced": lambda kind: kind.endswith(("_item.added", "_part.added")),
}
_CURIOSITIES = {"unknown_event": _UNKNOWN, "bad_json": _NOT_JSON}
