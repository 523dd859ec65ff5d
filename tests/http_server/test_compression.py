"""Compressed requests: each coding, alone and in a row, and what a bomb or a damaged body costs."""

from __future__ import annotations

import asyncio
import gzip
import json
import os
import random
import sys
import threading
import tracemalloc
import zlib
from collections.abc import Callable, Iterator
from functools import cache
from typing import Any

import pytest
from tests.drawn import picture
from tests.http_server import forms, raw
from tests.http_server.doors import Door, chat, responses
from tests.http_server.raw import get, head, post

from codexapi_engine.bounds import MAX_BODY_BYTES, MAX_FORM_BYTES, MAX_MEMBERS
from codexapi_engine.simulator import Simulator
from codexapi_http.middleware import compression

if sys.version_info >= (3, 14):
    from compression import zstd
else:
    from backports import zstd

pytestmark = [pytest.mark.asyncio(loop_scope="module"), pytest.mark.timeout(60)]

CHAT, RESPONSES, EDITS = "/v1/chat/completions", "/v1/responses", "/v1/images/edits"
MIB = 1 << 20
SKIPPABLE = b"\x50\x2a\x4d\x18\x05\x00\x00\x00abcde"
"""A frame of zstd that stands for nothing."""


def deflate(data: bytes) -> bytes:
    """As the standard has it: with zlib's header."""
    return zlib.compress(data)


def raw_deflate(data: bytes) -> bytes:
    """As many clients send it."""
    stream = zlib.compressobj(wbits=-zlib.MAX_WBITS)
    return stream.compress(data) + stream.flush()


def streamed_zstd(data: bytes) -> bytes:
    """A frame that does not tell its length: its writer did not know it."""
    stream = zstd.ZstdCompressor()
    return stream.compress(data) + stream.flush()


ENCODERS: dict[str, tuple[str, Callable[[bytes], bytes]]] = {
    "gzip": ("gzip", gzip.compress),
    "x-gzip": ("x-gzip", gzip.compress),
    "deflate": ("deflate", deflate),
    "raw deflate": ("deflate", raw_deflate),
    "zstd": ("zstd", zstd.compress),
    "streamed zstd": ("zstd", streamed_zstd),
}
NAMES = ["gzip", "deflate", "zstd"]


def encoded(path: str, body: Any, *names: str) -> bytes:
    """A request whose body has gone through these encoders in this order."""
    data = json.dumps(body).encode()
    for name in names:
        data = ENCODERS[name][1](data)
    return post(path, data, f"Content-Encoding: {', '.join(ENCODERS[name][0] for name in names)}")


def prompt_of(backend: Simulator) -> str:
    (request,) = [one for one in backend.requests if one.path == "/responses"]
    return json.dumps(json.loads(request.body)["input"], ensure_ascii=False)


@pytest.mark.parametrize("name", ENCODERS)
@pytest.mark.parametrize(("path", "body"), [(CHAT, chat), (RESPONSES, responses)])
async def test_encoded_body_is_read(
    server: Door, backend: Simulator, path: str, body: Callable[[str], Any], name: str
) -> None:
    reply = await server.reply(encoded(path, body("grüße"), name))
    assert reply.status == 200, reply
    assert "grüße" in prompt_of(backend)


@pytest.mark.parametrize(
    "names",
    [["gzip", "zstd"], ["zstd", "gzip"], ["deflate", "raw deflate"], ["gzip", "deflate", "zstd"]],
    ids=", ".join,
)
async def test_codings_in_a_row_are_undone_from_the_last_to_the_first(
    server: Door, backend: Simulator, names: list[str]
) -> None:
    assert (await server.reply(encoded(CHAT, chat("well met"), *names))).status == 200
    assert "well met" in prompt_of(backend)


@pytest.mark.parametrize(
    ("header", "encode"),
    [
        ("identity", bytes),
        ("", bytes),
        ("GZip", gzip.compress),
        ("identity , gzip,", gzip.compress),
        ("ZSTD", zstd.compress),
    ],
)
async def test_case_space_and_identity_do_not_matter(
    server: Door, header: str, encode: Callable[[bytes], bytes]
) -> None:
    data = encode(json.dumps(chat()).encode())
    reply = await server.reply(post(CHAT, data, f"Content-Encoding: {header}"))
    assert reply.status == 200, reply


@pytest.mark.parametrize(
    "make",
    [
        lambda parts: b"".join(map(gzip.compress, parts)),
        lambda parts: b"".join(map(zstd.compress, parts)),
        lambda parts: SKIPPABLE + SKIPPABLE.join(map(zstd.compress, parts)) + SKIPPABLE,
    ],
    ids=["gzip members", "zstd frames", "skippable zstd frames"],
)
async def test_body_may_have_several_members(
    server: Door, backend: Simulator, make: Callable[[list[bytes]], bytes]
) -> None:
    data = json.dumps(chat("one after another")).encode()
    body = make([data[:20], data[20:21], b"", data[21:]])
    name = "gzip" if body.startswith(b"\x1f\x8b") else "zstd"
    assert (await server.reply(post(CHAT, body, f"Content-Encoding: {name}"))).status == 200
    assert "one after another" in prompt_of(backend)


@pytest.mark.parametrize("name", ENCODERS)
async def test_body_may_come_a_byte_at_a_time(server: Door, name: str) -> None:
    coding, encode = ENCODERS[name]
    data = encode(json.dumps(chat()).encode())
    coming = [
        head(
            f"POST {CHAT}", "Host: 127.0.0.1", raw.JSON_TYPE, "Transfer-Encoding: chunked",
            f"Content-Encoding: {coding}",
        )
    ]  # fmt: skip
    coming += [b"1\r\n%c\r\n" % byte for byte in data]
    async with raw.connect(server.port) as client:
        for piece in [*coming, b"0\r\n\r\n"]:
            await client.send(piece)
        assert (await client.reply()).status == 200


@pytest.mark.parametrize(
    "header", ["br", "compress", "gzip, br", "snappy;q=1", "gzip;q=1", "gzip, gzip, gzip, gzip"]
)
@pytest.mark.parametrize("kind", [raw.JSON_TYPE, forms.KIND])
async def test_unknown_coding_is_refused_with_those_that_are_known(
    server: Door, backend: Simulator, header: str, kind: str
) -> None:
    request = post(EDITS, b"{}", f"Content-Encoding: {header}", kind)
    reply = await server.reply(request)
    error = reply.refused(415, "unsupported_media_type")
    assert header in error["message"]
    assert reply.headers["accept-encoding"] == "zstd, gzip, deflate"
    assert not backend.requests


def damaged(name: str) -> Iterator[tuple[str, bytes]]:
    """What is no encoded body, and why."""
    _, encode = ENCODERS[name]
    whole = encode(json.dumps(chat("x" * 1000)).encode())
    yield "empty", b""
    yield "one byte", whole[:1]
    yield "half", whole[: len(whole) // 2]
    yield "all but a byte", whole[:-1]
    yield "a byte more", whole + b"x"
    yield "garbage behind it", whole + b"garbage, and a lot of it"
    yield "not encoded", json.dumps(chat()).encode()
    if name == "deflate":
        yield "two streams", whole + whole
    if name != "zstd":  # whose frames need not have a checksum
        yield "a flipped bit", whole[:-1] + bytes([whole[-1] ^ 1])


@pytest.mark.parametrize(
    ("name", "data"),
    [(name, data) for name in NAMES for _, data in damaged(name)],
    ids=[f"{name}, {why}" for name in NAMES for why, _ in damaged(name)],
)
async def test_damaged_body_is_refused_by_the_name_of_its_coding(
    server: Door, backend: Simulator, name: str, data: bytes
) -> None:
    reply = await server.reply(post(CHAT, data, f"Content-Encoding: {name}"))
    error = reply.refused(400, "invalid_content_encoding")
    assert f"decoded as {name}: " in error["message"]
    assert not backend.requests


async def test_window_of_zstd_over_8_mib_is_refused(server: Door) -> None:
    data = random.Random(1).randbytes(9 * MIB)
    stream = zstd.ZstdCompressor(options={int(zstd.CompressionParameter.window_log): 24})
    body = stream.compress(data) + stream.flush()
    reply = await server.reply(post(CHAT, body, "Content-Encoding: zstd"))
    error = reply.refused(400, "invalid_content_encoding")
    assert "too much memory" in error["message"]


@pytest.mark.parametrize(("name", "encode"), [("gzip", gzip.compress), ("zstd", zstd.compress)])
async def test_coding_that_is_not_declared_is_named(
    server: Door, name: str, encode: Callable[[bytes], bytes]
) -> None:
    reply = await server.reply(post(CHAT, encode(json.dumps(chat()).encode())))
    error = reply.refused(400, "invalid_json")
    assert f"'Content-Encoding: {name}'" in error["message"]


async def test_what_is_inside_is_checked_like_any_other_body(server: Door) -> None:
    reply = await server.reply(post(CHAT, gzip.compress(b"{"), "Content-Encoding: gzip"))
    error = reply.refused(400, "invalid_json")
    assert "Content-Encoding" not in error["message"]
    kind = "Content-Type: text/plain"
    request = post(CHAT, gzip.compress(b"{}"), "Content-Encoding: gzip", kind)
    (await server.reply(request)).refused(415, "unsupported_media_type")


# Size.


@pytest.mark.parametrize("name", NAMES)
async def test_limit_counts_what_comes_out(server: Door, backend: Simulator, name: str) -> None:
    room = MAX_BODY_BYTES - len(json.dumps(chat(extra="")).encode())
    fits = encoded(CHAT, chat(extra="x" * room), name)
    assert len(fits) < MIB
    assert (await server.reply(fits)).status == 200
    backend.requests.clear()
    over = encoded(CHAT, chat(extra="x" * (room + 1)), name)
    (await server.reply(over)).refused(413, "request_too_large")
    assert not backend.requests


async def test_limit_counts_the_bytes_on_the_wire_too(server: Door) -> None:
    claim = f"Content-Length: {MAX_BODY_BYTES + 1}"
    async with raw.connect(server.port) as client:
        await client.send(
            head(f"POST {CHAT}", "Host: 127.0.0.1", raw.JSON_TYPE, claim, "Content-Encoding: gzip")
        )
        (await client.reply()).refused(413, "request_too_large")


@cache
def bomb(name: str, *, size: int) -> bytes:
    """So many zeros, made without ever having them."""
    zeros, wbits = bytes(16 * MIB), {"gzip": 31, "deflate": 15}
    stream: Any = (
        zstd.ZstdCompressor() if name == "zstd" else zlib.compressobj(1, wbits=wbits[name])
    )
    pieces: list[bytes] = [stream.compress(zeros) for _ in range(size // len(zeros))]
    return b"".join([*pieces, stream.flush()])


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("twice", [False, True])
async def test_bomb_is_refused_before_it_is_held(server: Door, name: str, twice: bool) -> None:
    data, header = bomb(name, size=256 * MIB), name
    if twice:
        data, header = ENCODERS[name][1](data), f"{name}, {name}"
    tracemalloc.start()
    try:
        reply = await server.reply(post(CHAT, data, f"Content-Encoding: {header}"))
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    reply.refused(413, "request_too_large")
    assert peak < MAX_BODY_BYTES + len(data) * 3 + 8 * MIB


async def test_layer_between_is_counted_too(server: Door) -> None:
    """It may be large, and stand for nothing."""
    comment = b"\x1f\x8b\x08\x10" + bytes(6) + b"x" * MAX_BODY_BYTES
    request = post(CHAT, gzip.compress(comment), "Content-Encoding: gzip, gzip")
    (await server.reply(request)).refused(413, "request_too_large")


async def test_members_are_counted(server: Door) -> None:
    data = gzip.compress(b"") * (MAX_MEMBERS + 1)
    reply = await server.reply(post(CHAT, data, "Content-Encoding: gzip"))
    assert (
        f"over {MAX_MEMBERS:,} parts" in reply.refused(400, "invalid_content_encoding")["message"]
    )


async def test_large_output_of_a_small_piece_is_not_made_on_the_loop(
    server: Door, monkeypatch: pytest.MonkeyPatch
) -> None:
    made: dict[int, int] = {}
    count = compression._Decoder._count

    def counted(self: Any, piece: bytes) -> None:
        here = threading.get_ident()
        made[here] = made.get(here, 0) + len(piece)
        count(self, piece)

    monkeypatch.setattr(compression._Decoder, "_count", counted)
    large = chat(extra="x" * (MAX_BODY_BYTES // 2))
    assert (await server.reply(encoded(CHAT, large, "gzip"))).status == 200
    loop = made.pop(threading.get_ident())
    assert loop <= 2 * compression.AT_ONCE
    assert sum(made.values()) > MAX_BODY_BYTES // 4
    made.clear()
    assert (await server.reply(encoded(CHAT, chat(), "zstd"))).status == 200
    assert list(made) == [threading.get_ident()], "a small one is not worth a thread"


# Forms.


@pytest.mark.parametrize("name", ENCODERS)
async def test_form_may_be_encoded(server: Door, backend: Simulator, name: str) -> None:
    coding, encode = ENCODERS[name]
    form = forms.form(forms.part("prompt", "hat"), forms.picture("image", picture()))
    request = post(EDITS, encode(form), f"Content-Encoding: {coding}", forms.KIND)
    reply = await server.reply(request)
    assert reply.status == 200, reply
    assert "/images/edits" in [one.path for one in backend.requests]


async def test_form_is_counted_as_it_comes_out(server: Door, backend: Simulator) -> None:
    form = forms.form(forms.part("prompt", "hat"), forms.picture("image", bytes(MAX_FORM_BYTES)))
    request = post(EDITS, zstd.compress(form), "Content-Encoding: zstd", forms.KIND)
    error = (await server.reply(request)).refused(413, "request_too_large")
    assert f"{MAX_FORM_BYTES // MIB} MiB" in error["message"]
    assert not backend.requests


async def test_damaged_form_is_refused_by_the_name_of_its_coding(server: Door) -> None:
    form = forms.form(forms.part("prompt", "hat"), forms.picture("image", picture()))
    request = post(EDITS, gzip.compress(form)[:-1], "Content-Encoding: gzip", forms.KIND)
    error = (await server.reply(request)).refused(400, "invalid_content_encoding")
    assert "decoded as gzip" in error["message"]


async def test_server_goes_on_behind_a_body_that_it_refused(server: Door) -> None:
    async with raw.connect(server.port) as client:
        await client.send(post(CHAT, b"junk", "Content-Encoding: zstd"))
        (await client.reply()).refused(400, "invalid_content_encoding")
        await client.send(get("/healthz"))
        assert (await client.reply()).status == 200


async def test_zstd_is_loaded_for_the_first_body_that_needs_it() -> None:
    """Every start would pay for it."""
    found = "import sys, codexapi_http.server.serve; print([m for m in sys.modules if 'zstd' in m])"
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-c",
        found,
        stdout=asyncio.subprocess.PIPE,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
    )
    told, _ = await process.communicate()
    assert told.split() == [b"[]"]
