"""What is measured: how each server is started before the fake backend, and what it uses.

To add a peer: name its version in `peers`, write a function that says how it is started, and put
that in SERVERS. One that has no setting for its backend goes through `inside/redirected.py`.
"""

from __future__ import annotations

import ctypes
import functools
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory

from tests.logins import DAY, auth_json, write_login
from tests.processes import ROOT, environment

from benchmarks import peers
from benchmarks.backend import NAME
from benchmarks.driver import Failed
from benchmarks.plays import MODEL

OURS, GO, PREVIOUS = "codexapi", "Go", "previous"
ALL_ROADS = ("responses", "chat", "whole")
OUR_ROADS = (*ALL_ROADS, "messages", "count", "socket", "ollama")
SERVER_CORE, DRIVER_CORE = 0, 1
Command = Sequence[str | Path]
if sys.platform == "linux":
    _CORES = sorted(os.sched_getaffinity(0))
else:
    _CORES = list[int]()
_LIBC = ctypes.CDLL(None) if sys.platform == "linux" else None  # not opened after a fork
_PR_SET_PDEATHSIG = 1  # prctl(2)
_INSIDE = Path(__file__).parent / "inside"
_SECONDS = 30.0
"""A server that does not listen by then is given up."""


@dataclass(frozen=True, slots=True)
class Backend:
    """The fake backend: its ports, and the authority that its certificate is from."""

    port: int
    secure_port: int
    authority: Path

    def url(self, *, secure: bool) -> str:
        if secure:
            return f"https://{NAME}:{self.secure_port}"
        return f"http://127.0.0.1:{self.port}"

    def trust(self) -> dict[str, str]:
        """What makes a program trust it: of OpenSSL and Go, of Python's requests, of Node."""
        variables = ("SSL_CERT_FILE", "REQUESTS_CA_BUNDLE", "NODE_EXTRA_CA_CERTS")
        return dict.fromkeys(variables, str(self.authority))


@dataclass(frozen=True, slots=True)
class Place:
    """What a server is given: a free port, the backend's URL, and a folder with a login in it."""

    port: int
    url: str
    authority: Path
    folder: Path


@dataclass(frozen=True, slots=True)
class Start:
    """How a server is started, which roads it has, and what prints its help."""

    command: Command
    env: Mapping[str, str] = field(default_factory=dict)
    roads: tuple[str, ...] = ALL_ROADS
    help: Command = ()


def compiled() -> None:
    """Our modules as an installation has them: pip compiles what it installs, so the peers are."""
    _compiled(sys.executable, ROOT)


@functools.cache
def _compiled(python: str, checkout: Path) -> str:
    """The path of our packages there, whose modules that interpreter has compiled."""
    packages = _packages(checkout)
    if not any(package.name == "codexapi_cli" for package in packages):
        raise Failed(f"{checkout} has no codexapi_cli")
    compiling: Command = [python, "-m", "compileall", "-qq", *packages]
    subprocess.run(compiling, check=False, stdin=subprocess.DEVNULL)
    return os.pathsep.join(sorted({str(package.parent) for package in packages}))


def codexapi_of(python: str, checkout: Path = ROOT) -> Maker:
    """Ours, by that interpreter, from a checkout or an unpacked release."""
    program = [python, "-m", "codexapi_cli"]

    def start(place: Place) -> Start:
        command = [*program, "serve", "--quiet", "--port", str(place.port)]
        env = {"CODEXAPI_BASE_URL": place.url, "PYTHONPATH": _compiled(python, checkout)}
        return Start(command, env, roads=OUR_ROADS, help=[*program, "--help"])

    return start


def _packages(checkout: Path) -> list[Path]:
    """Ours in it: each in a folder of a checkout, or side by side where a wheel was unpacked."""
    folder = checkout.absolute()
    return [each for depth in ("codexapi_*", "*/codexapi_*") for each in folder.glob(depth)
            if (each / "__init__.py").exists()]  # fmt: skip


@functools.cache
def build(python: str) -> str:
    """The interpreter's version, and whether its program loads Python as a shared library. Asked of
    the process: Debian's is static, and its settings say otherwise."""
    asked = (
        "import platform; maps = open('/proc/self/maps').read(); "
        "print(platform.python_version(), 'shared' if 'libpython' in maps else 'static')"
    )
    ran = subprocess.run([python, "-c", asked], capture_output=True, text=True, check=True)
    return ran.stdout.strip()


def bare_ms(python: str) -> float:
    """How long `python -c pass` takes, from spawn to exit."""
    return run_ms([python, "-c", "pass"], environment())


def run_ms(command: Command, env: Mapping[str, str]) -> float:
    """How long a program takes on the server's core, from spawn to exit."""
    null = subprocess.DEVNULL
    with on_core(SERVER_CORE):
        began_at = time.perf_counter()
        subprocess.run(command, env=env, stdin=null, stdout=null, stderr=null, check=True)
        return (time.perf_counter() - began_at) * 1000


def _go(place: Place) -> Start | None:
    if (python := peers.python("openai-api-server-via-codex")) is None:
        return None
    program: Command = [python, "-m", "openai_api_server_via_codex"]
    options = {
        "auth-json": place.folder / "auth.json", "backend-base-url": place.url, "port": place.port,
        "config": place.folder / "none.toml", "max-concurrent-requests": 10_000,
    }  # fmt: skip
    flags = [f"-{name}={value}" for name, value in options.items()]
    return Start([*program, *flags], help=[*program, "--help"])


def _codex_as_api(place: Place) -> Start | None:
    if (python := peers.python("codex-as-api")) is None:
        return None
    command: Command = [python, _INSIDE / "redirected.py", "codex-as-api", place.url]
    roads = ("chat", "whole", "messages")
    return Start(command, {"CODEX_AS_API_PORT": str(place.port)}, roads=roads)


def _litellm(place: Place) -> Start | None:
    """Before the backend as before any server of Responses, without a login."""
    if (python := peers.python("litellm[proxy]")) is None:
        return None
    parameters = {"model": f"openai/{MODEL}", "api_base": place.url, "api_key": "unused"}
    settings = place.folder / "litellm.yaml"
    models = [{"model_name": MODEL, "litellm_params": parameters}]
    settings.write_text(json.dumps({"model_list": models}))
    program = "from litellm.proxy.proxy_cli import run_server; run_server()"
    command: Command = [
        python, "-c", program, "--host", "127.0.0.1", "--port", str(place.port),
        "--config", settings, "--telemetry", "False",
    ]  # fmt: skip
    return Start(command, {"LITELLM_LOCAL_MODEL_COST_MAP": "True"}, roads=("messages", "count"))


def _chatmock(place: Place) -> Start | None:
    if (python := peers.python("chatmock")) is None:
        return None
    program: Command = [python, _INSIDE / "redirected.py", "chatmock", place.url]
    return Start([*program, "serve", "--port", str(place.port)], help=[*program, "--help"])


def _codex_as_api_node(place: Place) -> Start | None:
    if (script := peers.script("codex-as-api")) is None:
        return None
    command: Command = [script[0], _INSIDE / "redirected.mjs", place.url, script[1]]
    return Start(command, {"CODEX_AS_API_PORT": str(place.port)}, roads=("chat", "whole"))


def _openai_oauth(place: Place) -> Start | None:
    if (program := peers.script("openai-oauth")) is None:
        return None
    options = {
        "port": place.port, "base-url": place.url, "oauth-file": place.folder / "auth.json",
        "codex-version": "0.169.0", "models": MODEL,
    }  # fmt: skip
    flags = [f"--{name}={value}" for name, value in options.items()]
    return Start([*program, *flags], help=[*program, "--help"])


def _nginx(place: Place) -> Start | None:
    """The floor of any proxy: passes bytes on, and knows nothing of what they say."""
    if (nginx := shutil.which("nginx", path=f"{os.environ['PATH']}:/usr/sbin")) is None:
        return None
    settings = place.folder / "nginx.conf"
    text = (_INSIDE / "nginx.conf").read_text()
    scheme, _, backend = place.url.partition("://")
    for name, value in {
        "PORT": place.port, "SCHEME": scheme, "BACKEND": backend, "NAME": NAME,
        "AUTHORITY": place.authority, "FOLDER": place.folder,
    }.items():  # fmt: skip
        text = text.replace(f"@{name}@", str(value))
    settings.write_text(text)
    return Start([nginx, "-c", settings, "-e", "stderr"], roads=("responses",))


Maker = Callable[[Place], Start | None]
"""None where the server is not installed."""

SERVERS: dict[str, Maker] = {
    OURS: codexapi_of(sys.executable),
    GO: _go,
    "codex-as-api": _codex_as_api,
    "codex-as-api, npm": _codex_as_api_node,
    "openai-oauth": _openai_oauth,
    "ChatMock": _chatmock,
    "LiteLLM": _litellm,
    "nginx": _nginx,
}


@dataclass(frozen=True, slots=True)
class Server:
    """A running server."""

    name: str
    port: int
    roads: tuple[str, ...]
    spawned: float  # by time.perf_counter
    help: Command
    env: Mapping[str, str]
    _process: subprocess.Popen[bytes]

    @property
    def pid(self) -> int:
        return self._process.pid

    def cpu(self) -> float:
        """Seconds of CPU so far."""
        if sys.platform != "linux":
            raise NotImplementedError
        # The clock of another process: in nanoseconds, where /proc/PID/stat counts in ticks.
        return sum(time.clock_gettime((~pid << 3) | 2) for pid in self._pids())

    def memory(self, name: str = "VmRSS") -> float:
        """Megabytes resident now; `VmHWM`: at the most, since `forget_peak`."""
        return sum(_kilobytes(pid, name) for pid in self._pids()) / 1024

    def forget_peak(self) -> None:
        for pid in self._pids():
            Path(f"/proc/{pid}/clear_refs").write_text("5")

    def _pids(self) -> list[int]:
        return [self._process.pid, *children(self._process.pid)]


@contextmanager
def backend() -> Iterator[int]:
    """The port of a fake backend."""
    with backends() as both:
        yield both.port


@contextmanager
def backends() -> Iterator[Backend]:
    """A fake backend, plain and over TLS, in a process of its own."""
    env = environment(PYTHONPATH=os.pathsep.join([str(ROOT), *sys.path]))
    with TemporaryDirectory(prefix="benchmark-") as scratch:
        command = [sys.executable, "-m", "benchmarks.backend", scratch]
        with spawn(command, env, DRIVER_CORE, stdout=subprocess.PIPE) as process:
            assert process.stdout is not None
            plain, secure = map(int, process.stdout.readline().split())
            yield Backend(plain, secure, Path(scratch) / "authority.pem")


@contextmanager
def running(
    name: str, make: Maker, backend: Backend, *, secure: bool = False
) -> Iterator[Server | None]:
    """A server, once it listens; None where it is not installed. Raises Failed."""
    with TemporaryDirectory(prefix="benchmark-") as scratch:
        folder = Path(scratch)
        write_login(folder, auth_json(exp=time.time() + 9 * DAY, issued=time.time()))
        place = Place(_free_port(), backend.url(secure=secure), backend.authority, folder)
        start = make(place)
        if start is None:
            yield None
            return
        trust = backend.trust() if secure else {}
        env = environment(CODEX_HOME=scratch, HOME=scratch, **trust, **start.env)
        spawned = time.perf_counter()
        with spawn(start.command, env, SERVER_CORE) as process:
            _await_port(name, place.port, process)
            yield Server(name, place.port, start.roads, spawned, start.help, env, process)


@contextmanager
def spawn(
    command: Command, env: Mapping[str, str], core: int, *, stdout: int | None = None
) -> Iterator[subprocess.Popen[bytes]]:
    """A process on a core of its own, ended when it is left."""
    null = subprocess.DEVNULL
    with on_core(core):
        process = subprocess.Popen(
            command, env=env, stdin=null, stdout=stdout or null, stderr=null,
            start_new_session=True,
            preexec_fn=_end_with_us if _LIBC else None,  # noqa: PLW1509 (we have no threads)
        )  # fmt: skip
    try:
        yield process
    finally:
        inside = children(process.pid)
        process.terminate()
        try:
            process.wait(5)
        except subprocess.TimeoutExpired:
            process.kill()
        process.communicate()
        for pid in inside:
            if _kilobytes(pid, "VmRSS"):
                os.kill(pid, 9)


def _end_with_us() -> None:
    """In the new process: the kernel ends it when the benchmark is gone, however that went."""
    assert _LIBC is not None
    _LIBC.prctl(_PR_SET_PDEATHSIG, signal.SIGTERM, 0, 0, 0)


@contextmanager
def on_core(core: int) -> Iterator[None]:
    """What is started here stays on that core, by its place among those we may use."""
    if sys.platform != "linux" or len(_CORES) < 2:
        yield
        return
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {_CORES[core]})
    try:
        yield
    finally:
        os.sched_setaffinity(0, before)


def _free_port() -> int:
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        port: int = listening.getsockname()[1]
        return port


def _await_port(name: str, port: int, process: subprocess.Popen[bytes]) -> None:
    deadline = time.monotonic() + _SECONDS
    while process.poll() is None and time.monotonic() < deadline:
        try:
            socket.create_connection(("127.0.0.1", port)).close()
        except OSError:
            time.sleep(0.001)
        else:
            return
    raise Failed(f"{name} does not listen; exit code {process.poll()}")


def children(pid: int) -> list[int]:
    found = []
    for task in Path(f"/proc/{pid}/task").glob("*/children"):
        try:
            found += [int(child) for child in task.read_text().split()]
        except OSError:  # the thread has ended
            pass
    return found


def _kilobytes(pid: int, name: str) -> int:
    try:
        lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    except OSError:
        return 0
    return next((int(line.split()[1]) for line in lines if line.startswith(f"{name}:")), 0)
