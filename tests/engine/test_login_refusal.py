"""What a 401 of the backend does to a login."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest
from tests.engine.login_worlds import OF_CODEX, Answer, World, over, world
from tests.faulty import FaultyBackend, Script, TokenEndpoint, endless, whole
from tests.logins import DAY, NOW, access_token, auth_json, write_login
from tests.virtual_time import hurried

from codexapi_engine.errors import TokenRejected
from codexapi_engine.http.client import Transport
from codexapi_engine.login.file_store import CodexFile
from codexapi_engine.login.refresh import Login
from codexapi_engine.login.store import InMemory
from codexapi_engine.settings import Settings


async def test_a_refused_token_is_renewed_once_and_the_request_sent_again() -> None:
    there = world(auth_json())
    there.refuses = lambda access: access == access_token(NOW + DAY)
    assert await there.ask() == access_token(NOW + DAY, "1")
    assert [body["refresh_reason"] for body in there.redeemed] == ["unauthorized_recovery"]
    assert len(there.asked) == 2


def test_after_a_401_another_token_on_disk_is_tried_first(tmp_path: Path) -> None:
    write_login(tmp_path, auth_json())

    async def story() -> None:
        there = World(CodexFile(tmp_path))

        def refuses(access: str) -> bool:
            write_login(tmp_path, OF_CODEX)
            return access != "canary-of-codex"

        there.refuses = refuses
        assert await there.ask() == "canary-of-codex"
        assert there.redeemed == []

    hurried(story())


async def test_a_backend_that_always_says_401_costs_one_renewal_for_good() -> None:
    there = world(auth_json())
    there.refuses = lambda access: True
    for _ in range(3):
        with pytest.raises(TokenRejected) as told:
            await there.ask()
        assert told.value.code == "codex_token_rejected"
    assert len(there.redeemed) == 1
    assert len(there.asked) == 4


async def test_many_requests_at_a_backend_that_always_says_401_cost_one_renewal() -> None:
    there = world(auth_json())
    there.refuses = lambda access: True
    for _ in range(3):
        outcomes = await asyncio.gather(*(there.ask() for _ in range(20)), return_exceptions=True)
        assert {type(outcome) for outcome in outcomes} == {TokenRejected}
    assert len(there.redeemed) == 1


async def test_a_token_had_for_a_401_that_has_worked_may_be_renewed_again() -> None:
    there = world(auth_json())
    there.refuses = lambda access: access == access_token(NOW + DAY)
    await there.ask()
    there.refuses = lambda access: access == access_token(NOW + DAY, "1")
    assert await there.ask() == access_token(NOW + DAY, "2")


async def test_a_final_401_is_forgotten_when_the_token_works_after_all() -> None:
    there = world(auth_json())
    there.refuses = lambda access: True
    with pytest.raises(TokenRejected):
        await there.ask()
    there.refuses = lambda access: False
    assert await there.ask() == access_token(NOW + DAY, "1")
    there.refuses = lambda access: access == access_token(NOW + DAY, "1")
    assert await there.ask() == access_token(NOW + DAY, "2")


def test_a_token_of_another_program_that_is_refused_too_is_final(tmp_path: Path) -> None:
    write_login(tmp_path, auth_json())

    async def story() -> None:
        there = World(CodexFile(tmp_path))

        def refuses(access: str) -> bool:
            write_login(tmp_path, OF_CODEX)
            return True

        there.refuses = refuses
        for _ in range(2):
            with pytest.raises(TokenRejected):
                await there.ask()
        assert there.redeemed == []

    hurried(story())


def test_a_token_had_for_a_401_is_on_probation_even_if_its_caller_has_left() -> None:
    async def story() -> None:
        there = world(auth_json())
        there.refuses = lambda access: True

        async def slow() -> Answer:
            await asyncio.sleep(5)
            return there._rotated()

        there.answers = [slow]
        asking = asyncio.create_task(there.ask())
        await asyncio.sleep(1)
        asking.cancel()
        await asyncio.wait({asking})
        await there.login.aclose()
        with pytest.raises(TokenRejected):
            await there.ask()
        assert len(there.redeemed) == 1

    hurried(story())


def test_a_new_file_ends_a_final_401(tmp_path: Path) -> None:
    write_login(tmp_path, auth_json())

    async def story() -> None:
        there = World(CodexFile(tmp_path))
        there.refuses = lambda access: access != "canary-good"
        with pytest.raises(TokenRejected):
            await there.ask()
        write_login(tmp_path, auth_json(access="canary-good"))
        assert await there.ask() == "canary-good"

    hurried(story())


async def test_a_refused_token_without_a_refresh_token_is_final() -> None:
    there = world(auth_json(refresh=None))
    there.refuses = lambda access: True
    with pytest.raises(TokenRejected):
        await there.ask()
    assert (len(there.asked), len(there.redeemed)) == (1, 0)


def test_a_request_is_never_sent_again_as_somebody_else(tmp_path: Path) -> None:
    write_login(tmp_path, auth_json())

    async def story() -> None:
        there = World(CodexFile(tmp_path))

        def refuses(access: str) -> bool:
            write_login(tmp_path, auth_json(access="canary-other", account="another-account"))
            return True

        there.refuses = refuses
        with pytest.raises(TokenRejected) as told:
            await there.ask()
        assert told.value.code == "account_changed"
        assert len(there.asked) == 1

    hurried(story())


async def test_a_401_that_never_ends_does_not_hold_up_the_second_try() -> None:
    endless_401: Script = [b"HTTP/1.1 401 No\r\n\r\n", endless(b"x" * 4096)]
    async with (
        FaultyBackend([TokenEndpoint()]) as tokens,
        FaultyBackend(endless_401, [whole(200, {})]) as backend,
    ):
        settings = Settings(base_url=backend.url, token_url=tokens.url)
        login = Login(
            InMemory(auth_json()), over(settings), token_url=tokens.url, clock=lambda: NOW
        )
        transport = Transport(settings, login)
        assert (await transport.fetch("/models")).json == {}
        await transport.aclose()
