"""Which program has a port."""

from __future__ import annotations

import os
import socket
import sys

import pytest

from codexapi_engine.listeners import listener


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
@pytest.mark.parametrize(
    ("family", "host"), [(socket.AF_INET, "127.0.0.1"), (socket.AF_INET6, "::1")]
)
def test_a_program_that_listens_is_named(family: socket.AddressFamily, host: str) -> None:
    with socket.create_server((host, 0), family=family) as server:
        port = server.getsockname()[1]
        found = listener(port)
    assert found is not None
    assert found.endswith(f", process {os.getpid()}")
    assert listener(port) is None
