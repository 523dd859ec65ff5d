"""Pictures by address: a network of our own stands in for the world's."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

import httpx
import pytest
from tests.drawn import picture

from codexapi_engine.errors import InvalidRequest
from codexapi_engine.http.over_httpx import over_httpx
from codexapi_engine.images.fetch import Fetcher, public
from codexapi_engine.settings import Settings

PNG = picture()
NAMES: Mapping[str, Sequence[str]] = {
    "good.example": ["93.184.215.14"],
    "other.example": ["2606:2800:21f:cb07:6820:80da:af6b:8b2c"],
    "inside.example": ["10.0.0.7"],
    "half.example": ["93.184.215.14", "127.0.0.1"],
    "empty.example": [],
    "localhost": ["127.0.0.1", "::1"],
}


@dataclass
class World:
    """Names, and what their addresses answer."""

    answers: dict[str, httpx.Response] = field(default_factory=dict)
    asked: list[httpx.Request] = field(default_factory=list)

    async def resolve(self, name: str, port: int) -> Sequence[str]:
        if name in NAMES:
            return NAMES[name]
        try:
            socket.inet_pton(socket.AF_INET6 if ":" in name else socket.AF_INET, name)
        except OSError:
            raise socket.gaierror(-2, "Name or service not known") from None
        return [name]

    async def handle(self, request: httpx.Request) -> httpx.Response:
        self.asked.append(request)
        return self.answers.get(request.url.path) or httpx.Response(
            200, content=in_pieces(PNG), headers={"content-type": "text/plain"}
        )


async def in_pieces(data: bytes) -> AsyncIterator[bytes]:
    for at in range(0, len(data), 50):
        yield data[at : at + 50]


@asynccontextmanager
async def fetcher(world: World, *, max_bytes: int = 1 << 20) -> AsyncIterator[Fetcher]:
    opened = Fetcher(
        Settings(),
        resolve=world.resolve,
        http=over_httpx(httpx.MockTransport(world.handle)),
        max_bytes=max_bytes,
    )
    try:
        yield opened
    finally:
        await opened.aclose()


async def refused(url: str, world: World | None = None, **more: int) -> str:
    """Why there was no picture."""
    async with fetcher(world or World(), **more) as opened:
        with pytest.raises(InvalidRequest) as caught:
            await opened.fetch(url, param="images[0].image_url")
    assert (caught.value.param, caught.value.code) == ("images[0].image_url", "invalid_image_url")
    return caught.value.message


async def test_a_picture_is_fetched_from_the_address_that_was_checked() -> None:
    world = World()
    async with fetcher(world) as opened:
        given = await opened.fetch("https://good.example/a.png?x=1#y", param="image")
    assert (given.param, given.data) == ("image", PNG)
    (request,) = world.asked
    assert request.url.host == "93.184.215.14"
    assert request.url.raw_path == b"/a.png?x=1"
    assert request.headers["host"] == "good.example"
    assert request.extensions["sni_hostname"] == "good.example"


async def test_the_stranger_learns_nothing_of_the_login() -> None:
    world = World()
    async with fetcher(world) as opened:
        await opened.fetch("https://other.example:8443/a.png", param="image")
    (request,) = world.asked
    assert request.headers["host"] == "other.example:8443"
    assert set(request.headers) == {"host", "user-agent", "accept", "accept-encoding"}


@pytest.mark.parametrize(
    "url",
    [
        "http://good.example/a.png",
        "ftp://good.example/a.png",
        "file:///etc/passwd",
        "https:///a.png",
        "https://me:secret@good.example/a.png",
        "https://good.example:99999/a.png",
        "https://[::1/a.png",
        "https://inside.example/a.png",
        "https://half.example/a.png",
        "https://empty.example/a.png",
        "https://nowhere.example/a.png",
        "https://localhost/a.png",
        "https://127.0.0.1/a.png",
        "https://169.254.169.254/latest/meta-data",
        "https://[::1]/a.png",
        "https://[::ffff:10.0.0.1]/a.png",
    ],
)
async def test_no_request_is_made_to_what_is_not_a_public_https_address(url: str) -> None:
    world = World()
    assert "secret" not in await refused(url, world)
    assert world.asked == []


@pytest.mark.parametrize(
    "host",
    [
        "2130706433", "0x7f000001", "0177.0.0.1", "127.1", "0", "0.0.0.0", "127.0.0.1.",
        "[::ffff:127.0.0.1]", "[::ffff:7f00:1]", "[0:0:0:0:0:0:0:1]", "3232235521", "0xa9.254.169.254",
        "①②⑦.⓪.⓪.①", "127。0。0。1",
    ],
)  # fmt: skip
async def test_other_ways_to_write_an_address_of_ours_lead_nowhere(host: str) -> None:
    """By the system's own resolver, which reads numbers without asking anyone."""
    world = World()
    opened = Fetcher(Settings(), http=over_httpx(httpx.MockTransport(world.handle)))
    with pytest.raises(InvalidRequest) as caught:
        await opened.fetch(f"https://{host}/a.png", param="image")
    await opened.aclose()
    assert caught.value.code == "invalid_image_url"
    assert world.asked == []


async def test_name_that_means_another_address_the_next_moment_is_asked_for_once() -> None:
    world, answers = World(), ["93.184.215.14", "127.0.0.1"]

    async def rebinding(name: str, port: int) -> Sequence[str]:
        return [answers.pop(0)]

    opened = Fetcher(
        Settings(), resolve=rebinding, http=over_httpx(httpx.MockTransport(world.handle))
    )
    await opened.fetch("https://evil.example/a.png", param="image")
    await opened.aclose()
    assert [request.url.host for request in world.asked] == ["93.184.215.14"]
    assert answers == ["127.0.0.1"]


@pytest.mark.parametrize(
    ("address", "out"),
    [
        ("93.184.215.14", True),
        ("2606:2800:21f:cb07:6820:80da:af6b:8b2c", True),
        ("0.0.0.0", False),
        ("127.0.0.1", False),
        ("10.1.2.3", False),
        ("172.16.0.1", False),
        ("192.168.1.1", False),
        ("169.254.169.254", False),
        ("100.64.0.1", False),
        ("192.0.2.1", False),
        ("198.18.0.1", False),
        ("224.0.0.1", False),
        ("240.0.0.1", False),
        ("255.255.255.255", False),
        ("::", False),
        ("::1", False),
        ("fe80::1%eth0", False),
        ("fec0::1", False),
        ("fd00::1", False),
        ("ff02::1", False),
        ("::ffff:127.0.0.1", False),
        ("::ffff:93.184.215.14", True),
        ("64:ff9b::a00:1", False),
        ("64:ff9b::5db8:d70e", True),
        ("2002:7f00:1::", False),
        ("2001:0:1::1", False),
        ("nonsense", False),
    ],
)
def test_an_address_is_public_or_not(address: str, out: bool) -> None:
    assert public(address) is out


def moved(to: str) -> httpx.Response:
    return httpx.Response(302, headers={"location": to})


async def test_a_redirect_is_followed_to_another_public_address() -> None:
    world = World({"/a": moved("https://other.example/b"), "/b": moved("/c")})
    async with fetcher(world) as opened:
        assert (await opened.fetch("https://good.example/a", param="image")).data == PNG
    assert [request.headers["host"] for request in world.asked] == [
        "good.example", "other.example", "other.example",
    ]  # fmt: skip


@pytest.mark.parametrize(
    "to",
    [
        "https://127.0.0.1/b", "https://inside.example/b", "http://good.example/b",
        "//localhost/b", "file:///etc/passwd",
    ],
)  # fmt: skip
async def test_a_redirect_is_checked_like_the_first_address(to: str) -> None:
    world = World({"/a": moved(to)})
    await refused("https://good.example/a", world)
    assert len(world.asked) == 1


async def test_redirects_come_to_an_end() -> None:
    world = World({"/a": moved("/a")})
    assert "3 times" in await refused("https://good.example/a", world)
    assert len(world.asked) == 4


@pytest.mark.parametrize("told", [True, False])
async def test_what_is_too_large_is_not_read_to_its_end(told: bool) -> None:
    pieces = 0

    async def endless() -> AsyncIterator[bytes]:
        nonlocal pieces
        while True:
            pieces += 1
            yield bytes(1 << 19)

    headers = {"content-length": str(1 << 40)} if told else {}
    world = World({"/a": httpx.Response(200, content=endless(), headers=headers)})
    assert "1 MB" in await refused("https://good.example/a", world)
    assert pieces <= (0 if told else 4)


@pytest.mark.parametrize(
    "answer",
    [
        httpx.Response(404),
        httpx.Response(500),
        httpx.Response(206, content=PNG),
        httpx.Response(200, content=PNG, headers={"content-encoding": "br"}),
    ],
    ids=lambda answer: str(answer.status_code),
)
async def test_an_answer_that_is_no_picture_is_refused(answer: httpx.Response) -> None:
    await refused("https://good.example/a", World({"/a": answer}))


async def test_a_network_that_fails_is_the_addresss_fault() -> None:
    class Broken(World):
        async def handle(self, request: httpx.Request) -> httpx.Response:
            raise httpx.ConnectError("refused", request=request)

    await refused("https://good.example/a", Broken())


async def test_it_does_not_wait_for_ever() -> None:
    async def never(name: str, port: int) -> Sequence[str]:
        await asyncio.Event().wait()
        return []

    opened = Fetcher(Settings(), resolve=never, seconds=0.01)
    with pytest.raises(InvalidRequest, match=r"0\.01 s"):
        await opened.fetch("https://good.example/a", param="image")
    await opened.aclose()
