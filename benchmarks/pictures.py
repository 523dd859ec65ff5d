"""How much pictures disturb text: `python -m benchmarks.pictures [--rounds N]`.

A text stream's time to its first delta, through `codexapi serve` and straight from the simulated
backend, while nothing else happens and while four pictures of 20 MB are drawn. Interleaved in
rounds; prints medians and ratios. The machine is shared by the simulator, the server and this
client, so only the ratios mean anything.
"""

from __future__ import annotations

import argparse
import json
import statistics
import tempfile
import threading
import time
from collections.abc import Callable
from pathlib import Path

import httpx2 as httpx
from openai import OpenAI
from tests.processes import server, simulator

from codexapi_engine.errors import JsonObject

MODEL = "gpt-6.1-sol"
PICTURE = "[[heavy 20]] [[slow 0.2]] a red fox"
SAMPLES = 20
AT_ONCE = 4


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    options.add_argument("--rounds", type=int, default=5)
    rounds = options.parse_args().rounds
    with tempfile.TemporaryDirectory() as folder:
        login = Path(folder) / "codex"
        with simulator(login) as backend, server("--quiet", env=backend.env) as door:
            measured = [_round(backend.env, door.url) for _ in range(rounds)]
    names = ("direct, idle", "through, idle", "direct, drawing", "through, drawing")
    medians = [statistics.median(times) * 1000 for times in zip(*measured, strict=True)]
    for name, median in zip(names, medians, strict=True):
        print(f"{name:<18} {median:6.2f} ms to the first delta")
    idle, drawing = medians[1] - medians[0], medians[3] - medians[2]
    print(f"added while idle {idle:.2f} ms, while drawing {drawing:.2f} ms: {drawing / idle:.2f} ×")


def _round(env: dict[str, str], url: str) -> tuple[float, float, float, float]:
    direct, through = _direct(env), _through(url)
    idle = _median(direct), _median(through)
    drawing = threading.Event()
    drawing.set()
    artists = [threading.Thread(target=_draw, args=(url, drawing)) for _ in range(AT_ONCE)]
    for artist in artists:
        artist.start()
    busy = _median(direct), _median(through)
    drawing.clear()
    for artist in artists:
        artist.join()
    return (*idle, *busy)


def _median(first_delta: Callable[[], float]) -> float:
    return statistics.median(first_delta() for _ in range(SAMPLES))


def _direct(env: dict[str, str]) -> Callable[[], float]:
    tokens = json.loads((Path(env["CODEX_HOME"]) / "auth.json").read_bytes())["tokens"]
    headers = {
        "authorization": f"Bearer {tokens['access_token']}",
        "chatgpt-account-id": tokens["account_id"],
        "version": "0.169.0",
    }
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


def _draw(url: str, drawing: threading.Event) -> None:
    with OpenAI(base_url=url, api_key="unused") as client:
        while drawing.is_set():
            client.images.generate(model="gpt-image-2", prompt=PICTURE)


if __name__ == "__main__":
    main()
