"""Connections whose other end is the test: what it says has come, in the pieces that it says."""

from __future__ import annotations

import asyncio
import ssl
from typing import Any

from codexapi_engine.http import connection as road
from codexapi_engine.http.messages import ServerAddress
from codexapi_engine.http.network import Network


class Line(asyncio.Transport):
    """One end of a connection, which takes all there is."""

    def __init__(self) -> None:
        super().__init__()
        self.written = b""
        self.writes = 0
        self.closed = self.aborted = False
        self.reading = True
        self.pauses = 0

    def write(self, data: Any) -> None:
        self.written += bytes(data)
        self.writes += 1

    def write_eof(self) -> None:
        pass

    def get_write_buffer_size(self) -> int:
        return 0

    def set_write_buffer_limits(self, high: int | None = None, low: int | None = None) -> None:
        pass

    def close(self) -> None:
        self.closed = True

    def is_closing(self) -> bool:
        return self.closed

    def abort(self) -> None:
        self.aborted = True

    def pause_reading(self) -> None:
        self.reading = False
        self.pauses += 1

    def resume_reading(self) -> None:
        self.reading = True


class Lines(Network):
    """Each request goes out on a line of its own, the newest of which is `line`."""

    def __init__(self) -> None:
        super().__init__(no_tls)
        self.line = Line()
        self.connection: road.Connection | None = None

    def _idle_connection(self, address: ServerAddress) -> road.Connection:
        self.line, self.connection = Line(), road.Connection(self, address)
        self.connection.connection_made(self.line)
        return self.connection

    def receive(self, *pieces: bytes) -> None:
        assert self.connection is not None
        for piece in pieces:
            self.connection.data_received(piece)

    def leave(self, error: Exception | None = None) -> None:
        """The other side has left: in good order, or with an error."""
        assert self.connection is not None
        if error is None:
            self.connection.eof_received()
        self.connection.connection_lost(error)


def no_tls() -> ssl.SSLContext:
    raise AssertionError("nothing here is encrypted")


def cut(data: bytes, size: int) -> list[bytes]:
    return [data[at : at + size] for at in range(0, len(data), size)]
