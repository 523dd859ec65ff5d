"""`codexapi doctor --online`: each belief of `docs/backend.md` that one small request settles."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Any

from tests.cli.shell import run
from tests.faulty import FaultyBackend, Script, by_path, stream, whole
from tests.logins import auth_json, write_login
from tests.wire_files import table

from codexapi_cli.beliefs import BELIEFS
from codexapi_engine.protocol.sse import encode

ACCEPTED = {"classic-shape", "own-name", "no-routing"}
"""What an answer shows, whatever is in it."""

ITEM = {"type": "message", "id": "msg_1", "role": "assistant", "content": []}
THOUGHT = {"type": "reasoning", "id": "rs_1", "summary": []}
OTHER: list[dict[str, Any]] = [
    {"type": "response.created", "response": {"id": "resp_1"}},
    {"type": "response.output_item.added", "output_index": 0, "item": ITEM},
    {"type": "response.output_item.added", "output_index": 2, "item": ITEM},
    {"type": "response.output_text.delta", "output_index": 0, "delta": "ok"},
    {"type": "response.output_item.done", "output_index": 0, "item": ITEM},
    {"type": "response.output_item.done", "output_index": 1, "item": THOUGHT},
    {"type": "response.completed", "response": {"output": [ITEM], "usage": {"total_tokens": 1}}},
]
"""A stream that is good, and unlike all that we believe."""


def rows(text: str) -> dict[str, tuple[str, str]]:
    """State and text of each belief's row."""
    names = {belief.name for belief in BELIEFS}
    findings = json.loads(text)["findings"]
    return {one["name"]: (one["state"], one["told"]) for one in findings if one["name"] in names}


async def report(backend: FaultyBackend, home: Path) -> dict[str, tuple[str, str]]:
    write_login(home, auth_json(exp=4e9))
    async with backend:
        env = {"CODEX_HOME": str(home), "CODEXAPI_BASE_URL": f"{backend.url}/x"}
        done = await asyncio.to_thread(run, "doctor", "--online", "--json", env=env)
    return rows(done.stdout)


def test_each_belief_holds_for_the_simulated_backend() -> None:
    done = run("doctor", "--online", "--demo", "--json")
    assert rows(done.stdout) == {belief.name: ("ok", belief.text) for belief in BELIEFS}


async def test_a_belief_that_does_not_hold_is_a_warning(tmp_path: Path) -> None:
    listing, plan = table("models"), {**table("usage"), "plan_type": "free"}
    listing["models"][0]["minimal_client_version"] = "9.0.0"
    headers = {
        "content_type": "text/event-stream", "openai_model": "gpt-other", "x_models_etag": "two",
        "x_codex_plan_type": "pro",
    }  # fmt: skip
    data = b"".join(encode(event, event["type"]) for event in OTHER)
    paths: dict[str, list[Script]] = {
        "/x/models": [[whole(200, listing, etag="one")]],
        "/api/codex/usage": [[whole(200, plan)]],
        "/x/responses": [[stream(data, **headers)]],
    }
    told = await report(FaultyBackend(otherwise=[by_path(paths)]), tmp_path)
    assert {name for name, (state, _) in told.items() if state == "ok"} == {
        *ACCEPTED,
        "plain-stream",
    }
    wrong = told.keys() - ACCEPTED - {"plain-stream"}
    assert {told[name][0] for name in wrong} == {"warning"}
    assert all(told[name][1].startswith("does not hold: ") for name in wrong)


async def test_a_compressed_stream_is_named_though_it_is_refused(tmp_path: Path) -> None:
    paths: dict[str, list[Script]] = {
        "/x/models": [[whole(200, table("models"))]],
        "/api/codex/usage": [[whole(200, table("usage"))]],
        "/x/responses": [[stream(b"x", content_encoding="gzip")]],
    }
    told = await report(FaultyBackend(otherwise=[by_path(paths)]), tmp_path)
    assert told["plain-stream"][0] == "warning"
    assert told["classic-shape"][0] == "unknown"


async def test_without_an_answer_no_belief_is_settled(tmp_path: Path) -> None:
    told = await report(FaultyBackend(otherwise=[whole(400, {"detail": "no"})]), tmp_path)
    assert told == {belief.name: ("unknown", f"not settled: {belief.text}") for belief in BELIEFS}
