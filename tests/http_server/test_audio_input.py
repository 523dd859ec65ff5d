"""Audio files in requests: passed to a model that hears, refused for one that does not, or as text."""

from __future__ import annotations

import base64
from typing import Any

import pytest
from tests.audio_files import flac, scripted, wav
from tests.http_server.doors import MODEL, Door, door
from tests.http_server.raw import JsonObject, get, post

from codexapi_engine.protocol import json
from codexapi_engine.simulator import Simulator
from codexapi_engine.simulator.backend import catalogue

pytestmark = [pytest.mark.asyncio(loop_scope="module"), pytest.mark.timeout(60)]

CHAT, RESPONSES = "/v1/chat/completions", "/v1/responses"
HEADER = "x-codexapi-transcribed"


def audio_file(data: bytes = wav([1, 2]), kind: str = "wav") -> JsonObject:
    encoded = base64.b64encode(data).decode()
    return {"type": "input_audio", "input_audio": {"data": encoded, "format": kind}}


def asked(path: str, *parts: JsonObject, **more: Any) -> bytes:
    message = {"role": "user", "content": list(parts)}
    field = "messages" if path == CHAT else "input"
    return post(path, {"model": MODEL, field: [message], **more})


def sent_parts(backend: Simulator) -> list[JsonObject]:
    (run,) = [json.loads(sent.body) for sent in backend.requests if sent.path == "/responses"]
    parts: list[JsonObject] = run["input"][-1]["content"]
    return parts


def is_asked(backend: Simulator) -> bool:
    return any(sent.path in ("/responses", "/transcribe") for sent in backend.requests)


every_dialect = pytest.mark.parametrize(
    ("path", "param"), [(CHAT, "messages[0].content[0]"), (RESPONSES, "input[0].content[0]")]
)


@every_dialect
@pytest.mark.parametrize("streamed", [False, True], ids=["whole", "stream"])
async def test_a_model_that_takes_no_audio_is_named(
    server: Door, backend: Simulator, path: str, param: str, streamed: bool
) -> None:
    reply = await server.reply(asked(path, audio_file(), stream=streamed))
    error = reply.refused(400, "unsupported_value")
    assert error["param"] == param
    assert f"The model '{MODEL}' takes no audio" in error["message"]
    assert "--transcribe-audio" in error["message"]
    assert not is_asked(backend)


@every_dialect
@pytest.mark.parametrize("name", [MODEL, f"{MODEL}:low", "quick"])
async def test_a_model_that_hears_gets_the_audio_file(path: str, param: str, name: str) -> None:
    models = [
        {**entry, "input_modalities": ["text", "image", "audio"]}
        if entry["slug"] == MODEL
        else entry
        for entry in catalogue()
    ]
    backend = Simulator(models=models)
    async with door(backend, model_aliases={"quick": MODEL}, transcribe_audio=True) as server:
        reply = await server.reply(asked(path, audio_file(b"x", "mp3"), model=name))
    assert reply.status == 200, reply
    assert HEADER not in reply.headers
    assert sent_parts(backend) == [
        {"type": "input_audio", "audio_url": "data:audio/mpeg;base64,eA=="}
    ]


@every_dialect
@pytest.mark.parametrize("streamed", [False, True], ids=["whole", "stream"])
async def test_an_audio_file_becomes_text_where_the_server_is_told_so_and_a_header_says_it(
    path: str, param: str, streamed: bool
) -> None:
    backend, text = Simulator(), {"type": "text" if path == CHAT else "input_text", "text": "hi"}
    async with door(backend, transcribe_audio=True) as server:
        silence = audio_file(wav([0]))
        again = audio_file()
        reply = await server.reply(asked(path, audio_file(), text, silence, again, stream=streamed))
        plain = await server.reply(get("/v1/models"))
    assert reply.status == 200, reply
    assert reply.headers[HEADER] == "2", "one of them came twice"
    assert HEADER not in plain.headers
    assert [part["text"] for part in sent_parts(backend)] == [
        "two three", "hi", "[audio in which nothing is said]", "two three",
    ]  # fmt: skip
    assert sum(sent.path == "/transcribe" for sent in backend.requests) == 2


@every_dialect
async def test_a_transcription_that_fails_is_the_failure_of_the_request(
    path: str, param: str
) -> None:
    backend = Simulator()
    async with door(backend, transcribe_audio=True) as server:
        data = scripted("[[status cloudflare]]")
        reply = await server.reply(asked(path, audio_file(data, "ogg")))
    reply.refused(502, "upstream_challenge")
    assert HEADER not in reply.headers
    assert not [sent for sent in backend.requests if sent.path == "/responses"]


@every_dialect
async def test_a_long_or_a_broken_audio_file_is_told_by_its_place(path: str, param: str) -> None:
    backend = Simulator()
    async with door(backend, transcribe_audio=True) as server:
        long = await server.reply(asked(path, audio_file(), audio_file(flac(90), "flac")))
        broken = await server.reply(asked(path, {"type": "input_audio", "audio_url": "https://a"}))
    assert (long.status, long.headers[HEADER]) == (200, "2")
    assert "has 90 s" in long.headers["x-codexapi-warning"]
    assert broken.refused(400, "invalid_audio")["param"] == param


async def test_a_chain_has_the_audio_file_of_an_earlier_turn(backend: Simulator) -> None:
    backend = Simulator()
    async with door(backend, transcribe_audio=True) as server:
        first = (await server.reply(asked(RESPONSES, audio_file()))).json
        backend.requests.clear()
        follow = {"model": MODEL, "input": "and?", "previous_response_id": first["id"]}
        assert (await server.reply(post(RESPONSES, follow))).headers[HEADER] == "1"
    (run,) = [json.loads(sent.body) for sent in backend.requests if sent.path == "/responses"]
    assert run["input"][0]["content"] == [{"type": "input_text", "text": "two three"}]
