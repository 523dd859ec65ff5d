"""`Codex`, the client of the Codex backend that all front ends use."""

from __future__ import annotations

import asyncio
import re
import time
import uuid
from collections.abc import Awaitable, Callable, Coroutine, Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Any, Self, TypeVar

from .aside import aside
from .bounds import IMAGE_IDLE_TIMEOUT, TRANSCRIPTION_TIMEOUT
from .catalogue import Catalogue
from .codex_config import named_model
from .errors import CodexError, InvalidRequest, JsonObject, ModelNotFound
from .http.client import Reply, Transport
from .http.concurrency import ConcurrencyLimit
from .http.event_stream import EventStream
from .http.in_process import in_process
from .http.messages import HttpTransport
from .login.location import store_of
from .login.refresh import Login
from .login.store import InMemory, Store
from .protocol import headers as wire
from .protocol import images, json, limits, models, responses
from .protocol.auth_file import Credentials
from .protocol.models import Model
from .protocol.responses.announce import ADDED
from .protocol.responses.items import ENCRYPTED_INPUT, input_without_reasoning
from .protocol.shapes import get_dict
from .recording.switch import RecordingSwitch
from .settings import BASE_URL, Settings
from .storage import Owner, Reasoning
from .telemetry import Observer, RunMetrics
from .unknown import UnknownNames

if TYPE_CHECKING:
    from .images.batch import Batch
    from .images.fetch import Fetcher
    from .protocol.audio import Form

_CANNOT_READ = r"(?i)encrypted content\b.{0,200}? could not be (?:verified|decrypted)"
_SESSIONS = uuid.UUID("b1f0a3c6-5f0e-4d5b-9a3e-6c1d2e7f8a90")

T = TypeVar("T")

Headers = Mapping[str, str]


class Codex:
    """The Codex backend, with one login. Open it once, share it, close it.

    `http` replaces the backend's network, `fetcher` that of pictures by URL and `store` the
    login on disk: all for tests. With `settings.demo` the simulated backend stands in for `http`
    and `store`. `observer` receives the engine's events.
    """

    def __init__(
        self,
        settings: Settings | None = None,
        *,
        http: HttpTransport | None = None,
        store: Store | None = None,
        fetcher: Fetcher | None = None,
        observer: Observer | None = None,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self.settings = settings or Settings.from_env()
        self._clock = clock
        self.observer = observer or Observer()
        self.unknown = UnknownNames(self.observer)
        self._turns = ConcurrencyLimit(self.settings.max_streams)
        if self.settings.demo and http is None:
            http, store = _demo()
            # The simulator answers at the real URL; the user's own setting does not apply.
            self.settings = replace(self.settings, base_url=BASE_URL, token_url=None)
        self._recording = RecordingSwitch(self.settings)
        way = partial(self._recording.way, http)
        self.login = Login(
            store or store_of(self.settings), way, token_url=self.settings.token_url,
            accounts_url=self.settings.accounts_url, version=self.settings.protocol_version,
            observer=self.observer, clock=clock,
        )  # fmt: skip
        self._transport = Transport(
            self.settings, self.login, http=way(self.settings.base_url),
            observer=self.observer, unknown=self.unknown,
        )  # fmt: skip
        self._fetcher = fetcher
        self._catalogue = Catalogue(
            self.settings, self._transport, self._account, clock=clock, unknown=self.unknown
        )
        self.reasoning = Reasoning()
        self.limits: limits.Limits | None = None  # from the newest answer
        self.limits_at: float | None = None  # epoch seconds
        self.usage: limits.Limits | None = None  # from the usage endpoint's newest answer

    async def open(
        self, request: JsonObject, *, caller: Headers | None = None, idle: float | None = None
    ) -> EventStream:
        """Sends a Responses request and returns its events; you close them.

        Its model may be an alias or `slug:effort`. `caller` are the headers of a Codex client, on
        whose request nothing is changed. `idle` is how long the stream may be silent, where
        that is not the settings' to say. Raises CodexError before the first event.
        """
        await self._turns.take()
        return await self._open(request, self._run_metrics(), caller, idle)

    async def _open(
        self, request: JsonObject, watch: RunMetrics, caller: Headers | None, idle: float | None
    ) -> EventStream:
        try:
            stream = await self._send(request, watch, caller, idle)
        except BaseException as error:
            if isinstance(error, CodexError):
                watch.failed(error)
            watch.close()
            raise
        watch.headers = stream.headers
        stream.watch = watch
        return stream

    async def _send(
        self, request: JsonObject, watch: RunMetrics, caller: Headers | None, idle: float | None
    ) -> EventStream:
        if caller and wire.WINDOW in caller:
            body = {**request, "stream": True, "store": False}
            watch.requested(body)
            return await self._open_stream(body, wire.from_codex_client(caller), idle)
        resolve_model, changed = await self.named(request)
        watch.requested(resolve_model)
        body = await aside(json.is_heavy(resolve_model), responses.to_backend, resolve_model)
        headers = wire.affinity(_session(body["prompt_cache_key"]))
        try:
            stream = await self._open_stream(body, headers, idle)
        except CodexError as error:
            items = input_without_reasoning(body.get("input"))
            if items is None or not _is_about_encrypted_content(error):
                raise
        else:
            stream.changed = changed
            return stream
        # Of another account, or of keys that the backend no longer has: it is lost either way, and
        # a client that sent it, or never saw it, would be refused for ever.
        self.observer.retried("encrypted_content")
        stream = await self._open_stream({**body, "input": items}, headers, idle)
        stream.changed = (*changed, ENCRYPTED_INPUT)
        return stream

    async def _open_stream(
        self, body: JsonObject, headers: Headers, idle: float | None
    ) -> EventStream:
        try:
            stream = await self._transport.stream("/responses", body, headers, idle=idle)
        except ModelNotFound as error:
            raise await self._with_suggestions(error, str(body.get("model"))) from error
        except CodexError as error:
            self._learn(error.headers)
            raise
        stream.limits = self._learn(stream.headers)
        return stream

    async def open_all(self, requests: Sequence[JsonObject]) -> list[EventStream]:
        """Several runs at once; you close them all. Raises CodexError if one cannot begin, and
        then none is left open."""
        if len(requests) == 1:
            return [await self.open(requests[0])]
        await self._turns.take(len(requests))
        watches = [self._run_metrics() for _ in requests]
        tasks = [
            asyncio.create_task(self._open(request, watch, None, None))
            for request, watch in zip(requests, watches, strict=True)
        ]
        try:
            return await asyncio.gather(*tasks)
        except BaseException:
            for task in tasks:
                task.cancel()
            for opened in await asyncio.gather(*tasks, return_exceptions=True):
                if isinstance(opened, EventStream):
                    await opened.aclose()
            for watch in watches:
                watch.close()  # a task that was cancelled before it began has not
            raise

    def _run_metrics(self) -> RunMetrics:
        """For one run, whose turn was taken: given back when it is closed, with the run."""
        return RunMetrics(self.observer, self._turns.give)

    async def respond(self, request: JsonObject) -> JsonObject:
        """The finished response, `output` included. Raises CodexError."""
        async with await self.open(request) as stream:
            return await collect_response(stream)

    async def models(self) -> list[Model]:
        """The models of this account, first choice first; kept for minutes."""
        return await self._catalogue.current()

    async def available_models(self) -> list[Model]:
        """The models, for a decision about a request; what there is of them where the list cannot be
        had, and then no request waits for it again for a while."""
        return await self._catalogue.available()

    @property
    def known_models(self) -> list[Model]:
        """What there is of the list now, fresh or not: nobody is asked."""
        return self._catalogue.models

    @property
    def models_etag(self) -> str | None:
        """The ETag that the newest list of models came with: answers name it too."""
        return self._catalogue.etag

    @property
    def models_fetched_at(self) -> float | None:
        """Epoch seconds; None where the list was never had."""
        return self._catalogue.fetched_at

    @property
    def clock_ahead(self) -> float | None:
        """Seconds that this clock is ahead of the backend's, by the `Date` of the model list."""
        return self._catalogue.clock_ahead

    async def owner(self, model: str) -> Owner:
        """Whose a request for this model is, by the login as it stands. An alias wrote nothing."""
        return Owner.of(await self._account(), self.settings.model_aliases.get(model, model))

    async def account(self) -> str:
        """Whose the login is, as a hash, for what no other account may see. Raises CodexError."""
        credentials = await self.login.current()
        if credentials.account_id is None:  # of a token alone it has to be asked for
            credentials = (await self.login.fresh()).credentials
        return Owner.of(credentials.account_id, "").account

    async def model(self, name: str | None = None) -> str:
        """The model to use: the request's, the user's own choice, else the account's first."""
        if chosen := named_model(self.settings, name):
            return chosen
        listed = [model.slug for model in await self.models() if model.listed]
        if not listed:
            raise InvalidRequest("the backend lists no model: name one", param="model")
        return listed[0]

    async def draw(
        self, request: images.ImageRequest, *, partial: Callable[[], None] | None = None
    ) -> images.Images:
        """A picture, or an edit of others: by the backend's own endpoint, and by the hosted tool
        for what that lacks. Takes a minute or two. Raises CodexError.

        `partial` is called for each partial picture; only the tool sends them.
        """
        request = self._drawable(request)
        if not request.needs_the_tool:
            path, body = images.to_backend(request)
            try:
                reply = await self._post(path, body, timeout=IMAGE_IDLE_TIMEOUT)
            except CodexError as error:
                if error.status not in (404, 405) or isinstance(error, ModelNotFound):
                    raise
            else:
                self._learn(reply.headers)
                # 20 MB take 70 ms to decode: not on the loop.
                return self._count_images(
                    await asyncio.to_thread(images.from_backend, reply.json or {})
                )
        async with await self.open_drawing(request) as stream:
            response = await collect_response(stream, partial)
        return self._count_images(await asyncio.to_thread(images.from_response, response))

    async def draw_many(
        self,
        request: images.ImageRequest,
        n: int,
        finish: Callable[[int, images.Images], Awaitable[T]],
        *,
        partial: Callable[[], None] | None = None,
    ) -> Batch[T]:
        """Several pictures, each given to `finish` with its index as soon as it is drawn: what is
        saved there is kept, whatever fails later. Raises the first failure if all fail."""
        from .images.batch import draw_many  # which few programs ask for

        return await draw_many(lambda: self.draw(request, partial=partial), n, finish)

    async def search(self, body: JsonObject, caller: Mapping[str, str]) -> Reply:
        """The answer to a search of a Codex client, whose headers `caller` are. Of the body only a
        model's alias is replaced. Raises CodexError.
        """
        model = body.get("model")
        if isinstance(model, str) and model in self.settings.model_aliases:
            slug, _ = models.resolve(
                await self._catalogue.available(), self.settings.model_aliases, model
            )
            body = {**body, "model": slug}
        try:
            reply = await self._post("/alpha/search", body, wire.from_codex_client(caller))
        except CodexError as error:
            self._learn(error.headers)
            raise
        self._learn(reply.headers)
        return reply

    async def upload(self, form: Form) -> Reply:
        """The answer of the transcription endpoint, to `transcription.py`. Raises CodexError."""
        url = self.settings.transcription_url
        post = self._transport.upload(url, *form, timeout=TRANSCRIPTION_TIMEOUT)
        return await self._count_run(post, {})

    async def _post(
        self,
        path: str,
        body: JsonObject,
        headers: Headers | None = None,
        *,
        timeout: float | None = None,
    ) -> Reply:
        post = self._transport.post(path, body, headers, timeout=timeout)
        return await self._count_run(post, body)

    async def _count_run(self, post: Coroutine[Any, Any, Reply], request: JsonObject) -> Reply:
        """An endpoint that answers at once: a run like any other, but for its one event."""
        try:
            await self._turns.take()
        except BaseException:
            post.close()
            raise
        watch = self._run_metrics()
        watch.requested(request)
        try:
            reply = await post
            watch.headers = reply.headers
            watch.last(reply.json or {})
            return reply
        except CodexError as error:
            watch.failed(error)
            raise
        finally:
            watch.close()

    @property
    def fetcher(self) -> Fetcher:
        """Fetches pictures by URL."""
        from .images.fetch import Fetcher  # which few requests need

        if self._fetcher is None:
            self._fetcher = Fetcher(self.settings)
        return self._fetcher

    def _count_images(self, drawn: images.Images) -> images.Images:
        self.observer.images_generated(len(drawn.images))
        return drawn

    async def open_drawing(self, request: images.ImageRequest) -> EventStream:
        """A run that draws with the hosted tool; you close it. Raises CodexError."""
        return await self.open(
            images.to_responses(self._drawable(request), host=await self.model()),
            idle=IMAGE_IDLE_TIMEOUT,
        )

    def _drawable(self, request: images.ImageRequest) -> images.ImageRequest:
        name = self.settings.model_aliases.get(request.model, request.model)
        return replace(request, model=name).checked()

    async def plan(self) -> limits.Limits:
        """How much of the plan is used, from the usage endpoint."""
        self.usage = limits.from_usage((await self.usage_page()).json or {})
        return self._remember(self.usage)

    async def usage_page(self) -> Reply:
        """The usage endpoint's answer, as it came. Raises CodexError."""
        return await self._transport.fetch(self.settings.usage_url)

    async def catalogue(self) -> Reply:
        """The model list, as it came. Raises CodexError."""
        return await self._catalogue.ask()

    async def credentials(self) -> Credentials:
        """The login as it stands. Raises NotLoggedIn, saying what to run."""
        return await self.login.current()

    async def login_problem(self) -> CodexError | None:
        """Why no request can succeed now, without asking anyone; None if nothing is known."""
        return await self.login.problem()

    async def aclose(self) -> None:
        await self.login.aclose()
        if self._fetcher is not None:
            await self._fetcher.aclose()
        await self._transport.aclose()
        await self._recording.aclose()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.aclose()

    async def _account(self) -> str | None:
        try:
            return (await self.login.current()).account_id
        except CodexError:  # a request then fails, and says why
            return None

    async def named(self, request: JsonObject) -> tuple[JsonObject, tuple[str, ...]]:
        """The request with its model's own name and an effort that this model has, and what of it
        could not stay as it was. An effort that the request gives goes before the name's."""
        name, options = request.get("model"), get_dict(request, "reasoning")
        if not isinstance(name, str):
            return request, ()
        aliases = self.settings.model_aliases
        names_effort = options.get("effort") or ":" in name + aliases.get(name, "")
        known = await self._catalogue.available() if names_effort else []
        slug, effort = models.resolve(known, aliases, name)
        wanted = options.get("effort") or effort
        if not isinstance(wanted, str) or (model := models.find(known, slug)) is None:
            return (request if slug == name else {**request, "model": slug}), ()
        nearest = models.nearest_effort(model, wanted)
        changed = ("reasoning_effort",) if nearest != wanted else ()
        is_unknown = wanted not in (*models.EFFORTS, *model.efforts) and model.efforts
        if is_unknown or (changed and self.settings.strict):
            raise InvalidRequest(
                f"Unsupported value: '{wanted}' is not supported with the model `{slug}`. "
                f"Supported values are: {', '.join(model.efforts)}.",
                code="unsupported_value",
                param="reasoning.effort",
            )
        options = {**options, "effort": models.sent_effort(model, nearest)}
        return {**request, "model": slug, "reasoning": options}, changed

    async def _with_suggestions(self, error: ModelNotFound, name: str) -> ModelNotFound:
        try:
            known = await self.models()
        except CodexError:
            known = []
        hint = models.hint(known, name, named_model(self.settings))
        found = ModelNotFound(
            f"The model `{name}` does not exist or you do not have access to it. "
            f"The backend said: {error.message}{hint.text}",
            param="model",
        )
        found.model, found.instead = name, hint.instead
        return found

    def _learn(self, headers: Mapping[str, str]) -> limits.Limits:
        """Stores the plan's usage and the catalogue's etag from a response's headers."""
        plan_limits = self._remember(limits.from_headers(headers))
        self._catalogue.compare(headers.get("x-models-etag"))
        return plan_limits

    def _remember(self, newest: limits.Limits) -> limits.Limits:
        if newest.primary or newest.secondary:
            self.limits, self.limits_at = newest, self._clock()
        return newest


async def collect_response(
    stream: EventStream,
    partial: Callable[[], None] | None = None,
    *,
    on_item: Callable[[], None] | None = None,
) -> JsonObject:
    """The response at the end of a stream; `partial` is called with each partial picture, and
    `on_item` when an item begins. Raises CodexError."""
    assembler, listeners = responses.Assembler(), {images.PARTIAL: partial, ADDED: on_item}
    while events := await stream.batch(coalesce=True):
        for event in events:
            assembler.feed(event)
            if (listener := listeners.get(event.type)) is not None:
                listener()
    return assembler.finish()


def _is_about_encrypted_content(error: CodexError) -> bool:
    """Whether the backend could not read what it had encrypted. Reported with and without a code."""
    return error.code == "invalid_encrypted_content" or (
        error.code is None and re.search(_CANNOT_READ, error.message) is not None
    )


def _session(cache_key: object) -> str:
    """What a conversation is called in headers: its cache key, where a header can carry it."""
    name = str(cache_key)
    return name if name.isascii() and name.isprintable() else str(uuid.uuid5(_SESSIONS, name))


def _demo() -> tuple[HttpTransport, Store]:
    from .simulator import Simulator  # for --demo alone

    simulator = Simulator()
    return in_process(simulator.handle), InMemory(simulator.login())
