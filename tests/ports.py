"""Ports of this machine to which no connection can be made, or not always."""

from __future__ import annotations

import socket
import sys
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def refusing_port() -> Iterator[int]:
    """It refuses connections. It is bound meanwhile: a port that was given back is soon another
    test's, who then gets our requests."""
    with socket.socket() as bound:
        bound.bind(("127.0.0.1", 0))
        yield bound.getsockname()[1]


@contextmanager
def refusing_url() -> Iterator[str]:
    with refusing_port() as port:
        yield f"http://127.0.0.1:{port}"


@contextmanager
def full_port() -> Iterator[int]:
    """The kernel drops each connection: the listener has room for one, which is there."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen(0)
        with socket.create_connection(listener.getsockname()):
            yield listener.getsockname()[1]


@contextmanager
def reserved_port() -> Iterator[int]:
    """One at which servers may listen, one after another. It is bound all the time: between two of
    them the kernel would give it to another test, whose server our client would then ask."""
    with socket.socket() as bound:
        bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        bound.bind(("127.0.0.1", 0))
        port = bound.getsockname()[1]
        if sys.platform != "linux":
            bound.close()  # elsewhere nobody else could listen there
        yield port
