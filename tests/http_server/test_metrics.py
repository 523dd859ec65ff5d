"""`GET /metrics`: what it counts, and who may read it. Its own library is the reader here."""

from __future__ import annotations

import subprocess
import sys

import pytest
from prometheus_client.parser import text_string_to_metric_families
from tests.http_server import raw
from tests.http_server.doors import Door, Stream, chat, door, responses
from tests.http_server.raw import get, post
from tests.processes import environment

from codexapi_engine.simulator import Simulator
from codexapi_http.reports import Reports

pytestmark = pytest.mark.timeout(60)

CHAT, RESPONSES = "/v1/chat/completions", "/v1/responses"
Samples = dict[tuple[str, frozenset[tuple[str, str]]], float]


async def scraped(server: Door) -> Samples:
    reply = await server.reply(get("/metrics"))
    assert reply.status == 200
    assert reply.headers["content-type"] == "text/plain; version=0.0.4; charset=utf-8"
    return {
        (sample.name.removeprefix("codexapi_"), frozenset(sample.labels.items())): sample.value
        for family in text_string_to_metric_families(reply.body.decode())
        for sample in family.samples
    }


def of(samples: Samples, name: str, **labels: str) -> float:
    return samples.get((name, frozenset(labels.items())), 0.0)


async def test_requests_and_runs_are_counted() -> None:
    simulator = Simulator()
    async with door(simulator, metrics=True) as server:
        before = await scraped(server)
        for stream in (False, True):
            await server.reply(post(CHAT, chat("[[say hello]]", stream=stream)))
        await server.reply(post(RESPONSES, responses("[[fail server_is_overloaded]]")))
        await server.reply(post(CHAT, chat("[[status server_error]]")))
        await server.reply(get("/v1/responses/a-secret-name"))
        await server.reply(get("/nothing/at/all"))
        await server.reply(raw.head("PROPFIND /x", "Host: 127.0.0.1"))
        await server.reply(post("/v1/images/generations", {"prompt": "a fox", "n": 2}))
        drawn = {"prompt": "a fox", "stream": True, "partial_images": 1}
        await server.reply(post("/v1/images/generations", drawn))
        told = await scraped(server)
    count = {"method": "POST", "route": CHAT}
    assert of(told, "requests_total", **count, status="200") == 2
    assert of(told, "requests_total", **count, status="502") == 1
    assert of(told, "requests_total", method="POST", route=RESPONSES, status="503") == 1
    assert of(told, "requests_total", method="GET", route="other", status="404") == 1
    assert of(told, "requests_total", method="other", route="other", status="404") == 1
    assert of(told, "requests_total", method="GET", route="/v1/responses/{id}", status="404") == 1
    assert of(told, "errors_total", code="server_is_overloaded") == 1
    assert of(told, "errors_total", code="upstream_error") == 1
    assert of(told, "errors_total", code="not_found") >= 2
    assert of(told, "retries_total", why="server") == 1
    assert of(told, "images_total") == 3
    assert of(told, "streams_open") == 0
    # Two answers, a failed run, one that never began, two pictures, one in a stream.
    assert of(told, "stream_seconds_count") == 7
    assert of(told, "first_event_seconds_count") == 4
    assert of(told, "stream_seconds_bucket", le="+Inf") == 7
    tokens = {"model": "gpt-6.1-sol"}
    assert of(told, "tokens_total", kind="input", **tokens) > 0
    assert of(told, "tokens_total", kind="output", **tokens) > 0
    assert of(before, "stream_seconds_count") == 0
    assert not [name for name, _ in told if name.endswith("_created")]
    assert "a-secret-name" not in str(told)


async def test_open_runs_are_told_while_they_are_open() -> None:
    backend = Stream()
    async with door(backend, metrics=True) as server, raw.connect(server.port) as client:
        await client.send(post(RESPONSES, responses(stream=True)))
        await backend.reached.wait()
        backend.send({"type": "response.created", "response": {"id": "r", "created_at": 5}})
        await client.head()
        assert of(await scraped(server), "streams_open") == 1
        client.leave()
        await backend.closed.wait()
        while of(await scraped(server), "streams_open"):
            pass


async def test_renewals_of_the_login_are_counted() -> None:
    simulator = Simulator()
    async with door(simulator, metrics=True) as server:
        simulator.accounts.invalidate()  # a token that looks good is refused
        assert (await server.reply(post(CHAT, chat()))).status == 200
        assert of(await scraped(server), "refreshes_total", outcome="ok") == 1


async def test_clients_cannot_make_series_at_will() -> None:
    simulator = Simulator()
    async with door(simulator, metrics=True) as server:
        for number in range(5):
            await server.reply(post(CHAT, chat(model=f"invented-{number}")))
            await server.reply(get(f"/v1/responses/resp_{number}"))
            await server.reply(post(CHAT, chat(f"[[fail code {number}!]]")))
        names = {key for key in await scraped(server) if not key[0].startswith(("process", "py"))}
        assert "invented" not in str(names)
        assert of(await scraped(server), "errors_total", code="model_not_found") == 5
    codes = {dict(labels)["code"] for name, labels in names if name == "errors_total"}
    assert len(codes) <= 5


async def test_it_is_closed_unless_asked_for() -> None:
    simulator = Simulator()
    async with door(simulator) as server:
        (await server.reply(get("/metrics"))).refused(404, "not_found")
        assert "/metrics" not in (await server.reply(get("/openapi.json"))).json["paths"]
    assert not simulator.requests


async def test_it_is_guarded_like_everything_else() -> None:
    async with door(Simulator(), metrics=True, api_key="k") as server:
        (await server.reply(get("/metrics"))).refused(401, "invalid_api_key")
        key = "Authorization: Bearer k"
        assert (await server.reply(get("/metrics", key))).status == 200
        (await server.reply(get("/metrics", key, host="evil.example"))).refused(
            421, "host_not_allowed"
        )
        cross = get("/metrics", key, "Origin: https://evil.example")
        (await server.reply(cross)).refused(403, "origin_not_allowed")
        (await server.reply(post("/metrics", {}, key))).refused(405, "method_not_allowed")
        document = (await server.reply(get("/openapi.json", key))).json
        content = document["paths"]["/metrics"]["get"]["responses"]["200"]["content"]
        assert list(content) == ["text/plain"]


def test_servers_in_one_process_count_for_themselves() -> None:
    one, other = Reports(metrics=True), Reports(metrics=True)
    assert one.metrics is not None
    assert other.metrics is not None
    one.images_generated(3)
    assert b"codexapi_images_total 3.0" in one.metrics.page()
    assert b"codexapi_images_total 0.0" in other.metrics.page()


def test_its_library_is_not_loaded_unless_asked_for() -> None:
    code = (
        "import sys, codexapi_http, codexapi_engine; codexapi_http.create_app();"
        "assert 'prometheus_client' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], env=environment(), check=True)
