"""When a login is renewed, with what, and by how many at a time."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Mapping
from pathlib import Path

import pytest
from tests import unix
from tests.engine.login_worlds import EXPIRED, FAILED, OF_CODEX, Answer, World, over, world
from tests.faulty import Exchange, FaultyBackend, TokenEndpoint, whole
from tests.logins import ACCOUNT, DAY, NOW, access_token, auth_json, write_login
from tests.virtual_time import hurried

from codexapi_engine.bounds import MAX_LOGIN_AGE, REFRESH_MARGIN
from codexapi_engine.errors import NotLoggedIn
from codexapi_engine.http.client import Transport
from codexapi_engine.http.in_process import in_process
from codexapi_engine.login.file_store import CodexFile
from codexapi_engine.login.refresh import Login
from codexapi_engine.login.store import InMemory
from codexapi_engine.settings import Settings, user_agent

# When it is renewed


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (auth_json(exp=NOW + int(REFRESH_MARGIN) + 1), None),
        (auth_json(exp=NOW + int(REFRESH_MARGIN)), "proactive_expiry"),
        (auth_json(exp=NOW + 1), "proactive_expiry"),
        (auth_json(exp=NOW - 30 * DAY), None),  # gone before it was had: the clock is wrong
        (auth_json(exp=NOW - DAY), "proactive_expiry"),
        (auth_json(exp=NOW - DAY, issued=None), "proactive_expiry"),
        (auth_json(exp=NOW + DAY, issued=NOW - 30 * DAY), None),
        (auth_json(access="opaque", issued=NOW - MAX_LOGIN_AGE), None),
        (auth_json(access="opaque", issued=NOW - MAX_LOGIN_AGE - 1), "scheduled"),
        (auth_json(access="opaque", issued=None), None),
        (auth_json(access="opaque", issued=None, last_refresh="yesterday"), None),
        (auth_json(access="opaque", issued=None, last_refresh=5), None),
        (auth_json(access="opaque", issued=NOW - 9 * DAY, refresh=None), None),
        (auth_json(exp=None, issued=NOW - 9 * DAY), "scheduled"),
    ],
)
async def test_a_login_is_renewed_early_for_a_reason_and_else_left_alone(
    data: bytes, reason: str | None
) -> None:
    there = world(data)
    access = await there.ask()
    assert [body["refresh_reason"] for body in there.redeemed] == ([reason] if reason else [])
    assert (access == access_token(NOW + DAY, "1")) == (reason is not None)


async def test_the_token_endpoint_is_asked_as_the_official_client_asks() -> None:
    asked: list[Mapping[str, str]] = []
    there = world(EXPIRED)

    async def seen(
        method: str, target: str, headers: Mapping[str, str], body: bytes
    ) -> tuple[int, Mapping[str, str], AsyncIterator[bytes]]:
        asked.append(dict(headers))
        return await there._handle(method, target, headers, body)

    road = in_process(seen)
    login = Login(InMemory(EXPIRED), lambda url: road, clock=lambda: NOW)
    await login.fresh()
    assert there.sent_to == ["POST auth.openai.com/oauth/token"]
    assert there.redeemed == [
        {
            "client_id": "app_EMoamEEZ73f0CkXaXp7hrann",
            "grant_type": "refresh_token",
            "refresh_reason": "proactive_expiry",
            "refresh_token": "canary-refresh-first",
        }
    ]
    assert asked[0]["content-type"] == "application/json"
    assert asked[0]["originator"] == "codexapi"
    assert asked[0]["user-agent"] == user_agent()
    assert "authorization" not in asked[0]
    assert "chatgpt-account-id" not in asked[0]


PROVENANCE = {"issuer": "https://login.example.com/", "client_id": "app_of_another"}


@pytest.mark.parametrize(
    ("override", "sent_to"),
    [
        (None, "POST login.example.com/oauth/token"),
        ("http://127.0.0.1:9/token", "POST 127.0.0.1:9/token"),
    ],
)
async def test_the_login_tells_its_token_endpoint_unless_the_user_does(
    override: str | None, sent_to: str
) -> None:
    there = World(InMemory(auth_json(exp=NOW, provenance=PROVENANCE)), token_url=override)
    await there.ask()
    assert there.sent_to == [sent_to]
    assert there.redeemed[0]["client_id"] == "app_of_another"


@pytest.mark.parametrize(
    "issuer", ["http://login.example.com", "ftp://127.0.0.1", "https://a:b@c", "https://c:99999"]
)
async def test_a_refresh_token_is_never_sent_unguarded(issuer: str) -> None:
    there = world(auth_json(exp=NOW - 1, provenance={"issuer": issuer}))
    with pytest.raises(NotLoggedIn) as told:
        await there.ask()
    assert told.value.code == "auth_file_invalid"
    assert there.sent_to == []


async def test_requests_are_signed_with_token_and_account() -> None:
    there = world(auth_json(account=ACCOUNT))
    await there.ask()
    assert there.asked[0]["authorization"] == f"Bearer {access_token(NOW + DAY)}"
    assert there.asked[0]["chatgpt-account-id"] == ACCOUNT
    assert there.asked[0]["originator"] == "codexapi"
    assert there.asked[0]["version"] == Settings().protocol_version


def test_a_renewed_login_is_on_disk_with_all_that_we_do_not_know(tmp_path: Path) -> None:
    path = write_login(tmp_path, auth_json(exp=NOW, provenance={"client_id": "c"}, more=[1]))
    before = json.loads(path.read_bytes())

    async def story() -> None:
        await World(CodexFile(tmp_path)).ask()

    hurried(story())
    after = json.loads(path.read_bytes())
    before["tokens"]["access_token"] = access_token(NOW + DAY, "1")
    before["tokens"]["refresh_token"] = "canary-refresh-1"
    before["last_refresh"] = "2026-11-22T07:20:00.000000Z"
    assert after == before


def test_a_renewal_holds_the_lock_that_codex_knows(tmp_path: Path) -> None:
    write_login(tmp_path, EXPIRED)

    async def story() -> None:
        there = World(CodexFile(tmp_path))

        async def answer() -> Answer:
            with (tmp_path / "auth.lock").open() as lock, pytest.raises(BlockingIOError):
                unix.lock(lock)
            return there._rotated()

        there.answers = [answer]
        await there.ask()

    hurried(story())


def test_a_login_that_was_renewed_while_we_waited_for_the_lock_is_taken(tmp_path: Path) -> None:
    write_login(tmp_path, EXPIRED)

    async def story() -> None:
        there = World(CodexFile(tmp_path))
        with (tmp_path / "auth.lock").open("w") as lock:
            unix.lock(lock)
            asking = asyncio.create_task(there.ask())
            await asyncio.sleep(1)
            write_login(tmp_path, OF_CODEX)
            unix.unlock(lock)
            assert await asking == "canary-of-codex"
        assert there.redeemed == []

    hurried(story())


# One at a time


@pytest.mark.parametrize("data", [EXPIRED, auth_json(exp=NOW - 30 * DAY)])
async def test_twenty_requests_with_an_expired_token_make_one_renewal(data: bytes) -> None:
    """The second login is one whose expiry tells nothing: there a 401 decides."""
    new = access_token(4_000_000_000.0, "1")

    async def backend_step(exchange: Exchange) -> None:
        good = exchange.request.headers["authorization"] == f"Bearer {new}"
        await exchange.send(whole(200 if good else 401, {}))

    endpoint = TokenEndpoint()
    async with (
        FaultyBackend(otherwise=[endpoint]) as tokens,
        FaultyBackend(otherwise=[backend_step]) as backend,
    ):
        settings = Settings(base_url=backend.url, token_url=tokens.url)
        login = Login(InMemory(data), over(settings), token_url=tokens.url, clock=lambda: NOW)
        transport = Transport(settings, login)
        replies = await asyncio.gather(*(transport.fetch("/models") for _ in range(20)))
        assert [reply.json for reply in replies] == [{}] * 20
        assert (endpoint.granted, endpoint.refused) == (1, 0)
        await transport.aclose()


async def test_a_401_that_comes_while_the_login_is_being_renewed_waits_for_it() -> None:
    there = world(auth_json())
    late = asyncio.Event()
    there.refuses = lambda access: access == access_token(NOW + DAY)

    async def slow() -> Answer:
        await late.wait()
        return there._rotated()

    there.answers = [slow]
    asking = []
    for _ in range(3):
        asking.append(asyncio.create_task(there.ask()))
        for _ in range(50):
            await asyncio.sleep(0)
    assert (len(there.asked), len(there.redeemed)) == (3, 1)
    late.set()
    assert set(await asyncio.gather(*asking)) == {access_token(NOW + DAY, "1")}
    assert len(there.redeemed) == 1


def test_a_caller_that_leaves_does_not_end_the_renewal(tmp_path: Path) -> None:
    write_login(tmp_path, EXPIRED)

    async def story() -> None:
        there = World(CodexFile(tmp_path))

        async def slow() -> Answer:
            await asyncio.sleep(5)
            return there._rotated()

        there.answers = [slow]
        asking = asyncio.create_task(there.ask())
        await asyncio.sleep(1)
        asking.cancel()
        with pytest.raises(asyncio.CancelledError):
            await asking
        await there.login.aclose()
        on_disk = json.loads((tmp_path / "auth.json").read_bytes())
        assert on_disk["tokens"]["refresh_token"] == "canary-refresh-1"
        assert await there.ask() == access_token(NOW + DAY, "1")
        assert len(there.redeemed) == 1

    hurried(story())


def test_a_renewal_that_fails_after_all_have_left_is_not_an_unheard_error(
    caplog: pytest.LogCaptureFixture,
) -> None:
    async def story() -> None:
        there = world(EXPIRED)

        async def slow() -> Answer:
            await asyncio.sleep(5)
            return FAILED

        there.answers = [slow]
        asking = asyncio.create_task(there.ask())
        await asyncio.sleep(1)
        asking.cancel()
        await asyncio.wait({asking})
        await there.login.aclose()

    hurried(story())
    assert "never retrieved" not in caplog.text
