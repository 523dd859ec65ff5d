"""The benchmarks run, count what they say they count, and report it truly. No time is judged."""

from __future__ import annotations

import asyncio
import json
import os
import platform
import re
import select
import signal
import ssl
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
from benchmarks import corpora, report, runs, servers, sizes, startup
from benchmarks.driver import Answer, Client, Failed, check, one, request
from benchmarks.figures import COSTS, FIGURES, TABLES
from benchmarks.plays import MARK, Play, events
from benchmarks.servers import GO, OURS, PREVIOUS
from benchmarks.streams import pace
from tests import unix
from tests.processes import ROOT, SOURCES, environment

from codexapi_engine.protocol import Event, responses
from codexapi_engine.protocol.sse import Decoder

linux = pytest.mark.skipif(sys.platform != "linux", reason="reads CPU and memory as Linux has them")
PLAYS = [Play("text", 30), Play("text", 5, 200), Play("tool", 7), Play("image", 1)]
STREAM = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"


def program(*arguments: str, into: Path) -> Any:
    """What a benchmark has written as JSON."""
    ran = subprocess.run(
        [sys.executable, "-m", *arguments, "--rounds", "1", "--json", str(into)],
        cwd=ROOT, env=environment(PYTHONPATH=os.pathsep.join(sys.path)), check=False,
        stdin=subprocess.DEVNULL, capture_output=True, text=True,
    )  # fmt: skip
    assert ran.returncode == 0, ran.stderr
    return json.loads(into.read_text())


@linux
def test_every_row_is_measured_and_no_delta_is_lost(tmp_path: Path) -> None:
    told = program("benchmarks", "--tiny", "--servers", OURS, into=tmp_path / "told.json")
    assert told["faults"] == {}
    counts = [count for count in sizes.STREAMS if count not in sizes.TINY.streams]
    bodies = [size // sizes.KILOBYTE for size in sizes.BODIES if size not in sizes.TINY.bodies]
    heavy = (*(f"many.{count}" for count in counts), *(f"large.{size}." for size in bodies))
    expected = {key for key in FIGURES if not key.startswith(heavy)}
    assert set(told["figures"][OURS]) >= expected


@linux
def test_every_start_is_measured(tmp_path: Path) -> None:
    times = program("benchmarks.startup", into=tmp_path / "told.json")
    for ours, _, _ in startup.PAIRS:
        assert times[ours][0] > 0


@linux
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, unix.SIGKILL])
def test_a_benchmark_that_is_killed_leaves_nothing_running(number: int) -> None:
    if sys.platform != "linux":
        pytest.skip("Linux alone has this")
    command = [sys.executable, "-m", "benchmarks", "--tiny", "--servers", OURS]
    with subprocess.Popen(
        command, cwd=ROOT, env=environment(PYTHONPATH=os.pathsep.join(sys.path)),
        stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE,
    ) as running:  # fmt: skip
        assert running.stderr is not None
        assert running.stderr.readline().startswith(b"round 1")  # it has started all
        started = [os.pidfd_open(pid) for pid in servers.children(running.pid)]
        running.send_signal(number)
        try:
            assert len(started) == 2, "the backend, and the server"
            for process in started:
                assert select.select([process], [], [], 60)[0], "it has ended"
            assert running.wait() == (-number if number == unix.SIGKILL else 128 + number)
        finally:
            for process in started:
                os.close(process)


# What is played


def whole(play: Play) -> list[Event]:
    made = events(play.kind, play.count)
    body, data = b"".join([made.opening, *made.deltas, made.closing]), b""
    while body:
        size, _, body = body.partition(b"\r\n")
        data, body = data + body[: int(size, 16)], body[int(size, 16) + 2 :]
    decoder = Decoder()
    return [*decoder.feed(data), *decoder.flush()]


@pytest.mark.parametrize("kind", ["text", "tool", *corpora.KINDS])
def test_deltas_say_what_the_item_says(kind: str) -> None:
    stream, folded = whole(Play(kind, 30)), responses.Assembler()
    for event in stream:
        folded.feed(event)
    (item,) = folded.finish()["output"]
    said = "".join(event.json["delta"] for event in stream if event.type.endswith(".delta"))
    if Play(kind).is_call:
        assert said == item["arguments"]
        assert json.loads(said)
    else:
        assert said == item["content"][0]["text"]


@pytest.mark.parametrize("kind", corpora.KINDS)
def test_each_delta_of_a_corpus_has_one_mark_and_1_to_40_characters(kind: str) -> None:
    deltas = corpora.corpus(kind, 500).deltas
    assert {delta.count(MARK.decode()) for delta in deltas} == {1}
    assert min(map(len, deltas)) >= 1
    assert 20 <= max(map(len, deltas)) <= 40
    made = events(kind, 500)
    assert b"".join(made.deltas).count(MARK) == 500
    assert MARK not in made.opening + made.closing


def test_only_plain_deltas_have_neither_escapes_nor_letters_beyond_ascii() -> None:
    def escapes(kind: str) -> bool:
        deltas = b"".join(events(kind, 500).deltas)
        return b"\\" in deltas or not deltas.isascii()

    assert [kind for kind in corpora.KINDS if not escapes(kind)] == [
        corpora.PLAIN,
        corpora.PLAIN_CALL,
    ]


def test_an_event_is_as_large_as_in_life() -> None:
    (size,) = {len(event.raw) for event in whole(Play()) if event.type.endswith("text.delta")}
    assert 240 <= size <= 280


@pytest.fixture(scope="module")
def backends() -> Iterator[servers.Backend]:
    with servers.backends() as both:
        yield both


@pytest.fixture
def backend(backends: servers.Backend) -> int:
    return backends.port


@pytest.mark.parametrize("play", PLAYS, ids=str)
async def test_the_backend_plays_what_was_asked(play: Play, backend: int) -> None:
    answer = await one(backend, request("direct", play))
    assert answer.marks == play.marks
    assert answer.began < answer.first <= answer.ended


async def test_the_backend_counts_connections_that_carried_a_play(backend: int) -> None:
    bench = sizes.Bench(backend, sizes.TINY)
    before, client = bench.counts(), Client(backend)
    for _ in range(3):
        await client.ask(request("direct", Play()))
    await client.send(request("direct", Play("text", 2, 1)))
    await client.token
    during = bench.counts()
    client.leave()
    assert await bench.open_streams(within=30) == 0
    assert during["open"] == 1
    assert during["connects"] - before["connects"] == 1
    assert during["requests"] - before["requests"] == 4


async def test_a_backend_that_closes_is_asked_anew_each_time(backend: int) -> None:
    bench, client = sizes.Bench(backend, sizes.TINY), Client(backend)
    before = bench.counts()["connects"]
    for _ in range(3):
        await client.ask(request("direct", Play(closes=True)))
    assert bench.counts()["connects"] - before == 3


async def test_over_tls_the_backend_has_a_name_that_its_authority_vouches_for(
    backends: servers.Backend,
) -> None:
    context = ssl.create_default_context(cafile=str(backends.authority))
    url = urlsplit(backends.url(secure=True))
    assert url.hostname is not None
    reader, writer = await asyncio.open_connection(url.hostname, url.port, ssl=context)
    writer.write(request("direct", Play(closes=True)))
    assert (await reader.read()).count(MARK) == Play().marks
    writer.close()


# What is started


async def test_another_checkout_by_another_interpreter_is_started(
    tmp_path: Path, backends: servers.Backend
) -> None:
    for source in SOURCES:
        for package in (ROOT / source).glob("codexapi_*"):  # as in an unpacked wheel
            (tmp_path / package.name).symlink_to(package)
    make = servers.codexapi_of(sys.executable, tmp_path)
    with servers.running(PREVIOUS, make, backends, secure=True) as server:
        assert server is not None
        assert server.env["PYTHONPATH"] == str(tmp_path)
        check(await one(server.port, request("chat", Play())), Play())


def test_a_folder_without_our_packages_is_named(tmp_path: Path, backends: servers.Backend) -> None:
    make = servers.codexapi_of(sys.executable, tmp_path)
    with pytest.raises(Failed, match=f"{tmp_path} has no codexapi_cli"):
        with servers.running(PREVIOUS, make, backends):
            pass


@linux
def test_an_interpreter_is_known_by_its_version_and_what_it_loads() -> None:
    version, kind = servers.build(sys.executable).split()
    assert version == platform.python_version()
    assert kind in ("shared", "static")


# What the driver sees


@asynccontextmanager
async def answering(*pieces: bytes) -> AsyncIterator[int]:
    """A server that answers each connection with just these pieces, and closes it."""

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        for piece in pieces:
            writer.write(piece)
            await writer.drain()
        writer.close()

    async with await asyncio.start_server(answer, "127.0.0.1", 0) as listening:
        port: int = listening.sockets[0].getsockname()[1]
        yield port


@pytest.mark.parametrize(
    ("pieces", "why"),
    [
        ([STREAM + b"1\r\n~\r\n"], "closed too early"),
        ([b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n~"], "closed too early"),
        ([b"HTTP/1.1 502 Bad Gateway\r\nContent-Length: 1\r\n\r\n~"], "502 Bad Gateway"),
        ([], "closed too early"),
    ],
    ids=["no last chunk", "half a body", "a status", "nothing"],
)
async def test_an_answer_that_is_not_whole_has_failed(pieces: list[bytes], why: str) -> None:
    async with answering(*pieces) as port:
        with pytest.raises(Failed, match=why):
            await one(port, request("chat", Play()))


@pytest.mark.parametrize(
    "pieces",
    [
        [STREAM[:30], STREAM[30:] + b"3\r\n~", b"~~\r\n0\r\n", b"\r\n"],
        [b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\n~~", b"~"],
        [b"HTTP/1.0 200 OK\r\n\r\n~", b"~~"],
    ],
    ids=["chunks", "a length", "until it closes"],
)
async def test_marks_are_counted_however_an_answer_is_framed(pieces: list[bytes]) -> None:
    async with answering(*pieces) as port:
        assert (await one(port, request("chat", Play()))).marks == 3


def test_many_streams_do_not_ask_for_more_than_the_driver_can_count() -> None:
    assert [count * pace(count) for count in sizes.STREAMS] == [50, 800, 1792, 2000]


def test_a_missing_delta_is_a_failure() -> None:
    with pytest.raises(Failed, match="2 of 20 deltas are missing"):
        check(Answer(0.0, marks=18), Play())


# What is reported

SAMPLES = {
    OURS: {
        "paced.chat": [9.0, 30.0, 10.0], "saturation.chat": [70.0], "saturation.responses": [70.0],
        "saturation.messages": [60.0], "idle": [70.0, 71.0], "leavers": [sizes.NEVER],
    },
    GO: {
        "paced.chat": [20.0], "saturation.chat": [10.0], "saturation.responses": [10.0],
        "idle": [10.0],
    },
    PREVIOUS: {"paced.chat": [10.0, 11.0, 12.0], "idle": [80.0, 81.0], "leavers": [3.0]},
    "absent": {},
}  # fmt: skip


def test_a_ratio_is_of_medians() -> None:
    assert report.ratio(SAMPLES, OURS, "paced.chat") == 0.5
    assert report.ratio(SAMPLES, OURS, "leavers") is None
    assert report.ratio(SAMPLES, "absent", "idle") is None


@pytest.mark.parametrize(
    ("key", "said"),
    [
        ("paced.chat", "yes"),
        ("saturation.chat", "yes"),
        ("saturation.responses", "**no**"),
        ("saturation.messages", "yes"),
        ("idle", "**no**"),
        ("leavers", ""),
        ("first.chat.p50", ""),
    ],
)
def test_a_verdict_holds_a_figure_against_its_goal(key: str, said: str) -> None:
    assert report.verdict(SAMPLES, key) == said


def test_tables_show_medians_and_spread() -> None:
    tables, title = report.tables(SAMPLES), FIGURES["paced.chat"].title
    assert f"| {title} | 10.00 | 20.00 | 11.00 | 0.50 × | ≤ 0.8 × | yes |" in tables["peers"]
    assert f"| {title} | 9.00 … 30.00 | 20.00 … 20.00 | 10.00 … 12.00 |" in tables["spread"]
    assert "| never | – | 3.0 |" in tables["peers"]
    assert "absent" not in tables["peers"]
    assert "person" not in tables


def test_escaped_deltas_are_held_against_plain_ones() -> None:
    code = {"corpus.plain.chat": [10.0], "corpus.code.chat": [6.0], "escapes.code.chat": [0.6]}
    table = report.tables({OURS: code})["corpora"]
    assert f"| {FIGURES['corpus.plain.chat'].title} | 10.0 | – |  |  |  |" in table
    assert f"| {FIGURES['corpus.code.chat'].title} | 6.0 | – | 0.60 | ≥ 0.7 | **no** |" in table


def test_a_previous_release_is_held_beside_ours_row_by_row() -> None:
    table, paced = report.tables(SAMPLES)["previous"], FIGURES["paced.chat"].title
    assert f"| {paced} | 11.00 | 10.00 | 0.91 × ≈ | within noise |" in table
    assert "| memory idle, MB | 80.5 | 70.5 | 0.88 × | better |" in table
    assert "| 3.0 | never | – | one round |" in table
    assert FIGURES["saturation.chat"].title not in table


@pytest.mark.parametrize(
    ("one", "other", "noise"),
    [
        ([9.0, 10.0, 11.0], [10.0, 11.0, 30.0], True),
        ([9.0, 10.0, 11.0], [12.0, 13.0, 14.0], False),
        ([1.0, 10.0, 11.0, 12.0, 40.0], [13.0, 14.0, 15.0], False),
        ([10.0], [10.1], False),
    ],
    ids=["the halves overlap", "apart", "one strange round", "one round"],
)
def test_rounds_whose_middle_halves_overlap_are_within_noise(
    one: list[float], other: list[float], *, noise: bool
) -> None:
    assert report.within_noise(one, other) is noise
    assert report.within_noise(other, one) is noise


def test_tables_are_put_where_the_document_has_them(tmp_path: Path) -> None:
    documents = [tmp_path / "users.md", tmp_path / "developers.md"]
    documents[0].write_text("a\n<!-- table x -->\nold\n<!-- end -->\nb\n")
    documents[1].write_text("<!-- table y -->\n<!-- end -->\nc\n")
    report.place({"y": "| 2 |", "x": "| 1 |"}, documents)
    assert [document.read_text() for document in documents] == [
        "a\n<!-- table x -->\n| 1 |\n<!-- end -->\nb\n",
        "<!-- table y -->\n| 2 |\n<!-- end -->\nc\n",
    ]
    with pytest.raises(ValueError, match="no document has a place for the table 'z'"):
        report.place({"z": ""}, documents)


def test_the_pages_have_a_place_for_every_table() -> None:
    pages = "".join(document.read_text() for document in report.DOCUMENTS)
    names = re.findall("<!-- table (.*) -->", pages)
    made = {*TABLES, "machine", "costs", "previous", "spread", "startup", "startup ratios", "runs"}
    assert sorted(names) == sorted(made)
    assert set(COSTS) <= FIGURES.keys()


def test_of_the_runs_that_are_kept_each_goal_that_one_missed_has_a_row() -> None:
    goals = {"requests.chat": 2.5, "paced.chat": 0.7, "codexapi --help / python -c pass": 3.0}
    first = runs.Run("2026-01-01", "3.11.2 static", "a desktop", goals)
    second = first._replace(date="2026-01-02", figures={**goals, "paced.chat": 0.9})
    head, _, *rows = runs.table([first, second]).splitlines()
    assert head.endswith(
        "| 2026-01-01, a desktop: 3.11.2 static | 2026-01-02, a desktop: 3.11.2 static |"
    )
    assert rows == [
        f"| {FIGURES['paced.chat'].title} | ≤ 0.8 × | 0.7 | **0.9** |",
        "",
        "The other 2 goals were met by every run.",
    ]


def test_the_page_has_all_runs_that_are_kept() -> None:
    assert runs.table(runs.kept()) in report.DOCUMENTS[1].read_text()


def test_what_is_kept_of_a_run_is_what_has_a_goal(tmp_path: Path) -> None:
    machine = {"date": "2026-01-01", "python": "3.13.0 shared", "load": "0.5"}
    times = {
        "python -c pass": [10.0],
        "codexapi --help": [30.0, 50.0],
        "codexapi --version": [11.0],
    }
    for name, content in {"run": {"machine": machine, "rounds": SAMPLES}, "times": times}.items():
        (tmp_path / name).write_text(json.dumps(report.finite(content)))
    run = runs.keep(tmp_path / "run", tmp_path / "times", "here")
    assert run[:3] == ("2026-01-01", "3.13.0 shared", "here")
    assert run.figures == {
        "paced.chat": 0.5, "saturation.chat": 7.0, "saturation.responses": 7.0, "saturation.messages": 6.0, "idle": 70.5,
        "codexapi --version / python -c pass": 1.1, "codexapi --help / python -c pass": 4.0,
    }  # fmt: skip


def test_a_run_that_is_to_be_kept_needs_its_two_files(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "argv", ["runs", "a-name", "--run", "one.json"])
    with pytest.raises(SystemExit, match="2"):
        runs.main()
    assert "--run FILE and --startup FILE" in capsys.readouterr().err


def test_what_never_came_is_null_in_json() -> None:
    told = report.summary(SAMPLES)[OURS]["leavers"]
    assert json.loads(json.dumps(told, allow_nan=False))["median"] is None
