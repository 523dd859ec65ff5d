"""The real Claude Code, unmodified, on `codexapi serve`: `python -m tests.suites.claude_code`.

The simulated backend plays the scripts that stand in the prompts. Only loopback is reached, once
Claude Code is installed.
"""

from __future__ import annotations

import base64
import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pexpect import ExceptionPexpect
from tests import unix
from tests.processes import codexapi, environment
from tests.recorder import Message, Recorder, recorded
from tests.terminals import Terminal

from .outcome import Outcome, report
from .surroundings import door, node_packages, node_packages_here

PINNED = "claude-code"
KEY = "a-key-of-the-server"
SECONDS = 90.0
"""Far less than Claude Code waits where it tries again and again."""

NOWHERE = "http://127.0.0.1:9"
"""A proxy that is none: whatever Claude Code asks of other hosts fails at once."""

PNG = base64.b64decode(
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="
)
PDF = b"%PDF-1.4\n1 0 obj<<>>stream\nBT (About foxes) Tj ET\nendstream\n%%EOF\n"

CHECKED = json.dumps({"command": "python3 -c 1 > made.txt", "description": "Writes"})
"""A command that auto mode runs after a check alone."""

JsonObject = dict[str, Any]


@dataclass(frozen=True)
class Claude:
    """Claude Code with a home of its own, and what passes between it and our server."""

    program: Path
    home: Path
    folder: Path  # where it works
    hop: Recorder

    def run(
        self, prompt: str, *options: str, key: str = KEY, **more: str
    ) -> subprocess.CompletedProcess[str]:
        """`claude -p PROMPT`, finished; `more` is of its environment. Raises where it does not end
        in time."""
        env = {**self._environment(key), **more}
        return subprocess.run(
            [self.program, "-p", prompt, *options], cwd=self.folder, env=env,
            stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=SECONDS, check=False,
        )  # fmt: skip

    def answer(self, prompt: str, *options: str, **more: str) -> str:
        """What it prints. Raises AssertionError where it fails."""
        done = self.run(prompt, *options, **more)
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    @contextmanager
    def terminal(self, *options: str, **more: str) -> Iterator[Terminal]:
        """`claude` on a terminal, in a folder that its user trusts."""
        trust = {str(self.folder): {"hasTrustDialogAccepted": True}}
        known = {"hasCompletedOnboarding": True, "theme": "dark", "projects": trust}
        (self.home / ".claude.json").write_text(json.dumps(known))
        terminal = Terminal(
            str(self.program), list(options), cwd=str(self.folder), dimensions=(40, 110),
            env={**self._environment(KEY), "TERM": "xterm-256color", **more}, timeout=SECONDS,
        )  # fmt: skip
        try:
            yield terminal
        finally:
            if terminal.isalive():
                terminal.kill(unix.SIGKILL)
                terminal.wait()
            terminal.close()

    def turns(self) -> list[tuple[Message, Message | None]]:
        """What was posted to the model, with the answers."""
        return [
            pair for pair in self.hop.exchanges() if pair[0].head.startswith("POST /v1/messages?")
        ]

    def last_messages(self) -> list[JsonObject]:
        request, _ = self.turns()[-1]
        return list(json.loads(request.body)["messages"])

    def _environment(self, key: str) -> dict[str, str]:
        return environment(
            HOME=str(self.home), CLAUDE_CONFIG_DIR=str(self.home), ANTHROPIC_BASE_URL=self.hop.url,
            ANTHROPIC_AUTH_TOKEN=key, MCP_TIMEOUT="60000",
            CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC="1", DISABLE_TELEMETRY="1",
            DISABLE_AUTOUPDATER="1", ENABLE_TOOL_SEARCH="false", HTTP_PROXY=NOWHERE, HTTPS_PROXY=NOWHERE, NO_PROXY="127.0.0.1",
        )  # fmt: skip


def installed() -> Path | None:
    """Claude Code of this suite, or the machine's own; None where there is neither."""
    if packages := node_packages_here(PINNED):
        return program(packages)
    found = shutil.which("claude")
    return Path(found) if found else None


def program(packages: Path) -> Path:
    """The program itself, without the launcher that needs a newer Node."""
    return next(packages.glob("node_modules/@anthropic-ai/claude-code-*/claude*"))


@contextmanager
def claude(program: Path) -> Iterator[Claude]:
    """Claude Code before our server, which wants a key."""
    with tempfile.TemporaryDirectory() as scratch:
        key = Path(scratch) / "key"
        key.write_text(KEY)
        key.chmod(0o600)
        home = Path(scratch) / "home"
        folder = home / "work"
        folder.mkdir(parents=True)
        with door("--api-key-file", str(key)) as server, recorded(server.url) as hop:
            hop.url = hop.url.removesuffix("/v1")
            yield Claude(program, home, folder, hop)


def tool_results(messages: list[JsonObject]) -> list[JsonObject]:
    return [
        part
        for message in messages
        if isinstance(message["content"], list)
        for part in message["content"]
        if part["type"] == "tool_result"
    ]


def a_plain_turn(claude: Claude) -> None:
    assert claude.answer("[[say It works.]]") == "It works.\n"
    assert [heard and heard.head for _, heard in claude.turns()] == ["200"]


def a_tool_turn(claude: Claude) -> None:
    command = json.dumps({"command": "echo tool-$((6 * 7))", "description": "Counts"})
    said = claude.answer(f"[[tool Bash {command}]]", "--allowedTools", "Bash")
    assert "tool-42" in said, said
    (result,) = tool_results(claude.last_messages())
    assert "tool-42" in str(result["content"]), result


def a_file_is_written(claude: Claude) -> None:
    made = json.dumps({"file_path": "made.txt", "content": "written\n"})
    claude.answer(f"[[tool Write {made}]]", "--allowedTools", "Write")
    assert (claude.folder / "made.txt").read_text() == "written\n"


def a_picture_reaches_the_model(claude: Claude) -> None:
    (claude.folder / "fox.png").write_bytes(PNG)
    said = claude.answer('[[tool Read {"file_path": "fox.png"}]]', "--allowedTools", "Read")
    assert "1×1 PNG" in said, said


def a_pdf_reaches_the_model(claude: Claude) -> None:
    (claude.folder / "about.pdf").write_bytes(PDF)
    said = claude.answer('[[tool Read {"file_path": "about.pdf"}]]', "--allowedTools", "Read")
    assert "About foxes" in said, said


def a_sub_agent_has_a_conversation_of_its_own(claude: Claude) -> None:
    task = {
        "description": "Answers", "prompt": "[[say The inner answer.]]",
        "subagent_type": "general-purpose", "run_in_background": False,
    }  # fmt: skip
    said = claude.answer(f"[[tool Agent {json.dumps(task)}]]")
    assert "The inner answer." in said, said
    requests = [request for request, _ in claude.turns()]
    inner = [request for request in requests if "x-claude-code-agent-id" in request.headers]
    assert (len(requests), len(inner)) == (3, 1)
    assert b"[[tool Agent" not in inner[0].body


def a_sub_agent_in_the_background_reports_later(claude: Claude) -> None:
    task = {
        "description": "Answers", "prompt": "[[say The inner answer.]]",
        "subagent_type": "general-purpose",
    }  # fmt: skip
    claude.answer(f"[[tool Agent {json.dumps(task)}]]")
    assert [heard and heard.head for _, heard in claude.turns()] == ["200"] * 4
    report = b"<result>The inner answer.</result>"
    assert len([request for request, _ in claude.turns() if report in request.body]) == 1


def a_tool_that_was_searched_for_is_called(claude: Claude) -> None:
    name = "mcp__ours__list_models"
    options = ("--mcp-config", _our_mcp_server(), "--strict-mcp-config", "--allowedTools", name)
    query = json.dumps({"query": f"select:{name}", "max_results": 3})
    first = claude.answer(
        f"[[tool ToolSearch {query}]]",
        *options,
        "--output-format",
        "json",
        ENABLE_TOOL_SEARCH="true",
    )
    (result,) = tool_results(claude.last_messages())
    assert result["content"] == [{"type": "tool_reference", "tool_name": name}], result
    session = json.loads(first)["session_id"]
    prompt = f"[[tool {name} {{}}]]"
    said = claude.answer(prompt, *options, "--resume", session, ENABLE_TOOL_SEARCH="true")
    assert "gpt-6.1-sol" in said, said


def a_web_search_has_sources(claude: Claude) -> None:
    search = '[[tool WebSearch {"query": "red foxes"}]]'
    said = claude.answer(search, "--allowedTools", "WebSearch")
    assert "https://example.com/simulated" in said, said


def silence_is_waited_for(claude: Claude) -> None:
    assert claude.answer("[[silence 12]] [[say Good morning.]]") == "Good morning.\n"


def a_tool_of_an_mcp_server(claude: Claude) -> None:
    name = "mcp__ours__list_models"
    options = ("--mcp-config", _our_mcp_server(), "--strict-mcp-config", "--allowedTools", name)
    said = claude.answer(f"[[tool {name} {{}}]]", *options)
    assert "gpt-6.1-sol" in said, said


def a_chat_that_is_resumed_keeps_its_reasoning(claude: Claude) -> None:
    first = json.loads(claude.answer("[[reason]] [[say One.]]", "--output-format", "json"))
    said = claude.answer("[[say Two.]]", "--resume", first["session_id"])
    assert said == "Two.\n", said
    kept = [
        part
        for message in claude.last_messages()
        if message["role"] == "assistant"
        for part in message["content"]
    ]
    assert [part["text"] for part in kept if part["type"] == "text"] == ["One."], kept
    assert any(part.get("signature", "").startswith("cxa1:") for part in kept), kept


def a_wrong_key_ends_at_once(claude: Claude) -> None:
    done = claude.run("[[say It works.]]", key="wrong")
    assert done.returncode != 0
    assert "authenticat" in (done.stdout + done.stderr).lower(), done.stdout + done.stderr
    assert [heard and heard.head for _, heard in claude.turns()] == ["401"]


def a_used_up_plan_ends_at_once(claude: Claude) -> None:
    done = claude.run("[[status usage_limit_reached]]")
    assert done.returncode != 0
    assert "limit" in (done.stdout + done.stderr).lower(), done.stdout + done.stderr
    assert [heard and heard.head for _, heard in claude.turns()] == ["429"]


def a_model_that_there_is_not_is_named(claude: Claude) -> None:
    done = claude.run("[[say It works.]]", "--model", "gpt-9")
    assert done.returncode != 0
    assert "gpt-9" in done.stdout + done.stderr, done.stdout + done.stderr
    heads = [heard and heard.head for _, heard in claude.turns()]
    assert 1 <= len(heads) <= 2
    assert set(heads) == {"404"}


def a_cut_stream_is_resumed_and_never_taken_for_an_answer(claude: Claude) -> None:
    done = claude.run("[[long 9]] [[cut 3]]")
    assert done.returncode != 0
    assert "error mid-response" in done.stdout, done.stdout
    first, *resumed = claude.turns()
    assert first[1] is not None
    assert b"event: error" in first[1].body
    assert b"message_stop" not in first[1].body
    assert resumed
    assert all(b"was cut off mid-stream" in request.body for request, _ in resumed)


def a_backend_that_is_overloaded_is_tried_again(claude: Claude) -> None:
    assert claude.answer("[[status overloaded 2]] [[say There.]]") == "There.\n"
    assert [heard and heard.head for _, heard in claude.turns()] == ["529", "200"]


def a_chat_that_is_too_long_is_compacted_and_the_turn_goes_on(claude: Claude) -> None:
    first = json.loads(claude.answer("[[say One.]]", "--output-format", "json"))
    prompt = "[[status context_length_exceeded_http 1]] [[say Went on.]]"
    assert claude.answer(prompt, "--resume", first["session_id"]) == "Went on.\n"
    assert [heard and heard.head for _, heard in claude.turns()] == ["200", "400", "200", "200"]
    _, _, (compaction, _), (last, _) = claude.turns()
    assert b"<summary>" in compaction.body
    messages = str(json.loads(last.body)["messages"])
    assert "This summary was simulated." in messages
    assert prompt in messages
    assert "[[say One.]]" not in messages


def auto_mode_gets_no_verdict_and_runs_nothing_unchecked(claude: Claude) -> None:
    done = claude.run(f"[[tool Bash {CHECKED}]]", "--permission-mode", "auto")
    assert done.returncode == 1
    assert "Auto mode is unavailable" in done.stdout, done.stdout
    assert "use another permission mode" in done.stderr, done.stderr
    assert not (claude.folder / "made.txt").exists()
    for request, heard in claude.turns():
        assert heard is not None
        assert b'"safeguards":' in request.body
        assert "safeguards" in heard.headers["x-codexapi-ignored"].split(",")
        assert b"safeguard" not in heard.body


def auto_mode_of_its_own_has_the_model_judge(claude: Claude) -> None:
    """The simulated backend says something else, which is no verdict either."""
    prompt = f"[[tool Bash {CHECKED}]]"
    done = claude.run(prompt, "--permission-mode", "auto", CLAUDE_CODE_AUTO_MODE_SERVER="0")
    assert "could not evaluate this action" in done.stdout, done.stdout
    assert not (claude.folder / "made.txt").exists()
    _, *judged, _ = claude.turns()
    assert [heard and heard.head for _, heard in judged] == ["200"] * 3
    for request, _ in claude.turns():
        assert b'"safeguards":' not in request.body


def auto_mode_on_a_terminal_has_its_user_decide(claude: Claude) -> None:
    with claude.terminal() as terminal:
        _type(terminal, f"[[tool Bash {CHECKED}]]", "made.txt")
        terminal.expect_exact("stay in auto mode")
    assert not (claude.folder / "made.txt").exists()


def a_session_is_named_by_the_model(claude: Claude) -> None:
    with claude.terminal(CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC="") as terminal:
        _type(terminal, "Please look at the weather", "weather")
        terminal.expect("\x1b]0;[^\x07]*simulated title\x07")
    bodies = [json.loads(request.body) for request, _ in claude.turns()]
    assert [body for body in bodies if "format" in body.get("output_config", {})]


SCENARIOS: list[Callable[[Claude], None]] = [
    a_plain_turn,
    a_tool_turn,
    a_file_is_written,
    a_picture_reaches_the_model,
    a_pdf_reaches_the_model,
    a_sub_agent_has_a_conversation_of_its_own,
    a_sub_agent_in_the_background_reports_later,
    a_tool_that_was_searched_for_is_called,
    a_web_search_has_sources,
    silence_is_waited_for,
    a_tool_of_an_mcp_server,
    a_chat_that_is_resumed_keeps_its_reasoning,
    a_wrong_key_ends_at_once,
    a_used_up_plan_ends_at_once,
    a_model_that_there_is_not_is_named,
    a_cut_stream_is_resumed_and_never_taken_for_an_answer,
    a_backend_that_is_overloaded_is_tried_again,
    a_chat_that_is_too_long_is_compacted_and_the_turn_goes_on,
    auto_mode_gets_no_verdict_and_runs_nothing_unchecked,
    auto_mode_of_its_own_has_the_model_judge,
    auto_mode_on_a_terminal_has_its_user_decide,
    a_session_is_named_by_the_model,
]


def _type(terminal: Terminal, prompt: str, shown: str) -> None:
    """Types a prompt, and enters it once its end is shown."""
    terminal.expect_exact("auto mode on")
    terminal.send(prompt)
    terminal.expect_exact(shown)
    terminal.send("\r")


def _our_mcp_server() -> str:
    """The MCP servers of Claude Code: ours alone."""
    command, *arguments = codexapi("mcp", "serve", "--demo")
    server = {"type": "stdio", "command": command, "args": arguments, "env": _python_path()}
    return json.dumps({"mcpServers": {"ours": server}})


def _python_path() -> dict[str, str]:
    path = environment().get("PYTHONPATH", "")
    return {"PYTHONPATH": path, "PATH": os.environ["PATH"]}


def main() -> int:
    executable = program(node_packages(PINNED))
    outcome = Outcome()
    for scenario in SCENARIOS:
        problem = None
        try:
            with claude(executable) as started:
                scenario(started)
        except (AssertionError, ValueError, ExceptionPexpect, subprocess.TimeoutExpired) as error:
            problem = f"{type(error).__name__}: {error}"
        outcome.add(scenario.__name__.replace("_", " "), problem)
    return report("Claude Code", outcome, [])


if __name__ == "__main__":
    sys.exit(main())
