"""What the figures are called, in which table each is, and what was promised."""

from __future__ import annotations

from dataclasses import dataclass, replace

from benchmarks import corpora
from benchmarks.sizes import BODIES, KILOBYTE, STREAMS
from benchmarks.streams import pace

ROADS = {
    "responses": "Responses", "chat": "Chat", "whole": "Chat whole", "messages": "Messages",
    "socket": "WebSocket", "ollama": "Ollama",
}  # fmt: skip
_CORPORA = {
    "cjk": "Chinese, Japanese, Korean", "plaincall": "plain tool call",
    "arguments": "JSON arguments", "markdown": "Markdown",
}  # fmt: skip
_BOTH = ("responses", "chat")
CORPUS, ESCAPES = "corpus.", "escapes."
TLS = "tls."
"""Begins the name of a figure that was measured with the backend over TLS."""


@dataclass(frozen=True, slots=True)
class Figure:
    """A row of a table. `goal`: the ratio to the Go peer that was promised, or the value."""

    title: str
    goal: str = ""
    more: bool = False  # is better
    digits: int = 1
    beside: str = ""  # the figure of the Go peer that ours is divided by, where it lacks this one


Figures = dict[str, Figure]


def _person() -> Figures:
    return {
        "felt": Figure("a model that thinks for a second: to the first token, s", digits=3),
        "felt.direct": Figure("the same, straight from the backend, s", digits=3),
        "share.chat": Figure("one Chat stream of 50 events/s, % of a core", "≤ 0.8 ×", digits=2),
        "share.responses": Figure(
            "one Responses stream of 50 events/s, % of a core", "≤ 0.8 ×", digits=2
        ),
    }


def _peers() -> Figures:
    return {
        **_first(*_BOTH, goal="≤ 1.0 ×"),
        **_paced(*_BOTH, goal="≤ 0.8 ×"),
        **_saturation("responses", goal="≥ 8 ×"),
        **_saturation("chat", goal="≥ 6 ×"),
        "tools.chat": Figure("CPU per 100,000 tool-call deltas, Chat, s", digits=2),
        **_short(*_BOTH, "whole", goal="≥ 2 ×"),
        "image.added": Figure("image of 8 MB in one event, added, ms", "≤ 0.33 ×"),
        "image.peak": Figure("image of 8 MB in one event, peak growth, MB", "≤ 24"),
        "start": Figure("start to the first good answer, ms", "≤ 400", digits=0),
        "start.bare": Figure("the same, in times of `python -c pass`", "≤ 12"),
        "help": Figure("`--help`, ms", digits=0),
        "idle": Figure("memory idle, MB", "≤ 60"),
        **_many(),
        "leavers": Figure("20 clients leave: all backend streams closed after, ms"),
        **_stalled(*_BOTH, goal="≤ 1.0 ×"),
        **_long(*_BOTH),
    }


def _first(*roads: str, goal: str = "") -> Figures:
    return {
        f"first.{road}.{share}": Figure(
            f"added first-token time {share}, {ROADS[road]}, ms", goal, digits=2
        )
        for share in ("p50", "p99")
        for road in roads
    }


def _paced(*roads: str, goal: str = "") -> Figures:
    return {
        f"paced.{road}": Figure(f"CPU per 100,000 events paced, {ROADS[road]}, s", goal, digits=2)
        for road in roads
    }


def _saturation(*roads: str, goal: str = "", beside: str = "") -> Figures:
    return {
        f"saturation.{road}": Figure(
            f"events per CPU second at saturation, {ROADS[road]}, thousands", goal, more=True,
            beside=beside,
        )
        for road in roads
    }  # fmt: skip


def _short(*roads: str, goal: str = "") -> Figures:
    table: Figures = {}
    for road in roads:
        title = f"short requests per CPU second, {ROADS[road]}"
        table[f"requests.{road}"] = Figure(title, goal, more=True, digits=0)
    for road in roads:
        title = f"short requests per second by the clock, {ROADS[road]}"
        table[f"rate.{road}"] = Figure(title, more=True, digits=0)
    for road in roads:
        title = f"connects to the backend per request, {ROADS[road]}"
        table[f"connects.{road}"] = Figure(title, "< 0.01", digits=3)
    return table


def _many() -> Figures:
    table: Figures = {}
    for count in STREAMS:
        streams = f"{count:,} Chat stream{'s' if count > 1 else ''} of {pace(count)} events/s"
        goal = "≤ 0.8 ×" if count == max(STREAMS) else ""
        table[f"many.{count}"] = Figure(f"memory at {streams}, MB", goal)
        title = f"CPU per 100,000 events of {streams}, s"
        table[f"many.{count}.cpu"] = Figure(title, "≤ 0.8 ×", digits=2)
    return table


def _stalled(*roads: str, goal: str = "") -> Figures:
    return {
        f"stalled.{road}": Figure(
            f"4 readers stall on streams of 20 MB: growth, {ROADS[road]}, MB", goal
        )
        for road in roads
    }


def _long(*roads: str) -> Figures:
    """Such a stream says 0.6 MB of text, which a server may hold a few times."""
    return {
        f"long.{road}": Figure(
            f"a stream of 20 MB read to its end: growth, {ROADS[road]}, MB", "≤ 4"
        )
        for road in roads
    }


def _large() -> Figures:
    table: Figures = {}
    for size in BODIES:
        name = f"large.{size // KILOBYTE}"
        shown = f"{size // KILOBYTE} KB" if size < 1024 * KILOBYTE else f"{size >> 20} MB"
        goal = "≥ 2 ×" if size == min(BODIES) else ""
        for road in (*_BOTH, "messages"):
            of = f"{shown}, {ROADS[road]}"
            first = "" if road == "messages" else "≤ 1.0 ×"
            rate = "" if road == "messages" else goal
            title = f"added first-token time p50 with a request of {of}, ms"
            table[f"{name}.{road}.p50"] = Figure(title, first, digits=2)
            title = f"requests of {of}, per CPU second"
            table[f"{name}.{road}.rate"] = Figure(title, rate, more=True, digits=0)
            table[f"{name}.{road}.peak"] = Figure(f"the same, peak growth, {ROADS[road]}, MB")
    return table


def _tls() -> Figures:
    """With the backend by name over TLS."""
    new = {
        f"new.{road}.p50": Figure(
            f"added first-token time p50 on a new connection, {ROADS[road]}, ms", "≤ 1.0 ×",
            digits=2,
        )
        for road in _BOTH
    }  # fmt: skip
    requests_new = {
        f"requests_new.{road}": Figure(
            f"short requests per CPU second, each on a new connection, {ROADS[road]}", "≥ 2 ×",
            more=True, digits=0,
        )
        for road in _BOTH
    }  # fmt: skip
    table = {
        **_first(*_BOTH, goal="≤ 1.0 ×"), **new, **_short(*_BOTH, goal="≥ 2 ×"), **requests_new,
        **_paced(*_BOTH, goal="≤ 0.8 ×"),
        **_saturation("responses", goal="≥ 8 ×"), **_saturation("chat", goal="≥ 6 ×"),
    }  # fmt: skip
    return {
        f"{TLS}{key}": replace(figure, title=f"TLS: {figure.title}")
        for key, figure in table.items()
    }


def _messages() -> Figures:
    """Of a dialect that the Go peer lacks."""
    return {
        **_first("messages"),
        "turn.messages": Figure("CPU of an agent's turn of 140 KB, Messages, ms", digits=2),
        "translation.messages": Figure("CPU of its translation, in process, ms", "≤ 5", digits=2),
        **_paced("messages"),
        **_saturation("messages", goal="≥ 5 × of Chat", beside="saturation.chat"),
        "tools.messages": Figure("CPU per 100,000 tool-call deltas, Messages, s", digits=2),
        **_short("messages"),
        "counts.count": Figure("25 counts of tokens at once, 50 KB each, ms", "≤ 300"),
        **_stalled("messages"),
        **_long("messages"),
    }


def _dialects() -> Figures:
    """Of Responses over a WebSocket, and of Ollama, which the Go peer lacks too."""
    roads = ("socket", "ollama")
    return {
        **_first(*roads), **_paced(*roads), **_saturation(*roads), **_short(*roads),
        "sockets": Figure("1,000 idle WebSockets: growth, MB", "≤ 40"),
        **_stalled(*roads), **_long(*roads),
    }  # fmt: skip


def _corpora() -> Figures:
    table: Figures = {}
    for road in ("responses", "chat", "messages", "ollama"):
        for kind in corpora.KINDS:
            title = f"events per CPU second, {_CORPORA.get(kind, kind)}, {ROADS[road]}, thousands"
            table[f"{CORPUS}{kind}.{road}"] = Figure(title, more=True)
            if corpora.base(kind):
                title = f"… {_CORPORA.get(kind, kind)}, as a share of plain, {ROADS[road]}"
                table[f"{ESCAPES}{kind}.{road}"] = Figure(title, "≥ 0.7", more=True, digits=2)
    return table


TABLES: dict[str, Figures] = {
    "person": _person(), "peers": _peers(), "large": _large(), "tls": _tls(),
    "messages": _messages(), "dialects": _dialects(), "corpora": _corpora(),
}  # fmt: skip
FIGURES: Figures = {key: each for table in TABLES.values() for key, each in table.items()}

COSTS = (
    "first.chat.p50", "first.chat.p99", "tls.first.chat.p50", "large.256.chat.p50", "requests.whole",
    "paced.chat", "idle", "many.1.cpu", "many.1000", "image.added", "start",
)  # fmt: skip
"""What a user asks about."""
