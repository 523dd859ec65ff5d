from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from copy import deepcopy
from pathlib import Path
from typing import Any

import pytest
from tests.faulty import (
    FIN,
    HOLD,
    FaultyBackend,
    Script,
    Step,
    TokenEndpoint,
    by_path,
    chunk,
    head,
    stream,
    whole,
)
from tests.logins import ACCOUNT, access_token, auth_json, write_login
from tests.virtual_time import hurried
from tests.wire_files import table, wire

from codexapi_engine import request, text_of, user
from codexapi_engine.client import Codex
from codexapi_engine.errors import (
    BackendError,
    ContentRefused,
    InvalidRequest,
    LoginExpired,
    ModelNotFound,
    NotLoggedIn,
    RefreshUnavailable,
    StreamInterrupted,
    UsageLimitReached,
)
from codexapi_engine.http.in_process import in_process
from codexapi_engine.login.store import InMemory
from codexapi_engine.protocol import limits
from codexapi_engine.protocol.headers import CLIENT_VERSION
from codexapi_engine.settings import Settings
from codexapi_engine.simulator import Simulator
from codexapi_engine.simulator.backend import Reply
from codexapi_engine.storage import Owner

EXP = 4_000_000_000.0  # in 2096
BASE = "/backend-api/codex"
TEXT: Script = [stream(wire("text"))]
CATALOGUE: Script = [whole(200, table("models"), etag='W/"one"')]
UNCHANGED: Script = [whole(304, etag='W/"one"')]
NO_MODEL: Script = [
    whole(404, {"error": {"code": "model_not_found", "message": "Model not found"}})
]


@asynccontextmanager
async def codex(
    responses: list[Script] | None = None,
    models: list[Script] | None = None,
    usage: list[Script] | None = None,
    *,
    data: bytes | None = None,
    **settings: Any,
) -> AsyncIterator[tuple[Codex, FaultyBackend]]:
    """A Codex and a backend with scripts for its three endpoints."""
    paths = {
        f"{BASE}/responses": responses or [TEXT],
        f"{BASE}/models": models or [CATALOGUE],
        "/backend-api/wham/usage": usage or [[whole(200, table("usage"))]],
    }
    async with FaultyBackend(otherwise=[by_path(paths)]) as backend:
        chosen = Settings(base_url=backend.url + BASE, **settings)
        async with Codex(chosen, store=InMemory(data or auth_json(exp=EXP))) as opened:
            yield opened, backend


def asked_for(backend: FaultyBackend, path: str) -> list[Any]:
    return [r for r in backend.requests if r.target.partition("?")[0].endswith(path)]


# Responses


async def test_a_response_is_folded_from_its_stream() -> None:
    async with codex() as (opened, backend):
        response = await opened.respond(request("Say hello", model="gpt-6.1-sol"))
        assert response["status"] == "completed"
        assert text_of(response)
        assert text_of(response) in wire("text").decode()
    (sent,) = backend.requests
    assert sent.json["stream"] is True
    assert sent.json["store"] is False
    assert sent.json["instructions"]
    assert sent.headers["authorization"] == f"Bearer {access_token(EXP)}"
    assert sent.headers["chatgpt-account-id"] == ACCOUNT
    assert sent.headers["session-id"] == sent.headers["thread-id"]


async def test_the_output_is_put_together_where_the_last_event_has_none() -> None:
    async with codex([[stream(wire("function_calls_parallel"))]]) as (opened, _):
        response = await opened.respond(request("x", model="m"))
        assert len([item for item in response["output"] if item["type"] == "function_call"]) > 1


@pytest.mark.parametrize(
    ("name", "end", "kind"),
    [
        ("failed_content_policy_violation", [HOLD], ContentRefused),
        ("failed_usage_not_included", [HOLD], UsageLimitReached),
        ("dropped_midway", [FIN], StreamInterrupted),
    ],
)
async def test_a_failed_run_is_an_error_and_its_connection_is_let_go(
    name: str, end: list[Step], kind: type[Exception]
) -> None:
    async with codex([[head(), chunk(wire(name)), *end]]) as (opened, backend):
        with pytest.raises(kind):
            await opened.respond(request("x", model="m"))
        assert len(asked_for(backend, "/responses")) == 1
        await backend.until(lambda: not backend.open)


async def test_a_stream_that_is_left_ends_at_the_backend() -> None:
    first, blank, _ = wire("text").partition(b"\n\n")
    begun: Script = [head(), chunk(first + blank), HOLD]
    async with codex([begun]) as (opened, backend):
        async with await opened.open(request("x", model="m")) as events:
            await events.batch()
        await backend.until(lambda: not backend.open)


# Who calls


async def test_the_cache_key_of_a_conversation_names_its_session() -> None:
    async with codex() as (opened, backend):
        for key in ("my-key", "my-key", None, None, "schlüssel", "schlüssel", "line\nbreak"):
            asked = request("x", model="m")
            if key is not None:
                asked["prompt_cache_key"] = key
            await opened.respond(asked)
        sessions = [sent.headers["session-id"] for sent in backend.requests]
        assert sessions[:2] == ["my-key"] * 2
        assert sessions[2] == sessions[3], "the same beginning is the same conversation"
        assert sessions[4] == sessions[5] != sessions[6]
        assert backend.requests[4].json["prompt_cache_key"] == "schlüssel"
        for sent in backend.requests:
            assert sent.headers["thread-id"] == sent.headers["session-id"]
            assert sent.headers["x-client-request-id"] == sent.headers["session-id"]


async def test_a_codex_client_passes_as_it_is_with_its_headers_and_our_login() -> None:
    caller = {
        "x-codex-window-id": "window-1",
        "x-openai-internal-codex-responses-lite": "true",
        "session-id": "session-of-the-client",
        "authorization": "Bearer of-the-client",
        "chatgpt-account-id": "of-the-client",
        "originator": "codex_cli_rs",
        "user-agent": "codex_cli_rs/0.169.0",
        "cookie": "a=b",
        "x-codex-turn-metadata": "schlüssel",
    }
    body = {"model": "m", "input": [], "include": [], "instructions": "", "unknown": [1]}
    async with codex() as (opened, backend):
        async with await opened.open(body, caller=caller) as events:
            await events.batch()
    (sent,) = backend.requests
    assert sent.json == {**body, "stream": True, "store": False}
    assert sent.headers["x-codex-window-id"] == "window-1"
    assert sent.headers["x-openai-internal-codex-responses-lite"] == "true"
    assert sent.headers["session-id"] == "session-of-the-client"
    assert sent.headers["authorization"] == f"Bearer {access_token(EXP)}"
    assert sent.headers["chatgpt-account-id"] == ACCOUNT
    assert sent.headers["originator"] == "codexapi"
    assert sent.headers["user-agent"].startswith("codexapi/")
    assert "cookie" not in sent.headers
    assert "x-codex-turn-metadata" not in sent.headers


async def test_the_headers_of_any_other_client_stay_with_us() -> None:
    async with codex() as (opened, backend):
        caller = {"session-id": "of-the-client", "x-codex-turn-state": "x"}
        async with await opened.open(request("x", model="m"), caller=caller) as events:
            await events.batch()
    assert backend.requests[0].headers["session-id"] != "of-the-client"
    assert "x-codex-turn-state" not in backend.requests[0].headers
    assert backend.requests[0].json["instructions"]


# Models


async def test_the_catalogue_is_fetched_once_and_kept() -> None:
    async with codex() as (opened, backend):
        models = await opened.models()
        assert await opened.models() is models
        assert [model.priority for model in models] == sorted(m.priority for m in models)
    (sent,) = backend.requests
    assert sent.target == f"{BASE}/models?client_version={Settings().protocol_version}"
    assert sent.headers["version"] == Settings().protocol_version
    assert "if-none-match" not in sent.headers


def answered(etag: str) -> Script:
    return [stream(wire("text"), x_models_etag=etag)]


@pytest.mark.parametrize("unchanged", [UNCHANGED, [whole(304)]])
async def test_another_etag_in_an_answer_makes_the_catalogue_stale(unchanged: Script) -> None:
    responses = [answered('W/"one"'), answered('W/"two"'), answered('W/"one"'), answered('W/"3"')]
    changed = [whole(200, {"models": []}, etag='W/"3"')]
    async with codex(responses, [CATALOGUE, unchanged, changed]) as (opened, backend):
        models = await opened.models()
        await opened.respond(request("x", model="m"))
        await opened.models()
        assert len(asked_for(backend, "/models")) == 1, "the same etag: nothing has changed"
        await opened.respond(request("x", model="m"))
        assert await opened.models() == models, "304: what we have is what there is"
        assert asked_for(backend, "/models")[1].headers["if-none-match"] == 'W/"one"'
        await opened.respond(request("x", model="m"))
        await opened.models()
        assert len(asked_for(backend, "/models")) == 2
        await opened.respond(request("x", model="m"))
        assert await opened.models() == []


async def test_a_catalogue_that_fails_is_asked_for_again_next_time() -> None:
    async with codex(models=[[whole(400, b"")], CATALOGUE]) as (opened, _):
        with pytest.raises(Exception, match="400"):
            await opened.models()
        assert await opened.models()


async def test_the_etag_of_the_catalogue_is_told() -> None:
    async with codex(models=[CATALOGUE, UNCHANGED]) as (opened, _):
        assert opened.models_etag is None
        await opened.models()
        assert opened.models_etag == 'W/"one"'
    async with codex(models=[[whole(200, table("models"))]]) as (opened, _):
        await opened.models()
        assert opened.models_etag is None


# What the catalogue decides.


async def test_an_effort_is_compared_with_the_catalogue_before_the_first_request() -> None:
    async with codex() as (opened, backend):
        asked = request("x", model="gpt-5.5", effort="max")
        for stream_ in await opened.open_all([asked] * 3):
            assert stream_.changed == ("reasoning_effort",)
            await stream_.aclose()
        assert len(asked_for(backend, "/models")) == 1
        efforts = [r.json["reasoning"]["effort"] for r in asked_for(backend, "/responses")]
        assert efforts == ["xhigh"] * 3


async def test_a_request_without_an_effort_asks_for_no_catalogue() -> None:
    async with codex() as (opened, backend):
        for reasoning in (None, {}, {"summary": "auto"}, {"effort": None}):
            await opened.respond({**request("x", model="gpt-5.5"), "reasoning": reasoning})
        assert asked_for(backend, "/models") == []


async def test_without_a_catalogue_the_effort_goes_as_it_is_and_soon_nobody_asks_again() -> None:
    async with codex(models=[[whole(500, b"")]]) as (opened, backend):
        for _ in range(3):
            await opened.respond(request("x", model="gpt-5.5", effort="max"))
        assert len(asked_for(backend, "/models")) == 1
        efforts = {r.json["reasoning"]["effort"] for r in asked_for(backend, "/responses")}
        assert efforts == {"max"}


class Unlisted:
    """A backend that says nothing when it is asked for its models, until it is `listing`."""

    def __init__(self) -> None:
        self.simulator = Simulator()
        self.listing = False
        self.requests = 0

    async def handle(
        self, method: str, target: str, headers: Mapping[str, str], body: bytes
    ) -> Reply:
        if "/models" in target:
            self.requests += 1
            if not self.listing:
                await asyncio.Event().wait()
        return await self.simulator.handle(method, target, headers, body)

    def codex(self) -> Codex:
        settings = Settings(codex_home=Path("nowhere"), base_url="http://127.0.0.1:1")
        login = InMemory(self.simulator.login())
        return Codex(settings, http=in_process(self.handle), store=login)


def test_a_silent_catalogue_costs_seconds_once_and_not_each_request() -> None:
    async def story() -> None:
        backend, now = Unlisted(), asyncio.get_running_loop().time
        high = request("x", model="gpt-5.5", effort="high")
        async with backend.codex() as codex:
            await asyncio.gather(*(codex.respond(high) for _ in range(3)))
            assert 5 <= now() < 6
            began = now()
            await codex.respond(high)
            assert now() == began, "a failure is remembered"
            assert backend.requests == 1
            await asyncio.sleep(60)
            backend.listing = True
            (stream_,) = await codex.open_all([request("x", model="gpt-5.5", effort="max")])
            assert stream_.changed == ("reasoning_effort",)
            await stream_.aclose()

    hurried(story())


def test_who_waits_for_a_catalogue_gets_it_from_another_who_gave_up() -> None:
    async def story() -> None:
        backend = Unlisted()
        async with backend.codex() as codex:
            first = asyncio.create_task(codex.respond(request("x", model="gpt-5.5", effort="max")))
            second = asyncio.create_task(codex.open(request("x", model="gpt-5.5", effort="max")))
            await asyncio.sleep(1)
            backend.listing = True
            first.cancel()
            async with await second as stream_:
                assert stream_.changed == ("reasoning_effort",)

    hurried(story())


async def test_a_failure_without_a_login_is_not_remembered(tmp_path: Path) -> None:
    models: Script = CATALOGUE
    paths = {f"{BASE}/responses": [TEXT], f"{BASE}/models": [models]}
    async with FaultyBackend(otherwise=[by_path(paths)]) as backend:
        settings = Settings(base_url=backend.url + BASE, codex_home=tmp_path)
        async with Codex(settings) as opened:
            asked = request("x", model="gpt-5.5", effort="max")
            with pytest.raises(NotLoggedIn):
                await opened.respond(asked)
            write_login(tmp_path, auth_json(exp=EXP))
            async with await opened.open(asked) as stream_:
                assert stream_.changed == ("reasoning_effort",)


async def test_the_catalogue_is_the_account_s_own(tmp_path: Path) -> None:
    one: Script = [whole(200, {"models": [{"slug": "gpt-one"}]}, etag='W/"one"')]
    two: Script = [whole(200, {"models": [{"slug": "gpt-two"}]}, etag='W/"one"')]
    paths = {f"{BASE}/models": [one, two]}
    async with FaultyBackend(otherwise=[by_path(paths)]) as backend:
        settings = Settings(base_url=backend.url + BASE, codex_home=tmp_path)
        async with Codex(settings) as opened:
            write_login(tmp_path, auth_json(exp=EXP))
            assert [model.slug for model in await opened.models()] == ["gpt-one"]
            write_login(tmp_path, auth_json(exp=EXP, account="another", mark="another"))
            assert [model.slug for model in await opened.models()] == ["gpt-two"]
        assert "if-none-match" not in backend.requests[1].headers


@pytest.mark.parametrize(
    ("needed", "own", "named"),
    [
        ("0.100.0", None, CLIENT_VERSION),
        ("99.0.1", None, "99.0.1"),
        ("99.0.1", CLIENT_VERSION, CLIENT_VERSION),
    ],
)
async def test_the_version_is_what_the_catalogue_asks_for_unless_the_user_has_one(
    needed: str, own: str | None, named: str
) -> None:
    entries = [{"slug": "gpt-new", "minimal_client_version": needed}]
    listed: Script = [whole(200, {"models": entries}, etag='W/"one"')]
    another: Script = [stream(wire("text"), x_models_etag='W/"two"')]
    async with codex([TEXT, another], [listed], client_version=own) as (opened, backend):
        await opened.respond(request("x", model="gpt-new"))
        await opened.models()
        await opened.respond(request("x", model="gpt-new"))
        await opened.models()
    versions = [sent.headers["version"] for sent in backend.requests]
    assert versions == [own or CLIENT_VERSION] * 2 + [named] * 2
    asked = [sent.target.rpartition("=")[2] for sent in asked_for(backend, "/models")]
    assert asked == [own or CLIENT_VERSION, named]


# Reasoning that the backend cannot read.

THOUGHT = {"type": "reasoning", "id": "rs_1", "summary": [], "encrypted_content": "gAAAA"}


def unreadable(
    message: str = "The encrypted content gAAA...wHs could not be verified.", **more: Any
) -> Script:
    error = {"message": message, "type": "invalid_request_error", "param": None, **more}
    return [whole(400, {"error": error})]


@pytest.mark.parametrize(
    "refusal",
    [
        unreadable(code="invalid_encrypted_content"),
        unreadable("In other words.", code="invalid_encrypted_content"),
        unreadable(code=None),
        unreadable(
            "The encrypted content for item rs_1 could not be verified. Reason: Encrypted content "
            "could not be decrypted or parsed."
        ),
    ],
)
async def test_what_cannot_be_read_is_left_out_once(refusal: Script) -> None:
    async with codex([refusal, TEXT]) as (opened, backend):
        asked = request([THOUGHT, user("hi")], model="gpt-5.5", effort="max")
        async with await opened.open(asked) as stream_:
            assert stream_.changed == ("reasoning_effort", "input.encrypted_content")
    first, second = (sent.json for sent in asked_for(backend, "/responses"))
    assert first["input"] == [THOUGHT, user("hi")]
    assert second == {**first, "input": [user("hi")]}


@pytest.mark.parametrize(
    ("items", "refusal", "caller"),
    [
        ([user("hi")], unreadable(code="invalid_encrypted_content"), None),
        ([THOUGHT], unreadable(code="invalid_encrypted_content"), None),
        ([THOUGHT, user("hi")], unreadable("The weather could not be verified."), None),
        ([THOUGHT, user("hi")], unreadable(code="invalid_value"), None),
        (
            [THOUGHT, user("hi")],
            unreadable(code="invalid_encrypted_content"),
            {"x-codex-window-id": "w"},
        ),
    ],
    ids=["no reasoning", "nothing else", "other words", "another code", "a Codex client"],
)
async def test_a_refusal_that_leaving_out_reasoning_cannot_mend_is_told(
    items: list[Any], refusal: Script, caller: dict[str, str] | None
) -> None:
    async with codex([refusal, TEXT]) as (opened, backend):
        with pytest.raises(BackendError) as caught:
            await opened.open(request(items, model="m"), caller=caller)
        assert caught.value.status == 400
    assert len(asked_for(backend, "/responses")) == 1


async def test_what_is_refused_without_reasoning_too_is_told() -> None:
    refusal = unreadable(code="invalid_encrypted_content")
    compaction = {"type": "compaction", "id": "cmp_1", "encrypted_content": "gAAAA"}
    async with codex([refusal, refusal, TEXT]) as (opened, backend):
        with pytest.raises(BackendError, match="could not be verified"):
            await opened.open(request([compaction, THOUGHT, user("hi")], model="m"))
    inputs = [sent.json["input"] for sent in asked_for(backend, "/responses")]
    assert inputs[1:] == [[compaction, user("hi")]]


async def test_a_stream_tells_the_account_that_it_was_signed_for(tmp_path: Path) -> None:
    async with codex() as (opened, _):
        assert await opened.owner("m:high") == Owner.of(ACCOUNT, "m")
        async with await opened.open(request("x", model="m")) as stream_:
            assert stream_.account == ACCOUNT
    async with Codex(Settings(codex_home=tmp_path)) as opened:
        assert await opened.owner("m") == Owner("", "m")


@pytest.mark.parametrize(
    ("asked", "setting", "config", "chosen"),
    [
        ("asked", "setting", 'model = "config"', "asked"),
        (None, "setting", 'model = "config"', "setting"),
        (None, None, 'model = "config"', "config"),
        (None, None, "model = 5", "gpt-6.1-sol"),
        (None, None, "model = ", "gpt-6.1-sol"),
        (None, None, None, "gpt-6.1-sol"),
    ],
)
async def test_the_model_is_the_one_asked_for_or_the_users_or_the_first(
    tmp_path: Path, asked: str | None, setting: str | None, config: str | None, chosen: str
) -> None:
    if config is not None:
        (tmp_path / "config.toml").write_text(config)
    entries = [
        {"slug": "gpt-6-astra", "priority": 2, "visibility": "list"},
        {"slug": "hidden", "priority": 0, "visibility": "hide"},
        {"slug": "gpt-6.1-sol", "priority": 1, "visibility": "list"},
    ]
    catalogue: Script = [whole(200, {"models": entries})]
    async with codex(models=[catalogue], model=setting, codex_home=tmp_path) as (opened, backend):
        assert await opened.model(asked) == chosen
        assert bool(backend.requests) == (chosen == "gpt-6.1-sol")


async def test_an_account_without_models_is_asked_for_a_name(tmp_path: Path) -> None:
    async with codex(models=[[whole(200, {"models": []})]], codex_home=tmp_path) as (opened, _):
        with pytest.raises(InvalidRequest) as told:
            await opened.model()
        assert told.value.param == "model"


async def test_an_unknown_model_is_refused_by_the_backend_and_near_names_are_told() -> None:
    async with codex([NO_MODEL]) as (opened, backend):
        with pytest.raises(ModelNotFound, match="gpt-6-astra") as told:
            await opened.respond(request("x", model="gpt-6-astro"))
        assert told.value.param == "model"
        assert "gpt-6-astro" in str(told.value)
        assert asked_for(backend, "/responses")[0].json["model"] == "gpt-6-astro"


async def test_an_unknown_model_is_told_without_names_where_there_is_no_catalogue() -> None:
    async with codex([NO_MODEL], [[whole(403, {"detail": "no"})]]) as (opened, _):
        with pytest.raises(ModelNotFound) as told:
            await opened.respond(request("x", model="gpt-6-astro"))
        assert "The default is" not in str(told.value)


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
