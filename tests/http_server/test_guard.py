"""Who may come in: every request that is turned away costs nothing at the backend."""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator

import pytest
import pytest_asyncio
from tests.http_server import forms, raw
from tests.http_server.doors import Door, chat, door, responses
from tests.http_server.raw import get, head, post

from codexapi_engine.simulator import Simulator

pytestmark = [pytest.mark.asyncio(loop_scope="module"), pytest.mark.timeout(60)]

CHAT = "/v1/chat/completions"
KEY = "schlüssel".encode().decode("latin-1")
"""The key of `locked`, as a client puts UTF-8 into a header."""


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def locked(shared_backend: Simulator) -> AsyncIterator[Door]:
    async with door(shared_backend, api_key="schlüssel") as opened:
        yield opened


@pytest.mark.parametrize(
    "host",
    [
        "evil.example",
        "evil.example:{port}",
        "127.0.0.1.evil.example",
        "localhost.",
        "127.0.0.1@evil.example",
        "127.0.0.1:{port}.evil.example",
        "127.0.0.1:evil.example",
        "[::1]evil.example",
        "[::1",
        "evil.example[::1]",
        "0.0.0.0:{port}",
        "",
    ],
)
async def test_foreign_or_malformed_host_is_misdirected(
    server: Door, backend: Simulator, host: str
) -> None:
    request = post(CHAT, chat(), host=host.format(port=server.port))
    error = (await server.reply(request)).refused(421, "host_not_allowed")
    assert "--allow-host" in error["message"]
    assert not backend.requests


async def test_request_without_host_is_misdirected_even_in_http_1_0(
    server: Door, backend: Simulator
) -> None:
    request = b"GET /v1/models HTTP/1.0\r\n\r\n"
    (await server.reply(request)).refused(421, "host_not_allowed")
    assert not backend.requests


@pytest.mark.parametrize(
    "request_head",
    [
        head("GET /v1/models"),
        head("GET /v1/models", "Host: 127.0.0.1", "Host: evil.example"),
        head("GET /v1/models", "Host: evil.example", "Host: 127.0.0.1"),
        head("GET /v1/models", "Host: 127.0.0.1", "X : y"),
        head(f"POST {CHAT}", "Host: 127.0.0.1", "Content-Length: -1"),
        head(f"POST {CHAT}", "Host: 127.0.0.1", "Content-Length: 1", "Content-Length: 2"),
        b"GET /v1/models\r\n\r\n",
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n",
    ],
    ids=[
        "no host", "two hosts", "two hosts, ours last", "space before colon", "negative length",
        "two lengths", "no version", "TLS",
    ],
)  # fmt: skip
async def test_what_is_not_http_is_an_error_object_too(
    server: Door, backend: Simulator, request_head: bytes
) -> None:
    async with raw.connect(server.port) as connection:
        await connection.send(request_head)
        (await connection.reply()).refused(400, "invalid_http")
        assert await connection.ended()
    assert not backend.requests


@pytest.mark.parametrize(
    "host",
    [
        "127.0.0.1",
        "127.0.0.1:{port}",
        "127.0.0.1:9",  # a forwarded port
        "localhost:{port}",
        "LOCALHOST",
        "[::1]:{port}",
        "[::1]",
        "box.example:{port}",
        "BOX.EXAMPLE",
    ],
)
async def test_own_names_and_allowed_ones_may_be_called(server: Door, host: str) -> None:
    reply = await server.reply(get("/healthz", host=host.format(port=server.port)))
    assert reply.status == 200


@pytest.mark.parametrize(
    ("headers", "code"),
    [
        (["Origin: https://evil.example"], "origin_not_allowed"),
        (["Origin: null"], "origin_not_allowed"),
        (["Origin: http://127.0.0.1:1"], "origin_not_allowed"),
        (["Origin: http://127.0.0.1.evil.example:{port}"], "origin_not_allowed"),
        (["Origin: "], "origin_not_allowed"),
        (["Origin: https://evil.example", "Origin: http://127.0.0.1:{port}"], "origin_not_allowed"),
        (["Sec-Fetch-Site: cross-site"], "cross_site"),
        (["Sec-Fetch-Site: same-site"], "cross_site"),
        (["Origin: http://127.0.0.1:{port}", "Sec-Fetch-Site: cross-site"], "cross_site"),
    ],
)
async def test_web_pages_of_other_sites_are_turned_away(
    server: Door, backend: Simulator, headers: list[str], code: str
) -> None:
    given = [line.format(port=server.port) for line in headers]
    host = f"127.0.0.1:{server.port}"
    reply = await server.reply(post(CHAT, chat(), *given, host=host))
    reply.refused(403, code)
    assert not any(name.startswith("access-control") for name in reply.headers)
    assert not backend.requests


async def test_drive_by_form_with_files_is_turned_away_where_forms_are_taken(
    server: Door, backend: Simulator
) -> None:
    for headers in (["Origin: https://evil.example"], ["Sec-Fetch-Site: cross-site"]):
        request = forms.post("/v1/images/edits", forms.part("prompt", "a fox"), headers=headers)
        assert (await server.reply(request)).status == 403
    assert not backend.requests


@pytest.mark.parametrize(
    "name", ["Host", "Authorization", "Content-Type", "Content-Encoding", "Content-Language"]
)
async def test_header_that_counts_may_come_once_alone(
    server: Door, backend: Simulator, name: str
) -> None:
    request = post(CHAT, chat(), f"{name}: a", f"{name}: a")
    async with raw.connect(server.port) as connection:
        await connection.send(request)
        error = (await connection.reply()).error
        assert error["code"] == ("invalid_http" if name == "Host" else "duplicate_header")
        assert await connection.ended()
    assert not backend.requests


async def test_other_headers_may_come_twice(server: Door) -> None:
    lines = ["Accept: a", "Accept: b", "Cookie: a", "Cookie: b"]
    assert (await server.reply(post(CHAT, chat(), *lines))).status == 200


@pytest.mark.parametrize("given", ["a", "req_1-2.3:4", "x" * 128])
async def test_request_id_of_the_client_is_kept(server: Door, given: str) -> None:
    line = f"X-Request-Id: {given}"
    for request in (
        post(CHAT, chat(), line),
        post(CHAT, chat(stream=True), line),
        post(CHAT, b"{", line),
        get("/v1/nothing", line),
        get("/healthz", line, host="evil.example"),
    ):
        assert (await server.reply(request)).headers["x-request-id"] == given


@pytest.mark.parametrize("given", ["", " ", "a b", "a\tb", "é", "x" * 129, "-a", "a;b", "<a>"])
async def test_request_id_that_is_none_is_replaced(server: Door, given: str) -> None:
    reply = await server.reply(get("/healthz", f"X-Request-Id: {given}"))
    assert re.fullmatch("req_[0-9a-f]{24}", reply.headers["x-request-id"])


@pytest.mark.parametrize(
    "path",
    [
        "/v1/files/images/../../../etc/passwd",
        "/v1/files/images/..%2f..%2f..%2fetc%2fpasswd",
        "/v1/files/images/%2e%2e/%2e%2e/auth.json",
        "/v1/files/images/..%5c..%5cauth.json",
        "/v1/files/images//etc/passwd",
        "/v1/files/images/" + "a" * 32 + ".png%00.txt",
        "/v1/files/images/" + "a" * 32 + ".png",
        "/v1/files/images/",
    ],
)
async def test_no_other_file_is_a_picture(locked: Door, path: str) -> None:
    (await locked.reply(get(path))).refused(404, "not_found")


@pytest.mark.parametrize("headers", [[], ["Sec-Fetch-Site: same-origin"], ["Sec-Fetch-Site: none"]])
async def test_a_page_of_our_own_may_ask(server: Door, headers: list[str]) -> None:
    host = f"localhost:{server.port}"
    reply = await server.reply(
        get("/healthz", f"Origin: http://LOCALHOST:{server.port}", *headers, host=host)
    )
    assert reply.status == 200
    assert not any(name.startswith("access-control") for name in reply.headers)


@pytest.mark.parametrize("origin", ["https://evil.example", None])
async def test_preflight_gets_no_permission(
    server: Door, backend: Simulator, origin: str | None
) -> None:
    asks = ["Access-Control-Request-Method: POST", "Access-Control-Request-Headers: content-type"]
    given = [f"Origin: {origin}", *asks] if origin else asks
    reply = await server.reply(head(f"OPTIONS {CHAT}", "Host: 127.0.0.1", *given))
    assert (reply.status, reply.error["type"]) == (403 if origin else 405, "invalid_request_error")
    assert not any(name.startswith("access-control") for name in reply.headers)
    assert not backend.requests


@pytest.mark.parametrize("path", ["/v1/models", "/v1/responses/resp_1", "/healthz", "/nothing"])
async def test_websocket_upgrade_elsewhere_is_told_to_use_http(
    server: Door, backend: Simulator, path: str
) -> None:
    upgrade = ["Connection: Upgrade", "Upgrade: WebSocket", "Sec-WebSocket-Version: 13"]
    reply = await server.reply(get(path, *upgrade, "Sec-WebSocket-Key: AAAA"))
    reply.refused(426, "upgrade_not_supported")
    assert not backend.requests


async def test_offered_upgrade_to_http_2_is_passed_over(server: Door) -> None:
    upgrade = ["Connection: Upgrade, HTTP2-Settings", "Upgrade: h2c", "HTTP2-Settings: AAMAAABk"]
    assert (await server.reply(get("/healthz", *upgrade))).status == 200


@pytest.mark.parametrize("size", [33_000, 60_000, 200_000, 2_000_000])
async def test_head_of_over_32_kb_is_too_large(server: Door, backend: Simulator, size: int) -> None:
    async with raw.connect(server.port) as connection:
        await connection.send(get("/v1/models", "X-Padding: " + "x" * size))
        (await connection.reply()).refused(431, "headers_too_large")
    assert not backend.requests


@pytest.mark.parametrize("target", ["/{}", "/v1/models?x={}"])
@pytest.mark.parametrize("size", [33_000, 60_000])
async def test_the_line_of_the_request_counts_too(server: Door, target: str, size: int) -> None:
    reply = await server.reply(get(target.format("x" * size)))
    reply.refused(431, "headers_too_large")


async def test_head_of_over_32_kb_in_many_headers_and_pieces_is_too_large(
    server: Door, backend: Simulator
) -> None:
    lines = [f"X-{number}: {'y' * 20}" for number in range(1500)]
    data = get("/v1/models", *lines)
    async with raw.connect(server.port) as connection:
        for start in range(0, len(data), 4096):
            await connection.send(data[start : start + 4096])
            await asyncio.sleep(0)  # the server has its turn between the pieces
        (await connection.reply()).refused(431, "headers_too_large")
    assert not backend.requests


async def test_head_of_just_under_32_kb_passes(server: Door) -> None:
    assert (await server.reply(get("/healthz", "X-Padding: " + "x" * 32_000))).status == 200


@pytest.mark.parametrize("path", [CHAT, "/v1/responses"])
@pytest.mark.parametrize(
    ("headers", "told"),
    [
        ([], "didn't provide"),
        (["Authorization: Bearer "], "didn't provide"),
        (["Authorization: Bearer wrong"], "Incorrect"),
        (["Authorization: Bearer schlussel"], "Incorrect"),
        (["Authorization: Bearer schl\xfcssel"], "Incorrect"),  # Latin-1: other bytes
        ([f"Authorization: Basic {KEY}"], "Incorrect"),
        ([f"Authorization: {KEY}"], "didn't provide"),
        ([f"X-Api-Key: {KEY}"], "didn't provide"),
    ],
)
async def test_without_the_local_key_nothing_is_served(
    locked: Door, backend: Simulator, path: str, headers: list[str], told: str
) -> None:
    body = responses() if path.endswith("responses") else chat()
    reply = await locked.reply(post(path, body, *headers))
    error = reply.refused(401, "invalid_api_key")
    assert told in error["message"]
    assert "schl" not in error["message"]
    assert reply.headers["www-authenticate"] == "Bearer"
    assert not backend.requests


@pytest.mark.parametrize("kind", ["Bearer", "bearer", "BEARER"])
async def test_with_the_local_key_everything_is_served(
    locked: Door, backend: Simulator, kind: str
) -> None:
    reply = await locked.reply(post(CHAT, chat(), f"Authorization: {kind} {KEY}"))
    assert reply.status == 200
    signed = backend.requests[-1].headers["authorization"]
    assert "schl" not in signed, "the local key must not travel"


@pytest.mark.parametrize("path", ["/v1/models", "/v1/usage", "/", "/v1/nothing"])
async def test_local_key_guards_every_path(locked: Door, backend: Simulator, path: str) -> None:
    (await locked.reply(get(path))).refused(401, "invalid_api_key")
    assert not backend.requests


async def test_health_needs_no_key(locked: Door) -> None:
    assert (await locked.reply(get("/healthz"))).status == 200


async def test_health_still_needs_our_host(locked: Door) -> None:
    (await locked.reply(get("/healthz", host="evil.example"))).refused(421, "host_not_allowed")


async def test_server_that_goes_down_turns_new_requests_away() -> None:
    backend = Simulator()
    async with door(backend) as server:
        server.app.state.shutdown.begin()
        for request in (get("/healthz"), post(CHAT, chat()), post(CHAT, chat(stream=True))):
            reply = await server.reply(request)
            reply.refused(503, "shutting_down")
            assert reply.headers["retry-after"] == "1"
    assert not backend.requests
