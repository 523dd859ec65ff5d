"""A program in place of the official client: it sends what the real one sent, or a change of it.

`put_client` writes it to a folder. It stands in for the client where that cannot be installed, and
for one that does not exist yet. `python -m tests.fake_codex PROGRAM` records a real client again.
"""

from __future__ import annotations

import asyncio
import json
import os
import socket
import struct
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

RECORDING = Path(__file__).with_suffix(".json")
JsonObject = dict[str, Any]


def put_client(folder: Path, **changes: object) -> Path:
    """A program `codex` in this folder; `changes` are the parameters of `Client`."""
    program = folder / "codex"
    command = f'"{sys.executable}" "{__file__}" \'{json.dumps(changes)}\' "$@"'
    program.write_text(f"#!/bin/sh\nexec {command}\n")
    program.chmod(0o755)
    return program


class Client:
    """What the recorded client does, but for the changes."""

    def __init__(
        self,
        version: str = "",
        header: tuple[str, str] | None = None,  # one more, on each request
        rename: tuple[str, str] | None = None,  # a field of the body, at any depth
        model: JsonObject | None = None,  # the first of its own list
        report: str = "",  # a file for its environment and the files of its home
        fault: str = "",  # `ends`, `hangs`, `refuses`, `fails`
    ) -> None:
        self.recording: JsonObject = json.loads(RECORDING.read_text())
        self.version = version or str(self.recording["version"])
        self.header, self.rename, self.model = header, rename, model
        self.report, self.fault = report, fault
        self.error = ""

    def run(self, arguments: list[str]) -> None:
        if arguments == ["--version"]:
            print(f"codex-cli {self.version}")
        elif arguments == ["debug", "models", "--bundled"]:
            print(json.dumps(self.catalogue()))
        elif arguments == ["app-server"]:
            self.serve()
        else:  # login and logout
            print("codex", *arguments)

    def catalogue(self) -> JsonObject:
        models: list[JsonObject] = self.recording["catalogue"]
        return {"models": [{**models[0], **self.model}, *models[1:]] if self.model else models}

    def serve(self) -> None:
        if self.report:
            home = Path(os.environ["CODEX_HOME"])
            files = {str(file): file.read_text() for file in home.glob("*.*")}
            Path(self.report).write_text(json.dumps({"environ": dict(os.environ), "files": files}))
        for line in sys.stdin:
            message = json.loads(line)
            if "id" in message:
                self.answer(message["id"], message["method"])

    def answer(self, number: int, method: str) -> None:
        if self.fault == "refuses" and method == "thread/start":
            self.say({"id": number, "error": {"code": -32601, "message": "no such \x1b[31mmethod"}})
            return
        self.say({"id": number, "result": {"thread": {"id": "thread-1"}}})
        if method not in ("turn/start", "thread/compact/start"):
            return
        if self.fault == "ends":
            sys.exit(1)
        if self.fault == "hangs":
            child = subprocess.Popen(["sleep", "1000"])
            Path(self.report).write_text(json.dumps([os.getpid(), child.pid]))
            time.sleep(1000)
        if self.recording:
            self.replay()
            self.recording = {}
        failed = self.error or ("the model is gone" if self.fault == "fails" else "")
        turn: JsonObject = {"id": "turn-1", "status": "failed" if failed else "completed"}
        turn["error"] = {"message": failed} if failed else None
        self.say({"method": "turn/completed", "params": {"turn": turn}})

    def say(self, message: JsonObject) -> None:
        print(json.dumps(message), flush=True)

    def replay(self) -> None:
        config = (Path(os.environ["CODEX_HOME"]) / "config.toml").read_text()
        url = urlsplit(config.split('"')[1])
        self.host, self.port, self.base = str(url.hostname), int(url.port or 80), url.path
        upgraded = False
        for request in self.recording["requests"]:
            if request["target"] == "upgrade":
                upgraded = self.talk_over_socket(request["headers"], request["messages"])
            elif not (upgraded and request["target"] == "/responses"):
                self.post(request)

    def changed(self, value: Any) -> Any:
        if isinstance(value, list):
            return [self.changed(member) for member in value]
        if not isinstance(value, dict):
            return value
        old, new = self.rename or ("", "")
        return {new if name == old else name: self.changed(one) for name, one in value.items()}

    def head(self, line: str, headers: list[list[str]], size: int = 0) -> bytes:
        own = {"host": f"{self.host}:{self.port}", "content-length": str(size)}
        pairs = [(name, own.get(name, value)) for name, value in headers]
        pairs += [self.header] if self.header else []
        lines = [f"{line} HTTP/1.1", *(f"{name}: {value}" for name, value in pairs), "", ""]
        return "\r\n".join(lines).encode()

    def post(self, request: JsonObject) -> None:
        body = json.dumps(self.changed(request["body"])).encode() if request["body"] else b""
        if ["content-encoding", "zstd"] in request["headers"]:
            body = compress(body)
        line = f"{request['method']} {self.base}{request['target']}"
        with socket.create_connection((self.host, self.port)) as connection:
            connection.sendall(self.head(line, request["headers"], len(body)) + body)
            reader = connection.makefile("rb")
            status = reader.readline().split()[1]
            if status != b"200":
                self.error = f"status {status.decode()}"
                return
            for text in reader:  # to the end, so that no run is cut off
                if text in (b"0\r\n",) or b"response.completed" in text:
                    break
                if text.lower().startswith(b"content-length: "):
                    reader.read(int(text[16:]) + len(b"\r\n"))
                    break

    def talk_over_socket(self, headers: list[list[str]], messages: list[JsonObject]) -> bool:
        """Whether the server has taken the upgrade."""
        with socket.create_connection((self.host, self.port)) as connection:
            connection.sendall(self.head(f"GET {self.base}/responses", headers))
            reader = connection.makefile("rb")
            upgraded = b" 101 " in reader.readline()
            while upgraded and reader.readline() != b"\r\n":
                pass
            last: JsonObject = {}
            calls: list[str] = []
            for message in messages if upgraded else []:
                connection.sendall(frame(self.changed(linked(message, last, calls))))
                last, calls = reply(reader)
                if last.get("type") != "response.completed":
                    self.error = str(last.get("error"))
                    break
        return upgraded


def linked(message: JsonObject, last: JsonObject, calls: list[str]) -> JsonObject:
    """The message with the ids of this conversation in place of those of the recorded one."""
    linked_message = json.loads(json.dumps(message))
    if "previous_response_id" in message:
        linked_message["previous_response_id"] = last["response"]["id"]
    for item in linked_message["input"]:
        if item["type"].endswith("_output"):
            item["call_id"] = calls.pop(0)
    return dict(linked_message)


def reply(reader: Any) -> tuple[JsonObject, list[str]]:
    """The last event of an answer, and the ids of its calls."""
    calls = []
    for event in messages_from(reader):
        if event["type"] == "response.output_item.done" and "call_id" in event["item"]:
            calls.append(event["item"]["call_id"])
        if event["type"] in ("response.completed", "response.failed", "error"):
            return event, calls
    return {}, calls


def messages_from(reader: Any) -> Iterator[JsonObject]:
    while head := reader.read(2):
        size = head[1] & 127
        if size >= 126:
            size = int.from_bytes(reader.read(2 if size == 126 else 8))
        yield json.loads(reader.read(size))


def frame(message: JsonObject) -> bytes:
    """One text message of a client, with a mask of zeros."""
    data = json.dumps(message).encode()
    return struct.pack("!BBQ", 0x81, 0x80 | 127, len(data)) + bytes(4) + data


def compress(body: bytes) -> bytes:
    if sys.version_info >= (3, 14):
        from compression import zstd
    else:
        from backports import zstd
    return bytes(zstd.compress(body))


# Recording: what a real client sends, with its texts cut short and without ids.

_LONGEST, _WORDS = 160, 10


def record(program: str) -> JsonObject:
    """The recording of a real client; runs it as `codexapi drift` does."""
    from codexapi_cli.drift import survey
    from codexapi_cli.drift.official_client import bundled_catalogue, find
    from codexapi_cli.drift.picture import paths
    from codexapi_cli.drift.requests import MESSAGE, UPGRADE
    from codexapi_http.server.beside import serving_api

    targets = {
        "models": ("GET", "/models?client_version=VERSION"),
        "responses": ("POST", "/responses"),
        "search": ("POST", "/alpha/search"),
        "image": ("POST", "/images/generations"),
        UPGRADE: ("GET", UPGRADE),
    }

    async def run() -> JsonObject:
        client = await find(program)
        runs = [
            await survey.run_turns(client, serving_api, sockets=sockets)
            for sockets in (True, False)
        ]
        requests: list[JsonObject] = []
        known: set[tuple[str, str]] = set()
        for one in (one for run in runs for one in run.sent):
            names = {*paths(one.body or {}), *dict(one.headers)}
            news = {(one.kind, name) for name in names} - known
            known |= news
            if one.kind == MESSAGE:
                requests[-1]["messages"].append(shortened(one.body))
            elif news:
                method, target = targets[one.kind]
                headers = [[name, hidden(name, value)] for name, value in one.headers]
                body = shortened(one.body)
                requests.append({
                    "method": method, "target": target.replace("VERSION", client.version),
                    "headers": headers, "body": body, "messages": [],
                })  # fmt: skip
        models = (await bundled_catalogue(client))["models"]
        models = [{**shortened(model), "model_messages": None} for model in models]
        return {"version": client.version, "catalogue": models, "requests": requests}

    return asyncio.run(run())


def hidden(name: str, value: str) -> str:
    return "Bearer none" if name == "authorization" else value


def shortened(value: Any) -> Any:
    """Without the texts of the client: its prompts, its schemas, and all but one tool of a kind."""
    if isinstance(value, list):
        members = [shortened(member) for member in value]
        tools = {one.get("type"): one for one in reversed(members) if is_tool(one)}
        return [*reversed(tools.values())] if tools else members
    if isinstance(value, dict):
        empty = {"parameters": {"type": "object", "properties": {}}}
        return {
            name: empty.get(name)
            or shortened(inside[:_WORDS] if is_prose(name, inside) else inside)
            for name, inside in value.items()
        }
    if isinstance(value, str) and not value.startswith(("{", "data:", "[[")):
        return value[:_LONGEST]
    return value


def is_prose(name: str, value: Any) -> bool:
    """Whether it is a text of the client's own: what its model is told."""
    fields = ("text", "description", "definition", "base_instructions")
    return name in fields and isinstance(value, str) and "[[" not in value


def is_tool(value: Any) -> bool:
    return isinstance(value, dict) and "description" in value and "type" in value


def lines(recording: JsonObject) -> str:
    """As JSON, one request or model on a line."""
    parts = [f'"version": {json.dumps(recording["version"])}']
    for name in ("catalogue", "requests"):
        rows = ",\n".join(json.dumps(row) for row in recording[name])
        parts.append(f'"{name}": [\n{rows}\n]')
    return "{\n" + ",\n".join(parts) + "\n}\n"


if __name__ == "__main__":
    if len(sys.argv) == 2:
        RECORDING.write_text(lines(record(sys.argv[1])))
    else:
        Client(**json.loads(sys.argv[1])).run(sys.argv[2:])
