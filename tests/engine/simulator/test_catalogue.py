"""Models, usage and accounts of the simulated backend."""

from __future__ import annotations

import json

import pytest
from tests.clock import Clock
from tests.engine.simulator.exchanges import NOW, ask, listed, send, signed

from codexapi_engine.simulator import Simulator
from codexapi_engine.simulator.backend import catalogue


@pytest.mark.parametrize(
    ("version", "count"),
    [
        ("0.7.5", 0),
        ("0.100.0", 1),
        ("0.124.0", 2),
        ("0.144.0", 7),
        ("0.165.0", 12),
        ("0.171.0", 14),
    ],
)
async def test_the_version_decides_what_is_listed(version: str, count: int) -> None:
    answer = await send(Simulator(), "GET", listed(version))
    assert len(answer.json["models"]) == count


async def test_without_a_version_nothing_is_listed() -> None:
    answer = await send(Simulator(), "GET", "/backend-api/codex/models")
    assert answer.status == 400


async def test_the_list_has_an_etag_that_streams_repeat() -> None:
    simulator = Simulator()
    first = await send(simulator, "GET", listed("0.169.0"))
    etag = first.headers["etag"]
    headers = signed(simulator, if_none_match=etag)
    again = await send(simulator, "GET", listed("0.169.0"), headers=headers)
    assert (again.status, again.body) == (304, b"")
    other = await send(simulator, "GET", listed("0.144.0"), headers=headers)
    assert other.status == 200
    assert (await ask(by=simulator)).headers["x-models-etag"] == etag


async def test_the_models_can_be_others() -> None:
    simulator = Simulator(models=[{"slug": "gpt-mine"}])
    assert (await ask(by=simulator, model="gpt-mine")).status == 200
    assert (await ask(by=simulator)).status == 400


def test_the_catalogue_has_what_the_official_client_needs() -> None:
    needed = {
        "slug", "display_name", "supported_reasoning_levels", "shell_type", "visibility",
        "supported_in_api", "priority", "support_verbosity", "truncation_policy",
        "experimental_supported_tools",
    }  # fmt: skip
    for model in catalogue():
        assert needed <= set(model)
        assert isinstance(model["model_messages"]["instructions_template"], str)
    assert "<" not in json.dumps(catalogue())  # `<long text removed>`


def test_the_catalogue_begins_with_the_official_clients_default() -> None:
    first = catalogue()[0]
    assert (first["slug"], first["default_reasoning_level"]) == ("gpt-6.2-sol", "low")
    assert [model["priority"] for model in catalogue()] == [*range(1, 14), 43]
    assert "allow_only_codex_cloud_agent_orchestrator" in first


@pytest.mark.parametrize("path", ["/backend-api/wham/usage", "/api/codex/usage"])
async def test_the_usage_endpoint_tells_both_windows(path: str) -> None:
    limit = (await send(Simulator(clock=Clock(NOW)), "GET", path)).json["rate_limit"]
    assert limit["primary_window"]["limit_window_seconds"] == 18_000
    assert limit["secondary_window"]["limit_window_seconds"] == 604_800
    assert (
        limit["primary_window"]["reset_at"] == NOW + limit["primary_window"]["reset_after_seconds"]
    )


async def test_the_accounts_are_checked_without_a_constraint() -> None:
    simulator = Simulator()
    told = (await send(simulator, "GET", "/backend-api/wham/accounts/check")).json
    assert told["default_account_id"] == simulator.account_id
    assert told["accounts"][0]["workspace_backend_origin"] == "NO_CONSTRAINT"
