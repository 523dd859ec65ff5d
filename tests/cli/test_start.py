"""What `codexapi` loads until it has asked or answered: the time until then is mostly that.

Counted, and so the same on any machine. Where a count has grown, see whether the first answer needs
what is new, and raise the number if it does.
"""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import urllib.request
from functools import cache
from pathlib import Path

import pytest
from tests.processes import codexapi, environment, simulator

UNUSED = {
    "PIL", "certifi", "click", "codexapi_cli.app", "codexapi_mcp", "h11", "httpcore", "httpx", "keyring", "mcp",
    "multiprocessing", "prometheus_client", "rich", "tomlkit", "typer", "uvicorn.main", "yaml",
    "anyio._backends._asyncio", "codexapi_engine.simulator", "codexapi_engine.images.batch",
    "codexapi_engine.images.fetch", "codexapi_engine.protocol.anthropic.request",
    "codexapi_engine.protocol.images.backend",
    "codexapi_http.middleware.known_fields", "codexapi_http.routes.conversations", "codexapi_http.routes.images",
    "codexapi_http.routes.messages", "codexapi_http.routes.openapi",
}  # fmt: skip
"""By nobody who asks for text over plain HTTP."""

UNUSED_BY_CHAT = UNUSED | {
    "anyio", "bz2", "codexapi_engine.protocol.audio.backend", "codexapi_engine.protocol.images.backend", "codexapi_http",
    "email", "lzma", "prompt_toolkit", "pydantic", "pydantic_core", "shutil", "starlette", "uvicorn",
    "uvloop",
}  # fmt: skip

OURS, FOREIGN = "ours", "foreign"

DATACLASSES = {
    "Conversation", "RunMetrics", "Settings", "Snapshot", "_LastingAnswer",
}  # fmt: skip
"""They change, are generic, keep a field out of their text or check themselves."""

ASKED = {"model": "gpt-6.1-sol", "messages": [{"role": "user", "content": "[[say Hello.]]"}]}


def test_the_version_is_printed_without_anything() -> None:
    loaded = _loaded(_ran_with_times("--version").stderr)
    assert _counts(loaded) == {OURS: 2, FOREIGN: 0}
    assert not loaded & {"typing", "json", "pathlib", "re", "signal"}


def test_a_question_needs_no_more_than_it_needs(tmp_path: Path) -> None:
    with simulator(tmp_path) as backend:
        done = _ran_with_times("chat", "-m", "gpt-6.1-sol", "[[say Hello.]]", **backend.env)
    loaded = _loaded(done.stderr)
    assert done.stdout == "Hello.\n"
    assert "codexapi_engine.http.network" in loaded
    assert not loaded & UNUSED_BY_CHAT
    counts = _counts(loaded)
    assert counts[OURS] <= 94
    assert counts[FOREIGN] <= 15


@pytest.mark.skipif(sys.platform == "win32", reason="ends a server by SIGTERM")
def test_the_first_answer_needs_no_more_than_it_needs(tmp_path: Path) -> None:
    command = codexapi("serve", "--port", "0")
    command[1:1] = ["-X", "importtime"]
    with (
        simulator(tmp_path) as backend,
        subprocess.Popen(
            command, env=environment(**backend.env), text=True,
            stdin=subprocess.DEVNULL, stderr=subprocess.PIPE,
        ) as server,
    ):  # fmt: skip
        assert server.stderr is not None
        told = []
        for line in server.stderr:
            told.append(line)
            if line.startswith("codexapi ready on "):
                break
        try:
            said = _said(told[-1].split()[-1])
        finally:
            server.send_signal(signal.SIGTERM)
            told.append(server.stderr.read())
    loaded = _loaded("".join(told))
    assert said == "Hello."
    assert "codexapi_engine.protocol.chat.request" in loaded
    assert not loaded & UNUSED
    counts = _counts(loaded)
    assert counts[OURS] <= 193
    assert counts[FOREIGN] <= 119


def _ran_with_times(*arguments: str, **env: str) -> subprocess.CompletedProcess[str]:
    command = codexapi(*arguments)
    command[1:1] = ["-X", "importtime"]
    return subprocess.run(
        command, env=environment(**env), capture_output=True, text=True,
        stdin=subprocess.DEVNULL, check=True,
    )  # fmt: skip


def _loaded(stderr: str) -> set[str]:
    lines = (line for line in stderr.splitlines() if line.startswith("import time:"))
    return {line.rpartition("|")[2].strip() for line in lines} - {"imported package"}


def _counts(loaded: set[str]) -> dict[str, int]:
    """How many modules are of ours, and of the packages that we require."""
    tops = [name.partition(".")[0] for name in loaded]
    ours = sum(top.startswith("codexapi_") for top in tops)
    known = sys.stdlib_module_names | _of_every_start()
    return {OURS: ours, FOREIGN: len([top for top in tops if top not in known]) - ours}


@cache
def _of_every_start() -> set[str]:
    """What this Python loads for any program: hooks of its packages, and of the system's."""
    ran = subprocess.run(
        [sys.executable, "-X", "importtime", "-c", ""],
        env=environment(), capture_output=True, text=True, check=True,
    )  # fmt: skip
    return {name.partition(".")[0] for name in _loaded(ran.stderr)}


def test_few_records_of_a_question_are_dataclasses() -> None:
    """Each is compiled at every start, which takes ten times as long as a NamedTuple does."""
    program = (
        "import sys, dataclasses\n"
        "import codexapi_cli.conversation.ask, codexapi_cli.parser.remembering\n"
        "modules = [m for name, m in sys.modules.items() if name.startswith('codexapi_')]\n"
        "kinds = {k for m in modules for k in vars(m).values() if isinstance(k, type)}\n"
        "print(*sorted(k.__name__ for k in kinds if '__dataclass_fields__' in vars(k)))\n"
    )
    assert set(_ran(program).stdout.split()) == DATACLASSES


def _said(url: str) -> str:
    request = urllib.request.Request(
        f"{url}/chat/completions",
        json.dumps(ASKED).encode(),
        {"content-type": "application/json"},
    )
    with urllib.request.urlopen(request) as answer:
        said: str = json.load(answer)["choices"][0]["message"]["content"]
        return said


def test_no_model_is_built_before_it_is_used() -> None:
    program = (
        "import codexapi_http, pydantic\n"
        "def below(kind): return [b for a in kind.__subclasses__() for b in (a, *below(a))]\n"
        "ours = [m for m in below(pydantic.BaseModel) if m.__module__.startswith('codexapi')]\n"
        "print(len(ours), [m.__qualname__ for m in ours if m.__pydantic_complete__])\n"
    )
    count, built = _ran(program).stdout.split(maxsplit=1)
    assert int(count) >= 8
    assert built.strip() == "[]"


def test_the_collector_rests_while_a_command_is_loaded() -> None:
    """Counted, and so the same on any machine: some forty times without that."""
    program = (
        "import gc, sys\n"
        "from codexapi_cli.__main__ import main\n"
        "gc.set_threshold(700)  # as Python 3.11 has it\n"
        "before, sys.argv[1:] = gc.get_stats()[0]['collections'], ['serve', '--no-such-option']\n"
        "try: main()\n"
        "except SystemExit: print(gc.get_stats()[0]['collections'] - before, file=sys.stderr)\n"
    )
    assert int(_ran(program).stderr.split()[-1]) < 20


def _ran(program: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", program], env=environment(), capture_output=True, text=True,
        stdin=subprocess.DEVNULL, check=True,
    )  # fmt: skip


# Sends itself a signal when it comes to a place, and begins as `codexapi` does.
INTERRUPTED = """
import asyncio, importlib.abc, os, signal, sys

place, number = sys.argv.pop(1), int(sys.argv.pop(1))

def interrupt():
    global place
    place = ""
    os.kill(os.getpid(), number)

class Finder(importlib.abc.MetaPathFinder):
    def find_spec(self, name, path, target=None):
        if name == place:
            interrupt()

class Loop(asyncio.SelectorEventLoop):
    def __init__(self):
        if place == "a loop":
            interrupt()
        super().__init__()

    def create_task(self, *arguments, **options):
        if place == "a task":
            interrupt()
        return super().create_task(*arguments, **options)

sys.meta_path.insert(0, Finder())
asyncio.new_event_loop = asyncio.runners.events.new_event_loop = Loop
from codexapi_cli.__main__ import main
main()
"""


@pytest.mark.skipif(sys.platform == "win32", reason="there it is another event")
@pytest.mark.parametrize(
    ("command", "place", "name"),
    [
        ("chat --demo hi", "codexapi_cli.conversation.ask", "SIGINT"),
        ("chat --demo --color never hi", "codexapi_cli.app", "SIGINT"),
        ("chat --demo hi", "codexapi_cli.terminal.runner", "SIGINT"),
        ("chat --demo hi", "a loop", "SIGINT"),
        ("chat --demo hi", "a loop", "SIGHUP"),
        ("chat --demo hi", "a task", "SIGINT"),
        ("chat --demo hi", "a task", "SIGHUP"),
        ("simulate", "a loop", "SIGINT"),
        ("simulate", "a task", "SIGINT"),
    ],
)
def test_a_signal_while_a_command_starts_ends_it_without_a_word(
    command: str, place: str, name: str
) -> None:
    number = signal.Signals[name]
    done = subprocess.run(
        [sys.executable, "-c", INTERRUPTED, place, str(number.value), *command.split()],
        env=environment(), stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert (done.returncode, done.stdout, done.stderr) == (128 + number, "", "")


LATE = """
import atexit, os, signal
from codexapi_cli.__main__ import main

atexit.register(lambda: os.kill(os.getpid(), signal.SIGINT))
main()
"""


@pytest.mark.skipif(sys.platform == "win32", reason="there it is another event")
def test_ctrl_c_while_the_interpreter_ends_changes_nothing() -> None:
    done = subprocess.run(
        [sys.executable, "-c", LATE, "config", "--json"],
        env=environment(), stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert (done.returncode, done.stderr) == (0, "")
