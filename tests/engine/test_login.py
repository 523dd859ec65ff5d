from __future__ import annotations

import asyncio
import json
import logging
import traceback
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import httpx
import pytest
from tests import unix
from tests.faulty import REUSED, RST, Exchange, FaultyBackend, Script, TokenEndpoint, endless, whole
from tests.logins import ACCOUNT, DAY, NOW, access_token, auth_json, write_login
from tests.ports import refusing_url
from tests.virtual_time import hurried

from codexapi_engine.bounds import MAX_LOGIN_AGE, REFRESH_MARGIN, TOKEN_TIMEOUT
from codexapi_engine.errors import (
    AuthError,
    CodexError,
    LoginExpired,
    NotLoggedIn,
    RefreshUnavailable,
    TokenRejected,
)
from codexapi_engine.http.client import Transport, connect
from codexapi_engine.http.in_process import in_process
from codexapi_engine.http.messages import HttpTransport
from codexapi_engine.http.over_httpx import over_httpx
from codexapi_engine.login.file_store import CodexFile
from codexapi_engine.login.refresh import BACK_OFF, NEWER, SAVE_AGAIN, Login
from codexapi_engine.login.store import InMemory, Store
from codexapi_engine.login.token_endpoint import MAX_ANSWER
from codexapi_engine.protocol.auth_file import jwt_payload
from codexapi_engine.protocol.secret import Secret
from codexapi_engine.settings import Settings, user_agent

EXPIRED = auth_json(exp=NOW - 10)
OF_CODEX = auth_json(access="canary-of-codex", refresh="canary-refresh-of-codex", issued=NOW)
Answer = tuple[int, object]
Answering = Callable[[], Awaitable[Answer]]


class World:
    """A backend, a token endpoint with single-use refresh tokens, and a login between them."""

    def __init__(self, store: Store, *, token_url: str | None = None) -> None:
        self.now = NOW
        self.refuses: Callable[[str], bool] = lambda access: False
        self.answers: list[Answer | Answering] = []  # the token endpoint's next ones
        self.lifetime = DAY
        self.asked: list[Mapping[str, str]] = []  # headers that came to the backend
        self.redeemed: list[dict[str, Any]] = []
        self.sent_to: list[str] = []
        self.owner: Answer | Answering = (404, {})  # of a personal access token
        self._good = "canary-refresh-first"
        road = in_process(self._handle)
        settings = Settings(token_url=token_url)
        self.login = Login(
            store,
            lambda url: road,
            token_url=token_url,
            clock=lambda: self.now,
        )
        self.transport = Transport(settings, self.login, http=road)

    async def ask(self) -> str:
        """Asks the backend something. The access token that it took."""
        await self.transport.fetch("/models")
        return self.bearers()[-1]

    def bearers(self) -> list[str]:
        return [headers["authorization"].removeprefix("Bearer ") for headers in self.asked]

    async def _handle(
        self, method: str, target: str, headers: Mapping[str, str], body: bytes
    ) -> tuple[int, Mapping[str, str], AsyncIterator[bytes]]:
        if target.startswith("/backend-api"):
            self.asked.append(dict(headers))
            answer: Answer = (401 if self.refuses(self.bearers()[-1]) else 200, {})
        elif target.endswith("/whoami"):
            assert headers["authorization"].startswith("Bearer at-canary")
            self.sent_to.append(f"{method} {headers['host']}{target}")
            answer = self.owner if isinstance(self.owner, tuple) else await self.owner()
        else:
            self.redeemed.append(json.loads(body))
            self.sent_to.append(f"{method} {headers['host']}{target}")
            given = self.answers.pop(0) if self.answers else self._rotated()
            answer = given if isinstance(given, tuple) else await given()
        return answer[0], {"content-type": "application/json"}, _once(answer[1])

    def _rotated(self) -> Answer:
        if self.redeemed[-1]["refresh_token"] != self._good:
            return 401, REUSED
        number = len(self.redeemed)
        self._good = f"canary-refresh-{number}"
        access = access_token(self.now + self.lifetime, str(number))
        return 200, {"access_token": access, "refresh_token": self._good}


def over(settings: Settings) -> Callable[[str], HttpTransport]:
    """Clients over the real network, as `Codex` makes them."""
    return lambda url: connect(settings, url)


async def _once(body: object) -> AsyncIterator[bytes]:
    yield body if isinstance(body, bytes) else json.dumps(body).encode()


async def never() -> Answer:
    await asyncio.Event().wait()
    raise AssertionError


def world(data: bytes) -> World:
    return World(InMemory(data))


class Unwritable(InMemory):
    """A disk that is full until it is `mended`."""

    mended = False

    async def save(self, data: bytes, consumed: Secret | None) -> None:
        if not self.mended:
            raise OSError(28, "No space left on device")
        login = await self.load()
        assert login.credentials.refresh_token == consumed, "not what is on the disk"
        await super().save(data, consumed)


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


# 401


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


# When it fails for good


PERMANENT = [
    (401, REUSED, "refresh_token_reused"),
    (400, {"error": "refresh_token_reused"}, "refresh_token_reused"),
    (403, {"code": "refresh_token_expired"}, "refresh_token_expired"),
    (401, {"error": {"code": "refresh_token_invalidated"}}, "refresh_token_invalidated"),
    (401, b"<html>", "login_expired"),
    (400, {"error": "invalid_grant"}, "login_expired"),
]


@pytest.mark.parametrize(("status", "body", "code"), PERMANENT)
def test_a_refusal_for_good_is_remembered_until_the_file_changes(
    tmp_path: Path, status: int, body: object, code: str
) -> None:
    write_login(tmp_path, EXPIRED)

    async def story() -> None:
        there = World(CodexFile(tmp_path))
        there.answers = [(status, body)] * 5
        depths = []
        for _ in range(3):
            with pytest.raises(LoginExpired) as told:
                await there.ask()
            assert told.value.code == code
            assert "codex login" in str(told.value)
            depths.append(len(told.traceback))
        assert depths[1] == depths[2], "an error that is kept must not gather frames"
        waited = asyncio.get_running_loop().time()
        assert NEWER <= waited < NEWER + 0.2, "only the first one waits for another's pair"
        assert (len(there.redeemed), len(there.asked)) == (1, 0)
        write_login(tmp_path, auth_json(refresh="canary-refresh-new"))
        await there.ask()
        assert len(there.redeemed) == 1

    hurried(story())
    assert (tmp_path / "auth.json").read_bytes() != EXPIRED


@pytest.mark.parametrize(("status", "body", "code"), PERMANENT)
def test_a_refusal_for_good_is_known_to_other_processes_too(
    tmp_path: Path, status: int, body: object, code: str
) -> None:
    """But for one that the endpoint gave no code for: it may have come from somebody in between."""
    write_login(tmp_path, EXPIRED)

    async def story() -> None:
        for number in range(3):
            there = World(CodexFile(tmp_path))
            there.answers = [(status, body)]
            with pytest.raises(LoginExpired) as told:
                await there.ask()
            assert told.value.code == code
            assert "codex login" in str(told.value)
            sent = number == 0 or code == "login_expired"
            assert len(there.redeemed) == sent
        write_login(tmp_path, auth_json(refresh="canary-refresh-new"))
        await World(CodexFile(tmp_path)).ask()

    hurried(story())


def test_a_refusal_after_a_401_is_told_each_time_with_its_reason() -> None:
    async def story() -> None:
        there = world(auth_json())
        there.refuses = lambda access: True
        there.answers = [(401, REUSED)]
        for _ in range(3):
            with pytest.raises(LoginExpired) as told:
                await there.ask()
            assert told.value.code == "refresh_token_reused"
        assert len(there.redeemed) == 1

    hurried(story())


def test_a_lost_race_is_won_by_the_other_programs_pair(tmp_path: Path) -> None:
    """The other program needs the lock to save, as Codex does: it must not be ours then."""
    write_login(tmp_path, EXPIRED)

    async def codex_saves() -> None:
        with (tmp_path / "auth.lock").open() as lock:
            while True:
                await asyncio.sleep(0.1)
                try:
                    unix.lock(lock)
                except BlockingIOError:
                    continue
                write_login(tmp_path, OF_CODEX)
                return

    async def story() -> None:
        there = World(CodexFile(tmp_path))
        saving: list[asyncio.Task[None]] = []

        async def refused() -> Answer:
            saving.append(asyncio.create_task(codex_saves()))
            await asyncio.sleep(0.5)
            return 401, REUSED

        there.answers = [refused]
        assert await there.ask() == "canary-of-codex"
        assert len(there.redeemed) == 1
        assert asyncio.get_running_loop().time() < 0.5 + NEWER

    hurried(story())


def test_an_expired_login_that_cannot_be_renewed_says_so_and_asks_nobody() -> None:
    async def story() -> None:
        there = world(auth_json(exp=NOW - 1, refresh=None))
        with pytest.raises(LoginExpired, match="codex login"):
            await there.ask()
        assert (there.asked, there.redeemed) == ([], [])

    hurried(story())


# When it fails for now


FAILED: Answer = 500, {"error": "server_error"}

PASSING = [
    FAILED,
    (503, {"error": {"message": "…", "type": "server_error", "code": "overloaded"}}),
    (403, b"<html>"),
    (429, {}),
    (302, b""),
    (200, b"<html>"),
]


@pytest.mark.parametrize("answer", PASSING)
async def test_a_passing_failure_is_told_and_nobody_asks_again_for_a_while(answer: Answer) -> None:
    store = InMemory(EXPIRED)
    there = World(store)
    there.answers = [answer]
    outcomes = await asyncio.gather(*(there.ask() for _ in range(3)), return_exceptions=True)
    assert len({str(outcome) for outcome in outcomes}) == 1, "they share one renewal"
    outcomes += await asyncio.gather(there.ask(), return_exceptions=True)
    for outcome in outcomes:
        assert isinstance(outcome, RefreshUnavailable)
        assert (outcome.status, outcome.retry_after) == (503, BACK_OFF)
    assert len(there.redeemed) == 1
    assert (await store.load()).data == EXPIRED
    there.now += BACK_OFF - 0.1
    with pytest.raises(RefreshUnavailable):
        await there.ask()
    there.now += 0.1
    assert await there.ask() == access_token(there.now + DAY, "2")


# Nobody knows whether the token endpoint has had it

GATEWAY = [
    (502, b"<html>"),
    (502, {"error": "server_error"}),
    (504, b""),
    (503, b"upstream connect error or disconnect/reset before headers"),
    (524, {"title": "Error 524", "status": 524}),
    (500, {"message": "An unexpected error occurred"}),
    (500, {"error": {"code": 500, "message": "Internal error"}}),
    (500, b"[]"),
    (500, b"[" * 5000),
    (599, {}),
]


@pytest.mark.parametrize("answer", GATEWAY)
async def test_a_token_for_which_a_gateway_answers_is_never_sent_again(
    tmp_path: Path, answer: Answer
) -> None:
    """It may have passed the request on, and lost the answer."""
    write_login(tmp_path, EXPIRED)
    there = World(CodexFile(tmp_path))
    there.answers = [answer]
    another = World(CodexFile(tmp_path))
    for each in (there, there, another):
        with pytest.raises(RefreshUnavailable, match=r"run `codex`.*codex login"):
            await each.ask()
        there.now += 10 * BACK_OFF
    assert (len(there.redeemed), another.redeemed) == (1, [])
    write_login(tmp_path, OF_CODEX)
    assert await there.ask() == "canary-of-codex"


# What came cannot be used, and the token is spent all the same


UNUSABLE = [
    (200, b'{"access_token":'),
    (200, b""),
    (200, b'{"access_token":"' + b"x" * MAX_ANSWER + b'"}'),
    (200, {"refresh_token": "canary-x"}),
    (200, {"access_token": None}),
    (200, []),
    (200, {"access_token": "canary\r\nX-Header: 1", "refresh_token": "canary-new"}),
    (200, {"access_token": "canary \N{SLIGHTLY SMILING FACE}", "refresh_token": "canary-new"}),
    (200, b'{"access_token":"canary \\ud800","refresh_token":"canary-new"}'),
    (200, {"access_token": "canary-new", "refresh_token": "a\r\nb"}),
]


@pytest.mark.parametrize("answer", UNUSABLE)
async def test_a_token_whose_answer_cannot_be_used_is_never_sent_again(
    tmp_path: Path, answer: Answer
) -> None:
    """Neither by this process nor by another: it would end the login for Codex too."""
    write_login(tmp_path, EXPIRED)
    there = World(CodexFile(tmp_path))
    there.answers = [answer]
    for _ in range(2):
        with pytest.raises(LoginExpired, match="cannot be used"):
            await there.ask()
        there.now += 10 * BACK_OFF
    another = World(CodexFile(tmp_path))
    with pytest.raises(LoginExpired, match="cannot be used"):
        await another.ask()
    assert (len(there.redeemed), another.redeemed) == (1, [])
    assert (tmp_path / "auth.json").read_bytes() == EXPIRED


async def test_a_clock_that_is_set_back_does_not_prolong_the_back_off() -> None:
    there = world(EXPIRED)
    there.answers = [FAILED]
    with pytest.raises(RefreshUnavailable):
        await there.ask()
    there.now -= 100
    there.refuses = lambda access: access == access_token(NOW - 10)
    await there.ask()
    assert len(there.redeemed) == 2


async def test_a_passing_failure_after_a_401_may_be_tried_again_later() -> None:
    there = world(auth_json())
    there.refuses = lambda access: access == access_token(NOW + DAY)
    there.answers = [FAILED]
    with pytest.raises(RefreshUnavailable):
        await there.ask()
    there.now += BACK_OFF
    assert await there.ask() == access_token(there.now + DAY, "2")


@pytest.mark.parametrize("answer", [FAILED, (401, REUSED)])
def test_the_last_seconds_of_a_token_are_used_when_it_cannot_be_renewed(answer: Answer) -> None:
    async def story() -> None:
        there = world(auth_json(exp=NOW + 30))
        there.answers = [answer]
        for _ in range(3):
            assert await there.ask() == access_token(NOW + 30)
        assert len(there.redeemed) == 1
        there.now += 31
        there.answers = [answer]
        with pytest.raises((LoginExpired, RefreshUnavailable)):
            await there.ask()

    hurried(story())


def test_the_last_seconds_may_pass_while_the_renewal_is_waited_for() -> None:
    async def story() -> None:
        there = world(auth_json(exp=NOW + 5))

        async def slow() -> Answer:
            there.now += 9
            return FAILED

        there.answers = [slow]
        with pytest.raises(RefreshUnavailable):
            await there.ask()
        assert there.asked == []

    hurried(story())


def test_a_token_endpoint_that_hangs_is_left_in_time_and_never_sent_that_token_again(
    tmp_path: Path,
) -> None:
    write_login(tmp_path, EXPIRED)

    async def story() -> None:
        there = World(CodexFile(tmp_path))

        there.answers = [never]
        for _ in range(3):
            with pytest.raises(RefreshUnavailable, match="codex login"):
                await there.ask()
            assert asyncio.get_running_loop().time() == TOKEN_TIMEOUT
            there.now += DAY
        assert len(there.redeemed) == 1
        write_login(tmp_path, auth_json(exp=there.now - 1, refresh="canary-refresh-new"))
        there._good = "canary-refresh-new"
        await there.ask()
        assert len(there.redeemed) == 2

    hurried(story())


async def test_a_token_endpoint_that_breaks_off_is_never_sent_that_token_again() -> None:
    async with FaultyBackend([RST]) as tokens:
        settings = Settings(token_url=tokens.url)
        now = [NOW]
        login = Login(InMemory(EXPIRED), over(settings), token_url=tokens.url, clock=lambda: now[0])
        for _ in range(3):
            with pytest.raises(RefreshUnavailable):
                await login.fresh()
            now[0] += DAY
        assert len(tokens.requests) == 1


async def test_a_token_endpoint_that_cannot_be_reached_is_tried_again_after_the_back_off() -> None:
    with refusing_url() as url:
        settings, now = Settings(token_url=url), [NOW]
        login = Login(InMemory(EXPIRED), over(settings), token_url=url, clock=lambda: now[0])
        cannot = f"127.0.0.1, cannot be reached: nothing listens at {urlsplit(url).netloc}"
        for wait, message in [(0.0, cannot), (1.0, "a moment ago"), (BACK_OFF, "reached")]:
            now[0] += wait
            with pytest.raises(RefreshUnavailable, match=message):
                await login.fresh()


def test_a_token_in_doubt_is_not_sent_by_other_processes_either(tmp_path: Path) -> None:
    """Each call of the command line is one: without this they would send it again and again."""
    write_login(tmp_path, EXPIRED)

    async def story() -> None:
        first = World(CodexFile(tmp_path))
        first.answers = [never]
        with pytest.raises(RefreshUnavailable, match="codex login"):
            await first.ask()
        for _ in range(3):
            later = World(CodexFile(tmp_path))
            with pytest.raises(RefreshUnavailable, match="codex login"):
                await later.ask()
            assert later.redeemed == []
        assert asyncio.get_running_loop().time() == TOKEN_TIMEOUT
        write_login(tmp_path, OF_CODEX)
        assert await World(CodexFile(tmp_path)).ask() == "canary-of-codex"

    hurried(story())


def test_a_renewal_that_ends_with_its_process_is_in_doubt(tmp_path: Path) -> None:
    write_login(tmp_path, EXPIRED)

    async def story() -> None:
        there = World(CodexFile(tmp_path))

        there.answers = [never]
        asking = asyncio.create_task(there.ask())
        await asyncio.sleep(1)
        asking.cancel()  # and then the loop ends, and with it all that is left on it

    hurried(story())
    assert CodexFile(tmp_path).consumed_reason(Secret("canary-refresh-first")) == "unanswered"


async def test_a_failing_token_endpoint_is_asked_once_for_a_request() -> None:
    with refusing_url() as url:
        async with FaultyBackend() as backend:
            settings = Settings(base_url=backend.url, token_url=url)
            login = Login(InMemory(EXPIRED), over(settings), token_url=url, clock=lambda: NOW)
            transport = Transport(settings, login)
            with pytest.raises(RefreshUnavailable, match="cannot be reached"):
                await transport.stream("/responses", {})
            assert backend.requests == []
            await transport.aclose()


async def test_the_token_request_comes_on_a_connection_of_its_own() -> None:
    endpoint = TokenEndpoint(exp=NOW + 10)
    async with FaultyBackend(otherwise=[endpoint]) as tokens:
        now, settings = [NOW], Settings()
        login = Login(InMemory(EXPIRED), over(settings), token_url=tokens.url, clock=lambda: now[0])
        await login.fresh()
        await tokens.until(lambda: not tokens.open)
        assert tokens.requests[0].headers["connection"] == "close"


# Disks and clocks


def test_a_login_that_cannot_be_saved_lives_on_in_memory(caplog: pytest.LogCaptureFixture) -> None:
    async def story() -> None:
        store = Unwritable(EXPIRED)
        there = World(store)
        for days in range(3):
            there.now = NOW + days * DAY
            for _ in range(2):
                assert await there.ask() == access_token(there.now + DAY, str(days + 1))
        assert [body["refresh_token"] for body in there.redeemed] == [
            "canary-refresh-first", "canary-refresh-1", "canary-refresh-2",
        ]  # fmt: skip
        assert caplog.text.count("could not be saved") == 3
        store.mended = True
        there.now = NOW + 3 * DAY
        await there.ask()
        assert (await store.load()).credentials.refresh_token == Secret("canary-refresh-4")

    hurried(story())


async def test_a_refresh_token_that_is_kept_is_good_after_a_full_disk_too() -> None:
    there = World(Unwritable(EXPIRED))
    for number in range(2):
        there.now += DAY
        access = access_token(there.now + DAY, f"only-{number}")
        there.answers = [(200, {"access_token": access})]
        assert await there.ask() == access
    assert {body["refresh_token"] for body in there.redeemed} == {"canary-refresh-first"}


def test_a_login_that_could_not_be_saved_is_saved_when_it_can_be() -> None:
    async def story() -> None:
        store = Unwritable(EXPIRED)
        there = World(store)
        await there.ask()
        store.mended = True
        await there.ask()
        await asyncio.sleep(SAVE_AGAIN / 2)
        await there.ask()
        assert (await store.load()).data == EXPIRED, "not at every request"
        await asyncio.sleep(SAVE_AGAIN / 2)
        await there.ask()
        await there.login.aclose()
        assert (await store.load()).credentials.refresh_token == Secret("canary-refresh-1")
        assert len(there.redeemed) == 1

    hurried(story())


@pytest.mark.parametrize("mended", [True, False])
def test_a_login_that_could_not_be_saved_gets_a_last_chance_at_the_end(mended: bool) -> None:
    async def story() -> None:
        store = Unwritable(EXPIRED)
        there = World(store)
        await there.ask()
        store.mended = mended
        await there.login.aclose()
        saved = (await store.load()).data != EXPIRED
        assert saved == mended

    hurried(story())


@pytest.mark.parametrize(
    ("other", "then"),
    [
        (auth_json(access="canary-other", refresh="x", account="another", issued=NOW), "taken"),
        (OF_CODEX, "taken"),
        (auth_json(auth_mode="apikey"), "refused"),
        (None, "refused"),
    ],
)
def test_what_came_to_the_disk_while_we_renewed_goes_before_what_we_got(
    tmp_path: Path, other: bytes | None, then: str
) -> None:
    """Another login, another account, another kind, or none: the user's last word holds."""
    path = write_login(tmp_path, EXPIRED)

    async def story() -> None:
        there = World(CodexFile(tmp_path))

        async def answer() -> Answer:
            path.unlink()
            if other is not None:
                write_login(tmp_path, other)
            return there._rotated()

        there.answers = [answer]
        for _ in range(2):
            if then == "taken":
                assert (await there.ask()).startswith("canary-o")
            else:
                with pytest.raises(NotLoggedIn):
                    await there.ask()
        assert len(there.redeemed) == 1

    hurried(story())
    assert (path.read_bytes() if path.exists() else None) == other


def test_an_unsaved_login_gives_way_to_a_new_file() -> None:
    async def story() -> None:
        store = Unwritable(EXPIRED)
        there = World(store)
        await there.ask()
        await InMemory.save(store, OF_CODEX, None)
        assert await there.ask() == "canary-of-codex"

    hurried(story())


async def test_a_refresh_token_that_is_kept_is_kept() -> None:
    store = InMemory(EXPIRED)
    there = World(store)
    there.answers = [(200, {"access_token": access_token(NOW + DAY, "only")})]
    assert await there.ask() == access_token(NOW + DAY, "only")
    assert (await store.load()).credentials.refresh_token == Secret("canary-refresh-first")
    await store.save(auth_json(access="canary-of-codex", issued=NOW), None)
    assert await there.ask() == "canary-of-codex"


@pytest.mark.parametrize("processes", [1, 3])
async def test_a_wrong_clock_makes_no_loop_of_renewals(processes: int) -> None:
    """Every new token looks expired: to this process, and to others that find it on disk."""
    store = InMemory(auth_json(exp=NOW - 10))
    worlds = [World(store) for _ in range(processes)]
    for there in worlds:
        there.lifetime = -3600.0
    for _ in range(3):
        for there in worlds:
            await there.ask()
            there.now += 1
    assert sum(len(there.redeemed) for there in worlds) == 1


@pytest.mark.parametrize("ahead", [-DAY, -3600.0, 3600.0, DAY])
@pytest.mark.parametrize("lifetime", [300.0, 3600.0, 10 * DAY])
def test_a_clock_that_jumps_costs_at_most_one_renewal_for_each_token(
    ahead: float, lifetime: float
) -> None:
    """The backend goes by the true time, and takes what is not expired by it."""

    async def story() -> None:
        there, true = world(auth_json(exp=NOW + lifetime, issued=NOW)), NOW
        there.refuses = lambda access: jwt_payload(access)["exp"] <= true

        async def granted() -> Answer:
            # By the true time too, whatever our clock says.
            ours, there.now = there.now, true
            try:
                return there._rotated()
            finally:
                there.now = ours

        there.lifetime, there.answers = lifetime, [granted] * 50
        for hours in range(12):
            true = NOW + hours * 600
            there.now = true + (ahead if hours >= 2 else 0)
            for _ in range(3):
                await there.ask()
        sent = [body["refresh_token"] for body in there.redeemed]
        assert len(sent) == len(set(sent))
        # What is needed, one for each token that had run out, and one that was not.
        assert len(sent) <= 12 * 600 // lifetime + 2

    hurried(story())


# A personal access token


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


# Law 7


def test_no_token_leaves_in_logs_errors_or_reprs(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    write_login(tmp_path, EXPIRED)
    said: list[str] = []

    async def story() -> None:
        failures: list[Answer] = [FAILED, (401, REUSED), (200, b"canary")]
        for failure in (*failures, None):
            there = World(CodexFile(tmp_path))
            there.answers = [failure] if failure else []
            there.refuses = lambda access: True
            try:
                await there.ask()
            except CodexError as error:
                said.extend([str(error), repr(error), json.dumps(error.body())])
                said.append("".join(traceback.format_exception(error)))
            login = await CodexFile(tmp_path).load()
            said.extend([repr(login), repr(login.credentials), str(there.login)])

    hurried(story())
    said.append(caplog.text)
    tokens = [access_token(NOW - 10), access_token(NOW + DAY, "4"), "canary-refresh"]
    for text in said:
        for token in [*tokens, *(token.split(".")[1] for token in tokens[:2])]:
            assert token not in text


async def test_no_token_is_logged_on_a_real_connection(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    async with (
        FaultyBackend([TokenEndpoint(exp=NOW + DAY)]) as tokens,
        FaultyBackend([whole(401, {})], [whole(200, {})]) as backend,
    ):
        settings = Settings(base_url=backend.url, token_url=tokens.url)

        def way(url: str) -> HttpTransport:  # as through a proxy
            return over_httpx(httpx.AsyncHTTPTransport(trust_env=False))

        login = Login(InMemory(auth_json()), way, token_url=tokens.url, clock=lambda: NOW)
        transport = Transport(settings, login, http=way(backend.url))
        await transport.fetch("/models")
        assert len(backend.requests) == 2
        await transport.aclose()
    assert "send_request_headers" in caplog.text, "the deepest log is what this is about"
    for secret in (access_token(NOW + DAY), access_token(NOW + DAY, "1"), "canary-refresh"):
        assert secret not in caplog.text


async def test_an_error_of_the_login_is_an_auth_error_or_a_503() -> None:
    there = world(b"{}")
    with pytest.raises(AuthError):
        await there.ask()
    assert there.asked == []
