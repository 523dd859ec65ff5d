"""Every renewal that goes wrong at one place, one after the other: the real code, a real folder.

A renewal is a row of steps: each call that changes a file, the request to the token endpoint, and
its answer. At each of them, in each kind of folder, one thing happens: the process is killed, the
system refuses the call (from there on, or once), a second process of ours starts, the official
client renews or logs in anew, or a gateway before the token endpoint gives up. Then a process without faults comes, and the promises are checked:

* no process of ours sends a refresh token that was sent before;
* a pair that reached a process which lived on is on the disk, at its end at the latest;
* `auth.json` is a complete login again, once a process of ours has started;
* nobody waits longer than its bound.

A case is named by its folder, its step and what happens there, and each is deterministic:
`pytest tests/engine/test_login_model.py -k 'NAME'` plays it again.
"""

from __future__ import annotations

import asyncio
import errno
import json
import os
import tempfile
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from tests.engine.test_login_machine import LIFETIME, Truth
from tests.faulty import REUSED
from tests.logins import NOW, auth_json
from tests.virtual_time import hurried

from codexapi_engine.bounds import LOGIN_LOCK_WAIT, TOKEN_TIMEOUT
from codexapi_engine.errors import CodexError
from codexapi_engine.files import Disk
from codexapi_engine.http.client import Transport
from codexapi_engine.http.in_process import in_process
from codexapi_engine.login.file_store import COMMIT_WAIT, PARTIAL_WRITE, CodexFile
from codexapi_engine.login.refresh import NEWER, Login
from codexapi_engine.login.store import Snapshot
from codexapi_engine.settings import Settings

BOUND = LOGIN_LOCK_WAIT + TOKEN_TIMEOUT + NEWER + COMMIT_WAIT + 2 * PARTIAL_WRITE
FOLDERS = ("plain", "file mounted by itself", "read-only folder", "read-only")
ERRORS = (errno.EROFS, errno.EBUSY, errno.EXDEV, errno.EACCES, errno.ENOSPC, errno.EDQUOT)
EVENTS = (
    "kill",
    *(f"{errno.errorcode[number]} {times}" for number in ERRORS for times in ("once", "for ever")),
    "another process starts",
    "the official client renews",
    "the official client logs in",
    "a gateway answers 502",
    "a gateway answers 503",
    "a gateway answers 504",
)
MOST_STEPS = 60


class Killed(BaseException):
    """The end of a process: it does nothing any more, not even tidy up."""


@dataclass
class Steps:
    """Counts the steps of one process, and lets something happen at one of them."""

    at: int
    event: str
    happen: Callable[[str], None]
    taken: int = 0
    dead: bool = False
    names: list[str] = field(default_factory=list)

    mended: bool = False

    def is_now(self, event: str) -> bool:
        """Whether such a thing happens at the step that was just taken."""
        return self.event.startswith(event) and self.taken == self.at

    def is_next(self, event: str) -> bool:
        return self.event.startswith(event) and self.taken + 1 == self.at

    def mend(self) -> None:
        """From here on the system refuses nothing. A dead process stays dead."""
        self.mended = True

    def take(self, name: str) -> None:
        """Raises Killed, OSError."""
        if self.dead:
            raise Killed
        self.names.append(name)
        self.taken += 1
        refusal, _, times = self.event.partition(" ")
        if refusal in errno.errorcode.values():
            if (
                name.startswith("disk")
                and not self.mended
                and (self.taken == self.at or (times == "for ever" and self.taken > self.at))
            ):
                number = getattr(errno, refusal)
                raise OSError(number, os.strerror(number))
        elif self.taken == self.at:
            if self.event == "kill":
                self.dead = True
                raise Killed
            self.happen(self.event)


class FaultyDisk(Disk):
    """The system's calls in a folder of some kind, each of them a step."""

    def __init__(self, folder: str, home: Path, steps: Steps) -> None:
        self._folder, self._home, self._steps = folder, home, steps
        real: Any = super()
        faulty: Any = self
        for name in ("open", "write", "truncate", "sync", "replace", "link", "unlink"):
            setattr(faulty, name, self._step(name, getattr(real, name)))

    def _step(self, name: str, call: Callable[..., Any]) -> Callable[..., Any]:
        def faulty(*arguments: Any) -> Any:
            self._steps.take(f"disk: {name}")
            self._refuse(name, arguments)
            return call(*arguments)

        return faulty

    def _refuse(self, name: str, arguments: tuple[Any, ...]) -> None:
        """As the kernel does in such a folder."""
        paths = [Path(one) for one in arguments if isinstance(one, str | Path)]
        login = self._home / "auth.json"
        if self._folder == "plain" or not any(path.parent == self._home for path in paths):
            return
        if self._folder == "file mounted by itself":
            if name == "replace" and paths[1] == login:
                raise OSError(errno.EBUSY, os.strerror(errno.EBUSY))
            if name == "link" and paths[0] == login:
                raise OSError(errno.EXDEV, os.strerror(errno.EXDEV))
            return
        writes = name != "open" or arguments[1] & (os.O_WRONLY | os.O_RDWR)
        if writes and (self._folder == "read-only" or paths[0] != login or name != "open"):
            raise OSError(errno.EROFS, os.strerror(errno.EROFS))


class World:
    """A folder with a login that is due, and all who use it."""

    def __init__(self, home: Path, folder: str, at: int, event: str) -> None:
        self.home, self.state, self.folder = home / "codex", home / "state", folder
        for made in (self.home, self.state):
            made.mkdir(mode=0o700)
        self.truth = Truth()
        self.path = self.home / "auth.json"
        self._write(self.truth.pair("a"), "a")
        self.truth.now += LIFETIME + 30
        self.steps = Steps(at, event, self._happen)
        self.first = self._process(1, FaultyDisk(folder, self.home, self.steps), self.steps)
        self.others: list[asyncio.Task[str]] = []

    async def play(self) -> None:
        outcome = await self._ask(self.first)
        self.steps.mend()
        if not self.steps.dead:  # what could not be saved is saved now
            await self.first.login.aclose()
        for number in (2, 3):  # the third finds what the second has left
            calm = Steps(0, "", self._happen)
            later = self._process(number, FaultyDisk(self.folder, self.home, calm), calm)
            started = asyncio.get_running_loop().time()
            last = await self._ask(later)
            assert asyncio.get_running_loop().time() - started <= BOUND
            await later.login.aclose()
            Snapshot.of(self.path.read_bytes())
        for other in self.others:
            await other
        self._check(outcome, last)

    def _check(self, outcome: str, last: str) -> None:
        ours = [(token, what) for who, token, what in self.truth.sent if who != 99]
        tokens = [token for _, token, _ in self.truth.sent]
        for token, _ in ours:
            assert tokens.count(token) == 1 or self.steps.event.startswith("the official"), ours
            assert [one for one, _ in ours].count(token) == 1, ours
        granted = [token for token, what in ours if what == "granted"]
        if granted and not self.steps.dead:
            assert last == "ok", "a pair that reached us is lost"
        if ours and not granted and self.steps.event.startswith("a gateway"):
            assert outcome == last == "token_refresh_unavailable", (outcome, last)
        elif not granted and not self.steps.event.startswith(("the official", "kill")):
            assert outcome in ("ok", "login_not_writable"), outcome
        if self.folder == "read-only":
            assert ours == []

    async def _ask(self, process: Process) -> str:
        try:
            await process.transport.fetch("/models")
        except Killed:
            return "killed"
        except CodexError as error:
            return str(error.code)
        return "ok"

    def _process(self, number: int, disk: Disk, steps: Steps) -> Process:
        store = CodexFile(self.home, state_dir=self.state, disk=disk, clock=lambda: 4e9)
        return Process(number, store, self.truth, steps)

    def _happen(self, event: str) -> None:
        if event == "another process starts":
            calm = Steps(0, "", self._happen)
            other = self._process(4, FaultyDisk(self.folder, self.home, calm), calm)
            self.others.append(asyncio.ensure_future(self._ask(other)))
        elif event == "the official client renews":
            # As 0.163, which has no locks. Where it was refused it leaves all as it is.
            with suppress(ValueError, KeyError):
                token = json.loads(self.path.read_bytes())["tokens"]["refresh_token"]
                answer = self.truth.redeem(99, token)
                if isinstance(answer, dict):
                    self._write(answer, "a")
        elif event == "the official client logs in":
            self._write(self.truth.pair("b"), "b")

    def _write(self, pair: Mapping[str, str], account: str) -> None:
        data = auth_json(
            access=pair["access_token"], refresh=pair["refresh_token"], account=account, issued=NOW
        )
        self.path.write_bytes(data)
        self.path.chmod(0o600)


class Process:
    """One process of ours."""

    def __init__(self, number: int, store: CodexFile, truth: Truth, steps: Steps) -> None:
        self._number, self._truth, self._steps = number, truth, steps
        road, chosen = in_process(self._handle), Settings()
        self.login = Login(store, lambda url: road, clock=lambda: truth.now)
        self.transport = Transport(chosen, self.login, http=road)

    async def _handle(
        self, method: str, target: str, headers: Mapping[str, str], body: bytes
    ) -> tuple[int, Mapping[str, str], AsyncIterator[bytes]]:
        if target.startswith("/backend-api"):
            good = self._truth.takes(headers["authorization"].removeprefix("Bearer "))
            return (200 if good else 401), {}, _once(b"{}")
        token = json.loads(body)["refresh_token"]
        self._steps.take("request")
        if self._steps.is_now("a gateway"):
            self._truth.faults.append("502")
        elif self._steps.is_next("a gateway"):
            self._truth.faults.append("lost")
        answer = self._truth.redeem(self._number, token)
        self._steps.take("answer")
        if answer in ("502", "lost"):
            return int(self._steps.event.split()[-1]), {}, _once(b"upstream reset")
        if isinstance(answer, dict):
            return 200, {}, _once(json.dumps(answer).encode())
        return 401, {}, _once(json.dumps(REUSED).encode())


async def _once(body: bytes) -> AsyncIterator[bytes]:
    yield body


def play(folder: str, at: int, event: str) -> Steps:
    with tempfile.TemporaryDirectory(prefix="login-", dir=_quick_disk()) as home:
        world = World(Path(home), folder, at, event)
        hurried(world.play())
        return world.steps


def _quick_disk() -> str | None:
    return "/dev/shm" if os.access("/dev/shm", os.W_OK) else None


@pytest.mark.parametrize("event", EVENTS)
@pytest.mark.parametrize("folder", FOLDERS)
def test_whatever_happens_at_a_step_of_a_renewal_no_login_is_lost(folder: str, event: str) -> None:
    at = 0
    while at < MOST_STEPS:
        at += 1
        try:
            steps = play(folder, at, event)
        except Exception as error:
            raise AssertionError(f"{folder}, {event}, at step {at}: {error}") from error
        if steps.taken < at:
            break
    assert at < MOST_STEPS, "the renewal has more steps than are searched"


@pytest.mark.parametrize("folder", FOLDERS)
def test_a_renewal_without_faults_sends_one_token_or_none(folder: str) -> None:
    steps = play(folder, 0, "")
    assert ("request" in steps.names) == (folder != "read-only")
