"""Pictures of 20 MB through a real server: what they cost it, and what others feel of it."""

from __future__ import annotations

import asyncio
import base64
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.http_server import raw
from tests.http_server.raw import JsonObject
from tests.processes import Running, server, simulator

HEAVY: JsonObject = {"prompt": "[[heavy 20]] a red fox"}
MB = 1 << 20
SIZE = 20 * MB

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")


@pytest.fixture
def door(tmp_path: Path) -> Iterator[Running]:
    with simulator(tmp_path / "login") as backend:
        env = {**backend.env, "CODEXAPI_STATE_DIR": str(tmp_path / "state")}
        with server("--quiet", env=env) as running:
            yield running


def memory(running: Running, field: str) -> int:
    """`VmRSS` is what a process has now, `VmHWM` the most that it ever had."""
    told = Path(f"/proc/{running.process.pid}/status").read_text()
    line = next(line for line in told.splitlines() if line.startswith(field))
    return int(line.split()[1]) * 1024


def port_of(running: Running) -> int:
    return int(running.url.rpartition(":")[2].partition("/")[0])


async def drawn(running: Running, body: JsonObject) -> bytes:
    async with raw.connect(port_of(running), limit=4 * MB) as connection:
        await connection.send(raw.post("/v1/images/generations", body))
        reply = await connection.reply()
    assert reply.status == 200, reply
    return base64.b64decode(reply.json["data"][0]["b64_json"])


async def test_a_heavy_picture_costs_less_than_four_times_its_size(door: Running) -> None:
    await drawn(door, {"prompt": "a red fox"})  # what is loaded once is loaded
    idle = memory(door, "VmRSS")
    assert len(await drawn(door, HEAVY)) > SIZE
    assert memory(door, "VmHWM") - idle < 4 * SIZE


async def test_text_streams_flow_while_heavy_pictures_come(door: Running) -> None:
    """Each delta of the text is seen before the pictures are done: nothing waits for their end."""
    drawing = [asyncio.ensure_future(drawn(door, HEAVY)) for _ in range(4)]
    body = {"model": "gpt-5.5", "input": "[[long 200]]", "stream": True}
    finished_first = 0
    while not all(task.done() for task in drawing):
        async with raw.connect(port_of(door)) as connection:
            await connection.send(raw.post("/v1/responses", body))
            reply = await connection.reply()
        assert b"response.completed" in reply.body
        finished_first += not all(task.done() for task in drawing)
    pictures = await asyncio.gather(*drawing)
    assert all(len(picture) > SIZE for picture in pictures)
    assert finished_first >= 1
