"""A server that may take only so much memory: it says so, and goes on."""

from __future__ import annotations

import asyncio
import http.client
import json
import mmap
import re
import subprocess
import sys
from collections.abc import AsyncIterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from starlette.types import Message, Receive, Scope, Send
from tests.processes import codexapi, environment

from codexapi_engine.bounds import MAX_BODY_BYTES
from codexapi_http import create_app
from codexapi_http.mount import MountedApp
from codexapi_http.requests import LARGE, Bodies

pytestmark = pytest.mark.timeout(180)

KIB = 1024
NEARLY = MAX_BODY_BYTES - KIB * KIB


def large_bodies() -> list[bytes]:
    return [
        b"x" * NEARLY,
        b'{"model":"gpt-6.1-sol","messages":[{"role":"user","content":"'
        + b"x" * (NEARLY - KIB)
        + b'"}]}',
        b'{"a":"' + b"\\ud800" * (NEARLY // 6 - KIB) + b'"}',
        b'{"a":[' + b"1," * (NEARLY // 2 - KIB) + b"1]}",
    ]


ONE_GIGABYTE = ["sh", "-c", 'ulimit -v 1048576; exec "$@"', "sh"]


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere ulimit -v does nothing")
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
        bodies = large_bodies()
        with ThreadPoolExecutor(16) as clients:
            for status, body in clients.map(partial(answer, port), bodies * 4):
                assert status in (200, 400, 413, 503)
                if status == 503:
                    assert body["error"]["code"] == "server_is_overloaded"
                    assert "send it again later" in body["error"]["message"]
        assert answer(port)[0] == 200
        assert answer(port, bodies[1])[0] == 200  # alone, it has room
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


class Reader:
    """An annex that reads its body, and answers."""

    path = "/annex"

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        while (await receive()).get("more_body"):
            pass
        await send({"type": "http.response.start", "status": 204, "headers": []})
        await send({"type": "http.response.body", "body": b""})

    @asynccontextmanager
    async def lifespan(self) -> AsyncIterator[None]:
        yield

    def stop(self, now: bool) -> None:
        pass


FORM = b"multipart/form-data; boundary=x"
PICTURE = b'--x\r\nContent-Disposition: form-data; name="image"; filename="a"\r\n\r\n'


@pytest.mark.parametrize("told", [True, False])
@pytest.mark.parametrize(
    ("path", "kind", "begin"),
    [
        ("/v1/chat/completions", b"application/json", b'{"a":"'),
        ("/v1/images/edits", FORM, PICTURE),
        ("/annex", b"application/json", b""),
    ],
)
async def test_a_body_of_each_kind_counts_while_it_is_in_hand(
    path: str, kind: bytes, begin: bytes, told: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also one that does not say how large it is. Where there is no room, it is told at once."""
    reserved: list[int] = []
    reserve = Bodies.reserve

    def spied(bodies: Bodies, scope: Scope, size: int) -> None:
        reserve(bodies, scope, size)
        reserved.append(size)

    monkeypatch.setattr(Bodies, "reserve", spied)
    size = 8 * LARGE
    end = b"\r\n--x--\r\n" if kind == FORM else b""
    body = begin + b"x" * (size - len(begin) - len(end)) + end
    assert await asked(path, kind, body, told) in (204, 400)
    assert max(reserved) == size

    def full(*_: object, **__: object) -> mmap.mmap:
        raise OSError

    monkeypatch.setattr(mmap, "mmap", full)
    assert await asked(path, kind, body, told) == 503


async def asked(path: str, kind: bytes, body: bytes, told: bool) -> int:
    """The status of an answer, of a server whose bodies are all given back."""
    annex: MountedApp = Reader()
    app = create_app(mounts=[annex], api=path != annex.path)
    coming = [body[at : at + LARGE] for at in range(0, len(body), LARGE)]
    status = 0

    async def receive() -> Message:
        if not coming:
            await asyncio.Event().wait()
        piece = coming.pop(0)
        return {"type": "http.request", "body": piece, "more_body": bool(coming)}

    async def send(message: Message) -> None:
        nonlocal status
        status = message.get("status", status)

    headers = [(b"host", b"127.0.0.1"), (b"content-type", kind)]
    headers += [(b"content-length", b"%d" % len(body))] if told else []
    scope = {
        "type": "http", "asgi": {"version": "3.0"}, "http_version": "1.1", "method": "POST",
        "path": path, "raw_path": path.encode(), "query_string": b"", "root_path": "",
        "scheme": "http", "headers": headers, "client": None, "server": None,
    }  # fmt: skip
    async with app.router.lifespan_context(app):
        await app(scope, receive, send)
    assert app.state.bodies.size == 0
    return status
