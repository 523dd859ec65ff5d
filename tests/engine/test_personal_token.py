"""A personal access token in place of a login."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path

import pytest
from tests.engine.login_worlds import FAILED, Answer, World, world
from tests.logins import write_login
from tests.virtual_time import hurried

from codexapi_engine.errors import (
    CodexError,
    RefreshUnavailable,
    TokenRejected,
)
from codexapi_engine.login.file_store import CodexFile

PERSONAL = json.dumps({"OPENAI_API_KEY": None, "personal_access_token": "at-canary"}).encode()
OWNER = {
    "email": "a@b", "chatgpt_user_id": "u", "chatgpt_account_id": "acct-9",
    "chatgpt_plan_type": "team", "chatgpt_account_is_fedramp": False,
}  # fmt: skip


async def test_the_owner_of_a_personal_access_token_is_asked_for_once() -> None:
    there = world(PERSONAL)

    async def slow() -> Answer:
        for _ in range(50):
            await asyncio.sleep(0)
        return 200, OWNER

    there.owner = slow
    assert (await there.login.current()).account_id is None
    await asyncio.gather(*(there.ask() for _ in range(5)))
    assert await there.ask() == "at-canary"
    assert {headers["chatgpt-account-id"] for headers in there.asked} == {"acct-9"}
    assert (await there.login.current()).plan == "team"
    assert there.sent_to == ["GET auth.openai.com/api/accounts/v1/user-auth-credential/whoami"]
    assert there.redeemed == []


@pytest.mark.parametrize(
    ("answer", "kind"),
    [
        ((401, {}), TokenRejected),
        ((403, {}), TokenRejected),
        (FAILED, RefreshUnavailable),
        ((200, b"<html>"), RefreshUnavailable),
        ((302, b""), RefreshUnavailable),
    ],
)
async def test_a_personal_access_token_without_an_owner_is_told_as_such(
    answer: Answer, kind: type[CodexError]
) -> None:
    there = world(PERSONAL)
    there.owner = answer
    with pytest.raises(kind) as told:
        await there.ask()
    assert "at-canary" not in str(told.value)
    assert there.asked == []
    there.owner = (200, OWNER)
    assert await there.ask() == "at-canary"


async def test_a_personal_access_token_that_is_refused_is_final() -> None:
    there = world(PERSONAL)
    there.owner = (200, OWNER)
    there.refuses = lambda access: True
    with pytest.raises(TokenRejected):
        await there.ask()
    assert (len(there.asked), there.redeemed) == (1, [])


def test_after_a_401_another_personal_access_token_is_tried(tmp_path: Path) -> None:
    write_login(tmp_path, PERSONAL)

    async def story() -> None:
        there = World(CodexFile(tmp_path))
        there.owner = (200, OWNER)

        def refuses(access: str) -> bool:
            write_login(tmp_path, PERSONAL.replace(b"canary", b"canary-2"))
            return access == "at-canary"

        there.refuses = refuses
        assert await there.ask() == "at-canary-2"

    hurried(story())
