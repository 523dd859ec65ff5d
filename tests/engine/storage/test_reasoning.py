"""Reasoning comes back before the call it led to."""

from __future__ import annotations

from codexapi_engine.errors import JsonObject
from codexapi_engine.storage import Owner, Reasoning

OWNER = Owner.of("account", "m")

THOUGHT: JsonObject = {"type": "reasoning", "id": "rs_1", "encrypted_content": "opaque"}
CALL: JsonObject = {"type": "function_call", "call_id": "call_1", "name": "f", "arguments": "{}"}
OTHER: JsonObject = {**CALL, "call_id": "call_2"}
SAID: JsonObject = {"type": "message", "role": "assistant", "content": []}


def test_reasoning_is_put_back_before_its_call() -> None:
    reasoning = Reasoning()
    reasoning.remember([THOUGHT, CALL, OTHER], owner=OWNER)
    assert reasoning.restore([SAID, CALL, OTHER], owner=OWNER) == [SAID, THOUGHT, CALL, OTHER]


def test_an_unknown_call_stays_as_it_is() -> None:
    assert Reasoning().restore([CALL], owner=OWNER) == [CALL]


def test_reasoning_that_the_client_sends_itself_is_not_doubled() -> None:
    reasoning = Reasoning()
    reasoning.remember([THOUGHT, CALL], owner=OWNER)
    assert reasoning.restore([THOUGHT, CALL], owner=OWNER) == [THOUGHT, CALL]


def test_reasoning_of_another_model_is_left_out() -> None:
    reasoning = Reasoning()
    reasoning.remember([THOUGHT, CALL], owner=OWNER)
    assert reasoning.restore([CALL], owner=Owner.of("account", "other")) == [CALL]


def test_reasoning_of_another_account_is_left_out() -> None:
    reasoning = Reasoning()
    reasoning.remember([THOUGHT, CALL], owner=OWNER)
    assert reasoning.restore([CALL], owner=Owner.of("another account", "m")) == [CALL]
    assert reasoning.restore([CALL], owner=OWNER) == [THOUGHT, CALL]


def test_bare_reasoning_is_not_kept() -> None:
    reasoning = Reasoning()
    reasoning.remember([{"type": "reasoning", "id": "rs_1"}, CALL], owner=OWNER)
    assert reasoning.restore([CALL], owner=OWNER) == [CALL]


def test_the_oldest_is_forgotten_first() -> None:
    reasoning = Reasoning(max_bytes=1_500)
    big: JsonObject = {**THOUGHT, "encrypted_content": "x" * 1_000}
    reasoning.remember([big, CALL], owner=OWNER)
    reasoning.remember([big, OTHER], owner=OWNER)
    assert reasoning.restore([CALL, OTHER], owner=OWNER) == [CALL, big, OTHER]
