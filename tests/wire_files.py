"""The wires as files: streams (`NAME.sse`) and tables (`NAME.json`) of `tests/wires/`.

Where each of them comes from stands in `tests/wires/README.md`.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Mapping
from itertools import pairwise
from pathlib import Path
from typing import Any

from codexapi_engine.errors import CodexError
from codexapi_engine.protocol import Translator, audio, images, sse
from codexapi_engine.protocol.sse import Event

WIRES = Path(__file__).parent / "wires"
NAMES = sorted(path.stem for path in WIRES.glob("*.sse"))

NOT_OF_THE_CLIENT = {"reasoning_in_a_message", "unknown_event"}
"""Wires with an event, an item or a part of a type that the official client
does not have, or has elsewhere."""

READERS: Mapping[str, Callable[[dict[str, Any]], object]] = {
    "/images/generations": images.from_backend,
    "/images/edits": images.from_backend,
    "/transcribe": audio.from_backend,
}
"""The endpoints whose answers `answers.json` has, and what reads them."""


def wire(name: str) -> bytes:
    """The bytes of a stream."""
    return (WIRES / f"{name}.sse").read_bytes()


def table(name: str) -> Any:
    """The content of a JSON table."""
    return json.loads((WIRES / f"{name}.json").read_bytes())


def events(data: bytes, cuts: Iterable[int] = ()) -> list[Event]:
    """The events of a stream that arrives in pieces: cut at each of `cuts`."""
    decoder, found = sse.Decoder(), []
    for piece in pieces(data, cuts):
        found += decoder.feed(piece)
    return found + decoder.flush()


def pieces(data: bytes, cuts: Iterable[int]) -> Iterator[bytes]:
    places = [0, *sorted(cut % (len(data) + 1) for cut in cuts), len(data)]
    for start, end in pairwise(places):
        yield data[start:end]


def translated(stream: Iterable[Event], translator: Translator) -> tuple[bytes, CodexError | None]:
    """What a translator makes of a stream, as a door drives it: `fail` after an error."""
    out: list[bytes] = []
    try:
        for event in stream:
            out += translator.feed(event)
        out += translator.close()
    except CodexError as error:
        out += translator.fail(error)
        return b"".join(out), error
    return b"".join(out), None
