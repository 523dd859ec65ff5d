"""The server process's own socket."""

from __future__ import annotations

import asyncio
import socket

from codexapi_http.server.process import listen


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
