"""The access log: one line for a request, and never what was said in it."""

from __future__ import annotations

import asyncio
import io
import json
import logging
import os
import re
from collections.abc import Callable, Iterator
from contextlib import suppress
from typing import Any

import pytest
from tests.faulty import RST, FaultyBackend, chunk, head, stream, whole
from tests.http_server import raw
from tests.http_server.doors import Stream, chat, distant_door, door, encoded, responses
from tests.http_server.raw import JsonObject, get, post
from tests.logins import auth_json

from codexapi_engine.errors import ContentRefused, InvalidRequest, StreamInterrupted
from codexapi_engine.simulator import Simulator
from codexapi_engine.telemetry import FinishedRun
from codexapi_http import logs
from codexapi_http.middleware.request_log import Entry, begin, field_names, model_name, plain
from codexapi_http.reports import Reports

pytestmark = pytest.mark.timeout(60)

CHAT, RESPONSES = "/v1/chat/completions", "/v1/responses"
LOGIN = auth_json(exp=4_000_000_000)
CREATED = {"type": "response.created", "response": {"id": "resp_1", "created_at": 5}}
WHOLE = {"request_id", "method", "path", "route", "status", "seconds", "bytes"}
"""What every line tells."""


class Told(logging.Handler):
    """The entries that were written, as they come."""

    def __init__(self) -> None:
        super().__init__()
        self._records: asyncio.Queue[logging.LogRecord] = asyncio.Queue()
        self.others: list[str] = []
        self._other: asyncio.Queue[str] = asyncio.Queue()

    def emit(self, record: logging.LogRecord) -> None:
        if hasattr(record, "fields"):
            self._records.put_nowait(record)
        else:
            self.others.append(record.getMessage())
            self._other.put_nowait(record.getMessage())

    async def entry(self) -> JsonObject:
        """The next one. A client may have its answer before."""
        return dict((await self._records.get()).fields)  # type: ignore[attr-defined]

    async def other(self) -> str:
        return await self._other.get()

    async def line(self) -> str:
        return (await self._records.get()).getMessage()

    def none(self) -> bool:
        return self._records.empty()


@pytest.fixture
def told() -> Iterator[Told]:
    log, handler = logging.getLogger("codexapi.http"), Told()
    before = log.level
    log.addHandler(handler)
    log.setLevel(logging.INFO)
    yield handler
    log.removeHandler(handler)
    log.setLevel(before)


@pytest.mark.parametrize("stream", [False, True])
async def test_line_of_a_run_tells_its_size_and_not_its_words(told: Told, stream: bool) -> None:
    async with door(Simulator()) as server:
        asked = chat("my secret [[say prompt]]", stream=stream, temperature=0.5)
        reply = await server.reply(post(f"{CHAT}?key=sk-secret", asked, "X-Request-Id: mine"))
        entry = await told.entry()
        assert told.none()
    assert set(entry) == WHOLE | {"events", "model", "tokens", "ignored", "backend_request_id"}
    assert entry["request_id"] == "mine"
    assert (entry["method"], entry["path"], entry["route"]) == ("POST", CHAT, CHAT)
    assert (entry["status"], entry["bytes"]) == (200, len(reply.body))
    assert entry["model"] == "gpt-6.1-sol"
    assert entry["ignored"] == "temperature"
    assert entry["events"] > 3
    assert set(entry["tokens"]) >= {"input", "output"}
    assert all(type(count) is int for count in entry["tokens"].values())
    assert entry["backend_request_id"] == "req_simulated_000001"
    assert not told.others
    assert "secret" not in json.dumps(entry)


async def test_line_as_text(told: Told) -> None:
    async with door(Simulator()) as server:
        await server.reply(post(CHAT, chat("[[say hello]]", user="u")))
        line = await told.line()
        await server.reply(post(CHAT, chat(n=0)))
        refused = await told.line()
    form = rf"POST {CHAT} 200 \d+\.\d{{3}} s \d+ B \d+ events gpt-6.1-sol \d+\+\d+ tokens"
    assert re.fullmatch(form + r" ignored user req_[0-9a-f]{24}", line), line
    form = rf"POST {CHAT} 400 \d+\.\d{{3}} s \d+ B \w+ \(n\) req_[0-9a-f]{{24}}"
    assert re.fullmatch(form, refused), refused


@pytest.mark.parametrize("said", [None, "7", True, -1, 0, 7.5, {}])
async def test_what_is_no_count_of_tokens_is_not_told(said: object) -> None:
    entry, usage = Entry(), {"input_tokens": 3, "output_tokens": said}
    begin(entry)
    for details in (said, {"cached_tokens": said}):
        told = {**usage, "input_tokens_details": details}
        Reports().finished(FinishedRun("m", 0.1, None, 1, told, None, None))
    assert entry.tokens == {"input": 6}


async def test_tokens_of_all_choices_are_summed(told: Told) -> None:
    async with door(Simulator()) as server:
        await server.reply(post(CHAT, chat("[[say hello]]")))
        one = await told.entry()
        await server.reply(post(CHAT, chat("[[say hello]]", n=3)))
        three = await told.entry()
    assert three["tokens"]["output"] == 3 * one["tokens"]["output"]
    assert three["events"] == 3 * one["events"]


async def test_lines_of_requests_at_the_same_time_are_not_mixed_up(told: Told) -> None:
    async with door(Simulator()) as server:
        asked = [chat(f"[[long {number}]]") for number in range(5, 25)]
        await asyncio.gather(
            *(
                server.reply(post(CHAT, body, f"X-Request-Id: r{number}"))
                for number, body in enumerate(asked)
            )
        )
        entries = [await told.entry() for _ in asked]
    by_name = sorted((int(entry["request_id"][1:]), entry["events"]) for entry in entries)
    counts = [events for _, events in by_name]
    assert counts == list(range(counts[0], counts[0] + 20))


@pytest.mark.parametrize(
    ("request_", "status", "code"),
    [
        (post(CHAT, chat(), host="evil.example"), 421, "host_not_allowed"),
        (post(CHAT, b"{"), 400, "invalid_json"),
        (post(CHAT, chat(), "Content-Type: text/plain"), 415, "unsupported_media_type"),
        (get("/v1/nothing"), 404, "not_found"),
        (get(CHAT + "/x/y/z"), 404, "not_found"),
        (raw.head(f"TRACE {CHAT}", "Host: 127.0.0.1"), 405, "method_not_allowed"),
        (get("/v1/models", "X : y"), 400, "invalid_http"),
        (post(CHAT, chat(model="nothing")), 404, "model_not_found"),
        (post(CHAT, chat("[[status usage_limit_reached]]")), 429, "usage_limit_reached"),
        (post(CHAT, chat("[[fail server_is_overloaded]]")), 503, "server_is_overloaded"),
        (post(RESPONSES, responses("[[cut 3]]")), 502, "upstream_disconnected"),
    ],
)
async def test_line_of_a_failure_has_its_code_and_the_answers_id(
    told: Told, request_: bytes, status: int, code: str
) -> None:
    async with door(Simulator()) as server:
        reply = await server.reply(request_)
        entry = await told.entry()
        assert told.none()
    assert (reply.status, entry["status"], entry["code"]) == (status, status, code)
    assert entry["request_id"] == reply.headers["x-request-id"]
    if status >= 500:
        assert entry["request_id"] in reply.error["message"]
    else:
        assert entry["request_id"] not in reply.error["message"]


@pytest.mark.parametrize("path", [CHAT, RESPONSES])
async def test_stream_that_breaks_tells_so_in_its_line(told: Told, path: str) -> None:
    body = (chat if path == CHAT else responses)("[[cut 3]]", stream=True)
    async with door(Simulator()) as server:
        assert (await server.reply(post(path, body))).status == 200
        entry = await told.entry()
    assert (entry["status"], entry["code"]) == (200, "upstream_disconnected")
    assert entry["events"] > 3


async def test_words_of_the_backend_stay_out_of_the_log(told: Told) -> None:
    """They may quote the prompt."""
    quoting = {"error": {"message": "cannot do: my secret", "code": "invalid_prompt"}}
    failed = {"type": "response.failed", "response": {"error": quoting["error"]}}
    backend = Stream()
    async with door(backend) as server:
        asking = asyncio.create_task(server.reply(post(RESPONSES, responses(stream=True))))
        await backend.reached.wait()
        backend.send(CREATED, {"type": "response.output_text.delta", "delta": "x"})
        backend.send(failed)
        await asking
        entry = await told.entry()
    assert "secret" not in json.dumps([entry, told.others])


async def test_bytes_are_all_of_a_stream_whose_events_come_one_by_one(told: Told) -> None:
    backend = Stream()
    async with door(backend) as server, raw.connect(server.port) as client:
        await client.send(post(RESPONSES, responses(stream=True)))
        await backend.reached.wait()
        backend.send(CREATED)
        await client.head()
        size = len(await client.piece())
        for _ in range(3):
            backend.send({"type": "response.output_text.delta", "delta": "x"})
            size += len(await client.piece())
        backend.send({"type": "response.completed", "response": {"status": "completed"}})
        size += len(b"".join([piece async for piece in client.pieces()]))
        assert (await told.entry())["bytes"] == size


async def test_own_words_of_a_network_failure_are_told(told: Told) -> None:
    async with FaultyBackend(otherwise=[head(), chunk(encoded(CREATED)), RST]) as backend:
        async with distant_door(backend.url, LOGIN) as server:
            reply = await server.reply(post(CHAT, chat()))
            entry = await told.entry()
    assert (reply.status, entry["code"]) == (502, "upstream_disconnected")
    assert "broke" in entry["why"]
    assert not told.others


QUOTING = {"message": "no", "code": "secret_words", "type": "secret_words", "param": "secret.words"}
FAILED = {"type": "response.failed", "response": {"id": "resp_1", "error": QUOTING}}


@pytest.mark.parametrize(
    "script",
    [
        [whole(400, {"error": QUOTING})],
        [whole(400, {"error": {**QUOTING, "code": None}})],
        [whole(418, {"error": {**QUOTING, "code": "secret words"}})],
        [whole(400, {"error": {**QUOTING, "code": "invalid_prompt"}})],
        [whole(400, {"detail": "Unsupported parameter: secret.words"})],
        [stream(encoded(CREATED), encoded(FAILED))],
        [stream(encoded({**QUOTING, "type": "error"}))],
    ],
)
@pytest.mark.parametrize("path", [CHAT, RESPONSES])
async def test_a_code_that_quotes_the_request_stays_out(
    told: Told, path: str, script: list[Any]
) -> None:
    body = chat() if path == CHAT else responses()
    async with FaultyBackend(otherwise=script) as backend:
        async with distant_door(backend.url, LOGIN, metrics=True) as server:
            reply = await server.reply(post(path, body))
            entry = await told.entry()
            counts = await server.reply(get("/metrics"))
    assert reply.status >= 400
    assert entry["code"] in ("other", "invalid_prompt", "unsupported_parameter")
    assert "secret" not in json.dumps(entry)
    assert b"secret" not in counts.body
    assert "secret" in reply.body.decode()  # its client is told


async def test_a_code_that_quotes_a_request_in_the_background_stays_out(told: Told) -> None:
    async with FaultyBackend(otherwise=[whole(400, {"error": QUOTING})]) as backend:
        async with distant_door(backend.url, LOGIN) as server:
            await server.reply(post(RESPONSES, responses(background=True)))
            await told.entry()
            line = await told.other()
    assert line == "a response in the background failed: other"


def test_a_field_that_the_backend_names_is_told_if_the_api_has_it() -> None:
    entry = Entry()
    entry.failed(ContentRefused("no", param="input[3].secret"))
    assert entry.param == "input"


def test_a_field_with_a_strangers_words_for_a_name_is_not_told() -> None:
    entry = Entry()
    entry.failed(InvalidRequest("no", param="metadata.my secret"))
    assert entry.param is None


@pytest.mark.parametrize("stream", [False, True])
async def test_client_that_left_is_told_apart(told: Told, stream: bool) -> None:
    backend = Stream()
    async with door(backend) as server:
        async with raw.connect(server.port) as client:
            await client.send(post(RESPONSES, responses(stream=stream)))
            await backend.reached.wait()
            if stream:
                backend.send(CREATED)
                await client.head()
            client.leave()
        entry = await told.entry()
    assert (entry["status"], entry["code"]) == (200 if stream else 499, "client_left")


async def test_name_of_a_picture_is_a_key_and_stays_out(told: Told) -> None:
    async with door(Simulator()) as server:
        await server.reply(get("/v1/files/images/" + "a" * 32 + ".png"))
        entry = await told.entry()
    assert entry["path"] == "/v1/files/images/…"
    assert entry["route"] == "/v1/files/images/{name}"


@pytest.mark.parametrize(
    ("path", "shown"),
    [
        ("/v1/a", "/v1/a"),
        ("/\x1b[31m\x07\r\nGET", "/?[31m???GET"),
        ("/\x9b31m\u202e", "/?31m?"),
        ("/" + "x" * 300, "/" + "x" * 198 + "…"),
    ],
)
def test_path_is_made_fit_for_a_line(path: str, shown: str) -> None:
    assert plain(path) == shown


# The log's own form.


@pytest.fixture
def written() -> Iterator[Any]:
    """Sets the log up on a text of its own, and back."""
    names = ["", "codexapi", "uvicorn", *logs.TALKATIVE]
    loggers = [logging.getLogger(name) for name in names]
    before = [(one, one.level, list(one.handlers)) for one in loggers]

    def configure(form: str, level: str) -> Callable[[], str]:
        stream = io.StringIO()
        handler = logs.configure(form=form, level=level, stream=stream)

        def so_far() -> str:
            handler.flush()
            return stream.getvalue()

        return so_far

    yield configure
    for one, level, handlers in before:
        one.setLevel(level)
        one.handlers[:] = handlers


ESCAPES = "a\x1b]0;title\x07b\nc\r\x9b31m\u202ed\x00"


def test_text_can_neither_move_a_cursor_nor_forge_a_line(written: Any) -> None:
    told = written("text", "info")
    logging.getLogger("codexapi.http").info("%s", ESCAPES)
    (line,) = told().splitlines()
    assert line.isprintable()
    assert re.match(
        r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d codexapi.http a\\x1b\]0;title\\x07b\\x0ac", line
    ), line


def test_json_is_one_object_a_line_with_its_fields(written: Any) -> None:
    told = written("json", "info")
    Entry("req_1", "GET", "/x", "/x", 200, 5, ended=True, tokens={"input": 3}).write()
    logging.getLogger("codexapi.login").warning("%s", ESCAPES)
    entry, other = map(json.loads, told().splitlines())
    assert told().isascii()
    assert set(entry) == {"time", "level", "logger", "message", "tokens"} | WHOLE
    assert (entry["request_id"], entry["status"], entry["tokens"]) == ("req_1", 200, {"input": 3})
    assert (entry["level"], other["level"]) == ("info", "warning")
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", entry["time"])
    assert other["message"].isprintable()


@pytest.mark.parametrize("form", logs.FORMS)
def test_of_an_exception_the_kind_and_the_place_are_told_and_not_its_text(
    written: Any, form: str
) -> None:
    told = written(form, "debug")
    try:
        try:
            raise KeyError("my secret")
        except KeyError as error:
            raise ValueError("another secret") from error
    except ValueError:
        logging.getLogger("codexapi.http").exception("it failed")
    text = told()
    assert "secret" not in text
    assert text.index("builtins.ValueError") < text.index("builtins.KeyError")
    assert text.count("test_access.py:") == 2


@pytest.mark.parametrize("level", logs.LEVELS)
def test_other_libraries_never_tell_details(written: Any, level: str) -> None:
    told = written("text", level)
    for name in (*logs.TALKATIVE, "httpcore.http11", "hpack.hpack", "something.new"):
        logging.getLogger(name).info("secret")
        logging.getLogger(name).debug("secret")
    logging.getLogger("uvicorn.error").warning("secret")
    assert told() == ""
    logging.getLogger("codexapi.http").error("ours")
    assert "ours" in told()


def test_level_is_that_of_our_own_lines(written: Any) -> None:
    told = written("text", "warning")
    for status, code in ((200, None), (404, "x"), (503, "shutting_down"), (200, "client_left")):
        Entry("req_1", "GET", "/x", "/x", status, ended=True, code=code).write()
    assert told() == ""
    for status in (200, 502):  # what broke is told even then
        entry = Entry("req_1", "GET", "/x", "/x", status, ended=True)
        entry.failed(StreamInterrupted("the network broke"))
        entry.write()
        assert told().endswith("upstream_disconnected (connection lost: the network broke) req_1\n")
    assert told().count("\n") == 2


def test_words_that_are_not_ours_are_left_out() -> None:
    entry = Entry("req_1")
    entry.failed(ContentRefused("secret"))
    assert (entry.code, entry.why) == ("content_policy_violation", "")


def test_reader_that_stops_to_read_does_not_stop_the_server() -> None:
    ours, theirs = os.pipe()
    with open(theirs, "w", encoding="utf-8") as stream, open(ours, "rb") as reader:
        handler = logs.QueueHandler(stream, room=5)
        record = logging.makeLogRecord({"msg": "x" * 100_000})  # more than a pipe takes
        for _ in range(20):
            handler.emit(record)
        stuck = reader.read(1000)  # somebody reads again
        assert stuck == b"x" * 1000
        got = b""
        while got.count(b"\n") < 4:
            got += reader.read1(1 << 16)
        handler.emit(logging.makeLogRecord({"msg": "the end"}))
        while b"the end" not in got:
            got += reader.read1(1 << 16)
    lost = int(re.search(rb"\((\d+) lines of the log were left out", got)[1])  # type: ignore[index]
    written = (1000 + got.count(b"x")) // 100_000
    assert lost + written == 20
    assert lost >= 14


def test_line_that_does_not_fit_its_values_is_no_error_of_whoever_writes_it() -> None:
    ours, theirs = os.pipe()
    with open(theirs, "w", encoding="utf-8") as stream, open(ours, "rb") as reader:
        handler = logs.QueueHandler(stream)
        handler.emit(logging.makeLogRecord({"msg": "%d of %d", "args": ("secret",)}))
        assert reader.readline() == b"%d of %d\n"


def test_reader_that_is_gone_is_no_news() -> None:
    ours, theirs = os.pipe()
    os.close(ours)
    with suppress(BrokenPipeError), open(theirs, "w", encoding="utf-8") as stream:
        handler = logs.QueueHandler(stream)
        for _ in range(3):
            handler.emit(logging.makeLogRecord({"msg": "x"}))
        handler.flush()


@pytest.mark.parametrize("name", ["gpt-6.2-sol", "openai/gpt-6:high", "gpt-image-2", "a" * 100])
def test_a_model_is_told_by_its_name(name: str) -> None:
    assert model_name(name) == name


@pytest.mark.parametrize(
    "name", ["my secret prompt", "canary\n", "\N{SNOWMAN}", "a" * 101, "-x", "{}"]
)
def test_what_is_no_name_of_a_model_is_not_told(name: str) -> None:
    assert model_name(name) == "other"


def test_a_field_is_told_if_the_api_has_it() -> None:
    fields = ["temperature", "my_secret", "echo", "input.encrypted_content", "canary.x", "mask"]
    assert field_names(fields) == "temperature,other,echo,input.encrypted_content,mask"


async def test_words_for_a_field_or_a_model_stay_out_of_the_log(told: Told) -> None:
    async with door(Simulator()) as server:
        body = {**chat(), "canary_field": 1, "temperature": 0.5, "model": "canary model"}
        await server.reply(post(CHAT, body))
        assert "canary" not in await told.line()
        reply = await server.reply(post(CHAT, {**chat(), "canary_field": 1, "temperature": 0.5}))
        assert reply.headers["x-codexapi-ignored"] == "canary_field,temperature"
        line = await told.line()
        assert "canary" not in line
        assert "ignored other,temperature" in line


async def test_a_header_does_not_grow_with_what_is_ignored() -> None:
    async with door(Simulator()) as server:
        body = {**chat(), **{f"field_{number}": 1 for number in range(5000)}}
        reply = await server.reply(post(CHAT, body))
    names = reply.headers["x-codexapi-ignored"].split(",")
    assert names == [*(f"field_{number}" for number in range(40)), "and-4960-more"]
