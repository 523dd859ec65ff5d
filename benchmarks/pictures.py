"""How much pictures disturb text: `python -m benchmarks.pictures [--rounds N]`.

A text stream's time to its first delta, through `codexapi serve` and straight from the simulated
backend, while nothing else happens and while four pictures of 20 MB are drawn, from their start to
their end. Interleaved in rounds. The simulator, the server and this client share the machine, so
only the ratios mean anything.
"""

from __future__ import annotations

import argparse
import tempfile
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import httpx2 as httpx
from openai import OpenAI
from tests.logins import accepted_headers
from tests.processes import server, simulator

from codexapi_engine.errors import JsonObject

MODEL = "gpt-6.1-sol"
PICTURE = "[[heavy 20]] [[silence 5]] a red fox"
SAMPLES = 20
AT_ONCE = 4


def main() -> None:
    options = argparse.ArgumentParser(description="How much pictures disturb text.")
    options.add_argument("--rounds", type=int, default=5)
    rounds = options.parse_args().rounds
    idle, drawing = Times([], []), Times([], [])
    with tempfile.TemporaryDirectory() as folder:
        login = Path(folder) / "codex"
        with simulator(login) as backend, server("--quiet", env=backend.env) as door:
            for _ in range(rounds):
                _sample(backend.env, door.url, idle, lambda count: count < SAMPLES)
                artists = [threading.Thread(target=_draw, args=(door.url,)) for _ in range(AT_ONCE)]
                for artist in artists:
                    artist.start()
                busy = lambda _: any(artist.is_alive() for artist in artists)  # noqa: B023
                _sample(backend.env, door.url, drawing, busy)
    for name, times in {"idle": idle, "drawing": drawing}.items():
        print(f"{name:<8} {times}")
    ratios = [drawing.added(share) / idle.added(share) for share in (0.5, 0.95)]
    print(
        f"added while drawing, of what is added while idle: p50 {ratios[0]:.2f} ×, p95 {ratios[1]:.2f} ×"
    )


class Times(NamedTuple):
    """Seconds to the first delta, straight from the backend and through the server."""

    direct: list[float]
    through: list[float]

    def added(self, share: float) -> float:
        return _quantile(self.through, share) - _quantile(self.direct, 0.5)

    def __str__(self) -> str:
        parts = [
            f"{name} p50 {_quantile(times, 0.5) * 1000:.2f} p95 {_quantile(times, 0.95) * 1000:.2f} ms"
            for name, times in self._asdict().items()
        ]
        return f"{', '.join(parts)} ({len(self.through)} samples)"


def _quantile(times: list[float], share: float) -> float:
    return sorted(times)[min(int(len(times) * share), len(times) - 1)]


def _sample(env: dict[str, str], url: str, times: Times, more: Callable[[int], bool]) -> None:
    direct, through, count = _direct(env), _through(url), 0
    while more(count):
        times.direct.append(direct())
        times.through.append(through())
        count += 1


def _direct(env: dict[str, str]) -> Callable[[], float]:
    headers = accepted_headers((Path(env["CODEX_HOME"]) / "auth.json").read_bytes())
    body = {
        "model": MODEL, "instructions": "x", "stream": True, "store": False,
        "input": [{"role": "user", "content": [{"type": "input_text", "text": "[[say Hi]]"}]}],
    }  # fmt: skip
    return _first_delta(env["CODEXAPI_BASE_URL"] + "/responses", headers, body)


def _through(url: str) -> Callable[[], float]:
    body = {"model": MODEL, "stream": True, "input": "[[say Hi]]", "store": False}
    return _first_delta(f"{url}/responses", {}, body)


def _first_delta(url: str, headers: dict[str, str], body: JsonObject) -> Callable[[], float]:
    client = httpx.Client(headers=headers)

    def first_delta() -> float:
        began, seen = time.perf_counter(), b""
        with client.stream("POST", url, json=body) as answer:
            for piece in answer.iter_raw():
                seen += piece
                if b"output_text.delta" in seen:
                    return time.perf_counter() - began
        raise RuntimeError(f"no delta from {url}: {seen[:200]!r}")

    return first_delta


def _draw(url: str) -> None:
    with OpenAI(base_url=url, api_key="unused") as client:
        client.images.generate(model="gpt-image-2", prompt=PICTURE)


if __name__ == "__main__":
    main()
