"""Conversations and their items."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from codexapi_engine.errors import InvalidRequest, JsonObject
from codexapi_engine.protocol.responses import user
from codexapi_engine.storage import ObjectStore, Owner
from codexapi_engine.storage.conversations import Conversations

THOUGHT: JsonObject = {"type": "reasoning", "id": "rs_1", "encrypted_content": "opaque"}
OWNER = Owner.of("account", "m")


@pytest.fixture
def kept() -> Iterator[Conversations]:
    shelf = ObjectStore()
    yield Conversations(shelf)
    shelf.close()


def test_a_conversation_is_made_changed_and_deleted(kept: Conversations) -> None:
    made = kept.create([user("hi")], {"a": "b"}, created=5)
    name = made["id"]
    assert name.startswith("conv_")
    assert made == {
        "id": name,
        "object": "conversation",
        "created_at": 5,
        "metadata": {"a": "b"},
    }
    assert kept.get(name) == made
    assert kept.update(name, {"c": "d"}) == kept.get(name) == {**made, "metadata": {"c": "d"}}
    assert len(kept.items(name)) == 1
    kept.delete(name)
    with pytest.raises(InvalidRequest) as caught:
        kept.delete(name)
    assert (caught.value.status, caught.value.message) == (
        404,
        f"Conversation with id '{name}' not found.",
    )


def test_nothing_is_asked_of_a_conversation_that_is_not_there(kept: Conversations) -> None:
    for ask in (
        lambda: kept.get("x"),
        lambda: kept.items("x"),
        lambda: kept.history("x", owner=OWNER),
        lambda: kept.update("x", {}),
        lambda: kept.add("x", []),
        lambda: kept.remove("x", "y"),
    ):
        with pytest.raises(InvalidRequest, match="Conversation with id 'x' not found"):
            ask()


def test_items_are_added_and_removed_one_by_one(kept: Conversations) -> None:
    name = kept.create([], {}, created=5)["id"]
    one, two = kept.add(name, [user("one"), user("two")])
    assert kept.items(name) == [one, two]
    assert kept.item(name, two["id"]) == two
    assert kept.remove(name, one["id"])["id"] == name
    assert kept.items(name) == [two]
    for ask in (kept.item, kept.remove):
        with pytest.raises(InvalidRequest, match=f"Item with id '{one['id']}' not found."):
            ask(name, one["id"])


def test_no_two_items_have_one_id(kept: Conversations) -> None:
    item = {**user("hi"), "id": "msg_1"}
    name = kept.create([item, item, {**item, "id": ["odd"]}], {}, created=5)["id"]
    kept.add(name, [item])
    ids = [item["id"] for item in kept.items(name)]
    assert ids[0] == "msg_1"
    assert len(set(ids)) == 4
    assert all(found.startswith("msg_") for found in ids)


def test_reasoning_is_history_for_its_own_model_alone(kept: Conversations) -> None:
    name = kept.create([user("hi")], {}, created=5)["id"]
    kept.add(name, [THOUGHT], owner=Owner.of("account", "m:high"))
    assert [item["type"] for item in kept.history(name, owner=OWNER)] == ["message", "reasoning"]
    assert [item["type"] for item in kept.history(name, owner=Owner.of("account", "other"))] == [
        "message"
    ]


def test_what_another_account_had_encrypted_is_no_history(kept: Conversations) -> None:
    compaction: JsonObject = {**THOUGHT, "type": "compaction", "id": "cmp_1"}
    name = kept.create([], {}, created=5)["id"]
    kept.add(name, [compaction, user("hi"), THOUGHT], owner=Owner.of("another account", "m"))
    kept.add(name, [{**THOUGHT, "id": "rs_2"}], owner=OWNER)
    assert [item["type"] for item in kept.history(name, owner=OWNER)] == ["message", "reasoning"]
    assert kept.history(name, owner=OWNER)[1]["id"] == "rs_2"
    assert len(kept.items(name)) == 4, "it can still be listed"
    other_model = kept.history(name, owner=Owner.of("another account", "other"))
    assert [item["type"] for item in other_model] == ["compaction", "message"]


def test_a_conversation_of_before_there_were_owners_goes_on(kept: Conversations) -> None:
    value = {"created_at": 5, "metadata": {}, "items": [THOUGHT], "written_by": {"rs_1": "m"}}
    kept._objects.put("conversation", "conv_1", value)
    assert kept.history("conv_1", owner=OWNER) == [THOUGHT]
    assert kept.history("conv_1", owner=Owner.of("account", "other")) == []
    kept.add("conv_1", [{**THOUGHT, "id": "rs_2"}], owner=Owner.of("another account", "m"))
    assert [item["id"] for item in kept.history("conv_1", owner=OWNER)] == ["rs_1"]


def test_bare_reasoning_is_left_out(kept: Conversations) -> None:
    name = kept.create([{"type": "reasoning", "id": "rs_1"}], {}, created=5)["id"]
    assert kept.items(name) == []
