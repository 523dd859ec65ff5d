"""Stored chat completions."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from codexapi_engine.errors import InvalidRequest, JsonObject
from codexapi_engine.storage import ObjectStore
from codexapi_engine.storage.chats import Chats

TEXT: JsonObject = {"type": "text", "text": "hi"}


@pytest.fixture
def kept() -> Iterator[Chats]:
    shelf = ObjectStore()
    yield Chats(shelf)
    shelf.close()


def completion(name: str, model: str = "m") -> JsonObject:
    return {"id": name, "model": model, "choices": []}


def test_a_completion_has_its_metadata(kept: Chats) -> None:
    kept.keep(completion("a"), {"metadata": {"k": "v"}})
    assert kept.get("a") == {**completion("a"), "metadata": {"k": "v"}}
    assert kept.update("a", {"x": "y"})["metadata"] == kept.get("a")["metadata"] == {"x": "y"}
    kept.delete("a")
    for ask in (kept.get, kept.delete, kept.messages, lambda name: kept.update(name, {})):
        with pytest.raises(InvalidRequest, match="Chat completion with id 'a' not found"):
            ask("a")


def test_completions_are_found_by_model_and_metadata(kept: Chats) -> None:
    kept.keep(completion("a"), {"metadata": {"k": "v", "l": "w"}})
    kept.keep(completion("b", "other"), {"metadata": {"k": "v"}})
    kept.keep(completion("c"), {})

    def found(model: str | None = None, **metadata: str) -> list[str]:
        return [whole["id"] for whole in kept.all(model=model, metadata=metadata)]

    assert found() == ["a", "b", "c"]
    assert found("m") == ["a", "c"]
    assert found(k="v") == ["a", "b"]
    assert found(k="v", l="w") == ["a"]
    assert found("other", l="w") == []


def test_messages_have_ids_and_their_parts(kept: Chats) -> None:
    audio = {"type": "input_audio"}
    messages = [
        {"role": "system", "content": "Be brief."},
        {"role": "user", "content": [TEXT, audio]},
        {"role": "assistant", "content": None, "tool_calls": []},
    ]
    kept.keep(completion("a"), {"messages": messages})
    assert kept.messages("a") == [
        {"id": "a-0", "role": "system", "content": "Be brief.", "content_parts": None},
        {"id": "a-1", "role": "user", "content": None, "content_parts": [TEXT]},
        {
            "id": "a-2",
            "role": "assistant",
            "content": None,
            "tool_calls": [],
            "content_parts": None,
        },
    ]
