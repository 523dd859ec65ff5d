"""The plan of the login, its account, and the way to its token endpoint."""

from __future__ import annotations

from copy import deepcopy
from pathlib import Path
from typing import Any

import pytest
from tests.engine.clients import EXP, TEXT, codex
from tests.faulty import (
    FaultyBackend,
    Script,
    TokenEndpoint,
    stream,
    whole,
)
from tests.logins import ACCOUNT, auth_json, write_login
from tests.wire_files import table, wire

from codexapi_engine import request
from codexapi_engine.client import Codex
from codexapi_engine.errors import (
    LoginExpired,
    NotLoggedIn,
    RefreshUnavailable,
)
from codexapi_engine.login.store import InMemory
from codexapi_engine.protocol import limits
from codexapi_engine.settings import Settings

# The plan


async def test_the_limits_are_learnt_from_every_answer_that_tells_them() -> None:
    told: Script = [
        stream(
            wire("text"),
            x_codex_plan_type="pro",
            x_codex_primary_used_percent="42.5",
            x_codex_primary_window_minutes="300",
            x_codex_primary_reset_at="1795400000",
        )
    ]
    async with codex([told, TEXT]) as (opened, _):
        assert opened.limits is None
        for _ in range(2):
            await opened.respond(request("x", model="m"))
            assert opened.limits is not None
            assert opened.limits.plan == "pro"
            assert opened.limits.primary is not None
            assert opened.limits.primary.used_percent == 42.5
            assert opened.limits.primary.minutes == 300


async def test_a_stream_has_the_limits_of_its_own_answer() -> None:
    told: Script = [stream(wire("text"), x_codex_primary_used_percent="42.5")]
    async with codex([told, TEXT]) as (opened, _):
        async with await opened.open(request("x", model="m")) as first:
            assert first.limits == limits.from_headers(first.headers) == opened.limits
            assert first.limits.primary is not None
        async with await opened.open(request("x", model="m")) as second:
            assert second.limits == limits.UNTOLD


async def test_a_request_is_left_as_it_was() -> None:
    given = {**request("x", model="m"), "include": ["file_search_call.results"], "reasoning": {}}
    before = deepcopy(given)
    async with codex() as (opened, _):
        await opened.respond(given)
    assert given == before


async def test_the_plan_is_asked_of_the_usage_endpoint_beside_the_backend() -> None:
    async with codex() as (opened, backend):
        plan = await opened.plan()
        assert plan.plan == table("usage")["plan_type"]
        assert plan.primary is not None
        window = table("usage")["rate_limit"]["primary_window"]
        assert plan.primary.used_percent == window["used_percent"]
        assert plan.primary.minutes == window["limit_window_seconds"] // 60
    assert backend.requests[0].headers["authorization"].startswith("Bearer ")
    assert backend.requests[0].headers["chatgpt-account-id"] == ACCOUNT


@pytest.mark.parametrize("usage", [{}, {"rate_limit": None}, {"rate_limit": {}}])
async def test_a_plan_that_tells_nothing_is_empty(usage: dict[str, Any]) -> None:
    async with codex(usage=[[whole(200, usage)]]) as (opened, _):
        plan = await opened.plan()
        assert (plan.plan, plan.primary, plan.secondary) == (None, None, None)


# The login


@pytest.mark.parametrize(
    ("data", "problem"),
    [
        (auth_json(exp=EXP), None),
        (auth_json(exp=1.0), None),  # it can be renewed
        (auth_json(exp=1.0, refresh=None), LoginExpired),
        (b"{}", NotLoggedIn),
    ],
)
async def test_what_is_wrong_with_the_login_is_known_without_asking(
    data: bytes, problem: type[Exception] | None
) -> None:
    async with codex(data=data) as (opened, backend):
        found = await opened.login_problem()
        assert type(found) is (problem or type(None))
        assert backend.requests == []


async def test_the_login_of_codex_home_is_used_and_seen_as_soon_as_it_is_there(
    tmp_path: Path,
) -> None:
    async with FaultyBackend(otherwise=TEXT) as backend:
        settings = Settings(base_url=backend.url, codex_home=tmp_path)
        async with Codex(settings) as opened:
            with pytest.raises(NotLoggedIn):
                await opened.respond(request("x", model="m"))
            write_login(tmp_path, auth_json(exp=EXP))
            assert (await opened.credentials()).account_id == ACCOUNT
            await opened.respond(request("x", model="m"))
        assert len(backend.requests) == 1


def test_nothing_of_a_codex_tells_a_token() -> None:
    opened = Codex(Settings(base_url="http://127.0.0.1:9"), store=InMemory(auth_json()))
    for thing in (opened, opened.login, opened.settings):
        assert "canary" not in repr(thing)


# The road to the token endpoint


async def test_the_way_to_the_token_endpoint_is_that_of_its_own_host(tmp_path: Path) -> None:
    """This login was issued on this machine, and no proxy stands in between: not even one that
    stands before auth.openai.com."""
    endpoint = TokenEndpoint(exp=EXP)
    async with (
        FaultyBackend([endpoint]) as issuer,
        FaultyBackend(otherwise=[whole(200, {})]) as backend,
        FaultyBackend(otherwise=[whole(502, {})]) as proxy,
    ):
        write_login(tmp_path, auth_json(exp=1, issued=None, provenance={"issuer": issuer.url}))
        settings = Settings(codex_home=tmp_path, base_url=backend.url, proxy=proxy.url)
        async with Codex(settings) as opened:
            await opened.plan()
    assert (issuer.requests[0].target, endpoint.granted) == ("/oauth/token", 1)
    assert proxy.requests == []


async def test_the_proxy_is_asked_for_a_token_endpoint_that_is_elsewhere(tmp_path: Path) -> None:
    async with FaultyBackend(otherwise=[whole(502, {})]) as proxy:
        issuer = "https://login.invalid"
        write_login(tmp_path, auth_json(exp=1, issued=None, provenance={"issuer": issuer}))
        settings = Settings(
            codex_home=tmp_path, base_url="http://127.0.0.1:9", proxy=proxy.url,
            no_proxy=("auth.openai.com",),
        )  # fmt: skip
        async with Codex(settings) as opened:
            with pytest.raises(RefreshUnavailable):
                await opened.plan()
    assert [(r.method, r.target) for r in proxy.requests] == [("CONNECT", "login.invalid:443")]
