"""Transcription by the official client, unmodified, against a real `codexapi serve` process."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from pathlib import Path

import openai
import pytest
from openai import OpenAI
from tests.audio_files import scripted, wav
from tests.processes import server, simulator


@pytest.fixture(scope="module")
def url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    login: Path = tmp_path_factory.mktemp("login") / "codex"
    with simulator(login) as backend, server("--quiet", env=backend.env) as door:
        yield door.url


@pytest.fixture
def client(url: str) -> Iterator[OpenAI]:
    with OpenAI(
        base_url=url, api_key="unused", max_retries=0, _strict_response_validation=True
    ) as client:
        yield client


def test_an_audio_file_gives_its_text(client: OpenAI, tmp_path: Path) -> None:
    path = tmp_path / "voice.wav"
    path.write_bytes(wav([1, 2, 3]))
    heard = client.audio.transcriptions.create(file=path, model="gpt-4o-transcribe")
    assert heard.text == "two three four"
    text = client.audio.transcriptions.create(
        file=path, model="whisper-1", response_format="text", language="en"
    )
    assert text == "two three four\n"


def test_a_stream_gives_deltas_and_the_whole_text(client: OpenAI) -> None:
    stream = client.audio.transcriptions.create(
        file=wav([1, 2]), model="gpt-4o-mini-transcribe", stream=True
    )
    assert [event.type for event in stream] == ["transcript.text.delta", "transcript.text.done"]


def test_all_parameters_of_the_client_are_read(client: OpenAI) -> None:
    raw = client.audio.transcriptions.with_raw_response.create(
        file=wav([1]),
        model="gpt-4o-transcribe",
        chunking_strategy={"type": "server_vad", "threshold": 0.5},
        include=["logprobs"],
        language="en",
        prompt="Names: Ada",
        temperature=0,
        timestamp_granularities=["word"],
    )
    assert raw.parse().text == "two"
    ignored = raw.headers["x-codexapi-ignored"].split(",")
    assert sorted(ignored) == ["include", "prompt", "temperature", "timestamp_granularities"]


def test_what_is_refused_is_the_client_s_own_error(client: OpenAI) -> None:
    with pytest.raises(openai.BadRequestError, match="no times"):
        client.audio.transcriptions.create(
            file=wav([1]), model="whisper-1", response_format="verbose_json"
        )
    with pytest.raises(openai.APIStatusError, match="Cloudflare"):
        client.audio.transcriptions.create(
            file=scripted("[[status cloudflare]]"), model="whisper-1"
        )


def test_the_documented_line_of_curl_works_as_it_stands(url: str, tmp_path: Path) -> None:
    path = tmp_path / "audio.wav"
    path.write_bytes(wav([1]))
    command = [
        "curl", "--silent", f"{url}/audio/transcriptions", "-H", "Authorization: Bearer unused",
        "-H", "Content-Type: multipart/form-data", "-F", f"file=@{path}",
        "-F", "model=gpt-4o-transcribe",
    ]  # fmt: skip
    answered = subprocess.run(command, capture_output=True, text=True, check=True, timeout=60)
    assert answered.stdout == '{"text":"two"}'
