"""What a recording holds: no secret, the timing and the cuts; and that it breaks nothing."""

from __future__ import annotations

import asyncio
import gzip
import itertools
import json
import logging
import os
import random
import stat
import time
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from tests.faulty import RST, FaultyBackend, Script, chunk, head, stream, whole
from tests.planted import Planter
from tests.wire_files import NAMES, events, pieces, table, wire

from codexapi_engine import Codex, CodexError, Settings, __version__, request
from codexapi_engine.http.in_process import in_process
from codexapi_engine.login.store import InMemory
from codexapi_engine.protocol import sse
from codexapi_engine.protocol.redaction import Redaction
from codexapi_engine.protocol.redaction.vocabulary import WORDS
from codexapi_engine.recording.lines import (
    BROKEN,
    COMPLETE,
    ExchangeFile,
    read_exchange,
    read_recording,
)
from codexapi_engine.recording.recorder import Recorder
from codexapi_engine.simulator import Simulator

ENOUGH = 10_000
PATIENCE = 100.0
"""Seconds after which a recorder that does not end has failed."""
_KEPT = {"type", "role", "object", "status", "model", "slug", "phase"}


def kept(key: str, value: object) -> bool:
    """What is the wire's own, and has no room for a secret."""
    return key in _KEPT or value in WORDS or value == ""


def written(folder: Path) -> bytes:
    return b"\n".join(path.read_bytes() for path in sorted(folder.iterdir()))


def record(recorder: Recorder, **parts: Any) -> None:
    """One exchange, as the transport tells it."""
    tap = recorder.begin(
        parts.get("method", "POST"), parts.get("target", "/backend-api/codex/responses"),
        parts.get("sent", []), parts.get("body", b""),
    )  # fmt: skip
    tap.head(parts.get("status", 200), parts.get("received", []))
    for piece in pieces(parts.get("answer", b""), parts.get("cuts", ())):
        tap.piece(piece)
    tap.end(parts.get("end", COMPLETE))


def planted_request(planter: Planter) -> bytes:
    body = {
        "model": "gpt-6.1-sol", "stream": True, "instructions": "x", "prompt_cache_key": "x",
        "input": [
            {"type": "message", "role": "user", "id": "x", "content": [
                {"type": "input_text", "text": "x"},
                {"type": "input_image", "image_url": "x", "detail": "auto"},
                {"type": "input_file", "filename": "x", "file_data": "x", "file_id": "x"}]},
            {"type": "reasoning", "id": "x", "encrypted_content": "x", "summary": [{"text": "x"}]},
            {"type": "function_call", "call_id": "x", "name": "x", "arguments": "x"},
            {"type": "function_call_output", "call_id": "x", "output": "x"},
            {"type": "function_call_output", "call_id": "x", "output": [{"text": "x"}]},
            {"type": "local_shell_call", "action": {"command": ["x"], "env": {planter.plain(): "x"}}},
            {"type": "hologram", "shape": "x", "deep": {"deeper": [["x"]], planter.plain(): "x"}},
        ],
        "tools": [
            {"type": "function", "name": "x", "description": "x", "parameters": {
                "type": "object", "title": "x", "required": ["x"], "$defs": {planter.plain(): {
                    "$ref": f"#/$defs/{planter.plain()}", "const": "x"}},
                "properties": {planter.plain(): {"description": "x", "enum": ["x"], "default": "x",
                    "examples": [{planter.plain(): "x"}], "pattern": "x"}}}},
            {"type": "mcp", "server_label": "x", "server_url": "x", "authorization": "x",
             "headers": {"Authorization": "x", "x-customer": "x", planter.plain(): "x"}},
        ],
        "metadata": {planter.plain(): "x", "name": "x", "id": "x", "model": "x"},
        "client_metadata": {"installation_id": "x", planter.plain(): "x"},
        "user": "x", "safety_identifier": "x", "text": {"format": {"name": "x", "schema": {}}},
    }  # fmt: skip
    return json.dumps(planter.everywhere(body, kept), ensure_ascii=False).encode()


def planted_answer(planter: Planter, name: str) -> bytes:
    lines = []
    for event in events(wire(name)):
        value = planter.everywhere(event.json, kept) | {planter.plain(): planter()}
        lines.append(f"id: {planter.plain()}\n: {planter.plain()}\n")
        lines.append(f"event: {event.type}\ndata: {json.dumps(value)}\n\n")
    return "".join(lines).encode()


def planted_headers(planter: Planter) -> list[tuple[str, str]]:
    names = [
        "Authorization", "chatgpt-account-id", "Cookie", "Set-Cookie", "session-id", "x-request-id",
        "x-codex-turn-metadata", "x-codex-installation-id", "ETag", "cf-ray", "Location", "x-unknown",
        "x-codex-promo-message", "user-agent", "Server", "x-codex-limit-name", "via", "Date",
    ]  # fmt: skip
    headers = [(name, f"a={planter.plain()}; Path=/{planter.plain()}") for name in names]
    return [*headers, ("authorization", f"Bearer {planter.plain()}"), (planter.plain(), "1")]


def test_ten_thousand_planted_secrets_are_in_no_file(tmp_path: Path) -> None:
    planter, dice = Planter(7), random.Random(7)
    recorder, with_content = Recorder(tmp_path / "d"), Recorder(tmp_path / "content", content=True)
    while len(planter.cores) < ENOUGH:
        for name in NAMES:
            answer = planted_answer(planter, name)
            record(
                recorder,
                target=f"/backend-api/codex/responses?x={planter.plain()}&{planter.plain()}=1",
                sent=planted_headers(planter), received=planted_headers(planter),
                body=planted_request(planter), answer=answer,
                cuts=[dice.randrange(len(answer)) for _ in range(9)],
            )  # fmt: skip
        for kind, form in itertools.product(_FIELDS, TOKENS):
            answer = split_tokens(planter, form, kind)
            record(recorder, answer=answer)
            record(with_content, answer=answer)
        odd(recorder, planter)
    recorder.close(PATIENCE)
    with_content.close(PATIENCE)
    assert len(planter.cores) >= ENOUGH
    ends = [one.end for one in read_recording(tmp_path / "d")]
    assert (ends.count(COMPLETE) > len(NAMES), set(ends)) == (True, {COMPLETE, BROKEN})
    assert written(tmp_path / "d").count(b'"end": ') == len(ends), "all of it is written"
    assert planter.found_in(written(tmp_path / "d")) == set()
    assert planter.found_in(written(tmp_path / "content")) == set()
    for one in read_recording(tmp_path / "content"):
        assert planter.found_in("\n".join(joined_deltas(one.answer)).encode()) == set()


TOKENS: list[Callable[[str], str]] = [
    lambda core: f"sk-proj-{core}",
    lambda core: f"rt_{core}-{core}",
    lambda core: f"Bearer {core}==",
    lambda core: f"eyJhbGciOiJub25lIn0.{core}.{core}",
]
_FIELDS = {
    "response.output_text": "text",
    "response.function_call_arguments": "arguments",
    "response.reasoning_summary_text": "text",
    "response.custom_tool_call_input": "input",
}


def split_tokens(planter: Planter, form: Callable[[str], str], kind: str) -> bytes:
    """A stream with an item for each place where a token can be cut into two deltas; events of
    others stand between them, and some deltas are empty."""
    sent = []
    for cut in range(len(form(planter.plain()))):
        token, item = form(planter.plain()), f"item_{cut}"
        text = ('{"a": "Mine:\\n' if "arguments" in kind else "Mine:\n") + token + '" is secret'
        place = text.index(token) + cut
        between = {"type": "response.output_text.done", "item_id": "other", "text": "x"}
        pieces = text[:place], "", text[place : place + 3], text[place + 3 :]
        for piece in pieces:
            sent += [{"type": f"{kind}.delta", "item_id": item, "delta": piece}, between]
        sent.append({"type": f"{kind}.done", "item_id": item, _FIELDS[kind]: text})
    return b"".join(sse.encode(event, str(event["type"])) for event in sent)


def joined_deltas(answer: bytes) -> list[str]:
    texts: dict[str, str] = {}
    for event in events(answer):
        if "delta" in event.json:
            item = event.json["item_id"]
            texts[item] = texts.get(item, "") + event.json["delta"]
    return list(texts.values())


@pytest.mark.parametrize("kind", _FIELDS)
@pytest.mark.parametrize("content", [True, False], ids=["content", "filler"])
def test_a_token_that_deltas_split_anywhere_is_in_no_file(
    tmp_path: Path, kind: str, content: bool
) -> None:
    planter = Planter(5)
    recorder = Recorder(tmp_path, content=content)
    answers = [split_tokens(planter, form, kind) for form in TOKENS]
    for answer in answers:
        record(recorder, answer=answer, cuts=range(0, len(answer), 700))
    recorder.close(PATIENCE)
    found = read_recording(tmp_path)
    for one, answer in zip(found, answers, strict=True):
        texts = joined_deltas(one.answer)
        assert planter.found_in("\n".join(texts).encode()) == set()
        assert [len(text) for text in texts] == [len(text) for text in joined_deltas(answer)]
        wholes = [e.json[_FIELDS[kind]] for e in events(one.answer) if e.type == f"{kind}.done"]
        assert texts == (wholes if kind != "response.output_text" else wholes[4::5])
        assert all(("Mine" in text, "is secret" in text) == (content, content) for text in texts)
    assert planter.found_in(written(tmp_path)) == set()


def test_a_token_that_the_end_of_the_stream_cuts_off_is_in_no_file(tmp_path: Path) -> None:
    recorder = Recorder(tmp_path, content=True)
    for cut in range(4, 20):
        answer = sse.encode({"type": "x.delta", "delta": f"My sk-{'q' * cut}"}, "x.delta")
        record(recorder, answer=answer)
        half = sse.encode({"type": "x.delta", "delta": f"{'q' * cut} and"}, "x.delta")[:-9]
        record(recorder, answer=answer + half)
    recorder.close(PATIENCE)
    assert b"qqqq" not in written(tmp_path)
    assert written(tmp_path).count(b"My ") == 2 * 16


def test_an_endless_word_is_filled_once_too_much_waits_for_its_end(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    held = "codexapi_engine.protocol.redaction.events.MAX_RECORDING_QUEUE_BYTES"
    monkeypatch.setattr(held, 2_000)
    pieces = ["My key: sk-", *["Abcd9"] * 90, " and ", "what ", "follows."]
    answer = b"".join(sse.encode({"type": "x.delta", "delta": each}, "x.delta") for each in pieces)
    body, shown, longest = Redaction.of(b"k", content=True).body(), b"", 0
    for at in range(0, len(answer), 50):
        shown += body.feed(answer[at : at + 50])
        longest = max(longest, at + 50 - len(shown))
    shown += body.finish()
    assert 1_500 < longest < 2_500
    assert len(shown) == len(answer)
    text = "".join(event.json["delta"] for event in events(shown))
    assert "Abcd" not in text
    assert (text[:8], text[-18:]) == ("My key: ", " and what follows.")


def odd(recorder: Recorder, planter: Planter) -> None:
    """Answers and requests of other forms."""
    for error in table("errors"):
        body = planter.everywhere(error["body"], lambda key, value: value in WORDS)
        record(recorder, status=error["status"], answer=json.dumps(body).encode())
    secret = planter.plain()
    page = f"<html><title>{secret}</title><a href='/{secret}'>{secret}</a>".encode()
    token = json.dumps(
        dict.fromkeys(("access_token", "refresh_token", "id_token"), secret)
    ).encode()
    form = f"grant_type=refresh_token&refresh_token={secret}&{secret}={secret}".encode()
    upload = (
        f'--cut{secret}\r\nContent-Disposition: form-data; name="file"; filename="{secret}"\r\n\r\n'
        f"RIFF{'x' * 60}{secret}\r\n--cut{secret}--\r\n"
    ).encode()
    kinds = {"content-type": f"multipart/form-data; boundary=cut{secret}"}
    answers: list[tuple[bytes, Mapping[str, str]]] = [
        (page, {"content-type": "text/html"}),
        (secret.encode(), {"content-type": "text/plain"}),
        (secret.encode("utf-16"), {}),
        (b"\x89PNG\r\n\x1a\n" + bytes(50) + secret.encode(), {"content-type": "image/png"}),
        (gzip.compress(secret.encode(), 0), {"content-encoding": "gzip"}),
        (token, {"content-type": "application/json"}),
        (token[:-9], {"content-type": "application/json"}),
        (b'data: {"a": \ndata: "' + secret.encode() + b'"}\n\n', {}),
        (b"data: not JSON " + secret.encode() + b"\n\ndata: {'" + secret.encode(), {}),
        (b"\xff" + secret.encode() + b"\xfe", {}),
    ]
    for answer, received in answers:
        record(recorder, answer=answer, received=list(received.items()), cuts=[3, 20], end=BROKEN)
    typed = [("content-type", "application/x-www-form-urlencoded")]
    record(recorder, target=f"/{secret}/oauth/token", sent=typed, body=form)
    record(recorder, target="/backend-api/transcribe", sent=list(kinds.items()), body=upload)
    record(recorder, status=302, received=[("location", f"https://{secret}@{secret}.example/")])


async def test_secrets_of_a_real_connection_are_in_no_file(tmp_path: Path) -> None:
    """Headers both ways, a redirect, cookies, a compressed body, refusals and a break."""
    planter = Planter(3)
    secret = planter.plain
    cookies = {"set_cookie": f"__cf_bm={secret()}; Path=/", "x_request_id": secret()}
    message = {"error": {"message": f"No {secret()}", "code": secret(), "param": secret()}}
    scripts: list[Script] = [
        [whole(400, message, **cookies, location=f"https://{secret()}/")],
        [whole(302, b"", location=f"https://{secret()}.example/{secret()}")],
        [stream(gzip.compress(secret().encode(), 0), content_encoding="gzip")],
        [whole(403, f"<html>{secret()}</html>".encode(), content_type="text/html", cf_ray=secret())],
        [head(), chunk(wire("text")[:900]), chunk(f'data: {{"x": "{secret()}'.encode()), RST],
    ]  # fmt: skip
    login = json.dumps({"tokens": {"access_token": secret(), "account_id": secret()}}).encode()
    async with FaultyBackend(*scripts) as backend:
        settings = Settings(record=tmp_path / "d", base_url=f"{backend.url}/backend-api/codex")
        async with Codex(settings, store=InMemory(login)) as codex:
            for _ in scripts:
                with pytest.raises(CodexError):
                    await codex.respond(
                        request(planter(), model="gpt-6.1-sol", instructions=planter())
                    )
    assert len(read_recording(tmp_path / "d")) == len(scripts)
    assert planter.found_in(written(tmp_path / "d")) == set()


def test_what_a_slow_disk_has_no_room_for_is_left_out(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("codexapi_engine.recording.recorder.MAX_RECORDING_BACKLOG_BYTES", -1)
    recorder = Recorder(tmp_path)
    record(recorder, answer=wire("text"), cuts=[500, 900])
    recorder.close(PATIENCE)
    (one,) = read_recording(tmp_path)
    assert (one.answer, one.left_out, one.end) == (b"", len(wire("text")), COMPLETE)


def test_the_search_finds_what_is_there() -> None:
    planter = Planter(1)
    for number in range(33):
        secret = planter()
        for shown in (secret, json.dumps(secret), json.dumps(json.dumps(secret)), secret[::-1]):
            assert planter.found_in(f"xx {shown} yy".encode()) or number % 11 in (8, 9, 10), shown
        assert planter.found_in(secret.encode()), secret


@asynccontextmanager
async def recording(
    folder: Path, simulator: Simulator | None = None, **settings: Any
) -> AsyncIterator[Codex]:
    simulator = simulator or Simulator()
    chosen = Settings(record=folder, **settings)
    login = InMemory(simulator.login())
    async with Codex(chosen, http=in_process(simulator.handle), store=login) as codex:
        yield codex


async def asked(codex: Codex, text: str) -> None:
    await codex.respond(request(text, model="gpt-6.1-sol"))


def exchange(folder: Path, path: str = "/responses") -> ExchangeFile:
    return next(one for one in read_recording(folder) if one.kind[1] == path)


async def test_a_recording_has_the_request_the_answer_and_who_wrote_it(tmp_path: Path) -> None:
    async with recording(tmp_path / "d") as codex:
        await asked(codex, "[[say My own secret.]]")
    one = exchange(tmp_path / "d")
    assert one.codexapi == __version__
    assert (one.method, one.status, one.content) == ("POST", 200, False)
    assert json.loads(one.body)["input"][0]["content"][0]["text"] == "[[xxx Xx xxx xxxxxx.]]"
    assert events(one.answer)[-1].type == "response.completed"
    assert b"Xx xxx xxxxxx." in one.answer
    times = [one.head_ms, *(piece.ms for piece in one.pieces)]
    assert times == sorted(times)


def test_the_headers_that_the_backend_sends_keep_their_names(tmp_path: Path) -> None:
    recorder = Recorder(tmp_path)
    record(recorder, answer=wire("text"), received=list(table("headers").items()))
    recorder.close(PATIENCE)
    (one,) = read_recording(tmp_path)
    assert [name for name, _ in one.answer_headers] == list(table("headers"))


async def test_with_content_the_words_are_kept_and_the_login_is_not(tmp_path: Path) -> None:
    simulator = Simulator()
    async with recording(tmp_path / "d", simulator, record_content=True) as codex:
        await asked(codex, "[[say My own words.]]")
    data = written(tmp_path / "d")
    assert b"My own words." in data
    tokens = json.loads(simulator.login())["tokens"]
    assert simulator.account_id.encode() not in data
    assert not any(token.encode() in data for token in tokens.values())


@pytest.mark.skipif(os.name == "nt", reason="modes of files")
async def test_the_folder_and_its_files_are_for_the_user_alone(tmp_path: Path) -> None:
    async with recording(tmp_path / "new" / "d") as codex:
        await asked(codex, "x")
    assert stat.S_IMODE((tmp_path / "new" / "d").stat().st_mode) == 0o700
    modes = {stat.S_IMODE(path.stat().st_mode) for path in (tmp_path / "new" / "d").iterdir()}
    assert modes == {0o600}


def test_pieces_are_cut_where_the_network_cut_them(tmp_path: Path) -> None:
    answer, cuts = wire("text"), [1, 50, 51, 700, 2300, 2301, 4000]
    recorder = Recorder(tmp_path)
    record(recorder, answer=answer, cuts=cuts)
    recorder.close(PATIENCE)
    (one,) = read_recording(tmp_path)
    assert [len(piece.data) for piece in one.pieces] == [len(p) for p in pieces(answer, cuts)]
    assert one.end == COMPLETE


def test_half_an_event_is_redacted_too_and_the_break_is_kept(tmp_path: Path) -> None:
    recorder = Recorder(tmp_path)
    record(recorder, answer=wire("text")[:5000], end=BROKEN)
    recorder.close(PATIENCE)
    (one,) = read_recording(tmp_path)
    assert len(one.answer) == 5000
    assert (one.end, b"Hello" in one.answer) == (BROKEN, False)


def test_what_a_killed_process_left_can_be_read(tmp_path: Path) -> None:
    recorder = Recorder(tmp_path)
    record(recorder, answer=wire("text"), cuts=range(0, 5000, 500))
    recorder.close(PATIENCE)
    (one,) = read_recording(tmp_path)
    data = one.path.read_bytes()
    for size in range(data.index(b"status"), len(data), 700):
        one.path.write_bytes(data[:size])
        again = read_exchange(one.path)
        assert one.answer.startswith(again.answer)
        assert again.end == BROKEN


def test_names_sort_by_time_and_the_oldest_go_first(tmp_path: Path) -> None:
    recorder = Recorder(tmp_path, limit=60_000)
    (tmp_path / "a file of the user").write_bytes(bytes(90_000))
    for number in range(12):
        record(recorder, answer=wire("text"), sent=[("x-codex-reset-at", str(number))])
    recorder.close(PATIENCE)
    found = read_recording(tmp_path)
    numbers = [int(dict(one.headers)["x-codex-reset-at"]) for one in found]
    assert numbers == list(range(12 - len(found), 12))
    assert 2 < len(found) < 12
    assert (tmp_path / "a file of the user").exists()
    assert sum(one.path.stat().st_size for one in found) <= 60_000


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs a device that is full")
async def test_a_full_disk_ends_the_recording_with_one_warning_and_no_request(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    opened = os.open
    monkeypatch.setattr(
        "codexapi_engine.recording.writer.os.open",
        lambda path, flags, mode=0: opened("/dev/full", os.O_WRONLY)
        if str(path).endswith(".jsonl") else opened(path, flags, mode),
    )  # fmt: skip
    with caplog.at_level(logging.WARNING):
        async with recording(tmp_path / "d") as codex:
            await asked(codex, "x")
            await asked(codex, "y")
    (warning,) = [one for one in caplog.records if "recording" in one.getMessage()]
    assert "No space left on device" in warning.getMessage()


async def test_a_folder_that_goes_away_breaks_no_request(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "d").write_text("a file in its place")
    async with recording(tmp_path / "d") as codex:
        await asked(codex, "x")
    assert len([one for one in caplog.records if "has stopped" in one.getMessage()]) == 1


async def test_refused_and_broken_exchanges_are_recorded(tmp_path: Path) -> None:
    async with recording(tmp_path / "d") as codex:
        for text in ("[[status rate_limited]]", "[[drop 2]]"):
            with pytest.raises(CodexError):
                await asked(codex, text)
    statuses = {(one.status, one.end) for one in read_recording(tmp_path / "d")}
    assert (429, COMPLETE) in statuses
    assert (200, BROKEN) in statuses


async def test_a_renewal_of_the_login_is_recorded_without_a_token(tmp_path: Path) -> None:
    simulator = Simulator(token_lifetime=3600)
    login = simulator.login()
    store = InMemory(login)
    settings = Settings(record=tmp_path / "d")
    http = in_process(simulator.handle)
    async with Codex(settings, http=http, store=store, clock=lambda: time.time() + 3590) as codex:
        await asked(codex, "x")
    one = exchange(tmp_path / "d", "/oauth/token")
    answer = json.loads(one.answer)
    data = written(tmp_path / "d")
    assert {"access_token", "refresh_token", "id_token"} <= set(answer)
    assert not any(token.encode() in data for token in json.loads(login)["tokens"].values())
    assert b"simulated@example.com" not in data
    used = json.loads(exchange(tmp_path / "d").body)  # with the pair that came
    assert used["model"] == "gpt-6.1-sol"
    bearer = dict(exchange(tmp_path / "d").headers)["authorization"]
    assert bearer == f"Bearer {answer['access_token']}", "the stand-in of the same token"


async def test_an_answer_beyond_the_bound_is_left_out(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("codexapi_engine.recording.writer.MAX_RECORDING_BODY_BYTES", 2_000)
    recorder = Recorder(tmp_path)
    data = wire("text")
    record(recorder, answer=data, cuts=range(500, len(data), 500))
    recorder.close(PATIENCE)
    (one,) = read_recording(tmp_path)
    assert len(one.answer) == 2_000
    assert one.left_out == len(data) - 2_000


async def test_without_the_setting_nothing_of_it_is_loaded() -> None:
    code = (
        "import asyncio, sys, codexapi_engine as e\n"
        "async def main():\n"
        "    async with e.Codex(e.Settings(demo=True)) as codex: await codex.models()\n"
        "asyncio.run(main())\n"
        "print([m for m in sys.modules if 'redaction' in m or 'recorder' in m])"
    )
    import sys

    from tests.processes import environment

    process = await asyncio.create_subprocess_exec(
        sys.executable, "-c", code, stdout=asyncio.subprocess.PIPE, env=environment()
    )
    out, _ = await process.communicate()
    assert out.strip() == b"[]"


@pytest.mark.parametrize(
    "line",
    [
        '{"ms": 1, "status": 9999, "headers": []}',
        '{"ms": 1, "status": "200", "headers": []}',
        '{"ms": NaN, "status": 200, "headers": []}',
        '{"ms": -1, "status": 200, "headers": []}',
        '{"ms": 1e99, "text": "x"}',
        '{"ms": 1, "status": 200, "headers": [["x", "a\\r\\nb"]]}',
        '{"ms": 1, "status": 200, "headers": [["x: y", "z"]]}',
        '{"ms": 1, "status": 200, "headers": [["x", "\\u65e5"]]}',
        '{"ms": 1, "status": 200, "headers": {"x": 1}}',
        '{"ms": 1, "base64": "???"}',
        '{"ms": 1, "text": "x", "more": true}\n[]',
        "7",
    ],
)
def test_a_strangers_file_is_read_with_care(line: str, tmp_path: Path) -> None:
    recorder = Recorder(tmp_path)
    record(recorder)
    recorder.close(PATIENCE)
    (path,) = tmp_path.iterdir()
    head, request_line, *_ = path.read_text().splitlines()
    path.write_text(f"{head}\n{request_line}\n{line}\n")
    with pytest.raises(CodexError, match="no recording of codexapi"):
        read_exchange(path)


def test_what_is_no_recording_is_refused_by_name(tmp_path: Path) -> None:
    file = tmp_path / "x.exchange.jsonl"
    for text in (
        "",
        "{}",
        "[]",
        '{"recording": 1}',
        '{"recording": 9, "codexapi": "1"}',
        "no JSON",
    ):
        file.write_text(text)
        with pytest.raises(CodexError, match=r"x\.exchange\.jsonl"):
            read_exchange(file)
