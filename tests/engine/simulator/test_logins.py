"""Who may ask the simulated backend, and its token endpoint."""

from __future__ import annotations

import json

import pytest
from tests.clock import Clock
from tests.engine.simulator.exchanges import NOW, RESPONSES, JsonObject, body, redeem, send, signed

from codexapi_engine.simulator import Simulator
from codexapi_engine.simulator.refusals import REFUSALS

GOOD: dict[str, str] = {}


@pytest.mark.parametrize(
    ("headers", "said"),
    [
        ({"authorization": ""}, "unauthorized_detail"),
        ({"authorization": "Basic abc"}, "unauthorized_detail"),
        ({"authorization": "Bearer wrong"}, "token_invalidated"),
        ({"chatgpt-account-id": ""}, "unauthorized_detail"),
        ({"chatgpt-account-id": "acct-other"}, "unauthorized_detail"),
    ],
)
@pytest.mark.parametrize(
    ("method", "target"),
    [
        ("POST", RESPONSES),
        ("GET", "/backend-api/codex/models?client_version=0.169.0"),
        ("GET", "/backend-api/wham/usage"),
        ("GET", "/backend-api/wham/accounts/check"),
        ("POST", "/backend-api/codex/images/generations"),
        ("POST", "/backend-api/codex/images/edits"),
        ("POST", "/backend-api/codex/alpha/search"),
    ],
)
async def test_a_wrong_login_fails_everywhere(
    method: str, target: str, headers: dict[str, str], said: str
) -> None:
    simulator = Simulator(clock=Clock(NOW))
    answer = await send(simulator, method, target, body(), {**signed(simulator), **headers})
    assert (answer.status, answer.json) == (401, REFUSALS[said].body)


async def test_an_access_token_dies_at_its_hour() -> None:
    clock = Clock(NOW)
    simulator = Simulator(token_lifetime=100, clock=clock)
    headers = signed(simulator)
    clock.now += 99
    assert (await send(simulator, "POST", RESPONSES, body(), headers)).status == 200
    clock.now += 1
    answer = await send(simulator, "POST", RESPONSES, body(), headers)
    assert (answer.status, answer.json) == (401, REFUSALS["token_expired"].body)


async def test_another_simulators_login_is_worth_nothing() -> None:
    answer = await send(Simulator(seed=1), "POST", RESPONSES, body(), signed(Simulator(seed=2)))
    assert answer.status == 401


async def test_invalidated_tokens_fail_and_can_be_renewed() -> None:
    simulator = Simulator()
    refresh = json.loads(simulator.login())["tokens"]["refresh_token"]
    headers = signed(simulator)
    simulator.accounts.invalidate()
    answer = await send(simulator, "POST", RESPONSES, body(), headers)
    assert answer.json == REFUSALS["token_invalidated"].body
    assert (await redeem(simulator, refresh)).status == 200


def test_login_is_written_as_the_official_client_writes_it() -> None:
    simulator = Simulator(clock=Clock(NOW))
    text = simulator.login().decode()
    login = json.loads(text)
    assert text == json.dumps(login, indent=2)
    assert list(login) == ["auth_mode", "OPENAI_API_KEY", "tokens", "last_refresh"]
    assert (login["auth_mode"], login["OPENAI_API_KEY"]) == ("chatgpt", None)
    assert set(login["tokens"]) == {"id_token", "access_token", "refresh_token", "account_id"}
    assert login["tokens"]["account_id"].startswith("acct-simulated-")
    assert login["tokens"]["access_token"].endswith(".simulated")


@pytest.mark.parametrize("form", [False, True])
async def test_a_refresh_token_is_good_once(form: bool) -> None:
    simulator = Simulator(token_lifetime=500, clock=Clock(NOW))
    token = json.loads(simulator.login())["tokens"]["refresh_token"]
    first = await redeem(simulator, token, form=form)
    assert first.status == 200
    assert first.json["expires_in"] == 500
    assert first.json["refresh_token"] != token
    again = await redeem(simulator, token, form=form)
    assert (again.status, again.json) == (401, REFUSALS["refresh_token_reused"].body)
    assert (simulator.refreshes, simulator.refused_refreshes) == (1, 1)
    headers = {**signed(simulator), "authorization": f"Bearer {first.json['access_token']}"}
    assert (await send(simulator, "POST", RESPONSES, body(), headers)).status == 200
    assert (await redeem(simulator, first.json["refresh_token"])).status == 200


@pytest.mark.parametrize(
    ("changes", "status", "said"),
    [
        ({"refresh_token": "rt_other"}, 401, REFUSALS["refresh_token_invalidated"].body),
        ({"grant_type": "password"}, 400, "unsupported_grant_type"),
        ({"client_id": "app_other"}, 400, "invalid_client"),
    ],
)
async def test_the_token_endpoint_refuses_what_it_did_not_issue(
    changes: JsonObject, status: int, said: JsonObject | str
) -> None:
    simulator = Simulator()
    token = json.loads(simulator.login())["tokens"]["refresh_token"]
    answer = await redeem(simulator, token, **changes)
    assert answer.status == status
    assert said in (answer.json, answer.json["error"])
    assert (simulator.refreshes, simulator.refused_refreshes) == (0, 1)
