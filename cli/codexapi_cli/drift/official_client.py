"""Runs the official client, in a home of its own with a made-up login, for a few turns."""

from __future__ import annotations

import asyncio
import json
import os
import re
import shutil
import signal
import sys
import tempfile
from collections.abc import AsyncIterator, Callable, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from codexapi_engine.errors import JsonObject
from codexapi_engine.login.login_hint import CODEX, INSTALL
from codexapi_engine.protocol.models import version_numbers
from codexapi_engine.protocol.shapes import get_dict, get_list, get_str

from ..terminal.cleaning import clean
from ..terminal.output import BACKEND, LOCAL_FILE, Problem

OLDEST = "0.163.0"
"""Older clients speak another protocol to editors."""

ANSWER = 30.0
"""Seconds for one answer of the client, where `--timeout` does not say."""

_DEAD_PROXY = "http://127.0.0.1:9"
"""A proxy that is none: a request to any other host fails at once."""

_LINE = 1 << 26
_PASSED_ON = ("PATH", "LANG", "LC_ALL", "SYSTEMROOT", "COMSPEC", "PATHEXT", "TEMP", "TMP", "TMPDIR")
_PIXEL = (
    "data:image/png;base64,iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9Q"
    "DwADhgGAWjR9awAAAABJRU5ErkJggg=="
)
_TEXT = "text"


@dataclass(frozen=True)
class ClientTurn:
    """One turn of the conversation, by its name in reports; without input it is a compaction."""

    name: str
    input: Sequence[Mapping[str, str]] = ()


def _script(code: str) -> Mapping[str, str]:
    return {"type": _TEXT, _TEXT: f"[[tool exec {code}]]"}


TURNS = (
    ClientTurn("plain", [{"type": _TEXT, _TEXT: "hi"}]),
    ClientTurn("tool", [_script('text((await tools.exec_command({cmd: "echo ok"})).output)')]),
    ClientTurn(
        "search", [_script('text(await tools.web__run({search_query: [{q: "red foxes"}]}))')]
    ),
    ClientTurn(
        "image",
        [
            {"type": "image", "url": _PIXEL},
            _script('await tools.image_gen__imagegen({prompt: "a red cube"}); text("drawn")'),
        ],
    ),
    ClientTurn("compact"),
)
"""The prompts are scripts of the simulated backend: they make it call the client's tools."""


@dataclass(frozen=True)
class OfficialClient:
    program: str
    version: str  # of three numbers
    timeout: float  # seconds for one answer


async def find(path: str | None, timeout: float | None = None) -> OfficialClient:
    """The client at `path`, or on PATH. Raises Problem where there is none that can be compared."""
    program, timeout = _program(path or CODEX), timeout or ANSWER
    if program is None:
        name = f"{path} is not a program" if path else "the official Codex client is not on PATH"
        raise Problem(f"{name}: {INSTALL}; or name one with --codex PATH", LOCAL_FILE)
    with _home(b"{}", "") as home:
        output = await _output([program, "--version"], environment(home), home, timeout)
    match = re.search(r"\b(\d+\.\d+\.\d+)", output)
    if match is None:
        raise Problem(f"{program} does not say its version: is it the Codex client?", BACKEND)
    if version_numbers(match[1]) < version_numbers(OLDEST):
        raise Problem(
            f"{program} is {match[1]}, and too old to be compared; {OLDEST} is the oldest: "
            "npm install -g @openai/codex",
            LOCAL_FILE,
        )
    return OfficialClient(program, match[1], timeout)


def _program(name: str) -> str | None:
    """Where a program is, whatever folder it will be started in."""
    found = shutil.which(name)
    return found and str(Path(found).absolute())


def environment(home: Path) -> dict[str, str]:
    """What the client is run with: nothing of the user's settings, and no way out but loopback."""
    kept = {name: value for name, value in os.environ.items() if name.upper() in _PASSED_ON}
    return {
        **kept,
        "HOME": str(home),
        "USERPROFILE": str(home),
        "CODEX_HOME": str(home / "codex"),
        "HTTP_PROXY": _DEAD_PROXY,
        "HTTPS_PROXY": _DEAD_PROXY,
        "ALL_PROXY": _DEAD_PROXY,
        "NO_PROXY": "127.0.0.1",
        "CODEX_REFRESH_TOKEN_URL_OVERRIDE": f"{_DEAD_PROXY}/oauth/token",
        "TERM": "dumb",
    }


async def bundled_catalogue(client: OfficialClient) -> JsonObject:
    """The list of models inside the client; empty where it does not print one."""
    with _home(b"{}", "") as home:
        command = [client.program, "debug", "models", "--bundled"]
        output = await _output(command, environment(home), home, client.timeout)
    try:
        catalogue = json.loads(output)
    except ValueError:
        return {}
    return catalogue if isinstance(catalogue, dict) else {}


async def take_turns(client: OfficialClient, url: str, login: bytes) -> dict[str, str]:
    """Takes the turns with the backend at `url`; what went wrong in each, "" for nothing.
    Raises Problem where the client cannot be run."""
    with _home(login, f'openai_base_url = "{url}"\n') as home:
        async with _app_server(client, home) as server:
            await server.call("initialize", clientInfo={"name": "codexapi", "version": "1"})
            server.send({"method": "initialized"})
            folder = str(home / "folder")
            begun = await server.call(
                "thread/start", cwd=folder, sandbox="read-only", approvalPolicy="never"
            )
            thread = get_str(get_dict(begun, "thread"), "id")
            return {turn.name: await server.take(turn, thread) for turn in TURNS}


class AppServer:
    """`codex app-server`: the client as editors drive it, a line of JSON for each message."""

    def __init__(self, client: OfficialClient, process: asyncio.subprocess.Process) -> None:
        self._client = client
        self._process = process
        self._calls = 0

    def send(self, message: JsonObject) -> None:
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps(message).encode() + b"\n")

    async def call(self, method: str, **parameters: Any) -> JsonObject:
        self._calls += 1
        number = self._calls
        self.send({"id": number, "method": method, "params": parameters})
        reply = await self._until(method, lambda message: message.get("id") == number)
        if "error" in reply:
            raise self._problem(f"{method}: {get_str(get_dict(reply, 'error'), 'message')}")
        return get_dict(reply, "result")

    async def take(self, turn: ClientTurn, thread: str) -> str:
        """Returns at the turn's end, with what went wrong."""
        if turn.input:
            await self.call("turn/start", threadId=thread, input=list(turn.input))
        else:
            await self.call("thread/compact/start", threadId=thread)
        end = await self._until(turn.name, lambda one: one.get("method") == "turn/completed")
        result = get_dict(get_dict(end, "params"), "turn")
        if get_str(result, "status") == "completed":
            return ""
        return get_str(get_dict(result, "error"), "message") or get_str(result, "status")

    async def _until(self, name: str, accept: Callable[[JsonObject], bool]) -> JsonObject:
        assert self._process.stdout is not None
        try:
            async with asyncio.timeout(self._client.timeout):
                while line := await self._process.stdout.readline():
                    message = _object(line)
                    if accept(message):
                        return message
        except TimeoutError:
            raise self._problem(f"{name}: no answer within {self._client.timeout:g} s") from None
        except ValueError:
            raise self._problem(f"{name}: its answer is too long") from None
        raise self._problem(f"{name}: it ended")

    def _problem(self, reason: str) -> Problem:
        where = f"{self._client.program} ({self._client.version})"
        return Problem(f"{where} cannot be compared: {clean(reason)}", BACKEND)


def _object(line: bytes) -> JsonObject:
    try:
        value = json.loads(line)
    except ValueError:
        return {}
    return value if isinstance(value, dict) else {}


@contextmanager
def _home(login: bytes, config: str) -> Iterator[Path]:
    """A home folder for the client, with a configuration and a login."""
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as made:
        home = Path(made)
        (home / "folder").mkdir()
        (home / "codex").mkdir()
        (home / "codex" / "auth.json").write_bytes(login)
        (home / "codex" / "config.toml").write_text(config)
        yield home


@asynccontextmanager
async def _app_server(client: OfficialClient, home: Path) -> AsyncIterator[AppServer]:
    process = await _start_client(
        [client.program, "app-server"], environment(home), home / "folder"
    )
    try:
        yield AppServer(client, process)
    finally:
        await _end(process)


async def _output(
    command: list[str], environ: Mapping[str, str], folder: Path, timeout: float
) -> str:
    """What a run of the client prints. Raises Problem."""
    process = await _start_client(command, environ, folder)
    try:
        async with asyncio.timeout(timeout):
            output, _ = await process.communicate()
    except TimeoutError:
        problem = f"{' '.join(command)} did not end within {timeout:g} s"
        raise Problem(problem, BACKEND) from None
    finally:
        await _end(process)
    return output.decode(errors="replace")


async def _start_client(
    command: list[str], environ: Mapping[str, str], folder: Path
) -> asyncio.subprocess.Process:
    try:
        return await asyncio.create_subprocess_exec(
            *command, cwd=folder, env=dict(environ), limit=_LINE,
            start_new_session=sys.platform != "win32",
            stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.DEVNULL,
        )  # fmt: skip
    except OSError as error:
        raise Problem(f"{command[0]} does not run: {error.strerror}", LOCAL_FILE) from None


async def _end(process: asyncio.subprocess.Process) -> None:
    """Ends the process, and what it has started."""
    with suppress(ProcessLookupError, PermissionError):
        if sys.platform == "win32":
            process.kill()
        else:
            os.killpg(process.pid, signal.SIGKILL)
    await process.wait()


def default_model(catalogue: JsonObject) -> str:
    """The model that a client takes of itself: the first that is shown."""
    models = [one for one in get_list(catalogue, "models") if one.get("visibility") == "list"]
    first = min(models, key=lambda one: int(one.get("priority") or 0), default={})
    return get_str(first, "slug")
