"""Stores conversations and their items."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from ..errors import JsonObject
from ..protocol.responses.items import is_bare, kind_of, shown
from ..protocol.shapes import get_dict, get_int, get_list, get_str
from .names import absent, new_id
from .owner import Owner
from .sqlite import ObjectStore

_KIND = "conversation"


class Conversations:
    """Conversations by id. Where there is none of an id, InvalidRequest is raised, a 404."""

    def __init__(self, objects: ObjectStore) -> None:
        self._objects = objects

    def create(
        self,
        items: Iterable[JsonObject],
        metadata: JsonObject,
        *,
        created: int,
        owner: Owner | None = None,
    ) -> JsonObject:
        name = new_id("conv")
        value = {"created_at": created, "metadata": metadata, "items": []}
        value = _normal(value, name)
        _add_items(value, items, owner)
        self._objects.put(_KIND, name, value)
        return _public(name, value)

    def get(self, id: str) -> JsonObject:  # noqa: A002  (the wire's word)
        return _public(id, self._require(id))

    def update(self, id: str, metadata: JsonObject) -> JsonObject:  # noqa: A002
        changed = self._change(id, lambda value: {**value, "metadata": metadata})
        return _public(id, changed)

    def delete(self, id: str) -> None:  # noqa: A002
        if not self._objects.delete(_KIND, id):
            raise absent("Conversation", id)

    def items(self, id: str) -> list[JsonObject]:  # noqa: A002
        return get_list(self._require(id), "items")

    def item(self, id: str, item_id: str) -> JsonObject:  # noqa: A002
        for item in self.items(id):
            if get_str(item, "id") == item_id:
                return item
        raise absent("Item", item_id)

    def add(
        self,
        id: str,  # noqa: A002
        items: Iterable[JsonObject],
        *,
        owner: Owner | None = None,
    ) -> list[JsonObject]:
        """The items as they now stand at its end. `owner` is whose answer they are of, or by whose
        login a client added them."""
        added: list[JsonObject] = []

        def longer(value: JsonObject) -> JsonObject:
            added.extend(_add_items(value, items, owner))
            return value

        self._change(id, longer)
        return added

    def remove(self, id: str, item_id: str) -> JsonObject:  # noqa: A002
        """The conversation, without this item."""

        def shorter(value: JsonObject) -> JsonObject:
            left = [item for item in get_list(value, "items") if item["id"] != item_id]
            if len(left) == len(get_list(value, "items")):
                raise absent("Item", item_id)
            return {**value, "items": left}

        return _public(id, self._change(id, shorter))

    def history(self, id: str, *, owner: Owner) -> list[JsonObject]:  # noqa: A002
        """Its items, less those that `owner` cannot send."""
        value = self._require(id)
        models, accounts = get_dict(value, "written_by"), get_dict(value, "accounts")

        def writer(item: JsonObject) -> Owner:
            return Owner(get_str(accounts, item["id"]), get_str(models, item["id"]))

        return [item for item in get_list(value, "items") if owner.can_send(item, writer(item))]

    def _require(self, id: str) -> JsonObject:  # noqa: A002
        value = self._objects.get(_KIND, id)
        if value is None:
            raise absent("Conversation", id)
        return _normal(value, id)

    def _change(
        self,
        id: str,  # noqa: A002
        change: Callable[[JsonObject], JsonObject],
    ) -> JsonObject:
        changed = self._objects.change(_KIND, id, lambda value: change(_normal(value, id)))
        if changed is None:
            raise absent("Conversation", id)
        return changed


def _normal(value: JsonObject, name: str) -> JsonObject:
    """What was kept, with all that is asked of it here. Raises InvalidRequest where the row has
    another shape than ours."""
    created = get_int(value, "created_at")
    if created is None:
        raise absent("Conversation", name)
    return {
        "created_at": created,
        "metadata": get_dict(value, "metadata"),
        "items": [item for item in get_list(value, "items") if get_str(item, "id")],
        "written_by": get_dict(value, "written_by"),
        "accounts": get_dict(value, "accounts"),
    }


def _add_items(
    value: JsonObject, items: Iterable[JsonObject], owner: Owner | None
) -> list[JsonObject]:
    """Adds items, and names anew those whose id is taken."""
    models, accounts = value["written_by"], value["accounts"]
    taken = {item["id"] for item in value["items"]}
    added = []
    for item in items:
        if is_bare(item):
            continue
        if get_str(item, "id") in taken:
            item = {name: member for name, member in item.items() if name != "id"}
        whole = shown(item, new_id)
        taken.add(whole["id"])
        added.append(whole)
        if owner is not None and (kind_of(whole) == "reasoning" or whole.get("encrypted_content")):
            accounts[whole["id"]], models[whole["id"]] = owner
    value["items"] += added
    return added


def _public(name: str, value: JsonObject) -> JsonObject:
    return {
        "id": name,
        "object": "conversation",
        "created_at": value["created_at"],
        "metadata": value["metadata"],
    }
