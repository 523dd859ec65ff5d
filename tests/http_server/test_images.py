"""The image doors, as clients find them: forms, JSON, addresses, and what is refused."""

from __future__ import annotations

import asyncio
import base64
import json
import time
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest
import pytest_asyncio
from tests.drawn import animation, bomb, mask, opened, photo, picture
from tests.http_server import forms, raw
from tests.http_server.doors import Door, door, listening
from tests.http_server.raw import JsonObject, Reply

from codexapi_engine import Codex, Settings
from codexapi_engine.bounds import MAX_FILE_BYTES, MAX_FORM_BYTES, MIB
from codexapi_engine.http.in_process import in_process
from codexapi_engine.http.over_httpx import over_httpx
from codexapi_engine.images.fetch import Fetcher
from codexapi_engine.images.hosting import HostedImages
from codexapi_engine.login.store import InMemory
from codexapi_engine.protocol import sse
from codexapi_engine.protocol.images import data_url
from codexapi_engine.simulator import Simulator
from codexapi_http import create_app

PNG, CLEAR = picture(), mask()
URL, CLEAR_URL = data_url("image/png", PNG), data_url("image/png", CLEAR)
LARGE = 40
"""MiB of a picture on another host, of which a form has room for few."""

GENERATIONS, EDITS = "/v1/images/generations", "/v1/images/edits"
VARIATIONS, FILES = "/v1/images/variations", "/v1/files/images/"


class World:
    """Strangers' names and their pictures, and a way out that leads back in."""

    async def resolve(self, name: str, port: int) -> Sequence[str]:
        found = {"good.example": "93.184.215.14", "inside.example": "10.0.0.7"}
        return [found[name]] if name in found else [name]

    async def answer(self, request: httpx.Request) -> httpx.Response:
        if request.url.path == "/large.png":

            async def large() -> AsyncIterator[bytes]:
                yield PNG
                for _ in range(LARGE):
                    yield bytes(1 << 20)

            return httpx.Response(200, content=large())
        if request.url.path == "/fox.gif":

            async def gif() -> AsyncIterator[bytes]:
                yield animation()

            return httpx.Response(200, content=gif())
        if request.url.path == "/away":
            return httpx.Response(302, headers={"location": "https://inside.example/a.png"})

        async def body() -> AsyncIterator[bytes]:
            yield PNG

        return httpx.Response(200, content=body())


@asynccontextmanager
async def studio(simulator: Simulator, folder: Path, **settings: Any) -> AsyncIterator[Door]:
    """A server before this simulator, whose state and whose internet are the test's own."""
    chosen = Settings(
        codex_home=folder, base_url="http://127.0.0.1:1", state_dir=folder, **settings
    )
    world = World()
    fetcher = Fetcher(
        chosen, resolve=world.resolve, http=over_httpx(httpx.MockTransport(world.answer))
    )
    http, store = in_process(simulator.handle), InMemory(simulator.login())
    async with Codex(chosen, http=http, store=store, fetcher=fetcher) as codex:
        app = create_app(codex, chosen)
        async with listening(app) as port:
            yield Door(port, app)


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def shared_backend() -> Simulator:
    return Simulator()


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def server(
    shared_backend: Simulator, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[Door]:
    async with studio(shared_backend, tmp_path_factory.mktemp("state")) as opened_door:
        yield opened_door


@pytest.fixture
def backend(shared_backend: Simulator) -> Simulator:
    shared_backend.requests.clear()
    return shared_backend


pytestmark = pytest.mark.asyncio(loop_scope="module")


def sent(backend: Simulator) -> list[JsonObject]:
    """What the backend was asked to draw."""
    return [json.loads(r.body) for r in backend.requests if "images" in r.path]


def drawn(reply: Reply) -> bytes:
    assert reply.status == 200, reply
    return base64.b64decode(reply.json["data"][0]["b64_json"])


# What clients send


@pytest.mark.parametrize(
    "body",
    [
        # Open WebUI
        {"model": "dall-e-2", "prompt": "a fox", "n": 1, "size": "512x512", "response_format": "b64_json"},
        {"model": "gpt-image-1", "prompt": "a fox", "n": 1, "size": "auto"},
        {"model": "gpt-image-1.5", "prompt": "a fox", "n": 2, "size": "1024x1024", "quality": "high"},
        # LibreChat
        {"model": "gpt-image-1", "prompt": "a fox", "n": 1, "background": "auto", "output_format": "png", "quality": "auto", "size": "auto"},
        {"model": "gpt-image-1", "prompt": "a fox", "n": 1, "background": "transparent", "output_format": "webp", "output_compression": 100, "quality": "auto", "size": "1024x1536"},
        # no model at all
        {"prompt": "a fox"},
    ],
)  # fmt: skip
async def test_generations_of_well_known_clients(
    server: Door, backend: Simulator, body: JsonObject
) -> None:
    reply = await server.reply(raw.post(f"{GENERATIONS}?api-version=1", body))
    image = opened(drawn(reply))
    told = reply.json
    assert len(told["data"]) == body.get("n", 1) == len(sent(backend))
    assert told["size"] == f"{image.width}x{image.height}"
    assert told["output_format"] == body.get("output_format", "png") == str(image.format).lower()
    assert told["usage"]["total_tokens"] > 0
    assert reply.headers["x-ratelimit-remaining-requests"] == "88"
    assert {one["model"] for one in sent(backend)} == {"gpt-image-2"}
    assert "x-codexapi-ignored" not in reply.headers


async def test_a_client_of_old_models_gets_an_address_unasked(
    server: Door, backend: Simulator
) -> None:
    body = {
        "model": "dall-e-3", "quality": "hd", "style": "vivid", "size": "1792x1024",
        "prompt": "a fox", "n": 1,
    }  # fmt: skip
    reply = await server.reply(raw.post(GENERATIONS, body))
    (datum,) = reply.json["data"]
    assert datum["url"].startswith(f"http://127.0.0.1{FILES}")
    assert "b64_json" not in datum
    assert reply.headers["x-codexapi-ignored"] == "style"
    assert sent(backend)[0]["quality"] == "high"
    assert sent(backend)[0]["size"] == "1536x1024"


@pytest.mark.parametrize("name", ["image", "image[]", "image[0]"])
@pytest.mark.parametrize("whole", [True, False])
async def test_edits_of_well_known_clients(
    server: Door, backend: Simulator, name: str, whole: bool
) -> None:
    parts = [
        forms.part("model", "gpt-image-1"),
        forms.part("prompt", "in snow"),
        forms.part("quality", "auto"),
        forms.part("size", "auto"),
        forms.part("n", "1"),
        forms.part("response_format", "b64_json"),
        forms.picture(name, PNG),
        forms.picture(name, picture("jpeg")),
    ]
    request = forms.post(EDITS, *parts) if whole else forms.chunked(EDITS, forms.form(*parts))
    reply = await server.reply(request)
    assert opened(drawn(reply)).format == "PNG"
    (asked,) = sent(backend)
    kinds = [image["image_url"].partition(";")[0] for image in asked["images"]]
    assert kinds == ["data:image/png", "data:image/jpeg"]
    assert asked["prompt"] == "in snow"


@pytest.mark.parametrize(
    "given",
    [
        {"images": [{"image_url": URL}, {"image_url": URL}]},
        {"images": [URL, {"image_url": {"url": URL}}]},
        {"image": [URL, URL]},
        {"images": [{"image_url": "https://good.example/a.png"}, {"image_url": URL}]},
    ],
)
async def test_edits_as_json(server: Door, backend: Simulator, given: JsonObject) -> None:
    reply = await server.reply(raw.post(EDITS, {"prompt": "in snow", **given}))
    assert drawn(reply)
    assert [image["image_url"] for image in sent(backend)[0]["images"]] == [URL, URL]


@pytest.mark.parametrize("as_json", [True, False])
async def test_a_mask_takes_the_road_that_knows_one(
    server: Door, backend: Simulator, as_json: bool
) -> None:
    request = (
        raw.post(EDITS, {"prompt": "x", "image": URL, "mask": {"image_url": CLEAR_URL}})
        if as_json
        else forms.post(
            EDITS, forms.part("prompt", "x"), forms.picture("mask", CLEAR),
            forms.picture("image", PNG),
        )
    )  # fmt: skip
    assert drawn(await server.reply(request))
    asked = json.loads(next(r.body for r in backend.requests if r.path == "/responses"))
    (tool,) = asked["tools"]
    assert tool["input_image_mask"] == {"image_url": CLEAR_URL}
    assert tool["action"] == "edit"


@pytest.mark.parametrize(
    "url",
    [
        URL.replace("image/png", "image/x-png"),
        URL.replace("image/png", "image/jpg"),
        URL.replace("image/png", ""),
        URL.replace("base64,", "base64,\n").replace("I", "I\r\n"),
        URL.rstrip("=").replace("+", "-").replace("/", "_").replace("image_png", "image/png"),
    ],
)
async def test_a_data_url_is_read_by_its_bytes(server: Door, backend: Simulator, url: str) -> None:
    assert drawn(await server.reply(raw.post(EDITS, {"prompt": "x", "image": url})))
    assert [image["image_url"] for image in sent(backend)[0]["images"]] == [URL]


@pytest.mark.parametrize("form", ["upload", "data URL", "address"])
async def test_a_gif_is_edited_as_a_png(server: Door, backend: Simulator, form: str) -> None:
    given = {
        "data URL": data_url("image/gif", animation()),
        "address": "https://good.example/fox.gif",
    }
    request = (
        forms.post(EDITS, forms.part("prompt", "x"), forms.picture("image", animation()))
        if form == "upload"
        else raw.post(EDITS, {"prompt": "x", "image": given[form]})
    )
    assert drawn(await server.reply(request))
    (image,) = sent(backend)[0]["images"]
    assert image["image_url"].startswith("data:image/png;base64,")


async def test_a_photo_is_upright_beside_its_mask(server: Door, backend: Simulator) -> None:
    body = {
        "prompt": "x",
        "image": data_url("image/jpeg", photo(size=(60, 40))),
        "mask": data_url("image/png", mask((40, 60))),
    }
    assert drawn(await server.reply(raw.post(EDITS, body)))
    asked = json.loads(next(r.body for r in backend.requests if r.path == "/responses"))
    (part,) = [part for part in asked["input"][0]["content"] if part["type"] == "input_image"]
    assert opened(base64.b64decode(part["image_url"].partition(",")[2])).size == (40, 60)


async def test_partial_images_without_a_stream_are_ignored_and_named(server: Door) -> None:
    reply = await server.reply(raw.post(GENERATIONS, {"prompt": "a fox", "partial_images": 2}))
    assert drawn(reply)
    assert reply.headers["x-codexapi-ignored"] == "partial_images"


@pytest.mark.parametrize("name", ["n", "partial_images", "output_compression"])
@pytest.mark.parametrize(
    "value", ["--1", "+1", " 1", "1.0", "1e2", "", "-", "9" * 5000, "\u0663", "\xb2"]
)
async def test_a_number_of_a_form_that_is_none_is_refused_by_its_name(
    server: Door, backend: Simulator, name: str, value: str
) -> None:
    request = forms.post(
        EDITS, forms.part("prompt", "a fox"), forms.part(name, value), forms.picture("image", PNG)
    )
    error = (await server.reply(request)).refused(400, "invalid_value")
    assert error["param"] == name
    assert not sent(backend)


async def test_a_variation_is_an_edit_and_says_so(server: Door, backend: Simulator) -> None:
    reply = await server.reply(
        forms.post(
            VARIATIONS, forms.picture("image", PNG), forms.part("n", "2"), forms.part("prompt", "")
        )
    )
    assert reply.headers["x-codexapi-emulated"] == "variations"
    assert reply.headers["x-codexapi-ignored"] == "prompt"
    assert all(datum["url"] for datum in reply.json["data"])
    assert len(sent(backend)) == 2
    assert sent(backend)[0]["prompt"].startswith("Create a variation")


async def test_pictures_of_a_generation_are_ignored_by_name(server: Door) -> None:
    reply = await server.reply(raw.post(GENERATIONS, {"prompt": "x", "image": URL, "mask": 7}))
    assert reply.headers["x-codexapi-ignored"] == "image,mask"


@pytest.mark.parametrize(("stream", "ignored"), [(False, "moderation"), (True, None)])
async def test_what_only_the_tool_knows_is_named_where_it_does_not_draw(
    server: Door, stream: bool, ignored: str | None
) -> None:
    body: JsonObject = {"prompt": "x", "moderation": "low"}
    if stream:
        body.update(stream=True, partial_images=1)
    reply = await server.reply(raw.post(GENERATIONS, body))
    assert reply.headers.get("x-codexapi-ignored") == ignored


async def test_a_form_can_ask_for_a_stream(server: Door) -> None:
    reply = await server.reply(
        forms.post(
            EDITS, forms.picture("image", PNG), forms.part("prompt", "x"),
            forms.part("stream", "true"), forms.part("partial_images", "1"),
        )
    )  # fmt: skip
    events = sse.Decoder().feed(reply.body)
    assert [event.type for event in events if event.json] == [
        "image_edit.partial_image", "image_edit.completed",
    ]  # fmt: skip


# Addresses


async def test_an_address_gives_the_picture_for_an_hour(tmp_path: Path) -> None:
    async with studio(Simulator(), tmp_path, api_key="a key") as server:
        clock = [time.time()]
        server.app.state.hosted_images = HostedImages(tmp_path / "images", clock=lambda: clock[0])
        asking = {"prompt": "a fox", "response_format": "url", "output_format": "jpeg"}
        key = "Authorization: Bearer a key"
        made = await server.reply(raw.post(GENERATIONS, asking, key))
        path = made.json["data"][0]["url"].removeprefix("http://127.0.0.1")
        reply = await server.reply(raw.get(path))  # without the key
        assert (reply.status, reply.headers["content-type"]) == (200, "image/jpeg")
        assert reply.headers["x-content-type-options"] == "nosniff"
        assert opened(reply.body).format == "JPEG"
        assert (await server.reply(raw.get(path, host="evil.example"))).status == 421
        clock[0] += 3601
        (await server.reply(raw.get(path))).refused(404, "not_found")
        (await server.reply(raw.post(GENERATIONS, asking))).refused(401, "invalid_api_key")


@pytest.mark.parametrize("name", ["x.png", "..%2fauth.json", "%2e%2e/%2e%2e/auth.json", ""])
async def test_no_other_file_has_an_address(server: Door, name: str) -> None:
    reply = await server.reply(raw.get(FILES + name))
    assert reply.status == 404


async def test_a_state_folder_that_cannot_be_is_told(tmp_path: Path) -> None:
    (tmp_path / "images").write_bytes(b"a file")
    async with studio(Simulator(), tmp_path) as server:
        reply = await server.reply(raw.post(GENERATIONS, {"prompt": "x", "response_format": "url"}))
    reply.refused(503, "state_unavailable")


# What is refused

BAD: Mapping[str, tuple[bytes, str]] = {
    "no picture": (b"hello", "invalid_image"),
    "an empty file": (b"", "invalid_image"),
    "truncated": (picture(size=(300, 300))[:-40], "invalid_image"),
    "too many pixels": (bomb(), "image_too_large"),
    "too large": (PNG + bytes(MAX_FILE_BYTES + 1), "image_too_large"),
}


@pytest.mark.parametrize("name", BAD)
@pytest.mark.parametrize("field", ["image", "mask"])
async def test_a_bad_file_is_a_400_that_names_the_field(
    server: Door, backend: Simulator, name: str, field: str
) -> None:
    data, code = BAD[name]
    parts = [forms.part("prompt", "x"), forms.picture(field, data)]
    if field == "mask":
        parts.append(forms.picture("image", PNG))
    error = (await server.reply(forms.post(EDITS, *parts))).refused(400, code)
    assert error["param"] == field
    assert not backend.requests


async def test_a_mask_without_alpha_is_a_400_that_names_it(server: Door) -> None:
    reply = await server.reply(
        forms.post(
            EDITS, forms.part("prompt", "x"), forms.picture("image", PNG),
            forms.picture("mask", PNG),
        )
    )  # fmt: skip
    assert reply.refused(400, "invalid_image")["param"] == "mask"


@pytest.mark.parametrize(
    ("body", "param", "code"),
    [
        ({}, "image", "missing_required_parameter"),
        ({"images": []}, "image", "missing_required_parameter"),
        ({"images": [{"image_url": "data:image/png;base64,!"}]}, "images[0].image_url", "invalid_base64_image"),
        ({"images": [URL, {"image_url": "data:text/plain,hi"}]}, "images[1].image_url", "invalid_image_url"),
        ({"images": [{"image_url": "data:image/png;base64,aGk="}]}, "images[0].image_url", "invalid_image"),
        ({"images": [7]}, "images[0]", "invalid_image_url"),
        ({"image": URL, "mask": {"image_url": URL}}, "mask.image_url", "invalid_image"),
        ({"images": [{"image_url": "http://good.example/a.png"}]}, "images[0].image_url", "invalid_image_url"),
        ({"images": [{"image_url": "https://10.0.0.1/a.png"}]}, "images[0].image_url", "invalid_image_url"),
        ({"images": [{"image_url": "https://inside.example/a.png"}]}, "images[0].image_url", "invalid_image_url"),
        ({"images": [{"image_url": "https://good.example/away"}]}, "images[0].image_url", "invalid_image_url"),
        ({"images": [URL] * 17}, "images[16]", "invalid_value"),
        ({"images": ["https://good.example/large.png"] * 16}, f"images[{(MAX_FORM_BYTES - 1) // (LARGE * MIB)}]", "image_too_large"),
        ({"images": ["https://inside.example/a.png"] * 17}, "images[16]", "invalid_value"),
    ],
)  # fmt: skip
async def test_a_bad_picture_in_json_is_a_400_that_names_its_place(
    server: Door, backend: Simulator, body: JsonObject, param: str, code: str
) -> None:
    reply = await server.reply(raw.post(EDITS, {"prompt": "x", **body}))
    assert reply.refused(400, code)["param"] == param
    assert not backend.requests


@pytest.mark.parametrize("kind", [forms.KIND, "Content-Type: application/json"])
async def test_a_body_over_the_limit_is_a_413_however_it_comes(server: Door, kind: str) -> None:
    body = forms.form(forms.picture("image", bytes(MAX_FORM_BYTES)))
    told = raw.head(f"POST {EDITS}", "Host: 127.0.0.1", kind, f"Content-Length: {len(body)}")
    (await server.reply(told)).refused(413, "request_too_large")
    async with raw.connect(server.port) as connection:
        # The answer comes before the body's end, and the rest is never read.
        sending = asyncio.ensure_future(connection.send(forms.chunked(EDITS, body, kind)))
        try:
            (await connection.reply()).refused(413, "request_too_large")
        finally:
            sending.cancel()
            await asyncio.gather(sending, return_exceptions=True)


@pytest.mark.parametrize(
    ("request_", "status", "code"),
    [
        (raw.post(EDITS, b"x", "Content-Type: text/plain"), 415, "unsupported_media_type"),
        (forms.post(GENERATIONS, forms.part("prompt", "x")), 415, "unsupported_media_type"),
        (raw.post(EDITS, b"x", "Content-Type: multipart/form-data"), 400, "invalid_form"),
        (raw.post(EDITS, b"garbage", forms.KIND), 400, "invalid_form"),
        (forms.post(EDITS, *[forms.picture("image", b"")] * 30), 400, "invalid_form"),
        (forms.post(EDITS, forms.part("prompt", "x" * (1 << 21))), 400, "invalid_form"),
    ],
)
async def test_a_form_that_is_none_is_refused(
    server: Door, request_: bytes, status: int, code: str
) -> None:
    (await server.reply(request_)).refused(status, code)


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("partial_images", [0, 2])
async def test_what_moderation_blocks_has_the_official_type(
    server: Door, stream: bool, partial_images: int
) -> None:
    body = {"prompt": "[[blocked]]", "stream": stream}
    if stream:
        body["partial_images"] = partial_images
    error = (await server.reply(raw.post(GENERATIONS, body))).refused(400, "moderation_blocked")
    assert error["type"] == "image_generation_user_error"


# Manners


@pytest.mark.parametrize(
    "body",
    [
        {"prompt": "[[silence 60]]"},
        {"prompt": "[[silence 60]]", "n": 2},
        {"prompt": "[[silence 60]]", "stream": True},
        {"prompt": "[[silence 60]]", "stream": True, "partial_images": 1},
    ],
)
async def test_a_client_that_leaves_ends_the_drawing(tmp_path: Path, body: JsonObject) -> None:
    waiting, left = asyncio.Event(), asyncio.Event()

    async def sleep(seconds: float) -> None:
        waiting.set()
        try:
            await asyncio.Event().wait()
        finally:
            left.set()

    simulator = Simulator(sleep=sleep)
    async with studio(simulator, tmp_path) as server, raw.connect(server.port) as connection:
        await connection.send(raw.post(GENERATIONS, body))
        await waiting.wait()
        connection.leave()
        await left.wait()


async def test_a_silent_drawing_is_kept_alive_in_a_stream() -> None:
    ready = asyncio.Event()

    async def sleep(seconds: float) -> None:
        await ready.wait()

    async with door(Simulator(sleep=sleep), keep_alive=0.01) as server:
        async with raw.connect(server.port) as connection:
            body = {"prompt": "[[silence 1]] a fox", "stream": True}
            await connection.send(raw.post(GENERATIONS, body))
            assert (await connection.head()).status == 200
            assert await connection.piece() == sse.KEEP_ALIVE
            ready.set()
            out = b"".join([piece async for piece in connection.pieces()])
    events = [event for event in sse.Decoder().feed(out) if event.json]
    assert [event.type for event in events] == ["image_generation.completed"]


@pytest.mark.parametrize("how", [{}, {"response_format": "url"}], ids=["bytes", "addresses"])
async def test_pictures_that_came_are_kept_and_the_others_told_of(
    server: Door, backend: Simulator, how: JsonObject
) -> None:
    """They are paid for; and after an error, an official client would order all of them anew."""
    prompt = f"a fox, as {how} [[status context_length_exceeded_http 1]]"
    asked: JsonObject = {"prompt": prompt, "n": 3, **how}
    reply = await server.reply(raw.post(GENERATIONS, asked))
    assert (reply.status, len(reply.json["data"])) == (200, 2)
    assert reply.headers["x-codexapi-failed"] == "1 of 3: context_length_exceeded"
    assert len(sent(backend)) == 3


async def test_where_no_picture_came_the_failure_is_the_answer(server: Door) -> None:
    asked = {"prompt": "a fox [[status context_length_exceeded_http]]", "n": 3}
    (await server.reply(raw.post(GENERATIONS, asked))).refused(400, "context_length_exceeded")


async def test_pictures_that_all_came_fail_in_nothing(server: Door) -> None:
    reply = await server.reply(raw.post(GENERATIONS, {"prompt": "a fox", "n": 2}))
    assert "x-codexapi-failed" not in reply.headers
