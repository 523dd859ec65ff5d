"""The real Claude Code, unmodified, on `codexapi serve`: `python -m tests.suites.claude_code`.

The simulated backend plays the scripts that stand in the prompts. Only loopback is reached, once
Claude Code is installed.
"""

from __future__ import annotations

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

from tests.processes import codexapi, environment
from tests.recorder import Message, Recorder, recorded

from .outcome import Outcome, report
from .surroundings import door, node_packages, node_packages_here

PINNED = "claude-code"
KEY = "a-key-of-the-server"
SECONDS = 90.0
"""Far less than Claude Code waits where it tries again and again."""

NOWHERE = "http://127.0.0.1:9"
"""A proxy that is none: whatever Claude Code asks of other hosts fails at once."""

PDF = b"%PDF-1.4\n1 0 obj<<>>stream\nBT (About foxes) Tj ET\nendstream\n%%EOF\n"

JsonObject = dict[str, Any]


@dataclass(frozen=True)
class Claude:
    """Claude Code with a home of its own, and what passes between it and our server."""

    program: Path
    home: Path
    hop: Recorder

    def run(
        self, prompt: str, *options: str, key: str = KEY, tool_search: str = "false"
    ) -> subprocess.CompletedProcess[str]:
        """`claude -p PROMPT`, finished. Raises where it does not end in time.

        Where tools are searched for, the model hears of no MCP tool before.
        """
        env = {**self._environment(key), "ENABLE_TOOL_SEARCH": tool_search}
        return subprocess.run(
            [self.program, "-p", prompt, *options], cwd=self.home, env=env,
            stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=SECONDS, check=False,
        )  # fmt: skip

    def answer(self, prompt: str, *options: str, tool_search: str = "false") -> str:
        """What it prints. Raises AssertionError where it fails."""
        done = self.run(prompt, *options, tool_search=tool_search)
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

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
            HOME=str(self.home), CLAUDE_CONFIG_DIR="", ANTHROPIC_BASE_URL=self.hop.url,
            ANTHROPIC_AUTH_TOKEN=key, MCP_TIMEOUT="60000",
            CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC="1", DISABLE_TELEMETRY="1",
            DISABLE_AUTOUPDATER="1", HTTP_PROXY=NOWHERE, HTTPS_PROXY=NOWHERE, NO_PROXY="127.0.0.1",
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
        home.mkdir()
        with door("--api-key-file", str(key)) as server, recorded(server.url) as hop:
            hop.url = hop.url.removesuffix("/v1")
            yield Claude(program, home, hop)


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
    assert (claude.home / "made.txt").read_text() == "written\n"


def a_pdf_reaches_the_model(claude: Claude) -> None:
    (claude.home / "about.pdf").write_bytes(PDF)
    claude.answer('[[tool Read {"file_path": "about.pdf"}]]', "--allowedTools", "Read")
    assert '"media_type":"application/pdf"' in claude.turns()[-1][0].body.decode()


def a_tool_is_found_by_tool_search(claude: Claude) -> None:
    search = '[[tool ToolSearch {"query": "select:WebFetch", "max_results": 3}]]'
    claude.answer(search, tool_search="true")
    (result,) = tool_results(claude.last_messages())
    assert "WebFetch" in str(result["content"]), result


def a_web_search_has_sources(claude: Claude) -> None:
    search = '[[tool WebSearch {"query": "red foxes"}]]'
    said = claude.answer(search, "--allowedTools", "WebSearch")
    assert "https://example.com/simulated" in said, said


def silence_is_waited_for(claude: Claude) -> None:
    assert claude.answer("[[silence 12]] [[say Good morning.]]") == "Good morning.\n"


def a_tool_of_an_mcp_server(claude: Claude) -> None:
    command, *arguments = codexapi("mcp", "serve", "--demo")
    server = {"command": command, "args": arguments, "env": _python_path()}
    config = json.dumps({"mcpServers": {"ours": {"type": "stdio", **server}}})
    name = "mcp__ours__list_models"
    claude.answer(
        f"[[tool {name} {{}}]]",
        "--mcp-config",
        config,
        "--strict-mcp-config",
        "--allowedTools",
        name,
    )
    (result,) = tool_results(claude.last_messages())
    assert "gpt-6.1-sol" in str(result["content"]), result


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


def a_chat_that_is_too_long_is_compacted_and_the_turn_repeated(claude: Claude) -> None:
    """Without tools: the simulated backend would call one in place of a summary. What is repeated
    is refused again, since the script stands in it."""
    first = json.loads(claude.answer("[[say One.]]", "--output-format", "json"))
    prompt = "[[status context_length_exceeded_http]]"
    claude.run(prompt, "--tools", "", "--resume", first["session_id"])
    _, (_, refused), *compaction, (repeated, _) = claude.turns()
    assert refused is not None
    assert refused.head == "400"
    assert compaction
    assert all(b"<summary>" in request.body for request, _ in compaction)
    assert all(heard and heard.head == "200" for _, heard in compaction)
    messages = json.loads(repeated.body)["messages"]
    assert prompt in str(messages)
    assert not [message for message in messages if message["role"] == "assistant"]


SCENARIOS: list[Callable[[Claude], None]] = [
    a_plain_turn,
    a_tool_turn,
    a_file_is_written,
    a_pdf_reaches_the_model,
    a_tool_is_found_by_tool_search,
    a_web_search_has_sources,
    silence_is_waited_for,
    a_tool_of_an_mcp_server,
    a_chat_that_is_resumed_keeps_its_reasoning,
    a_wrong_key_ends_at_once,
    a_used_up_plan_ends_at_once,
    a_cut_stream_is_resumed_and_never_taken_for_an_answer,
    a_chat_that_is_too_long_is_compacted_and_the_turn_repeated,
]


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
        except (AssertionError, ValueError, subprocess.TimeoutExpired) as error:
            problem = f"{type(error).__name__}: {error}"
        outcome.add(scenario.__name__.replace("_", " "), problem)
    return report("Claude Code", outcome, [])


if __name__ == "__main__":
    sys.exit(main())
