"""TLS, and the way through a proxy."""

from __future__ import annotations

import asyncio
import ssl
from pathlib import Path

import pytest
from tests.certificates import Authority
from tests.engine.connections import ask, opened, request, talking
from tests.faulty import stream
from tests.signers import Unsigned

from codexapi_engine.http import connection as road
from codexapi_engine.http import failures
from codexapi_engine.http.client import Transport
from codexapi_engine.settings import Settings


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority(tmp_path_factory.mktemp("authority"))


async def hello(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    while True:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(stream(b"hi"))


async def test_an_encrypted_connection_is_used_again_and_its_authorities_read_once(
    authority: Authority,
) -> None:
    read: list[int] = []

    def authorities() -> ssl.SSLContext:
        read.append(1)
        return ssl.create_default_context(cafile=str(authority.file))

    async with (
        talking(hello, authority.server("127.0.0.1")) as port,
        opened(authorities) as network,
    ):
        for _ in range(3):
            assert await ask(network, request(f"https://127.0.0.1:{port}/")) == (200, b"hi")
        assert (len(network._open), len(read)) == (1, 1)


@pytest.mark.parametrize("loop", ["asyncio", "uvloop"])
def test_a_large_request_is_sent_encrypted(authority: Authority, loop: str) -> None:
    """The loops have a TLS of their own each."""
    loops = pytest.importorskip(loop, reason="uvloop is not made for Windows")
    context = ssl.create_default_context(cafile=str(authority.file))
    body = b"x" * (8 * road.WRITE_CHUNK)

    async def count(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while True:
            await reader.readuntil(b"\r\n\r\n")
            writer.write(stream(b"%d" % len(await reader.readexactly(len(body)))))

    async def story() -> None:
        async with (
            talking(count, authority.server("127.0.0.1")) as port,
            opened(lambda: context) as network,
        ):
            for _ in range(2):
                asked = request(f"https://127.0.0.1:{port}/", "POST", content=body)
                assert await ask(network, asked) == (200, b"%d" % len(body))

    with asyncio.Runner(loop_factory=loops.new_event_loop) as runner:
        runner.run(story())


@pytest.mark.parametrize("loop", ["asyncio", "uvloop"])
def test_a_server_is_reached_by_its_name(authority: Authority, loop: str) -> None:
    """As every user's backend is. A name has several addresses, which race."""
    loops = pytest.importorskip(loop, reason="uvloop is not made for Windows")
    context = ssl.create_default_context(cafile=str(authority.file))

    async def story() -> None:
        async with (
            talking(hello, authority.server("localhost")) as port,
            opened(lambda: context) as network,
        ):
            assert await ask(network, request(f"https://localhost:{port}/")) == (200, b"hi")
            for name in ("unknown.invalid", "x" * 64 + ".example"):
                with pytest.raises(failures.ConnectError):
                    await network.send(request(f"https://{name}:{port}/"))

    with asyncio.Runner(loop_factory=loops.new_event_loop) as runner:
        runner.run(story())


@pytest.mark.parametrize("name", ["other.example", None])
async def test_a_certificate_of_another_or_of_nobody_is_refused(
    authority: Authority, tmp_path: Path, name: str | None
) -> None:
    trusted = authority if name else Authority(tmp_path)
    context = ssl.create_default_context(cafile=str(trusted.file))
    async with talking(hello, authority.server(name or "127.0.0.1")) as port:
        async with opened(lambda: context) as network:
            with pytest.raises(failures.ConnectError, match=r"(?i)certificate"):
                await network.send(request(f"https://127.0.0.1:{port}/"))


async def test_the_name_may_be_another_than_the_address(authority: Authority) -> None:
    context = ssl.create_default_context(cafile=str(authority.file))
    async with talking(hello, authority.server("pictures.example")) as port:
        async with opened(lambda: context) as network:
            asked = request(f"https://127.0.0.1:{port}/")
            server = asked.url.server._replace(name="pictures.example")
            asked = asked._replace(url=asked.url._replace(server=server))
            assert await ask(network, asked) == (200, b"hi")


async def test_what_is_no_tls_is_told(authority: Authority) -> None:
    context = ssl.create_default_context(cafile=str(authority.file))

    async def plain(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 400 Bad Request\r\n\r\n")
        await reader.read()

    async with talking(plain) as port, opened(lambda: context) as network:
        with pytest.raises(failures.ConnectError):
            await network.send(request(f"https://127.0.0.1:{port}/"))


COMPLETED = b'data: {"type":"response.completed","response":{"id":"resp_1","output":[]}}\n\n'


async def test_a_stream_comes_through_a_proxy_that_sees_none_of_it(authority: Authority) -> None:
    seen: list[bytes] = []

    async def backend(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while True:
            start = await reader.readuntil(b"\r\n\r\n")
            await reader.readexactly(int(start.lower().split(b"content-length: ")[1].split()[0]))
            writer.write(stream(COMPLETED))

    async def proxy(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        seen.append(await reader.readuntil(b"\r\n\r\n"))
        there, back = await asyncio.open_connection("127.0.0.1", port)
        writer.write(b"HTTP/1.1 200 Connection established\r\n\r\n")

        async def pass_on(one: asyncio.StreamReader, other: asyncio.StreamWriter) -> None:
            while data := await one.read(65_536):
                seen.append(data)
                other.write(data)

        try:
            await asyncio.gather(pass_on(reader, back), pass_on(there, writer))
        finally:
            back.transport.abort()

    async with (
        talking(backend, authority.server("backend.example")) as port,
        talking(proxy) as way,
    ):
        chosen = Settings(
            base_url="https://backend.example/codex",
            proxy=f"http://127.0.0.1:{way}",
            ca_file=authority.file,
        )
        transport = Transport(chosen, Unsigned())
        try:
            for _ in range(2):
                async with await transport.stream("/responses", {}) as events:
                    assert [event.type async for event in events] == ["response.completed"]
        finally:
            await transport.aclose()
    assert seen[0].startswith(b"CONNECT backend.example:443 HTTP/1.1\r\n")
    assert not any(b"response" in data for data in seen)
