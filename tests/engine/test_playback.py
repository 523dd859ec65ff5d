"""A recording that is played: strict and lenient, at its pace and at once."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from tests.import_recording import Unsuitable, import_recording
from tests.test_wires import assert_answer, assert_provenance, assert_stream
from tests.wire_files import WIRES, events, table

from codexapi_engine import Codex, CodexError, Settings, request, text_of
from codexapi_engine.http.in_process import in_process
from codexapi_engine.login.store import InMemory
from codexapi_engine.recording.lines import COMPLETE, ExchangeFile, read_recording
from codexapi_engine.recording.playback import Playback
from codexapi_engine.recording.recorder import Recorder
from codexapi_engine.simulator import Simulator

TOOL = {
    "type": "function", "name": "get_weather", "description": "The weather.", "strict": True,
    "parameters": {"type": "object", "properties": {"city": {"type": "string"}},
                   "required": ["city"], "additionalProperties": False},
}  # fmt: skip


async def record(folder: Path, *texts: str, content: bool = False, **more: Any) -> None:
    simulator = Simulator()
    settings = Settings(record=folder, record_content=content)
    http, login = in_process(simulator.handle), InMemory(simulator.login())
    async with Codex(settings, http=http, store=login) as codex:
        for text in texts:
            try:
                await codex.respond({**request(text, model="gpt-6.1-sol"), **more})
            except CodexError:
                pass


@asynccontextmanager
async def played(folder: Path, **options: Any) -> AsyncIterator[tuple[Codex, Playback]]:
    playback = Playback(read_recording(folder), **options)
    http, login = in_process(playback.handle), InMemory(Simulator().login())
    async with Codex(Settings(), http=http, store=login) as codex:
        yield codex, playback


async def ask(codex: Codex, text: str, **more: Any) -> dict[str, Any]:
    return await codex.respond({**request(text, model="gpt-6.1-sol"), **more})


async def test_the_same_request_gets_the_same_shape(tmp_path: Path) -> None:
    await record(tmp_path, "[[say Good morning, Ann.]]")
    async with played(tmp_path) as (codex, playback):
        response = await ask(codex, "[[say Good morning, Ann.]]")
    assert text_of(response) == "Xxxx xxxxxxx, Xxx."
    assert playback.differences == []


async def test_with_content_the_same_request_gets_the_same_answer(tmp_path: Path) -> None:
    await record(tmp_path, "[[say Good morning, Ann.]]", "[[say Bye, Ann.]]", content=True)
    async with played(tmp_path) as (codex, playback):
        answer = text_of(await ask(codex, "[[say Good morning, Ann.]]"))
        assert answer == "Good morning, Ann."
        with pytest.raises(CodexError, match=r"recorded .*Bye, Ann.*now .*Bye, Eve"):
            await ask(codex, "[[say Bye, Eve.]]")
    assert len(playback.differences) == 1


async def test_a_strict_one_names_what_differs_and_shows_no_content(tmp_path: Path) -> None:
    await record(tmp_path, "What is the time?")
    heard: list[str] = []
    async with played(tmp_path, on_difference=heard.append) as (codex, _):
        with pytest.raises(CodexError) as refused:
            await ask(codex, "A private question", instructions="Be brief.")
    assert "input[0].content[0].text" in str(refused.value)
    assert "private" not in str(refused.value)
    assert "instructions" in heard[0]
    assert '"Xx xxxxx."' in heard[0]


async def test_a_strict_one_plays_each_exchange_once_in_its_order(tmp_path: Path) -> None:
    await record(tmp_path, "[[say One.]]", "[[say Two.]]", "[[long 3]]")
    async with played(tmp_path) as (codex, playback):
        assert text_of(await ask(codex, "[[long 3]]")) == "1 1 1 "
        assert text_of(await ask(codex, "[[say One.]]")) == "Xxx."
        assert len(playback.rest) == 1
        await ask(codex, "[[say Two.]]")
        with pytest.raises(CodexError, match="all 3 that were recorded"):
            await ask(codex, "[[say One.]]")


async def test_a_lenient_one_plays_the_next_of_the_kind_and_begins_again(tmp_path: Path) -> None:
    await record(tmp_path, "[[say One.]]", "[[say Three.]]")
    async with played(tmp_path, strict=False) as (codex, playback):
        answers = [text_of(await ask(codex, f"anything {n}")) for n in range(3)]
    assert answers == ["Xxx.", "Xxxxx.", "Xxx."]
    assert playback.differences == []


async def test_what_was_never_recorded_is_refused_by_either(tmp_path: Path) -> None:
    await record(tmp_path, "x")
    for strict in (True, False):
        async with played(tmp_path, strict=strict) as (codex, _):
            with pytest.raises(CodexError, match="nothing of this kind was recorded"):
                await codex.usage_page()


async def test_it_takes_the_time_that_it_took_or_none(tmp_path: Path) -> None:
    await record(tmp_path, "[[long 3]]")
    (one,) = [each for each in read_recording(tmp_path) if each.kind[1] == "/responses"]
    one.head_ms = 250.0
    for number, piece in enumerate(one.pieces, 1):
        piece.ms = 250.0 + 1000 * number
    waits: list[float] = []

    async def sleep(seconds: float) -> None:
        waits.append(round(seconds, 3))

    for paced, expected in ((True, [0.25] + [1.0] * len(one.pieces)), (False, [])):
        playback = Playback([one], paced=paced, sleep=sleep)
        _, _, chunks = await playback.handle("POST", "/backend-api/codex/responses", {}, one.body)
        pieces = [chunk async for chunk in chunks]
        assert pieces == [piece.data for piece in one.pieces]
        assert waits == expected
        waits.clear()


async def test_a_refusal_and_a_break_are_played_as_they_were(tmp_path: Path) -> None:
    await record(tmp_path, "[[status usage_limit_reached]]", "[[drop 2]]")
    async with played(tmp_path, paced=False) as (codex, _):
        with pytest.raises(CodexError) as limit:
            await ask(codex, "[[status usage_limit_reached]]")
        with pytest.raises(CodexError) as broken:
            await ask(codex, "[[drop 2]]")
    assert limit.value.code == "usage_limit_reached"
    assert type(broken.value).__name__ == "StreamInterrupted"


async def test_the_callers_own_tools_are_called_by_their_names(tmp_path: Path) -> None:
    text = '[[tool get_weather {"city": "Oslo"}]]'
    await record(tmp_path, text, tools=[TOOL])
    assert b"get_weather" not in exchange_of(tmp_path).answer
    async with played(tmp_path) as (codex, _):
        response = await ask(codex, text, tools=[TOOL])
    (call,) = [item for item in response["output"] if item["type"] == "function_call"]
    assert call["name"] == "get_weather"
    assert list(json.loads(call["arguments"]).values()) == ["Xxxx"]


def exchange_of(folder: Path) -> ExchangeFile:
    return next(each for each in read_recording(folder) if each.kind[1] == "/responses")


@pytest.fixture
def wires(tmp_path: Path) -> Path:
    folder = tmp_path / "wires"
    folder.mkdir()
    for path in WIRES.iterdir():
        (folder / path.name).write_bytes(path.read_bytes())
    return folder


@pytest.mark.parametrize(
    "text", ["[[say Good morning.]]", "[[reason]]", "[[two]]", "[[fail server_error]]", "[[cut 2]]"]
)
async def test_a_recording_becomes_a_wire_that_passes(
    text: str, wires: Path, tmp_path: Path
) -> None:
    await record(tmp_path / "d", text)
    name = import_recording(exchange_of(tmp_path / "d").path, "one_of_them", wires)
    assert name == "one_of_them.sse"
    assert_provenance(wires)
    assert_stream((wires / name).read_bytes())
    assert len(events((wires / name).read_bytes())) > 2


async def test_a_refusal_becomes_an_entry_of_the_table(wires: Path, tmp_path: Path) -> None:
    await record(tmp_path / "d", "[[status usage_limit_reached]]")
    import_recording(exchange_of(tmp_path / "d").path, "a_limit", wires)
    entry = json.loads((wires / "errors.json").read_bytes())[-1]
    assert (entry["name"], entry["status"]) == ("a_limit", 429)
    assert entry["body"]["error"]["type"] == "usage_limit_reached"
    assert_provenance(wires)


def exchange(tmp_path: Path, answer: bytes, path: str = "/images/edits", **parts: Any) -> Path:
    recorder = Recorder(tmp_path / "d")
    tap = recorder.begin(parts.get("method", "POST"), f"/backend-api/codex{path}", [], b"{}")
    tap.head(200, [])
    tap.piece(answer)
    tap.end(COMPLETE)
    recorder.close()
    (one,) = (tmp_path / "d").iterdir()
    return one


def test_the_answer_of_a_picture_becomes_an_entry_under_a_name_of_its_own(
    wires: Path, tmp_path: Path
) -> None:
    body = json.dumps(table("answers")[0]["body"]).encode()
    recorded = exchange(tmp_path, body)
    assert import_recording(recorded, "a_picture", wires) == "answers.json, a_picture"
    entry = json.loads((wires / "answers.json").read_bytes())[-1]
    assert (entry["name"], entry["path"]) == ("a_picture", "/images/edits")
    assert_answer(entry)
    assert_provenance(wires)
    with pytest.raises(Unsuitable, match="choose another --name"):
        import_recording(recorded, "a_picture", wires)


@pytest.mark.parametrize(
    ("answer", "path", "method", "why"),
    [
        (b'{"data": [', "/images/edits", "POST", "no complete JSON"),
        (b'{"models": []}', "/models", "GET", "GET /models: only a POST of /responses, /images"),
    ],
)
def test_an_answer_that_no_wire_can_be_made_of_is_refused_by_its_reason(
    answer: bytes, path: str, method: str, why: str, wires: Path, tmp_path: Path
) -> None:
    with pytest.raises(Unsuitable, match=why):
        import_recording(exchange(tmp_path, answer, path, method=method), "x", wires)


async def test_what_holds_somebodys_words_becomes_none(wires: Path, tmp_path: Path) -> None:
    await record(tmp_path / "d", "x", content=True)
    with pytest.raises(Unsuitable, match="--record-content"):
        import_recording(exchange_of(tmp_path / "d").path, "x", wires)
    assert not (wires / "x.sse").exists()
