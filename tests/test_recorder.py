"""What the hop of `recorder.py` has of exchanges that a side left early."""

from __future__ import annotations

import socket
from urllib.parse import urlsplit

from tests.recorder import recorded

REQUEST = b"POST /v1/messages HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\n\r\n{}"


def test_a_request_without_an_answer_is_an_exchange_too() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        with recorded(f"http://127.0.0.1:{server.getsockname()[1]}/") as hop:
            parts = urlsplit(hop.url)
            with socket.create_connection((parts.hostname, parts.port)) as client:
                client.sendall(REQUEST)
                beyond, _ = server.accept()
                with beyond:
                    assert beyond.recv(1000)
    ((request, answer),) = hop.exchanges()
    assert (request.body, answer) == (b"{}", None)
