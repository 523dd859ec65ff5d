"""The checks of `codexapi doctor`, each with a result and its fix.

They request only the model list and the plan from the backend, which is free, and change nothing.
"""

from __future__ import annotations

import asyncio
import os
import platform
import shutil
import sys
import time
import tomllib
from collections.abc import AsyncIterator, Iterator
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

import codexapi_engine as engine
from codexapi_engine.bounds import MAX_CLOCK_SKEW, MAX_LOGIN_BYTES
from codexapi_engine.check import OK, PROBLEM, UNKNOWN, WARNING, Check
from codexapi_engine.codex_config import named_model
from codexapi_engine.errors import duration
from codexapi_engine.files import read_regular
from codexapi_engine.listeners import listener
from codexapi_engine.local_checks import (
    login_file,
    login_remedy,
    login_store,
    official,
    state_folder,
    ways,
)
from codexapi_engine.login.file_store import CodexFile
from codexapi_engine.login.location import store_of
from codexapi_engine.login.login_hint import MAKE_WRITABLE, with_client
from codexapi_engine.protocol.limits import Window
from codexapi_engine.settings import INSTALL_COPY, OLLAMA_PORT, PACKAGE

from .commands.config import DEFAULT, effective
from .global_options import environment
from .integrations import registration as mcp
from .integrations.itself import is_ours
from .integrations.system import System
from .servers.registry import reachable, version_at
from .servers.server_check import Outcome, check_server
from .servers.unknown_names import unknown_names
from .terminal.output import error_line
from .terminal.plan import length, local

LOCK_WAIT = 1.0
PORT_WAIT = 2.0


async def found(
    chosen: engine.Settings, *, offline: bool, discreet: bool = False
) -> AsyncIterator[Check]:
    """The findings, in the order in which one depends on another. `discreet`: without those that
    hold what the backend says, or whose login it is."""
    yield _program_check()
    yield _on_path()
    yield _config(chosen)
    for finding in ways(chosen):
        yield finding
    yield state_folder(chosen)
    yield _port(chosen)
    for finding in _unknown_names(chosen):
        yield finding
    yield _ollama_port(chosen)
    yield await _simulated(chosen)
    yield _editors()
    if not chosen.demo:
        yield official()
        yield login_store(chosen)
        for finding in login_file(chosen):
            yield finding
        yield await _lock(chosen)
    renewal = None
    if not chosen.demo and chosen.access_token is None:  # that one has nothing to renew it by
        renewal = await _renewal(chosen)
        yield renewal
    async with engine.Codex(chosen) as codex:
        login = await _login(codex, discreet, renewal)
        yield login
        online = not offline and login.state != PROBLEM
        good = online and await _renew_if_due(codex)
        yield await _served(chosen, online=good, discreet=discreet)
        if not online:
            why = "--offline" if offline else "there is no login to ask with"
            yield Check("backend", UNKNOWN, f"not asked: {why}")
        elif not discreet:
            async for finding in _backend(codex):
                yield finding


def _program_check() -> Check:
    text = f"codexapi {engine.__version__}, Python {platform.python_version()}"
    return Check("program", OK, f"{text}, {platform.system()} {platform.machine()}")


def _on_path() -> Check:
    """Which `codexapi` the shell would start: another package installs one too."""
    first = shutil.which("codexapi")
    itself = f"{sys.executable} -m codexapi_cli"
    if first is None:
        fix = f"{INSTALL_COPY}; or call it as {itself}"
        return Check("path", WARNING, "there is no codexapi on PATH", fix)
    if not is_ours(Path(first)):
        fix = f"{INSTALL_COPY}; or call this one as {PACKAGE} or {itself}"
        return Check("path", PROBLEM, f"{first} is another program of the same name", fix)
    return Check("path", OK, first)


def _config(chosen: engine.Settings) -> Check:
    """Which settings are not the defaults, and whether Codex's own can be read."""
    path = chosen.codex_home / "config.toml"
    try:
        if not chosen.demo:
            tomllib.loads(read_regular(path, MAX_LOGIN_BYTES)[1].decode())
    except FileNotFoundError:
        pass
    except (OSError, ValueError, RecursionError) as error:
        fix = "mend it: until then its model and its place of the login are not known here"
        return Check("config", WARNING, f"{path} cannot be read: {error}", fix)
    sources = {setting.source for setting in effective(chosen, environment())} - {DEFAULT}
    text = f"settings from {', '.join(sorted(sources))}" if sources else "all settings are defaults"
    return Check("config", OK, text)


def _port(chosen: engine.Settings) -> Check:
    """Who answers where `codexapi serve` would listen."""
    where = f"[{chosen.host}]" if ":" in chosen.host else chosen.host
    where += f":{chosen.port}"
    another = f"codexapi serve --port N, or set CODEXAPI_PORT; what has {chosen.port} goes on"
    try:
        version = version_at(reachable(f"http://{where}"), PORT_WAIT)
        return Check("port", OK, f"codexapi {version} is serving on {where}")
    except ConnectionRefusedError:
        return Check("port", OK, f"{where} is free")
    except OSError:
        who = listener(chosen.port) or "another program"
        return Check("port", WARNING, f"{who} answers on {where}", another)


def _unknown_names(chosen: engine.Settings) -> Iterator[Check]:
    """What the running servers have had from the backend, and do not know."""
    for port, names in unknown_names(chosen.state_dir, chosen.api_key):
        text = f"the server on port {port} has seen since its start: {', '.join(names)}"
        fix = "all of it passes unharmed; open an issue with this line, so that codexapi learns it"
        yield Check("unknown names", WARNING, text, fix)


def _ollama_port(chosen: engine.Settings) -> Check:
    """Who answers where programs look for Ollama. Nothing of it is a fault."""
    port, name = chosen.ollama_port or OLLAMA_PORT, "ollama port"
    where, start = f"127.0.0.1:{port}", "codexapi serve --ollama"
    try:
        version = version_at(f"http://{where}", PORT_WAIT)
        return Check(name, OK, f"codexapi {version} is serving on {where}")
    except ConnectionRefusedError:
        return Check(name, OK, f"{where} is free; `{start}` serves programs that look for Ollama")
    except OSError:
        who = listener(port) or "another program, Ollama itself perhaps,"
        return Check(name, OK, f"{who} answers on {where}")


async def _simulated(chosen: engine.Settings) -> Check:
    """A question through all of our own code, to the simulated backend and back."""
    try:
        async with engine.Codex(replace(chosen, demo=True)) as codex:
            request = engine.request("[[say ok]]", model=await codex.model())
            answer = engine.text_of(await codex.respond(request))
    except engine.CodexError as error:
        answer = str(error)
    if answer == "ok":
        return Check("round trip", OK, "a question went to the simulated backend and back")
    return Check("round trip", PROBLEM, f"a simulated question ended in: {answer}", "reinstall")


def _editors() -> Check:
    """Where the MCP server is registered."""
    seen = list(mcp.found(System.this()))
    if unreadable := [str(one.place.path) for one in seen if one.state == mcp.UNREADABLE]:
        fix = "codexapi mcp list tells what is wrong with them"
        return Check("mcp", WARNING, f"cannot be read: {', '.join(unreadable)}", fix)
    if ours := [one.place.client.title for one in seen if one.state == mcp.OURS]:
        return Check("mcp", OK, f"registered with {', '.join(ours)}")
    if all(one.state == mcp.NOT_HERE for one in seen):
        return Check("mcp", OK, "there is no editor here to register with")
    fix = "codexapi mcp install --all-detected"
    return Check("mcp", OK, "not registered with an editor, and need not be", fix)


async def _lock(chosen: engine.Settings) -> Check:
    """Whether the lock that Codex and we take around a refresh can be had."""
    path = chosen.codex_home / "auth.lock"
    if not _is_folder(chosen.codex_home):
        return Check("lock", UNKNOWN, f"there is no folder {chosen.codex_home}")
    try:
        async with asyncio.timeout(LOCK_WAIT):
            async with CodexFile(chosen.codex_home).lock():
                return Check("lock", OK, str(path))
    except TimeoutError:
        fix = "if this stays so: look for a hanging codex or codexapi"
        return Check("lock", WARNING, f"another program holds {path}", fix)
    except (engine.CodexError, OSError) as error:
        text = f"{path} cannot be taken: {error}"
        return Check("lock", PROBLEM, text, f"make {chosen.codex_home} a folder of yours")


async def _renewal(chosen: engine.Settings) -> Check:
    """Whether a refreshed login could be saved, which is checked before a token is sent."""
    store = store_of(chosen)
    try:
        async with store.lock():
            await store.check_writable()
    except FileNotFoundError:
        return Check("renewal", UNKNOWN, "there is no login to renew")
    except engine.RefreshUnavailable as error:
        return Check("renewal", UNKNOWN, f"{error}")
    except OSError as error:
        text = f"a new login could not be saved in {chosen.codex_home}: {error.strerror or error}"
        return Check("renewal", WARNING, text, MAKE_WRITABLE)
    return Check("renewal", OK, "a new login can be saved where the old one is")


def _is_folder(path: Path) -> bool:
    """False also where that cannot be seen, of which `Path.is_dir` would make an error."""
    return os.path.isdir(path)


async def _login(codex: engine.Codex, discreet: bool, renewal: Check | None) -> Check:
    problem: engine.CodexError | None
    try:
        login = await codex.credentials()
        problem = await codex.login_problem()
    except engine.NotLoggedIn as error:
        problem = error
    if problem is not None:
        fix = login_remedy(codex.settings, problem.code)
        return Check("login", PROBLEM, with_client(str(problem)), fix)
    text = "it is there" if discreet else f"plan {login.plan or 'unknown'}"
    if login.expires_at is None:
        return Check("login", OK, text)
    left, when = login.expires_at - time.time(), local(login.expires_at)
    if left > 0:
        return Check("login", OK, f"{text}, access token good until {when} ({duration(left)})")
    text += f", access token expired at {when}"
    if renewal is not None and renewal.state == WARNING:
        return Check("login", PROBLEM, f"{text}, and a new one could not be saved", renewal.fix)
    return Check("login", OK, f"{text} (it is renewed when it is needed)")


async def _renew_if_due(codex: engine.Codex) -> bool:
    """Whether the login is good after that. The server that is tried next must not renew it: it has
    a state folder of its own, and locks and marks are there where CODEX_HOME takes no files."""
    with suppress(engine.CodexError):  # which the findings of the backend tell
        await codex.login.signing_credentials()
    return await codex.login_problem() is None


async def _served(chosen: engine.Settings, *, online: bool, discreet: bool) -> Check:
    """Whether `codexapi serve` starts, and reaches the backend: that is another program than this
    one, on another event loop."""
    outcome = await check_server(chosen, online=online)
    if outcome.stage == "start":
        fix = "run codexapi serve by hand, and look at what it says"
        return Check("serve", PROBLEM, f"it does not start: {outcome.reason}", fix)
    text = f"it starts, on {outcome.loop}"
    if not outcome.stage:
        request = "" if outcome.models is None else f", and lists {outcome.models} models"
        return Check("serve", OK, text + request)
    text += f", and answers {outcome.status} to who asks for the models"
    text += "" if discreet else f": {outcome.reason}"
    return Check("serve", PROBLEM, text, _server_remedy(chosen, outcome))


def _server_remedy(chosen: engine.Settings, outcome: Outcome) -> str:
    if outcome.status in (401, 403):
        return login_remedy(chosen, outcome.code)
    if outcome.status == 500:
        return "this is a fault of codexapi: report it, with what codexapi serve -v logs"
    return "look at the network, and at the proxy and certificates above"


async def _backend(codex: engine.Codex) -> AsyncIterator[Check]:
    try:
        listed = [model.slug for model in await codex.models() if model.listed]
    except engine.CodexError as error:
        yield Check("backend", PROBLEM, error_line(error), _remedy(codex.settings, error))
        return
    yield Check("backend", OK, f"{len(listed)} models, first {listed[0] if listed else 'none'}")
    yield clock(codex.clock_ahead)
    yield await _check_model(codex)
    yield await _plan(codex)


def _remedy(chosen: engine.Settings, error: engine.CodexError) -> str:
    if isinstance(error, engine.AuthError):
        return login_remedy(chosen, error.code)
    if isinstance(error, engine.TransportError):
        return "look at the network, and at the proxy and certificates above"
    return "try again later; codexapi status tells when your plan is the reason"


def clock(ahead: float | None) -> Check:
    """What it means that our clock is so many seconds ahead of the backend's."""
    if ahead is None:
        return Check("clock", UNKNOWN, "the backend told no time")
    if abs(ahead) <= MAX_CLOCK_SKEW:
        return Check("clock", OK, "agrees with the backend's")
    text = f"this machine is {duration(abs(ahead))} {'ahead' if ahead > 0 else 'behind'}"
    return Check("clock", WARNING, text, "let the system set its clock (NTP)")


async def _check_model(codex: engine.Codex) -> Check:
    named = named_model(codex.settings)
    known = [model.slug for model in await codex.models()]
    if named is None or named.partition(":")[0] in known:
        return Check("model", OK, await codex.model() if known else "none")
    text = f"{named} is not in your account's list"
    return Check("model", WARNING, text, f"set CODEXAPI_MODEL to one of {', '.join(known)}")


async def _plan(codex: engine.Codex) -> Check:
    try:
        limits = await codex.plan()
    except engine.CodexError as error:
        return Check("plan", WARNING, error_line(error), _remedy(codex.settings, error))
    windows = [window for window in (limits.primary, limits.secondary) if window is not None]
    text = ", ".join(_used(window) for window in windows) or "not told"
    if limits.reached:
        ends = [window.resets_at for window in windows if window.resets_at]
        fix = f"wait until {local(min(ends))}" if ends else "codexapi usage tells more"
        return Check("plan", WARNING, f"its limit is reached: {text}", fix)
    return Check("plan", OK, text)


def _used(window: Window) -> str:
    which = f" of the {length(window.minutes)} window" if window.minutes else ""
    return f"{window.used_percent:.0f} %{which} used"
