"""What a client makes of a chat stream of ours: its chunks, read back and added up."""

from __future__ import annotations

from typing import Any

from openai.lib.streaming.chat import ChatCompletionStreamState
from openai.types.chat import ChatCompletionChunk
from tests.wire_files import events

from codexapi_engine.protocol import JsonObject, json


def chunks(out: bytes) -> list[JsonObject]:
    """The chunks of a stream, without `[DONE]`."""
    return [event.json for event in events(out) if event.data != b"[DONE]"]


def added_up(out: bytes) -> JsonObject:
    """The `chat.completion` that the chunks of one stream amount to."""
    given = chunks(out)
    choice: JsonObject = {"index": 0, "message": {}, "logprobs": None, "finish_reason": None}
    whole = {**given[0], "object": "chat.completion", "choices": [choice]}
    whole.pop("usage", None)
    for chunk in given:
        if chunk.get("usage"):
            whole["usage"] = chunk["usage"]
        for told in chunk["choices"]:
            _add(choice["message"], told["delta"])
            choice["finish_reason"] = told["finish_reason"] or choice["finish_reason"]
    message = choice["message"]
    message.setdefault("annotations", [])
    for call in message.get("tool_calls", ()):
        call.pop("index")
    return whole


def official(out: bytes) -> JsonObject:
    """The same by the official client's own adding machine."""
    state = ChatCompletionStreamState()
    for chunk in chunks(out):
        list(state.handle_chunk(ChatCompletionChunk.model_validate(chunk)))
    whole: JsonObject = json.loads(state.current_completion_snapshot.to_json())
    return whole


def _add(total: JsonObject, delta: JsonObject) -> None:
    for name, value in delta.items():
        before = total.get(name)
        if isinstance(value, list) and name == "tool_calls":
            _add_calls(total.setdefault(name, []), value)
        elif isinstance(before, list):
            total[name] = [*before, *value]
        elif isinstance(before, dict):
            _add(before, value)
        elif isinstance(before, str) and isinstance(value, str) and name not in ("type", "id"):
            total[name] = before + value
        elif value is not None or name not in total:
            total[name] = _copied(value)


def _add_calls(calls: list[JsonObject], deltas: list[JsonObject]) -> None:
    for delta in deltas:
        if delta["index"] == len(calls):
            calls.append({})
        _add(calls[delta["index"]], delta)


def _copied(value: Any) -> Any:
    return {**value} if isinstance(value, dict) else value
