"""A server that may take only so much memory: it says so, and goes on."""

from __future__ import annotations

import http.client
import json
import re
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from tests.processes import codexapi, environment

pytestmark = [
    pytest.mark.timeout(180),
    pytest.mark.skipif(sys.platform != "linux", reason="elsewhere ulimit -v does nothing"),
]

MIB = 1024 * 1024
BODIES = [
    b"x" * (31 * MIB),
    b'{"model":"gpt-6.1-sol","messages":[{"role":"user","content":"' + b"x" * (31 * MIB) + b'"}]}',
    b'{"a":"' + b"\\ud800" * (5 * MIB) + b'"}',
    b'{"a":[' + b"1," * (15 * MIB) + b"1]}",
]


ONE_GIGABYTE = ["sh", "-c", 'ulimit -v 1048576; exec "$@"', "sh"]


def test_more_bodies_than_fit_are_refused_and_the_server_lives(tmp_path: Path) -> None:
    process = subprocess.Popen(
        [*ONE_GIGABYTE, *codexapi("serve", "--demo", "--port", "0")],
        env=environment(CODEX_HOME=str(tmp_path)), stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
    )  # fmt: skip
    try:
        assert process.stdout is not None
        ready = re.search(rb"127\.0\.0\.1:(\d+)", process.stdout.readline())
        assert ready is not None
        port = int(ready[1])
        with ThreadPoolExecutor(16) as clients:
            for status, body in clients.map(partial(answer, port), BODIES * 4):
                assert status in (200, 400, 413, 503)
                if status == 503:
                    assert body["error"]["code"] == "server_is_overloaded"
                    assert "send it again later" in body["error"]["message"]
        assert answer(port)[0] == 200
        assert answer(port, BODIES[1])[0] == 200  # alone, it has room
    finally:
        process.terminate()
        process.communicate()


def answer(port: int, body: bytes | None = None) -> tuple[int, Any]:
    """asyncio would copy what is left of a body with each write."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=120)
    try:
        if body is None:
            connection.request("GET", "/healthz")
        else:
            kind = {"Content-Type": "application/json"}
            connection.request("POST", "/v1/chat/completions", body, kind)
        response = connection.getresponse()
        return response.status, json.loads(response.read())
    finally:
        connection.close()
