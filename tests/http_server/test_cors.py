"""`--cors`: web pages that the user lets in, and no others."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest
import pytest_asyncio
from tests.http_server import raw
from tests.http_server.doors import Door, chat, door
from tests.http_server.raw import Reply, get, head, post

from codexapi_engine.setting_values import parse_host, parse_origin
from codexapi_engine.simulator import Simulator

pytestmark = pytest.mark.timeout(60)
served = pytest.mark.asyncio(loop_scope="module")

CHAT = "/v1/chat/completions"
PAGE = "https://chat.example"
LOCAL = "http://localhost:3000"
STAINLESS = (
    "authorization,content-type,openai-organization,openai-project,x-stainless-arch,"
    "x-stainless-lang,x-stainless-os,x-stainless-package-version,x-stainless-retry-count,"
    "x-stainless-runtime,x-stainless-runtime-version,x-stainless-timeout"
)
"""What the official client of a web page asks for."""


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def open_door(shared_backend: Simulator) -> AsyncIterator[Door]:
    async with door(shared_backend, cors=(PAGE, LOCAL), api_key="k") as opened:
        yield opened


def preflight(
    origin: str, *more: str, method: str = "POST", headers: str | None = STAINLESS
) -> bytes:
    asks = [f"Access-Control-Request-Method: {method}"]
    asks += [f"Access-Control-Request-Headers: {headers}"] if headers is not None else []
    return head(f"OPTIONS {CHAT}", "Host: 127.0.0.1", f"Origin: {origin}", *asks, *more)


def permissions(reply: Reply) -> dict[str, str]:
    return {name: value for name, value in reply.headers.items() if name.startswith("access-")}


async def head_of(server: Door, request: bytes) -> Reply:
    """An answer that has no body."""
    async with raw.connect(server.port) as connection:
        await connection.send(request)
        return await connection.head()


@served
@pytest.mark.parametrize("origin", [PAGE, LOCAL, "https://CHAT.example"])
async def test_preflight_is_answered_with_just_what_was_asked(
    open_door: Door, backend: Simulator, origin: str
) -> None:
    reply = await head_of(open_door, preflight(origin, "Sec-Fetch-Site: cross-site"))
    assert reply.status == 204
    assert permissions(reply) == {
        "access-control-allow-origin": origin,
        "access-control-allow-methods": "POST",
        "access-control-allow-headers": STAINLESS.replace(",", ", "),
        "access-control-expose-headers": "*",
        "access-control-max-age": "600",
    }
    assert reply.headers["vary"] == "Origin"
    assert reply.headers["x-request-id"].startswith("req_")
    assert not backend.requests


@served
async def test_preflight_leaves_out_what_is_not_allowed(open_door: Door) -> None:
    asked = (
        "Content-Type, Cookie, X-Stainless-OS, x-stainless-(, *, , a b, Host, Sec-Fetch-Site, "
        "Proxy-Authorization, Origin, Referer, Access-Control-Request-Method, X-Ü, "
    ) + "x" * 101
    reply = await head_of(open_door, preflight(PAGE, method="PUT", headers=asked))
    told = permissions(reply)
    assert told["access-control-allow-headers"] == "content-type, x-stainless-os"
    assert "access-control-allow-methods" not in told
    bare = permissions(await head_of(open_door, preflight(PAGE, headers=None)))
    assert "access-control-allow-headers" not in bare


@served
@pytest.mark.parametrize(
    "name",
    [
        "x-title", "http-referer", "x-api-key", "api-key", "openai-beta", "openai-organization",
        "x-stainless-retry-count", "anthropic-version", "x-request-id", "authorization", "baggage",
        "x-some-client's-own_header",
    ],
)  # fmt: skip
async def test_page_may_send_what_its_client_has_of_its_own(open_door: Door, name: str) -> None:
    asked = f"content-type,{name}"
    told = permissions(await head_of(open_door, preflight(PAGE, headers=asked)))
    assert told["access-control-allow-headers"] == f"content-type, {name}"
    other = await head_of(open_door, preflight("https://evil.example", headers=asked))
    assert other.status == 403
    assert not permissions(other)


@served
async def test_private_network_is_granted_where_a_browser_asks(open_door: Door) -> None:
    asks = "Access-Control-Request-Private-Network: true"
    told = permissions(await head_of(open_door, preflight(PAGE, asks)))
    assert told["access-control-allow-private-network"] == "true"
    told = permissions(await head_of(open_door, preflight(PAGE)))
    assert "access-control-allow-private-network" not in told


@served
@pytest.mark.parametrize("stream", [False, True])
async def test_answers_can_be_read_by_the_page(open_door: Door, stream: bool) -> None:
    request = post(
        CHAT, chat(stream=stream), f"Origin: {PAGE}", "Sec-Fetch-Site: cross-site",
        "Authorization: Bearer k",
    )  # fmt: skip
    reply = await open_door.reply(request)
    assert reply.status == 200
    assert permissions(reply) == {
        "access-control-allow-origin": PAGE,
        "access-control-expose-headers": "*",
    }
    assert reply.headers["vary"] == "Origin"


@served
@pytest.mark.parametrize(
    ("request_", "status"),
    [
        (post(CHAT, chat(), f"Origin: {PAGE}"), 401),
        (post(CHAT, b"{", f"Origin: {PAGE}", "Authorization: Bearer k"), 400),
        (get("/v1/nothing", f"Origin: {PAGE}", "Authorization: Bearer k"), 404),
        (get("/v1/models", f"Origin: {PAGE}", host="evil.example"), 421),
    ],
)
async def test_errors_can_be_read_by_the_page_too(
    open_door: Door, request_: bytes, status: int
) -> None:
    reply = await open_door.reply(request_)
    assert reply.status == status
    assert permissions(reply)["access-control-allow-origin"] == PAGE


@served
@pytest.mark.parametrize(
    "origin",
    [
        "https://evil.example", "http://chat.example", "https://chat.example:444", "null",
        "https://chat.example.evil.example", "https://chat.example/", "http://localhost:3001", "*",
    ],
)  # fmt: skip
async def test_other_pages_stay_outside(open_door: Door, backend: Simulator, origin: str) -> None:
    for request in (
        preflight(origin),
        post(CHAT, chat(), f"Origin: {origin}", "Authorization: Bearer k"),
    ):
        reply = await open_door.reply(request)
        reply.refused(403, "origin_not_allowed")
        assert not permissions(reply)
        assert reply.headers["vary"] == "Origin"  # a cache must not hand it to another page
    assert not backend.requests


@served
async def test_request_of_no_page_is_as_ever(open_door: Door, backend: Simulator) -> None:
    reply = await open_door.reply(post(CHAT, chat(), "Authorization: Bearer k"))
    assert reply.status == 200
    assert not permissions(reply)
    backend.requests.clear()
    cross = post(CHAT, chat(), "Sec-Fetch-Site: cross-site", "Authorization: Bearer k")
    (await open_door.reply(cross)).refused(403, "cross_site")
    assert not backend.requests


@pytest.mark.parametrize(
    ("text", "origin"),
    [
        ("https://chat.example", "https://chat.example"),
        (" HTTP://LocalHost:3000 ", "http://localhost:3000"),
        ("http://[::1]:3000", "http://[::1]:3000"),
        ("app://obsidian.md", "app://obsidian.md"),
    ],
)
def test_origin_is_read(text: str, origin: str) -> None:
    assert parse_origin(text) == origin


@pytest.mark.parametrize(
    "text",
    ["*", "null", "", "chat.example", "https://chat.example/", "https://chat.example/a",
     "https://me@chat.example", "https://chat.example?x", "https://", "https://a:b"],
)  # fmt: skip
def test_what_is_no_origin_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"."):
        parse_origin(text)


@pytest.mark.parametrize(
    "name", ["box", "Box.Example", "host.docker.internal", "192.168.1.5", "fd00::1", "[fd00::1]"]
)
def test_further_name_of_a_server_is_read(name: str) -> None:
    assert parse_host(f" {name} ") == name.lower()


@pytest.mark.parametrize(
    "name", ["", "*", "*.example", "box:18080", "http://box", "box/", "a b", "[::1]:80", "-a", "b."]
)
def test_what_is_no_name_of_a_server_is_refused(name: str) -> None:
    with pytest.raises(ValueError, match="host name"):
        parse_host(name)
