"""A state file whose rows hold anything at all: what is none of ours does not exist."""

from __future__ import annotations

import asyncio
import sqlite3
import sys
from collections.abc import AsyncGenerator, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tests.http_server import forms
from tests.http_server.doors import Answer, chat, encoded, responses
from tests.http_server.raw import get, head, post
from tests.http_server.test_stored_locked import served
from tests.odd_files import KINDS, put_odd_file

from codexapi_engine import Unavailable
from codexapi_engine.protocol import json
from codexapi_engine.simulator import Simulator
from codexapi_engine.storage import Owner, State

KEPT = {
    "response": {
        "response": {
            "id": "a", "object": "response", "status": "completed", "model": "m", "created_at": 1,
            "background": True, "previous_response_id": "b", "metadata": {},
            "output": [{
                "type": "message", "id": "msg_1", "role": "assistant", "status": "completed",
                "content": [{"type": "output_text", "text": "x", "annotations": []}],
            }],
        },
        "input": [{
            "type": "message", "id": "msg_2", "role": "user",
            "content": [{"type": "input_text", "text": "x"}],
        }],
        "account": "", "model": "m", "events": "data: {}\n\n", "server": "server_1",
    },
    "conversation": {
        "created_at": 1, "metadata": {}, "written_by": {"a": "m"}, "accounts": {"a": "x"},
        "items": [{"type": "message", "id": "a", "role": "user", "content": []}],
    },
    "chat": {
        "completion": {"id": "a", "model": "m", "metadata": {"a": "b"}, "choices": []},
        "messages": [{"role": "user", "content": "x"}],
    },
    "file": {
        "id": "a", "name": "a.txt", "size": 2, "media_type": "text/plain", "purpose": "vision",
        "created": 1, "expires": None, "account": Owner.of(Simulator().account_id, "").account,
    },
    "server": {"at": 1},
}  # fmt: skip
"""A row of each kind, as we write it."""

FILE_INPUT = [{"role": "user", "content": [{"type": "input_file", "file_id": "a"}]}]

ANYTHING = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.sampled_from(["", "a", "completed", "queued", "message", "reasoning", "user"])
    | st.text(max_size=3),
    lambda inside: (
        st.lists(inside, max_size=2)
        | st.dictionaries(
            st.sampled_from(["id", "type", "role", "content", "output", "status", "a", "text"]),
            inside,
            max_size=3,
        )
    ),
    max_leaves=6,
)


def places(value: Any, at: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """Where something stands in a value, by the keys that lead there."""
    inside: Any = value.items() if isinstance(value, dict) else ()
    inside = enumerate(value) if isinstance(value, list) else inside
    return [at, *(place for key, member in inside for place in places(member, (*at, key)))]


def replaced(value: Any, at: tuple[Any, ...], other: Any) -> Any:
    """The value with another one in that place."""
    if not at:
        return other
    pairs = value.items() if isinstance(value, dict) else enumerate(value)
    made = {key: replaced(one, at[1:], other) if key == at[0] else one for key, one in pairs}
    return made if isinstance(value, dict) else list(made.values())


@st.composite
def row_values(draw: st.DrawFn, kind: str) -> Any:
    """What may stand in a row of a kind: one of ours with a part exchanged, or anything."""
    value = KEPT[kind]
    for _ in range(draw(st.integers(0, 2))):
        value = replaced(value, draw(st.sampled_from(places(value))), draw(ANYTHING))
    data = json.dumps(value)
    return draw(
        st.just(data) | st.just(data) | st.just(data.decode()) | st.binary() | st.integers(0, 9)
    )


@st.composite
def row_lists(draw: st.DrawFn) -> list[tuple[str, Any, Any, Any]]:
    """Rows of all kinds: kind, id, bytes, value."""
    rows = []
    for kind in KEPT:
        for name in ("a", "b", draw(st.sampled_from([b"\xff", "\udc80".encode(errors="replace")]))):
            size = draw(st.sampled_from([1, -1, 2**62, 9e999, "x"]))
            rows.append((kind, name, size, draw(row_values(kind))))
    return rows


def walk() -> list[bytes]:
    """A request to every route that reads or changes a stored thing."""
    requests = []
    for path in ("/v1/responses", "/v1/conversations", "/v1/chat/completions"):
        for name in ("a", "b"):
            requests += [get(f"{path}/{name}"), get(f"{path}/{name}?stream=true")]
    more = ("responses/a/input_items", "conversations/a/items", "conversations/a/items/a")
    requests += [get(f"/v1/{path}") for path in more]
    requests += [
        get("/v1/chat/completions?metadata[a]=b"),
        get("/v1/chat/completions?after=a"),
        get("/v1/chat/completions/a/messages"),
        post("/v1/responses", responses(previous_response_id="a")),
        post("/v1/responses", responses(conversation="a")),
        post(
            "/v1/responses", {**responses(), "input": [{"type": "item_reference", "id": "msg_1"}]}
        ),
        post("/v1/responses/input_tokens", responses(previous_response_id="a")),
        post("/v1/responses/compact", responses(previous_response_id="a")),
        post("/v1/chat/completions", chat(store=True)),
        post("/v1/conversations/a/items", {"items": [{"role": "user", "content": "x"}]}),
        post("/v1/conversations/a", {"metadata": {"a": "c"}}),
        post("/v1/chat/completions/a", {"metadata": {"a": "c"}}),
        get("/v1/files"),
        get("/v1/files", "anthropic-version: x"),
        get("/v1/files/a"),
        get("/v1/files/a", "anthropic-version: x"),
        get("/v1/files/a/content"),
        post("/v1/responses", {**responses(), "input": FILE_INPUT}),
        forms.post(
            "/v1/files", forms.part("purpose", "vision"), forms.part("file", "x", file="x.txt")
        ),
        head("POST /v1/responses/a/cancel", "Host: 127.0.0.1", "Content-Length: 0"),
    ]
    gone = (
        "conversations/a/items/a", "conversations/a", "responses/a", "chat/completions/a",
        "files/a",
    )  # fmt: skip
    return requests + [head(f"DELETE /v1/{path}", "Host: 127.0.0.1") for path in gone]


def write(path: Path, rows: list[tuple[str, Any, Any, Any]]) -> None:
    """Rows, and names for them, as no program of ours writes them."""
    database = sqlite3.connect(path)
    with database:
        database.execute("DELETE FROM objects")
        database.executemany(
            "INSERT OR REPLACE INTO objects (kind, id, bytes, value) VALUES (?, ?, ?, ?)", rows
        )
        database.execute("INSERT INTO names SELECT 'msg_1', number FROM objects")
        database.execute("INSERT INTO contents SELECT number, 'text' FROM objects WHERE id = 'b'")
        database.execute("INSERT INTO contents SELECT number, x'ff' FROM objects WHERE id = 'a'")
        database.execute("INSERT INTO names SELECT x'ff', number FROM objects")
    database.close()


@pytest.mark.timeout(300)
@settings(
    max_examples=settings().max_examples // 4,
    deadline=None,
    print_blob=True,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(rows=row_lists())
def test_no_row_makes_any_route_fail(rows: list[tuple[str, Any, Any, Any]], tmp_path: Path) -> None:
    path = tmp_path / "state.db"
    State(path).close()
    write(path, rows)

    async def story() -> None:
        async with served(path, 5.0) as server:
            for request in walk():
                reply = await server.reply(request)
                # A backend may refuse the items of a chain, which come from the rows.
                assert reply.status < 500, (request, reply)
                assert b"Traceback" not in reply.body

    asyncio.run(story())


@pytest.mark.parametrize("circle", [("a",), ("a", "b"), ("a", "b", "c")])
async def test_a_circle_of_responses_has_an_end_over_restarts_too(
    circle: tuple[str, ...], tmp_path: Path
) -> None:
    path = tmp_path / "state.db"
    State(path).close()
    rows = []
    for name, before in zip(circle, (*circle[1:], circle[0]), strict=True):
        response = {"id": name, "status": "completed", "previous_response_id": before, "output": []}
        value = json.dumps({"response": response, "input": []})
        rows.append(("response", name, len(value), value))
    write(path, rows)
    for _ in "12":
        async with served(path, 5.0) as server:
            reply = await server.reply(post("/v1/responses", responses(previous_response_id="a")))
            assert reply.status == 200
            assert (await server.reply(get("/v1/responses/a"))).status == 200


class SameId:
    """A backend that gives each response one id, as test doubles and gateways do."""

    async def handle(
        self, method: str, target: str, headers: Mapping[str, str], body: bytes
    ) -> Answer:
        async def pieces() -> AsyncGenerator[bytes, None]:
            response = {"id": "resp_fake", "output": []}
            yield encoded({"type": "response.created", "response": response})
            yield encoded({"type": "response.completed", "response": response})

        return 200, {}, pieces()


async def test_a_backend_that_gives_one_id_to_all_stops_nobody(tmp_path: Path) -> None:
    path = tmp_path / "state.db"
    async with served(path, 5.0, SameId()) as server:
        reply = await server.reply(post("/v1/responses", responses()))
        name = reply.json["id"]
        for _ in "123":
            chain = responses(previous_response_id=name)
            reply = await server.reply(post("/v1/responses", chain))
            assert (reply.status, reply.json["id"]) == (200, name)
    async with served(path, 5.0, SameId()) as server:
        reply = await server.reply(post("/v1/responses", responses(previous_response_id=name)))
        assert reply.status == 200


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has none of these")
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("end", ["", "-wal", "-shm", "-journal"])
def test_what_is_no_file_of_the_state_is_a_sentence_or_does_no_harm(
    end: str, kind: str, tmp_path: Path
) -> None:
    path = tmp_path / "state.db"
    put_odd_file(path.with_name(path.name + end), kind)
    with suppress(Unavailable):
        State(path).close()
    if not end:
        with pytest.raises(Unavailable, match="cannot be used"):
            State(path)
