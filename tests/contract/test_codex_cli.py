"""The real Codex CLI, unmodified, as a client of `codexapi serve`: the newest, and an older one.

Two hops, one on each side of our server, write down what passes: the CLI's requests must reach the
backend as they were sent, and the answers must come back as they were. Nothing but loopback is
talked to, once the CLI is installed.
"""

from __future__ import annotations

import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from tests import forks
from tests.codex_cli import official_client
from tests.loopback import loopback_only
from tests.processes import codexapi, environment, server, simulator
from tests.recorder import Message, Recorder, recorded
from tests.wire_files import events

from codexapi_engine.protocol import headers as wire
from codexapi_engine.protocol import json
from codexapi_engine.protocol.responses.reply import LIFECYCLE

JsonObject = dict[str, Any]
CLASSIC, LITE = "gpt-5.5", "gpt-6.1-sol"

CONFIG = """
model = "{model}"
model_provider = "codexapi"

[model_providers.codexapi]
name = "codexapi"
base_url = "{url}"
wire_api = "responses"
requires_openai_auth = false

[analytics]
enabled = false

[features]
apps = false
plugins = false
"""
BUILT_IN = 'openai_base_url = "{url}"\n'
"""Our server in place of OpenAI's, and all else as the CLI has it."""

NOWHERE = "http://127.0.0.1:9"
"""A proxy that is none: whatever the CLI asks of other hosts fails at once."""

# 42 stands in no prompt: it is there when the command has run.
COMMAND = "echo tool-$((6 * 7))"
TOOL_SAYS = "tool-42"
NO_SANDBOX = "bwrap: "
"""The tool's output in place of that where the machine allows no sandbox, as in many containers."""

TOOLS = {
    CLASSIC: f'exec_command {{"cmd": "{COMMAND}"}}',
    LITE: f'exec text((await tools.exec_command({{cmd: "{COMMAND}"}})).output)',
}
SEARCH = 'exec text(await tools.web__run({search_query: [{q: "red foxes"}]}))'
OUTPUTS = {CLASSIC: "function_call_output", LITE: "custom_tool_call_output"}

OF_ONE_HOP = {
    "host", "accept", "accept-encoding", "content-type", "content-length", "transfer-encoding",
    "date", "server", "cf-ray", "x-request-id", "originator", "user-agent",
}  # fmt: skip
"""Headers that each connection has for itself. All others travel."""

Settings = Callable[[str, dict[str, str]], str]
"""Makes a config.toml, from our address and the environment of our programs."""

pytestmark = pytest.mark.timeout(600)  # the first run downloads 160 MB


@dataclass(frozen=True)
class Run:
    """A finished `codex exec`, and what passed on both sides of our server."""

    done: subprocess.CompletedProcess[str]
    near: Recorder = field(repr=False)
    far: Recorder = field(repr=False)

    def exchanges(self) -> Iterator[tuple[Message, Message, Message, Message]]:
        """Of what was posted: the CLI's request and ours, the backend's answer and ours."""
        near, far = posted(self.near), posted(self.far)
        for (sent, heard), (received, said) in zip(near, far, strict=True):
            assert heard is not None
            assert said is not None
            yield sent, received, said, heard


def posted(hop: Recorder) -> list[tuple[Message, Message | None]]:
    return [pair for pair in hop.exchanges() if pair[0].head.startswith("POST")]


@pytest.fixture(scope="module", params=["0.171.0", "0.169.0"])
def codex(request: pytest.FixtureRequest) -> Path:
    return official_client(request.param)


def run(codex: Path, home: Path, prompt: str, settings: Settings) -> Run:
    """`codex exec PROMPT`, through us, to the simulated backend."""
    options = ["--strict-config", "--skip-git-repo-check", "--sandbox", "read-only"]
    with world(home, settings) as (env, near, far):
        done = subprocess.run(
            [codex, "exec", *options, prompt], cwd=env["PWD"], env=env, stdin=subprocess.DEVNULL,
            capture_output=True, text=True, timeout=100, check=False,
        )  # fmt: skip
        return Run(done, near, far)


@contextmanager
def world(home: Path, settings: Settings) -> Iterator[tuple[dict[str, str], Recorder, Recorder]]:
    """The CLI's environment, with a home of its own and our login, and what passes on both sides
    of our server."""
    codex_home, folder = home / "codex", home / "folder"
    folder.mkdir()
    with (
        loopback_only(),
        simulator(codex_home) as backend,
        recorded(backend.env["CODEXAPI_BASE_URL"]) as far,
        server("--quiet", env={**backend.env, "CODEXAPI_BASE_URL": far.url}) as door,
        recorded(door.url) as near,
    ):
        (codex_home / "config.toml").write_text(settings(near.url, backend.env))
        env = environment(
            HOME=str(home), CODEX_HOME=str(codex_home), PWD=str(folder),
            HTTP_PROXY=NOWHERE, HTTPS_PROXY=NOWHERE, NO_PROXY="127.0.0.1",
        )  # fmt: skip
        yield env, near, far


def one_endpoint(model: str) -> Settings:
    """A provider of the user's own, and nothing that would talk to others."""
    return lambda url, env: CONFIG.format(model=model, url=url)


def built_in(url: str, env: dict[str, str]) -> str:
    """The CLI's own provider, at our address: it signs its requests with the user's login."""
    return BUILT_IN.format(url=url)


def by_socket(model: str) -> Settings:
    """A provider of the user's own that says that it takes a WebSocket."""
    config = CONFIG.replace(
        "requires_openai_auth", "supports_websockets = true\nrequires_openai_auth"
    )
    return lambda url, env: config.format(model=model, url=url)


def custom(url: str, env: dict[str, str]) -> str:
    """A provider of the user's own, as `codexapi setup codex` prints it."""
    done = forks.run(
        codexapi("setup", "codex", "--print", "--url", url), env=environment(**env),
        stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=100, check=True,
    )  # fmt: skip
    return str(done.stdout)


def unharmed(sent: Message, received: Message) -> None:
    """The backend got what the CLI sent."""
    assert sent.head == "POST /v1/responses"
    assert received.head == "POST /backend-api/codex/responses"
    assert "codex_exec/" in sent.headers["user-agent"]
    assert received.body == sent.body
    assert travelling(sent).items() <= received.headers.items()


def unharmed_back(said: Message, heard: Message) -> None:
    """The CLI got what the backend said: of the lifecycle events, which we complete, the type."""
    assert (said.head, heard.head) == ("200", "200")
    assert travelling(said).items() <= heard.headers.items()
    assert list(steps(heard)) == list(steps(said))


def travelling(message: Message) -> dict[str, str]:
    return {name: value for name, value in message.headers.items() if name not in OF_ONE_HOP}


def steps(answer: Message) -> Iterator[bytes]:
    for event in events(answer.body):
        if event.type in LIFECYCLE:
            yield event.type.encode()
        elif event.type:
            yield event.raw


@pytest.mark.parametrize("model", [CLASSIC, LITE])
def test_codex_exec_prints_the_answer(codex: Path, tmp_path: Path, model: str) -> None:
    ran = run(codex, tmp_path, "hi", one_endpoint(model))
    assert ran.done.returncode == 0, ran.done.stderr
    assert "This is the simulated Codex backend" in ran.done.stdout
    ((sent, received, said, heard),) = ran.exchanges()
    unharmed(sent, received)
    unharmed_back(said, heard)


@pytest.mark.parametrize("model", [CLASSIC, LITE])
def test_a_tool_turn_takes_the_output_to_the_backend(
    codex: Path, tmp_path: Path, model: str
) -> None:
    ran = run(codex, tmp_path, f"[[rate_limits]] [[tool {TOOLS[model]}]]", one_endpoint(model))
    assert ran.done.returncode == 0, ran.done.stderr
    first, second = ran.exchanges()
    for sent, received, said, heard in (first, second):
        unharmed(sent, received)
        unharmed_back(said, heard)
        assert (wire.LITE in received.headers) == (model == LITE)
    received = second[1]
    assert received.headers["x-codex-turn-state"] == first[2].headers["x-codex-turn-state"]
    output = json.loads(received.body)["input"][-1]
    assert output["type"] == OUTPUTS[model]
    assert words_of_tool(output) in str(output["output"])
    assert words_of_tool(output) in ran.done.stdout


def words_of_tool(output: JsonObject) -> str:
    """What must stand in a tool's output: on some machines, that there is no sandbox."""
    return NO_SANDBOX if NO_SANDBOX in str(output["output"]) else TOOL_SAYS


@pytest.mark.parametrize("model", [CLASSIC, LITE])
def test_a_tool_turn_over_a_websocket_is_one_over_http_to_the_backend(
    codex: Path, tmp_path: Path, model: str
) -> None:
    ran = run(codex, tmp_path, f"[[rate_limits]] [[tool {TOOLS[model]}]]", by_socket(model))
    assert ran.done.returncode == 0, ran.done.stderr
    assert answered(ran) == [POST, POST]
    ((sent, _),) = ran.near.sockets()
    first, second = ((request, json.loads(request.body)) for request, _ in posted(ran.far))
    assert first[1]["input"] == [*sent[0]["input"], *sent[1]["input"]]
    assert second[1]["input"][: len(first[1]["input"])] == first[1]["input"]
    for (request, body), create in zip((first, second), sent[1:], strict=True):
        assert (wire.LITE in request.headers) == (model == LITE)
        metadata = create["client_metadata"]
        assert request.headers["x-codex-turn-metadata"] == metadata["x-codex-turn-metadata"]
        assert request.headers[wire.WINDOW] == metadata[wire.WINDOW]
        assert not [name for name in body["client_metadata"] if "ws" in name.split("-")[:2]]
        assert body.get("tools") == create.get("tools")
        assert not {"type", "previous_response_id", "generate"} & body.keys()
    answers = [answer for _, answer in posted(ran.far)]
    assert answers[0] is not None
    assert second[0].headers["x-codex-turn-state"] == answers[0].headers["x-codex-turn-state"]
    output = tool_output(ran)
    assert output["type"] == OUTPUTS[model]
    assert words_of_tool(output) in ran.done.stdout


# With the CLI's default settings: its own choice of model, and everything it turns on.

POST, FIND = "POST /v1/responses", "POST /v1/alpha/search"


@pytest.fixture(params=[built_in, custom], ids=lambda settings: settings.__name__)
def settings(request: pytest.FixtureRequest) -> Settings:
    made: Settings = request.param
    return made


def check_preliminaries(ran: Run, settings: Settings) -> None:
    """The CLI reads our list of models, and the built-in provider takes a WebSocket in place of
    posting."""
    assert ran.done.returncode == 0, ran.done.stderr
    assert "failed to decode" not in ran.done.stderr
    answers = {
        sent.head.partition("?")[0]: heard and heard.head
        for sent, heard in ran.near.exchanges()
        if sent.head.startswith("GET")
    }
    upgrade = {"GET /v1/responses": "101"} if settings is built_in else {}
    assert answers == {"GET /v1/models": "200", **upgrade}


def answered(ran: Run) -> list[str]:
    """What the CLI posted or created, all of it answered well, and by the backend in this order."""
    assert {heard and heard.head for _, heard in posted(ran.far)} == {"200"}
    for sent, heard in ran.near.sockets():
        check_chain(sent, heard)
        created = [body for body in sent if body.get("generate") is not False]
        bodies = [json.loads(m.body) for m, _ in posted(ran.far) if m.head.endswith("/responses")]
        assert [body["input"][-1] for body in created] == [body["input"][-1] for body in bodies]
    return [sent.head.replace("/backend-api/codex", "/v1") for sent, _ in posted(ran.far)]


def check_chain(sent: list[JsonObject], heard: list[JsonObject]) -> None:
    """A warm-up, then creates that each go on with the response before."""
    ends = [event["response"]["id"] for event in heard if event["type"] == "response.completed"]
    assert [body.get("previous_response_id") for body in sent] == [None, *ends[:-1]]
    assert sent[0]["generate"] is False
    assert {event["type"] for event in heard} >= {"response.metadata", "codex.rate_limits"}
    assert not [event for event in heard if event["type"] == "error"]


def first_model(hop: Recorder) -> str:
    """What the backend's list of models begins with."""
    answers = [heard for sent, heard in hop.exchanges() if "/models?" in sent.head]
    assert answers[0] is not None
    models = json.loads(answers[0].body)["models"]
    return str(min(models, key=lambda model: model["priority"])["slug"])


def tool_output(ran: Run) -> JsonObject:
    """The one tool output, as the backend got it."""
    request, _ = posted(ran.far)[-1]
    items = json.loads(request.body)["input"]
    (output,) = [item for item in items if item["type"].endswith("_output")]
    return dict(output)


def test_a_plain_turn_with_default_settings(
    codex: Path, tmp_path: Path, settings: Settings
) -> None:
    ran = run(codex, tmp_path, "hi", settings)
    check_preliminaries(ran, settings)
    assert answered(ran) == [POST]
    assert "This is the simulated Codex backend" in ran.done.stdout
    ((request, _),) = posted(ran.far)
    assert wire.LITE in request.headers
    assert "content-encoding" not in request.headers
    assert json.loads(request.body)["model"] == first_model(ran.far)


def test_a_tool_turn_with_default_settings(codex: Path, tmp_path: Path, settings: Settings) -> None:
    ran = run(codex, tmp_path, f"[[tool {TOOLS[LITE]}]]", settings)
    check_preliminaries(ran, settings)
    assert answered(ran) == [POST, POST]
    output = tool_output(ran)
    assert output["type"] == OUTPUTS[LITE]
    assert words_of_tool(output) in str(output["output"])
    assert words_of_tool(output) in ran.done.stdout


def test_a_search_turn_with_default_settings(
    codex: Path, tmp_path: Path, settings: Settings
) -> None:
    ran = run(codex, tmp_path, f"[[tool {SEARCH}]]", settings)
    check_preliminaries(ran, settings)
    assert answered(ran) == [POST, FIND, POST]
    ((sent, heard),) = [pair for pair in posted(ran.near) if pair[0].head == FIND]
    _, (received, said), _ = posted(ran.far)
    assert heard is not None
    assert said is not None
    assert received.head == "POST /backend-api/codex/alpha/search"
    assert received.body == sent.body
    assert json.loads(heard.body) == json.loads(said.body)
    found = json.loads(heard.body)["output"]
    assert "red foxes" in found
    assert found in str(tool_output(ran)["output"])
    assert found in ran.done.stdout


class AppServer:
    """`codex app-server`: the CLI as editors drive it, a line of JSON for each message."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self.process = process
        self.calls = 0
        self.call("initialize", clientInfo={"name": "tests", "version": "1"})
        self._send({"method": "initialized"})

    def call(self, method: str, **parameters: object) -> JsonObject:
        self.calls += 1
        self._send({"id": self.calls, "method": method, "params": parameters})
        answer = self._until(lambda message: message.get("id") == self.calls)
        assert "error" not in answer, answer
        return dict(answer["result"])

    def turn(self, thread: str, text: str, **parameters: object) -> None:
        """Returns at its end."""
        words = [{"type": "text", "text": text}]
        self.call("turn/start", threadId=thread, input=words, **parameters)
        ended = self._until(lambda message: message.get("method") == "turn/completed")
        assert ended["params"]["turn"]["status"] == "completed", ended

    def _send(self, message: JsonObject) -> None:
        assert self.process.stdin is not None
        self.process.stdin.write(json.dumps(message).decode() + "\n")
        self.process.stdin.flush()

    def _until(self, wanted: Callable[[JsonObject], bool]) -> JsonObject:
        assert self.process.stdout is not None
        for line in self.process.stdout:
            message: JsonObject = json.loads(line)
            if wanted(message):
                return message
        raise AssertionError("the app-server ended")


def test_an_effort_that_changes_in_a_thread_reaches_the_backend(
    codex: Path, tmp_path: Path
) -> None:
    """As an item of the input, on the built-in provider: the prefix stays what was cached."""
    with world(tmp_path, built_in) as (env, near, far):
        process = subprocess.Popen(
            [codex, "app-server"], cwd=env["PWD"], env=env, text=True,
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL,
        )  # fmt: skip
        try:
            app = AppServer(process)
            thread = app.call("thread/start", cwd=env["PWD"])["thread"]["id"]
            app.turn(thread, "hi")
            app.turn(thread, "hi", effort="high")
        finally:
            process.kill()
            process.communicate()
    assert [heard and heard.head for _, heard in posted(far)] == ["200", "200"]
    assert near.sockets()
    request, _ = posted(far)[-1]
    body = json.loads(request.body)
    assert body["input"][-1] == {"type": "configuration_update", "reasoning": {"effort": "high"}}
    assert body["reasoning"]["effort"] != "high"
