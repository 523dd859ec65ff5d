"""What `GET /status.json` tells of the requests, the backend and the login, and who may ask."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import pytest
from tests.http_server import raw
from tests.http_server.doors import Door, Stream, chat, door, responses
from tests.http_server.raw import JSON_TYPE, JsonObject, get, post
from tests.http_server.sockets import client, create
from tests.logins import auth_json

from codexapi_engine.bounds import REFRESH_MARGIN
from codexapi_engine.login.store import InMemory
from codexapi_engine.protocol.secret import Secret
from codexapi_engine.simulator import Simulator
from codexapi_engine.simulator.backend import LIFETIME
from codexapi_http.middleware.request_log import Entry
from codexapi_http.request_record import RequestRecord

pytestmark = pytest.mark.timeout(60)

CHAT, RESPONSES, MESSAGES = "/v1/chat/completions", "/v1/responses", "/v1/messages"
MODEL = "gpt-6.1-sol"
KEYS = {
    "version", "base_url", "started_at", "now", "demo", "login", "backend", "findings", "limits",
    "running", "recent", "seen",
}  # fmt: skip
HEAD = {"request_id", "at", "program", "method", "route", "model", "effort"}
CREATED = {"type": "response.created", "response": {"id": "resp_1", "created_at": 5}}
DELTA = {
    "type": "response.output_text.delta", "item_id": "msg_1", "output_index": 0,
    "content_index": 0, "delta": "some words",
}  # fmt: skip
ASKED: Mapping[str, JsonObject] = {
    CHAT: chat("[[say hello]]"),
    RESPONSES: responses("[[say hello]]"),
    MESSAGES: {
        "model": MODEL, "max_tokens": 9, "messages": [{"role": "user", "content": "[[say hello]]"}],
    },
    "/api/chat": {"model": MODEL, "messages": [{"role": "user", "content": "[[say hello]]"}]},
    "/v1/images/generations": {"model": "gpt-image-2", "prompt": "a fox"},
}  # fmt: skip


async def status(server: Door) -> JsonObject:
    reply = await server.reply(get("/status.json", host=f"127.0.0.1:{server.port}"))
    assert reply.status == 200
    assert reply.headers["cache-control"] == "no-store"
    return reply.json


async def running(server: Door) -> JsonObject:
    (entry,) = (await status(server))["running"]
    found: JsonObject = entry
    return found


def change(path: str, *headers: str) -> bytes:
    return post(path, {}, *headers)


async def test_every_key_is_there_before_the_first_request() -> None:
    async with door(Simulator()) as server:
        told = await status(server)
    assert set(told) == KEYS
    assert told["base_url"] == f"http://127.0.0.1:{server.port}/v1"
    assert (told["running"], told["recent"], told["seen"]) == ([], [], {})
    assert told["backend"] == {"last_answer_at": None, "last_status": None, "last_error": None}
    assert told["limits"] == {
        "as_of": None, "windows": [], "credits": None, "reset_credits": None,
    }  # fmt: skip
    assert set(told["login"]) == {"state", "account", "plan", "renews_in", "error"}
    assert told["login"]["state"] == "ready"
    assert 0 < told["login"]["renews_in"] <= LIFETIME - REFRESH_MARGIN
    assert told["started_at"] <= told["now"]
    assert all(set(one) == {"name", "ok", "text", "command"} for one in told["findings"])


@pytest.mark.parametrize("reason", ["unanswered", "refresh_token_reused"])
async def test_a_login_whose_token_must_not_be_sent_again_has_expired(reason: str) -> None:
    store = InMemory(auth_json(exp=1))
    store.mark_consumed(Secret("canary-refresh-first"), reason)
    async with door(Simulator(), store=store) as server:
        login = (await status(server))["login"]
    assert login["state"] == "expired"
    assert "codex login" in login["error"]["message"]
    assert login["error"]["command"] == "codexapi login"


@pytest.mark.parametrize("path", ASKED)
async def test_a_request_of_each_api_is_recorded(path: str) -> None:
    body = {**ASKED[path], "secret": "nobody's business"}
    async with door(Simulator()) as server:
        await server.reply(post(path, body, "User-Agent: OpenAI/Python 3.57.0"))
        (entry,) = (await status(server))["recent"]
    assert set(entry) == HEAD | {"tokens", "first", "seconds", "status", "code", "ignored"}
    assert (entry["route"], entry["method"], entry["status"]) == (path, "POST", 200)
    assert entry["program"] == "openai-python 3.57.0"
    assert entry["model"] == body["model"]
    assert set(entry["tokens"]) == {"input", "cached", "output"}
    assert not {"hello", "fox", "business"} & set(json.dumps(entry).split())
    if "image" not in path:
        assert entry["tokens"]["input"] > 0
        assert 0 <= entry["first"] <= entry["seconds"]


async def test_the_effort_and_the_ignored_fields_are_told() -> None:
    async with door(Simulator()) as server:
        await server.reply(post(CHAT, chat("hi", reasoning_effort="high", temperature=0.5)))
        (entry,) = (await status(server))["recent"]
    assert (entry["effort"], entry["ignored"]) == ("high", "temperature")


async def test_a_request_that_fails_is_recorded_with_its_code() -> None:
    async with door(Simulator()) as server:
        await server.reply(post(CHAT, chat("[[status usage_limit_reached]]")))
        await server.reply(post("/v1/nothing", {}))
        told = await status(server)
    assert [entry["code"] for entry in told["recent"]] == ["not_found", "usage_limit_reached"]
    assert told["recent"][0]["route"] == "/v1/nothing"
    assert told["backend"]["last_error"]["code"] == "usage_limit_reached"
    assert told["backend"]["last_status"] == 429


async def test_the_error_of_the_backend_is_forgotten_after_a_success() -> None:
    async with door(Simulator()) as server:
        await server.reply(post(CHAT, chat("[[status usage_limit_reached]]")))
        await server.reply(post(CHAT, chat("hi")))
        told = await status(server)
    assert told["backend"]["last_error"] is None
    assert told["backend"]["last_answer_at"] <= told["now"]


async def test_limits_are_those_of_the_newest_answer_and_nobody_is_asked() -> None:
    backend = Stream(
        {"x-codex-primary-used-percent": "42", "x-codex-primary-window-minutes": "300"}
    )
    async with door(backend) as server, raw.connect(server.port) as connection:
        await connection.send(post(CHAT, chat("hi", stream=True)))
        await backend.reached.wait()  # it fails on a second request
        backend.send(CREATED, DELTA)
        await connection.head()
        told = (await status(server))["limits"]
        assert told == (await status(server))["limits"]
    (window,) = told["windows"]
    assert window == {"name": "primary", "used_percent": 42, "resets_at": None, "minutes": 300}
    assert told["as_of"] is not None
    assert told["credits"] is None


async def test_limits_are_fetched_once_a_minute_at_most() -> None:
    async with door(Simulator()) as server:
        first = await server.reply(change("/status/limits"))
        again = await server.reply(change("/status/limits"))
    assert first.json["windows"]
    assert again.json == first.json


async def test_what_the_page_itself_asks_is_not_recorded() -> None:
    async with door(Simulator(), metrics=True) as server:
        for path in ("/healthz", "/metrics", "/openapi.json", "/status.json"):
            await server.reply(get(path))
        await server.reply(change("/status/limits"))
        told = await status(server)
    assert (told["running"], told["recent"]) == ([], [])


async def test_no_more_than_the_newest_two_hundred_are_kept() -> None:
    async with door(Simulator()) as server, raw.connect(server.port) as connection:
        for number in range(201):
            await connection.send(get("/v1/files", f"X-Request-Id: r{number}"))
            await connection.reply()
        names = [entry["request_id"] for entry in (await status(server))["recent"]]
    assert names == [f"r{number}" for number in range(200, 0, -1)]


class Counting(RequestRecord):
    """A record whose changes are counted."""

    def __init__(self) -> None:
        super().__init__()
        self.changes: list[str] = []

    def begin(self, entry: Any) -> None:
        self.changes.append("begin")
        super().begin(entry)

    def end(self, entry: Any) -> None:
        self.changes.append("end")
        super().end(entry)


async def test_a_request_costs_one_entry_whatever_the_length_of_its_answer() -> None:
    async with door(Simulator()) as server:
        record = server.app.state.reports.record = Counting()
        await server.reply(post(CHAT, chat("[[long 500]]", stream=True)))
        await server.reply(post(CHAT, chat("hi")))
        assert record.changes == ["begin", "end"] * 2
        assert len(list(record.recent())) == 2


@pytest.mark.parametrize("path", [CHAT, RESPONSES, MESSAGES])
@pytest.mark.parametrize("streamed", [True, False], ids=["stream", "whole"])
async def test_a_running_request_is_shown_and_can_be_stopped(path: str, streamed: bool) -> None:
    body = {**ASKED[path], "stream": streamed}
    backend = Stream()
    async with door(backend) as server, raw.connect(server.port) as connection:
        await connection.send(post(path, body, "X-Request-Id: mine", "User-Agent: curl/8.5.0"))
        await backend.reached.wait()
        backend.send(CREATED, DELTA)
        head = await connection.head() if streamed else None
        entry = await running(server)
        assert set(entry) == HEAD | {"seconds", "events", "stoppable"}
        assert (entry["request_id"], entry["program"]) == ("mine", "curl 8.5.0")
        assert (entry["model"], entry["stoppable"]) == (MODEL, True)
        if streamed:
            assert entry["events"] == 2
        told = await server.reply(change("/status/requests/mine/stop"))
        assert told.json == {"request_id": "mine", "stopped": True}
        if head is None:
            reply = await connection.reply()
            assert reply.status == 499
            assert reply.headers["x-should-retry"] == "false"
            text = reply.body.decode()
        else:
            text = b"".join([piece async for piece in connection.pieces()]).decode()
        assert "stopped this request" in text
        await backend.closed.wait()
        after = await status(server)
    assert after["running"] == []
    assert [one["code"] for one in after["recent"]] == ["stopped"]


async def test_a_create_of_a_websocket_is_stopped_and_the_next_one_works() -> None:
    backend = Simulator()
    async with door(backend) as server, client(server.port) as socket:
        await socket.send(create("[[long 100000]]"), create("[[say hello]]"))
        assert (await socket.event())["type"] == "response.created"
        entry = await running(server)
        assert (entry["method"], entry["route"]) == ("WS", RESPONSES)
        await server.reply(change(f"/status/requests/{entry['request_id']}/stop"))
        (*_, last) = await socket.rest()
        assert last["error"]["code"] == "stopped"
        (*_, last) = await socket.rest()
        assert last["type"] == "response.completed"
        codes = [one["code"] for one in (await status(server))["recent"] if one["method"] == "WS"]
    assert codes == [None, "stopped"]


async def test_a_response_in_the_background_runs_on_and_can_be_stopped(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    backend, ends = Stream(), list[str | None]()
    async with door(backend) as server:
        record = server.app.state.reports.record
        end = record.end

        def note(entry: Entry) -> None:
            end(entry)
            ends.append(entry.code)

        monkeypatch.setattr(record, "end", note)
        made = await server.reply(post(RESPONSES, responses(background=True), "X-Request-Id: mine"))
        await backend.reached.wait()
        backend.send(CREATED, DELTA)
        entry = await running(server)
        assert (entry["request_id"], entry["stoppable"]) == ("mine", True)
        assert (await server.reply(change("/status/requests/mine/stop"))).status == 200
        await backend.closed.wait()
        told = await server.reply(get(f"{RESPONSES}/{made.json['id']}"))
        assert told.json["status"] == "cancelled"
        after = await status(server)
    assert after["running"] == []
    assert [one["code"] for one in after["recent"] if one["method"] == "POST"] == ["stopped"]
    assert "stopped" in ends, "it is shown with its code as soon as it has ended"


async def test_a_request_that_is_not_running_cannot_be_stopped() -> None:
    async with door(Simulator()) as server:
        await server.reply(post(CHAT, chat("hi"), "X-Request-Id: mine"))
        reply = await server.reply(change("/status/requests/mine/stop"))
    assert reply.refused(404, "not_found")


FOREIGN = "Origin: http://evil.example"
ALLOWED = "Origin: http://friend.example"


@pytest.mark.parametrize(
    ("request_", "status", "code"),
    [
        (post("/status/limits", {}, FOREIGN), 403, "origin_not_allowed"),
        (post("/status/limits", {}, ALLOWED), 403, "origin_not_allowed"),
        (get("/status.json", ALLOWED), 403, "origin_not_allowed"),
        (post("/status/limits", {}, "Sec-Fetch-Site: cross-site"), 403, "cross_site"),
        (post("/status/limits", {}, "Sec-Fetch-Site: same-site"), 403, "cross_site"),
        (get("/status.json", "Sec-Fetch-Site: cross-site"), 403, "cross_site"),
        (get("/status.json", host="evil.example"), 421, "host_not_allowed"),
        (get("/status/limits"), 405, "method_not_allowed"),
    ],
)
async def test_other_web_pages_can_neither_read_nor_change(
    request_: bytes, status: int, code: str
) -> None:
    async with door(Simulator(), cors=("http://friend.example",)) as server:
        reply = await server.reply(request_)
    assert reply.refused(status, code)


@pytest.mark.parametrize("kind", ["text/plain", "application/x-www-form-urlencoded"])
async def test_a_form_changes_nothing(kind: str) -> None:
    async with door(Simulator()) as server:
        for path in ("/status/limits", "/status/requests/mine/stop"):
            request = post(path, {}).replace(JSON_TYPE.encode(), f"Content-Type: {kind}".encode())
            assert (await server.reply(request)).refused(415, "unsupported_media_type")


async def test_the_page_of_the_server_itself_may_ask() -> None:
    async with door(Simulator()) as server:
        own = f"Origin: http://127.0.0.1:{server.port}"
        request = post(
            "/status/limits",
            {},
            own,
            "Sec-Fetch-Site: same-origin",
            host=f"127.0.0.1:{server.port}",
        )
        assert (await server.reply(request)).status == 200


@pytest.mark.parametrize(
    "settings",
    [{"page": False}, {"host": "0.0.0.0", "api_key": "k"}],
    ids=["--no-page", "beyond loopback"],
)
async def test_there_is_no_status_where_there_is_no_page(settings: dict[str, Any]) -> None:
    async with door(Simulator(), **settings) as server:
        reply = await server.reply(get("/status.json", "Authorization: Bearer k"))
    assert reply.status == 404


async def test_the_status_needs_the_key_of_the_server() -> None:
    async with door(Simulator(), api_key="k", host="0.0.0.0", page=True) as server:
        assert (await server.reply(get("/status.json"))).refused(401, "invalid_api_key")
        assert (await server.reply(get("/status.json", "Authorization: Bearer k"))).status == 200
