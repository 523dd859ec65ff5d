"""The tool that transcribes: what it takes, what it says of an audio file, and how it fails."""

from __future__ import annotations

from pathlib import Path

import pytest
from mcp import Client
from tests.audio_files import flac, scripted, wav
from tests.mcp_server.transports import failure, in_memory, structured, texts

from codexapi_engine.bounds import MAX_AUDIO_BYTES, MIB
from codexapi_engine.simulator import Simulator


async def heard(client: Client, folder: Path, data: bytes, **more: str) -> dict[str, object]:
    (folder / "a.bin").write_bytes(data)
    result = await client.call_tool("transcribe_audio", {"path": str(folder / "a.bin"), **more})
    found: dict[str, object] = structured(result)
    return found


async def test_an_audio_file_is_its_text_and_a_long_one_is_cut(tmp_path: Path) -> None:
    async with in_memory(tmp_path) as client:
        short = await heard(client, tmp_path, wav([1, 2]), language="EN")
        long = await heard(client, tmp_path, wav([1] * 100, pause=80))
        silent = await heard(client, tmp_path, wav([0]))
        cut = await heard(client, tmp_path, flac(90))
    assert short == {"text": "two three", "note": None}
    assert long == {"text": " ".join(["two"] * 100), "note": None}
    assert silent == {"text": "", "note": "Nothing is said in this audio file."}
    assert "has 90 s" in str(cut["note"])


async def test_a_file_by_any_of_its_names_is_taken(tmp_path: Path) -> None:
    (tmp_path / "a.wav").write_bytes(wav([1]))
    async with in_memory(tmp_path) as client:
        for name in ("audio", "file", "file_path"):
            result = await client.call_tool("transcribe_audio", {name: f"{tmp_path}/a.wav"})
            assert texts(result)[0] == "two"


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("none.wav", "No such file"),
        ("empty.wav", "is empty"),
        ("large.wav", f"{MAX_AUDIO_BYTES // MIB} MiB"),
        ("none/auth.json", "part of your login"),
    ],
)
async def test_what_cannot_be_read_is_named_and_nothing_is_sent(
    tmp_path: Path, name: str, words: str
) -> None:
    (tmp_path / "none").mkdir(exist_ok=True)
    (tmp_path / "none" / "auth.json").write_bytes(b"{}")
    (tmp_path / "empty.wav").write_bytes(b"")
    (tmp_path / "large.wav").write_bytes(bytes(MAX_AUDIO_BYTES + 1))
    simulator = Simulator()
    async with in_memory(tmp_path, simulator=simulator) as client:
        result = await client.call_tool("transcribe_audio", {"path": str(tmp_path / name)})
        relative = await client.call_tool("transcribe_audio", {"path": "a.wav"})
    assert words in failure(result)["message"]
    assert "not an absolute path" in failure(relative)["message"]
    assert not [sent for sent in simulator.requests if sent.path == "/transcribe"]


async def test_a_challenge_is_a_sentence(tmp_path: Path) -> None:
    (tmp_path / "a.wav").write_bytes(scripted("[[status cloudflare]]"))
    async with in_memory(tmp_path) as client:
        result = await client.call_tool("transcribe_audio", {"path": f"{tmp_path}/a.wav"})
    assert failure(result)["code"] == "upstream_challenge"
    assert "your login is as it was" in failure(result)["message"]
