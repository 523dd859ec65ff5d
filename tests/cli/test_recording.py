"""Record, replay, import: as a user does it, with real processes and the official client."""

from __future__ import annotations

import base64
import json
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx2
import openai
import pytest
from mcp import Client, StdioServerParameters
from tests import forks
from tests.audio_files import wav
from tests.cli.shell import run
from tests.drawn import picture as drawn_picture
from tests.import_recording import import_recording
from tests.processes import ROOT, Running, codexapi, environment, running, server, simulator
from tests.replies import FULL
from tests.test_laws import assert_one_reply, assert_well_formed
from tests.test_wires import assert_answer, assert_provenance, assert_stream
from tests.wire_files import READERS, WIRES, events

from codexapi_engine.protocol import images
from codexapi_engine.protocol.headers import ACCOUNT, affinity
from codexapi_engine.recording.lines import ExchangeFile, read_recording

TOOL: Any = {
    "type": "function",
    "function": {
        "name": "get_weather", "description": "The weather of a city.",
        "parameters": {"type": "object", "properties": {"city": {"type": "string"}},
                       "required": ["city"], "additionalProperties": False},
    },
}  # fmt: skip
MODEL = "gpt-6.1-sol"


@contextmanager
def replayed(recording: Path, login: Path, *options: str) -> Iterator[Running]:
    command = ("replay", str(recording), "--login", str(login), "--pace", "none", *options)
    ready = r"codexapi replay of \d+ exchanges on (\S+)"
    with running(*command, ready=ready) as playing:
        yield playing


def streams(recording: Path) -> list[ExchangeFile]:
    return [one for one in read_recording(recording) if one.kind == ("POST", "/responses")]


def import_all(recording: Path, folder: Path) -> list[str]:
    """Makes a wire of each exchange with a model, beside a copy of ours, and plays it. Returns the
    paths of the endpoints."""
    shutil.copytree(WIRES, folder)
    paths = []
    for number, one in enumerate(read_recording(recording)):
        if one.kind[0] == "POST" and one.kind[1] in ("/responses", *READERS):
            what = import_recording(one.path, f"recorded_{number}", folder)
            assert_played(folder, what)
            paths.append(one.kind[1])
    assert_provenance(folder)
    return paths


def assert_played(folder: Path, what: str) -> None:
    """Fails unless a new wire passes what each wire must pass."""
    name, _, entry = what.partition(", ")
    if not entry:
        data = (folder / name).read_bytes()
        assert_stream(data)
        for form in FULL:
            assert_one_reply(data, form)
            assert_well_formed(events(data), form)
    elif name == "answers.json":
        assert_answer(json.loads((folder / name).read_bytes())[-1])


def conversation(url: str) -> list[Any]:
    """What the official client gets: each dialect, a tool call, pictures and a sound; all by their
    shape."""
    client = openai.OpenAI(base_url=url, api_key="any", max_retries=0)
    text = client.responses.create(model=MODEL, input="[[say Good morning, Ann.]]").output_text
    chunks = list(
        client.chat.completions.create(
            model=MODEL, stream=True, messages=[{"role": "user", "content": "[[long 5]]"}]
        )
    )
    asked = client.chat.completions.create(
        model=MODEL, tools=[TOOL],
        messages=[{"role": "user", "content": '[[tool get_weather {"city": "Oslo"}]]'}],
    )  # fmt: skip
    call: Any = (asked.choices[0].message.tool_calls or [])[0]
    completion = client.completions.create(model=MODEL, prompt="[[say Good evening.]]")
    messages: list[Any] = [{"role": "user", "content": "[[say Good evening.]]"}]
    body = {"model": MODEL, "max_tokens": 9, "messages": messages, "stream": True}
    other_dialects = [
        httpx2.post(url + "/messages", json=body),
        httpx2.post(url.removesuffix("/v1") + "/api/chat", json=body),
    ]
    drawn = client.images.generate(prompt="a red fox", size="1024x1024").data or []
    edited = client.images.edit(image=drawn_picture(), prompt="a green fox").data or []
    sound = ("memo.wav", wav([1, 2]))
    transcript = client.audio.transcriptions.create(model="gpt-4o-transcribe", file=sound)
    return [
        (len(text), text.count(" ")),
        [len(chunk.choices[0].delta.content or "") for chunk in chunks if chunk.choices],
        (call.function.name, len(json.loads(call.function.arguments)), asked.choices[0].finish_reason),
        len(completion.choices[0].text),
        [(one.status_code, one.text.count("\n")) for one in other_dialects],
        *(images.header(base64.b64decode(one[0].b64_json or "")) for one in (drawn, edited)),
        len(transcript.text),
    ]  # fmt: skip


def test_serve_is_recorded_replayed_and_imported(tmp_path: Path) -> None:
    recording = tmp_path / "d"
    with server("--demo", "--record", str(recording)) as first:
        recorded = conversation(first.url)
        assert first.stop(signal.SIGTERM) == 143
        assert first.process.stderr is not None
        assert f"are recorded in {recording}, without content" in first.process.stderr.read()
    data = b"".join(path.read_bytes() for path in recording.iterdir())
    assert not any(word in data for word in (b"Good morning", b"Oslo", b"red fox"))
    with replayed(recording, tmp_path / "login") as playing:
        with server(env=playing.env) as second:
            assert conversation(second.url) == recorded
        assert playing.stop(signal.SIGTERM) == 143
    paths = import_all(recording, tmp_path / "wires")
    assert paths == ["/responses"] * 6 + [*READERS]


def test_chat_is_recorded_replayed_and_imported(tmp_path: Path) -> None:
    recording = tmp_path / "d"
    question = ["chat", "[[say Good morning, Ann.]]"]
    done = run(*question, "--demo", "--record", str(recording))
    assert (done.returncode, done.stdout) == (0, "Good morning, Ann.\n")
    with replayed(recording, tmp_path / "login") as playing:
        again = run(*question, env=playing.env)
        assert (again.returncode, again.stdout) == (0, "Xxxx xxxxxxx, Xxx.\n")
        other = run("chat", "Something else", env=playing.env)
        assert other.returncode != 0
        assert "all 1 that were recorded have been played" in other.stderr
        assert playing.stop(signal.SIGINT) == 1
        assert playing.process.stderr is not None
        assert "POST /responses" in playing.process.stderr.read()
    wires = shutil.copytree(WIRES, tmp_path / "wires")
    done = subprocess.run(
        [sys.executable, "-m", "tests.import_recording", str(streams(recording)[0].path),
         "--name", "a_wire", "--wires", str(wires)],
        cwd=ROOT, env=environment(), capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert (done.returncode, done.stdout.partition(":")[0]) == (0, "a_wire.sse"), done.stderr
    assert_played(wires, "a_wire.sse")
    assert_provenance(wires)


def test_image_is_recorded_replayed_and_imported(tmp_path: Path) -> None:
    recording = tmp_path / "d"
    draw = ["image", "a red fox", "--force", "-o"]
    edit = ["image", "a green fox", "-i", str(tmp_path / "1.png"), "--force", "-o"]
    recorded = ["--demo", "--record", str(recording)]
    assert run(*draw, str(tmp_path / "1.png"), *recorded).stdout
    assert run(*edit, str(tmp_path / "edited.png"), *recorded).stdout
    with replayed(recording, tmp_path / "login") as playing:
        for command in (edit, draw):
            done = run(*command, str(tmp_path / "2.png"), env=playing.env)
            assert (done.returncode, done.stdout) == (0, f"{tmp_path / '2.png'}\n"), done.stderr
    assert import_all(recording, tmp_path / "wires") == ["/images/generations", "/images/edits"]
    one, two = ((tmp_path / name).read_bytes() for name in ("1.png", "2.png"))
    assert images.header(one) == images.header(two)
    assert (len(one), one != two) == (len(two), True)


async def test_mcp_serve_is_recorded_replayed_and_imported(tmp_path: Path) -> None:
    recording = tmp_path / "d"
    picture = tmp_path / "fox.png"
    picture.write_bytes(drawn_picture())
    folder = {"CODEXAPI_IMAGE_DIR": str(tmp_path)}
    first, size = await ask_by_mcp(["--demo", "--record", str(recording)], folder, str(picture))
    assert first == "Good morning, Ann."
    with replayed(recording, tmp_path / "login") as playing:
        again = await ask_by_mcp([], {**playing.env, **folder}, str(picture))
        assert again == ("Xxxx xxxxxxx, Xxx.", size)
    paths = import_all(recording, tmp_path / "wires")
    assert paths == ["/responses", "/images/generations", "/images/edits"]


async def ask_by_mcp(options: list[str], env: dict[str, str], to_edit: str) -> tuple[str, object]:
    """The text, and the size of the edited picture, of one server."""
    command, *arguments = forks.for_shells("mcp", "serve", *options)
    parameters = StdioServerParameters(
        command=command, args=arguments, env=environment(**env), cwd=ROOT
    )
    async with Client(parameters) as client:
        prompt = "[[say Good morning, Ann.]]"
        answer = await client.call_tool("generate_text", {"prompt": prompt, "model": MODEL})
        drawn: Any = await client.call_tool("generate_image", {"prompt": "a red fox"})
        assert not drawn.is_error, drawn.content
        edited: Any = await client.call_tool("edit_image", {"prompt": "fox", "images": [to_edit]})
    assert not edited.is_error, edited.content
    picture = edited.structured_content["images"][0]
    return str(answer.content[0].text), (picture["width"], picture["height"])  # type: ignore[union-attr]


def test_a_dry_run_shows_the_headers_that_a_request_has(tmp_path: Path) -> None:
    """As a recording has them, which has `x` in place of words that it does not know. Ids and the
    user's own are others each time."""
    recording = tmp_path / "recording"
    with simulator(tmp_path / "login") as backend:
        run("chat", "Hi.", "-m", MODEL, "--record", str(recording), env=backend.env)
        shown = json.loads(run("chat", "Hi.", "-m", MODEL, "--dry-run", env=backend.env).stdout)
    (stream,) = streams(recording)
    sent = {name.lower(): value for name, value in stream.headers}
    assert sent.keys() - {"host", "content-length", ACCOUNT} == shown["headers"].keys()
    private = {"authorization", "user-agent", *affinity("")}
    constant = shown["headers"].keys() - private
    assert {name: sent[name] for name in constant} == {
        name: shown["headers"][name] for name in constant
    }


def test_over_a_connection_the_pieces_are_those_of_the_network(tmp_path: Path) -> None:
    recording = tmp_path / "d"
    with simulator(tmp_path / "login") as backend:
        for text in ("[[long 6]] [[slow 0.05]]", "[[drop 2]]", "[[status overloaded]]"):
            run("chat", text, "-m", MODEL, "--record", str(recording), env=backend.env)
    login = json.loads((tmp_path / "login" / "auth.json").read_text())
    data = b"".join(path.read_bytes() for path in recording.iterdir())
    assert not any(token.encode() in data for token in login["tokens"].values())
    slow, dropped, *refused = streams(recording)
    # Behind the last event it reads on for a moment, which a busy machine may take longer than.
    assert (slow.status, slow.end) in [(200, "complete"), (200, "closed")]
    assert len(slow.pieces) > 6
    assert slow.pieces[-1].ms - slow.head_ms >= 300
    assert (dropped.status, dropped.end) == (200, "broken")
    assert refused
    assert {one.status for one in refused} == {503}


def test_with_content_the_answer_is_replayed_word_for_word(tmp_path: Path) -> None:
    recording = tmp_path / "d"
    question = ["chat", "[[say Good morning, Ann.]]"]
    run(*question, "--demo", "--record", str(recording), "--record-content")
    with replayed(recording, tmp_path / "login", "--lenient") as playing:
        assert run("chat", "Whatever", env=playing.env).stdout == "Good morning, Ann.\n"


def test_transcribe_and_sh_are_recorded_replayed_and_imported(tmp_path: Path) -> None:
    sound = tmp_path / "memo.wav"
    sound.write_bytes(wav([1, 2]))
    commands = (("transcribe", str(sound)), ("sh", "list the files"))
    first = [run(*command, "--demo", "--record", str(tmp_path / "d")) for command in commands]
    with replayed(tmp_path / "d", tmp_path / "login") as playing:
        again = [run(*command, env=playing.env) for command in commands]
    assert [one.returncode for one in again] == [one.returncode for one in first]
    assert len(again[0].stdout) == len(first[0].stdout) > 1
    assert import_all(tmp_path / "d", tmp_path / "wires") == ["/transcribe", "/responses"]


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (["chat", "x", "--demo", "--record", "{file}"], 7, "--record: {file}: File exists"),
        (["chat", "x", "--demo", "--record-content"], 2, "it belongs to --record DIR"),
        (["replay", "{folder}"], 7, "{folder}: no recording is there"),
        (["replay", "{file}"], 7, "{file}: no recording of codexapi"),
        (["replay", "{folder}/none"], 7, "No such file or directory"),
    ],
)
def test_what_cannot_be_recorded_or_replayed_is_one_line(
    arguments: list[str], code: int, words: str, tmp_path: Path
) -> None:
    (tmp_path / "file").write_text("x")
    places = {"file": tmp_path / "file", "folder": tmp_path}
    done = run(*(word.format(**places) for word in arguments))
    assert done.returncode == code, done.stderr
    assert words.format(**places) in done.stderr
    assert done.stderr.count("\n") == 1


def test_an_interrupted_command_leaves_a_recording_that_can_be_read(tmp_path: Path) -> None:
    recording = tmp_path / "d"
    command = codexapi("chat", "[[long 9]] [[slow 600]]", "--demo", "--record", str(recording))
    with forks.Popen(
        command, env=environment(), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        stdin=subprocess.DEVNULL,
    ) as process:  # fmt: skip
        while not any("responses" in path.name and path.stat().st_size > 3_000
                      for path in (recording.iterdir() if recording.exists() else ())):  # fmt: skip
            assert process.poll() is None
        process.send_signal(signal.SIGINT)
        process.communicate()
    (one,) = streams(recording)
    assert one.status == 200
    assert one.answer
