"""What is measured, in which order, and on which roads."""

from __future__ import annotations

from benchmarks.short import (
    counts,
    first_token,
    first_token_new,
    large,
    person,
    short_requests,
    short_requests_new,
    translation,
    turn,
)
from benchmarks.sizes import BODIES, STREAMS, Measure
from benchmarks.streams import (
    corpus,
    idle_sockets,
    image,
    leavers,
    long_answer,
    many,
    paced,
    saturation,
    single,
    stalled,
    tool_calls,
)

Row = tuple[Measure, tuple[str, ...]]
"""A measure, and roads: it is made on the first of them that a server has."""


def _each(measure: Measure, *roads: str) -> tuple[Row, ...]:
    """On every one of these roads."""
    return tuple((measure, (road,)) for road in roads)


# `many` first: what later measures leave behind in a server's memory would be counted.
MEASURES: tuple[Row, ...] = (
    *((many(count), ("chat", "responses")) for count in STREAMS),
    *_each(first_token, "responses", "chat"),
    *(row for size in BODIES for row in _each(large(size), "responses", "chat", "messages")),
    *_each(short_requests, "responses", "chat", "whole"),
    *_each(paced, "responses", "chat"),
    (person, ("chat", "responses")),
    *_each(single, "responses", "chat"),
    *_each(saturation, "responses", "chat"),
    *_each(tool_calls, "chat"),
    *_each(first_token, "messages"),
    *_each(turn, "messages"),
    *_each(translation, "messages"),
    *_each(short_requests, "messages"),
    *_each(paced, "messages"),
    *_each(saturation, "messages"),
    *_each(tool_calls, "messages"),
    *_each(counts, "count"),
    *_each(idle_sockets, "socket"),
    *(
        row
        for measure in (first_token, short_requests, paced, saturation)
        for row in _each(measure, "socket", "ollama")
    ),
    *_each(corpus, "responses", "chat", "messages", "ollama"),
    (image, ("responses",)),
    (leavers, ("chat", "responses")),
    *_each(stalled, "responses", "chat", "messages", "socket", "ollama"),
    *_each(long_answer, "responses", "chat", "messages", "socket", "ollama"),
)

SECURE: tuple[Row, ...] = (
    *_each(first_token, "responses", "chat"),
    *_each(first_token_new, "responses", "chat"),
    *_each(short_requests, "responses", "chat"),
    *_each(short_requests_new, "responses", "chat"),
    *_each(paced, "responses", "chat"),
    *_each(saturation, "responses", "chat"),
)
"""With the backend as users have it: by a name, over TLS."""
