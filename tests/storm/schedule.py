"""What happens in a run, in what order and with which parameters: a pure function of the seed.

Nothing here starts or waits for anything. How long the processes take is theirs, so no oracle may
depend on it.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from codexapi_engine.bounds import REFRESH_MARGIN

Parameters = dict[str, Any]

LENGTH = 1.6
"""Seconds in which the steps begin."""

SCRIPTS = (
    "", "", "", "[[long 40]]", "[[long 400]]", "[[reason]]", "[[unnamed]]", "[[crlf]]",
    "[[bytewise]]", "[[no_deltas]]", "[[unknown_event]]", "[[rate_limits]]", "[[hold]]",
    "[[slow 0.02]]", "[[silence 0.3]]", "[[silence 0.4]][[keepalive 3]]", "[[incomplete]]",
    "[[incomplete content_filter]]",
)  # fmt: skip
"""What a backend does that is in order."""

FAULTS = (
    "[[cut 0]]", "[[cut 3]]", "[[drop 0]]", "[[drop 5]]", "[[long 300]][[drop 200]]", "[[empty]]",
    "[[html]]", "[[bad_json]]", "[[silence 3]]", "[[error]]", "[[error_nested]]",
    "[[fail server_error]]", "[[fail_first rate_limit_exceeded]]", "[[fail insufficient_quota]]",
    "[[fail_first context_length_exceeded]]", "[[status server_error 1]]",
    "[[status overloaded]]", "[[status bad_gateway 1]]", "[[status cloudflare]]",
    "[[status rate_limited 1]]", "[[status usage_limit_reached]]", "[[status token_expired 1]]",
    "[[status unauthorized_detail]]", "[[status redirect]]",
)  # fmt: skip

ENDLESS = "[[slow 0.1]][[long 400]]"

ENDING = ("TERM", "INT", "HUP", "QUIT", "KILL")


@dataclass(frozen=True)
class Step:
    number: int
    at: float  # seconds after the beginning
    kind: str
    parameters: Parameters = field(default_factory=dict)

    def __str__(self) -> str:
        questions = self.parameters.get("questions") or (self.parameters,)
        begin = f"{self.number:3}  {self.at:5.2f} s  {self.kind:8}"
        lines = [" ".join(f"{n}={value!r}" for n, value in each.items()) for each in questions]
        return f"\n{'':{len(begin)}} ".join([f"{begin} {lines[0]}".rstrip(), *lines[1:]])


@dataclass(frozen=True)
class Schedule:
    seed: int
    lifetime: float  # seconds that the first access token is good for
    store: str  # where the login is kept
    steps: tuple[Step, ...]

    def __str__(self) -> str:
        first = f"seed {self.seed}: the first access token is good for {self.lifetime:g} s, in the {self.store}"
        return "\n".join([first, *map(str, self.steps)])


def schedule(seed: int) -> Schedule:
    dice = random.Random(f"storm {seed}")
    times = sorted(round(dice.uniform(0, LENGTH), 2) for _ in range(dice.randint(20, 32)))
    kinds = dice.choices(list(KINDS), [weight for weight, _ in KINDS.values()], k=len(times))
    steps = tuple(
        Step(number, at, kind, KINDS[kind][1](dice))
        for number, (at, kind) in enumerate(zip(times, kinds, strict=True))
    )
    store = dice.choice(["file", "file", "file", "keyring"])
    return Schedule(seed, _lifetime(dice), store, steps)


def _lifetime(dice: random.Random) -> float:
    """What is born with less than our margin waits for a 401."""
    little = [REFRESH_MARGIN + more for more in (0.3, 0.8, 1.5)]
    return dice.choice([0.5, 2.0, *little, 864_000.0, 864_000.0])


def _script(dice: random.Random, *, abandoned: bool = False) -> str:
    """`abandoned`: nobody will wait for its end, and so the backend must not go on."""
    if abandoned and dice.random() < 0.5:
        return ENDLESS
    return dice.choice(FAULTS if dice.random() < 0.45 else SCRIPTS)


def _ask(dice: random.Random) -> Parameters:
    """Some questions at once."""
    return {"questions": tuple(_question(dice) for _ in range(dice.choice([1, 2, 3, 4, 6])))}


def _question(dice: random.Random) -> Parameters:
    client = dice.choice(["normal"] * 5 + ["slow", "vanish", "half", "idle"])
    return {
        "door": dice.choice(["chat", "chat", "responses", "responses", "responses", "completions"]),
        "stream": dice.random() < 0.6,
        "store": dice.random() < 0.7,
        "chain": dice.random() < 0.3,  # goes on with what was stored last
        "background": dice.random() < 0.15 and client != "vanish",
        "client": client,
        "socket": dice.random() < 0.4,
        "script": _script(dice, abandoned=client == "vanish"),
    }


def _visit(dice: random.Random) -> Parameters:
    return {
        "path": dice.choice(["/v1/models", "/v1/usage", "/healthz", "/v1/responses/resp_none"]),
        "client": dice.choice(["normal", "normal", "vanish"]),
    }


def _run(dice: random.Random) -> Parameters:
    signal = dice.choice(["", "", "", *ENDING])
    return {
        "command": dice.choice(
            ["chat"] * 3 + ["continue"] * 3 + ["history", "models", "status", "image", "file"]
        ),
        "count": dice.choice([1, 1, 1, 2, 3]),
        "script": _script(dice, abandoned=bool(signal)),
        "fresh": dice.random() < 0.04,  # an interpreter of its own: half a second of processor
        "signal": signal,
        "after": round(dice.uniform(0.0, 0.6), 2),
    }


def _call(dice: random.Random) -> Parameters:
    cancel = dice.random() < 0.2
    return {
        "tool": dice.choice(["generate_text"] * 4 + ["list_models", "account_status", "image"]),
        "road": dice.choice(["stdio", "stdio", "http"]),
        "session": dice.choice(["new", "open", "open"]),  # over HTTP
        "script": _script(dice, abandoned=cancel),
        "cancel": cancel,
        "after": round(dice.uniform(0.0, 0.3), 2),
    }


def _backend(dice: random.Random) -> Parameters:
    return {"fault": dice.choice(["away", "reset", "deaf"]), **_for(dice, 0.6)}


def _token(dice: random.Random) -> Parameters:
    return {
        "fault": dice.choice(
            ["slow", "late", "error", "error", "lost", "half", "unusable", "gateway"]
        ),
        "seconds": round(dice.uniform(0.1, 0.8), 2),
        "count": dice.choice([1, 1, 2]),
    }


def _expire(dice: random.Random) -> Parameters:
    return {"lifetime": _lifetime(dice)}


def _lock(dice: random.Random) -> Parameters:
    name = dice.choice(["auth.lock", "auth.json.lock", "state.db", "history.db"])
    return {"name": name, **_for(dice, 0.6)}


def _disk(dice: random.Random) -> Parameters:
    fault = dice.choice(["home full", "home read-only", "home quota", "state full", "state quota"])
    return {"fault": fault, **_for(dice, 0.7)}


def _target(dice: random.Random) -> str:
    return dice.choice(["server", "server", "server", "mcp", "mcp", "mcp over http"])


def _detach(dice: random.Random) -> Parameters:
    """A server in the background: started, asked, and stopped, or ended by a signal."""
    return {"script": _script(dice), "signal": dice.choice(["", "", "", *ENDING])}


def _signal(dice: random.Random) -> Parameters:
    return {"to": _target(dice), "name": dice.choice(ENDING)}


def _stop(dice: random.Random) -> Parameters:
    return {"to": _target(dice), **_for(dice, 0.4)}


def _for(dice: random.Random, longest: float) -> Parameters:
    return {"seconds": round(dice.uniform(0.05, longest), 2)}


def _converse(dice: random.Random) -> Parameters:
    """A conversation, and some questions in it at once."""
    questions = ({**_question(dice), "door": "responses", "chain": False} for _ in range(2))
    return {"questions": tuple(questions)}


def _clock(dice: random.Random) -> Parameters:
    """Our clock jumps, and the backend's does not."""
    return {
        "ahead": dice.choice([-90_000.0, -600.0, -70.0, 70.0, 600.0, 90_000.0]),
        **_for(dice, 0.8),
    }


def _nothing(dice: random.Random) -> Parameters:
    return {}


KINDS: dict[str, tuple[float, Callable[[random.Random], Parameters]]] = {
    "ask": (30, _ask),
    "converse": (4, _converse),
    "clock": (3, _clock),
    "visit": (4, _visit),
    "run": (14, _run),
    "call": (10, _call),
    "backend": (5, _backend),
    "token": (7, _token),
    "expire": (10, _expire),
    "lock": (5, _lock),
    "disk": (4, _disk),
    "detach": (2, _detach),
    "signal": (4, _signal),
    "stop": (4, _stop),
    "codex": (5, _nothing),  # the official client renews the login
    "login": (3, _nothing),  # the user logs in anew
}
