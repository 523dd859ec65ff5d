"""The editor goes away while a picture is made: it is paid for, so it is saved, and told later."""

from __future__ import annotations

import asyncio
import json
import os
import select
import signal
import sys
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any

import pytest
from tests import forks
from tests.mcp_server.test_stdio import PING, READY, call
from tests.mcp_server.transports import (
    HELLO,
    MODES,
    Slow,
    backend,
    client,
    in_memory,
    structured,
    texts,
)
from tests.processes import codexapi, environment

from codexapi_engine.bounds import RESULT_LIFETIME, UNCLAIMED_LIFETIME
from codexapi_mcp.unclaimed import Unclaimed

pytestmark = pytest.mark.timeout(90)

FOX = {"prompt": "[[silence 60]] a red fox"}


class Session:
    """A server process, and an editor that may leave."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        assert process.stdin is not None
        assert process.stdout is not None
        assert process.stderr is not None
        self.process, self.stdin = process, process.stdin
        self.stdout, self.stderr = process.stdout, process.stderr

    def say(self, *messages: dict[str, Any]) -> None:
        for message in messages:
            self.stdin.write(json.dumps(message).encode() + b"\n")

    async def hear(self) -> dict[str, Any]:
        heard: dict[str, Any] = json.loads(await self.stdout.readline())
        return heard

    async def result(self, tool: str, **arguments: Any) -> dict[str, Any]:
        self.say(call(tool, **arguments))
        result: dict[str, Any] = (await self.hear())["result"]
        return result


@asynccontextmanager
async def session(
    env: dict[str, str], command: Sequence[str] = codexapi("mcp", "serve"), **how: Any
) -> AsyncIterator[Session]:
    pipe = asyncio.subprocess.PIPE
    process = await forks.execute(
        *command, env=env, stdin=pipe, stdout=pipe, stderr=pipe,
        limit=2**24, **how,
    )  # fmt: skip
    try:
        here = Session(process)
        here.say(HELLO, READY)
        assert (await here.hear())["id"] == 1
        yield here
    finally:
        if process.returncode is None:
            process.kill()
        await process.communicate()


async def leave(here: Session, way: str) -> None:
    if way == "stdin":
        here.stdin.close()
    else:
        here.process.send_signal(signal.Signals[way])
    assert b"waiting up to 180 s for a picture" in await here.stderr.readline()


@pytest.mark.parametrize("way", ["stdin", "SIGTERM", "SIGHUP"])
async def test_a_picture_is_saved_when_the_editor_leaves_and_the_same_call_gets_it(
    tmp_path: Path, way: str
) -> None:
    slow = Slow()
    async with backend(slow.simulator, tmp_path) as env:
        async with session(env) as here:
            here.say(call("generate_image", **FOX))
            await slow.waiting.wait()
            await leave(here, way)
            slow.ready.set()
            code = 0 if way == "stdin" else 128 + signal.Signals[way]
            assert await here.process.wait() == code
            assert b"saved; the next call tells where" in await here.stderr.read()
        (path,) = (tmp_path / "pictures").iterdir()
        async with session(env) as again:
            first = await again.result("generate_image", **FOX)
            assert slow.simulator.runs == 1
            second = await again.result("generate_image", **FOX)
    assert first["structuredContent"]["images"][0]["path"] == str(path)
    assert "the same call before" in first["structuredContent"]["note"]
    assert second["structuredContent"]["note"] is None
    assert slow.simulator.runs == 2


async def test_another_call_is_told_where_a_picture_is_once(tmp_path: Path) -> None:
    slow = Slow()
    async with backend(slow.simulator, tmp_path) as env:
        async with session(env) as here:
            here.say(call("generate_image", **FOX))
            await slow.waiting.wait()
            await leave(here, "stdin")
            slow.ready.set()
            await here.process.wait()
        (path,) = (tmp_path / "pictures").iterdir()
        async with session(env) as again:
            told = await again.result("list_models")
            once = await again.result("list_models")
            claimed = await again.result("generate_image", **FOX)
    assert f"no client was there: {path}." in told["structuredContent"]["note"]
    assert told["content"][-1]["text"].endswith(f"{path}.]")
    assert once["structuredContent"]["note"] is None
    assert claimed["structuredContent"]["images"][0]["path"] == str(path)
    assert slow.simulator.runs == 1


async def test_a_second_signal_does_not_wait_for_a_picture(tmp_path: Path) -> None:
    slow = Slow()
    async with backend(slow.simulator, tmp_path) as env, session(env) as here:
        here.say(call("generate_image", **FOX))
        await slow.waiting.wait()
        await leave(here, "SIGTERM")
        here.process.send_signal(signal.SIGTERM)
        assert await here.process.wait() == 128 + signal.SIGTERM
        await slow.ended.wait()
    assert not (tmp_path / "pictures").exists()


@pytest.mark.skipif(sys.platform != "linux", reason="Linux alone can copy a process at work")
@pytest.mark.parametrize("ways", [["stdin", "SIGTERM"], ["SIGINT", "SIGTERM"]])
async def test_a_picture_outlives_a_client_that_kills(tmp_path: Path, ways: list[str]) -> None:
    """As the official SDKs do with a server that does not end within two seconds."""
    slow = Slow()
    alive, inherited = os.pipe()
    async with backend(slow.simulator, tmp_path) as env:
        try:
            async with session(env, start_new_session=True, pass_fds=[inherited]) as here:
                here.say(call("generate_image", **FOX))
                await slow.waiting.wait()
                await leave(here, ways[0])
                here.process.send_signal(signal.Signals[ways[1]])
                assert await here.process.wait() == 128 + signal.Signals[ways[1]]
                await here.stdout.read()  # it ends: nobody holds the editor's pipes open
                assert b"a copy of this process saves the picture" in await here.stderr.read()
                if sys.platform == "win32":
                    pytest.skip("Windows has none of this")
                with suppress(ProcessLookupError):
                    os.killpg(here.process.pid, signal.SIGKILL)
        finally:
            os.close(inherited)
        assert select.select([alive], [], [], 0)[0] == []  # the copy lives
        async with session(env) as again:  # the same call waits for the picture of the copy
            again.say(call("generate_image", **FOX), PING)
            assert (await again.hear())["id"] == PING["id"]
            slow.ready.set()
            result = (await again.hear())["result"]
        assert await asyncio.to_thread(os.read, alive, 1) == b""  # the copy has ended
        os.close(alive)
        (path,) = (tmp_path / "pictures").iterdir()
    assert result["structuredContent"]["images"][0]["path"] == str(path)


SIGNAL_WITHIN_A_LOG_LINE = """
import logging, signal, sys
from codexapi_engine import Settings
from codexapi_mcp import stdio

class Impatient(logging.Handler):
    def emit(self, record):
        if "waiting up to" in record.getMessage():
            signal.raise_signal(signal.SIGTERM)

logging.getLogger("codexapi.mcp").addHandler(Impatient())
sys.exit(stdio.serve(Settings.from_env()))
"""


@pytest.mark.skipif(sys.platform != "linux", reason="Linux alone can copy a process at work")
async def test_a_signal_in_the_middle_of_a_log_line_leaves_a_copy_that_works(
    tmp_path: Path,
) -> None:
    """A copy of the process does not hold the lock of the log that this one holds."""
    slow = Slow()
    alive, inherited = os.pipe()
    async with backend(slow.simulator, tmp_path) as env:
        command = [sys.executable, "-c", SIGNAL_WITHIN_A_LOG_LINE]
        async with session(env, command, pass_fds=[inherited]) as here:
            os.close(inherited)
            here.say(call("generate_image", **FOX))
            await slow.waiting.wait()
            here.stdin.close()
            assert await here.process.wait() == 128 + signal.SIGTERM
        slow.ready.set()
        assert await asyncio.to_thread(os.read, alive, 1) == b""  # the copy has ended
        os.close(alive)
        (path,) = (tmp_path / "pictures").iterdir()
        async with session(env) as again:
            result = await again.result("generate_image", **FOX)
    assert result["structuredContent"]["images"][0]["path"] == str(path)
    assert slow.simulator.runs == 1


COPY_OF_THE_BUSY = """
import asyncio, os, sys
from codexapi_engine.aside import aside
from codexapi_mcp.detach import Workers, detach

async def main():
    workers = Workers()
    asyncio.get_running_loop().set_default_executor(workers)

    async def work():
        await aside(True, lambda: None)
        first = await asyncio.to_thread(sys.stdin.buffer.read, 1)
        second = await asyncio.to_thread(sys.stdin.buffer.read, 1)
        return first + await aside(True, lambda: second)

    task = asyncio.create_task(work())
    await asyncio.sleep(0)
    out = os.dup(1)
    detaching = asyncio.create_task(detach(workers, None, 7))
    os.write(out, b"leaving\\n")
    read = await task
    await detaching
    os.write(out, read + b" by %d" % os.getpid())

asyncio.run(main())
"""


@pytest.mark.skipif(sys.platform != "linux", reason="Linux alone can copy a process at work")
async def test_what_threads_do_is_finished_before_the_process_is_copied() -> None:
    pipe = asyncio.subprocess.PIPE
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-c", COPY_OF_THE_BUSY, env=environment(), stdin=pipe, stdout=pipe
    )
    assert process.stdin is not None
    assert process.stdout is not None
    assert await process.stdout.readline() == b"leaving\n"
    process.stdin.write(b"ab")
    await process.stdin.drain()
    assert await process.wait() == 7
    done = await process.stdout.read()
    assert done.startswith(b"ab by ")
    assert int(done.rpartition(b" ")[2]) != process.pid


@pytest.mark.parametrize("mode", MODES)
async def test_the_picture_of_a_call_that_was_given_up_is_told_to_the_next_one(
    tmp_path: Path, mode: str
) -> None:
    slow = Slow()
    async with in_memory(tmp_path, slow.simulator, mode=mode) as client:
        given_up = asyncio.create_task(client.call_tool("generate_image", FOX))
        await slow.waiting.wait()
        given_up.cancel()
        with pytest.raises(asyncio.CancelledError):
            await given_up
        slow.ready.set()
        said = ""
        while "Saved earlier" not in said:  # it is being saved meanwhile
            other = await client.call_tool("generate_text", {"prompt": "[[say Hi]]"})
            said = texts(other)[-1]
        (path,) = (tmp_path / "pictures").iterdir()
        same = await client.call_tool("generate_image", FOX)
    assert said == f"[Saved earlier, when no client was there: {path}.]"
    assert structured(same)["images"][0]["path"] == str(path)
    assert not list((tmp_path / "state" / "mcp-pictures").iterdir())


def test_a_record_holds_for_ten_minutes_and_its_news_longer(tmp_path: Path) -> None:
    now = 0.0
    kept = Unclaimed(tmp_path / "kept", lambda: now)
    picture = tmp_path / "a.png"
    picture.write_bytes(b"x")
    for key in "abcde":
        kept.keep(key, [picture], arrived=key == "e")
    assert kept.claim("a") == [picture]
    assert kept.claim("a") == []
    assert kept.news() == [picture] * 3
    assert kept.news() == []
    now = RESULT_LIFETIME
    assert kept.claim("b") == [picture]
    assert kept.claim("e") == [picture]
    now += 1
    assert kept.claim("c") == []
    assert kept.news() == []
    assert not list((tmp_path / "kept").iterdir())  # what is old is forgotten
    kept.keep("x", [picture])
    now += UNCLAIMED_LIFETIME + 1
    assert kept.news() == []


def test_a_record_that_cannot_be_read_is_none(tmp_path: Path) -> None:
    kept = Unclaimed(tmp_path)
    for at, text in enumerate(
        ["", "5", "[]", "{}", '{"at": "x", "paths": []}', '{"at": 1, "paths": [5]}']
    ):
        (tmp_path / f"{at}.new").write_text(text)
        assert kept.claim(str(at)) == []
    kept.keep("gone", [tmp_path / "gone.png"])
    assert kept.claim("gone") == []
    assert kept.news() == []


@pytest.mark.parametrize("mode", MODES)
async def test_the_official_client_leaves_and_the_next_one_gets_the_picture(
    tmp_path: Path, mode: str
) -> None:
    slow = Slow()
    async with backend(slow.simulator, tmp_path) as env:
        async with client("stdio", env, mode=mode) as first:
            given_up = asyncio.create_task(first.call_tool("generate_image", FOX))
            await slow.waiting.wait()
            given_up.cancel()
            with pytest.raises(asyncio.CancelledError):
                await given_up
            await first.call_tool("list_models")  # the server has read what was sent before
            slow.ready.set()
        (path,) = (tmp_path / "pictures").iterdir()
        async with client("stdio", env, mode=mode) as second:
            result = await second.call_tool("generate_image", FOX)
    assert structured(result)["images"][0]["path"] == str(path)
    assert slow.simulator.runs == 1
