"""Stored responses: chains, references, and those that are still running."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from tests.clock import Clock

from codexapi_engine.bounds import HEARTBEAT_TIMEOUT, MAX_LOG_BYTES
from codexapi_engine.errors import CodexError, InvalidRequest, JsonObject
from codexapi_engine.protocol import sse
from codexapi_engine.protocol.event_log import EventLog
from codexapi_engine.protocol.responses import failed, user
from codexapi_engine.storage import ObjectStore, Owner
from codexapi_engine.storage.responses import Responses

THOUGHT: JsonObject = {"type": "reasoning", "id": "rs_1", "encrypted_content": "opaque"}
SAID: JsonObject = {"type": "message", "id": "msg_1", "role": "assistant", "content": []}
COMPACTION: JsonObject = {"type": "compaction", "id": "cmp_1", "encrypted_content": "opaque"}
OWNER, ANOTHER = Owner.of("account", "m"), Owner.of("account", "other")
STRANGER = Owner.of("another account", "m")


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def shelf() -> Iterator[ObjectStore]:
    made = ObjectStore()
    yield made
    made.close()


@pytest.fixture
def kept(shelf: ObjectStore, clock: Clock) -> Responses:
    return Responses(shelf, clock=clock)


def response(name: str, *output: JsonObject, **more: Any) -> JsonObject:
    return {"id": name, "status": "completed", "output": list(output), **more}


def text_of(items: list[JsonObject]) -> list[str]:
    return [part["text"] for item in items for part in item.get("content") or []]


def refused(error: InvalidRequest) -> tuple[int, str | None, str | None]:
    return error.status, error.code, error.param


def test_a_response_is_there_until_it_is_deleted(kept: Responses) -> None:
    kept.keep(response("resp_1", SAID), [user("hi")], owner=OWNER)
    assert kept.get("resp_1") == response("resp_1", SAID)
    kept.delete("resp_1")
    for ask in (kept.get, kept.items, kept.events, kept.delete, kept.cancel):
        with pytest.raises(InvalidRequest, match="Response with id 'resp_1' not found") as caught:
            ask("resp_1")
        assert refused(caught.value) == (404, None, None)


def test_the_input_is_listed_with_ids_and_parts(kept: Responses) -> None:
    given = [{"role": "user", "content": "hi"}, {**SAID, "content": "yo"}]
    kept.keep(response("resp_1"), given, owner=OWNER)
    first, second = kept.items("resp_1")
    assert first["id"].startswith("msg_")
    assert len(first["id"]) > 40
    assert first["content"] == [{"type": "input_text", "text": "hi"}]
    assert second["id"] == "msg_1"
    assert second["content"] == [{"annotations": [], "type": "output_text", "text": "yo"}]
    assert first["status"] == second["status"] == "completed"


def test_a_response_without_an_id_is_not_kept(kept: Responses, shelf: ObjectStore) -> None:
    kept.keep(response(""), [], owner=OWNER)
    assert list(shelf.all("response")) == []


def test_a_chain_is_all_that_was_said_in_its_order(kept: Responses) -> None:
    kept.keep(response("resp_1", THOUGHT, SAID), [user("one")], owner=OWNER)
    kept.keep(
        response("resp_2", previous_response_id="resp_1"),
        [user("two")],
        owner=Owner.of("account", "m:high"),
    )
    history = kept.history("resp_2", owner=Owner.of("account", "m:low"))
    assert [item["type"] for item in history] == ["message", "reasoning", "message", "message"]
    assert text_of(history) == ["one", "two"]


def test_reasoning_of_another_model_stays_behind_in_a_chain(kept: Responses) -> None:
    kept.keep(response("resp_1", THOUGHT, SAID), [user("one")], owner=ANOTHER)
    kept.keep(
        response("resp_2", {**THOUGHT, "id": "rs_2"}, previous_response_id="resp_1"),
        [],
        owner=OWNER,
    )
    ids = [item["id"] for item in kept.history("resp_2", owner=OWNER)]
    assert ids[1:] == ["msg_1", "rs_2"]


def test_a_chain_with_a_hole_is_not_found(kept: Responses) -> None:
    kept.keep(response("resp_1"), [], owner=OWNER)
    kept.keep(response("resp_2", previous_response_id="resp_1"), [], owner=OWNER)
    kept.delete("resp_1")
    for name, lost in (("resp_2", "resp_1"), ("resp_9", "resp_9")):
        with pytest.raises(InvalidRequest, match=f"'{lost}' not found") as caught:
            kept.history(name, owner=OWNER)
        assert refused(caught.value) == (
            400,
            "previous_response_not_found",
            "previous_response_id",
        )


def test_a_chain_that_leads_to_itself_has_an_end(kept: Responses) -> None:
    kept.keep(response("resp_1", SAID, previous_response_id="resp_1"), [], owner=OWNER)
    assert kept.history("resp_1", owner=OWNER) == [SAID]


@pytest.mark.parametrize(
    ("more", "why"),
    [({"status": "in_progress"}, "still running"), ({"conversation": {"id": "conv_1"}}, "conv_1")],
)
def test_a_chain_cannot_begin_at_a_response_of_this_kind(
    kept: Responses, more: JsonObject, why: str
) -> None:
    kept.begin(response("resp_1", **more), [], owner=OWNER)
    with pytest.raises(InvalidRequest, match=why):
        kept.history("resp_1", owner=OWNER)


def test_references_are_replaced_by_what_they_mean(kept: Responses) -> None:
    kept.keep(response("resp_1", THOUGHT, SAID), [{**user("hi"), "id": "msg_0"}], owner=OWNER)
    given: list[JsonObject] = [
        {"type": "item_reference", "id": "msg_0"},
        {"type": "reasoning", "id": "rs_1", "summary": []},
        {"type": "item_reference", "id": "msg_1"},
        {"type": "item_reference", "id": "msg_9"},
        {"type": "item_reference", "id": ["x"]},
        user("next"),
    ]
    found = kept.inlined(given, owner=OWNER)
    assert text_of(found[:1]) == ["hi"]
    assert found[1:3] == [THOUGHT, SAID]
    assert found[3:] == given[3:]


def test_a_reference_to_reasoning_of_another_model_is_left_bare(kept: Responses) -> None:
    kept.keep(response("resp_1", THOUGHT), [], owner=OWNER)
    found = kept.inlined([{"type": "item_reference", "id": "rs_1"}], owner=ANOTHER)
    assert found == [{"type": "reasoning", "id": "rs_1"}]


def test_what_another_account_had_encrypted_stays_behind_in_a_chain(kept: Responses) -> None:
    kept.keep(response("resp_1", THOUGHT, SAID), [COMPACTION, user("one")], owner=STRANGER)
    own = {**THOUGHT, "id": "rs_2"}
    kept.keep(response("resp_2", own, previous_response_id="resp_1"), [user("two")], owner=OWNER)
    kinds = [item["type"] for item in kept.history("resp_2", owner=OWNER)]
    assert kinds == ["message", "message", "message", "reasoning"]
    kinds = [item["type"] for item in kept.history("resp_2", owner=STRANGER)]
    assert kinds == ["compaction", "message", "reasoning", "message", "message"]


def test_a_compaction_goes_on_with_another_model(kept: Responses) -> None:
    kept.keep(response("resp_1", THOUGHT), [COMPACTION], owner=OWNER)
    assert kept.history("resp_1", owner=ANOTHER) == [COMPACTION]


def test_a_response_of_before_there_were_owners_is_the_present_account_s(
    kept: Responses, shelf: ObjectStore
) -> None:
    old = {"response": response("resp_1", THOUGHT, SAID), "input": [], "model": "m:high"}
    shelf.put("response", "resp_1", old, names=["rs_1", "msg_1"])
    assert kept.history("resp_1", owner=OWNER) == [THOUGHT, SAID]
    assert kept.history("resp_1", owner=ANOTHER) == [SAID]
    (found,) = kept.inlined([{"type": "item_reference", "id": "rs_1"}], owner=OWNER)
    assert found == THOUGHT


def test_a_reference_to_what_another_account_had_encrypted_finds_nothing(kept: Responses) -> None:
    kept.keep(response("resp_1", THOUGHT, SAID), [COMPACTION], owner=STRANGER)
    given: list[JsonObject] = [
        {"type": "item_reference", "id": name} for name in ("rs_1", "msg_1", "cmp_1")
    ]
    found = kept.inlined(given, owner=OWNER)
    assert found == [{"type": "reasoning", "id": "rs_1"}, SAID, given[2]]


def test_no_account_s_id_is_written_down(kept: Responses, shelf: ObjectStore) -> None:
    kept.keep(response("resp_1", THOUGHT), [user("one")], owner=OWNER)
    ((_, value),) = shelf.all("response")
    assert value["account"] == OWNER.account
    assert "account" not in OWNER.account


def test_a_run_is_of_the_account_that_it_was_signed_for(kept: Responses) -> None:
    kept.begin(queued(), [], owner=STRANGER)
    assert kept.settle(response("resp_1", THOUGHT, SAID), owner=OWNER)
    assert kept.history("resp_1", owner=OWNER) == [THOUGHT, SAID]
    assert kept.history("resp_1", owner=STRANGER) == [SAID]


def test_a_picture_by_its_id_alone_is_replaced_by_what_was_drawn(kept: Responses) -> None:
    picture = {"type": "image_generation_call", "id": "ig_1", "result": "iVBORw0KGgo="}
    kept.keep(response("resp_1", picture), [], owner=OWNER)
    bare: JsonObject = {"type": "image_generation_call", "id": "ig_1"}
    whole = {**picture, "id": "ig_2"}
    unknown: JsonObject = {**bare, "id": "ig_9"}
    assert kept.inlined([bare, whole, unknown], owner=OWNER) == [picture, whole, unknown]


@pytest.mark.parametrize("result", [None, ""])
def test_a_picture_that_a_client_did_not_keep_is_replaced_too(
    kept: Responses, result: str | None
) -> None:
    picture = {"type": "image_generation_call", "id": "ig_1", "result": "iVBORw0KGgo="}
    kept.keep(response("resp_1", picture), [], owner=OWNER)
    empty = {**picture, "result": result}
    failure = {**empty, "id": "ig_9", "status": "failed"}
    assert kept.inlined([empty, failure], owner=OWNER) == [picture, failure]


def test_references_reach_back_over_hundreds_of_responses(kept: Responses) -> None:
    for number in range(600):
        kept.keep(response(f"resp_{number}", {**SAID, "id": f"msg_{number}"}), [], owner=OWNER)
    given: list[JsonObject] = [
        {"type": "item_reference", "id": f"msg_{number}"} for number in range(600)
    ]
    assert [item["type"] for item in kept.inlined(given, owner=OWNER)] == ["message"] * 600


def test_a_taped_stream_is_told_again(kept: Responses) -> None:
    tape = EventLog()
    tape.add([sse.encode({"type": "a", "n": "ä"}, "a"), sse.DONE])
    kept.keep(response("resp_1"), [], owner=OWNER, event_log=tape)
    assert [event.type for event in kept.events("resp_1")] == ["a", ""]


def test_what_was_not_taped_is_told_from_the_response(kept: Responses) -> None:
    long = EventLog(limit=2 * MAX_LOG_BYTES)
    long.add([sse.encode({"type": "a", "text": "x" * MAX_LOG_BYTES})])
    assert len(long.events) == 1
    for name, tape in (("resp_1", None), ("resp_2", long)):
        kept.keep(response(name, SAID), [], owner=OWNER, event_log=tape)
        *told, done = kept.events(name)
        assert done.data == b"[DONE]"
        assert [event.type for event in told] == [
            "response.created",
            "response.in_progress",
            "response.output_item.added",
            "response.output_item.done",
            "response.completed",
        ]
        assert [event.json["sequence_number"] for event in told] == [0, 1, 2, 3, 4]
        assert told[-1].json["response"] == response(name, SAID)


# In the background.


def queued(name: str = "resp_1") -> JsonObject:
    return response(name, status="queued", background=True)


def test_a_running_response_is_replaced_by_its_end(kept: Responses) -> None:
    kept.begin(queued(), [user("hi")], owner=OWNER)
    assert kept.running(["resp_1", "resp_9"]) == {"resp_1"}
    assert kept.settle({**queued(), "status": "in_progress"})
    assert kept.settle(response("resp_1", SAID))
    assert kept.get("resp_1")["status"] == "completed"
    assert kept.running(["resp_1"]) == set()
    (found,) = kept.inlined([{"type": "item_reference", "id": "msg_1"}], owner=OWNER)
    assert found == SAID
    assert text_of(kept.items("resp_1")) == ["hi"]


def test_a_cancelled_response_stays_so(kept: Responses) -> None:
    kept.begin(queued(), [], owner=OWNER)
    assert [kept.cancel("resp_1")["status"] for _ in range(2)] == ["cancelled"] * 2
    assert not kept.settle(response("resp_1"))
    assert kept.get("resp_1")["status"] == "cancelled"


def test_a_finished_response_is_not_cancelled_any_more(kept: Responses) -> None:
    kept.keep(response("resp_1", background=True), [], owner=OWNER)
    assert kept.cancel("resp_1")["status"] == "completed"


def test_only_the_background_can_be_cancelled(kept: Responses) -> None:
    kept.keep(response("resp_1", background=False), [], owner=OWNER)
    with pytest.raises(InvalidRequest, match="Cannot cancel a synchronous") as caught:
        kept.cancel("resp_1")
    assert caught.value.status == 400


def test_a_deleted_response_does_not_come_back(kept: Responses) -> None:
    kept.begin(queued(), [], owner=OWNER)
    kept.delete("resp_1")
    assert not kept.settle(response("resp_1"))
    assert kept.running(["resp_1"]) == set()


def test_a_response_whose_server_is_gone_has_failed(
    kept: Responses, shelf: ObjectStore, clock: Clock
) -> None:
    other = Responses(shelf, clock=clock)
    kept.begin(queued(), [], owner=OWNER)
    clock.now += HEARTBEAT_TIMEOUT
    assert other.get("resp_1")["status"] == "queued"
    kept.heartbeat()
    clock.now += HEARTBEAT_TIMEOUT
    assert other.get("resp_1")["status"] == "queued"
    clock.now += 2
    assert kept.get("resp_1")["status"] == "queued", "it knows its own"
    lost = other.get("resp_1")
    assert (lost["status"], lost["error"]["code"]) == ("failed", "server_error")
    assert kept.get("resp_1")["status"] == "queued", "it runs on, and may yet say so"
    kept.heartbeat()
    assert other.get("resp_1")["status"] == "queued"


def test_a_failure_has_a_public_code() -> None:
    told = failed(queued(), CodexError("too much", code="odd_code"))
    assert told["status"] == "failed"
    assert told["error"] == {"code": "server_error", "message": "too much (odd_code)"}
