"""What others wrote, on its way to a terminal: every command, with hostile text wherever text comes
from outside, and no control sequence arrives but our own."""

from __future__ import annotations

import asyncio
import base64
import json
import re
import shlex
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import typer
from tests.cli.shell import run, terminal
from tests.cli.test_chat import NEVER
from tests.drawn import picture
from tests.faulty import LAST_CHUNK, Exchange, FaultyBackend, chunk, head, whole
from tests.logins import CLAIMS, access_token, auth_json, jwt, write_login

from codexapi_cli.app import app
from codexapi_engine.protocol import sse

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="opens terminals")

HARM = (
    "\x1b]0;PWNED\x07\x1b]52;c;aGk=\x1b\\\x1b[2J\x1b[5;45mX\x9b5m\x9d0;PWNED\x9c\x7f\x08\x1bc\x1b(0"
    "\u202eevil\u202c\u2066x\u2069\u200b\u200f\ufeff\xad\u2060\U000e0041A\u200d"
)
"""Every kind of it; joiners and emoji are not hostile by themselves."""

SEEN = "MARK"
"""Stands beside it: so a test knows that the text was shown at all."""

TEXT = f"{SEEN}{HARM}"

OURS = re.compile(
    r"\x1b\[(?:0|1|2|3|4|7|9|22|23|24|3[0-7]|9[0-7])?(?:;(?:1|2|3|4|40|3[0-7]|9[0-7]))*m"  # looks
    r"|\r?\x1b\[K|\x1b\[\?7l|\x1b\[\?7h(?:\x1b\[\d+A)?\r"  # progress, and what is drawn anew
    r"|\r\x1b\[2K\x1b7\x1b\[B\x1b\[J\x1b8"
    r"|\x1b\[c"  # what a terminal is asked before a picture
    r"|\x1b\[\?2004[hl]"  # bracketed paste
    r"|\x1b\]8;[^;\x07\x1b]*;[^\x00-\x20\x7f-\x9f]*\x1b\\"  # links
)
FORBIDDEN = re.compile(
    "[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\xad\u061c\u200b\u200e\u200f\u202a-\u202e\u2060-\u206f\ufeff"
    "\U000e0000-\U000e007f]|A\u200d|(?<=\n)\r(?!\n)"
)


def control(text: str) -> list[str]:
    """What of an output is no text, and none of our own sequences."""
    return [
        text[max(0, m.start() - 40) : m.end() + 20] for m in FORBIDDEN.finditer(OURS.sub("", text))
    ]


def test_the_check_itself_sees_each_kind() -> None:
    for letter in HARM:
        if not letter.isprintable() and letter not in "\u200d":
            assert control(f"one{letter}two"), ascii(letter)
    for sequence in ("\x1b[2J", "\x1b[5;45m", "\x1b]0;x\x07", "\x1b]52;c;aGk=\x1b\\", "\x1bc"):
        assert control(sequence)
    assert not control("\x1b[1mbold\x1b[0m \r\x1b[K\x1b[?7h\x1b[3A\r 👩‍👩‍👧 می‌خواهم ❤️\r\n")


def commands(group: Any, context: Any, before: tuple[str, ...] = ()) -> Iterator[str]:
    """The names of all commands that can be called."""
    if not hasattr(group, "list_commands"):
        yield " ".join(before)
        return
    if before and group.invoke_without_command:
        yield " ".join(before)
    for name in group.list_commands(context):
        command = group.get_command(context, name)
        inner = type(context)(command, parent=context, info_name=name)
        yield from commands(command, inner, (*before, name))


def every_command() -> set[str]:
    root = typer.main.get_command(app)
    return set(commands(root, typer.Context(root)))


FILE = f"a{HARM.replace('/', '')}.txt"

CALLS: dict[str, list[str]] = {
    "chat": [
        "hello", "-x hello", "--json hello", "--stream-json hello", "-v hello", "-vv hello",
        "--show-reasoning hello", "--md hello", "--schema name hello", "-o FOLDER/out.md fail",
        "fail", "--json fail", "cut", "refuse", "--dry-run HARM", "--dry-run -m HARM hello",
        "-f FILE hello", "-f NONE hello", "-a NONE hello", "--cid HARM hello", "--schema HARM hello", "-s @NONE hello", "-o NONE/x hello",
    ],
    "sh": ["hello", "--describe harmless", "-y hello", "-y harmless", "fail", "--shell HARM -y harmless"],
    "image": ["-o FOLDER/x.png --show-prompt fox", "--json -o FOLDER/y.png fox", "-o FOLDER/z.png fail", "-o NONE/x.png fox", "-o FOLDER/FILE.png fox", "-i NONE fox", "--size HARM fox"],
    "transcribe": ["FILE", "--json FILE", "NONE", "--language HARM FILE FILE"],
    "models": ["", "--all", "--json"],
    "usage": ["", "--json", "--watch --every 1000"],
    "status": ["", "--json"],
    "doctor": ["", "--json"],
    "config": ["", "--json"],
    "history": ["", "--json"],
    "history show": ["", "--json", "HARM"],
    "history rm": ["HARM"],
    "history clear": ["--yes"],
    "history path": [""],
    "mcp list": ["", "--json"],
    "mcp doctor": ["", "--json"],
    "mcp install": ["--scope project claude-code", "--scope project --dry-run --force claude-code", "--scope project --json claude-code", "HARM"],
    "mcp uninstall": ["--scope project claude-code", "--scope project --force --dry-run claude-code"],
    "mcp serve": ["--http HARM", "--tools HARM", "--http 0 --api-key-file NONE"],
    "serve": ["--port 0 --api-key-file NONE", "--port 0 --cors HARM", "--port 0 --model-alias HARM", "--port 0 --state NONE/x"],
    "stop": [""],
    "service print": ["--port HARM", "--state HARM"],
    "setup": ["", "HARM", "shell"],
    "login": ["HARM"],
    "logout": ["HARM"],
    "completion": ["HARM", "bash --after -- HARM"],
    "simulate": ["--login NONE", "--list", "--token-lifetime -1", "--port HARM"],
    "top": ["--once", "--url HARM", "--port HARM"],
    "keys add": ["HARM"],
    "keys list": ["", "--json"],
    "keys revoke": ["HARM"],
    "drift": ["--codex NONE", "--codex FILE", "--timeout HARM"],
    "replay": ["FILE", "NONE", "FOLDER", "--port HARM FILE", "--pace HARM FILE"],
}  # fmt: skip
"""How each command is called: HARM, FILE, NONE and FOLDER stand for hostile text, a file with a
hostile name, one that is not there, and a folder."""


def test_every_command_is_called_here() -> None:
    assert every_command() == set(CALLS)


async def answer(exchange: Exchange) -> None:
    """A backend that says nothing without HARM."""
    request = exchange.request
    path = request.target.partition("?")[0]
    failure = {"error": {"message": TEXT, "type": TEXT, "code": TEXT, "param": TEXT}}
    if b"fail" in request.body:
        await exchange.send(whole(400, failure))
    elif path.endswith("/models"):
        await exchange.send(whole(200, {"models": [MODEL, {**MODEL, "slug": f"m{HARM}"}]}))
    elif path.endswith("/usage"):
        await exchange.send(whole(200, USAGE))
    elif "/images/" in path:
        data = base64.b64encode(picture()).decode()
        await exchange.send(whole(200, {"data": [{"b64_json": data, "revised_prompt": TEXT}]}))
    elif path.endswith("/transcribe"):
        await exchange.send(whole(200, {"text": TEXT}))
    elif path.endswith("/responses"):
        await exchange.send(
            head(x_request_id="id-\x9b31m") + b"".join(map(chunk, events(request.body)))
        )
    else:
        await exchange.send(whole(404, failure))


MODEL = {
    "slug": "m", "display_name": TEXT, "description": TEXT, "visibility": "list",
    "supported_in_api": True, "priority": 1, "context_window": 1000, "default_reasoning_level": TEXT,
    "supported_reasoning_levels": [{"effort": TEXT, "description": TEXT}],
}  # fmt: skip
WINDOW = {"used_percent": 5, "limit_window_seconds": 18000, "reset_at": 4102444800}
USAGE = {
    "plan_type": TEXT, "rate_limit": {"allowed": True, "limit_reached": True, "primary_window": WINDOW},
    "credits": {"has_credits": True, "unlimited": False, "balance": TEXT},
    "additional_rate_limits": [{"limit_name": TEXT, "rate_limit": {"primary_window": WINDOW}}],
}  # fmt: skip


def events(body: bytes) -> Iterator[bytes]:
    """A stream: reasoning, a citation, and words that come letter by letter."""
    response: dict[str, Any] = {"id": f"resp_{HARM}", "model": f"m{HARM}", "status": "completed"}
    words = f"ls {TEXT}" if b"harmless" not in body else "pwd"
    kind = "refusal" if b"refuse" in body else "output_text"
    part = {"type": kind, ("refusal" if kind == "refusal" else "text"): words, "annotations": [
        {"type": "url_citation", "url": f"https://a.org/{HARM}", "title": TEXT}
    ]}  # fmt: skip
    item = {"type": "message", "role": "assistant", "id": "i", "content": [part]}
    yield sse.encode(
        {"type": "response.created", "response": {**response, "status": "in_progress"}}
    )
    thought = {"item_id": "r", "output_index": 0, "summary_index": 0}
    for letter in TEXT:
        yield sse.encode(
            {"type": "response.reasoning_summary_text.delta", "delta": letter, **thought}
        )
    name = "response.refusal.delta" if kind == "refusal" else "response.output_text.delta"
    for letter in words:
        yield sse.encode({"type": name, "output_index": 1, "content_index": 0, "delta": letter})
    if b"cut" in body:
        error = {"code": TEXT, "message": TEXT}
        yield sse.encode({"type": "response.failed", "response": {**response, "error": error}})
        return
    yield sse.encode({"type": "response.output_item.done", "output_index": 1, "item": item})
    done = {**response, "output": [item], "usage": {"input_tokens": 1, "output_tokens": 1}}
    yield sse.encode({"type": "response.completed", "response": done})
    yield LAST_CHUNK


def hostile_home(home: Path, url: str) -> dict[str, str]:
    """A folder in which every file that we read is hostile; the environment that leads there."""
    codex = home / "codex"
    codex.mkdir()
    claims = {"chatgpt_plan_type": TEXT, "chatgpt_account_id": "a", "email": TEXT}
    data = json.loads(auth_json(exp=NEVER, access=access_token(NEVER, chatgpt_plan_type=TEXT)))
    data["tokens"]["id_token"] = jwt({"email": TEXT, CLAIMS: claims})
    write_login(codex, json.dumps(data).encode())
    string = json.dumps(TEXT, ensure_ascii=False).replace("\x7f", "\\u007f")
    (codex / "config.toml").write_text(f"model = {string}\n")
    server = {"command": TEXT, "args": ["mcp", "serve", TEXT], "env": {TEXT: TEXT}}
    for path in (".mcp.json", ".vscode/mcp.json", ".cursor/mcp.json"):
        key = "servers" if "vscode" in path else "mcpServers"
        (home / path).parent.mkdir(exist_ok=True)
        (home / path).write_text(json.dumps({key: {"codexapi": server, TEXT: server}}))
    (home / FILE).write_text(TEXT)
    state = home / f"state{HARM.replace('/', '')}"
    return {
        "HOME": str(home), "CODEX_HOME": str(codex), "CODEXAPI_BASE_URL": url,
        "CODEXAPI_STATE_DIR": str(state), "XDG_CONFIG_HOME": "", "CODEXAPI_NO_LOG": "",
        "SHELL": "/bin/sh", "PATH": f"{Path(sys.executable).parent}:/usr/bin:/bin", "NO_PROXY": TEXT,
    }  # fmt: skip


def written(call: str, home: Path) -> list[str]:
    stands_for = {
        "HARM": TEXT, "FILE": FILE, "NONE": f"none{HARM.replace('/', '')}", "FOLDER": str(home),
    }  # fmt: skip
    words = shlex.split(call)
    return ["".join(stands_for.get(p, p) for p in re.split(r"([A-Z]{4,})", w)) for w in words]


def on_a_terminal(command: str, call: str, home: Path, env: dict[str, str]) -> str:
    """All that a command writes on a terminal. What would go on for ever is ended."""
    arguments = [*command.split(), *written(call, home)]
    model = ["-m", "m"] if command in ("chat", "sh") and "-m" not in arguments else []
    with terminal(*arguments[:1], *model, *arguments[1:], env=env) as child:
        before = ""
        if command == "sh":
            child.send("d\ra\r")
        if command in ("serve", "simulate", "usage", "mcp serve"):
            import pexpect

            if child.expect([pexpect.EOF, "ready on", "simulator on", r"window .*\n"]):
                before = f"{child.before}{child.after}"
                child.sendintr()
            else:
                before = child.before
        return f"{before}{child.read()}"


@pytest.mark.parametrize("command", CALLS)
async def test_nothing_of_others_reaches_a_terminal_raw(
    command: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    async with FaultyBackend(otherwise=[answer]) as backend:
        env = hostile_home(tmp_path, backend.url)
        if command.startswith("history"):
            await asyncio.to_thread(run, "chat", "-m", "m", TEXT, env=env)
        outputs = await asyncio.gather(
            *(asyncio.to_thread(on_a_terminal, command, c, tmp_path, env) for c in CALLS[command])
        )
    for call, said in zip(CALLS[command], outputs, strict=True):
        assert "Traceback" not in said, call
        assert control(said.replace("^C", "")) == [], call


LOGGED_OUT = ["chat hello", "models", "status --json", "doctor", "usage", "image -o x.png fox"]


@pytest.mark.parametrize("command", LOGGED_OUT)
async def test_neither_does_a_login_that_is_none(
    command: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    env = hostile_home(tmp_path, "http://127.0.0.1:9")
    write_login(tmp_path / "codex", auth_json(exp=NEVER, auth_mode=TEXT))
    name, _, call = command.partition(" ")
    said = await asyncio.to_thread(on_a_terminal, name, call, tmp_path, env)
    assert SEEN in said
    assert control(said) == []


SHOWN = [
    ("chat", "hello"), ("chat", "--json hello"), ("chat", "fail"), ("chat", "-x hello"),
    ("models", "--json"), ("usage", ""), ("status", ""), ("mcp list", ""), ("mcp doctor", ""),
    ("config", ""), ("history", ""), ("history show", ""),
]  # fmt: skip


@pytest.mark.parametrize(("command", "call"), SHOWN)
async def test_a_pipe_gets_what_others_wrote(
    command: str, call: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """So the hostile texts above do reach these commands."""
    monkeypatch.chdir(tmp_path)
    async with FaultyBackend(otherwise=[answer]) as backend:
        env = hostile_home(tmp_path, backend.url)
        if command.startswith("history"):
            await asyncio.to_thread(run, "chat", "-m", "m", TEXT, env=env)
        model = ["-m", "m"] if command == "chat" else []
        arguments = [*command.split(), *model, *written(call, tmp_path)]
        done = await asyncio.to_thread(run, *arguments, env=env)
    assert SEEN in done.stdout + done.stderr
    # An error and an entry of a client's settings are one line, and JSON has escapes.
    if "--json" not in call and call != "fail" and not command.startswith("mcp"):
        assert "\u202e" in done.stdout
