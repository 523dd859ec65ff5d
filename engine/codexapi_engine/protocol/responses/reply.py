"""What a Responses stream becomes: a finished response, the client's stream, or plain text.

On the stream road bytes pass on as they came. Only what the backend leaves empty or tells of
itself is rebuilt: the `response` object of the lifecycle events.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from itertools import chain

from ...errors import CodexError, JsonObject, StreamInterrupted, from_event
from .. import sse
from ..shapes import inner, listed, number, word
from ..sse import Event

LIFECYCLE = frozenset(
    {
        "response.created", "response.queued", "response.in_progress",
        "response.completed", "response.done", "response.incomplete", "response.failed",
    }
)  # fmt: skip
TERMINAL = frozenset(
    {"response.completed", "response.done", "response.incomplete", "response.failed", "error"}
)
"""The events after which nothing follows. `response.done` is an old name of `completed`."""

_TEXT_DELTAS = frozenset({"response.output_text.delta", "response.refusal.delta"})
_TEXT_ENDS = {"response.output_text.done": "text", "response.refusal.done": "refusal"}
_ENDED_WELL = frozenset({"response.completed", "response.done", "response.incomplete"})

# The closed list of `ResponseError.code` in the official client's types.
_PUBLIC_CODES = frozenset(
    {
        "server_error", "rate_limit_exceeded", "invalid_prompt", "bio_policy",
        "misalignment_policy_violation", "data_residency_mismatch", "vector_store_timeout",
        "invalid_image", "invalid_image_format", "invalid_base64_image", "invalid_image_url",
        "image_too_large", "image_too_small", "image_parse_error",
        "image_content_policy_violation", "invalid_image_mode", "image_file_too_large",
        "unsupported_image_media_type", "empty_image_file", "failed_to_download_image",
        "image_file_not_found",
    }
)  # fmt: skip

# What every response has, in the order of the Open Responses schema. Values from the request are
# laid over these, then what the backend says, then the echoes of `_echoes`.
_DEFAULTS: JsonObject = {
    "id": "",
    "object": "response",
    "created_at": 0,
    "completed_at": None,
    "status": "in_progress",
    "incomplete_details": None,
    "model": "",
    "previous_response_id": None,
    "instructions": None,
    "output": [],
    "error": None,
    "tools": [],
    "tool_choice": "auto",
    "truncation": "disabled",
    "parallel_tool_calls": True,
    "text": {"format": {"type": "text"}},
    "top_p": 1.0,
    "presence_penalty": 0,
    "frequency_penalty": 0,
    "top_logprobs": 0,
    "temperature": 1.0,
    "reasoning": {"effort": None, "summary": None},
    "usage": None,
    "max_output_tokens": None,
    "max_tool_calls": None,
    "store": False,
    "background": False,
    "service_tier": "default",
    "metadata": {},
    "safety_identifier": None,
    "prompt_cache_key": None,
}
# How a lifecycle event begins, the backend's and ours alike.
_BEGINNING = re.compile(
    rb"event: (response\.[a-z_]+)\n"
    rb'data: \{"type":"\1","sequence_number":(?:0|[1-9][0-9]{0,11}),"response":'
)
_FROM_REQUEST = ("model", "tool_choice", "parallel_tool_calls", "text", "reasoning")


class Assembler:
    """Folds a stream into its response.

    Feed it the events in order, then call `finish` once. Raises CodexError: for a run that the
    backend says has failed, and for a stream without its last event.
    """

    def __init__(self) -> None:
        self._items: dict[int, JsonObject] = {}
        self._begun: JsonObject = {}
        self._ended: JsonObject | None = None

    def feed(self, event: Event) -> None:
        kind = event.type
        if kind == "response.output_item.done":
            self.item(event.json)
        elif kind in LIFECYCLE:
            self._lifecycle(kind, event.json)
        elif kind == "error":
            raise from_event(event.json)
        else:
            event.check()

    def finish(self) -> JsonObject:
        """The finished response, `output` included."""
        if self._ended is None:
            raise StreamInterrupted("the backend's stream ended before its last event")
        return self._ended

    @property
    def output(self) -> list[JsonObject]:
        """The items that are done, in order."""
        return [self._items[index] for index in sorted(self._items)]

    def item(self, data: JsonObject) -> None:
        """Takes the item that an event tells to be done."""
        item, index = data.get("item"), number(data, "output_index")
        if not isinstance(item, dict):
            raise StreamInterrupted(
                "the backend sent an output item without an item", code="upstream_protocol_error"
            )
        self._items[len(self._items) if index is None else index] = item

    def _lifecycle(self, kind: str, data: JsonObject) -> None:
        if kind == "response.failed":
            raise from_event(data)
        response = _response(data)
        if kind not in _ENDED_WELL:
            self._begun = response
            return
        status = "incomplete" if kind == "response.incomplete" else "completed"
        # The backend sends `output: []` at the end: the items came one by one before.
        self._ended = {**self._begun, **response, "output": _told(response) or self.output}
        self._ended["status"] = word(response, "status") or status


class Stream:
    """Passes a stream on: every event as it came, the lifecycle events completed.

    `asked` is the client's own body, for the echoes; `created` stands in where the backend tells
    no time, and `name` is the response's id where that is ours to give. A Codex client (`verbatim`)
    gets `codex.*` and `keepalive` events too.
    """

    def __init__(
        self,
        asked: JsonObject,
        *,
        created: int,
        verbatim: bool = False,
        name: str | None = None,
    ) -> None:
        # set once
        self._public = _Public(asked, created, name)
        self._verbatim = verbatim
        options = asked.get("stream_options") or {}
        self._plain = options.get("include_obfuscation") is False
        # moves as the stream moves
        self._assembler = Assembler()
        self._last: Event | None = None
        self._dropped = 0
        self._large = False  # an event was, and so may be the last one
        self._begun: tuple[bytes, bytes] | None = None  # what was told and said behind a beginning
        self.response: JsonObject | None = None  # as the newest lifecycle event told it
        self.finished = False

    def feed(self, event: Event) -> Iterable[bytes]:
        kind = event.type
        if self.finished or not kind:
            return ()
        if isinstance(event, sse.Deltas):
            return self._deltas(kind, event)
        if not self._verbatim and (kind == "keepalive" or kind.startswith("codex.")):
            self._dropped += "sequence_number" in event.json
            return ()
        if kind in TERMINAL:
            return self._end(kind, event)
        self._large = self._large or isinstance(event, sse.Large)
        out = self._through(kind, event)
        self._last = event
        return out

    def close(self) -> Iterable[bytes]:
        if self.finished:
            return ()
        raise StreamInterrupted("the backend's stream ended before its last event")

    def fail(self, error: CodexError) -> Iterable[bytes]:
        """One `error` event in both shapes in use: the flat one of the official client's types,
        and the nested one, on which that client raises."""
        self.finished = True
        told = error.body()
        data = {
            "type": "error",
            "sequence_number": self._next_number(),
            "code": told["code"],
            "message": told["message"],
            "param": told["param"],
            "error": told,
        }
        return (sse.encode(data, "error"),)

    def _deltas(self, kind: str, deltas: sse.Deltas) -> Iterable[bytes]:
        """Deltas that came together pass in one piece, unless each has to be touched."""
        if not (self._dropped or self._plain or kind.startswith("codex.")):
            try:  # in place of `suppress`, of which each read would make one
                deltas.check()
            except StreamInterrupted:
                pass  # the good ones among them pass all the same
            else:
                self._last = deltas
                return (deltas.encode(),)
        return (piece for one in deltas.each for piece in self.feed(one))

    def _through(self, kind: str, event: Event) -> Iterable[bytes]:
        if kind in LIFECYCLE:
            return self._begin(kind, event)
        self._begun = None
        if kind == "response.output_item.done":
            self._assembler.item(event.lifted)
        if self._dropped or self._plain:
            return self._renumbered(kind, event.lifted)
        event.check()
        return event.pieces()

    def _begin(self, kind: str, event: Event) -> Iterable[bytes]:
        """The second of these mostly tells what the first told: then it is said again, unread."""
        head = None if self._large or self._dropped else _BEGINNING.match(event.raw)
        told = event.raw[head.end() :] if head else b""
        if head and self._begun and self._begun[0] == told:
            return (head[0] + self._begun[1],)
        self._assembler.feed(event)
        out = list(self._lifecycle(kind, event))
        # Where we begin as the backend does, we do so again, whatever the number: unless it is
        # told once more, by its name or by one that is written in escapes.
        numbered = b'"sequence_number"' in told or b"\\u00" in told
        alike = head and out[0].startswith(head[0]) and not numbered
        self._begun = (told, out[0][head.end() :]) if head and alike else None
        return out

    def _end(self, kind: str, event: Event) -> Iterable[bytes]:
        if kind == "error" or (kind == "response.failed" and self._last is None):
            raise from_event(event.json)
        self.finished = True
        if kind == "response.failed":
            return self._lifecycle(kind, event)
        self._assembler.feed(event)
        if kind == "response.done" and not self._verbatim:
            kind = "response.completed"  # what public clients wait for
        return chain(self._lifecycle(kind, event), (sse.DONE,))

    def _lifecycle(self, kind: str, event: Event) -> Iterable[bytes]:
        response = _response(event.json)
        whole = self._public.of(response, _told(response) or self._assembler.output)
        if kind in _ENDED_WELL:
            whole["status"] = self._assembler.finish()["status"]
        if not self._verbatim and isinstance(whole["error"], dict):
            whole["error"] = _public_error(whole["error"])
        self.response = whole
        return self._renumbered(kind, {**event.json, "type": kind, "response": whole})

    def _renumbered(self, kind: str, data: JsonObject) -> Iterable[bytes]:
        if self._dropped and isinstance(data.get("sequence_number"), int):
            data = {**data, "sequence_number": data["sequence_number"] - self._dropped}
        if self._plain:
            data = {name: value for name, value in data.items() if name != "obfuscation"}
        return sse.pieces(data, kind) if self._large else (sse.encode(data, kind),)

    def _next_number(self) -> int:
        try:
            last = number(self._last.each[-1].lifted, "sequence_number") if self._last else None
        except StreamInterrupted:  # it passed unread, and is what broke the stream
            return 0
        return 0 if last is None else last + 1 - self._dropped


class Pieces:
    """What has been streamed of each part, so that its final form adds only what is missing.

    Some models send no deltas for a part, and some not all of them.
    """

    def __init__(self) -> None:
        self._streamed: dict[object, list[str]] = {}

    def delta(self, part: object, piece: str) -> str:
        self._streamed.setdefault(part, []).append(piece)
        return piece

    def rest(self, part: object, whole: str) -> str:
        """What of `whole` was not streamed. Nothing where the two disagree: what is written
        cannot be taken back."""
        so_far = "".join(self._streamed.get(part, ()))
        self._streamed[part] = [whole]
        return whole[len(so_far) :] if whole.startswith(so_far) else ""


class Text:
    """The text of a stream, piece by piece: what a terminal prints."""

    def __init__(self) -> None:
        self._pieces = Pieces()
        self._spoke = False
        self._message: object = None  # the item that is being printed

    def feed(self, event: Event) -> str:
        """The next piece, often empty. A second message begins with a blank line."""
        kind = event.type
        if kind in _TEXT_DELTAS:
            piece = self._pieces.delta(_part(event.json), delta_of(event.json))
            return self._said(number(event.json, "output_index"), piece)
        if kind in _TEXT_ENDS:
            whole = word(event.json, _TEXT_ENDS[kind])
            piece = self._pieces.rest(_part(event.json), whole)
            return self._said(number(event.json, "output_index"), piece)
        if kind == "response.output_item.done":
            return self._item(number(event.json, "output_index"), inner(event.json, "item"))
        if kind in _ENDED_WELL and not self._spoke:  # some tell their items only at the end
            items = _told(inner(event.json, "response"))
            return "".join(self._item(index, item) for index, item in enumerate(items))
        return ""

    def _item(self, index: int | None, item: JsonObject) -> str:
        """Whatever of a message was not streamed. Some models stream nothing of it."""
        if item.get("type") != "message":
            return ""
        return "".join(
            self._said(index, self._pieces.rest((index, n), _part_text(part)))
            for n, part in enumerate(listed(item, "content"))
        )

    def _said(self, index: int | None, piece: str) -> str:
        if not piece:
            return ""
        gap = "\n\n" if self._spoke and self._message != index else ""
        self._spoke, self._message = True, index
        return gap + piece


class Thoughts:
    """The reasoning summaries of a stream, piece by piece, a blank line between their parts."""

    def __init__(self) -> None:
        self._pieces = Pieces()
        self._part: object = None  # the one that is being told

    def feed(self, event: Event) -> str:
        """The next piece, often empty."""
        kind, piece = event.type, ""
        if not kind.startswith("response.reasoning_summary_text."):
            return ""
        part = (number(event.json, "output_index"), number(event.json, "summary_index"))
        if kind.endswith(".delta"):
            piece = self._pieces.delta(part, delta_of(event.json))
        elif kind.endswith(".done"):
            piece = self._pieces.rest(part, word(event.json, "text"))
        if not piece:
            return ""
        gap = "\n\n" if self._part not in (None, part) else ""
        self._part = part
        return gap + piece


def delta_of(data: JsonObject) -> str:
    """The words of a delta. Raises StreamInterrupted if there are none: left out, they would be
    missed by nobody."""
    delta = data.get("delta")
    if not isinstance(delta, str):
        raise StreamInterrupted(
            "the backend sent a delta that is no text", code="upstream_protocol_error"
        )
    return delta


def _part(data: JsonObject) -> tuple[int | None, int | None]:
    """Which part of which item an event is about."""
    return number(data, "output_index"), number(data, "content_index")


def text_of(response: JsonObject) -> str:
    """The text of a finished response: its messages, with a blank line between them."""
    return "\n\n".join(text for item in listed(response, "output") if (text := _message_text(item)))


def from_response(
    response: JsonObject, asked: JsonObject, created: int, name: str | None = None
) -> JsonObject:
    """The backend's response object as a public one: complete, and about the client's request.

    Fields that the backend adds are kept (translation.md 6.3). `name` is an id of ours.
    """
    return _Public(asked, created, name).of(response)


class _Public:
    """What makes public responses, for one request: what depends on that alone is made once."""

    def __init__(self, asked: JsonObject, created: int, name: str | None) -> None:
        stated = {name: asked[name] for name in _FROM_REQUEST if asked.get(name) is not None}
        self._under = {**_DEFAULTS, **stated}
        self._over = _echoes(asked)
        self._tools = listed(asked, "tools")
        self._created = created
        self._name = name
        self._has_user = "user" in asked

    def of(self, response: JsonObject, output: list[JsonObject] | None = None) -> JsonObject:
        """`output` stands in place of its own."""
        given = {name: value for name, value in response.items() if value is not None}
        whole = {**self._under, **given, **self._over}
        whole["created_at"] = number(given, "created_at") or self._created
        whole["id"] = self._name or whole["id"]
        whole["tools"] = [_tool(tool) for tool in listed(given, "tools") or self._tools]
        whole["usage"] = whole_usage(given["usage"]) if inner(given, "usage") else None
        if output is not None:
            whole["output"] = output
        if not self._has_user:
            whole.pop("user", None)
        return whole


def failed(response: JsonObject, error: CodexError) -> JsonObject:
    """A response whose run ended in this error."""
    told = _public_error({"code": error.code, "message": error.message})
    return {**response, "status": "failed", "error": told}


def replay(response: JsonObject) -> list[Event]:
    """Events that tell a finished response, for one whose own are not there: its items whole."""
    begun = {**response, "status": "in_progress", "output": [], "usage": None, "error": None}
    told: list[tuple[str, JsonObject]] = [
        ("response.created", {"response": begun}),
        ("response.in_progress", {"response": begun}),
    ]
    for index, item in enumerate(listed(response, "output")):
        for kind in ("added", "done"):
            told.append((f"response.output_item.{kind}", {"output_index": index, "item": item}))
    end = word(response, "status")
    if end in ("completed", "incomplete", "failed"):
        told.append((f"response.{end}", {"response": response}))
    events = [
        Event(sse.encode({"type": kind, "sequence_number": at, **data}, kind).rstrip(b"\n"))
        for at, (kind, data) in enumerate(told)
    ]
    done = [Event(sse.DONE.rstrip(b"\n"))] if end in ("completed", "incomplete") else []
    return events + done


def _echoes(asked: JsonObject) -> JsonObject:
    """What the backend echoes of our request, as the client said it.

    Its own `safety_identifier` is bound to the account, and must not travel.
    """
    echoes = {
        name: asked.get(name)
        for name in ("instructions", "safety_identifier", "prompt_cache_key", "max_output_tokens")
    }
    echoes.update(
        metadata=asked.get("metadata") or {},
        previous_response_id=asked.get("previous_response_id"),
        store=asked.get("store") is not False,
        background=asked.get("background") is True,
    )
    if asked.get("user") is not None:
        echoes["user"] = asked["user"]
    if conversation := conversation_of(asked):
        echoes["conversation"] = {"id": conversation}
    return echoes


def conversation_of(asked: JsonObject) -> str:
    """The id of the conversation that a request is part of; empty if of none."""
    return word(asked, "conversation") or word(inner(asked, "conversation"), "id")


def _tool(tool: JsonObject) -> JsonObject:
    """A function tool has its description, parameters and strictness, even where they are null."""
    if tool.get("type") != "function":
        return tool
    return {"description": None, "parameters": None, "strict": None, **tool}


def whole_usage(given: Mapping[str, object]) -> JsonObject:
    """Strict clients need both details; the backend leaves out what is zero."""
    details = {
        "cached_tokens": 0,
        "cache_write_tokens": 0,
        **inner(given, "input_tokens_details"),
    }
    return {
        "input_tokens": 0,
        "output_tokens": 0,
        "total_tokens": 0,
        **given,
        "input_tokens_details": details,
        "output_tokens_details": {
            "reasoning_tokens": 0,
            **inner(given, "output_tokens_details"),
        },
    }


def _public_error(error: JsonObject) -> JsonObject:
    code, message = word(error, "code"), word(error, "message") or "the model run failed"
    if code in _PUBLIC_CODES:
        return {**error, "message": message}
    return {**error, "code": "server_error", "message": f"{message} ({code})" if code else message}


def _response(data: JsonObject) -> JsonObject:
    response = data.get("response")
    if not isinstance(response, dict):
        raise StreamInterrupted(
            "the backend sent a lifecycle event without a response",
            code="upstream_protocol_error",
        )
    return response


def _told(response: JsonObject) -> list[JsonObject]:
    """The output that a lifecycle event tells; often empty."""
    return listed(response, "output")


def _message_text(item: JsonObject) -> str:
    if item.get("type") != "message":
        return ""
    return "".join(_part_text(part) for part in listed(item, "content"))


def _part_text(part: JsonObject) -> str:
    return word(part, "text") or word(part, "refusal")
