"""Logins that are no good: each is a 401 with its own code, and over as soon as the file is good."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from tests import unix
from tests.http_server.doors import door, responses
from tests.http_server.raw import get, post
from tests.logins import auth_json, write_login

from codexapi_engine.login.file_store import CodexFile
from codexapi_engine.simulator import Simulator

pytestmark = [pytest.mark.asyncio(loop_scope="module"), pytest.mark.timeout(60)]

GOOD = Simulator().login()
Spoil = Callable[[Path], object]


def of(data: bytes) -> Spoil:
    return lambda path: write_login(path.parent, data)


def tokens(**changes: object) -> Spoil:
    content = json.loads(GOOD)
    return of(json.dumps({**content, "tokens": {**content["tokens"], **changes}}).encode())


def vast(path: Path) -> None:
    with path.open("wb") as file:
        file.truncate(100_000_000)


def locked(path: Path) -> None:
    path.write_bytes(GOOD)
    path.chmod(0)


STATES: dict[str, tuple[Spoil, str]] = {
    "missing": (lambda path: None, "auth_file_not_found"),
    "empty": (of(b""), "auth_file_invalid"),
    "half": (of(GOOD[: len(GOOD) // 2]), "auth_file_invalid"),
    "not JSON": (of(b"nonsense"), "auth_file_invalid"),
    "not UTF-8": (of(b'{"tokens": "\xff\xfe"}'), "auth_file_invalid"),
    "an array": (of(b"[]"), "auth_file_invalid"),
    "nested deep": (of(b"[" * 100_000), "auth_file_invalid"),
    "a line break in the token": (tokens(access_token="a\r\nX: y"), "auth_file_invalid"),
    "an API key": (
        of(b'{"auth_mode": "apikey", "OPENAI_API_KEY": "sk-none", "tokens": null}'),
        "no_chatgpt_tokens",
    ),
    "an API key without a mode": (of(b'{"OPENAI_API_KEY": "sk-none"}'), "no_chatgpt_tokens"),
    "no tokens": (of(b'{"auth_mode": "chatgpt", "tokens": null}'), "no_chatgpt_tokens"),
    "no access token": (tokens(access_token=""), "no_chatgpt_tokens"),
    "a folder": (Path.mkdir, "auth_file_unreadable"),
    "a pipe": (unix.make_fifo, "auth_file_unreadable"),
    "100 MB": (vast, "auth_file_unreadable"),
    "not ours to read": (locked, "auth_file_unreadable"),
    "expired for good": (of(auth_json(issued=0, exp=1000, refresh=None)), "login_expired"),
    "of nobody": (of(auth_json(exp=4_000_000_000)), "refresh_token_invalidated"),
}


async def test_each_bad_login_has_a_code_and_a_good_one_ends_it(tmp_path: Path) -> None:
    """All at once: a file that may be half written is waited for."""
    skipped = {"not ours to read"} if unix.is_root() else set()
    kept = [name for name in STATES if name not in skipped]
    wrong = await asyncio.gather(*(ruin(tmp_path, name) for name in kept))
    assert dict(zip(kept, wrong, strict=True)) == dict.fromkeys(kept)


async def ruin(folder: Path, name: str) -> str | None:
    """What was wrong with the answers in one bad state."""
    spoil, code = STATES[name]
    home = folder / name.replace(" ", "_")
    home.mkdir()
    path, backend = home / "auth.json", Simulator()
    spoil(path)
    async with door(backend, store=CodexFile(home)) as server:
        for request in (post("/v1/responses", responses()), get("/v1/models")):
            reply = await server.reply(request)
            if (reply.status, reply.error["code"]) != (401, code):
                return f"{reply}"
            assert reply.error["type"] == "authentication_error"
            assert "codex login" in reply.error["message"]
            assert reply.headers["x-should-retry"] == "false"
            assert "sk-none" not in reply.error["message"]
        if path.exists():
            path.rename(home / "old")
        write_login(home, backend.login())
        reply = await server.reply(post("/v1/responses", responses()))
        return None if reply.status == 200 else f"still bad: {reply}"


async def test_login_about_to_expire_is_renewed_before_it_is_used(tmp_path: Path) -> None:
    backend = Simulator(token_lifetime=3600)
    before = backend.login()
    path = write_login(tmp_path, before)
    now = time.time() + 3600 - 30
    async with door(backend, store=CodexFile(path.parent), clock=lambda: now) as server:
        reply = await server.reply(post("/v1/responses", responses()))
        assert reply.status == 200, reply
        await server.reply(post("/v1/responses", responses()))
    asked = [request.path for request in backend.requests]
    assert asked == ["/oauth/token", "/responses", "/responses"]
    assert refresh_token(path.read_bytes()) != refresh_token(before)
    assert (backend.refreshes, backend.refused_refreshes) == (1, 0)


def refresh_token(login: bytes) -> str:
    return str(json.loads(login)["tokens"]["refresh_token"])


async def test_refused_login_is_renewed_once_and_its_request_served() -> None:
    backend = Simulator()
    async with door(backend) as server:
        backend.accounts.invalidate()
        replies = await asyncio.gather(
            *(server.reply(post("/v1/responses", responses())) for _ in range(8))
        )
    assert [reply.status for reply in replies] == [200] * 8
    assert (backend.refreshes, backend.refused_refreshes) == (1, 0)


async def test_login_that_is_refused_whatever_is_done_is_final() -> None:
    backend = Simulator()
    async with door(backend) as server:
        for _ in range(3):
            reply = await server.reply(post("/v1/responses", responses("[[status token_revoked]]")))
            reply.refused(401, "codex_token_rejected")
    assert backend.refreshes <= 1, "a fresh token is not renewed again"
