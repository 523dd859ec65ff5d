"""A login on a disk that fails, and by clocks that are wrong."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest
from tests.engine.login_worlds import EXPIRED, OF_CODEX, Answer, World, world
from tests.logins import DAY, NOW, access_token, auth_json, write_login
from tests.virtual_time import hurried

from codexapi_engine.errors import NotLoggedIn
from codexapi_engine.login.file_store import CodexFile
from codexapi_engine.login.refresh import SAVE_AGAIN
from codexapi_engine.login.store import InMemory
from codexapi_engine.protocol.auth_file import jwt_payload
from codexapi_engine.protocol.secret import Secret


class Unwritable(InMemory):
    """A disk that is full until it is `mended`."""

    mended = False

    async def save(self, data: bytes, consumed: Secret | None) -> None:
        if not self.mended:
            raise OSError(28, "No space left on device")
        login = await self.load()
        assert login.credentials.refresh_token == consumed, "not what is on the disk"
        await super().save(data, consumed)


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
