"""The table: how a backend can misbehave over a Responses stream, and what a client must see of it.

Each fault says once what it looks like from outside; the doors say the same in their own words.
Knows nothing of the doors.
"""

from __future__ import annotations

import asyncio
import gzip
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from typing import Any

from tests.faulty import (
    FIN,
    HOLD,
    LAST_CHUNK,
    RST,
    Exchange,
    Script,
    chunk,
    endless,
    head,
    stream,
    whole,
)

JsonObject = dict[str, Any]

ANSWER = "All is well."
BEFORE = "All is"
"""What was said when the fault came."""

NOW, AFTERWARDS = "now", "afterwards"
"""Two prompts: the backend fails at the first, and answers the second."""

SHORT = 0.4
"""Seconds of silence that a test has to sit out: only where the silence is the matter."""


@dataclass(frozen=True)
class Whole:
    """The answer comes whole. `finish` is chat's word for how it ended."""

    text: str = ANSWER
    finish: str = "stop"


@dataclass(frozen=True)
class Refused:
    """Nothing was said yet: an error of its own, with a status."""

    status: int
    code: str | None


@dataclass(frozen=True)
class Broken:
    """Something was said already: a stream ends in an error. A whole reply is only the error."""

    status: int
    code: str
    text: str = BEFORE


Shows = Whole | Refused | Broken


@dataclass(frozen=True)
class Fault:
    """`scripts` are for the requests as they come; the last of them is for all further ones."""

    scripts: Sequence[Script]
    shows: Shows
    exit: int = 0  # of the command line
    attempts: int = 1
    settings: JsonObject = field(default_factory=dict)
    told: Sequence[str] = ()  # words that every account of it must have
    headers: JsonObject = field(default_factory=dict)  # of a refusal over HTTP
    unchanged: bool = False  # on the Responses road the stream ends in the backend's own event
    silence: bool = False  # a stream is kept alive by comments
    but: Mapping[str, Shows] = field(default_factory=dict)  # doors that show something else

    def at(self, door: str) -> Shows:
        return self.but.get(door, self.shows)


def event(kind: str, **more: Any) -> JsonObject:
    return {"type": kind, **more}


PLACE = {"item_id": "msg_1", "output_index": 0, "content_index": 0}
RESPONSE = {"id": "resp_1", "object": "response", "created_at": 5, "model": "gpt-6.1-sol"}
MESSAGE = {"id": "msg_1", "type": "message", "role": "assistant"}
USAGE = {
    "input_tokens": 3,
    "input_tokens_details": {"cached_tokens": 0},
    "output_tokens": 2,
    "output_tokens_details": {"reasoning_tokens": 0},
    "total_tokens": 5,
}
CREATED = event("response.created", response={**RESPONSE, "status": "in_progress"})


def part(text: str) -> JsonObject:
    return {"type": "output_text", "text": text, "annotations": []}


def begun(*pieces: str) -> list[JsonObject]:
    """The events of an answer until so far."""
    added = {**MESSAGE, "status": "in_progress", "content": []}
    return [
        CREATED,
        event("response.in_progress", response={**RESPONSE, "status": "in_progress"}),
        event("response.output_item.added", output_index=0, item=added),
        event("response.content_part.added", **PLACE, part=part("")),
        *(event("response.output_text.delta", **PLACE, delta=piece) for piece in pieces),
    ]


def ended(text: str, kind: str = "completed", **more: Any) -> list[JsonObject]:
    """The events after the last word."""
    item = {**MESSAGE, "status": "completed", "content": [part(text)]}
    response = {**RESPONSE, "status": kind, "output": [], "usage": USAGE, **more}
    return [
        event("response.output_text.done", **PLACE, text=text),
        event("response.content_part.done", **PLACE, part=part(text)),
        event("response.output_item.done", output_index=0, item=item),
        event(f"response.{kind}", response=response),
    ]


def numbered(events: Sequence[JsonObject]) -> list[JsonObject]:
    return [{**one, "sequence_number": number} for number, one in enumerate(events)]


def encoded(events: Sequence[JsonObject], *, named: bool = True) -> list[bytes]:
    """Events as the backend writes them."""
    return [
        (b"event: %b\n" % one["type"].encode() if named else b"")
        + b"data: %b\n\n" % json.dumps(one, separators=(",", ":")).encode()
        for one in numbered(events)
    ]


def answer(*pieces: str) -> list[JsonObject]:
    return [*begun(*pieces), *ended("".join(pieces))]


SAID = encoded(answer("All ", "is ", "well."))
UNTIL = encoded(begun(BEFORE))
"""The stream until the fault comes."""

GOOD: Script = [stream(*SAID)]


def played(*pieces: bytes) -> list[Script]:
    """A whole stream, each piece a chunk."""
    return [[stream(*pieces)]]


def broken_off(*steps: Any) -> list[Script]:
    """A stream that says something, and then this happens."""
    return [[head(), *map(chunk, UNTIL), *steps]]


def each(pieces: Sequence[bytes], pause: float) -> Script:
    """A stream with a pause before each piece but the first."""

    async def wait(_: Exchange) -> None:
        await asyncio.sleep(pause)

    steps: list[Any] = [head()]
    for number, piece in enumerate(pieces):
        steps += [wait, chunk(piece)] if number else [chunk(piece)]
    return [*steps, LAST_CHUNK]


def multiline(piece: bytes) -> bytes:
    """An event whose JSON stands on several lines."""
    name, _, data = piece.partition(b"\n")
    pretty = json.dumps(json.loads(data.removeprefix(b"data: ")), indent=1)
    lines = b"".join(b"data: %b\n" % line.encode() for line in pretty.split("\n"))
    return name + b"\n" + lines + b"\n"


def noted(piece: bytes) -> bytes:
    """An event with comments, an id and a retry around."""
    return b": hello\n\nid: 7\nretry: 10\n: data: {}\n" + piece[:-1] + b": bye\n\n"


def instead(wrong: bytes) -> list[Script]:
    """A good answer, one of whose deltas is this."""
    return played(*UNTIL, wrong, *encoded(ended(ANSWER)))


@cache
def bomb() -> bytes:
    """100 MB of nothing, in 100 kB."""
    return gzip.compress(bytes(100_000_000), 1)


async def send_bomb(exchange: Exchange) -> None:
    await exchange.send(chunk(bomb()))


WRONG_DELTA = b"event: response.output_text.delta\ndata: "
BIG = 20_000_000
PICTURE_CALL = {"id": "ig_1", "type": "image_generation_call", "status": "completed"}
LIMITED = {
    "error": {
        "type": "usage_limit_reached",
        "message": "The usage limit has been reached",
        "plan_type": "plus",
        "resets_in_seconds": 67_000,
    }
}
WEB_PAGE = b"<html><body>Just a moment... canary-page</body></html>"
ODD = 'a"b\\c\u2028\u2029\x85\U0001f642\x0b\x0c\t\n"'
UNKNOWN = [
    event("response.surprise.delta", what=1),
    event(
        "response.output_item.done",
        output_index=1,
        item={"type": "surprise_call", "id": "sc_1", "status": "completed"},
    ),
]

UPSTREAM = Refused(502, "upstream_error")
PROTOCOL = Refused(502, "upstream_protocol_error")
GONE = Refused(502, "upstream_disconnected")
SILENT = Refused(504, "upstream_timeout")
CUT_OFF = Broken(502, "upstream_disconnected")
UNREADABLE = Broken(502, "upstream_protocol_error")
STALLS = {"timeout": SHORT}
BACKEND = 5
"""The exit code for a backend that cannot be reached or understood."""


def refusal(status: int, *more: Any, **headers: str) -> list[Script]:
    body = more[0] if more else {"error": {"message": "No luck today.", "code": None}}
    return [[whole(status, body, **headers)]]


FAULTS: dict[str, Fault] = {
    # Streams that are odd, and good.
    "ok": Fault(played(*SAID), Whole()),
    "burst": Fault(
        played(b"".join(encoded(answer(*(f"{n} " for n in range(500)))))),
        Whole("".join(f"{n} " for n in range(500))),
    ),
    "byte_by_byte": Fault([[head(), *(chunk(bytes([b])) for b in b"".join(SAID)), LAST_CHUNK]],
                          Whole()),
    "crlf": Fault(played(*(piece.replace(b"\n", b"\r\n") for piece in SAID)), Whole()),
    "cr_only": Fault(played(*(piece.replace(b"\n", b"\r") for piece in SAID)), Whole()),
    "bom": Fault(played(b"\xef\xbb\xbf", *SAID), Whole()),
    "u2028": Fault(played(*(
        piece.decode().encode().replace(b"\\u2028", "\u2028".encode())
        for piece in encoded(answer("All\u2028is ", "well."))
    )), Whole("All\u2028is well.")),
    "escapes": Fault(played(*encoded(answer(*ODD, "end"))), Whole(f"{ODD}end")),
    "multiline": Fault(played(*map(multiline, SAID)), Whole()),
    "comments": Fault(played(*map(noted, SAID)), Whole()),
    "data_only": Fault(played(*encoded(answer("All ", "is ", "well."), named=False)), Whole()),
    "no_blank": Fault(played(*SAID[:-1], SAID[-1].rstrip(b"\n")), Whole()),
    "unknown_event": Fault(
        played(*encoded([*begun(ANSWER), UNKNOWN[0], *ended(ANSWER)[:-1], *UNKNOWN,
                         ended(ANSWER)[-1]])), Whole()),
    "held_open": Fault([[head(), *map(chunk, SAID), HOLD]], Whole()),
    "quiet": Fault([[head(), chunk(SAID[0]), lambda _: asyncio.sleep(0.3),
                     *map(chunk, SAID[1:]), LAST_CHUNK]],
                   Whole(), settings={"keep_alive": 0.03}, silence=True),
    "slow": Fault([each(encoded(answer("All ", "is ", "well.")), 0.13)], Whole(),
                  settings={"timeout": 1.0}),
    "huge_event": Fault(
        [[head(), *map(chunk, encoded(begun(ANSWER))),
          chunk(encoded([event("response.output_item.done", output_index=1,
                               item={**PICTURE_CALL, "result": "A" * BIG})])[0]),
          *map(chunk, encoded(ended(ANSWER))), LAST_CHUNK]],
        Whole()),
    "incomplete": Fault(
        played(*UNTIL, *encoded(ended(
            BEFORE, "incomplete", incomplete_details={"reason": "max_output_tokens"}))),
        Whole(BEFORE, "length")),
    "filtered": Fault(
        played(*UNTIL, *encoded(ended(
            BEFORE, "incomplete", incomplete_details={"reason": "content_filter"}))),
        Whole(BEFORE, "content_filter")),
    # Refusals.
    "http_401_once": Fault([refusal(401, {"detail": "Unauthorized"})[0], GOOD], Whole(),
                           attempts=2),
    "http_401_always": Fault(refusal(401, {"detail": "Unauthorized"}),
                             Refused(401, "codex_token_rejected"), 3, attempts=2,
                             headers={"x-should-retry": "false"}),
    "http_403_html": Fault(refusal(403, WEB_PAGE, content_type="text/html"),
                           Refused(502, "upstream_blocked"), BACKEND),
    "http_403_json": Fault(refusal(403), Refused(403, "upstream_forbidden"), 6,
                           told=["No luck today."]),
    "http_429_usage": Fault(refusal(429, LIMITED, retry_after="1"),
                            Refused(429, "usage_limit_reached"), 4, told=["18 h 36 min"],
                            headers={"x-should-retry": "false"}),
    "http_429_transient": Fault([refusal(429, retry_after="0")[0], GOOD], Whole(), attempts=2),
    "http_429_still": Fault(refusal(429, retry_after="0"), Refused(429, "rate_limit_exceeded"), 4,
                            attempts=2),
    "http_429_later": Fault(refusal(429, retry_after="30"), Refused(429, "rate_limit_exceeded"),
                            4, headers={"retry-after": "30"}),
    "http_400": Fault(refusal(400, {"detail": "x" * 600}), Refused(400, None), 6,
                      told=["x" * 499 + "…"]),
    "http_404": Fault(refusal(404), Refused(404, None), 6, told=["No luck today."]),
    "http_413": Fault(refusal(413, b""), Refused(413, "request_too_large"), 6),
    "http_500": Fault(refusal(500), UPSTREAM, BACKEND, attempts=2, told=["No luck today."]),
    "http_502": Fault(refusal(502, WEB_PAGE, content_type="text/html"), UPSTREAM, BACKEND,
                      attempts=2),
    "http_503": Fault(refusal(503), Refused(503, "server_is_overloaded"), BACKEND, attempts=2),
    "http_504": Fault(refusal(504, b""), SILENT, BACKEND, attempts=2),
    "http_500_once": Fault([refusal(500)[0], GOOD], Whole(), attempts=2),
    "http_302": Fault(refusal(302, b"", location="http://127.0.0.1:9/canary"),
                      Refused(502, "upstream_redirect"), BACKEND),
    "http_200_html": Fault(refusal(200, WEB_PAGE, content_type="text/html"), PROTOCOL, BACKEND),
    "http_200_json": Fault(refusal(200, {"id": "resp_1", "status": "completed"}), PROTOCOL,
                           BACKEND),
    # Connections that break before the first event.
    "rst_before": Fault([[RST]], GONE, BACKEND, attempts=3),
    "fin_before": Fault([[FIN]], GONE, BACKEND, attempts=3),
    "rst_once": Fault([[RST], GOOD], Whole(), attempts=2),
    "garbage": Fault([[b"\x00\xff nonsense\r\n\r\n", FIN]], GONE, BACKEND),
    "endless_head": Fault([[b"HTTP/1.1 200 OK\r\n", endless(b"a: %b\r\n" % (b"b" * 4000))]], GONE, BACKEND),
    "stall_before": Fault([[HOLD]], SILENT, BACKEND, settings=STALLS),
    "half_head": Fault([[head()[:30], HOLD]], SILENT, BACKEND, settings=STALLS),
    "stall_first": Fault([[head(), HOLD]], SILENT, BACKEND, settings=STALLS),
    "empty_stream": Fault(played(), GONE, BACKEND),
    "bad_json_first": Fault(played(b"event: response.created\ndata: {nonsense\n\n"), PROTOCOL,
                            BACKEND),
    # Connections that break later.
    "stall_mid": Fault(broken_off(HOLD), Broken(504, "upstream_timeout"), BACKEND,
                       settings=STALLS),
    "rst_mid": Fault(broken_off(RST), CUT_OFF, BACKEND),
    "fin_mid": Fault(broken_off(FIN), CUT_OFF, BACKEND),
    "bad_chunk": Fault(broken_off(b"nonsense\r\n"), CUT_OFF, BACKEND),
    "truncated": Fault(broken_off(LAST_CHUNK), CUT_OFF, BACKEND),
    "cut_event": Fault(broken_off(chunk(SAID[-1][:-9]), LAST_CHUNK), CUT_OFF, BACKEND),
    # Data that cannot be read.
    "bad_json": Fault(instead(WRONG_DELTA + b'{"delta": nonsense\n\n'), UNREADABLE, BACKEND),
    "bad_utf8": Fault(instead(WRONG_DELTA + b'{"delta": "\xff\xfe"}\n\n'), UNREADABLE, BACKEND),
    "bad_unknown": Fault(instead(b"event: response.surprise\ndata: {nonsense\n\n"), UNREADABLE,
                         BACKEND),
    "wrong_shape": Fault(instead(WRONG_DELTA + b"[1]\n\n"), UNREADABLE, BACKEND),
    "wrong_delta": Fault(
        played(*encoded(begun("All ")), WRONG_DELTA + b'{"delta":{"is":1}}\n\n',
               encoded(begun("well."))[-1], *encoded(ended(ANSWER))),
        Broken(502, "upstream_protocol_error", "All "), BACKEND,
        # Items come whole at the end; and the Responses road looks into no delta.
        but={"chat": Whole(), "responses": Whole(), "completions": Whole(), "messages": Whole(),
             "responses, streamed": Whole("All well."),
             "responses, by a socket": Whole("All well."),
             "openai client, responses": Whole("All well.")}),
    # Encodings that nobody asked for.
    "gzipped": Fault([[head(content_encoding="gzip"), chunk(gzip.compress(b"".join(SAID))),
                       LAST_CHUNK]], PROTOCOL, BACKEND),
    "brotli": Fault([[head(content_encoding="br"), chunk(b"\x1b\x00\x00"), LAST_CHUNK]], PROTOCOL,
                    BACKEND),
    "bad_gzip": Fault([[stream(*SAID, content_encoding="gzip")]], PROTOCOL, BACKEND),
    "gzip_bomb": Fault([[head(content_encoding="gzip"), send_bomb, LAST_CHUNK]], PROTOCOL,
                       BACKEND),
    # Runs that fail, as the backend tells it.
    "failed_first": Fault(
        played(*encoded([event("response.failed", response={
            **RESPONSE, "status": "failed",
            "error": {"code": "context_length_exceeded", "message": "It is too long."}})])),
        Refused(400, "context_length_exceeded"), 6, told=["is too long"]),
    "failed": Fault(
        played(*UNTIL, *encoded([event("response.failed", response={
            **RESPONSE, "status": "failed",
            "error": {"code": "rate_limit_exceeded", "message": "Try again in 2s."}})])),
        Broken(429, "rate_limit_exceeded"), 4, unchanged=True, told=["Try again in 2s."]),
    "failed_server": Fault(
        played(*UNTIL, *encoded([event("response.failed", response={
            **RESPONSE, "status": "failed",
            "error": {"code": "server_error", "message": "No luck today."}})])),
        Broken(502, "server_error"), 1, unchanged=True, told=["No luck today."]),
    "error_event": Fault(
        played(*UNTIL, *encoded([event("error", code="server_error", message="No luck.")])),
        Broken(502, "server_error"), 1, told=["No luck."]),
    "error_nested": Fault(
        played(*UNTIL, *encoded([event("error", error={"code": "slow_down", "message": "Wait."})])),
        Broken(503, "slow_down"), BACKEND, told=["Wait."]),
}  # fmt: skip
