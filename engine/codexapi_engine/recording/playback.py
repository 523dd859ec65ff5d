"""Plays a recording: answers as the backend did, at its pace or at once."""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping, Sequence
from itertools import pairwise
from typing import Any, NoReturn

from ..bounds import MAX_BACKEND_BODY_BYTES
from .comparison import Comparison, names
from .lines import BROKEN, ExchangeFile, endpoint_of

Answer = tuple[int, Mapping[str, str], AsyncGenerator[bytes, None]]

_CONNECTION_HEADERS = frozenset({"content-length", "transfer-encoding", "connection", "keep-alive"})
"""Headers of one connection: the server that plays writes its own."""

_REPEATABLE = frozenset({"/models", "/wham/usage", "/usage", "/oauth/token", "/accounts/check"})
"""What clients ask again and again, by their clocks."""

_NAME = re.compile(rb'("name(?:space)?"\s*:\s*")([^"\\]+)(")')


class Playback:
    """A backend made of recorded exchanges.

    A strict one answers a request that was not recorded with an error, which names the difference;
    a lenient one with the next exchange of the same kind, and begins again behind the last.
    """

    max_body = MAX_BACKEND_BODY_BYTES

    def __init__(
        self,
        exchanges: Sequence[ExchangeFile],
        *,
        strict: bool = True,
        paced: bool = True,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
        on_difference: Callable[[str], None] = lambda difference: None,
    ) -> None:
        self._exchanges = list(exchanges)
        self._strict = strict
        self._paced = paced
        self._sleep = sleep
        self._on_difference = on_difference
        self._played: set[int] = set()
        self.differences: list[str] = []

    @property
    def rest(self) -> list[ExchangeFile]:
        """What nobody has asked for."""
        return [one for place, one in enumerate(self._exchanges) if place not in self._played]

    def drop(self) -> NoReturn:
        raise ConnectionResetError("the request is too large to be played")

    async def handle(
        self, method: str, target: str, headers: Mapping[str, str], body: bytes
    ) -> Answer:
        """Status, headers, body. Raises ConnectionResetError where the recorded connection broke."""
        place, difference = self._choose((method, endpoint_of(target)), body)
        if place is None:
            self.differences.append(difference)
            self._on_difference(difference)
            return 400, {"content-type": "application/json"}, _one(_mismatch_body(difference))
        self._played.add(place)
        exchange = self._exchanges[place]
        if exchange.status is None:
            raise ConnectionResetError("the recorded connection broke")
        await self._wait(exchange.head_ms)
        shown = {n: v for n, v in exchange.answer_headers if n.lower() not in _CONNECTION_HEADERS}
        return exchange.status, shown, self._pieces(exchange, body)

    def _choose(self, kind: tuple[str, str], body: bytes) -> tuple[int | None, str]:
        """The place of the exchange to play; where there is none, why."""
        places = [place for place, one in enumerate(self._exchanges) if one.kind == kind]
        if not places:
            return None, f"{' '.join(kind)}: nothing of this kind was recorded"
        fresh = [place for place in places if place not in self._played]
        if not self._strict:
            if not fresh:
                self._played.difference_update(places)
            return (fresh or places)[0], ""
        known = fresh + (places[::-1] if kind[1] in _REPEATABLE else [])
        for place in known:
            if not self._differences(place, body):
                return place, ""
        if not known:
            return None, f"{' '.join(kind)}: all {len(places)} that were recorded have been played"
        found = "; ".join(self._differences(known[0], body))
        return None, f"{' '.join(kind)} differs from {self._exchanges[known[0]].path.name}: {found}"

    def _differences(self, place: int, body: bytes) -> list[str]:
        exchange = self._exchanges[place]
        comparison = Comparison(content=exchange.content)
        return comparison.differences(exchange.body, body)

    async def _pieces(self, exchange: ExchangeFile, body: bytes) -> AsyncGenerator[bytes, None]:
        renamed = dict(names(_json(exchange.body), _json(body)))
        before = exchange.head_ms
        for piece, data in zip(
            exchange.pieces,
            _with_names([one.data for one in exchange.pieces], renamed),
            strict=True,
        ):
            await self._wait(piece.ms - before)
            before = piece.ms
            yield data
        if exchange.end == BROKEN:
            raise ConnectionResetError("the recorded connection broke")

    async def _wait(self, ms: float) -> None:
        if self._paced and ms > 0:
            await self._sleep(ms / 1000)


def _with_names(pieces: list[bytes], new: Mapping[str, str]) -> list[bytes]:
    """The pieces with the names of the caller's own tools, cut at the same places."""
    whole = b"".join(pieces)
    edits = [
        (found.start(2), found.end(2), new[found[2].decode(errors="replace")].encode())
        for found in _NAME.finditer(whole)
        if found[2].decode(errors="replace") in new
    ]
    if not edits:
        return pieces
    cuts, at = [0], 0
    for piece in pieces:
        at += len(piece)
        cuts.append(at)
    done: list[bytes] = []
    for start, end in pairwise(cuts):
        parts, place = [], start
        for begin, stop, name in edits:
            if start <= begin < end:  # a name goes with the piece that it begins in
                parts += [whole[place:begin], name]
                place = stop
            elif begin < start < stop:
                place = min(stop, end)
        done.append(b"".join([*parts, whole[place:end] if place < end else b""]))
    return done


def _json(body: bytes) -> Any:
    try:
        return json.loads(body)
    except (ValueError, RecursionError):
        return None


def _mismatch_body(difference: str) -> bytes:
    return json.dumps({"detail": f"The recording has no answer to this: {difference}"}).encode()


async def _one(data: bytes) -> AsyncGenerator[bytes, None]:
    yield data
