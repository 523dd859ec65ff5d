"""Checks that `codexapi serve` works here: starts a real server, sends a request, and stops it.

It is a process of its own, with the loop, the resolver and the certificates of `serve`, of which a
connection from this process would tell nothing. It costs no quota, and leaves nothing behind.
"""

from __future__ import annotations

import asyncio
import json
import sys
import tempfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from http.client import HTTPConnection, HTTPException
from urllib.parse import urlsplit

import codexapi_engine as engine
from codexapi_engine.protocol.shapes import get_dict

from ..global_options import environment
from .registry import version_at

START = 30.0
"""Seconds until the server must be ready."""

REPLY = 30.0
"""Seconds that it may take to ask the backend: a connection may take ten, and is tried thrice."""

END = 10.0


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of the server: the models that it lists, or the stage at which it failed."""

    loop: str  # the event loop that it runs on
    models: int | None = None  # None: it was not checked
    stage: str = ""  # "start" or "models", where that failed
    status: int = 0  # of the answer to the question for models
    code: str | None = None  # of the error in that answer
    reason: str = ""


async def check_server(chosen: engine.Settings, *, online: bool) -> Outcome:
    """Starts `codexapi serve` with these settings; `online`: asks it for the models too."""
    loop = _loop_name()
    try:
        async with _serving(chosen) as url:
            await asyncio.to_thread(version_at, url)
            if not online:
                return Outcome(loop)
            status, reply = await asyncio.to_thread(_models, url, chosen)
    except OSError as problem:  # a TimeoutError is one
        reason = str(problem) or f"not within {START:.0f} s"
        return Outcome(loop, stage="start", reason=reason)
    data, fields = reply.get("data"), get_dict(reply, "error")
    if status == 200 and isinstance(data, list):
        return Outcome(loop, models=len(data))
    code = fields.get("code") or fields.get("type")
    reason = f"{code}: {fields.get('message')}"
    return Outcome(loop, stage="models", status=status, code=code, reason=reason)


@asynccontextmanager
async def _serving(chosen: engine.Settings) -> AsyncIterator[str]:
    """The URL of a server process that is ready. Raises OSError."""
    pipe = asyncio.subprocess.PIPE
    with tempfile.TemporaryDirectory() as folder:
        process = await asyncio.create_subprocess_exec(
            *_command(chosen),
            env={**environment(), "CODEXAPI_STATE_DIR": folder, "CODEXAPI_OLLAMA_PORT": ""},
            stdin=asyncio.subprocess.DEVNULL, stdout=pipe, stderr=pipe,
        )  # fmt: skip
        assert process.stdout is not None
        try:
            async with asyncio.timeout(START):
                line = await process.stdout.readline()
                if not line:
                    _, complaint = await process.communicate()
                    raise OSError(_last_line(complaint) or f"exit code {process.returncode}")
            yield str(json.loads(line)["url"])
        finally:
            await _terminate(process)


async def _terminate(process: asyncio.subprocess.Process) -> None:
    with suppress(ProcessLookupError):
        process.terminate()
    try:
        await asyncio.wait_for(process.communicate(), END)
    except TimeoutError:
        process.kill()
        await process.communicate()


def _command(chosen: engine.Settings) -> list[str]:
    # -P: nothing in the folder that we happen to be in is taken for a module.
    command = [sys.executable, "-P", "-m", "codexapi_cli", "serve", "--announce"]
    command += ["--host", "127.0.0.1", "--port", "0", "--log-level", "error"]
    return [*command, "--demo"] if chosen.demo else [*command, "--base-url", chosen.base_url]


def _models(url: str, chosen: engine.Settings) -> tuple[int, dict[str, object]]:
    """Status and body of the server's list of models. Raises OSError."""
    key = chosen.api_key
    headers = {"Authorization": f"Bearer {key.reveal()}"} if key else {}
    connection = HTTPConnection(urlsplit(url).netloc, timeout=REPLY)
    try:
        connection.request("GET", "/v1/models", headers=headers)
        response = connection.getresponse()
        body = json.loads(response.read())
        return response.status, body if isinstance(body, dict) else {}
    except (HTTPException, ValueError) as error:
        raise OSError(f"it answers, and not as codexapi: {error}") from None
    finally:
        connection.close()


def _loop_name() -> str:
    try:
        import uvloop  # as `serve` looks for it
    except ImportError:
        return "asyncio"
    return uvloop.__name__


def _last_line(text: bytes) -> str:
    lines = text.decode("utf-8", "replace").strip().splitlines()
    return lines[-1].removeprefix("codexapi: ") if lines else ""
