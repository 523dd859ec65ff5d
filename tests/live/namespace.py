"""A private network: names in a hosts file of its own, and TLS on port 443, as users have them.

Root on Linux can have one, with `unshare` and iproute2. A program in it needs no setting that a
user would not have: the backend and the token endpoint are where they always are, by their names,
and only the certificate authority is a test's own.
"""

from __future__ import annotations

import asyncio
import contextlib
import errno
import os
import shutil
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Coroutine, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar

import uvicorn
from tests import forks
from tests.certificates import Authority
from tests.downloads import Unavailable
from tests.logins import write_login
from tests.loopback import enter
from tests.processes import ROOT, SOURCES

from codexapi_engine.simulator import Simulator
from codexapi_engine.simulator.asgi import app as simulator_app
from codexapi_engine.simulator.backend import LIFETIME

BACKEND, ISSUER, PROXY = "chatgpt.com", "auth.openai.com", "proxy.test"
HERE = "127.0.0.1"
RESOLVER_PATIENCE = 30
"""Seconds for an answer of the name server: longer than we wait for it."""

DARK = "2001:db8::1"
"""An address of the private network where whatever is sent is lost (`darken`)."""

HOSTS: Mapping[str, Sequence[str]] = {BACKEND: [HERE], ISSUER: [HERE]}
_SETUP = f"""
ip link set lo up
ip -6 address add {DARK}/128 dev lo nodad
for file in hosts resolv.conf nsswitch.conf; do mount --bind "$0/$file" "/etc/$file"; done
[ ! -d /run/nscd ] || mount -t tmpfs none /run/nscd
echo ready
exec cat
"""
"""What the first program of the network runs. It ends with its stdin, and the network with it."""

_NO_UVLOOP = 'raise ImportError("not made for this platform")\n'
_NO_UVLOOP_LOADED = """
import sys
sys.modules["uvloop"] = None
from codexapi_cli.__main__ import main
main()
"""

Result = TypeVar("Result")


class PrivateNetwork:
    """The network, the backend in it, and the home of one user. Close it at the end.

    `loop` is "uvloop", or "asyncio" for a machine that has no uvloop. `hosts` are the names that
    it knows. The backend listens at 127.0.0.1:443 under both of its names.
    """

    def __init__(
        self,
        folder: Path,
        *,
        loop: str = "uvloop",
        hosts: Mapping[str, Sequence[str]] = HOSTS,
    ) -> None:
        self.home = folder / "home"
        self.work = folder / "work"
        for made in (self.home / ".codex", self.work):
            made.mkdir(parents=True, mode=0o700)
        self._modules = _without_uvloop(folder) if loop == "asyncio" else None
        self._shift = 0.0  # seconds that the backend's clock is ahead
        self.simulator = Simulator(clock=lambda: time.time() + self._shift)
        self.authority = Authority(folder)
        self._holder = _hold(_files(folder, hosts))
        self._descriptor = os.open(f"/proc/{self._holder.pid}/ns/net", os.O_RDONLY)
        self._tasks: set[asyncio.Task[Any]] = set()
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._inside, daemon=True)
        self._thread.start()
        self._backend = self._backend_server()
        self._serving: asyncio.Task[None]
        self.call(self._begin())
        self.log_in()

    # Programs in the network.

    def environment(self, **more: str) -> dict[str, str]:
        """The environment of a user's programs: none of codexapi's settings."""
        modules = [self._modules] if self._modules else []
        return {
            "PATH": os.environ["PATH"],
            "HOME": str(self.home),
            "LANG": "C.UTF-8",
            "PYTHONUNBUFFERED": "1",
            "PYTHONPATH": os.pathsep.join([*modules, *(str(ROOT / name) for name in SOURCES)]),
            "SSL_CERT_FILE": str(self.authority.file),
            **more,
        }

    def command(self, *words: str) -> list[str]:
        """A command that runs in the network."""
        target = ["--target", str(self._holder.pid), "--net", "--mount"]
        within = ["sh", "-c", 'cd "$0" && exec "$@"', str(self.work)]
        return ["nsenter", *target, "--", *within, *words]

    def codexapi(self, *arguments: str) -> list[str]:
        return self.command(sys.executable, "-m", "codexapi_cli", *arguments)

    def warm(self, *arguments: str) -> list[str]:
        """That command at the price of a fork. It has loaded uvloop, wherever it runs."""
        code = _NO_UVLOOP_LOADED if self._modules else ""
        return self.command(*forks.for_shells(*arguments, code=code))

    def run(
        self, *arguments: str, env: Mapping[str, str] | None = None, seconds: float = 60.0
    ) -> subprocess.CompletedProcess[str]:
        """A `codexapi` command, to its end."""
        return subprocess.run(
            self.warm(*arguments), env=env or self.environment(), stdin=subprocess.DEVNULL,
            capture_output=True, text=True, check=False, timeout=seconds,
        )  # fmt: skip

    @contextmanager
    def entered(self) -> Iterator[None]:
        """This thread's sockets are of the network meanwhile."""
        with open("/proc/thread-self/ns/net", "rb") as before:
            enter(self._descriptor)
            try:
                yield
            finally:
                enter(before.fileno())

    # Its user.

    def log_in(self, left: float = LIFETIME) -> None:
        """Writes a login whose access token is good for `left` seconds."""
        self._shift = left - LIFETIME
        try:
            write_login(self.home / ".codex", self.simulator.login())
        finally:
            self._shift = 0.0

    # Its other machines.

    def call(self, work: Coroutine[Any, Any, Result]) -> Result:
        """Runs something in the network, on a loop that goes on after it."""
        return asyncio.run_coroutine_threadsafe(work, self._loop).result(30)

    def serve(
        self, serve: Callable[[asyncio.StreamReader, asyncio.StreamWriter], Any], port: int
    ) -> None:
        """A server on a port, until the network is closed."""

        async def begin() -> None:
            server = await asyncio.start_server(serve, HERE, port)
            self._keep(server.serve_forever())

        self.call(begin())

    def darken(self) -> None:
        """Makes `DARK` a place that takes no connection and refuses none: the one that its
        listener has room for is there, and so the kernel drops every other."""

        async def begin() -> None:
            listener = socket.socket(socket.AF_INET6)
            listener.bind((DARK, 443))
            listener.listen(0)
            first = socket.socket(socket.AF_INET6)
            # The kernel adds the route to an address some time after the address.
            while (failure := first.connect_ex((DARK, 443))) == errno.ENETUNREACH:  # noqa: ASYNC110
                await asyncio.sleep(0)
            assert not failure, os.strerror(failure)
            self._keep(_hold_open(listener, first))

        self.call(begin())

    def silence_resolver(self) -> threading.Event:
        """A name server that never answers; tells when it has heard a question."""
        query = threading.Event()

        async def begin() -> None:
            listener = socket.socket(type=socket.SOCK_DGRAM)
            listener.bind((HERE, 53))
            listener.setblocking(False)
            self._keep(_hear(listener, query))

        self.call(begin())
        return query

    def close(self) -> None:
        self.call(self._end())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        os.close(self._descriptor)
        assert self._holder.stdin is not None
        self._holder.communicate()

    def _inside(self) -> None:
        enter(self._descriptor)
        asyncio.set_event_loop(self._loop)
        self._loop.run_forever()
        self._loop.run_until_complete(self._loop.shutdown_default_executor())
        self._loop.close()

    def _keep(self, work: Coroutine[Any, Any, Any]) -> None:
        self._tasks.add(asyncio.ensure_future(work))

    def _backend_server(self) -> uvicorn.Server:
        context = self.authority.server(BACKEND, ISSUER)
        config = uvicorn.Config(
            simulator_app(self.simulator), ssl_context_factory=lambda config, default: context,
            log_config=None, access_log=False, lifespan="off", ws="none",
        )  # fmt: skip
        return uvicorn.Server(config)

    async def _begin(self) -> None:
        listener = socket.create_server((HERE, 443))
        self._serving = asyncio.create_task(self._backend.serve(sockets=[listener]))
        while not self._backend.started:  # noqa: ASYNC110  (nobody tells)
            await asyncio.sleep(0)

    async def _end(self) -> None:
        self._backend.should_exit = self._backend.force_exit = True
        await self._serving
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)


@contextmanager
def private_network(folder: Path, **options: Any) -> Iterator[PrivateNetwork]:
    """Raises Unavailable where this machine, or this user, can have none (`check`)."""
    network = PrivateNetwork(folder, **options)
    try:
        yield network
    finally:
        network.close()


def check() -> None:
    """Raises Unavailable where there can be no private network: it makes one."""
    if sys.platform != "linux" or os.geteuid() != 0:
        raise Unavailable("it takes root on Linux")
    if missing := [name for name in ("unshare", "nsenter", "ip") if shutil.which(name) is None]:
        raise Unavailable(f"it takes {', '.join(missing)}: apt-get install util-linux iproute2")
    with tempfile.TemporaryDirectory() as folder:
        _hold(_files(Path(folder), {})).communicate()


def _hold(folder: Path) -> subprocess.Popen[str]:
    """The first program of a new network, which keeps it. Raises Unavailable."""
    pipe = subprocess.PIPE
    holder = subprocess.Popen(
        ["unshare", "--net", "--mount", "sh", "-ec", _SETUP, str(folder)],
        stdin=pipe, stdout=pipe, stderr=pipe, text=True,
    )  # fmt: skip
    assert holder.stdout is not None
    if holder.stdout.readline() != "ready\n":
        raise Unavailable(holder.communicate()[1].strip() or "unshare failed")
    return holder


def _files(folder: Path, hosts: Mapping[str, Sequence[str]]) -> Path:
    """What the network has in place of the machine's files of these names."""
    files = folder / "etc"
    files.mkdir()
    lines = [f"{address} {name}" for name, addresses in hosts.items() for address in addresses]
    (files / "hosts").write_text("\n".join([f"{HERE} localhost", *lines, ""]))
    (files / "resolv.conf").write_text(f"nameserver {HERE}\noptions timeout:{RESOLVER_PATIENCE}\n")
    (files / "nsswitch.conf").write_text("passwd: files\ngroup: files\nhosts: files dns\n")
    return files


def _without_uvloop(folder: Path) -> str:
    """A place for PYTHONPATH, where uvloop is what it is on Windows: not there."""
    modules = folder / "modules"
    modules.mkdir()
    (modules / "uvloop.py").write_text(_NO_UVLOOP)
    return str(modules)


async def _hold_open(*sockets: socket.socket) -> None:
    with contextlib.ExitStack() as stack:
        for each in sockets:
            stack.enter_context(each)
        await asyncio.Event().wait()


async def _hear(listener: socket.socket, query: threading.Event) -> None:
    with listener:
        while True:
            await asyncio.get_running_loop().sock_recv(listener, 4096)
            query.set()
