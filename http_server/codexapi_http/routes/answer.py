"""What the responses of several endpoints have in common."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Coroutine, Iterable, Iterator, Sequence
from functools import partial, wraps
from typing import Any

from starlette.requests import Request
from starlette.responses import Response, StreamingResponse

from codexapi_engine import CodexError, EventStream, collect_response
from codexapi_engine.aside import aside
from codexapi_engine.errors import JsonObject, missing
from codexapi_engine.protocol import headers as wire
from codexapi_engine.protocol import json, sse

from ..dialect import CallerParam
from ..middleware.request_log import current, field_names
from ..pump import EventStreamResponse, Open, Opening, Run, pump_all
from ..requests import all_of, settings_of

MAX_NAMES = 40
"""Names in a header: its line must stay one that clients can read."""

_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; "
    "img-src 'self' data: blob:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
PAGE_GUARDS = {
    "content-security-policy": _POLICY,
    "x-content-type-options": "nosniff",
    "x-frame-options": "DENY",
    "referrer-policy": "no-referrer",
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
}
"""For the page and its files."""

DATA_HEADERS = {**PAGE_GUARDS, "cache-control": "no-store"}
"""For answers that hold what only the user of this machine should see."""

_TEXTS = ("messages", "prompt", "system", "input")
"""Where a request of any dialect has its texts and pictures."""

Endpoint = Callable[[Request, JsonObject], Coroutine[Any, Any, Response]]


def json_response(value: JsonObject, headers: dict[str, str] | None = None) -> Response:
    if json.is_heavy(value):
        return pieces_response(json.pieces(value), headers)
    return Response(json.dumps(value), headers=headers, media_type="application/json")


def pieces_response(pieces: Iterable[bytes], headers: dict[str, str] | None = None) -> Response:
    """A large JSON object, of which there is never a second copy."""
    return StreamingResponse(_by_and_by(pieces), headers=headers, media_type="application/json")


async def _by_and_by(pieces: Iterable[bytes]) -> AsyncIterator[bytes]:
    batches = _batches(pieces)
    while batch := await aside(True, next, batches, b""):
        yield batch


def _batches(pieces: Iterable[bytes]) -> Iterator[bytes]:
    batch, size = list[bytes](), 0
    for piece in pieces:
        batch.append(piece)
        size += len(piece)
        if size >= json.PIECE:
            yield b"".join(batch)
            batch, size = [], 0
    yield b"".join(batch)


def stream_response(
    open_runs: Open,
    *runs: Run,
    ignored: Sequence[str],
    keep_alive: bytes | None = None,
) -> EventStreamResponse:
    """The stream of runs that are still to be opened. The backend's own headers are in it where its
    status comes within the first keep-alive interval."""
    opening = Opening(open_runs, partial(answer_headers, ignored=ignored))
    return EventStreamResponse(
        *runs, headers=ignored_header(ignored), keep_alive=keep_alive, opening=opening
    )


def with_caller_names(
    caller_param: CallerParam,
) -> Callable[[Endpoint], Endpoint]:
    """Lets the errors of a translated request name the caller's fields: `caller_param` has the name
    that a field of the backend's has in a body."""

    def wrap(work: Endpoint) -> Endpoint:
        @wraps(work)
        async def answer(request: Request, body: JsonObject) -> Response:
            try:
                response = await work(request, body)
            except CodexError as error:
                error.param = caller_param(error.param, body)
                raise
            if isinstance(response, EventStreamResponse):
                response.name_fields(partial(caller_param, body=_without_texts(body)))
            return response

        return answer

    return wrap


def _without_texts(body: JsonObject) -> JsonObject:
    """What names the fields of a body: the rest would be in memory for as long as the stream."""
    return {name: None if name in _TEXTS else value for name, value in body.items()}


async def collect_responses(runs: Sequence[EventStream]) -> list[JsonObject]:
    """The finished responses of all runs, and the runs closed. Raises CodexError: that of the
    first that fails, which ends the others."""
    try:
        if len(runs) == 1:  # then a task of its own would be one too many
            return [await collect_response(runs[0])]
        return await all_of(collect_response(events) for events in runs)
    finally:
        for events in runs:
            await events.aclose()


async def collected_chunks(runs: Sequence[Run]) -> list[JsonObject]:
    """The chunks of runs that may end before their time, and the runs closed."""
    data = await collected_bytes(runs)
    return [event.json for event in sse.Decoder().feed(data) if event.json]


async def collected_bytes(runs: Sequence[Run]) -> bytes:
    """The streams of runs, whole, and the runs closed. Raises CodexError."""
    sink = _Memory()
    try:
        sink.write(await pump_all(runs, sink))
    finally:
        for run in runs:
            await run.events.aclose()
    return bytes(sink.data)


class _Memory:
    """A sink that keeps what is written to it."""

    def __init__(self) -> None:
        self.data = bytearray()

    def write(self, data: bytes) -> bool:
        self.data += data
        return True

    async def drain(self) -> None:
        """There is always room."""


def answer_headers(events: EventStream, ignored: Sequence[str]) -> dict[str, str]:
    """The backend's own headers that clients may see, the plan's limits in the words of OpenAI's,
    and the names of what was ignored or changed."""
    headers = {**wire.to_client(events.headers), **events.limits.as_headers()}
    left = list(dict.fromkeys([*ignored, *events.changed]))
    if left:
        headers.update(ignored_header(left))
    return headers


def ignored_header(ignored: Sequence[str]) -> dict[str, str]:
    if not ignored:
        return {}
    names = ",".join(_header_word(name) for name in ignored[:MAX_NAMES])
    if len(ignored) > MAX_NAMES:
        names += f",and-{len(ignored) - MAX_NAMES}-more"
    current().ignored = field_names(ignored[:MAX_NAMES])
    return {"x-codexapi-ignored": names}


def with_model(request: Request, body: JsonObject) -> JsonObject:
    """The body, with the model that the server was started with where it names none.

    Raises InvalidRequest if neither names one: which model is worth its price is not ours to say.
    """
    if body.get("model") not in (None, ""):
        return body
    if model := settings_of(request).model:
        return {**body, "model": model}
    raise missing("model", "codexapi serve --model sets one for all.")


def _header_word(name: str) -> str:
    return "".join(c for c in name if c.isascii() and (c.isalnum() or c in "_-."))[:64]
