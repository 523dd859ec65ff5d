"""What a server keeps of the memory that large requests took."""

from __future__ import annotations

import asyncio
import platform
import sys
import time
from pathlib import Path

import pytest
from tests.http_server import raw
from tests.http_server.doors import chat
from tests.http_server.test_large_requests import Drain
from tests.live.test_heavy_pictures import MB, memory, port_of
from tests.logins import DAY, auth_json, write_login
from tests.processes import Running, server

from codexapi_engine.bounds import MAX_BODY_BYTES

SIZE = MAX_BODY_BYTES // 2

pytestmark = [
    pytest.mark.skipif(sys.platform != "linux", reason="reads /proc"),
    pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="other allocators do as they do"),
]


async def test_the_memory_of_a_large_request_goes_back_to_the_system(tmp_path: Path) -> None:
    write_login(tmp_path, auth_json(exp=time.time() + 9 * DAY, issued=time.time()))
    backend = Drain()
    backend.may_end.set()
    async with await asyncio.start_server(backend.serve, "127.0.0.1", 0) as listener:
        url = f"http://127.0.0.1:{listener.sockets[0].getsockname()[1]}"
        with server(
            "--quiet", env={"CODEX_HOME": str(tmp_path), "CODEXAPI_BASE_URL": url}
        ) as running:
            await _check(running)
        await backend.ended()


async def _check(running: Running) -> None:
    async def ask(size: int) -> None:
        async with raw.connect(port_of(running)) as connection:
            request = raw.post("/v1/chat/completions", chat("as it was said " * (size // 15)))
            await connection.send(request)
            assert (await connection.reply()).status == 200

    await ask(15)  # what is loaded once is loaded
    idle = memory(running, "VmRSS")
    for _ in range(3):
        await ask(SIZE)
    assert memory(running, "VmHWM") - idle > 1.5 * SIZE
    left = memory(running, "VmRSS") - idle
    assert left < 12 * MB
