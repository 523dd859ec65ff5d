"""A hop between two programs that writes down what they say, and changes no byte of it.

Speaks TCP; reads what it wrote down as HTTP/1.1, and as WebSocket messages behind an upgrade.
"""

from __future__ import annotations

import socket
import socketserver
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from typing import Any, cast
from urllib.parse import urlsplit

import h11
from websockets.frames import Frame, Opcode
from websockets.protocol import CLIENT, OPEN, SERVER, Protocol, Side

from codexapi_engine.protocol import json

JsonObject = dict[str, Any]

_SWITCHED = b"HTTP/1.1 101 "


@dataclass(frozen=True)
class Message:
    """A request (`head`: method and target) or an answer (its status), names in lower case."""

    head: str
    headers: dict[str, str]
    body: bytes


@dataclass
class Recorder:
    """The connections so far; `url` reaches the target through the hop."""

    url: str
    _connections: list[_Connection]

    def exchanges(self) -> list[tuple[Message, Message | None]]:
        """Each request with its answer, as far as they have come."""
        return [pair for connection in self._connections for pair in connection.exchanges()]

    def sockets(self) -> list[tuple[list[JsonObject], list[JsonObject]]]:
        """What the two sides of each WebSocket said: the client, then the server."""
        return [
            (_messages(connection.asked, SERVER), _messages(connection.answered, CLIENT))
            for connection in self._connections
            if connection.upgraded
        ]


@contextmanager
def recorded(url: str) -> Iterator[Recorder]:
    """A hop to the server at `url`. Leave it when one of its two sides has ended."""
    parts = urlsplit(url)
    with _Hop(("127.0.0.1", 0), _Relay) as hop:
        hop.target = (str(parts.hostname), int(parts.port or 80))
        serving = threading.Thread(target=hop.serve_forever, args=(0.05,))
        serving.start()
        try:
            here = f"http://127.0.0.1:{hop.server_address[1]}{parts.path}"
            yield Recorder(here, hop.connections)
        finally:
            hop.shutdown()
            serving.join()


@dataclass
class _Connection:
    asked: list[bytes] = field(default_factory=list)
    answered: list[bytes] = field(default_factory=list)

    @property
    def upgraded(self) -> bool:
        return b"".join(self.answered).startswith(_SWITCHED)

    def exchanges(self) -> Iterator[tuple[Message, Message | None]]:
        requests, answers = h11.Connection(h11.SERVER), h11.Connection(h11.CLIENT)
        for wire, pieces in ((requests, self.asked), (answers, self.answered)):
            if pieces:  # no bytes are the end of a connection to h11
                wire.receive_data(b"".join(pieces))
        while request := _read(requests):
            # h11 reads an answer only where it has sent a request, and the other way round.
            if self.upgraded:
                yield request, Message("101", {}, b"")
                return
            _say(answers, h11.Request(method="POST", target="/", headers=[("host", "-")]))
            yield request, _read(answers)
            _say(requests, h11.Response(status_code=200, headers=[]))
            if requests.their_state is not h11.DONE or answers.their_state is not h11.DONE:
                return
            requests.start_next_cycle()
            answers.start_next_cycle()


class _Hop(socketserver.ThreadingTCPServer):
    daemon_threads = False  # so that closing it waits for them

    def __init__(self, *given: object) -> None:
        super().__init__(*given)  # type: ignore[arg-type]
        self.target = ("", 0)
        self.connections: list[_Connection] = []


class _Relay(socketserver.BaseRequestHandler):
    def handle(self) -> None:
        hop = cast(_Hop, self.server)
        log = _Connection()
        hop.connections.append(log)
        with socket.create_connection(hop.target) as beyond:
            back = threading.Thread(target=_pump, args=(beyond, self.request, log.answered))
            back.start()
            _pump(self.request, beyond, log.asked)
            back.join()


def _pump(source: socket.socket, sink: socket.socket, log: list[bytes]) -> None:
    with suppress(OSError):  # a side that leaves early is theirs to judge
        while piece := source.recv(65536):
            log.append(piece)
            sink.sendall(piece)
    with suppress(OSError):
        sink.shutdown(socket.SHUT_WR)


def _messages(pieces: list[bytes], reader: Side) -> list[JsonObject]:
    """The messages behind the head of an upgrade, as the other side reads them."""
    _, _, frames = b"".join(pieces).partition(b"\r\n\r\n")
    protocol = Protocol(reader, state=OPEN, max_size=None)
    protocol.receive_data(frames)
    whole: list[JsonObject] = []
    parts: list[bytes] = []
    for frame in protocol.events_received():
        if isinstance(frame, Frame) and frame.opcode in (Opcode.TEXT, Opcode.CONT):
            parts.append(bytes(frame.data))
            if frame.fin:
                whole.append(json.loads(b"".join(parts)))
                parts.clear()
    return whole


def _read(wire: h11.Connection) -> Message | None:
    """The next message, as far as it has come."""
    head = wire.next_event()
    if not isinstance(head, h11.Request | h11.Response):
        return None
    body = []
    while isinstance(piece := wire.next_event(), h11.Data):
        body.append(bytes(piece.data))
    headers = {name.decode(): value.decode("latin-1") for name, value in head.headers}
    return Message(_head(head), headers, b"".join(body))


def _head(head: h11.Request | h11.Response) -> str:
    if isinstance(head, h11.Request):
        return f"{head.method.decode()} {head.target.decode()}"
    return str(head.status_code)


def _say(wire: h11.Connection, head: h11.Request | h11.Response) -> None:
    wire.send(head)
    wire.send(h11.EndOfMessage())
