"""What a connection remembers, and for how long."""

from __future__ import annotations

from codexapi_engine.storage import Owner
from codexapi_http.websocket.chains import Chains, LaneMemory

OWNER, OTHER = Owner("a", "m"), Owner("b", "m")


def memory(chains: Chains, lane: str = "", previous: str = "", size: int = 10) -> LaneMemory:
    return LaneMemory(chains, lane, previous=previous, size=size)


def remembered(
    chains: Chains, name: str, lane: str = "", previous: str = "", text: str = "x"
) -> None:
    response = {"id": name, "status": "completed", "output": [{"type": "message", "text": text}]}
    response["previous_response_id"] = previous
    memory(chains, lane, previous).remember(response, [{"role": "user"}], owner=OWNER)


def test_over_its_limit_the_oldest_is_forgotten() -> None:
    chains = Chains(limit=1000)
    for name in ("one", "two", "three"):
        remembered(chains, name, lane=name, text="x" * 400)
    assert [chains.find(name) is not None for name in ("one", "two", "three")] == [
        False, True, True,
    ]  # fmt: skip
    remembered(chains, "large", lane="large", text="x" * 2000)
    assert not any(chains.find(name) for name in ("one", "two", "three", "large"))
    remembered(chains, "four", lane="large")
    assert chains.find("four") is not None


def test_a_fork_keeps_its_parent_though_the_lane_goes_on() -> None:
    chains = Chains()
    remembered(chains, "one")
    fork, same = memory(chains, "a", "one"), memory(chains, "", "one")
    remembered(chains, "two", previous="one")
    assert fork.history("one", OWNER) is not None
    assert same.history("one", OWNER) is None
    fork.failed()
    assert fork.history("one", OWNER) is not None


def test_a_failed_continuation_forgets_on_its_own_lane_alone() -> None:
    chains = Chains()
    remembered(chains, "one")
    memory(chains, "a", "one").failed()
    assert chains.find("one") is not None
    memory(chains, "", "one").failed()
    assert chains.find("one") is None


def test_reasoning_of_another_account_is_left_out() -> None:
    chains = Chains()
    items = [{"type": "reasoning", "encrypted_content": "x"}, {"role": "user"}]
    response = {"id": "one", "status": "completed", "output": []}
    memory(chains).remember(response, items, owner=OWNER)
    assert memory(chains, previous="one").history("one", OWNER) == items
    assert memory(chains, previous="one").history("one", OTHER) == items[1:]


def test_what_has_failed_is_not_gone_on_with() -> None:
    chains = Chains()
    memory(chains).remember({"id": "one", "status": "failed"}, [], owner=OWNER)
    assert chains.find("one") is None
