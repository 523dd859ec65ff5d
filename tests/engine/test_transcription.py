"""The simulated transcription endpoint, as strict as the evidence says that the real one is."""

from __future__ import annotations

import json

import pytest
from tests.audio_files import flac, scripted, wav

from codexapi_engine.protocol import audio
from codexapi_engine.simulator import Simulator

SIGNED = "authorization"


async def answer(
    simulator: Simulator, content: bytes, media_type: str, path: str = "/backend-api/transcribe"
) -> tuple[int, str]:
    token = json.loads(simulator.login())["tokens"]
    headers = {
        SIGNED: f"Bearer {token['access_token']}",
        "chatgpt-account-id": token["account_id"],
        "content-type": media_type,
    }
    status, _, chunks = await simulator.handle("POST", path, headers, content)
    return status, b"".join([chunk async for chunk in chunks]).decode()


@pytest.mark.parametrize(
    ("data", "text"),
    [
        (wav([1, 2, 0, 3]), "two three four"),
        (wav([0, 0]), ""),
        (wav([1] * 100), " ".join(["two"] * 86)),
        (flac(3), "What was said in a simulated audio file."),
        (scripted("[[say Good morning.]]"), "Good morning."),
    ],
    ids=["words", "silence", "cut", "another format", "script"],
)
async def test_the_text_is_read_from_the_audio_file(data: bytes, text: str) -> None:
    form = audio.form(audio.AudioFile(data), "en", "edge")
    status, body = await answer(Simulator(), *form)
    assert (status, json.loads(body)) == (200, {"text": text})


@pytest.mark.parametrize(
    ("content", "media_type", "status"),
    [
        (b"{}", "application/json", 415),
        (b"--edge--\r\n", "multipart/form-data; boundary=edge", 422),
        (audio.form(audio.AudioFile(b""), None, "edge").content, "multipart/form-data; boundary=edge", 422),
    ],
)  # fmt: skip
async def test_what_is_no_audio_file_is_refused(
    content: bytes, media_type: str, status: int
) -> None:
    assert (await answer(Simulator(), content, media_type))[0] == status


async def test_it_stands_beside_the_other_endpoints_and_nowhere_else() -> None:
    form = audio.form(audio.AudioFile(wav([1])), None, "edge")
    for path in ("/backend-api/audio/transcriptions", "/backend-api/dictation/transcribe"):
        assert (await answer(Simulator(), *form, path=path))[0] == 404
