"""What `codexapi doctor` looks at, one thing after the other: each is a finding, with its fix.

Asks the backend for the model list and the plan alone, which cost nothing. Changes nothing.
"""

from __future__ import annotations

import os
import platform
import stat
import sys
import time
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from urllib.parse import urlsplit

import codexapi_engine as engine
from codexapi_engine.client import codex_config, named_model
from codexapi_engine.credentials import MAX_BYTES, STORE
from codexapi_engine.errors import duration
from codexapi_engine.files import read_regular
from codexapi_engine.listeners import listener
from codexapi_engine.login_hint import CODEX, INSTALL, with_client
from codexapi_engine.protocol.limits import Window

from .config import DEFAULT, effective, plain
from .itself import PACKAGE, is_ours
from .plan import length, local
from .terminal import error_line

OK, WARNING, PROBLEM, UNKNOWN = "ok", "warning", "problem", "unknown"

SKEW = 60.0
"""Seconds by which a clock may be wrong before a token's end is told wrongly: we renew at 60."""

LOCK_WAIT = 1.0
PORT_WAIT = 2.0


@dataclass(frozen=True, slots=True)
class Finding:
    name: str
    state: str
    told: str
    fix: str | None = None

    @property
    def advice(self) -> str:
        """What to do, as a line: where nothing is wrong there is nothing to fix."""
        return f"{'to do so' if self.state == OK else 'fix'}: {self.fix}"


async def found(
    chosen: engine.Settings, *, offline: bool, discreet: bool = False
) -> AsyncIterator[Finding]:
    """The findings, in the order in which one depends on another. `discreet`: without those that
    hold what the backend says, or whose login it is."""
    yield _program()
    yield _on_path()
    yield _config(chosen)
    for finding in _ways(chosen):
        yield finding
    yield _state_folder(chosen)
    yield _port(chosen)
    yield await _simulated(chosen)
    yield _editors()
    if not chosen.demo:
        yield _official()
        yield _store(chosen)
    for finding in _file(chosen):
        yield finding
    if not chosen.demo:
        yield await _lock(chosen)
        if chosen.access_token is None:  # that one has nothing to renew it by
            yield await _renewal(chosen)
    async with engine.Codex(chosen) as codex:
        login = await _login(codex, discreet)
        yield login
        online = not offline and login.state != PROBLEM
        yield await _served(chosen, online=online, discreet=discreet)
        if discreet and online:
            return
        if offline or login.state == PROBLEM:
            why = "--offline" if offline else "there is no login to ask with"
            yield Finding("backend", UNKNOWN, f"not asked: {why}")
            return
        async for finding in _backend(codex):
            yield finding


def _program() -> Finding:
    told = f"codexapi {engine.__version__}, Python {platform.python_version()}"
    return Finding("program", OK, f"{told}, {platform.system()} {platform.machine()}")


def _on_path() -> Finding:
    """Which `codexapi` the shell would start: a stranger's package installs one too."""
    import shutil

    first = shutil.which("codexapi")
    itself = f"{sys.executable} -m codexapi_cli"
    if first is None:
        fix = f"uv tool install {PACKAGE}, or call it as {itself}"
        return Finding("path", WARNING, "there is no codexapi on PATH", fix)
    if not is_ours(Path(first)):
        fix = f"uv tool install --force {PACKAGE}, or call this one as {PACKAGE} or {itself}"
        return Finding("path", PROBLEM, f"{first} is another program of the same name", fix)
    return Finding("path", OK, first)


def _config(chosen: engine.Settings) -> Finding:
    """Which settings are not the defaults, and whether Codex's own can be read."""
    import tomllib

    path = chosen.codex_home / "config.toml"
    try:
        if not chosen.demo:
            tomllib.loads(read_regular(path, MAX_BYTES)[1].decode())
    except FileNotFoundError:
        pass
    except (OSError, ValueError, RecursionError) as error:
        fix = "mend it: until then its model and its place of the login are not known here"
        return Finding("config", WARNING, f"{path} cannot be read: {error}", fix)
    sources = {setting.source for setting in effective(chosen, os.environ)} - {DEFAULT}
    told = f"settings from {', '.join(sorted(sources))}" if sources else "all settings are defaults"
    return Finding("config", OK, told)


def _ways(chosen: engine.Settings) -> Iterator[Finding]:
    """Where the requests go, and through what."""
    if chosen.demo:
        yield Finding("backend address", OK, "the simulated backend (--demo)")
        return
    if chosen.foreign:
        fix = "unset CODEXAPI_BASE_URL, unless that host is yours: it gets your access token"
        yield Finding("backend address", WARNING, f"{chosen.base_url} is not OpenAI's", fix)
    else:
        yield Finding("backend address", OK, chosen.base_url)
    host = urlsplit(chosen.base_url).hostname
    if proxy := chosen.proxy_for(chosen.base_url):
        yield Finding("proxy", OK, f"{host} is reached through {plain('proxy', proxy)}")
    else:
        kept = f"; {plain('proxy', chosen.proxy)} is not used for it" if chosen.proxy else ""
        yield Finding("proxy", OK, f"none on the way to {host}{kept}")
    if chosen.ca_file is not None:
        yield _authorities(chosen.ca_file)


def _authorities(path: Path) -> Finding:
    import ssl

    try:
        ssl.create_default_context(cafile=str(path))
    except OSError as error:
        fix = "point CODEX_CA_CERTIFICATE or SSL_CERT_FILE at a PEM file, or unset it"
        return Finding("certificates", PROBLEM, f"{path} cannot be read: {error}", fix)
    return Finding("certificates", OK, str(path))


def _state_folder(chosen: engine.Settings) -> Finding:
    folder = chosen.state_dir
    try:
        mode = folder.stat().st_mode
    except FileNotFoundError:
        return Finding("state folder", OK, f"{folder} (made when it is needed)")
    except OSError as error:
        return Finding(
            "state folder", PROBLEM, f"{folder}: {error.strerror}", "set CODEXAPI_STATE_DIR"
        )
    if not stat.S_ISDIR(mode) or not os.access(folder, os.W_OK | os.X_OK):
        fix = f"make {folder} a folder of yours, or set CODEXAPI_STATE_DIR"
        return Finding("state folder", PROBLEM, f"{folder} cannot be written to", fix)
    return _private("state folder", folder, mode, "700")


def _private(name: str, path: Path, mode: int, wanted: str) -> Finding:
    if os.name == "posix" and stat.S_IMODE(mode) & 0o077:
        told = f"others may look into {path} (mode {stat.S_IMODE(mode):o})"
        return Finding(name, WARNING, told, f"chmod {wanted} {path}")
    return Finding(name, OK, str(path))


def _port(chosen: engine.Settings) -> Finding:
    """Who answers where `codexapi serve` would listen."""
    from .servers import reachable, version_at

    where = f"[{chosen.host}]" if ":" in chosen.host else chosen.host
    where += f":{chosen.port}"
    another = f"codexapi serve --port N, or set CODEXAPI_PORT; what has {chosen.port} goes on"
    try:
        version = version_at(reachable(f"http://{where}"), PORT_WAIT)
        return Finding("port", OK, f"codexapi {version} is serving on {where}")
    except ConnectionRefusedError:
        return Finding("port", OK, f"{where} is free")
    except OSError:
        who = listener(chosen.port) or "another program"
        return Finding("port", WARNING, f"{who} answers on {where}", another)


async def _simulated(chosen: engine.Settings) -> Finding:
    """A question through all of our own code, to the simulated backend and back."""
    try:
        async with engine.Codex(replace(chosen, demo=True)) as codex:
            asked = engine.request("[[say ok]]", model=await codex.model())
            answer = engine.text_of(await codex.respond(asked))
    except engine.CodexError as error:
        answer = str(error)
    if answer == "ok":
        return Finding("round trip", OK, "a question went to the simulated backend and back")
    return Finding("round trip", PROBLEM, f"a simulated question ended in: {answer}", "reinstall")


def _editors() -> Finding:
    """Where the MCP server is registered."""
    from . import registration as mcp
    from .system import System

    seen = list(mcp.found(System.this()))
    if unreadable := [str(one.place.path) for one in seen if one.state == mcp.UNREADABLE]:
        fix = "codexapi mcp list tells what is wrong with them"
        return Finding("mcp", WARNING, f"cannot be read: {', '.join(unreadable)}", fix)
    if ours := [one.place.client.title for one in seen if one.state == mcp.OURS]:
        return Finding("mcp", OK, f"registered with {', '.join(ours)}")
    if all(one.state == mcp.NOT_HERE for one in seen):
        return Finding("mcp", OK, "there is no editor here to register with")
    fix = "codexapi mcp install --all-detected"
    return Finding("mcp", OK, "not registered with an editor, and need not be", fix)


def _official() -> Finding:
    import shutil

    program = shutil.which(CODEX)
    if program is None:
        told = "the official client is not on PATH: it alone can log in"
        return Finding("codex", WARNING, told, INSTALL)
    return Finding("codex", OK, program)


def _store(chosen: engine.Settings) -> Finding:
    """Where the login is looked for, by the environment and by Codex's own config."""
    from importlib.util import find_spec

    if chosen.access_token is not None:
        return Finding("login store", OK, "CODEX_ACCESS_TOKEN")
    kind = codex_config(chosen).get(STORE, "file")
    if kind in ("keyring", "auto") and find_spec("keyring") is None:
        state = PROBLEM if kind == "keyring" else WARNING  # `auto` looks into the file then
        told = f"Codex's config.toml says {kind}, and nothing here can read a keyring"
        return Finding("login store", state, told, f"pip install '{PACKAGE}[keyring]'")
    return Finding("login store", OK, f"{kind}, in {chosen.codex_home}" if kind == "file" else kind)


def _file(chosen: engine.Settings) -> Iterator[Finding]:
    """The file of the login: whose it is, and who may read it. What it says is told elsewhere."""
    path = chosen.codex_home / "auth.json"
    if chosen.demo:
        return
    try:
        status = path.stat()
    except OSError:  # none, or none to be seen: the finding of the login says so
        return
    if os.name == "posix" and status.st_uid != os.geteuid():
        told = f"{path} belongs to another user (uid {status.st_uid})"
        yield Finding("login file", WARNING, told, f"sudo chown $(id -u) {path}")
    else:
        yield _private("login file", path, status.st_mode, "600")


async def _lock(chosen: engine.Settings) -> Finding:
    """Whether the lock that Codex and we take around a refresh can be had."""
    import asyncio

    from codexapi_engine.credentials import CodexFile

    path = chosen.codex_home / "auth.lock"
    if not _is_folder(chosen.codex_home):
        return Finding("lock", UNKNOWN, f"there is no folder {chosen.codex_home}")
    try:
        async with asyncio.timeout(LOCK_WAIT):
            async with CodexFile(chosen.codex_home).lock():
                return Finding("lock", OK, str(path))
    except TimeoutError:
        fix = "if this stays so: look for a hanging codex or codexapi"
        return Finding("lock", WARNING, f"another program holds {path}", fix)
    except (engine.CodexError, OSError) as error:
        told = f"{path} cannot be taken: {error}"
        return Finding("lock", PROBLEM, told, f"make {chosen.codex_home} a folder of yours")


async def _renewal(chosen: engine.Settings) -> Finding:
    """Whether a renewed login could be saved where the login is: asked before a token is sent."""
    from codexapi_engine.credentials import store_of

    store = store_of(chosen)
    try:
        async with store.lock():
            await store.check_writable()
    except FileNotFoundError:
        return Finding("renewal", UNKNOWN, "there is no login to renew")
    except engine.RefreshUnavailable as error:
        return Finding("renewal", UNKNOWN, f"{error}")
    except OSError as error:
        told = f"a new login could not be saved in {chosen.codex_home}: {error.strerror or error}"
        fix = "mount the folder so that it can be written, or renew the login where it can be"
        return Finding("renewal", WARNING, told, fix)
    return Finding("renewal", OK, "a new login can be saved where the old one is")


def _is_folder(path: Path) -> bool:
    """False also where that cannot be seen, of which `Path.is_dir` would make an error."""
    return os.path.isdir(path)


async def _login(codex: engine.Codex, discreet: bool) -> Finding:
    try:
        login = await codex.credentials()
    except engine.NotLoggedIn as error:
        return Finding("login", PROBLEM, with_client(str(error)), "codexapi login")
    problem = await codex.login_problem()
    if problem is not None:
        return Finding("login", PROBLEM, with_client(str(problem)), "codexapi login")
    told = "it is there" if discreet else f"plan {login.plan or 'unknown'}"
    if login.expires_at is not None:
        left = login.expires_at - time.time()
        told += f", access token good until {local(login.expires_at)}"
        told += f" ({duration(left)})" if left > 0 else " (it is renewed when it is needed)"
    return Finding("login", OK, told)


async def _served(chosen: engine.Settings, *, online: bool, discreet: bool) -> Finding:
    """Whether `codexapi serve` starts, and reaches the backend: that is another program than this
    one, on another event loop."""
    from .server_check import check_server

    outcome = await check_server(chosen, online=online)
    if outcome.stage == "start":
        fix = "run codexapi serve by hand, and look at what it says"
        return Finding("serve", PROBLEM, f"it does not start: {outcome.reason}", fix)
    told = f"it starts, on {outcome.loop}"
    if not outcome.stage:
        asked = "" if outcome.models is None else f", and lists {outcome.models} models"
        return Finding("serve", OK, told + asked)
    told += f", and answers {outcome.status} to who asks for the models"
    told += "" if discreet else f": {outcome.reason}"
    return Finding("serve", PROBLEM, told, _server_remedy(outcome.status))


def _server_remedy(status: int) -> str:
    if status in (401, 403):
        return "codexapi login"
    if status == 500:
        return "this is a fault of codexapi: report it, with what codexapi serve -v logs"
    return "look at the network, and at the proxy and certificates above"


async def _backend(codex: engine.Codex) -> AsyncIterator[Finding]:
    try:
        listed = [model.slug for model in await codex.models() if model.listed]
    except engine.CodexError as error:
        yield Finding("backend", PROBLEM, error_line(error), _remedy(error))
        return
    yield Finding("backend", OK, f"{len(listed)} models, first {listed[0] if listed else 'none'}")
    yield clock(codex.clock_ahead)
    yield await _model(codex)
    yield await _plan(codex)


def _remedy(error: engine.CodexError) -> str:
    if isinstance(error, engine.AuthError):
        return "codexapi login"
    if isinstance(error, engine.TransportError):
        return "look at the network, and at the proxy and certificates above"
    return "try again later; codexapi status tells when your plan is the reason"


def clock(ahead: float | None) -> Finding:
    """What it means that our clock is so many seconds ahead of the backend's."""
    if ahead is None:
        return Finding("clock", UNKNOWN, "the backend told no time")
    if abs(ahead) <= SKEW:
        return Finding("clock", OK, "agrees with the backend's")
    told = f"this machine is {duration(abs(ahead))} {'ahead' if ahead > 0 else 'behind'}"
    return Finding("clock", WARNING, told, "let the system set its clock (NTP)")


async def _model(codex: engine.Codex) -> Finding:
    named = named_model(codex.settings)
    known = [model.slug for model in await codex.models()]
    if named is None or named.partition(":")[0] in known:
        return Finding("model", OK, await codex.model() if known else "none")
    told = f"{named} is not in your account's list"
    return Finding("model", WARNING, told, f"set CODEXAPI_MODEL to one of {', '.join(known)}")


async def _plan(codex: engine.Codex) -> Finding:
    try:
        limits = await codex.plan()
    except engine.CodexError as error:
        return Finding("plan", WARNING, error_line(error), _remedy(error))
    windows = [window for window in (limits.primary, limits.secondary) if window is not None]
    told = ", ".join(_used(window) for window in windows) or "not told"
    if limits.reached:
        ends = [window.resets_at for window in windows if window.resets_at]
        fix = f"wait until {local(min(ends))}" if ends else "codexapi usage tells more"
        return Finding("plan", WARNING, f"its limit is reached: {told}", fix)
    return Finding("plan", OK, told)


def _used(window: Window) -> str:
    which = f" of the {length(window.minutes)} window" if window.minutes else ""
    return f"{window.used_percent:.0f} %{which} used"
