"""The server process: its socket, its rest and its end."""

from __future__ import annotations

import asyncio
import socket
from typing import Any

from tests.virtual_time import hurried

from codexapi_http.server.process import Process, listen


async def test_small_writes_are_sent_at_once() -> None:
    """Else each answer, head and body apart, waits for the client's delayed ACK: 40 ms."""
    accepted: asyncio.Future[bool] = asyncio.get_running_loop().create_future()

    def connected(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        option = (socket.IPPROTO_TCP, socket.TCP_NODELAY)
        accepted.set_result(bool(writer.get_extra_info("socket").getsockopt(*option)))
        writer.close()

    async with await asyncio.start_server(connected, sock=listen("127.0.0.1", 0)) as server:
        _, writer = await asyncio.open_connection(*server.sockets[0].getsockname())
        assert await accepted
        writer.close()
        await writer.wait_closed()


def test_an_idle_server_wakes_once_a_second_and_ends_at_once() -> None:
    ticks, end = hurried(_idle(seconds=10))
    assert ticks <= 11
    assert end == 10


async def _app(scope: Any, receive: Any, send: Any) -> None: ...


async def _idle(seconds: float) -> tuple[int, float]:
    """How often a server without requests looks at the clock in so many seconds, and when the end
    begins that it is told of then."""
    loop, ready = asyncio.get_running_loop(), asyncio.Event()
    ticks, end = 0, 0.0

    async def tell(url: str) -> None:
        ready.set()

    class Observed(Process):
        async def on_tick(self, counter: int) -> bool:
            nonlocal ticks
            ticks += 1
            return await super().on_tick(counter)

        async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
            nonlocal end
            end = loop.time()
            await super().shutdown(sockets)

    process = Observed(_app, ready=tell)
    serving = asyncio.create_task(process.run_on(listen("127.0.0.1", 0)))
    await ready.wait()
    began = loop.time()
    await asyncio.sleep(seconds)
    seen = ticks
    process.should_exit = True
    await serving
    return seen, end - began
