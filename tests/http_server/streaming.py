"""Streams of the server, before a backend that a script plays."""

from __future__ import annotations

from typing import Any

import pytest
from tests.http_server.doors import (
    chat,
    responses,
)
from tests.http_server.raw import JsonObject
from tests.logins import auth_json
from tests.wire_files import events

CHAT, RESPONSES = "/v1/chat/completions", "/v1/responses"
BOTH = pytest.mark.parametrize("path", [CHAT, RESPONSES])
LOGIN = auth_json(exp=4_000_000_000)
"""Seconds: a keep-alive interval that a test can wait for."""
CREATED = {"type": "response.created", "response": {"id": "resp_1", "created_at": 5}}
COMPLETED = {"type": "response.completed", "response": {"id": "resp_1", "status": "completed"}}


def delta(text: str) -> JsonObject:
    place = {"item_id": "msg_1", "output_index": 0, "content_index": 0}
    return {"type": "response.output_text.delta", **place, "delta": text}


def streamed(path: str, prompt: str = "hi", **more: Any) -> JsonObject:
    return (chat if path == CHAT else responses)(prompt, stream=True, **more)


def said(path: str, told: bytes) -> str:
    """The text in what a client got."""
    found = [event for event in events(told) if event.data != b"[DONE]"]
    if path == CHAT:
        parts = [event.json["choices"][0]["delta"] for event in found if event.json["choices"]]
        return "".join(part.get("content") or "" for part in parts)
    return "".join(event.json["delta"] for event in found if event.type.endswith("text.delta"))


def broken(path: str, told: bytes) -> JsonObject:
    """The error object that a stream ends in, in the form of its dialect."""
    assert b"[DONE]" not in told
    *before, last = events(told)
    assert not any(b'"error":{' in event.data for event in before), "one error is enough"
    error: JsonObject = last.json["error"]
    assert list(error)[:4] == ["message", "type", "param", "code"]
    if path == CHAT:
        whole = {"id", "object", "created", "model", "choices", "error"}
        assert set(last.json) == whole
        assert last.json["object"] == "chat.completion.chunk"
        assert last.json["choices"][0]["finish_reason"] is None
    else:
        assert last.type == last.json["type"] == "error"
        flat = {name: last.json[name] for name in ("message", "param", "code")}
        assert flat == {name: error[name] for name in flat}
        assert isinstance(last.json["sequence_number"], int)
    return error
