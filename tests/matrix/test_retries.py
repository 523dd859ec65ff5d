"""How often, and when, the backend is asked again: counted, in hours that pass at once."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from tests.matrix.doors import LOGIN
from tests.matrix.faults import LIMITED, SAID, UNTIL
from tests.virtual_time import hurried

from codexapi_engine import Codex, CodexError, Settings
from codexapi_engine.http import failures
from codexapi_engine.http.messages import ChunkResponse, HttpRequest, HttpResponse
from codexapi_engine.login.store import InMemory
from codexapi_engine.protocol import images


@dataclass(frozen=True)
class Answers:
    """A response, or an error, after some seconds."""

    status: int = 200
    body: object = None
    after: float = 0.0
    retry_after: str | None = None
    error: Exception | None = None  # instead of the response
    then: Exception | None = None  # instead of the end of a stream
    pieces: Sequence[bytes] = ()


async def in_pieces(pieces: Sequence[bytes], then: Exception | None) -> AsyncIterator[bytes]:
    for piece in pieces:
        yield piece
    if then is not None:
        raise then


class Backend:
    """Takes these answers one after the other; the last one stays. Remembers when it was asked."""

    def __init__(self, *answers: Answers) -> None:
        self._answers = list(answers)
        self.asked: list[float] = []

    async def send(self, request: HttpRequest) -> HttpResponse:
        self.asked.append(round(asyncio.get_running_loop().time(), 3))
        told = self._answers.pop(0) if len(self._answers) > 1 else self._answers[0]
        await asyncio.sleep(told.after)
        if told.error is not None:
            raise told.error
        headers = {"retry-after": told.retry_after} if told.retry_after else {}
        pieces = told.pieces if told.pieces or told.then else [json.dumps(told.body).encode()]
        return ChunkResponse(told.status, headers, in_pieces(pieces, told.then))

    async def aclose(self) -> None:
        """Nothing is open."""


def because(error: Exception, cause: Exception) -> Exception:
    error.__cause__ = cause
    return error


GOOD = Answers(pieces=SAID)
REFUSED = Answers(error=because(failures.ConnectError("no"), ConnectionRefusedError()))
RESET = Answers(error=failures.NetworkError("reset"))
UNANSWERED = Answers(error=failures.InvalidResponse("left"))
assert isinstance(UNANSWERED.error, failures.InvalidResponse)
UNANSWERED.error.is_unanswered = True
SLOW_TO_CONNECT = Answers(error=failures.ConnectTimeout("no answer"))
LIMIT = Answers(429, LIMITED, retry_after="0")


def faults(*status: int, after: float = 0.0, retry_after: str | None = None) -> list[Answers]:
    return [Answers(one, {}, after, retry_after) for one in status]


def asked(*answers: Answers, draw: bool = False) -> tuple[list[float], CodexError | None]:
    """When the backend was asked, and the error that it came to."""
    backend = Backend(*answers)

    async def story() -> CodexError | None:
        settings = Settings(codex_home=Path("nowhere"), base_url="http://127.0.0.1:1")
        async with Codex(settings, http=backend, store=InMemory(LOGIN)) as codex:
            try:
                if draw:
                    await codex.draw(images.ImageRequest("a fox"))
                else:
                    await codex.respond({"model": "m", "input": []})
            except CodexError as error:
                return error
        return None

    return backend.asked, hurried(story())


CASES: dict[str, tuple[list[Answers], list[float]]] = {
    # Server faults: once, after half a second.
    "500": (faults(500), [0, 0.5]),
    "502": (faults(502), [0, 0.5]),
    "503": (faults(503), [0, 0.5]),
    "504": (faults(504), [0, 0.5]),
    "501": (faults(501), [0]),
    "500, then 503": (faults(500, 503), [0, 0.5]),
    "503, in a second": (faults(503, retry_after="1"), [0, 1]),
    "503, at the limit": (faults(503, retry_after="2"), [0, 2]),
    "503, later": (faults(503, retry_after="2.5"), [0]),
    # Connections: twice.
    "refused": ([REFUSED], [0, 0.25, 0.5]),
    "reset": ([RESET], [0, 0.25, 0.5]),
    "closed unanswered": ([UNANSWERED], [0, 0.25, 0.5]),
    "reset before the first event": ([Answers(then=failures.NetworkError("reset"))], [0, 0.25, 0.5]),
    "reset within the first event":
        ([Answers(pieces=[SAID[0][:9]], then=failures.NetworkError("reset"))], [0, 0.25, 0.5]),
    # Rate limits: once, and only where the wait is short. The plan's limit: never.
    "429": (faults(429), [0]),
    "429, at once": (faults(429, retry_after="0"), [0, 0]),
    "429, at the limit": (faults(429, retry_after="2"), [0, 2]),
    "429, later": (faults(429, retry_after="2.1"), [0]),
    "429, on a date": (faults(429, retry_after="Wed, 21 Oct 2026 07:28:00 GMT"), [0]),
    "usage limit": ([LIMIT], [0]),
    # Never: what nobody else would mend.
    "connect timeout": ([SLOW_TO_CONNECT], [0]),
    "unknown host": ([Answers(error=failures.ConnectError("unknown host"))], [0]),
    "silence": ([Answers(error=failures.ReadTimeout("silent"))], [0]),
    "400": (faults(400), [0]),
    "404": (faults(404), [0]),
    "302": (faults(302), [0]),
    "reset after the first event":
        ([Answers(pieces=[SAID[0]], then=failures.NetworkError("reset"))], [0]),
    "reset in the middle": ([Answers(pieces=UNTIL, then=failures.NetworkError("reset"))], [0]),
    "end in the middle": ([Answers(pieces=UNTIL)], [0]),
    # Within twelve seconds in all, and each kind by its own count.
    "a 500 that comes late": (faults(500, after=11.4), [0, 11.9]),
    "a 500 that comes too late": (faults(500, after=11.6), [0]),
    "a reset that comes too late": ([Answers(after=11.8, error=failures.NetworkError("reset"))], [0]),
    "resets until it is too late":
        ([Answers(after=6.0, error=failures.NetworkError("reset"))], [0, 6.25]),
    "one after the other":
        ([*faults(500), RESET, *faults(429, retry_after="1"), REFUSED, *faults(502)],
         [0, 0.5, 0.75, 1.75, 2.0]),
}  # fmt: skip


@pytest.mark.parametrize("case", CASES)
def test_a_request_is_sent_again_only_where_it_helps(case: str) -> None:
    answers, expected = CASES[case]
    times, error = asked(*answers)
    assert times == expected
    assert error is not None


@pytest.mark.parametrize("answers", [faults(500), [REFUSED, RESET], faults(429, retry_after="2")])
def test_a_fault_that_passes_is_never_seen(answers: list[Answers]) -> None:
    times, error = asked(*answers, GOOD)
    assert error is None
    assert len(times) == len(answers) + 1


@pytest.mark.parametrize(
    ("answers", "expected"),
    [
        (faults(500), [0, 0.5]),
        ([RESET], [0, 0.25, 0.5]),
        ([LIMIT], [0]),
        (faults(429, retry_after="30"), [0]),
        ([Answers(pieces=[b'{"data'], then=failures.NetworkError("reset"))], [0]),
        ([Answers(pieces=[b'{"data'])], [0]),
        ([Answers(200, {})], [0]),
    ],
)
def test_a_picture_that_was_paid_for_is_not_ordered_again(
    answers: list[Answers], expected: list[float]
) -> None:
    times, error = asked(*answers, draw=True)
    assert times == expected
    assert error is not None


def test_who_leaves_while_we_wait_is_not_asked_for_again() -> None:
    backend = Backend(*faults(503), GOOD)

    async def story() -> None:
        settings = Settings(codex_home=Path("nowhere"), base_url="http://127.0.0.1:1")
        async with Codex(settings, http=backend, store=InMemory(LOGIN)) as codex:
            asking: asyncio.Task[Any] = asyncio.create_task(codex.respond({"model": "m"}))
            await asyncio.sleep(0.4)
            asking.cancel()
            await asyncio.sleep(60)
            assert asking.cancelled()

    hurried(story())
    assert backend.asked == [0]
