"""Runs an endpoint, and cancels it when its client disconnects, its user stops it or the server goes down."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any

from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from codexapi_engine import CodexError
from codexapi_engine.errors import JsonObject

from .errors import codex_error, interruption
from .middleware.request_log import CLIENT_LEFT, current
from .pump import EventStreamResponse
from .requests import json_body
from .server.lifecycle import Shutdown
from .server.uvicorn_protocol import client_of

Working = Coroutine[Any, Any, Response]


class Endpoint:
    """An ASGI application out of a function that works on a request.

    `begin` reads what it has to of the request, and gives the work on it. That is cancelled when
    the client disconnects, and when the server stops. `reads`: the complete body, if any.
    """

    def __init__(
        self,
        begin: Callable[[Request], Awaitable[Working]],
        work: Callable[..., Working],
        *,
        reads: bool = True,
    ) -> None:
        self._begin = begin
        self._reads = reads
        self.__name__, self.__doc__ = work.__name__, work.__doc__

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        request = Request(scope, receive)
        response: Response | None
        try:
            response = await self._answered(request, send)
        except ClientDisconnect:
            response = Response(status_code=CLIENT_LEFT)  # not sent: the client has disconnected
        except CodexError as error:
            response = await codex_error(request, error)
        finally:
            scope["app"].state.bodies.release(scope)
        if response is not None:
            await response(scope, receive, send)

    async def _answered(self, request: Request, send: Send) -> Response | None:
        """The answer; None if it has been sent, as a stream. Not in a task of its own, which would
        cost more than all that is done here."""
        work, stream = await self._begin(request), None
        cut = CancelOnDisconnect(request, self._reads)
        try:
            if cut.late:
                work.close()
                raise ClientDisconnect
            response = await work
            if not isinstance(response, EventStreamResponse):
                return response
            stream = response
            await stream(request.scope, request.receive, send)
            return None
        except asyncio.CancelledError:
            if not cut.done:
                raise
        finally:
            cut.withdraw()
        if stream is not None and stream.committed:
            return None
        raise (cut.by_us and interruption(cut.shutdown)) or cut.why()


def posted(work: Callable[[Request, JsonObject], Working]) -> Endpoint:
    """An endpoint out of a function of the request and its JSON body."""

    async def begin(request: Request) -> Working:
        return work(request, await json_body(request))

    return Endpoint(begin, work)


def got(work: Callable[[Request], Working]) -> Endpoint:
    """An endpoint out of a function of the request alone."""

    async def begin(request: Request) -> Working:
        return work(request)

    return Endpoint(begin, work, reads=False)


class CancelOnDisconnect:
    """Cancels the task that makes it when its client leaves, its user stops it or the server has to
    go down, and only then. An unread body is read meanwhile, and dropped."""

    def __init__(self, request: Request, has_body: bool) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._task = task
        self.done = self.by_us = False
        self.shutdown: Shutdown = request.app.state.shutdown
        self.shutdown.watch(self._end)
        self._entry = current()
        self._entry.stop = self._end
        self._client = client_of(request.scope) if has_body else None
        self._gone: asyncio.Task[None] | None = None
        self.late = self._client is not None and self._client.gone  # it left before all this
        if self._client is not None:
            self._client.on_leave = self._cancel
        else:
            self._gone = asyncio.create_task(_left(request.receive))
            self._gone.add_done_callback(self._cancel)

    def why(self) -> BaseException:
        """Why the client is not there any more: it has left, or stopped in the middle of a body."""
        error = self._gone.exception() if self._gone is not None else None
        return error or ClientDisconnect()

    def withdraw(self) -> None:
        self.shutdown.unwatch(self._end)
        if self._entry.stop == self._end:  # else of the response that goes on in the background
            self._entry.stop = None
        if self._client is not None:
            self._client.on_leave = None
        if self._gone is not None:
            self._gone.remove_done_callback(self._cancel)
            self._gone.cancel()
        if self.done:
            self._task.uncancel()
        self.done = True  # a callback may be under way already

    def _end(self) -> None:
        if not self.done:
            self.by_us = True
            self._cancel()

    def _cancel(self, gone: object = None) -> None:
        if not self.done:
            self.done = True
            self._task.cancel()


async def _left(receive: Receive) -> None:
    """Returns when the client has left."""
    while (await receive())["type"] != "http.disconnect":
        pass
