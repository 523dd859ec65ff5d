"""The dialects whose streams add up to a whole reply: one row each for what the laws say of them."""

from __future__ import annotations

import itertools
import json
from dataclasses import dataclass, replace
from typing import Protocol

from tests import message_replies
from tests.chat_replies import added_up, chunks, official
from tests.wire_files import events

from codexapi_engine.errors import CodexError
from codexapi_engine.protocol import JsonObject, Translator, anthropic, chat, ollama, sse
from codexapi_engine.protocol.anthropic.reply import MessageStream
from codexapi_engine.protocol.chat.reply import ChatStream
from codexapi_engine.protocol.ollama.reply import OllamaStream


class ReplyForm(Protocol):
    """One dialect, with one choice of its options."""

    def translator(self) -> Translator: ...

    def usual_translator(self) -> Translator:
        """The translator without the fast way of plain deltas."""

    def whole(self, response: JsonObject) -> JsonObject:
        """The reply of a finished response. Raises CodexError."""

    def failure(self, error: CodexError) -> CodexError:
        """An error of the backend's as this dialect tells it."""

    def assert_adds_up(self, out: bytes, whole: JsonObject) -> None: ...

    def assert_well_formed(self, out: bytes) -> None: ...

    def assert_told(self, out: bytes, error: CodexError) -> None:
        """Fails unless the stream ends with this failure, and with nothing besides."""


@dataclass(frozen=True)
class ChatForm:
    options: chat.ReplyOptions

    def translator(self) -> Translator:
        return chat.ChatStream(self.options, created=1)

    def usual_translator(self) -> Translator:
        return ChatStream(self.options, created=1)

    def whole(self, response: JsonObject) -> JsonObject:
        return chat.from_response(response, self.options, created=1)

    def failure(self, error: CodexError) -> CodexError:
        return error

    def assert_adds_up(self, out: bytes, whole: JsonObject) -> None:
        form = self.options
        if not form.include_usage:
            whole.pop("usage", None)
        # The tier that was used is known at the end: chunks carry the one that was asked for.
        assert ("service_tier" in whole) == (form.service_tier is not None)
        if form.service_tier:
            whole["service_tier"] = form.service_tier
        assert added_up(out) == whole
        if not any(
            c.get("type") == "custom" for c in whole["choices"][0]["message"].get("tool_calls", ())
        ):
            _assert_official(official(out), whole)

    def assert_well_formed(self, out: bytes) -> None:
        assert out.endswith(sse.DONE)
        assert out.count(sse.DONE) == 1
        given = chunks(out)
        assert all(set(c) >= {"id", "object", "created", "model", "choices"} for c in given)
        assert {c["object"] for c in given} == {"chat.completion.chunk"}
        for name in ("id", "created", "model"):
            assert len({chunk[name] for chunk in given}) == 1, name
        told = given
        if self.options.include_usage:
            if given[-1]["choices"] == []:
                *told, last = given
                assert last["usage"]["total_tokens"] >= 0
            assert all(chunk["usage"] is None for chunk in told)
        else:
            assert not any("usage" in chunk for chunk in given)
        choices = [choice for chunk in told for choice in chunk["choices"]]
        assert len(choices) == len(told)
        assert all(choice["index"] == 0 and choice["logprobs"] is None for choice in choices)
        assert [bool(choice["delta"].get("role")) for choice in choices] == [True] + [False] * (
            len(choices) - 1
        )
        reasons = [choice["finish_reason"] for choice in choices]
        assert reasons[:-1] == [None] * (len(reasons) - 1)
        assert reasons[-1] in ("stop", "length", "content_filter", "tool_calls", "function_call")
        _assert_calls_are_dense([choice["delta"] for choice in choices])

    def assert_told(self, out: bytes, error: CodexError) -> None:
        """One last chunk with `error`, no finish reason and no `[DONE]`."""
        *before, last = chunks(out)
        assert b"data: [DONE]" not in out
        assert last["error"] == error.body()
        assert set(last) >= {"id", "object", "created", "model", "choices"}
        assert not any("error" in chunk for chunk in before)
        reasons = [choice["finish_reason"] for chunk in before for choice in chunk["choices"]]
        assert not any(reasons)


@dataclass(frozen=True)
class MessagesForm:
    options: anthropic.MessageOptions

    def translator(self) -> Translator:
        return anthropic.MessageStream(self.options)

    def usual_translator(self) -> Translator:
        return MessageStream(self.options)

    def whole(self, response: JsonObject) -> JsonObject:
        return anthropic.from_response(response, self.options)

    def failure(self, error: CodexError) -> CodexError:
        return anthropic.with_sizes(error, self.options.input_tokens, self.options.window)

    def assert_adds_up(self, out: bytes, whole: JsonObject) -> None:
        assert message_replies.added_up(out) == whole
        assert anthropic.fold(message_replies.told(out)) == whole

    def assert_well_formed(self, out: bytes) -> None:
        assert b"[DONE]" not in out
        message = message_replies.added_up(out)
        assert message["id"].startswith("msg_")
        assert (message["type"], message["role"]) == ("message", "assistant")
        assert message["model"] == self.options.model
        called = any(block["type"] == "tool_use" for block in message["content"])
        assert (message["stop_reason"] == "tool_use") == called
        assert called or message["stop_reason"] in ("end_turn", "max_tokens", "refusal")
        assert message["usage"]["input_tokens"] >= 0
        kinds = {block["type"] for block in message["content"]}
        assert self.options.thinking or "thinking" not in kinds

    def assert_told(self, out: bytes, error: CodexError) -> None:
        """One last `error` event; the message does not end."""
        *before, last = message_replies.told(out)
        assert last == {"type": "error", "error": anthropic.error_object(error)}
        ends = {"message_delta", "message_stop", "error"}
        assert not ends.intersection(event["type"] for event in before)


@dataclass(frozen=True)
class OllamaForm:
    """A complete reply is the fold of its lines, so it is compared with that of the last event alone."""

    options: ollama.OllamaOptions

    def translator(self) -> Translator:
        return ollama.OllamaStream(self.options, lambda: 1_000)

    def usual_translator(self) -> Translator:
        return OllamaStream(self.options, lambda: 1_000)

    def whole(self, response: JsonObject) -> JsonObject:
        kind = "response.completed"
        (last,) = events(sse.encode({"type": kind, "response": response}, kind))
        return ollama.fold(ollama_lines(b"".join(self.usual_translator().feed(last))))

    def failure(self, error: CodexError) -> CodexError:
        return error

    def assert_adds_up(self, out: bytes, whole: JsonObject) -> None:
        assert ollama.fold(ollama_lines(out)) == whole

    def assert_well_formed(self, out: bytes) -> None:
        *before, last = ollama_lines(out)
        assert [line["done"] for line in before] == [False] * len(before)
        assert last["done"] is True
        assert last["done_reason"] in ("stop", "length", "content_filter")
        assert min(last["prompt_eval_duration"], last["eval_duration"]) > 0
        parts = [line if self.options.generate else line["message"] for line in (*before, last)]
        calls = [part["tool_calls"] for part in parts if "tool_calls" in part]
        assert len(calls) <= 1, "all calls stand in one line"
        functions = [call["function"] for call in (calls[0] if calls else ())]
        assert [function["index"] for function in functions] == list(range(len(functions)))
        assert all(isinstance(function["arguments"], dict) for function in functions)
        assert all(isinstance(self._content(part), str) for part in parts)
        assert self.options.thinking or not any("thinking" in part for part in parts)

    def assert_told(self, out: bytes, error: CodexError) -> None:
        """One last line with the error as a string, and none that is done."""
        *before, last = ollama_lines(out)
        assert last == ollama.error_body(error)
        assert isinstance(last["error"], str)
        assert not any(line["done"] for line in before)

    def _content(self, part: JsonObject) -> object:
        return part["response" if self.options.generate else "content"]


def ollama_lines(out: bytes) -> list[JsonObject]:
    """The lines of a reply, split wherever a client's line reader may split."""
    assert out.endswith(b"\n")
    return [json.loads(line) for line in out.decode().splitlines()]


CHAT_OPTIONS = [
    chat.ReplyOptions("asked", include_usage, tier, reasoning, as_json, legacy)
    for include_usage, tier, reasoning, as_json, legacy in itertools.product(
        (False, True), (None, "priority"), (False, True), (False, True), (False, True)
    )
]
_MESSAGES = anthropic.MessageOptions("asked", writer=anthropic.Writer("a", "m"), input_tokens=9)
MESSAGES_OPTIONS = [
    _MESSAGES,
    replace(_MESSAGES, thinking=True, edits=True),
    replace(_MESSAGES, thinking=True, summaries=True),
    replace(_MESSAGES, thinking=True, summaries=True, stop=("what nobody says",)),
]
OLLAMA_OPTIONS = [
    ollama.OllamaOptions("asked", "2026-11-28T10:00:00Z", generate, thinking, as_json, stop)
    for generate, thinking, as_json, stop in itertools.product(
        (False, True), (False, True), (False, True), ((), ("what nobody says",))
    )
]
FORMS: dict[str, list[ReplyForm]] = {
    "chat": [ChatForm(options) for options in CHAT_OPTIONS],
    "messages": [MessagesForm(options) for options in MESSAGES_OPTIONS],
    "ollama": [OllamaForm(options) for options in OLLAMA_OPTIONS],
}
"""By the dialect's name."""

FULL: list[ReplyForm] = [
    ChatForm(chat.ReplyOptions("asked", include_usage=True, reasoning=True)),
    MessagesForm(MESSAGES_OPTIONS[2]),
    OllamaForm(ollama.OllamaOptions("asked")),
]
"""Each dialect with the options by which it says most."""


def _assert_official(told: JsonObject, whole: JsonObject) -> None:
    """The official client fills fields that it lacks with null, and keeps the index of calls."""
    choice, ours = told["choices"][0], whole["choices"][0]
    for call in choice["message"].get("tool_calls") or ():
        del call["index"]
        del call["function"]["parsed_arguments"]
    given = {key: value for key, value in choice["message"].items() if value is not None}
    expected = {key: value for key, value in ours["message"].items() if value not in (None, [])}
    assert given == expected
    assert choice["finish_reason"] == ours["finish_reason"]
    assert (told.get("usage") or None) == whole.get("usage")


def _assert_calls_are_dense(deltas: list[JsonObject]) -> None:
    seen = 0
    for call in (call for delta in deltas for call in delta.get("tool_calls", ())):
        if "id" in call:
            assert call["index"] == seen
            assert call["id"]
            assert call["type"] in ("function", "custom")
            assert call[call["type"]]["name"]
            seen += 1
        assert call["index"] < seen
