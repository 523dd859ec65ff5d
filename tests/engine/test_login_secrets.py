"""Law 7: no token leaves a login but to whom it is for."""

from __future__ import annotations

import json
import logging
import traceback
from pathlib import Path

import httpx
import pytest
from tests.engine.login_worlds import EXPIRED, FAILED, Answer, World, world
from tests.faulty import REUSED, FaultyBackend, TokenEndpoint, whole
from tests.logins import DAY, NOW, access_token, auth_json, write_login
from tests.virtual_time import hurried

from codexapi_engine.errors import (
    AuthError,
    CodexError,
)
from codexapi_engine.http.client import Transport
from codexapi_engine.http.messages import HttpTransport
from codexapi_engine.http.over_httpx import over_httpx
from codexapi_engine.login.file_store import CodexFile
from codexapi_engine.login.refresh import Login
from codexapi_engine.login.store import InMemory
from codexapi_engine.settings import Settings


def test_no_token_leaves_in_logs_errors_or_reprs(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    write_login(tmp_path, EXPIRED)
    said: list[str] = []

    async def story() -> None:
        failures: list[Answer] = [FAILED, (401, REUSED), (200, b"canary")]
        for failure in (*failures, None):
            there = World(CodexFile(tmp_path))
            there.answers = [failure] if failure else []
            there.refuses = lambda access: True
            try:
                await there.ask()
            except CodexError as error:
                said.extend([str(error), repr(error), json.dumps(error.body())])
                said.append("".join(traceback.format_exception(error)))
            login = await CodexFile(tmp_path).load()
            said.extend([repr(login), repr(login.credentials), str(there.login)])

    hurried(story())
    said.append(caplog.text)
    tokens = [access_token(NOW - 10), access_token(NOW + DAY, "4"), "canary-refresh"]
    for text in said:
        for token in [*tokens, *(token.split(".")[1] for token in tokens[:2])]:
            assert token not in text


async def test_no_token_is_logged_on_a_real_connection(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    async with (
        FaultyBackend([TokenEndpoint(exp=NOW + DAY)]) as tokens,
        FaultyBackend([whole(401, {})], [whole(200, {})]) as backend,
    ):
        settings = Settings(base_url=backend.url, token_url=tokens.url)

        def way(url: str) -> HttpTransport:  # as through a proxy
            return over_httpx(httpx.AsyncHTTPTransport(trust_env=False))

        login = Login(InMemory(auth_json()), way, token_url=tokens.url, clock=lambda: NOW)
        transport = Transport(settings, login, http=way(backend.url))
        await transport.fetch("/models")
        assert len(backend.requests) == 2
        await transport.aclose()
    assert "send_request_headers" in caplog.text, "the deepest log is what this is about"
    for secret in (access_token(NOW + DAY), access_token(NOW + DAY, "1"), "canary-refresh"):
        assert secret not in caplog.text


async def test_an_error_of_the_login_is_an_auth_error_or_a_503() -> None:
    there = world(b"{}")
    with pytest.raises(AuthError):
        await there.ask()
    assert there.asked == []
