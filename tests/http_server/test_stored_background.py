"""Responses in the background: they need no client, and any number may follow them."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from tests.http_server import raw
from tests.http_server.doors import Door, Stream, door, listening, responses
from tests.http_server.raw import JsonObject, get, head, post
from tests.virtual_time import hurried
from tests.wire_files import events

from codexapi_engine import Codex, CodexError, Settings
from codexapi_engine.bounds import HEARTBEAT_INTERVAL
from codexapi_engine.http.in_process import in_process
from codexapi_engine.login.store import InMemory
from codexapi_engine.simulator import Simulator
from codexapi_engine.storage import Owner, State
from codexapi_http import create_app
from codexapi_http.background import Background, Job, LiveEvents

pytestmark = [pytest.mark.timeout(60)]

RESPONSES = "/v1/responses"
CREATED = {"type": "response.created", "sequence_number": 0, "response": {"id": "resp_theirs"}}
ITEM = {
    "id": "msg_1", "type": "message", "role": "assistant", "status": "completed",
    "content": [{"type": "output_text", "text": "Done.", "annotations": []}],
}  # fmt: skip
SAID = {
    "type": "response.output_item.done", "sequence_number": 2, "output_index": 0, "item": ITEM,
}  # fmt: skip
COMPLETED = {
    "type": "response.completed", "sequence_number": 3, "response": {"id": "resp_theirs"},
}  # fmt: skip


def delta(number: int) -> JsonObject:
    return {
        "type": "response.output_text.delta", "sequence_number": number, "item_id": "msg_1",
        "output_index": 0, "content_index": 0, "delta": "Done.",
    }  # fmt: skip


def post_nothing(path: str) -> bytes:
    return head(f"POST {path}", "Host: 127.0.0.1", "Content-Length: 0")


async def begun(server: Door, **more: Any) -> JsonObject:
    reply = await server.reply(post(RESPONSES, responses(background=True, **more)))
    assert reply.status == 200, reply
    return reply.json


async def until(server: Door, name: str, *statuses: str) -> JsonObject:
    """Polls until the response has one of these statuses."""
    for _ in range(5_000):  # the run needs some turns of the loop, and each poll gives it many
        told = (await server.reply(get(f"{RESPONSES}/{name}"))).json
        if told["status"] in statuses:
            return told
    raise AssertionError(f"it is {told['status']}, and never {statuses}")


async def test_response_in_the_background_is_answered_at_once_and_polled() -> None:
    backend = Stream()
    async with door(backend) as server:
        queued = await begun(server, metadata={"a": "b"})
        assert (queued["status"], queued["background"], queued["store"]) == ("queued", True, True)
        assert queued["metadata"] == {"a": "b"}
        name = queued["id"]
        assert name.startswith("resp_")
        assert len(name) > 40
        await backend.reached.wait()
        assert (await server.reply(get(f"{RESPONSES}/{name}"))).json == queued
        backend.send(CREATED)
        assert (await until(server, name, "in_progress"))["id"] == name
        backend.send(SAID, COMPLETED)
        done = await until(server, name, "completed")
        assert (done["id"], done["output"], done["background"]) == (name, [ITEM], True)
        assert "background" not in backend.asked
        assert backend.asked["store"] is False
        (item,) = (await server.reply(get(f"{RESPONSES}/{name}/input_items"))).json["data"]
        assert item["role"] == "user"


async def test_client_may_leave_and_come_back_to_the_stream() -> None:
    backend = Stream()
    async with door(backend) as server:
        async with raw.connect(server.port) as connection:
            await connection.send(post(RESPONSES, responses(background=True, stream=True)))
            await backend.reached.wait()
            backend.send(CREATED, delta(1))  # before it we make up two events: an item and its part
            assert (await connection.head()).status == 200
            heard = await connection.piece()
            name = events(heard)[0].json["response"]["id"]
            connection.leave()
        async with raw.connect(server.port) as connection:
            await connection.send(get(f"{RESPONSES}/{name}?stream=true&starting_after=2"))
            assert (await connection.head()).status == 200
            assert [event.json for event in events(await connection.piece())] == [delta(3)]
            backend.send(SAID, COMPLETED)
            rest = b"".join([piece async for piece in connection.pieces()])
        assert not backend.closed.is_set() or rest, "the run went on without its client"
        assert [event.type for event in events(rest)] == [
            "response.output_text.done",
            "response.content_part.done",
            "response.output_item.done",
            "response.completed",
            "",
        ]
        last = events(rest)[3].json["response"]
        assert (last["id"], last["output"]) == (name, [ITEM])
        again = await server.reply(get(f"{RESPONSES}/{name}?stream=true"))
        numbers = [event.json["sequence_number"] for event in events(again.body) if event.json]
        assert numbers == list(range(8))
        assert (await until(server, name, "completed")) == last


@pytest.mark.parametrize("begun_to_speak", [True, False])
async def test_cancelled_response_stays_cancelled_and_its_run_ends(begun_to_speak: bool) -> None:
    backend = Stream()
    async with door(backend) as server:
        name = (await begun(server))["id"]
        await backend.reached.wait()
        if begun_to_speak:
            backend.send(CREATED)
            await until(server, name, "in_progress")
        for _ in range(2):
            told = await server.reply(post_nothing(f"{RESPONSES}/{name}/cancel"))
            assert (told.json["id"], told.json["status"]) == (name, "cancelled")
            assert backend.closed.is_set()
        assert (await server.reply(get(f"{RESPONSES}/{name}"))).json["status"] == "cancelled"


async def test_follower_of_a_cancelled_response_is_told() -> None:
    backend = Stream()
    async with door(backend) as server:
        name = (await begun(server))["id"]
        backend.send(CREATED)
        async with raw.connect(server.port) as connection:
            await connection.send(get(f"{RESPONSES}/{name}?stream=true"))
            assert (await connection.head()).status == 200
            await connection.piece()
            await server.reply(post_nothing(f"{RESPONSES}/{name}/cancel"))
            (last,) = events(b"".join([piece async for piece in connection.pieces()]))
        assert (last.type, last.json["code"]) == ("error", "response_cancelled")


async def test_deleted_response_ends_its_run() -> None:
    backend = Stream()
    async with door(backend) as server:
        name = (await begun(server))["id"]
        await backend.reached.wait()
        told = await server.reply(head(f"DELETE {RESPONSES}/{name}", "Host: 127.0.0.1"))
        assert told.json["deleted"] is True
        assert backend.closed.is_set()
        (await server.reply(get(f"{RESPONSES}/{name}"))).refused(404, None)


async def test_finished_response_is_returned_when_it_is_cancelled_too_late() -> None:
    async with door(Simulator()) as server:
        name = (await begun(server))["id"]
        done = await until(server, name, "completed")
        assert (await server.reply(post_nothing(f"{RESPONSES}/{name}/cancel"))).json == done


@pytest.mark.parametrize(
    ("prompt", "code"),
    [
        ("[[status usage_limit_reached]]", "server_error"),
        ("[[fail server_error]]", "server_error"),
        ("[[cut 1]]", "server_error"),
        ("[[fail_first server_error]]", "server_error"),
    ],
)
async def test_run_that_fails_is_a_failed_response(prompt: str, code: str) -> None:
    async with door(Simulator()) as server:
        name = (await server.reply(post(RESPONSES, responses(prompt, background=True)))).json["id"]
        told = await until(server, name, "failed")
        assert told["error"]["code"] == code
        assert told["error"]["message"]
        heard = events((await server.reply(get(f"{RESPONSES}/{name}?stream=true"))).body)
        assert heard[-1].type in ("response.failed", "error")


async def test_stream_of_a_run_that_is_refused_has_that_status() -> None:
    async with door(Simulator()) as server:
        body = responses("[[status usage_limit_reached]]", background=True, stream=True)
        (await server.reply(post(RESPONSES, body))).refused(429, "usage_limit_reached")


async def test_background_needs_the_store() -> None:
    backend = Simulator()
    async with door(backend) as server:
        body = responses(background=True, store=False)
        error = (await server.reply(post(RESPONSES, body))).refused(400, "invalid_value")
    assert error["param"] == "background"
    assert not backend.requests


async def test_ignored_fields_are_named_before_the_backend_has_answered() -> None:
    async with door(Simulator()) as server:
        reply = await server.reply(post(RESPONSES, responses(background=True, temperature=0.5)))
        assert reply.headers["x-codexapi-ignored"] == "temperature"


async def test_conversation_takes_in_what_came_of_a_run_in_the_background() -> None:
    async with door(Simulator()) as server:
        name = (await server.reply(post("/v1/conversations", {}))).json["id"]
        await until(server, (await begun(server, conversation=name))["id"], "completed")
        items = (await server.reply(get(f"/v1/conversations/{name}/items"))).json["data"]
        assert [item["type"] for item in items] == ["message", "reasoning", "message"]


async def test_response_that_still_runs_has_no_successor_yet() -> None:
    backend = Stream()
    async with door(backend) as server:
        name = (await begun(server))["id"]
        body = responses(previous_response_id=name)
        (await server.reply(post(RESPONSES, body))).refused(400, "previous_response_not_found")


@asynccontextmanager
async def door_on(backend: Stream | Simulator, state: State) -> AsyncIterator[Door]:
    """A server with a state that outlives it."""
    settings = Settings(codex_home=Path("nowhere"), base_url="http://127.0.0.1:1")
    issuer = backend if isinstance(backend, Simulator) else Simulator()
    login, http = InMemory(issuer.login()), in_process(backend.handle)
    async with Codex(settings, http=http, store=login) as codex:
        app = create_app(codex, settings, state=state)
        async with listening(app) as port:
            yield Door(port, app)


async def test_server_that_goes_down_leaves_a_failed_response(tmp_path: Path) -> None:
    backend, state = Stream(), State(tmp_path / "state.db")
    async with door_on(backend, state) as server:
        name = (await begun(server))["id"]
        backend.send(CREATED)
        await until(server, name, "in_progress")
    assert backend.closed.is_set()
    told = state.responses.get(name)
    assert (told["status"], told["error"]["message"]) == ("failed", "the server went down")
    state.close()


async def test_two_servers_on_one_file_know_of_each_other_s_runs(tmp_path: Path) -> None:
    backend, path = Stream(), tmp_path / "state.db"
    first, second = State(path), State(path)
    async with door_on(backend, first) as one, door_on(Simulator(), second) as other:
        name = (await begun(one))["id"]
        backend.send(CREATED)
        await until(other, name, "in_progress")
        (await other.reply(get(f"{RESPONSES}/{name}?stream=true"))).refused(409, "not_here")
        backend.send(SAID, COMPLETED)
        await until(other, name, "completed")
        told = await other.reply(get(f"{RESPONSES}/{name}?stream=true"))
        assert events(told.body)[0].type == "response.created"
        go_on = await other.reply(post(RESPONSES, responses(previous_response_id=name)))
        assert go_on.status == 200
    first.close()
    second.close()


# The beat, in no time.


async def to_the_end(following: LiveEvents) -> None:
    while await following.batch():
        pass


async def start(background: Background, asked: JsonObject) -> Job:
    sent, owner = {"model": asked["model"], "input": []}, Owner.of("account", asked["model"])
    return await background.start(asked, [], sent, created=1, owner=owner)


def codex_of(backend: Stream) -> Codex:
    settings = Settings(codex_home=Path("nowhere"), base_url="http://127.0.0.1:1")
    login = InMemory(Simulator().login())
    return Codex(settings, http=in_process(backend.handle), store=login)


@pytest.mark.parametrize("elsewhere", ["cancel", "delete"])
def test_what_another_server_ended_ends_here(tmp_path: Path, elsewhere: str) -> None:
    path = tmp_path / "state.db"

    async def story() -> None:
        backend, here, there = Stream(), State(path), State(path)
        async with codex_of(backend) as codex:
            background = Background(codex, here)
            asked = responses(background=True)
            job = await start(background, asked)
            await backend.reached.wait()
            getattr(there.responses, elsewhere)(job.name)
            await asyncio.wait_for(backend.closed.wait(), 2 * HEARTBEAT_INTERVAL)
            assert job.task is not None
            await asyncio.wait([job.task])
            assert background.job(job.name) is None
            await background.aclose()
        here.close()
        there.close()

    hurried(story())


def test_long_run_is_not_taken_for_lost() -> None:
    async def story() -> None:
        loop, backend = asyncio.get_running_loop(), Stream()
        here = State(clock=loop.time)
        async with codex_of(backend) as codex:
            background = Background(codex, here)
            asked = responses(background=True)
            job = await start(background, asked)
            await backend.reached.wait()
            await asyncio.sleep(30 * HEARTBEAT_INTERVAL)
            assert here.responses.running([job.name]) == {job.name}
            (beat,) = (value["at"] for _, value in here._objects.all("server"))
            assert loop.time() - beat <= HEARTBEAT_INTERVAL
            await background.aclose()
        here.close()

    hurried(story())


def test_run_that_says_too_much_cannot_be_followed_and_goes_on() -> None:
    text = "x" * (1 << 20)

    async def story() -> None:
        backend, here = Stream(), State()
        async with codex_of(backend) as codex:
            background = Background(codex, here)
            asked = responses(background=True)
            job = await start(background, asked)
            following = job.follow()
            backend.send(CREATED)
            assert [event.type for event in await following.batch()] == ["response.created"]
            for _ in range(64):
                backend.send({**delta(1), "delta": text})
            backend.send(SAID, COMPLETED)
            with pytest.raises(CodexError, match="too long to be followed"):
                await to_the_end(following)
            assert job.task is not None
            await job.task
            assert here.responses.get(job.name)["status"] == "completed"
            await background.aclose()
        here.close()

    hurried(story())


def test_end_that_the_state_does_not_take_is_kept_when_it_does(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """A disk is full for a while, and a run ends."""

    async def story() -> None:
        backend, here = Stream(), State(tmp_path / "state.db")
        async with codex_of(backend) as codex:
            background = Background(codex, here)
            job = await start(background, responses(background=True))
            following = job.follow()
            await backend.reached.wait()
            here._objects._database.execute("PRAGMA query_only = ON")
            backend.send(CREATED, SAID, COMPLETED)
            seen: list[str] = []
            while "response.completed" not in seen:
                seen += [event.type for event in await following.batch()]
            await asyncio.sleep(3 * HEARTBEAT_INTERVAL)
            assert here.responses.get(job.name)["status"] == "queued"
            here._objects._database.execute("PRAGMA query_only = OFF")
            assert job.task is not None
            await job.task
            assert here.responses.get(job.name)["status"] == "completed"
            await background.aclose()
        here.close()

    hurried(story())
    assert "a bug" not in caplog.text
