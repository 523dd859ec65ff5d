"""A renewal that fails: for good, for now, or nobody knows."""

from __future__ import annotations

import asyncio
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from tests import unix
from tests.engine.login_worlds import EXPIRED, FAILED, OF_CODEX, Answer, World, never, over, world
from tests.faulty import REUSED, RST, FaultyBackend, TokenEndpoint
from tests.logins import DAY, NOW, access_token, auth_json, write_login
from tests.ports import refusing_url
from tests.virtual_time import hurried

from codexapi_engine.bounds import REFRESH_MARGIN, TOKEN_TIMEOUT
from codexapi_engine.errors import (
    LoginExpired,
    RefreshUnavailable,
)
from codexapi_engine.http.client import Transport
from codexapi_engine.login.file_store import CodexFile
from codexapi_engine.login.refresh import BACK_OFF, NEWER, Login
from codexapi_engine.login.store import InMemory
from codexapi_engine.login.token_endpoint import MAX_ANSWER
from codexapi_engine.protocol.secret import Secret
from codexapi_engine.settings import Settings

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
        there = world(auth_json(exp=NOW + REFRESH_MARGIN / 2))
        there.answers = [answer]
        for _ in range(3):
            assert await there.ask() == access_token(NOW + REFRESH_MARGIN / 2)
        assert len(there.redeemed) == 1
        there.now += REFRESH_MARGIN / 2 + 1
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
