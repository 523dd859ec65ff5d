"""Accumulates chunks into a complete reply, as a client does, for a stream that was cut short."""

from __future__ import annotations

from collections.abc import Iterable

from ...errors import JsonObject
from ..shapes import get_dict, get_list, get_str


def collected(chunks: Iterable[JsonObject]) -> JsonObject:
    """The `chat.completion` that the chunks of one reply add up to."""
    reply: JsonObject = {}
    choices: dict[int, JsonObject] = {}
    for chunk in chunks:
        # The last chunk has the usage, and not all that the others have.
        reply = {**reply, **chunk, "object": "chat.completion"}
        for choice in get_list(chunk, "choices"):
            whole = choices.setdefault(choice["index"], _empty(choice["index"]))
            _add_delta(whole["message"], get_dict(choice, "delta"))
            whole["finish_reason"] = choice.get("finish_reason") or whole["finish_reason"]
    if reply.get("usage") is None:
        reply.pop("usage", None)
    return {**reply, "choices": [choices[index] for index in sorted(choices)]}


def _empty(index: int) -> JsonObject:
    message: JsonObject = {
        "role": "assistant", "content": None, "refusal": None, "annotations": [],
    }  # fmt: skip
    return {"index": index, "message": message, "logprobs": None, "finish_reason": None}


def _add_delta(message: JsonObject, delta: JsonObject) -> None:
    for field in ("content", "refusal", "reasoning_content"):
        if isinstance(delta.get(field), str):
            message[field] = (message.get(field) or "") + delta[field]
    message["annotations"] += get_list(delta, "annotations")
    if pictures := get_list(delta, "images"):
        message.setdefault("images", []).extend(pictures)
    if call := get_dict(delta, "function_call"):
        _join(message.setdefault("function_call", {"name": "", "arguments": ""}), call)
    for call in get_list(delta, "tool_calls"):
        calls = message.setdefault("tool_calls", [])
        if call["index"] == len(calls):
            kind = get_str(call, "type")
            calls.append({"id": call["id"], "type": kind, kind: {}})
        whole = calls[call["index"]]
        _join(whole[whole["type"]], get_dict(call, whole["type"]))


def _join(whole: JsonObject, piece: JsonObject) -> None:
    for field, text in piece.items():
        whole[field] = whole.get(field, "") + text
