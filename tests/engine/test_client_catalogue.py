"""What the catalogue decides of a request, and reasoning that the backend cannot read."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from tests.engine.clients import BASE, CATALOGUE, EXP, TEXT, asked_for, codex
from tests.faulty import (
    FaultyBackend,
    Script,
    by_path,
    stream,
    whole,
)
from tests.logins import ACCOUNT, auth_json, write_login
from tests.virtual_time import hurried
from tests.wire_files import wire

from codexapi_engine import request, user
from codexapi_engine.client import Codex
from codexapi_engine.errors import (
    BackendError,
    InvalidRequest,
    ModelNotFound,
    NotLoggedIn,
)
from codexapi_engine.http.in_process import in_process
from codexapi_engine.login.store import InMemory
from codexapi_engine.protocol.headers import CLIENT_VERSION
from codexapi_engine.settings import Settings
from codexapi_engine.simulator import Simulator
from codexapi_engine.simulator.backend import Reply
from codexapi_engine.storage import Owner

NO_MODEL: Script = [
    whole(404, {"error": {"code": "model_not_found", "message": "Model not found"}})
]


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
