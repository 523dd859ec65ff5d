"""What is kept of a request, and what goes before one."""

from __future__ import annotations

import logging
import sqlite3
from collections.abc import Iterator
from pathlib import Path

import pytest

from codexapi_engine.errors import InvalidRequest, JsonObject, Unavailable
from codexapi_engine.protocol.responses import user
from codexapi_engine.storage import Owner, State, Turn

OWNER = Owner.of("account", "m")
SAID: JsonObject = {"type": "message", "id": "msg_1", "role": "assistant", "content": []}
DONE: JsonObject = {"id": "resp_1", "status": "completed", "output": [SAID]}


@pytest.fixture
def state() -> Iterator[State]:
    made = State()
    yield made
    made.close()


def test_a_response_is_kept_unless_the_client_says_no(state: State) -> None:
    state.store(Turn({"model": "m", "store": False}, [], DONE, OWNER))
    with pytest.raises(InvalidRequest):
        state.responses.get("resp_1")
    state.store(Turn({"model": "m"}, [user("hi")], DONE, OWNER))
    assert state.responses.get("resp_1") == DONE
    chain = state.before({"model": "m", "previous_response_id": "resp_1"}, OWNER)
    assert [item["role"] for item in chain] == ["user", "assistant"]
    assert state.before({"model": "m"}, OWNER) == []


@pytest.mark.parametrize("form", ["text", "object"])
def test_a_conversation_goes_on_with_what_was_said(state: State, form: str) -> None:
    name = state.conversations.create([user("one")], {}, created=5)["id"]
    asked = {
        "model": "m", "store": False, "conversation": name if form == "text" else {"id": name},
    }  # fmt: skip
    state.store(Turn(asked, [user("two")], DONE, OWNER))
    assert [item["role"] for item in state.before(asked, OWNER)] == ["user", "user", "assistant"]


@pytest.mark.parametrize(("status", "count"), [("incomplete", 2), ("failed", 0), ("cancelled", 0)])
def test_only_what_ended_well_is_said_in_a_conversation(
    state: State, status: str, count: int
) -> None:
    name = state.conversations.create([], {}, created=5)["id"]
    state.store(
        Turn({"model": "m", "conversation": name}, [user("hi")], {**DONE, "status": status}, OWNER)
    )
    assert len(state.conversations.items(name)) == count


def test_what_cannot_be_kept_is_logged_and_no_more(
    state: State, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.WARNING):
        state.store(Turn({"model": "m", "conversation": "conv_gone"}, [], DONE, OWNER))
    assert "conv_gone" in caplog.text
    state.close()
    caplog.clear()
    state.store(Turn({"model": "m"}, [], DONE, OWNER))
    state.store_chat({}, {"id": "chatcmpl-1"})
    assert caplog.text.count("cannot be used") == 2


def test_own_items_are_those_of_the_input_in_either_form(state: State) -> None:
    assert state.own({"input": "hi"}, OWNER) == [user("hi")]
    assert state.own({"input": [user("hi")]}, OWNER) == [user("hi")]
    assert state.own({}, OWNER) == []


def test_what_goes_before_an_input_goes_up_once(state: State) -> None:
    name = state.conversations.create([{**user("one"), "id": "msg_0"}], {}, created=5)["id"]
    asked: JsonObject = {"model": "m", "conversation": name}
    state.store(Turn(asked, [user("two")], DONE, OWNER))
    past = state.before(asked, OWNER)
    again = [*past, {"type": "item_reference", "id": "msg_1"}, user("three")]
    assert state.own({**asked, "input": again}, OWNER, past) == [user("three")]
    changed = {"role": "user", "content": "one", "id": "msg_0"}
    assert state.own({**asked, "input": [changed]}, OWNER, past) == [], "the same in other words"


def test_another_item_by_an_id_that_is_taken_goes_without_it(state: State) -> None:
    past = [{**user("one"), "id": "msg_0"}]
    given = [{**user("another"), "id": "msg_0"}]
    assert state.own({"input": given}, OWNER, past) == [user("another")]


def test_a_file_keeps_everything_over_a_restart(tmp_path: Path) -> None:
    path = tmp_path / "state.db"
    first = State(path)
    first.store(Turn({"model": "m"}, [user("hi")], DONE, OWNER))
    name = first.conversations.create([user("one")], {}, created=5)["id"]
    first.chats.keep({"id": "chatcmpl-1"}, {})
    first.close()
    second = State(path)
    assert second.responses.get("resp_1") == DONE
    assert len(second.conversations.items(name)) == 1
    assert second.chats.get("chatcmpl-1")["id"] == "chatcmpl-1"
    second.close()


def test_a_file_that_is_none_of_ours_is_refused_and_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "notes.txt"
    path.write_text("My notes. " * 100)
    path.chmod(0o644)
    before = path.stat()
    with pytest.raises(Unavailable, match="notes"):
        State(path)
    assert path.read_text() == "My notes. " * 100
    assert path.stat().st_mode == before.st_mode, "not even its mode has changed"
    assert list(tmp_path.iterdir()) == [path]
    with pytest.raises(Unavailable, match="state file"):
        State(tmp_path)


def test_another_program_s_database_is_refused_and_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "theirs.db"
    theirs = sqlite3.connect(path)
    theirs.execute("CREATE TABLE objects (theirs TEXT)")
    theirs.close()
    path.chmod(0o644)
    before, content = path.stat(), path.read_bytes()
    with pytest.raises(Unavailable, match="another program"):
        State(path)
    assert (path.read_bytes(), path.stat().st_mode) == (content, before.st_mode)
    assert list(tmp_path.iterdir()) == [path]
