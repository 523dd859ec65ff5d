"""Transcription over HTTP: what is answered, what is ignored, refused and warned of."""

from __future__ import annotations

import pytest
from tests.audio_files import flac, mp3, scripted, wav
from tests.http_server import forms, raw
from tests.http_server.doors import Door, door
from tests.http_server.raw import Reply, post

from codexapi_engine.bounds import MAX_AUDIO_BYTES
from codexapi_engine.protocol import sse
from codexapi_engine.simulator import Simulator

pytestmark = [pytest.mark.asyncio(loop_scope="module"), pytest.mark.timeout(60)]

PATH = "/v1/audio/transcriptions"
LONG = wav([1, 2] * 50, pause=80)
"""100 seconds."""


def ask(data: bytes, name: str = "a.wav", **fields: str) -> bytes:
    fields = {"model": "whisper-1", **fields}
    parts = [forms.part(field, value) for field, value in fields.items()]
    return forms.post(PATH, *parts, forms.part("file", data, file=name))


def uploads(backend: Simulator) -> list[bytes]:
    return [sent.body for sent in backend.requests if sent.path == "/transcribe"]


async def heard(server: Door, data: bytes, **fields: str) -> Reply:
    reply = await server.reply(ask(data, **fields))
    assert reply.status == 200, reply
    return reply


def events(reply: Reply) -> list[dict[str, str]]:
    assert reply.headers["content-type"].startswith("text/event-stream")
    return [event.json for event in sse.Decoder().feed(reply.body) if event.json]


async def test_an_audio_file_is_its_text(server: Door, backend: Simulator) -> None:
    reply = await heard(server, wav([1, 2, 3]), language="en")
    assert reply.json == {"text": "two three four"}
    assert "x-codexapi-ignored" not in reply.headers
    (sent,) = backend.requests
    assert sent.path == "/transcribe"
    assert b'name="language"\r\n\r\nen\r\n' in sent.body
    assert b"a.wav" not in sent.body, "the name of a user's file is the user's"
    assert wav([1, 2, 3]) in sent.body


async def test_silence_is_an_empty_text(server: Door) -> None:
    assert (await heard(server, wav([0, 0]))).json == {"text": ""}
    assert events(await heard(server, wav([0]), stream="true")) == [
        {"type": "transcript.text.done", "text": ""}
    ]


async def test_text_is_text(server: Door) -> None:
    reply = await heard(server, wav([1]), response_format="text")
    assert reply.body == b"two\n"
    assert reply.headers["content-type"] == "text/plain; charset=utf-8"


async def test_a_stream_is_the_pair_of_events(server: Door) -> None:
    assert events(await heard(server, wav([1, 2]), stream="true")) == [
        {"type": "transcript.text.delta", "delta": "two three"},
        {"type": "transcript.text.done", "text": "two three"},
    ]


async def test_what_is_ignored_is_named_and_refused_when_strict(
    server: Door, backend: Simulator
) -> None:
    fields = {"prompt": "x", "temperature": "0", "timestamp_granularities[]": "word"}
    reply = await server.reply(ask(wav([1]), **fields))
    assert reply.headers["x-codexapi-ignored"] == "prompt,temperature,timestamp_granularities"
    async with door(backend, strict=True) as strict:
        refused = await strict.reply(ask(wav([1]), temperature="0"))
        assert refused.refused(400, "unsupported_parameter")["param"] == "temperature"
        refused = await strict.reply(ask(flac(9), chunking_strategy="auto"))
        assert refused.refused(400, "unsupported_parameter")["param"] == "chunking_strategy"


@pytest.mark.parametrize(
    ("data", "fields", "status", "param", "code"),
    [
        (b"", {}, 400, "file", "invalid_file"),
        (wav([1]), {"model": "gpt-6.1-sol"}, 400, "model", "unsupported_value"),
        (wav([1]), {"response_format": "srt"}, 400, "response_format", "unsupported_value"),
        (wav([1]), {"response_format": "verbose_json"}, 400, "response_format", "unsupported_value"),
        (bytes(MAX_AUDIO_BYTES + 1), {}, 413, "file", "request_too_large"),
    ],
    ids=["empty", "another model", "subtitles", "times", "too large"],
)  # fmt: skip
async def test_what_cannot_be_is_refused_before_anything_is_sent(
    server: Door, backend: Simulator, data: bytes, fields: dict[str, str], status: int, param: str, code: str
) -> None:  # fmt: skip
    reply = await server.reply(ask(data, **fields))
    assert reply.refused(status, code)["param"] == param
    assert not backend.requests


async def test_a_body_that_is_no_form_is_refused(server: Door, backend: Simulator) -> None:
    reply = await server.reply(post(PATH, {"model": "whisper-1"}))
    reply.refused(415, "unsupported_media_type")
    assert not backend.requests


async def test_a_model_alias_is_a_name_too(backend: Simulator) -> None:
    async with door(backend, model_aliases={"mine": "gpt-6.1-sol"}) as server:
        assert (await heard(server, wav([1]), model="mine")).json == {"text": "two"}


# Long audio files


@pytest.mark.parametrize("data", [LONG, flac(90), mp3(90)], ids=["wav", "flac", "mp3"])
@pytest.mark.parametrize("stream", ["true", "false"])
async def test_an_audio_file_whose_end_is_left_out_has_a_warning(
    server: Door, data: bytes, stream: str
) -> None:
    reply = await heard(server, data, stream=stream)
    assert " s, and the backend is known to leave out" in reply.headers["x-codexapi-warning"]
    short = await heard(server, wav([1] * 80))
    assert "x-codexapi-warning" not in short.headers


async def test_the_backend_leaves_out_the_end_of_what_is_not_cut(server: Door) -> None:
    assert len((await heard(server, LONG)).json["text"].split()) == 86


@pytest.mark.parametrize("field", ["chunking_strategy", "chunking_strategy[type]"])
async def test_a_long_wav_is_cut_in_its_pauses_where_the_client_wants_that(
    server: Door, backend: Simulator, field: str
) -> None:
    reply = await server.reply(ask(LONG, **{field: "auto"}))
    assert reply.json == {"text": " ".join(["two", "three"] * 50)}
    assert "x-codexapi-warning" not in reply.headers
    assert len(uploads(backend)) == 2
    streamed = events(await server.reply(ask(LONG, stream="true", **{field: "server_vad"})))
    assert [event["type"].rpartition(".")[2] for event in streamed] == ["delta", "delta", "done"]
    assert streamed[-1]["text"] == reply.json["text"]
    assert "".join(event["delta"] for event in streamed[:-1]) == reply.json["text"]


async def test_what_cannot_be_cut_is_named(server: Door, backend: Simulator) -> None:
    reply = await heard(server, flac(90), chunking_strategy="auto")
    assert reply.headers["x-codexapi-ignored"] == "chunking_strategy"
    assert "x-codexapi-warning" in reply.headers
    assert len(uploads(backend)) == 1


# What goes wrong


async def test_a_challenge_is_a_sentence_asked_once_and_not_held_against_the_login(
    server: Door, backend: Simulator
) -> None:
    renewals = backend.refreshes
    reply = await server.reply(ask(scripted("[[status cloudflare]]")))
    message = reply.refused(502, "upstream_challenge")["message"]
    assert "Cloudflare" in message
    assert "your login is as it was" in message
    assert "<html" not in message
    assert len(uploads(backend)) == 1
    assert backend.refreshes == renewals
    assert (await heard(server, wav([1]))).json == {"text": "two"}
    streamed = await server.reply(ask(scripted("[[status cloudflare]]"), stream="true"))
    streamed.refused(502, "upstream_challenge")


@pytest.mark.parametrize("name", ["unauthorized_detail", "token_expired", "token_invalidated"])
async def test_a_401_renews_no_login(server: Door, backend: Simulator, name: str) -> None:
    renewals = backend.refreshes
    reply = await server.reply(ask(scripted(f"[[status {name}]]")))
    message = reply.refused(401, "codex_token_rejected")["message"]
    assert "the login is as it was" in message
    assert len(uploads(backend)) == 1
    assert backend.refreshes == renewals


async def test_a_403_without_a_page_is_no_challenge(server: Door) -> None:
    reply = await server.reply(ask(scripted("[[status forbidden]]")))
    reply.refused(403, "upstream_forbidden")


async def test_a_limit_is_told_and_not_tried_again(server: Door, backend: Simulator) -> None:
    reply = await server.reply(ask(scripted("[[status usage_limit_reached]]")))
    reply.refused(429, "usage_limit_reached")
    assert len(uploads(backend)) == 1


async def test_a_fault_of_the_backend_is_tried_once_more(server: Door, backend: Simulator) -> None:
    data = scripted("[[say Good morning.]] [[status bad_gateway 1]]")
    assert (await heard(server, data)).json["text"]
    assert len(uploads(backend)) == 2


@pytest.mark.parametrize("stream", ["true", "false"])
async def test_a_client_that_leaves_gives_its_turn_to_the_next(stream: str) -> None:
    async with door(Simulator(), max_streams=1) as server:
        async with raw.connect(server.port) as client:
            await client.send(ask(scripted("[[late 500]]"), stream=stream))
            client.leave()
        assert (await heard(server, wav([1]))).json == {"text": "two"}


async def test_an_answer_that_is_no_text_is_an_error(server: Door) -> None:
    reply = await server.reply(ask(scripted("[[html]]")))
    reply.refused(502, "upstream_protocol_error")
