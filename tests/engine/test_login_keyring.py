"""The login in a keyring: where Codex puts it, and with another program writing there too.

The keyring is one of the package `keyring`'s own kind, in memory. The real Secret Service, with the
real Codex at its other side, is in tests/live/test_login_keyring.py.
"""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
import threading
import weakref
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import pytest
from keyring.backend import KeyringBackend
from keyring.backends.fail import Keyring as NoKeyring
from keyring.errors import KeyringError, KeyringLocked
from tests.engine.login_worlds import World
from tests.logins import ACCOUNT, auth_json, write_login
from tests.processes import environment

from codexapi_engine.errors import NotLoggedIn, RefreshUnavailable, TokenRejected
from codexapi_engine.login.file_store import CodexFile
from codexapi_engine.login.keyring_store import SERVICE, Keyring, KeyringOrFile, account
from codexapi_engine.protocol.secret import Secret

FIRST = Secret("canary-refresh-first")
NEW = auth_json(mark="new", refresh="canary-refresh-new")
OTHER = auth_json(mark="other", refresh="canary-refresh-other")


class Memory(KeyringBackend):
    """A keyring in memory. `trouble` is raised in place of an answer."""

    priority = 1

    def __init__(self, home: Path, login: bytes | None = None) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.kept: dict[tuple[str, str], str] = {}
        self.trouble: Exception | None = None
        self.asked = 0
        self._name = account(home)
        if login is not None:
            self.put(login)

    def put(self, login: bytes) -> None:
        self.kept[SERVICE, self._name] = json.dumps(json.loads(login))

    def get_password(self, service: str, username: str) -> str | None:
        self.asked += 1
        if self.trouble is not None:
            raise self.trouble
        return self.kept.get((service, username))

    def set_password(self, service: str, username: str, password: str) -> None:
        if self.trouble is not None:
            raise self.trouble
        self.kept[service, username] = password

    def delete_password(self, service: str, username: str) -> None:
        del self.kept[service, username]


class Asking(Memory):
    """One that asks its owner first, who takes time until `answer` is set."""

    def __init__(self, home: Path, login: bytes | None = None) -> None:
        super().__init__(home, login)
        self.waits, self.answer = asyncio.Event(), threading.Event()
        self._loop = asyncio.get_running_loop()

    def get_password(self, service: str, username: str) -> str | None:
        self._loop.call_soon_threadsafe(self.waits.set)
        self.answer.wait(20)
        return super().get_password(service, username)


def test_the_account_is_the_one_that_codex_makes_of_its_folder(tmp_path: Path) -> None:
    """The number begins the path's SHA-256, as Codex 0.169 was seen to make it."""
    assert account(Path("/home/someone/.codex")) == "cli|cd5e9c565ce61932"
    real, link = tmp_path / "real", tmp_path / "link"
    real.mkdir()
    link.symlink_to(real)
    assert account(link) == account(real) != account(tmp_path)


async def test_a_login_is_read_from_the_keyring(tmp_path: Path) -> None:
    login = await Keyring(tmp_path, Memory(tmp_path, auth_json())).load()
    assert login.credentials.account_id == ACCOUNT


async def test_a_saved_login_is_in_the_keyring_as_codex_writes_it_and_in_no_file(
    tmp_path: Path,
) -> None:
    backend = Memory(tmp_path, auth_json(provenance={"client_id": "c"}, more=[1]))
    store = Keyring(tmp_path, backend)
    async with store.lock():
        await store.save(NEW, FIRST)
    ((place, value),) = backend.kept.items()
    assert place == ("Codex Auth", account(tmp_path))
    assert json.loads(value) == json.loads(NEW)
    assert "\n" not in value
    assert (await store.load()).credentials.refresh_token == Secret("canary-refresh-new")
    assert os.listdir(tmp_path) == ["auth.lock"]


@pytest.mark.parametrize("other", [OTHER, auth_json(refresh=None)])
async def test_the_login_of_another_program_is_never_overwritten(
    tmp_path: Path, other: bytes
) -> None:
    backend = Memory(tmp_path, auth_json())
    store = Keyring(tmp_path, backend)
    await store.load()
    backend.put(other)
    await store.save(NEW, FIRST)
    assert json.loads(backend.kept[SERVICE, account(tmp_path)]) == json.loads(other)


async def test_under_the_lock_the_keyring_is_read_anew(tmp_path: Path) -> None:
    backend = Memory(tmp_path, auth_json())
    store = Keyring(tmp_path, backend)
    await store.load()
    backend.put(OTHER)
    async with store.lock():
        assert (await store.load()).credentials.refresh_token == Secret("canary-refresh-other")


async def test_many_who_ask_at_once_cost_one_look_and_a_new_login_is_soon_seen(
    tmp_path: Path,
) -> None:
    backend = Memory(tmp_path, auth_json())
    store = Keyring(tmp_path, backend)
    await asyncio.gather(*(store.load() for _ in range(20)))
    assert backend.asked <= 2, "20 of them may take longer than it is known for, on a slow machine"
    backend.put(OTHER)
    store._known_until = 0.0  # the time is over
    assert (await store.load()).credentials.refresh_token == Secret("canary-refresh-other")


async def test_a_login_that_another_program_renewed_a_moment_ago_is_found_after_a_401(
    tmp_path: Path,
) -> None:
    """Of the token that a 401 brought and that is refused too, no other is asked for: the one of
    the other program is found all the same."""
    backend = Memory(tmp_path, auth_json())
    world = World(Keyring(tmp_path, backend))
    renewed: str = json.loads(OTHER)["tokens"]["access_token"]
    world.refuses = lambda access: access != renewed
    with pytest.raises(TokenRejected):
        await world.ask()

    def refuse(access: str) -> bool:
        backend.put(OTHER)
        return access != renewed

    world.refuses = refuse
    assert await world.ask() == renewed
    assert len(world.redeemed) == 1


async def test_an_entry_that_was_read_while_another_program_wrote_is_read_again(
    tmp_path: Path,
) -> None:
    backend = Asking(tmp_path, auth_json())
    store = Keyring(tmp_path, backend)
    before = asyncio.create_task(store.load())
    await backend.waits.wait()
    store.forget()
    backend.answer.set()
    await before
    backend.put(OTHER)
    assert (await store.load()).credentials.refresh_token == Secret("canary-refresh-other")


async def test_an_empty_keyring_is_told_with_its_place(tmp_path: Path) -> None:
    store = Keyring(tmp_path, Memory(tmp_path))
    with pytest.raises(NotLoggedIn, match="codex login") as told:
        await store.load()
    assert account(tmp_path) in str(told.value)
    assert told.value.code == "auth_file_not_found"


@pytest.mark.parametrize("login", [b"{}", b'"nonsense"', b"[]"])
async def test_a_login_in_the_keyring_that_is_none_is_not_called_a_file(
    tmp_path: Path, login: bytes
) -> None:
    with pytest.raises(NotLoggedIn, match=r"^the login in the system's keyring .*codex login"):
        await Keyring(tmp_path, Memory(tmp_path, login)).load()


@pytest.mark.parametrize(
    "trouble",
    [
        KeyringLocked("locked"),
        KeyringError(),
        RuntimeError("no bus"),
        OSError(5, "x"),
        TypeError("x"),
        AttributeError("x"),
        MemoryError(),
    ],
)
async def test_a_keyring_that_cannot_be_used_is_told_and_nothing_is_lost(
    tmp_path: Path, trouble: Exception
) -> None:
    backend = Memory(tmp_path, auth_json())
    store, backend.trouble = Keyring(tmp_path, backend), trouble
    for _ in range(2):
        with pytest.raises(NotLoggedIn, match="keyring") as told:
            await store.load()
        assert told.value.code == "keyring_unavailable"
    with pytest.raises(OSError, match="keyring"):
        await store.save(NEW, FIRST)
    backend.trouble = None
    store = Keyring(tmp_path, backend)
    assert (await store.load()).credentials.account_id == ACCOUNT


class Body:
    """What a request has in hand."""


async def test_a_failure_that_is_remembered_keeps_nothing_of_the_requests_that_it_ends(
    tmp_path: Path,
) -> None:
    store = Keyring(tmp_path, NoKeyring())  # type: ignore[no-untyped-call]

    async def ask(body: Body) -> weakref.ref[Body]:
        of_body = weakref.ref(body)
        with suppress(NotLoggedIn):
            await store.load()
        return of_body

    assert [(await ask(Body()))() for _ in range(2)] == [None, None]


async def test_what_the_secret_service_itself_raises_is_told_as_well(tmp_path: Path) -> None:
    """It would be waited for, until patience ends."""
    service = pytest.importorskip("secretstorage.exceptions", reason="Linux alone has it")
    backend = Memory(tmp_path, auth_json())
    backend.trouble = service.PromptDismissedException("the user said no")
    with pytest.raises(NotLoggedIn, match="the user said no"):
        await Keyring(tmp_path, backend).load()


async def test_a_machine_without_a_keyring_is_told_as_such(tmp_path: Path) -> None:
    with pytest.raises(NotLoggedIn) as told:
        await Keyring(tmp_path, NoKeyring()).load()  # type: ignore[no-untyped-call]
    assert told.value.code == "keyring_unavailable"


async def test_a_damaged_entry_is_no_login(tmp_path: Path) -> None:
    backend = Memory(tmp_path)
    backend.kept[SERVICE, account(tmp_path)] = "{canary"
    with pytest.raises(NotLoggedIn) as told:
        await Keyring(tmp_path, backend).load()
    assert told.value.code == "auth_file_invalid"
    assert "canary" not in str(told.value)


async def test_a_keyring_that_waits_for_its_owner_does_not_hold_up_the_rest(tmp_path: Path) -> None:
    backend = Asking(tmp_path, auth_json())
    loading = asyncio.create_task(Keyring(tmp_path, backend).load())
    await backend.waits.wait()
    assert not loading.done()
    backend.answer.set()
    assert (await loading).credentials.account_id == ACCOUNT


async def test_a_keyring_of_another_process_is_locked_out_as_a_file_is(tmp_path: Path) -> None:
    first, second = (Keyring(tmp_path, Memory(tmp_path, auth_json())) for _ in range(2))
    first.mark_consumed(FIRST, "unanswered")
    assert second.consumed_reason(FIRST) == "unanswered"
    async with first.lock():
        with pytest.raises(RefreshUnavailable):
            async with second._shared.lock(wait=0):
                pytest.fail("two programs may not refresh at once")


COPY = """
import ctypes, platform, sys
from codexapi_engine.login.keyring_store import forget_copy
add_key, request = {"x86_64": (248, 249), "aarch64": (217, 218)}[platform.machine()]
libc = ctypes.CDLL(None)
name = b"keyring-rs:cli|0123@Codex Auth"
session = ctypes.c_long(-3)
if libc.syscall(ctypes.c_long(add_key), b"user", name, b"spent", ctypes.c_long(5), session) < 0:
    sys.exit("no keyrings")
forget_copy("keyring-rs:cli|0123@another", platform.machine())
print(libc.syscall(ctypes.c_long(request), b"user", name, None, ctypes.c_long(0)) > 0)
forget_copy(name.decode(), "a machine of another kind")
forget_copy(name.decode(), platform.machine())
print(libc.syscall(ctypes.c_long(request), b"user", name, None, ctypes.c_long(0)) > 0)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="a keyring of the Linux kernel")
def test_the_copy_that_codex_keeps_in_the_kernel_is_dropped() -> None:
    done = subprocess.run(
        [sys.executable, "-c", COPY], env=environment(), capture_output=True, text=True, check=False
    )
    if "no keyrings" in done.stderr:
        pytest.skip("this machine allows no kernel keyrings, as many containers")
    assert (done.stdout, done.stderr) == ("True\nFalse\n", "")


# `auto`


async def story_of_auto(
    home: Path, in_keyring: bytes | None, in_file: bytes | None, trouble: Exception | None = None
) -> tuple[KeyringOrFile, Memory]:
    backend = Memory(home, in_keyring)
    backend.trouble = trouble
    if in_file is not None:
        write_login(home, in_file)
    return KeyringOrFile(Keyring(home, backend), CodexFile(home)), backend


async def test_auto_takes_the_keyring_first(tmp_path: Path) -> None:
    store, backend = await story_of_auto(tmp_path, auth_json(), OTHER)
    assert (await store.load()).credentials.refresh_token == FIRST
    await store.save(NEW, FIRST)
    assert json.loads(backend.kept[SERVICE, account(tmp_path)]) == json.loads(NEW)
    assert (tmp_path / "auth.json").read_bytes() == OTHER


@pytest.mark.parametrize("trouble", [None, KeyringLocked("locked")])
async def test_auto_takes_the_file_where_the_keyring_has_nothing(
    tmp_path: Path, trouble: Exception | None
) -> None:
    store, backend = await story_of_auto(tmp_path, None, auth_json(), trouble)
    async with store.lock():
        assert (await store.load()).credentials.refresh_token == FIRST
        await store.save(NEW, FIRST)
    assert (tmp_path / "auth.json").read_bytes() == NEW
    assert backend.kept == {}
    store.mark_consumed(FIRST, "unanswered")
    assert store.consumed_reason(FIRST) == "unanswered"


async def test_auto_without_either_is_no_login(tmp_path: Path) -> None:
    store, _ = await story_of_auto(tmp_path, None, None)
    with pytest.raises(NotLoggedIn, match=r"auth\.json"):
        await store.load()


async def test_auto_that_cannot_look_into_the_keyring_says_so(tmp_path: Path) -> None:
    """Where there is no file the login is in the keyring, most of the time."""
    store, _ = await story_of_auto(tmp_path, None, None, KeyringLocked("locked"))
    with pytest.raises(NotLoggedIn, match=r"auth\.json.*codex login.*keyring.*locked") as told:
        await store.load()
    assert told.value.code == "keyring_unavailable"


async def test_auto_saves_where_the_login_was_while_another_looks_again(tmp_path: Path) -> None:
    write_login(tmp_path, auth_json())
    backend = Asking(tmp_path)
    store = KeyringOrFile(Keyring(tmp_path, backend), CodexFile(tmp_path))
    looking = asyncio.create_task(store.load())
    await backend.waits.wait()
    await store.save(NEW, FIRST)
    backend.answer.set()
    await looking
    assert (tmp_path / "auth.json").read_bytes() == NEW


# The package is an extra


WITHOUT: Callable[[str], str] = """
import asyncio, sys
sys.modules["keyring"] = sys.modules["keyring.errors"] = None
from pathlib import Path
from codexapi_engine import Settings
from codexapi_engine.login.location import store_of
try:
    asyncio.run(store_of(Settings(codex_home=Path({!r}))).load())
except Exception as error:
    print(error.code, error)
""".format


def test_without_the_package_it_is_told_how_to_get_it(tmp_path: Path) -> None:
    (tmp_path / "config.toml").write_text('cli_auth_credentials_store = "keyring"')
    done = subprocess.run(
        [sys.executable, "-c", WITHOUT(str(tmp_path))], env=environment(), capture_output=True,
        text=True, check=True,
    )  # fmt: skip
    assert done.stdout.startswith("keyring_unavailable")
    assert "(in the folder of your copy: pip install '.[keyring]')" in done.stdout


def test_the_package_is_not_loaded_where_the_login_is_a_file(tmp_path: Path) -> None:
    write_login(tmp_path, auth_json())
    program = (
        "import asyncio, sys; from pathlib import Path; from codexapi_engine import Codex, Settings\n"
        "async def main():\n"
        f"    async with Codex(Settings(codex_home=Path({str(tmp_path)!r}))) as codex:\n"
        "        await codex.credentials()\n"
        "asyncio.run(main())\n"
        "print([name for name in ('keyring', 'tomllib', 'ctypes') if name in sys.modules])\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], env=environment(), capture_output=True, text=True,
        check=True,
    )  # fmt: skip
    assert done.stdout == "[]\n"
