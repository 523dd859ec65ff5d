"""The state file while another program holds its write lock, for as long as it likes."""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from tests.http_server import raw
from tests.http_server.doors import MODEL, Door, Stream, chat, listening, responses
from tests.http_server.raw import JsonObject, get, head, post
from tests.wire_files import events

from codexapi_engine import Codex, Settings
from codexapi_engine.http.in_process import in_process
from codexapi_engine.login.store import InMemory
from codexapi_engine.simulator import Simulator
from codexapi_engine.storage import Owner, State, Turn
from codexapi_engine.storage.sqlite import ObjectStore
from codexapi_http import create_app

pytestmark = [pytest.mark.timeout(60)]

RESPONSES, CHATS, CONVERSATIONS = "/v1/responses", "/v1/chat/completions", "/v1/conversations"
LONG = 600.0
"""Seconds: a wait that no test lives to see the end of."""


@contextmanager
def locked(path: Path) -> Iterator[sqlite3.Connection]:
    """Holds the write lock, as a backup does. Rolled back inside, it is free again."""
    other = sqlite3.connect(path, isolation_level=None)
    try:
        other.execute("BEGIN IMMEDIATE")
        yield other
    finally:
        other.close()


@asynccontextmanager
async def served(path: Path, max_wait: float, backend: Any = None) -> AsyncIterator[Door]:
    """A server that keeps its state in this file."""
    simulator = backend if isinstance(backend, Simulator) else Simulator()
    state = State(path, max_wait=max_wait)
    settings = Settings(codex_home=Path("nowhere"), base_url="http://127.0.0.1:1")
    http, store = in_process((backend or simulator).handle), InMemory(simulator.login())
    try:
        async with Codex(settings, http=http, store=store) as codex:
            app = create_app(codex, settings, state=state)
            async with listening(app) as port:
                yield Door(port, app)
    finally:
        state.close()


async def made(server: Door, path: str, body: JsonObject) -> JsonObject:
    reply = await server.reply(post(path, body))
    assert reply.status == 200, reply
    return reply.json


async def test_nobody_waits_for_those_whose_answers_wait_for_the_lock(tmp_path: Path) -> None:
    path = tmp_path / "state.db"
    async with served(path, LONG) as server:
        kept = await made(server, RESPONSES, responses("hi"))
        with locked(path) as other:
            waiting = [
                asyncio.create_task(server.reply(post(RESPONSES, responses("hi")))) for _ in "123"
            ]
            healthy = await server.reply(get("/healthz"))
            again = await server.reply(get(f"{RESPONSES}/{kept['id']}"))
            items = await server.reply(get(f"{RESPONSES}/{kept['id']}/input_items"))
            unkept = await made(server, RESPONSES, responses("hi", store=False))
            assert (healthy.status, again.json, items.status) == (200, kept, 200)
            assert unkept["status"] == "completed"
            assert not any(task.done() for task in waiting)
            other.execute("ROLLBACK")
            for reply in await asyncio.gather(*waiting):
                assert "x-codexapi-not-kept" not in reply.headers
                there = await server.reply(get(f"{RESPONSES}/{reply.json['id']}"))
                assert there.json == reply.json


@pytest.mark.parametrize(
    ("path", "body"), [(RESPONSES, responses("hi")), (CHATS, chat("hi", store=True))]
)
async def test_an_answer_that_cannot_be_kept_says_so(
    path: str, body: JsonObject, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    file = tmp_path / "state.db"
    async with served(file, 0.0) as server:
        with locked(file):
            reply = await server.reply(post(path, body))
            assert reply.status == 200
            assert reply.headers["x-codexapi-not-kept"] == "state_unavailable"
            (await server.reply(get(f"{path}/{reply.json['id']}"))).refused(404, None)
    assert "not kept" in caplog.text


@pytest.mark.parametrize(
    ("path", "body"),
    [(RESPONSES, responses("hi", stream=True)), (CHATS, chat("hi", store=True, stream=True))],
)
async def test_a_stream_that_cannot_be_kept_ends_well(
    path: str, body: JsonObject, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    file = tmp_path / "state.db"
    async with served(file, 0.0) as server:
        with locked(file):
            reply = await server.reply(post(path, body))
    assert events(reply.body)[-1].type == ""
    assert "not kept" in caplog.text


async def test_a_change_that_cannot_be_made_is_refused_and_costs_nothing(tmp_path: Path) -> None:
    path, backend = tmp_path / "state.db", Simulator()
    async with served(path, 0.0, backend) as server:
        conversation = await made(server, CONVERSATIONS, {})
        completion = await made(server, CHATS, chat("hi", store=True))
        asked = len(backend.requests)
        metadata = {"metadata": {"a": "b"}}
        with locked(path):
            for request in (
                post(RESPONSES, responses("hi", background=True)),
                post(CONVERSATIONS, {}),
                post(f"{CONVERSATIONS}/{conversation['id']}", metadata),
                post(f"{CHATS}/{completion['id']}", metadata),
                head(f"DELETE {CHATS}/{completion['id']}", "Host: 127.0.0.1"),
                head(f"DELETE {CONVERSATIONS}/{conversation['id']}", "Host: 127.0.0.1"),
            ):
                (await server.reply(request)).refused(503, "state_unavailable")
        assert len(backend.requests) == asked
        there = await server.reply(get(f"{CONVERSATIONS}/{conversation['id']}"))
        assert there.json == conversation


async def test_a_server_begins_and_reads_while_the_lock_is_held(tmp_path: Path) -> None:
    path = tmp_path / "state.db"
    async with served(path, LONG) as server:
        kept = await made(server, RESPONSES, responses("hi"))
        with locked(path):
            async with served(path, LONG) as second:
                assert (await second.reply(get(f"{RESPONSES}/{kept['id']}"))).json == kept


async def test_a_run_in_the_background_outlasts_the_lock(tmp_path: Path) -> None:
    path, backend = tmp_path / "state.db", Stream()
    async with served(path, LONG, backend) as server:
        queued = await made(server, RESPONSES, responses(background=True))
        await backend.reached.wait()
        with locked(path) as other:
            async with raw.connect(server.port) as connection:
                await connection.send(get(f"{RESPONSES}/{queued['id']}?stream=true"))
                backend.send({"type": "response.created", "response": {"id": "resp_theirs"}})
                assert (await connection.head()).status == 200
            told = await server.reply(get(f"{RESPONSES}/{queued['id']}"))
            assert told.json["status"] == "queued"
            other.execute("ROLLBACK")
        backend.send({"type": "response.completed", "response": {"id": "resp_theirs"}})
        backend.end()
        while (told := await server.reply(get(f"{RESPONSES}/{queued['id']}"))).json[
            "status"
        ] != "completed":
            assert told.status == 200


async def test_a_run_whose_end_cannot_be_written_at_once_is_not_lost(tmp_path: Path) -> None:
    path, backend = tmp_path / "state.db", Stream()
    async with served(path, 0.0, backend) as server:
        server.app.state.background._interval = 0.0  # between its tries
        queued = await made(server, RESPONSES, responses(background=True))
        await backend.reached.wait()
        with locked(path):
            backend.send({"type": "response.created", "response": {"id": "resp_theirs"}})
            backend.send({"type": "response.completed", "response": {"id": "resp_theirs"}})
            backend.end()
            job = server.app.state.background.job(queued["id"])
            assert job is not None
            await asyncio.wait([job.task])
        assert job.task.exception() is None, "it is no bug"


async def test_what_waits_is_done_though_its_caller_left(tmp_path: Path) -> None:
    path = tmp_path / "state.db"
    shelf = ObjectStore(path, max_wait=LONG)
    with locked(path) as other:
        puts = [partial(shelf.put, "x", name, {}) for name in "ab"]
        waiting = [asyncio.create_task(shelf.in_thread(put)) for put in puts]
        await asyncio.sleep(0)
        for task in waiting:
            task.cancel()
        await asyncio.wait(waiting)
        other.execute("ROLLBACK")
    await shelf.in_thread(lambda: None)
    assert [name for name, _ in shelf.all("x")] == ["a", "b"]
    shelf.close()


async def test_all_that_wait_wait_no_longer_than_one(tmp_path: Path) -> None:
    path = tmp_path / "state.db"
    state = State(path, max_wait=0.2)
    response = {"id": "resp_1", "status": "completed", "output": []}
    with locked(path):
        loop = asyncio.get_running_loop()
        began = loop.time()
        owner = Owner.of("account", MODEL)
        lost = await asyncio.gather(
            *(
                state.in_thread(lambda: state.store(Turn({}, [], response, owner)))
                for _ in range(50)
            )
        )
        assert loop.time() - began < 50 * 0.2 / 2
    assert all(error is not None and error.code == "state_unavailable" for error in lost)
    state.close()
