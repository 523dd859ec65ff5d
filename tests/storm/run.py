"""One run: the processes, the storm, the calm after it, and what the oracles say."""

from __future__ import annotations

import asyncio
import shutil
import tempfile
import time
import traceback
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack, suppress
from pathlib import Path
from typing import Any

from tests.fork_server import CLOCK
from tests.storm import surroundings
from tests.storm.backend import Books, Port
from tests.storm.clients import KEY, Reply, beginning, fetch, page, question
from tests.storm.editor import Editor
from tests.storm.oracles import (
    DEADLY,
    Call,
    Command,
    Record,
    read,
    the_login_is_complete,
    violations,
)
from tests.storm.processes import PATIENCE, Nursery, Process, line_of
from tests.storm.schedule import Parameters, Schedule, Step, schedule
from tests.storm.surroundings import Disk

from codexapi_engine.errors import CodexError
from codexapi_engine.simulator.backend import LIFETIME, catalogue

MODEL: str = catalogue()[0]["slug"]
MORE_MEMORY = 64 << 20
"""Bytes by which a server may have grown after the storm: it has drawn pictures by then."""

MORE_DESCRIPTORS = 4
"""Descriptors that it may have beside those of the beginning, when the backend has closed all
connections that waited for another request."""

BOUND = 240.0
"""Seconds in which a run is over, or the driver hangs."""


class Storm:
    """The processes of one run, and what is done to them."""

    def __init__(self, plan: Schedule, nursery: Nursery, folder: Path) -> None:
        self._plan = plan
        self._nursery = nursery
        self._folder = folder
        self.home = folder / "home"
        self._disk = folder / "disk"
        self._logs = folder / "logs"
        self._clock_file = folder / "clock"
        self._books = Books(plan.seed)
        self._port = Port(self._books)
        history = self._disk / "state" / "history.db"
        self.record = Record(self._books, self.home, folder, history)
        self._kept: list[Reply] = []  # acknowledged as stored
        self._restarting = asyncio.Lock()
        self._away = asyncio.Lock()
        self._starts = 0

    async def play(self) -> list[str]:
        async with AsyncExitStack() as stack:
            self._disks = {
                "home": Disk(self.home, "1m"), "state": Disk(self._disk, "24m"),
            }  # fmt: skip
            for disk in self._disks.values():
                stack.callback(disk.close)
            self._logs.mkdir()
            await self._port.open()
            stack.push_async_callback(self._port.aclose)
            stack.callback(self._kill_all)
            surroundings.put_login(self.home, self._books.new_login())
            await self._start_server()
            await self._start_editor()
            before = await self._measure()
            self._books.lifetime = self._plan.lifetime
            surroundings.put_login(self.home, self._books.new_login())
            await self._blow()
            await self._settle(before)
            return violations(self.record)

    # The processes

    @property
    def _env(self) -> dict[str, str]:
        return {
            "CODEX_HOME": str(self.home),
            "CODEXAPI_BASE_URL": f"{self._port.url}/backend-api/codex",
            "CODEX_REFRESH_TOKEN_URL_OVERRIDE": f"{self._port.url}/oauth/token",
            "CODEXAPI_STATE_DIR": str(self._disk / "state"),
            "CODEXAPI_IMAGE_DIR": str(self._disk / "pictures"),
            "CODEXAPI_TIMEOUT": "1.5",
            "CODEXAPI_MODEL": MODEL,
            CLOCK: str(self._clock_file),
        }

    async def _start(self, name: str, *arguments: str, fresh: bool = False) -> Process:
        env = {**self._env, "CODEXAPI_API_KEY": KEY} if "serve" in arguments else self._env
        process = await self._nursery.start(
            name, *arguments, env=env, folder=self._logs, fresh=fresh
        )
        self.record.processes.append(process)
        return process

    async def _start_server(self) -> None:
        """Again and again, where it does not start: the disk may be full."""
        for _ in range(40):
            self._starts += 1
            self._server = await self._start(
                f"serve-{self._starts}", "serve", "--port", "0", "--state",
                str(self._disk / "kept" / "state.db"),
            )  # fmt: skip
            ready = await line_of(self._server, r"codexapi ready on http://\S+:(\d+)")
            if ready:
                self._open = self._server, int(ready[1])
                return
            if not (self._server.signals or self._server.complaint().startswith("codexapi: ")):
                break
            await asyncio.sleep(0.1)
        raise RuntimeError(f"the server does not start: {self._server.complaint()}")

    async def _start_editor(self) -> None:
        self._starts += 1
        self._editor = await Editor.start(
            self._nursery, f"mcp-{self._starts}", env=self._env, folder=self._logs
        )
        self.record.processes.append(self._editor.process)

    async def _end(self, process: Process) -> None:
        """Waits for a process that was told to end."""
        if await process.end() is None:
            about = f"{process.name} has not ended {PATIENCE:g} s after {process.signals}"
            process.signal("USR1")
            await process.end(0.5)
            self.record.problems.append(f"{about}: {process.complaint()[-2000:]}")
            process.signal("KILL")

    def _kill_all(self) -> None:
        for process in self.record.processes:
            process.signal("CONT")
            process.signal("KILL")

    # The storm

    async def _blow(self) -> None:
        began, tasks = asyncio.get_running_loop().time(), []
        for step in self._plan.steps:
            await asyncio.sleep(began + step.at - asyncio.get_running_loop().time())
            kind = "disk_fault" if step.kind == "disk" else step.kind
            work: Awaitable[None] = getattr(self, f"_{kind}")(step, **step.parameters)
            tasks.append(asyncio.ensure_future(work))
        await asyncio.gather(*tasks)

    def _prompt(self, step: Step, script: str, number: int = 0) -> tuple[bytes, str]:
        mark = f"canary-prompt-{self._plan.seed}-{step.number}-{number}"
        return mark.encode(), f"{mark} {script}"

    async def _ask(self, step: Step, questions: tuple[Parameters, ...]) -> None:
        await asyncio.gather(
            *(self._question(step, number, **each) for number, each in enumerate(questions))
        )

    async def _question(
        self, step: Step, number: int, script: str, chain: bool, **parameters: Any
    ) -> None:
        mark, prompt = self._prompt(step, script, number)
        reply = Reply(f"ask {step.number}-{number}", mark, **parameters)
        reply.background &= reply.door == "responses" and reply.store
        previous = [
            kept
            for kept in self._kept
            if kept.door == "responses"
            and kept.store
            and not (kept.background or kept.conversation)
        ]
        before = _id(previous[-1]) if previous and chain else None
        await self._fetch(reply, question(reply, MODEL, prompt, before))
        if (reply.store or reply.conversation) and _is_acknowledged(reply):
            self._kept.append(reply)

    async def _converse(self, step: Step, questions: tuple[Parameters, ...]) -> None:
        begun = await self._fetch(Reply(f"converse {step.number}"), beginning())
        if begun.status != 200 or not begun.is_complete:
            return
        await asyncio.gather(
            *(
                self._question(step, number, conversation=begun.json["id"], **each)
                for number, each in enumerate(questions)
            )
        )

    async def _visit(self, step: Step, path: str, client: str) -> None:
        await self._fetch(Reply(f"visit {step.number}", client=client), page(path))

    async def _fetch(self, reply: Reply, request: bytes) -> Reply:
        server, port = self._open  # by which a new one is not, before it is ready
        self.record.servers[reply.label] = server
        self.record.replies.append(reply)
        return await fetch(reply, port, request)

    async def _run(
        self,
        step: Step,
        command: str,
        count: int,
        script: str,
        fresh: bool,
        signal: str,
        after: float,
    ) -> None:
        await asyncio.gather(
            *(
                self._command(step, command, number, script, fresh, signal, after)
                for number in range(count)
            )
        )

    async def _command(
        self,
        step: Step,
        kind: str,
        number: int,
        script: str,
        fresh: bool,
        signal: str,
        after: float,
    ) -> None:
        mark, prompt = self._prompt(step, script, number)
        name = f"cli-{step.number}-{number}"
        output = {"image": self._disk / f"{name}.png", "file": self._disk / f"{name}.txt"}.get(kind)
        arguments = {
            "chat": ["chat", prompt], "continue": ["chat", "-c", prompt], "history": ["history"],
            "models": ["models"], "status": ["status"],
            "image": ["image", prompt, "-o", str(output)], "file": ["chat", prompt, "-o", str(output)],
        }[kind]  # fmt: skip
        process = await self._start(name, *arguments, fresh=fresh)
        self.record.commands.append(Command(process, kind, mark, output))
        if signal:
            await process.end(after)
            self._send(process, signal)
        await self._end(process)

    async def _call(self, step: Step, tool: str, script: str, cancel: bool, after: float) -> None:
        mark, prompt = self._prompt(step, script)
        name = "generate_image" if tool == "image" else tool
        arguments = {"prompt": prompt} if name.startswith("generate") else {}
        editor = self._editor
        call = Call(editor.process, name, mark, was_cancelled=cancel)
        self.record.calls.append(call)
        with suppress(TimeoutError):
            async with asyncio.timeout(PATIENCE + 15):
                call.answer = await editor.call(name, arguments, after if cancel else None)

    async def _backend(self, step: Step, fault: str, seconds: float) -> None:
        if fault == "away":
            self._excuse(lambda: None)
            async with self._away:
                self._port.close()
                await asyncio.sleep(seconds)
                await self._port.open()
        elif fault == "reset":
            self._excuse(self._port.reset)
        else:
            self._books.may_answer.clear()
            await asyncio.sleep(seconds)
            self._books.may_answer.set()

    async def _token(self, step: Step, fault: str, seconds: float, count: int) -> None:
        self._books.token_faults.extend([(fault, seconds)] * count)

    async def _expire(self, step: Step, lifetime: float) -> None:
        self._books.lifetime = lifetime
        self._books.accounts.invalidate()

    async def _clock(self, step: Step, ahead: float, seconds: float) -> None:
        self._clock_file.write_text(str(ahead))
        await asyncio.sleep(seconds)
        self._clock_file.write_text("0")

    async def _lock(self, step: Step, name: str, seconds: float) -> None:
        folders = {"state.db": self._disk / "kept", "history.db": self._disk / "state"}
        await surroundings.hold(folders.get(name, self.home) / name, seconds)

    async def _disk_fault(self, step: Step, fault: str, seconds: float) -> None:
        name, _, kind = fault.partition(" ")
        disk = self._disks[name]
        if not disk.has_faults:
            return
        began = time.monotonic()
        try:
            if kind == "full":
                disk.fill()
            else:
                await disk.protect()
            await asyncio.sleep(seconds)
        finally:
            disk.free()
            # Until it is saved again, which takes ten seconds and a request, a pair is in memory.
            self.record.excuses.append((began, float("inf")))

    async def _signal(self, step: Step, to: str, name: str) -> None:
        process = self._server if to == "server" else self._editor.process
        self._send(process, name)
        async with self._restarting:
            await self._end(process)
            if to == "server" and process is self._server:
                await self._start_server()
            elif process is self._editor.process:
                self.record.heard.append(self._editor.heard)
                self.record.problems += self._editor.problems
                await self._start_editor()

    async def _stop(self, step: Step, to: str, seconds: float) -> None:
        process = self._server if to == "server" else self._editor.process
        process.signal("STOP")
        await asyncio.sleep(seconds)
        process.signal("CONT")

    async def _codex(self, step: Step) -> None:
        with suppress(OSError, TimeoutError):
            await surroundings.renew_as_codex(self.home, self._port)

    async def _login(self, step: Step) -> None:
        surroundings.put_login(self.home, self._books.new_login())

    def _send(self, process: Process, name: str) -> None:
        """A second signal does not wait for a renewal, and a kill for nothing."""
        process.signal(name)
        if name == "KILL" or len(DEADLY & set(process.signals)) > 1:
            self._excuse(lambda: None)

    def _excuse(self, act: Any) -> None:
        now = time.monotonic()
        act()
        self.record.excuses.append((now - 0.5, now + 2.0))

    # The calm

    async def _measure(self) -> tuple[Process, int, int]:
        """Memory and descriptors of the server, when it has answered once."""
        for stream in (True, False):
            await self._ask_calmly(f"first {stream}", stream)
        return self._server, self._server.memory(), self._server.descriptors()

    async def _ask_calmly(self, label: str, stream: bool) -> None:
        mark = f"canary-prompt-{self._plan.seed}-99{stream:d}-{label.startswith('first'):d}"
        reply = Reply(label, mark.encode(), "responses", stream, store=True)
        await self._fetch(reply, question(reply, MODEL, mark, None))
        if _is_acknowledged(reply):
            self._kept.append(reply)
        else:
            self.record.problems.append(f"{label}: {reply!r:.500}")

    async def _settle(self, before: tuple[Process, int, int]) -> None:
        """All faults are over: everything works, nothing has grown, and ends when it is told to."""
        self._books.token_faults.clear()
        self._books.lifetime = LIFETIME
        # The oracle that looks at the login wants it as the storm has left it.
        self.record.problems += _early(self.record)
        surroundings.put_login(self.home, self._books.new_login())
        await self._ask_calmly("calm stream", True)
        await self._ask_calmly("calm", False)
        await self._check_editor()
        await self._check_growth(before)
        self._server.signal("TERM")
        await self._end(self._server)
        if self._server.is_alive or self._server.ended.result() != 143:
            self.record.problems.append(f"{self._server.name}: not 143 after TERM")
        await self._check_kept()

    async def _check_editor(self) -> None:
        mark = f"canary-prompt-{self._plan.seed}-998-0"
        call = Call(self._editor.process, "generate_text", mark.encode())
        with suppress(TimeoutError):
            async with asyncio.timeout(PATIENCE):
                call.answer = await self._editor.call("generate_text", {"prompt": mark})
        self.record.calls.append(call)
        if call.answer is None or call.answer["result"].get("isError"):
            self.record.problems.append(f"MCP in the calm: {call.answer}")
        await self._editor.close()
        code = await self._editor.process.end(0)
        if code != 0:
            self.record.problems.append(f"`mcp serve`: {code} after its stdin has ended")
        self.record.heard.append(self._editor.heard)
        self.record.problems += self._editor.problems

    async def _check_growth(self, before: tuple[Process, int, int]) -> None:
        process, memory, descriptors = before
        if not await _until(lambda: not self._books.open_streams):
            self.record.problems.append(f"{self._books.open_streams} streams are left open")
        if process is not self._server:
            return  # another life has begun
        self._port.reset()
        if not await _until(lambda: process.descriptors() <= descriptors + MORE_DESCRIPTORS):
            now = process.descriptors()
            self.record.problems.append(f"the server had {descriptors} descriptors, and has {now}")
        if (size := process.memory()) > memory + MORE_MEMORY:
            self.record.problems.append(f"the server had {memory} bytes, and has {size}")

    async def _check_kept(self) -> None:
        """After another start on the same state file everything is there, but for what the log
        says is not."""
        lost = []
        await self._start_server()
        for reply in self._kept:
            if reply.conversation and not reply.background and not await self._is_said(reply):
                lost.append(f"{reply.label} in its conversation")
                continue
            if not reply.store:
                continue
            path = "chat/completions" if reply.door == "chat" else "responses"
            found = await self._fetch(
                Reply(f"kept {reply.label}"), page(f"/v1/{path}/{_id(reply)}")
            )
            if found.status != 200:
                lost.append(f"{reply.label} ({found.status})")
        logs = [process.complaint() for process in self.record.processes]
        said = sum(log.count("not kept") for log in logs)
        if len(lost) > said:
            self.record.problems.append(
                f"acknowledged as stored, and not there: {lost}; the log tells of {said}"
            )
        self._server.signal("TERM")
        await self._end(self._server)

    async def _is_said(self, reply: Reply) -> bool:
        """Whether a question is in its conversation."""
        path = f"/v1/conversations/{reply.conversation}/items?limit=100"
        found = await self._fetch(Reply(f"items of {reply.label}"), page(path))
        return found.status == 200 and reply.mark in found.body


async def _until(reached: Callable[[], bool], seconds: float = 15.0) -> bool:
    """Whether something becomes true in time. Nobody tells when."""
    until = time.monotonic() + seconds
    while not (now := reached()) and time.monotonic() < until:  # noqa: ASYNC110  (see above)
        await asyncio.sleep(0.05)
    return now


def _early(record: Record) -> list[str]:
    return list(the_login_is_complete(record))


def _id(reply: Reply) -> str:
    if not reply.stream:
        return str(reply.json["id"])
    first = next(line for line in reply.body.split(b"\n") if b'"id":"' in line)
    return first.split(b'"id":"')[1].split(b'"')[0].decode()


def _is_acknowledged(reply: Reply) -> bool:
    """Whether this client knows that its answer is stored."""
    if reply.status != 200 or not reply.is_complete or reply.door == "completions":
        return False
    if reply.background and not reply.stream:
        return True
    try:
        return read(reply).finish is not None
    except (AssertionError, ValueError, KeyError, TypeError, CodexError):
        return False  # which an oracle tells


async def play(seed: int, nursery: Nursery) -> list[str]:
    """Plays a seed, and returns what it has violated."""
    folder = Path(tempfile.mkdtemp(prefix="storm-"))
    storm = Storm(schedule(seed), nursery, folder)
    try:
        async with asyncio.timeout(BOUND):
            return await storm.play()
    except Exception:  # noqa: BLE001  (whatever it is, the driver has failed)
        return [*storm.record.problems, f"the driver: {traceback.format_exc()}"]
    finally:
        shutil.rmtree(folder, ignore_errors=True)
