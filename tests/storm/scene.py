"""The processes of a run, and how they are started, signalled and ended."""

from __future__ import annotations

import asyncio
import time
from pathlib import Path
from typing import Any

from tests.fork_server import CLOCK
from tests.storm.backend import Books, Port
from tests.storm.clients import KEY, Reply
from tests.storm.editor import Editor
from tests.storm.login_store import STORES, LoginStore
from tests.storm.oracles import DEADLY, Record
from tests.storm.processes import PATIENCE, Nursery, Process, line_of
from tests.storm.schedule import Schedule
from tests.storm.sessions import HttpEditor
from tests.storm.surroundings import QUOTA

from codexapi_engine.simulator.backend import catalogue

MODEL: str = catalogue()[0]["slug"]


class Scene:
    """The processes of one run, and what stands around them."""

    def __init__(self, plan: Schedule, nursery: Nursery, folder: Path) -> None:
        self._plan = plan
        self._nursery = nursery
        self._folder = folder
        self.home = folder / "home"
        self._disk = folder / "disk"
        self._logs = folder / "logs"
        self._clock_file = folder / "clock"
        self._books = Books(plan.seed)
        self._port = Port(self._books)
        history = self._disk / "state" / "history.db"
        self._quota_file = folder / "quota"
        self._store: LoginStore = STORES[plan.store](self.home)
        self.record = Record(self._books, self._store, folder, history)
        self._kept: list[Reply] = []  # acknowledged as stored
        self._restarting = asyncio.Lock()
        self._away = asyncio.Lock()
        self._starts = 0

    @property
    def _env(self) -> dict[str, str]:
        return {
            "CODEX_HOME": str(self.home),
            "CODEXAPI_BASE_URL": f"{self._port.url}/backend-api/codex",
            "CODEX_REFRESH_TOKEN_URL_OVERRIDE": f"{self._port.url}/oauth/token",
            "CODEXAPI_STATE_DIR": str(self._disk / "state"),
            "CODEXAPI_IMAGE_DIR": str(self._disk / "pictures"),
            "CODEXAPI_TIMEOUT": "1.5",
            "CODEXAPI_MODEL": MODEL,
            CLOCK: str(self._clock_file),
            QUOTA: str(self._quota_file),
            **self._store.env,
        }

    async def _start(self, name: str, *arguments: str, fresh: bool = False) -> Process:
        env = {**self._env, "CODEXAPI_API_KEY": KEY} if "serve" in arguments else self._env
        process = await self._nursery.start(
            name, *arguments, env=env, folder=self._logs, fresh=fresh
        )
        self.record.processes.append(process)
        return process

    async def _start_server(self) -> None:
        """Again and again, where it does not start: the disk may be full."""
        for _ in range(40):
            self._starts += 1
            self._server = await self._start(
                f"serve-{self._starts}", "serve", "--port", "0", "--state",
                str(self._disk / "kept" / "state.db"),
            )  # fmt: skip
            ready = await line_of(self._server, r"codexapi ready on http://\S+:(\d+)")
            if ready:
                self._open = self._server, int(ready[1])
                return
            if not (self._server.signals or self._server.complaint().startswith("codexapi: ")):
                break
            await asyncio.sleep(0.1)
        raise RuntimeError(f"the server does not start: {self._server.complaint()}")

    async def _start_editor(self) -> None:
        self._starts += 1
        self._editor = await Editor.start(
            self._nursery, f"mcp-{self._starts}", env=self._env, folder=self._logs
        )
        self.record.processes.append(self._editor.process)

    async def _start_http_editor(self) -> None:
        self._starts += 1
        name = f"mcp-http-{self._starts}"
        self._http = await HttpEditor.start(await self._start(name, "mcp", "serve", "--http", "0"))

    async def _end(self, process: Process) -> None:
        """Waits for a process that was told to end."""
        if await process.end() is None:
            about = f"{process.name} has not ended {PATIENCE:g} s after {process.signals}"
            process.signal("USR1")
            await process.end(0.5)
            self.record.problems.append(f"{about}: {process.complaint()[-2000:]}")
            process.signal("KILL")

    def _kill_all(self) -> None:
        for process in self.record.processes:
            process.signal("CONT")
            process.signal("KILL")

    def _send(self, process: Process, name: str) -> None:
        """A second signal does not wait for a renewal, and a kill for nothing."""
        process.signal(name)
        if name == "KILL" or len(DEADLY & set(process.signals)) > 1:
            self._excuse(lambda: None)

    def _excuse(self, act: Any) -> None:
        now = time.monotonic()
        act()
        self.record.excuses.append((now - 0.5, now + 2.0))
