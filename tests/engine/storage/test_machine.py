"""The state room, in any order of events, against a model of lists and dicts.

A kill is one: a forked process that ends inside or right after its transaction. What fails prints
the blob that plays it again, and the steps. `--hypothesis-profile=search` tries more.
"""

from __future__ import annotations

import os
import shutil
import sys
import tempfile
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from codexapi_engine.errors import InvalidRequest, JsonObject
from codexapi_engine.protocol import json
from codexapi_engine.protocol.responses import user
from codexapi_engine.storage import ObjectStore, Owner, State, Turn

if sys.platform == "win32":
    pytest.skip("forks", allow_module_level=True)

FEW = settings(max_examples=settings().max_examples // 5, stateful_step_count=30, print_blob=True)
AT = ("commit", "after")
"""Where a process can be killed: before its transaction is committed, and right after."""


def killed(shelf_of: Callable[[], ObjectStore], do: Callable[[ObjectStore], None], at: str) -> None:
    """Does something in another process, and ends that one without another word."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # of the threads of a test runner
        child = os.fork()
    if child == 0:
        try:
            shelf = shelf_of()
            if at == "commit":
                shelf._database.set_trace_callback(
                    lambda sql: os._exit(9) if sql == "COMMIT" else None
                )
            do(shelf)
        finally:
            os._exit(9)
    os.waitpid(child, 0)


@dataclass
class Kept:
    """An object, as the model has it."""

    kind: str
    id: str
    value: JsonObject
    names: list[str]

    @property
    def size(self) -> int:
        return len(json.dumps(self.value))


class ShelfMachine(RuleBasedStateMachine):
    """Put, change, delete, look, shed, begin again, be killed."""

    MOST, BYTES = 4, 600

    def __init__(self) -> None:
        super().__init__()
        self.folder = Path(tempfile.mkdtemp(prefix="shelf-"))
        self.shelves = [self._open(), self._open()]  # as two servers on one file
        self.model: list[Kept] = []

    def teardown(self) -> None:
        for shelf in self.shelves:
            shelf.close()
        shutil.rmtree(self.folder)

    def _open(self) -> ObjectStore:
        return ObjectStore(self.folder / "state.db", max_objects=self.MOST, max_bytes=self.BYTES)

    KINDS, IDS, NAMES = st.sampled_from("xy"), st.sampled_from("abcdef"), st.sampled_from("klmn")
    LENGTHS = st.sampled_from([0, 50, 150, 590])
    WHO = st.integers(0, 1)

    @rule(who=WHO, kind=KINDS, id=IDS, length=LENGTHS, names=st.lists(NAMES, unique=True))
    def puts(self, who: int, kind: str, id: str, length: int, names: list[str]) -> None:  # noqa: A002
        value = {"text": "x" * length}
        self.shelves[who].put(kind, id, value, names=names)
        self._put(Kept(kind, id, value, names))

    @rule(kind=KINDS, id=IDS, length=LENGTHS, at=st.sampled_from(AT))
    def puts_and_is_killed(self, kind: str, id: str, length: int, at: str) -> None:  # noqa: A002
        value = {"text": "y" * length}
        killed(self._open, lambda shelf: shelf.put(kind, id, value), at)
        if at == "after":
            self._put(Kept(kind, id, value, []))

    @rule(
        who=WHO, kind=KINDS, id=IDS, length=LENGTHS, names=st.none() | st.lists(NAMES, unique=True)
    )
    def changes(
        self,
        who: int,
        kind: str,
        id: str,  # noqa: A002
        length: int,
        names: list[str] | None,
    ) -> None:
        value = {"text": "z" * length}
        naming = None if names is None else lambda changed: names or []
        changed = self.shelves[who].change(kind, id, lambda before: value, names=naming)
        kept = self._find(kind, id)
        assert (changed is None) == (kept is None)
        if kept is not None:
            kept.value, kept.names = value, kept.names if names is None else names
            self._shed(kind)

    @rule(who=WHO, kind=KINDS, id=IDS)
    def change_fails(self, who: int, kind: str, id: str) -> None:  # noqa: A002
        if self._find(kind, id) is not None:
            with pytest.raises(ZeroDivisionError):
                self.shelves[who].change(kind, id, lambda before: {"n": 1 // 0})

    @rule(who=WHO, kind=KINDS, id=IDS)
    def deletes(self, who: int, kind: str, id: str) -> None:  # noqa: A002
        kept = self._find(kind, id)
        assert self.shelves[who].delete(kind, id) == (kept is not None)
        if kept is not None:
            self.model.remove(kept)

    @rule(who=WHO)
    def begins_again(self, who: int) -> None:
        self.shelves[who].close()
        self.shelves[who] = self._open()

    @invariant()
    def shelf_is_as_the_model_says(self) -> None:
        for shelf in self.shelves:
            for kind in "xy":
                kept = [one for one in self.model if one.kind == kind]
                assert list(shelf.all(kind)) == [(one.id, one.value) for one in kept]
                newest = [name for name, _ in shelf.all(kind, newest_first=True)]
                assert newest == [one.id for one in reversed(kept)]
                assert all(
                    shelf.get(kind, name)
                    == (one.value if (one := self._find(kind, name)) else None)
                    for name in "abcdef"
                )
                holders = {name: one.id for one in kept for name in one.names}
                assert shelf.find_by_item(kind, "klmn") == holders

    def _find(self, kind: str, id: str) -> Kept | None:  # noqa: A002
        return next((one for one in self.model if (one.kind, one.id) == (kind, id)), None)

    def _put(self, new: Kept) -> None:
        if old := self._find(new.kind, new.id):
            self.model.remove(old)
        self.model.append(new)
        self._shed(new.kind)

    def _shed(self, kind: str) -> None:
        """The oldest of its kind beyond the count, then the oldest of all beyond the bytes."""
        of_kind = [one for one in self.model if one.kind == kind]
        for one in of_kind[: max(0, len(of_kind) - self.MOST)]:
            self.model.remove(one)
        while sum(one.size for one in self.model) > self.BYTES:
            self.model.pop(0)


class RoomMachine(RuleBasedStateMachine):
    """Responses that go on from one another, conversations, and chats; over restarts and kills.
    Two accounts take turns.

    The model knows texts alone: each that is said is said once. With each answer goes reasoning,
    which is known by its account and what it was about.
    """

    ACCOUNTS = st.sampled_from("AB")

    def __init__(self) -> None:
        super().__init__()
        self.folder = Path(tempfile.mkdtemp(prefix="state-"))
        self.state = self._open()
        self.count = 0
        self.turns: dict[str, tuple[list[str], str | None]] = {}  # response -> its texts, previous
        self.gone: set[str] = set()
        self.said: dict[str, list[str]] = {}  # conversation -> texts
        self.completions: list[str] = []

    def teardown(self) -> None:
        self.state.close()
        shutil.rmtree(self.folder)

    def _open(self) -> State:
        return State(self.folder / "state.db", clock=lambda: 1_000.0)

    def _words(self) -> str:
        self.count += 1
        return f"text {self.count}"

    @rule(store=st.booleans(), account=ACCOUNTS)
    def answers(self, store: bool, account: str) -> None:
        self._answer({"model": "m", "store": store}, [], account)

    @rule(data=st.data(), account=ACCOUNTS)
    def goes_on(self, data: st.DataObject, account: str) -> None:
        if not self.turns:
            return
        previous = data.draw(st.sampled_from(sorted(self.turns)), label="previous")
        asked = {"model": "m", "previous_response_id": previous}
        history = self._history(previous)
        if history is None:
            with pytest.raises(InvalidRequest, match="not found"):
                self.state.before(asked, _owner(account))
            return
        self._answer(asked, history, account)

    @rule(words=st.booleans())
    def begins_a_conversation(self, words: bool) -> None:
        texts = [self._words()] if words else []
        name = self.state.conversations.create(list(map(user, texts)), {}, created=1)["id"]
        self.said[name] = texts

    @rule(
        data=st.data(),
        account=ACCOUNTS,
        status=st.sampled_from(["completed", "incomplete", "failed"]),
    )
    def converses(self, data: st.DataObject, account: str, status: str) -> None:
        if not self.said:
            return
        name = data.draw(st.sampled_from([*self.said]), label="conversation")
        asked = {"model": "m", "conversation": name, "store": False}
        texts = self._answer(asked, self.said[name], account, status)
        if status != "failed":
            self.said[name] = [*self.said[name], *texts]

    @rule(data=st.data())
    def takes_back(self, data: st.DataObject) -> None:
        if not any(self.said.values()):
            return
        spoken = [name for name, texts in self.said.items() if texts]
        name = data.draw(st.sampled_from(spoken), label="conversation")
        at = data.draw(st.integers(0, len(self.said[name]) - 1), label="item")
        item = self.state.conversations.items(name)[at]
        self.state.conversations.remove(name, item["id"])
        del self.said[name][at]

    @rule(data=st.data())
    def ends_a_conversation(self, data: st.DataObject) -> None:
        if not self.said:
            return
        name = data.draw(st.sampled_from([*self.said]), label="conversation")
        self.state.conversations.delete(name)
        del self.said[name]
        with pytest.raises(InvalidRequest, match="not found"):
            self.state.before({"model": "m", "conversation": name}, _owner("A"))

    @rule(data=st.data())
    def forgets(self, data: st.DataObject) -> None:
        if not set(self.turns) - self.gone:
            return
        name = data.draw(st.sampled_from(sorted(set(self.turns) - self.gone)), label="response")
        self.state.responses.delete(name)
        self.gone.add(name)
        with pytest.raises(InvalidRequest, match="not found"):
            self.state.responses.delete(name)

    @rule()
    def completes_a_chat(self) -> None:
        self.count += 1
        name, asked = f"chatcmpl-{self.count}", {"messages": [{"role": "user", "content": "x"}]}
        self.state.store_chat(asked, {"id": name, "model": "m"})
        self.completions.append(name)

    @rule(data=st.data())
    def forgets_a_chat(self, data: st.DataObject) -> None:
        if not self.completions:
            return
        name = data.draw(st.sampled_from(self.completions), label="chat")
        self.state.chats.delete(name)
        self.completions.remove(name)

    @rule()
    def begins_again(self) -> None:
        self.state.close()
        self.state = self._open()

    @rule(at=st.sampled_from(AT), account=ACCOUNTS)
    def is_killed_while_it_keeps(self, at: str, account: str) -> None:
        """By another server on the same file, so that ours lives on with what it left."""
        text, name = self._words(), f"resp_{self.count}"
        response = _response(name, [text], None)
        thought = _thought(response, account)

        def keep(shelf: ObjectStore) -> None:
            shelf.close()
            other = self._open()
            if at == "commit":
                other._objects._database.set_trace_callback(
                    lambda sql: os._exit(9) if sql == "COMMIT" else None
                )
            other.store(Turn({"model": "m"}, [user(text)], response, _owner(account)))

        killed(lambda: ObjectStore(None), keep, "after")
        if at == "after":
            self.turns[name] = [text, thought, text], None

    @invariant()
    def room_is_as_the_model_says(self) -> None:
        for name in self.turns:
            if name in self.gone:
                with pytest.raises(InvalidRequest, match="not found"):
                    self.state.responses.get(name)
            else:
                assert self.state.responses.get(name)["id"] == name
        for name, texts in self.said.items():
            assert _texts(self.state.conversations.items(name)) == texts
        listed = self.state.chats.all(model=None, metadata={})
        assert [chat["id"] for chat in listed] == self.completions

    def _history(self, name: str | None) -> list[str] | None:
        """The texts of a response and of all before it; None if one of them is gone."""
        texts: list[str] = []
        while name is not None:
            if name in self.gone:
                return None
            own, name = self.turns[name]
            texts = [*own, *texts]
        return texts

    def _answer(
        self, asked: JsonObject, history: list[str], account: str, status: str = "completed"
    ) -> list[str]:
        """A whole run: what goes before it is looked at, and what comes of it kept."""
        readable = [text for text in history if not text.startswith(_THOUGHT + _other(account))]
        assert _texts(self.state.before(asked, _owner(account))) == readable
        question, answer = self._words(), self._words()
        name, previous = f"resp_{self.count}", asked.get("previous_response_id")
        response = {**_response(name, [answer], previous), "status": status}
        thought = _thought(response, account)
        self.state.store(Turn(asked, [user(question)], response, _owner(account)))
        if asked.get("store") is not False:
            self.turns[name] = [question, thought, answer], previous
        return [question, thought, answer]


_THOUGHT = "thought of "


def _owner(account: str) -> Owner:
    return Owner.of(account, "m")


def _other(account: str) -> str:
    return "B" if account == "A" else "A"


def _thought(response: JsonObject, account: str) -> str:
    """Puts reasoning before an answer; returns what the model knows it by."""
    content = f"{_THOUGHT}{account} before {response['id']}"
    item = {"type": "reasoning", "id": f"rs_{response['id']}", "encrypted_content": content}
    response["output"].insert(0, item)
    return content


def _response(name: str, texts: list[str], previous: str | None) -> JsonObject:
    output = [
        {
            "type": "message", "role": "assistant", "id": f"msg_{name}_{number}",
            "content": [{"type": "output_text", "text": text}],
        }
        for number, text in enumerate(texts)
    ]  # fmt: skip
    return {
        "id": name, "status": "completed", "output": output, "previous_response_id": previous,
    }  # fmt: skip


def _texts(items: list[JsonObject]) -> list[str]:
    return [
        item["encrypted_content"] if item["type"] == "reasoning" else item["content"][0]["text"]
        for item in items
    ]


TestShelf = ShelfMachine.TestCase
TestShelf.settings = FEW
TestRoom = RoomMachine.TestCase
TestRoom.settings = FEW
