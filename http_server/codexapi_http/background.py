"""Background responses: each runs without a client to its end, its cancellation or the server's.

Its events are recorded, so that clients can follow them from any event on, and disconnect freely.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Iterable
from functools import partial

from codexapi_engine import Codex, CodexError, Unavailable
from codexapi_engine.bounds import HEARTBEAT_INTERVAL, MAX_JOB_BYTES
from codexapi_engine.errors import JsonObject, copy_of
from codexapi_engine.http.event_stream import OnEvents
from codexapi_engine.protocol import Event, responses
from codexapi_engine.protocol.event_log import EventLog, events_of
from codexapi_engine.storage import Owner, State, Turn, new_id

from .middleware.request_log import Entry, current
from .pump import translate
from .requests import ended

TRIES = 24
"""How often the end of a run is written where another program holds the state file's lock. Each waits
its time: together they outlast a backup of some minutes."""

FIRST_PAUSE = 0.05
"""Seconds between the first two of those; each is twice the one before, up to a beat."""

log = logging.getLogger("codexapi.http")


class Background:
    """The runs of this process. Close it at the end: what is then still running has failed."""

    def __init__(self, codex: Codex, state: State, *, interval: float = HEARTBEAT_INTERVAL) -> None:
        # set once
        self._codex = codex
        self._state = state
        self._interval = interval
        # moves
        self._jobs: dict[str, Job] = {}
        self._starting: set[asyncio.Task[Job]] = set()
        self._stopping: set[asyncio.Task[None]] = set()
        self._beating: asyncio.Task[None] | None = None

    async def start(
        self,
        request: JsonObject,
        items: list[JsonObject],
        sent: JsonObject,
        *,
        created: int,
        owner: Owner,
    ) -> Job:
        """Starts a background response. `request` is the client's body, `items` its input, `sent` the
        backend's request, and `owner` its account and model, by the current login. Raises
        Unavailable, with nothing sent, where the response cannot be stored."""
        starting = asyncio.create_task(self._start(request, items, sent, created, owner))
        self._starting.add(starting)
        starting.add_done_callback(self._starting.discard)
        return await asyncio.shield(starting)  # a client that leaves ends no run

    def job(self, name: str) -> Job | None:
        """The run of a response, while it runs."""
        return self._jobs.get(name)

    async def end(self, *names: str) -> None:
        """Ends the streams of these responses, if they run here. Their status is not changed."""
        tasks = [job.task for name in names if (job := self._jobs.get(name)) and job.task]
        if tasks:
            await ended(*tasks)

    async def cancel(self, name: str) -> JsonObject:
        """Cancels a response, and ends its stream if it runs here. Raises CodexError."""
        kept = self._state.responses
        response: JsonObject = await self._state.in_thread(partial(kept.cancel, name))
        await self.end(name)
        return response

    async def aclose(self) -> None:
        await asyncio.gather(*self._starting, *self._stopping, return_exceptions=True)
        await self.end(*self._jobs)
        if self._beating is not None:
            await ended(self._beating)

    async def _start(
        self,
        request: JsonObject,
        items: list[JsonObject],
        sent: JsonObject,
        created: int,
        owner: Owner,
    ) -> Job:
        name = new_id("resp")
        queued = responses.from_response({"status": "queued"}, request, created, name)
        kept = self._state.responses
        await self._state.in_thread(partial(kept.begin, queued, items, owner=owner))
        stream = responses.ResponseStream(request, created=created, name=name)
        job = self._jobs[name] = Job(queued, stream, owner)
        job.task = asyncio.create_task(self._run_job(job, request, items, sent))
        job.task.add_done_callback(_tell_bug)
        if self._beating is None or self._beating.done():
            self._beating = asyncio.create_task(self._send_heartbeats())
        return job

    async def _run_job(
        self, job: Job, request: JsonObject, items: list[JsonObject], sent: JsonObject
    ) -> None:
        entry = current()
        entry.stop = partial(self._begin_stop, job.name, entry)

        def finish() -> bool:
            turn = Turn(request, items, job.response, job.owner)
            return self._state.settle(turn, job.event_log)

        try:
            await self._play(job, sent)
            await self._persist(finish)
        except CodexError as error:
            # Its words may quote the request.
            log.warning("a response in the background failed: %s", error.known_code)
            job.fail(error)
            failed = responses.failed(job.response, error)
            await self._persist(partial(self._state.responses.settle, failed, job.event_log))
        except BaseException:
            if job.stream.finished:
                await self._persist(finish, tries=1)
                raise
            why = CodexError("the server went down", code="server_error")
            failed = responses.failed(job.response, why)
            if not await self._persist(partial(self._state.responses.settle, failed), tries=1):
                why = CodexError("the response was cancelled", code="response_cancelled")
            job.fail(why)
            raise
        finally:
            del self._jobs[job.name]
            job.end()
            entry.stop = None

    def _begin_stop(self, name: str, entry: Entry) -> None:
        entry.code = "stopped"  # before the run ends: the entry is shown from then on
        task = asyncio.create_task(self._stop(name))
        self._stopping.add(task)
        task.add_done_callback(self._stopping.discard)

    async def _stop(self, name: str) -> None:
        try:
            await self.cancel(name)
        except CodexError as error:  # it has ended by now, or the state cannot be used
            log.warning("a response in the background was not stopped: %s", error.known_code)

    async def _play(self, job: Job, sent: JsonObject) -> None:
        async with await self._codex.open(sent) as events:
            job.owner = job.owner.with_account(events.account)
            begun = False
            while not job.stream.finished:
                batch = await events.batch(coalesce=True)
                job.say(translate(job.stream, batch) if batch else job.stream.close())
                response = job.stream.stored_response
                if response is not None and not begun and not job.stream.finished:
                    begun = True
                    await self._persist(partial(self._state.responses.settle, response), tries=1)

    async def _persist(self, change: Callable[[], bool], *, tries: int = TRIES) -> bool | None:
        """What a change to the state gives; None, and a line in the log, if it cannot be made."""
        pause = FIRST_PAUSE
        for left in reversed(range(tries)):
            try:
                return await self._state.in_thread(change)
            except Unavailable as error:
                if not left:
                    log.warning("a response in the background was not kept: %s", error)
                else:  # a full disk refuses at once, and may not be full for long
                    await asyncio.sleep(min(pause, self._interval))
                    pause *= 2
        return None

    async def _send_heartbeats(self) -> None:
        """Says that this server is alive, and hears what others have cancelled or deleted."""
        while self._jobs:
            await asyncio.sleep(self._interval)
            try:
                await self._state.in_thread(self._state.responses.heartbeat)
                # One that has finished only waits to be written, and may be by now.
                at_work = {name for name, job in self._jobs.items() if not job.stream.finished}
                await self.end(*(at_work - self._state.responses.running(at_work)))
            except CodexError as error:
                log.warning("the state cannot be used: %s", error)


class Job:
    """One backend stream, and its events so far."""

    def __init__(self, queued: JsonObject, stream: responses.ResponseStream, owner: Owner) -> None:
        # set once
        self.queued = queued
        self.name: str = queued["id"]
        self.stream = stream
        self.task: asyncio.Task[None] | None = None
        # moves
        self.owner = owner  # in the end, whose login has signed the request
        self.event_log = EventLog(limit=MAX_JOB_BYTES)
        self.error: CodexError | None = None  # of a stream that failed before its first event
        self.ended = False
        self._news = asyncio.Event()

    @property
    def response(self) -> JsonObject:
        return self.stream.stored_response or self.queued

    def say(self, pieces: Iterable[bytes]) -> None:
        self.event_log.add(list(pieces))
        self._wake()

    def fail(self, error: CodexError) -> None:
        if self.event_log.pieces:
            self.say(self.stream.fail(error))
        else:
            self.error = error

    def end(self) -> None:
        self.ended = True
        self._wake()

    async def news(self) -> None:
        """Returns when there is more in the log, or the run has ended."""
        await self._news.wait()

    def follow(self) -> LiveEvents:
        return LiveEvents(self)

    def _wake(self) -> None:
        news, self._news = self._news, asyncio.Event()
        news.set()


class LiveEvents:
    """What a run says, from its first word on, as batches of events."""

    def __init__(self, job: Job) -> None:
        self._job = job
        self._at = 0

    async def batch(self) -> list[Event]:
        """The next events; empty at the end. Raises CodexError for a stream that failed at once."""
        job = self._job
        while True:
            if job.event_log.overflow:
                raise CodexError("this response is too long to be followed", code="too_long")
            if new := job.event_log.pieces[self._at :]:
                self._at += len(new)
                return events_of(b"".join(new))
            if job.error is not None:
                raise copy_of(job.error)
            if job.ended:
                return []
            await job.news()

    async def push(self, on_events: OnEvents) -> bool:
        """Calls `on_events` with each batch, until it returns False or the run ends; returns
        whether there is more. Raises CodexError as `batch` does."""
        while events := await self.batch():
            if not on_events(events):
                return True
        return False

    async def aclose(self) -> None:
        """The follower has left; the stream goes on."""


class StoredEvents:
    """Events that are all there, as one batch."""

    def __init__(self, events: list[Event]) -> None:
        self._events = events

    async def push(self, on_events: OnEvents) -> bool:
        events, self._events = self._events, []
        if events:
            on_events(events)
        return False

    async def aclose(self) -> None:
        self._events = []


def _tell_bug(task: asyncio.Task[None]) -> None:
    if not task.cancelled() and (bug := task.exception()) is not None:
        log.error("a run in the background ended in a bug", exc_info=bug)
