"""A codexapi server with a backend of ours behind it, in a thread: what `codexapi_backend` gives."""

from __future__ import annotations

import json
from collections import deque
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from codexapi_engine import Codex, Settings
from codexapi_engine.http.in_process import in_process
from codexapi_engine.login.store import InMemory
from codexapi_engine.recording.lines import endpoint_of, read_recording
from codexapi_engine.recording.playback import Playback
from codexapi_engine.simulator import Simulator


@dataclass(frozen=True, slots=True)
class BackendCall:
    """A request as codexapi sent it to the backend."""

    method: str
    path: str  # such as /responses
    headers: Mapping[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        """Raises ValueError."""
        return json.loads(self.body)


@dataclass
class LocalBackend:
    """The server for clients, and the backend behind it."""

    base_url: str = ""  # for clients: http://127.0.0.1:PORT/v1
    requests: list[BackendCall] = field(default_factory=list)  # in the order in which they came
    simulator: Simulator = field(default_factory=Simulator)
    _playback: Playback | None = None
    _scripts: deque[str] = field(default_factory=deque)

    @property
    def environment(self) -> dict[str, str]:
        """The variables by which OpenAI's own clients find the server."""
        return {"OPENAI_BASE_URL": self.base_url, "OPENAI_API_KEY": "unused"}

    @property
    def differences(self) -> list[str]:
        """Why requests had no answer in the recording that is played."""
        return [] if self._playback is None else self._playback.differences

    def script(self, *scripts: str) -> None:
        """The next requests to a model play these, one each: `[[status rate_limited]]`,
        `[[tool get_time]]`. A text without brackets is the answer."""
        self._scripts.extend(
            script if script.startswith("[[") else f"[[say {script}]]" for script in scripts
        )

    def replay(self, path: Path | str, *, strict: bool = True, paced: bool = False) -> None:
        """From now on the backend is this recording. Raises OSError, and InvalidRequest for what is
        none."""
        self._playback = Playback(read_recording(Path(path)), strict=strict, paced=paced)

    async def handle(
        self, method: str, target: str, headers: Mapping[str, str], body: bytes
    ) -> tuple[int, Mapping[str, str], AsyncIterator[bytes]]:
        """Answers codexapi."""
        path = endpoint_of(target)
        self.requests.append(BackendCall(method, path, dict(headers), body))
        if self._playback is not None:
            return await self._playback.handle(method, target, headers, body)
        if path == "/responses" and self._scripts:
            body = _with_script(body, self._scripts.popleft())
        return await self.simulator.handle(method, target, headers, body)


@contextmanager
def running(state: Path) -> Iterator[LocalBackend]:
    """A server that runs, with its state in a folder."""
    from codexapi_http.app import create_app  # a front end: loaded when it starts
    from codexapi_http.server.thread import serving

    backend = LocalBackend()

    @asynccontextmanager
    async def opened() -> AsyncIterator[Any]:
        settings = Settings(state_dir=state, codex_home=state)
        login = InMemory(backend.simulator.login())
        http = in_process(backend.handle)
        async with Codex(settings, http=http, store=login) as codex:
            yield create_app(codex, settings)

    with serving(opened) as url:
        backend.base_url = f"{url}/v1"
        yield backend


def _with_script(body: bytes, script: str) -> bytes:
    """A request that asks the simulator to play a script."""
    request = json.loads(body)
    content = [{"type": "input_text", "text": script}]
    message = {"type": "message", "role": "user", "content": content}
    return json.dumps({**request, "input": [*request["input"], message]}).encode()
