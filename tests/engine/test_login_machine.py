"""The login, in any order of events: a machine of rules over a real folder, with the official
client's rules as its rival.

Time is invented, files and locks are real. A kill is one: the process is forked, and ends at that
point without another word. What fails prints the blob that plays it again, and the steps.
`--hypothesis-profile=search` tries more.
"""

from __future__ import annotations

import asyncio
import errno
import json
import os
import pickle
import shutil
import stat
import sys
import tempfile
import warnings
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NoReturn

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule
from tests import unix
from tests.faulty import REUSED
from tests.logins import DAY, NOW, access_token, auth_json
from tests.virtual_time import runner

from codexapi_engine import files
from codexapi_engine.errors import CodexError
from codexapi_engine.http.client import Transport
from codexapi_engine.http.failures import ConnectError, NetworkError
from codexapi_engine.http.in_process import in_process
from codexapi_engine.login.file_store import PARTIAL_WRITE, CodexFile
from codexapi_engine.login.refresh import BACK_OFF, Login
from codexapi_engine.protocol.auth_file import jwt_payload
from codexapi_engine.protocol.secret import Secret
from codexapi_engine.settings import Settings

if sys.platform == "win32":
    pytest.skip("forks, and locks as Unix does", allow_module_level=True)

LIFETIME = 3600.0
CODEX_AT = 300.0
FAULTS = ("lost", "unsent", "html", "500", "502", "429")
"""What the token endpoint can do but answer. `lost`: the token is spent, and nobody is told. `502`:
a gateway has not reached it, which nobody can know."""

KILLS = ("answer", "half", "whole", "replaced")
"""Where a process can be killed: with the answer in hand, with half a file written, with a whole
file not yet in its place, and with all done but the last."""

LATER = st.sampled_from([0, 1, 56, 58, 59, 61, 61, 24 * 60])
"""Minutes. A token is good for 60."""

UNKNOWN: dict[str, Any] = {"unknown": {"x": [1]}, "agent_identity": None}


@dataclass
class Truth:
    """What the servers know. Copied into a killed process, and back when it dies."""

    now: float = NOW
    good: dict[str, str] = field(default_factory=dict)  # account -> its one good refresh token
    parent: dict[str, str] = field(default_factory=dict)  # refresh token -> that it was had for
    alive: set[str] = field(default_factory=set)  # access tokens, as long as their time runs
    issued: int = 0
    faults: list[str] = field(default_factory=list)
    sent: list[tuple[int, str, str]] = field(default_factory=list)  # who, token, outcome

    def pair(self, account: str, consumed: str | None = None) -> dict[str, str]:
        self.issued += 1
        refresh = f"canary-{account}-{self.issued}"
        access = access_token(self.now + LIFETIME, f"{account}-{self.issued}")
        self.good[account] = refresh
        self.alive.add(access)
        if consumed is not None:
            self.parent[refresh] = consumed
        return {"access_token": access, "refresh_token": refresh}

    def redeem(self, who: int, token: str) -> dict[str, str] | str:
        """A new pair; or the fault, or `reused`."""
        account = token.split("-")[1]
        fault = self.faults.pop(0) if self.faults else None
        if fault in ("unsent", "html", "500", "502", "429"):
            self.sent.append((who, token, fault))
            return fault
        if self.good.get(account) != token:
            self.sent.append((who, token, "reused"))
            return "reused"
        answer = self.pair(account, token)
        self.sent.append((who, token, fault or "granted"))
        return fault or answer

    def takes(self, access: str) -> bool:
        return access in self.alive and float(jwt_payload(access)["exp"]) > self.now


class LoginFile(CodexFile):
    """The real file on a disk that may be full."""

    full = False

    async def save(self, data: bytes, consumed: Secret | None) -> None:
        if self.full:
            raise OSError(errno.ENOSPC, "No space left on device")
        await super().save(data, consumed)


class Ours:
    """One process of ours."""

    def __init__(self, number: int, home: Path, truth: Truth) -> None:
        self.number = number
        self.truth = truth
        self.ahead = 0.0
        self.disk = LoginFile(
            home, clock=lambda: 4e9
        )  # no file of this test is of this very moment
        road = in_process(self._handle)
        chosen = Settings()
        self.login = Login(
            self.disk,
            lambda url: road,
            clock=lambda: truth.now + self.ahead,
        )
        self.transport = Transport(chosen, self.login, http=road)
        self.meanwhile: Callable[[], None] | None = None  # before a token is answered

    async def ask(self) -> None:
        await self.transport.fetch("/models")

    async def _handle(
        self, method: str, target: str, headers: Mapping[str, str], body: bytes
    ) -> tuple[int, Mapping[str, str], AsyncIterator[bytes]]:
        if target.startswith("/backend-api"):
            good = self.truth.takes(headers["authorization"].removeprefix("Bearer "))
            return (200 if good else 401), {}, _once(b"{}")
        answer = self._redeem(json.loads(body)["refresh_token"])
        if isinstance(answer, dict):
            return 200, {}, _once(json.dumps(answer).encode())
        if answer == "unsent":
            raise ConnectError("refused")
        if answer == "lost":
            raise NetworkError("reset")
        bodies = {"reused": (401, json.dumps(REUSED).encode()), "html": (200, b"<html>")}
        bodies["502"] = 502, b"<html>"
        status, text = bodies.get(answer) or (int(answer), b'{"error":"server_error"}')
        return status, {}, _once(text)

    def _redeem(self, token: str) -> dict[str, str] | str:
        answer = self.truth.redeem(self.number, token)
        if self.meanwhile is not None:
            self.meanwhile()
        return answer


async def _once(body: bytes) -> AsyncIterator[bytes]:
    yield body


class LoginMachine(RuleBasedStateMachine):
    """`Login` in up to three processes beside a Codex, all with one auth.json."""

    def __init__(self) -> None:
        super().__init__()
        self.home = Path(tempfile.mkdtemp(prefix="login-"))
        self.path = self.home / "auth.json"
        self.runner = runner()
        self.truth = Truth()
        self.processes: dict[int, Ours] = {}
        self.started = 0
        self.killed: set[int] = set()
        self.mode = 0o600
        self.held: tuple[str, dict[str, str]] | None = None  # by Codex: consumed, new pair
        self.torn = False
        self.checked = 0  # of truth.sent
        self.on_disk: bytes | None = None  # after the last step
        self.by_rival = False  # who wrote it in this step

    def teardown(self) -> None:
        for process in self.processes.values():
            self.runner.run(process.login.aclose())
        self.runner.close()
        shutil.rmtree(self.home)

    # The user

    @initialize(account=st.sampled_from("ab"), mode=st.sampled_from([0o600, 0o640, 0o400]))
    def logged_in(self, account: str, mode: int) -> None:
        self.mode = mode
        self._user_writes(account)
        self.begins()

    @rule(account=st.sampled_from("ab"))
    def logs_in(self, account: str) -> None:
        self._user_writes(account)

    @rule()
    def logs_out(self) -> None:
        self._has_a_login()
        self.path.unlink(missing_ok=True)
        self.torn, self.by_rival = False, True

    # Our processes

    @rule()
    def begins(self) -> None:
        if len(self.processes) == 3:
            return
        self.started += 1
        self.processes[self.started] = Ours(self.started, self.home, self.truth)

    @rule(data=st.data())
    def ends(self, data: st.DataObject) -> None:
        process = self._one(data)
        self.runner.run(process.login.aclose())
        del self.processes[process.number]
        if not self.processes:
            self.begins()

    @rule(data=st.data(), ahead=st.sampled_from([0.0, 3600.0, -3600.0, DAY, -DAY]))
    def clock_jumps(self, data: st.DataObject, ahead: float) -> None:
        self._one(data).ahead = ahead

    @rule(data=st.data(), minutes=LATER, later=LATER, mended=st.booleans())
    def disk_is_full_while_one_asks(
        self, data: st.DataObject, minutes: int, later: int, mended: bool
    ) -> None:
        self._has_a_login()
        process = self._one(data)
        process.disk.full = True
        for wait in (minutes, later):
            self._settled(process, wait)
            self._ask(process, self._hopeful(process))
        process.disk.full = not mended

    @rule(fault=st.sampled_from(FAULTS))
    def token_endpoint_will_fail(self, fault: str) -> None:
        self.truth.faults.append(fault)

    @rule(data=st.data(), minutes=LATER)
    def asks(self, data: st.DataObject, minutes: int) -> None:
        process = self._one(data)
        self._settled(process, minutes)
        hopeful = self._hopeful(process)
        self._ask(process, hopeful)

    @rule(at_once=st.integers(2, 6), minutes=LATER)
    def all_ask(self, at_once: int, minutes: int) -> None:
        self.truth.now += 60 * minutes

        async def story() -> None:
            asking = (p.ask() for p in self.processes.values() for _ in range(at_once))
            for outcome in await asyncio.gather(*asking, return_exceptions=True):
                assert outcome is None or isinstance(outcome, CodexError), outcome

        before = len(self.truth.sent)
        self.runner.run(story())
        granted = [one for one in self.truth.sent[before:] if one[2] == "granted"]
        assert len(granted) <= 1, "one renewal does for all"

    @rule(where=st.sampled_from(KILLS), minutes=LATER)
    def one_is_killed_while_it_renews(self, where: str, minutes: int) -> None:
        """A process that has just begun, so that all it knows is on the disk."""
        self._has_a_login()
        self.truth.now += 60 * minutes
        self.started += 1
        self.killed.add(self.started)
        told = killed(Ours(self.started, self.home, self.truth), where)
        vars(self.truth).update(vars(told))
        on_disk = where in ("whole", "replaced")
        if on_disk and self.truth.sent and self.truth.sent[-1][::2] == (self.started, "granted"):
            # The pair had reached the disk: whoever comes next must find it.
            self.started += 1
            heir = Ours(self.started, self.home, self.truth)
            self._ask(heir, hopeful=True)
            self.runner.run(heir.login.aclose())
            tokens = self._tokens()
            assert tokens is not None
            assert tokens["refresh_token"] in self.truth.good.values()

    @rule(data=st.data(), account=st.sampled_from("ab") | st.none(), minutes=LATER)
    def user_is_quicker_than_one_that_renews(
        self, data: st.DataObject, account: str | None, minutes: int
    ) -> None:
        """Logs in, or out, while the token endpoint is asked: that is the last word."""
        self._has_a_login()
        process = self._one(data)
        self._settled(process, minutes)
        written: list[bytes | None] = []

        def meanwhile() -> None:
            process.meanwhile = None
            self.path.unlink(missing_ok=True)
            if account is not None:
                self._user_writes(account)
            written.append(self.path.read_bytes() if account else None)

        process.meanwhile = meanwhile
        self._ask(process, hopeful=False)
        process.meanwhile = None
        if written:
            self.torn, self.by_rival = False, True
            assert (self.path.read_bytes() if self.path.exists() else None) == written[0]

    # Codex

    @rule(minutes=LATER)
    def codex_begins(self, minutes: int) -> None:
        """It sends the token without a lock, and saves what it gets later."""
        self._has_a_login()
        if self.held is None:
            self._codex_redeems(minutes)

    def _codex_redeems(self, minutes: int) -> None:
        self.truth.now += 60 * minutes
        tokens = self._tokens()
        if tokens is None or not tokens.get("refresh_token"):
            return
        if jwt_payload(tokens["access_token"])["exp"] > self.truth.now + CODEX_AT:
            return
        answer = self.truth.redeem(0, tokens["refresh_token"])
        if isinstance(answer, dict):
            self.held = tokens["refresh_token"], answer

    @rule(in_place=st.booleans())
    def codex_saves(self, in_place: bool) -> None:
        if self.held is not None:
            self._codex_saves(in_place)

    @rule(
        data=st.data(),
        minutes=st.sampled_from([56, 61]),
        after=st.sampled_from([0.1, 0.9, 1.8]),
        in_place=st.booleans(),
    )
    def codex_saves_while_one_asks(
        self, data: st.DataObject, minutes: int, after: float, in_place: bool
    ) -> None:
        """A collision: the token on disk is spent, and its successor on the way."""
        self._has_a_login()
        process = self._one(data)
        if self.held is None:
            self._codex_redeems(minutes)
        if self.held is None:
            return
        consumed, _ = self.held
        tokens = self._tokens()
        lands = tokens is not None and tokens["refresh_token"] == consumed
        self._settled(process)
        hopeful = lands and not self._dead(process, consumed) and not self.truth.faults

        async def story() -> None:
            asyncio.get_running_loop().call_later(after, self._codex_saves, in_place)
            await self._asked(process, hopeful)
            await asyncio.sleep(2)
            await self._asked(process, hopeful)

        self.runner.run(story())

    @rule(
        data=st.data(),
        after=st.sampled_from([0.05, PARTIAL_WRITE - 0.1]),
        length=st.integers(0, 300),
    )
    def file_is_torn_while_one_asks(self, data: st.DataObject, after: float, length: int) -> None:
        """Codex before 0.169 writes in place: for a moment the file is cut off."""
        self._has_a_login()
        whole, process = self.path.read_bytes(), self._one(data)
        self._settled(process)
        hopeful = self._hopeful(process)
        self._write_in_place(whole[:length])

        async def mended() -> None:
            asyncio.get_running_loop().call_later(after, self._write_in_place, whole)
            await self._asked(process, hopeful)

        self.runner.run(mended())

    @rule(length=st.integers(0, 300))
    def codex_dies_over_the_file(self, length: int) -> None:
        self._has_a_login()
        self._write_in_place(self.path.read_bytes()[:length])
        self.torn = True

    # What holds after every step

    @invariant()
    def no_token_is_sent_when_it_may_be_spent(self) -> None:
        """Not by one who knows, and not by one who could. A process that was killed, or was told by
        an answer without a code, can have told nobody."""
        for at in range(self.checked, len(self.truth.sent)):
            who, token, _ = self.truth.sent[at]
            before = [
                outcome
                for earlier, same, outcome in self.truth.sent[:at]
                if same == token and earlier != 0 and earlier not in self.killed
            ]
            if who != 0 and who not in self.killed:
                assert not set(before) & {"granted", "lost", "502", "reused"}, (who, token, before)
        self.checked = len(self.truth.sent)

    @invariant()
    def file_is_whole_and_what_is_newer_is_never_overwritten(self) -> None:
        """Whatever we did to it. `on_disk` is what stood there before."""
        now = self.path.read_bytes() if self.path.exists() else None
        before, self.on_disk = self.on_disk, now
        by_rival, self.by_rival = self.by_rival, False
        if now is None or now == before or self.torn:
            assert by_rival or self.torn or now == before, "we remove no login"
            return
        content = json.loads(now)
        assert {name: content[name] for name in UNKNOWN} == UNKNOWN
        assert stat.S_IMODE(self.path.stat().st_mode) == self.mode
        if not by_rival and before is not None:
            with suppress(ValueError):  # what was damaged for good is nobody's
                consumed = json.loads(before)["tokens"]["refresh_token"]
                token = content["tokens"]["refresh_token"]
                while token != consumed:
                    assert token in self.truth.parent, "another's pair was overwritten"
                    token = self.truth.parent[token]

    @invariant()
    def nothing_readable_by_others_is_left(self) -> None:
        for file in self.home.iterdir():
            if file.name not in ("auth.json", "auth.lock"):
                allowed = {0o600, self.mode}
                assert stat.S_IMODE(file.stat().st_mode) in allowed, file

    # How it is done

    def _one(self, data: st.DataObject) -> Ours:
        return self.processes[data.draw(st.sampled_from(sorted(self.processes)), label="process")]

    def _user_writes(self, account: str) -> None:
        pair = self.truth.pair(account)
        login = auth_json(
            access=pair["access_token"], refresh=pair["refresh_token"], account=f"account-{account}",
            issued=self.truth.now, **UNKNOWN,
        )  # fmt: skip
        self.path.unlink(missing_ok=True)
        self.path.write_bytes(login)
        self.path.chmod(self.mode)
        self.torn, self.by_rival = False, True

    def _write_in_place(self, data: bytes) -> None:
        self.path.chmod(0o600)
        self.path.write_bytes(data)
        self.path.chmod(self.mode)
        self.by_rival = True

    def _has_a_login(self) -> None:
        """The user makes one, unless there is one that is not over."""
        if not self._usable():
            self._user_writes("a")

    def _usable(self) -> bool:
        tokens = None if self.torn else self._tokens()
        if tokens is None:
            return False
        held = self.held is not None and self.held[0] == tokens["refresh_token"]
        return held or tokens["refresh_token"] in self.truth.good.values()

    def _tokens(self) -> dict[str, str] | None:
        with suppress(OSError, ValueError):
            tokens: dict[str, str] = json.loads(self.path.read_bytes())["tokens"]
            return tokens
        return None

    def _codex_saves(self, in_place: bool) -> None:
        """As 0.169 does, under its lock and if nothing has changed; or as 0.163, just so."""
        assert self.held is not None
        (consumed, pair), self.held = self.held, None
        tokens = self._tokens()
        if tokens is None or tokens["refresh_token"] != consumed:
            return
        content = json.loads(self.path.read_bytes())
        content["tokens"].update(pair)
        data = json.dumps(content, indent=2).encode()
        if in_place:
            self._write_in_place(data)
            return
        with (self.home / "auth.lock").open("w") as lock:
            unix.lock(lock)  # nobody holds it for long
            new = self.home / ".auth-codex"
            new.write_bytes(data)
            new.chmod(self.mode)
            new.replace(self.path)
        self.by_rival = True

    def _settled(self, process: Ours, minutes: int = 0) -> None:
        """Lets time pass, at least the back-off of an earlier failure: for that it is there."""
        self.truth.now += 60 * minutes + BACK_OFF + 1
        process.login._not_before = 0.0  # by a clock that may have jumped

    def _dead(self, process: Ours, token: str) -> bool:
        secret = Secret(token)
        return (
            secret in process.login._failed_tokens
            or process.disk.consumed_reason(secret) is not None
        )

    def _hopeful(self, process: Ours) -> bool:
        """Whether a request must succeed: the login is good, or can be made so."""
        tokens = self._tokens()
        if self.torn or tokens is None or self.truth.faults:
            return False
        kept = process.login._kept
        if kept is not None and kept[0] == Secret(tokens["refresh_token"]):
            tokens = json.loads(kept[1].data)["tokens"]
        refresh = tokens["refresh_token"]
        if Secret(tokens["access_token"]) in process.login._unproven:
            return False
        account = refresh.split("-")[1]
        return self.truth.good[account] == refresh and not self._dead(process, refresh)

    def _ask(self, process: Ours, hopeful: bool) -> None:
        self.runner.run(self._asked(process, hopeful))

    async def _asked(self, process: Ours, hopeful: bool) -> None:
        try:
            await process.ask()
        except CodexError as error:
            if hopeful:
                raise AssertionError(f"a good login was not used: {error.code} {error}") from error


def killed(process: Ours, where: str) -> Truth:
    """What the servers know after this process has asked, and died on the way."""
    reading, writing = os.pipe()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # of the threads of a test runner
        child = os.fork()
    if child == 0:
        os.close(reading)
        _die(process, where, writing)
    os.close(writing)
    with open(reading, "rb") as told:
        truth: Truth = pickle.load(told)
    os.waitpid(child, 0)
    return truth


def _die(process: Ours, where: str, told: int) -> NoReturn:
    """In the child: one question, and the end."""

    def end(*_: object) -> NoReturn:
        with open(told, "wb") as file:
            pickle.dump(process.truth, file)
        os._exit(9)

    try:
        redeem, disk = process._redeem, files.Disk()

        def redeemed(token: str) -> dict[str, str] | str:
            answer = redeem(token)
            # From here on: what is written before is no login yet.
            process.disk._disk = dying
            return end() if where == "answer" else answer

        def synced(descriptor: int) -> None:
            if where == "half":
                os.ftruncate(descriptor, os.fstat(descriptor).st_size // 2)
                end()
            os.fsync(descriptor)

        def replaced(*paths: Any) -> None:
            if where == "whole":
                end()
            os.replace(*paths)
            if where == "replaced":
                end()

        dying: Any = disk
        dying.sync, dying.replace = synced, replaced
        process._redeem = redeemed  # type: ignore[method-assign]
        with runner() as own, suppress(CodexError):
            own.run(process.ask())
    finally:
        end()


TestLogin = LoginMachine.TestCase
TestLogin.settings = settings(
    max_examples=settings().max_examples * 2 // 5, stateful_step_count=30, print_blob=True
)
