"""How fast commands start: `python -m benchmarks.startup [--rounds N] [--json FILE]`.

From spawn to exit; to the request on the wire, at a socket that never answers; to the first word
on stdout, from a backend that thinks for a second; to a server's first answer, for which it asks the
backend; to the answer of `initialize`. One after
another in every round, on one core; only ratios within a run mean anything. What is not installed
(`python -m benchmarks.peers`) is left out.
"""

from __future__ import annotations

import argparse
import http.client
import json
import socket
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from tempfile import TemporaryDirectory
from urllib.parse import urlsplit

from tests.logins import DAY, auth_json, write_login
from tests.processes import codexapi, environment

from benchmarks import peers, report
from benchmarks.plays import MODEL, Play
from benchmarks.servers import SERVER_CORE, Command, backend, compiled, on_core, spawn

THINKS = 1000
"""Milliseconds."""

_INITIALIZE = {
    "jsonrpc": "2.0", "id": 1, "method": "initialize",
    "params": {
        "protocolVersion": "2025-11-25", "capabilities": {},
        "clientInfo": {"name": "benchmark", "version": "0"},
    },
}  # fmt: skip
_PASS = "python -c pass"
_SERVE = "codexapi serve: to its first answer"
_WIRE = "codexapi chat hi: to the wire"
_READY = b"codexapi ready on "
_SECONDS = 30.0

Env = Mapping[str, str]

PAIRS = (
    ("codexapi --version", _PASS, "≤ 1.3"),
    ("codexapi --help", _PASS, "≤ 4"),
    (_WIRE, _PASS, "≤ 8"),
    (_SERVE, _PASS, "≤ 12"),
    ("codexapi --help", "llm --help", "≤ 0.2"),
    (_WIRE, "llm hi: to the wire", "≤ 0.33"),
    ("codexapi mcp serve: to `initialize` answered", "bare MCP SDK: the same", ""),
)
"""What is compared with what, and the ratio that was promised."""


def main() -> None:
    options = argparse.ArgumentParser(prog="python -m benchmarks.startup", description=__doc__)
    options.add_argument("--rounds", type=int, default=15)
    options.add_argument("--json", type=Path)
    options.add_argument("--docs", action="store_true", help="write the tables to docs/")
    given = options.parse_args()
    compiled()
    with TemporaryDirectory() as scratch, ExitStack() as stack:
        measures = _measures(Path(scratch), stack)
        times: dict[str, list[float]] = {name: [] for name in measures}
        with on_core(SERVER_CORE):
            for _ in range(given.rounds):
                for name, measure in measures.items():
                    times[name].append(measure() * 1000)
    if given.json:
        given.json.write_text(json.dumps(times, indent=1))
    made = tables(times)
    print("\n\n".join(made.values()))
    if given.docs:
        report.place(made)


def tables(times: Mapping[str, Sequence[float]]) -> dict[str, str]:
    medians = {name: statistics.median(each) for name, each in times.items()}
    rows = [
        [name, f"{medians[name]:.0f}", f"{min(each):.0f} … {max(each):.0f}"]
        for name, each in times.items()
    ]
    wanted = goals()
    shown = [[name, f"{each:.2f}", wanted.get(name, "")] for name, each in ratios(times).items()]
    return {
        "startup": report.table(["", "median, ms", "least … most"], rows),
        "startup ratios": report.table(["", "ratio of medians", "goal"], shown),
    }


def ratios(times: Mapping[str, Sequence[float]]) -> dict[str, float]:
    """Of medians, by the names of both; without those of what was not measured."""
    medians = {name: statistics.median(each) for name, each in times.items()}
    return {
        f"{ours} / {other}": medians[ours] / medians[other]
        for ours, other, _ in PAIRS
        if {ours, other} <= medians.keys()
    }


def goals() -> dict[str, str]:
    return {f"{ours} / {other}": goal for ours, other, goal in PAIRS if goal}


def _measures(scratch: Path, stack: ExitStack) -> dict[str, Callable[[], float]]:
    """By name, what runs a command once and returns its seconds."""
    sink = stack.enter_context(socket.create_server(("127.0.0.1", 0)))
    sink.settimeout(_SECONDS)
    address = f"http://127.0.0.1:{sink.getsockname()[1]}"
    playing = f"http://127.0.0.1:{stack.enter_context(backend())}"
    write_login(scratch, auth_json(exp=time.time() + 9 * DAY, issued=time.time()))
    env = environment(
        HOME=str(scratch), CODEX_HOME=str(scratch), CODEXAPI_BASE_URL=address,
        LLM_USER_PATH=str(scratch), OPENAI_API_KEY="unused",
    )  # fmt: skip
    thinking = {**env, "CODEXAPI_BASE_URL": playing}
    ours = _ours()
    bare: Command = [sys.executable, Path(__file__).parent / "inside" / "bare_mcp.py"]
    hi, slow = ("chat", "-m", MODEL, "hi"), ("chat", "-m", MODEL, str(Play(wait=THINKS)))
    measures: dict[str, Callable[[], float]] = {
        _PASS: lambda: _whole([sys.executable, "-c", "pass"], env),
        'python -c "import httpx"': lambda: _whole([sys.executable, "-c", "import httpx"], env),
        "codexapi --version": lambda: _whole([*ours, "--version"], env),
        "codexapi --help": lambda: _whole([*ours, "--help"], env),
        _WIRE: lambda: _to_wire([*ours, *hi], env, sink),
        _SERVE: lambda: _to_answer([*ours, "serve", "--port", "0"], thinking),
        f"codexapi chat: to the first word, {THINKS} ms of them the backend's": (
            lambda: _to_output([*ours, *slow], thinking)
        ),
        "codexapi mcp serve: to `initialize` answered": (
            lambda: _to_output([*ours, "mcp", "serve"], env, _INITIALIZE)
        ),
        "bare MCP SDK: the same": lambda: _to_output(bare, env, _INITIALIZE),
    }
    if (python := peers.python("llm")) is not None:
        llm: Command = [python, "-m", "llm"]
        model = [{"model_id": "local", "model_name": MODEL, "api_base": f"{address}/v1"}]
        (scratch / "extra-openai-models.yaml").write_text(json.dumps(model))  # JSON is YAML
        measures["llm --help"] = lambda: _whole([*llm, "--help"], env)
        measures["llm hi: to the wire"] = lambda: _to_wire([*llm, "-m", "local", "hi"], env, sink)
    return measures


def _ours() -> Command:
    """The installed script, which is what people start; else the module."""
    script = Path(sys.executable).parent / "codexapi"
    return [script] if script.exists() else codexapi()


def _whole(command: Command, env: Env) -> float:
    null, began = subprocess.DEVNULL, time.perf_counter()
    subprocess.run(command, env=env, stdin=null, stdout=null, stderr=null, check=True)
    return time.perf_counter() - began


def _to_wire(command: Command, env: Env, sink: socket.socket) -> float:
    began = time.perf_counter()
    with spawn(command, env, SERVER_CORE):
        connection, _ = sink.accept()
        with connection:
            connection.settimeout(_SECONDS)
            first = connection.recv(65536)
            passed = time.perf_counter() - began
    if not first.startswith(b"POST "):
        raise RuntimeError(f"{command[0]} did not ask the model, but {first[:80]!r}")
    return passed


def _to_answer(command: Command, env: Env) -> float:
    """To a server's answer to one Chat Completions request."""
    pipe, null, began = subprocess.PIPE, subprocess.DEVNULL, time.perf_counter()
    with subprocess.Popen(command, env=env, stdin=null, stdout=null, stderr=pipe) as process:
        try:
            assert process.stderr is not None
            line = next(line for line in process.stderr if line.startswith(_READY))
            _ask(line.split()[-1].decode())
            return time.perf_counter() - began
        finally:
            process.kill()


def _ask(url: str) -> None:
    body = {"model": MODEL, "messages": [{"role": "user", "content": str(Play())}]}
    place = urlsplit(url)
    client = http.client.HTTPConnection(place.netloc, timeout=_SECONDS)
    try:
        kind = {"content-type": "application/json"}
        client.request("POST", f"{place.path}/chat/completions", json.dumps(body), kind)
        answer = client.getresponse()
        text = answer.read()
    finally:
        client.close()
    if answer.status != http.client.OK:
        raise RuntimeError(f"{url} answered {answer.status}: {text[:80]!r}")


def _to_output(command: Command, env: Env, said: Mapping[str, object] | None = None) -> float:
    """To the first bytes on stdout; `said` is a line for stdin."""
    pipe, null, began = subprocess.PIPE, subprocess.DEVNULL, time.perf_counter()
    with subprocess.Popen(
        command, env=env, stdin=pipe if said else null, stdout=pipe, stderr=null
    ) as process:
        try:
            if process.stdin is not None:
                process.stdin.write(json.dumps(said).encode() + b"\n")
                process.stdin.flush()
            assert process.stdout is not None
            if not process.stdout.read(1):
                raise RuntimeError(f"{command[0]} said nothing")
            return time.perf_counter() - began
        finally:
            process.kill()


if __name__ == "__main__":
    main()
