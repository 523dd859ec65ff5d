"""One run: the processes, the storm, the calm after it, and what the oracles say."""

from __future__ import annotations

import asyncio
import shutil
import tempfile
import time
import traceback
from collections.abc import Awaitable
from contextlib import AsyncExitStack, suppress
from pathlib import Path
from typing import Any

from tests.storm import background, surroundings
from tests.storm.clients import Reply, beginning, fetch, page, question
from tests.storm.editor import Editor
from tests.storm.growth import Size, until
from tests.storm.oracles import (
    Call,
    Command,
    Record,
    read,
    the_login_is_complete,
    violations,
)
from tests.storm.processes import PATIENCE, Nursery, Process
from tests.storm.scene import MODEL, Scene
from tests.storm.schedule import Parameters, Step, schedule
from tests.storm.sessions import HttpEditor
from tests.storm.surroundings import Disk

from codexapi_engine.errors import CodexError
from codexapi_engine.simulator.backend import LIFETIME

BOUND = 240.0
"""Seconds in which a run is over, or the driver hangs."""


class Storm(Scene):
    """What is done to the processes of one run, and what is looked at when it is over."""

    async def play(self) -> list[str]:
        async with AsyncExitStack() as stack:
            self._disks = {
                "home": Disk(self.home, "1m"), "state": Disk(self._disk, "24m"),
            }  # fmt: skip
            for disk in self._disks.values():
                stack.callback(disk.close)
            self._logs.mkdir()
            self._store.prepare()
            await self._port.open()
            stack.push_async_callback(self._port.aclose)
            stack.callback(self._kill_all)
            self._store.put(self._books.new_login())
            await self._start_server()
            await self._start_editor()
            await self._start_http_editor()
            before = await self._measure()
            self._books.lifetime = self._plan.lifetime
            self._store.put(self._books.new_login())
            await self._blow()
            await self._settle(before)
            return violations(self.record)

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
        reply.socket &= reply.door == "responses"
        reply.stream |= reply.socket
        reply.background &= reply.door == "responses" and reply.store and not reply.socket
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

    async def _fetch(
        self, reply: Reply, request: bytes, at: tuple[Process, int] | None = None
    ) -> Reply:
        server, port = at or self._open  # by which a new one is not, before it is ready
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

    async def _call(
        self,
        step: Step,
        tool: str,
        road: str,
        session: str,
        script: str,
        cancel: bool,
        after: float,
    ) -> None:
        mark, prompt = self._prompt(step, script)
        name = "generate_image" if tool == "image" else tool
        arguments = {"prompt": prompt} if name.startswith("generate") else {}
        moment = after if cancel else None
        editor, http = self._editor, self._http
        process = editor.process if road == "stdio" else http.process
        call = Call(process, name, mark, was_cancelled=cancel)
        self.record.calls.append(call)
        with suppress(TimeoutError):
            async with asyncio.timeout(PATIENCE + 15):
                if road == "stdio":
                    call.answer = await editor.call(name, arguments, moment)
                else:
                    call.answer = await http.call(name, arguments, moment, session)

    async def _detach(self, step: Step, script: str, signal: str) -> None:
        """A server in the background is started, asked, and stopped."""
        start = await self._start(f"detach-{step.number}", "serve", "--detach", "--port", "0")
        self.record.commands.append(Command(start, "detach", b"", None))
        await self._end(start)
        if (server := background.found(start, self._nursery)) is None:
            return
        self.record.processes.append(server.server)
        self.record.backgrounds.append(server)
        mark, prompt = self._prompt(step, script)
        reply = Reply(f"detach {step.number}", mark, "responses", stream=True)
        sent = asyncio.ensure_future(
            self._fetch(reply, question(reply, MODEL, prompt, None), (server.server, server.port))
        )
        if signal:
            self._send(server.server, signal)
        await sent
        await self._stop_background(server)

    async def _stop_background(self, server: background.Background) -> None:
        """By `stop`; by a signal where that cannot find it, or it is to end anyway."""
        if server.server.signals:
            await self._end(server.server)
        server.was_alive = server.server.is_alive
        server.stop = await self._start(
            f"{server.start.name}-stop", "stop", "--port", str(server.port)
        )
        self.record.commands.append(Command(server.stop, "stop", b"", None))
        await self._end(server.stop)
        await server.server.end(1.0)
        server.is_alive = server.server.is_alive
        server.server.signal("TERM")
        await self._end(server.server)

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
            if kind == "read-only":
                await disk.protect()
            else:
                if kind == "quota":
                    self._quota_file.touch()
                disk.fill()
            await asyncio.sleep(seconds)
        finally:
            disk.free()
            self._quota_file.unlink(missing_ok=True)
            # Until it is saved again, which takes ten seconds and a request, a pair is in memory.
            self.record.excuses.append((began, float("inf")))

    def _target(self, to: str) -> Process:
        targets = {"server": self._server, "mcp": self._editor.process}
        return targets.get(to, self._http.process)

    async def _signal(self, step: Step, to: str, name: str) -> None:
        process = self._target(to)
        self._send(process, name)
        async with self._restarting:
            await self._end(process)
            if process is self._server:
                await self._start_server()
            elif process is self._editor.process:
                self._hear(self._editor)
                await self._start_editor()
            elif process is self._http.process:
                self._hear(self._http)
                await self._start_http_editor()

    def _hear(self, editor: Editor | HttpEditor) -> None:
        """What an editor has seen, when its server is over."""
        self.record.heard.append(editor.heard)
        self.record.problems += editor.problems

    async def _stop(self, step: Step, to: str, seconds: float) -> None:
        process = self._target(to)
        process.signal("STOP")
        await asyncio.sleep(seconds)
        process.signal("CONT")

    async def _codex(self, step: Step) -> None:
        with suppress(OSError, TimeoutError):
            await surroundings.renew_as_codex(self.home, self._store, self._port)

    async def _login(self, step: Step) -> None:
        self._store.put(self._books.new_login())

    # The calm

    async def _measure(self) -> list[Size]:
        """Of the servers, when each has answered once."""
        for stream in (True, False):
            await self._ask_calmly(f"first {stream}", stream)
        await self._call_editors(first=True)
        return [Size.of(each) for each in (self._server, self._editor.process, self._http.process)]

    async def _ask_calmly(self, label: str, stream: bool) -> None:
        mark = f"canary-prompt-{self._plan.seed}-99{stream:d}-{label.startswith('first'):d}"
        reply = Reply(label, mark.encode(), "responses", stream, store=True)
        await self._fetch(reply, question(reply, MODEL, mark, None))
        if _is_acknowledged(reply):
            self._kept.append(reply)
        else:
            self.record.problems.append(f"{label}: {reply!r:.500}")

    async def _settle(self, before: list[Size]) -> None:
        """All faults are over: everything works, nothing has grown, and ends when it is told to."""
        self._books.token_faults.clear()
        self._books.lifetime = LIFETIME
        # The oracle that looks at the login wants it as the storm has left it.
        self.record.problems += _early(self.record)
        self._store.put(self._books.new_login())
        await self._ask_calmly("calm stream", True)
        await self._ask_calmly("calm", False)
        await self._call_editors()
        await self._check_growth(before)
        await self._check_editors()
        await self._check_end(self._server)
        await self._check_kept()

    async def _call_editors(self, *, first: bool = False) -> None:
        editors: list[Editor | HttpEditor] = [self._editor, self._http]
        for number, editor in enumerate(editors):
            mark = f"canary-prompt-{self._plan.seed}-998-{number}{first:d}"
            call = Call(editor.process, "generate_text", mark.encode())
            with suppress(TimeoutError):
                async with asyncio.timeout(PATIENCE):
                    call.answer = await editor.call("generate_text", {"prompt": mark})
            self.record.calls.append(call)
            if call.answer is None or call.answer["result"].get("isError"):
                self.record.problems.append(f"MCP in the calm: {call.answer}")

    async def _check_editors(self) -> None:
        self._hear(self._editor)
        self._hear(self._http)
        await self._editor.close()
        code = await self._editor.process.end(0)
        if code != 0:
            self.record.problems.append(f"`mcp serve`: {code} after its stdin has ended")
        await self._check_end(self._http.process)

    async def _check_end(self, process: Process) -> None:
        process.signal("TERM")
        await self._end(process)
        if process.is_alive or process.ended.result() != 143:
            self.record.problems.append(f"{process.name}: not 143 after TERM")

    async def _check_growth(self, before: list[Size]) -> None:
        if not await until(lambda: not self._books.open_streams):
            self.record.problems.append(f"{self._books.open_streams} streams are left open")
        self._port.reset()
        for size in before:
            self.record.problems += await size.growth()

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
