"""A toy request as a Responses request, and the way back: lines of JSON, each with a `say`."""

from __future__ import annotations

import json
from collections.abc import Iterable

from codexapi_engine import CodexError, InvalidRequest, request, text_of
from codexapi_engine.errors import JsonObject
from codexapi_engine.protocol import Event, sse
from codexapi_engine.protocol.responses import Text
from codexapi_http.dialect import Translation


def line(payload: JsonObject) -> bytes:
    return json.dumps(payload).encode() + b"\n"


def translate(body: JsonObject, *, strict: bool) -> Translation:
    if not isinstance(body.get("ask"), str):
        raise InvalidRequest("ask something", param="ask")
    sent = request(body["ask"], model=body["model"])
    return Translation(sent, body.get("stream") is True, Lines, reply)


def reply(response: JsonObject) -> JsonObject:
    return {"say": text_of(response), "end": True}


class Lines:
    """A Translator."""

    def __init__(self) -> None:
        self._text = Text()
        self.finished = False

    def feed(self, event: Event) -> Iterable[bytes]:
        for one in event.each:
            if text := self._text.feed(one):
                yield line({"say": text})
        self.finished = event.type == "response.completed"
        if self.finished:
            yield line({"say": "", "end": True})

    def close(self) -> Iterable[bytes]:
        raise sse.interruption()

    def fail(self, error: CodexError) -> Iterable[bytes]:
        return (line({"oops": error.message}),)
