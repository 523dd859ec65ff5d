"""Whose encrypted content the simulated backend reads."""

from __future__ import annotations

import json
from typing import Any

import pytest
from tests.engine.simulator.exchanges import (
    Answer,
    JsonObject,
    ask,
    error,
    message_of,
    redeem,
    send,
    signed,
    user,
)

from codexapi_engine.simulator import Simulator
from codexapi_engine.simulator.encryption import decrypt


async def ask_as(simulator: Simulator, name: str, **changes: Any) -> Answer:
    """What the backend answers the account of this name."""
    tokens = json.loads(simulator.login(name))["tokens"]
    account = {"chatgpt-account-id": tokens["account_id"]}
    headers = {"authorization": f"Bearer {tokens['access_token']}", **account}
    return await ask(by=simulator, headers=headers, **changes)


@pytest.mark.parametrize("trigger", [[], [{"type": "compaction_trigger"}]])
async def test_what_one_account_wrote_no_other_can_read(trigger: list[JsonObject]) -> None:
    simulator = Simulator()
    [item, *_] = (await ask_as(simulator, "", input=[user("a"), *trigger])).items
    again = {"input": [item, user("b")]}
    assert (await ask_as(simulator, "", **again)).status == 200
    refused = await ask_as(simulator, "another", **again)
    assert refused.json == error(
        f"The encrypted content for item {item['id']} could not be verified. "
        "Reason: Encrypted content could not be decrypted or parsed.",
        code="invalid_encrypted_content",
    )


async def test_after_a_change_of_keys_nothing_of_before_can_be_read() -> None:
    simulator = Simulator()
    [before, *_] = (await ask(by=simulator)).items
    simulator.accounts.rotate_keys()
    assert (await ask(by=simulator, input=[before, user("b")])).status == 400
    [after, *_] = (await ask(by=simulator)).items
    assert (await ask(by=simulator, input=[after, user("b")])).status == 200


@pytest.mark.parametrize(
    ("model", "trigger", "status"),
    [
        ("gpt-6-sol", [], 400),
        ("gpt-6-sol", [{"type": "compaction_trigger"}], 200),  # it compacts alike
        ("gpt-5.5", [{"type": "compaction_trigger"}], 400),
    ],
)
async def test_another_model_reads_a_compaction_alone(
    model: str, trigger: list[JsonObject], status: int
) -> None:
    simulator = Simulator()
    [item, *_] = (await ask(by=simulator, input=[user("a"), *trigger])).items
    answer = await ask(by=simulator, model=model, input=[item, user("b")])
    assert answer.status == status


async def test_encrypted_content_is_good_without_the_id_of_its_item() -> None:
    simulator = Simulator()
    [item, *_] = (await ask(by=simulator)).items
    del item["id"]
    assert (await ask(by=simulator, input=[item, user("b")])).status == 200
    item["encrypted_content"] = item["encrypted_content"][:-9]
    refused = await ask(by=simulator, input=[item, user("b")])
    assert message_of(refused).startswith("The encrypted content gAAA...")


@pytest.mark.parametrize("content", ["", "gAAAAABsimulated-", "gAAAAABsimulated-WzFd", "gAAAAABx"])
def test_what_no_backend_wrote_is_not_read(content: str) -> None:
    assert decrypt(content) is None


def test_each_name_has_an_account_of_its_own() -> None:
    simulator = Simulator()
    ids = [json.loads(simulator.login(name))["tokens"]["account_id"] for name in ("", "b", "b")]
    assert ids[0] == simulator.account_id
    assert ids[1] == ids[2] != ids[0]


async def test_an_account_is_told_of_itself_alone() -> None:
    simulator = Simulator()
    tokens = json.loads(simulator.login("b"))["tokens"]
    headers = signed(simulator, authorization=f"Bearer {tokens['access_token']}")
    usage = "/backend-api/wham/usage"
    assert (await send(simulator, "GET", usage, headers=headers)).status == 401
    headers["chatgpt-account-id"] = tokens["account_id"]
    answer = await send(simulator, "GET", usage, headers=headers)
    assert answer.json["account_id"] == tokens["account_id"]
    renewed = (await redeem(simulator, tokens["refresh_token"])).json["access_token"]
    headers["authorization"] = f"Bearer {renewed}"
    assert (await send(simulator, "GET", usage, headers=headers)).json == answer.json
