"""The simulated Codex backend: one object that answers HTTP requests, without a network.

It checks what the real one checks and refuses with the same bodies. `answers.py` has the answers.
"""

from __future__ import annotations

import asyncio
import base64
import hashlib
import json
import random
import time
from collections import Counter, deque
from collections.abc import AsyncGenerator, Awaitable, Callable, Collection, Mapping, Sequence
from contextlib import aclosing
from dataclasses import replace
from importlib.resources import files
from typing import NamedTuple, NoReturn
from urllib.parse import parse_qs, urlsplit

from ..bounds import MAX_BACKEND_BODY_BYTES
from ..errors import JsonObject
from ..protocol.endpoints import endpoint_path
from . import transcription
from .accounts import NOBODY, PLAN, Account, Accounts
from .answers import Names, outputs, pixels, search_result, short
from .checks import (
    LITE,
    NAMES,
    UNVERSIONED,
    Submission,
    check,
    check_image_request,
    check_search_request,
    needed,
    unknown_rules,
    version_of,
)
from .encryption import Origin, encrypt
from .model_request import ModelRequest, parse_request
from .png import png
from .refusals import JSON_TYPE, Refusal, Refused, detail, named
from .scripts import Directions, read
from .stream import Facts, Run, drawing_usage, played

LIFETIME = 864_000.0
"""Seconds that an access token is good for: ten days, as the real ones."""

USED_PERCENT = 12
MAX_BODY = MAX_BACKEND_BODY_BYTES
_PAGE = b"<html><body>simulated</body></html>"
_REMEMBERED = 64
_KEPT = 1 << 20


class BackendRequest(NamedTuple):
    method: str
    path: str
    query: Mapping[str, list[str]]
    headers: Mapping[str, str]
    body: bytes
    account: Account = NOBODY  # who signed it


Reply = tuple[int, Mapping[str, str], AsyncGenerator[bytes, None]]


class Simulator:
    """A Codex backend in this process. `handle` answers; `login` is an `auth.json` it accepts.

    The same seed, clock and requests give the same bytes. `sleep` is what slow scripts wait with.
    `lenient` names rules of `checks/table.py` that are not looked at. A body of more than
    `max_body` bytes is dropped unread, with its connection.
    """

    def __init__(
        self,
        *,
        token_lifetime: float = LIFETIME,
        clock: Callable[[], float] = time.time,
        seed: int = 0,
        models: Sequence[JsonObject] | None = None,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
        lenient: Collection[str] = (),
        max_body: int = MAX_BODY,
    ) -> None:
        if names := unknown_rules(lenient):
            raise ValueError(f"no rule {', '.join(names)}; the rules: {', '.join(NAMES)}")
        # set once
        self.accounts = Accounts(token_lifetime, clock, random.Random(seed))
        self.models = list(models) if models is not None else catalogue()
        self.max_body = max_body
        self._clock = clock
        self._lenient = frozenset(lenient)
        self._seed = seed
        self._sleep = sleep
        # moves
        self.requests: deque[BackendRequest] = deque(
            maxlen=_REMEMBERED
        )  # the newest; no body over 1 MiB
        self.runs = 0
        self.open_streams = 0
        self.cancelled = 0  # streams that their reader left before the end
        self.dropped = 0  # bodies that were too large to be read
        self._played: Counter[str] = Counter()  # prompt -> how often its scripts were played

    def login(self, account: str = "") -> bytes:
        """The content of an `auth.json` that this backend accepts. Each has its own tokens, and
        each name an account of its own."""
        return self.accounts.login(account)

    @property
    def account_id(self) -> str:
        """Of the account that has no name."""
        return self.accounts.first.account_id

    @property
    def refreshes(self) -> int:
        return self.accounts.refreshes

    @property
    def refused_refreshes(self) -> int:
        return self.accounts.refused_refreshes

    async def handle(
        self, method: str, target: str, headers: Mapping[str, str], body: bytes
    ) -> Reply:
        """Status, headers, body. Closing the body ends the run. Raises ConnectionResetError where
        the connection breaks before there is a status."""
        if len(body) > self.max_body:
            self.drop()
        parts = urlsplit(target)
        request = BackendRequest(method, _path(parts.path), parse_qs(parts.query), headers, body)
        self.requests.append(request if len(body) <= _KEPT else request._replace(body=b""))
        try:
            return await self._route(request)
        except Refused as refused:
            return self._refusal_reply(refused.refusal)

    def drop(self) -> NoReturn:
        """What becomes of a body that is too large."""
        self.dropped += 1
        raise ConnectionResetError("the simulated connection broke")

    async def _route(self, request: BackendRequest) -> Reply:
        routes = _ROUTES.get(request.path)
        if routes is None:
            raise detail("Not Found", 404)
        if request.path != "/oauth/token":
            request = request._replace(account=self.accounts.check(request.headers))
        answer = routes.get(request.method)
        if answer is None:
            allow = {**JSON_TYPE, "allow": ", ".join(routes)}
            raise Refused(Refusal(405, {"detail": "Method Not Allowed"}, allow))
        return await answer(self, request)

    async def _respond(self, request: BackendRequest) -> Reply:
        body = _json_body(request)
        account, key = request.account, self.accounts.key
        check(Submission(body, request.headers, self.models, account, key), self._lenient)
        read_as = parse_request(body, lite=request.headers.get(LITE) == "true")
        read_as = replace(read_as, directions=self._while_it_counts(read_as.directions))
        await self._follow_refusal_script(read_as.directions)
        self.runs += 1
        number = self.runs
        facts = Facts(
            number,
            self._clock(),
            f"req_simulated_{number:06d}",
            account.user_id,
            f"{self._seed} {number}",
        )
        if "html" in read_as.directions:
            return 200, {"content-type": "text/html"}, _single_chunk(_PAGE)
        names = Names(
            number,
            lambda item: encrypt(Origin(key, account.account_id, body["model"], item)),
            long="long_ids" in read_as.directions,
        )
        run = Run(read_as, outputs(read_as, names), facts)
        headers = self._stream_headers(request, read_as, facts)
        return 200, headers, self._counted(played(run, facts, read_as, self._sleep))

    def _while_it_counts(self, script: Directions) -> Directions:
        """A prompt's scripts, without those that were played as often as they ask for."""
        counted = {
            "times": script.text("times"),
            "status": script.text("status").partition(" ")[2].strip(),
        }
        limits = {name: int(limit) for name, limit in counted.items() if limit}
        if not limits:
            return script
        key = repr(script.origin)
        self._played[key] += 1
        spent = {name for name, limit in limits.items() if self._played[key] > limit}
        return Directions(script.prompt) if "times" in spent else script.without(spent)

    async def _follow_refusal_script(self, script: Directions) -> None:
        """Waits for a late status, and raises Refused for a script that asks for one."""
        if seconds := script.number("late"):
            await self._sleep(seconds)
        if "status" in script:
            name = script.text("status").partition(" ")[0]
            raise Refused(named(name, self._clock()))

    async def _counted(self, chunks: AsyncGenerator[bytes, None]) -> AsyncGenerator[bytes, None]:
        self.open_streams += 1
        ended = False
        try:
            async with aclosing(chunks):
                async for chunk in chunks:
                    yield chunk
            ended = True
        except ConnectionResetError:
            ended = True
            raise
        finally:
            self.open_streams -= 1
            self.cancelled += not ended

    def _stream_headers(
        self, request: BackendRequest, read_as: ModelRequest, facts: Facts
    ) -> dict[str, str]:
        """Recorded: a stream names no media type."""
        used = read_as.directions.count("usage", USED_PERCENT)
        return {
            **self._limits(used),
            "x-request-id": facts.request_id,
            "x-oai-request-id": facts.request_id,
            "openai-model": read_as.body["model"],
            "x-models-etag": self._etag(self._models_for(request.headers.get("version"))),
            "x-reasoning-included": "true",
            "x-codex-turn-state": f"simulated-{facts.number}",
            "cf-ray": "simulated-XXX",
            "server": "simulated",
        }

    def _limits(self, used: int) -> dict[str, str]:
        now, headers = (
            int(self._clock()),
            {"x-codex-plan-type": PLAN, "x-codex-active-limit": "codex"},
        )
        for name, percent, minutes in _windows(used):
            left = minutes * 30  # half of each window is over
            headers[f"x-codex-{name}-used-percent"] = str(percent)
            headers[f"x-codex-{name}-window-minutes"] = str(minutes)
            headers[f"x-codex-{name}-reset-after-seconds"] = str(left)
            headers[f"x-codex-{name}-reset-at"] = str(now + left)
        headers["x-codex-primary-over-secondary-limit-percent"] = "0"
        headers["x-codex-credits-has-credits"] = headers["x-codex-credits-unlimited"] = "False"
        headers["x-codex-credits-balance"] = ""
        return headers

    async def _upgrade(self, request: BackendRequest) -> Reply:
        raise detail("Upgrade Required", 426)

    async def _list_models(self, request: BackendRequest) -> Reply:
        versions = request.query.get("client_version")
        if not versions or version_of(versions[0]) is None:
            raise detail("Missing required query parameter: client_version")  # ours
        models = self._models_for(versions[0])
        headers = {**JSON_TYPE, "etag": self._etag(models)}
        if request.headers.get("if-none-match") == headers["etag"]:
            return 304, {"etag": headers["etag"]}, _single_chunk(b"")
        return _json(200, {"models": models}, headers)

    def _models_for(self, version_text: str | None) -> list[JsonObject]:
        """The models that a client of this version is shown."""
        version = version_of(version_text) or UNVERSIONED
        return [model for model in self.models if needed(model) <= version]

    def _etag(self, models: list[JsonObject]) -> str:
        digest = hashlib.sha256(json.dumps(models).encode()).hexdigest()[:16]
        return f'W/"simulated-{digest}"'

    async def _usage(self, request: BackendRequest) -> Reply:
        now = int(self._clock())
        windows = {
            f"{name}_window": {
                "used_percent": percent,
                "limit_window_seconds": minutes * 60,
                "reset_after_seconds": minutes * 30,
                "reset_at": now + minutes * 30,
            }
            for name, percent, minutes in _windows(USED_PERCENT)
        }
        return _json(
            200,
            {
                "user_id": request.account.user_id,
                "account_id": request.account.account_id,
                "email": "simulated@example.com",
                "plan_type": PLAN,
                "rate_limit": {"allowed": True, "limit_reached": False, **windows},
                "code_review_rate_limit": None,
                "additional_rate_limits": [],
                "credits": {"has_credits": False, "unlimited": False, "balance": "0"},
                "spend_control": {"reached": False, "individual_limit": None},
                "rate_limit_reached_type": None,
                "promo": None,
            },
        )

    async def _accounts_check(self, request: BackendRequest) -> Reply:
        account_id, user_id = request.account
        account = {
            "id": account_id,
            "account_user_id": f"{user_id}__{account_id}",
            "structure": "personal",
            "plan_type": PLAN,
            "name": None,
            "workspace_backend_origin": "NO_CONSTRAINT",
            "account_routing_override": "NO_CONSTRAINT",
        }
        order = {"account_ordering": [account_id], "default_account_id": account_id}
        return _json(200, {"accounts": [account], **order})

    async def _token(self, request: BackendRequest) -> Reply:
        return _json(200, self.accounts.refresh(_form_or_json(request)))

    async def _generate(self, request: BackendRequest) -> Reply:
        return await self._draw(request, edit=False)

    async def _edit(self, request: BackendRequest) -> Reply:
        return await self._draw(request, edit=True)

    async def _search(self, request: BackendRequest) -> Reply:
        body = _json_body(request)
        check_search_request(body, self._lenient)
        queries = [
            str(query.get("q") or "") for query in body["commands"].get("search_query") or []
        ]
        script = self._while_it_counts(read(" ".join(queries)))
        await self._follow_refusal_script(script)
        origin = Origin(self.accounts.key, request.account.account_id, body["model"], "")
        output = f"Search result text [wordlim 200] L0: {search_result(script.prompt)}"
        answer = {"encrypted_output": encrypt(origin), "output": output, "results": None}
        return _json(200, answer)

    async def _transcribe(self, request: BackendRequest) -> Reply:
        kind = request.headers.get("content-type", "")
        file, _ = transcription.audio_file(kind, request.body)
        script = self._while_it_counts(transcription.directions(file))
        await self._follow_refusal_script(script)
        if "html" in script:
            return 200, {"content-type": "text/html"}, _single_chunk(_PAGE)
        return _json(200, {"text": transcription.text(file, script)})

    async def _draw(self, request: BackendRequest, *, edit: bool) -> Reply:
        body = _json_body(request)
        check_image_request(body, edit=edit, lenient=self._lenient)
        script = self._while_it_counts(read(body["prompt"]))
        await self._follow_refusal_script(script)
        if "blocked" in script:
            raise Refused(named("moderation_blocked", self._clock()))
        self.runs += 1
        width, height = pixels(body.get("size"), exact="exact" in script)
        transparent = body.get("background") == "transparent"
        ballast = script.count("heavy") << 20
        image = png(width, height, script.prompt, transparent=transparent, ballast=ballast)
        quality = body.get("quality")
        answer = {
            "created": int(self._clock()),
            "background": "transparent" if transparent else "opaque",
            "data": [
                {
                    "b64_json": base64.b64encode(image).decode(),
                    "revised_prompt": short(script.prompt),
                }
            ],
            "output_format": "png",
            "quality": quality if quality in ("low", "medium", "high") else "medium",
            "size": f"{width}x{height}",
            "usage": drawing_usage(script.prompt, 1000 * edit, width * height),
        }
        headers = {
            **JSON_TYPE,
            **self._limits(script.count("usage", USED_PERCENT)),
            "x-codex-imagegen-request-id": f"img_simulated_{self.runs:06d}",
        }
        return 200, headers, self._counted(self._late(script.number("silence"), _dumped(answer)))

    async def _late(self, seconds: float, data: bytes) -> AsyncGenerator[bytes, None]:
        if seconds:
            await self._sleep(seconds)
        yield data

    def _refusal_reply(self, refusal: Refusal) -> Reply:
        body = refusal.body
        data = body.encode() if isinstance(body, str) else _dumped(body)
        return refusal.status, refusal.headers, _single_chunk(data)


def catalogue() -> list[JsonObject]:
    """The models that the simulated backend has: names and limits of the real list."""
    text = files(__package__).joinpath("catalogue.json").read_text("utf-8")
    return list(json.loads(text)["models"])


def _path(path: str) -> str:
    """The endpoint, whatever it stands under."""
    return "/oauth/token" if path.endswith("/oauth/token") else endpoint_path(path)


def _windows(used: int) -> tuple[tuple[str, int, int], ...]:
    return (("primary", used, 300), ("secondary", used // 4, 10_080))


def _json_body(request: BackendRequest) -> JsonObject:
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    encoding = request.headers.get("content-encoding", "identity")
    if kind != "application/json" or encoding != "identity":
        raise detail("Unsupported Media Type", 415)  # ours
    return _json_object(request.body)


def _json_object(data: bytes) -> JsonObject:
    try:
        value = json.loads(data)
    except (ValueError, RecursionError):
        value = None
    if not isinstance(value, dict):
        raise detail("Request body is not a JSON object")  # ours
    return value


def _form_or_json(request: BackendRequest) -> Mapping[str, object]:
    if "x-www-form-urlencoded" in request.headers.get("content-type", ""):
        return {
            name: values[-1] for name, values in parse_qs(request.body.decode("latin-1")).items()
        }
    return _json_body(request)


def _json(status: int, value: JsonObject, headers: Mapping[str, str] = JSON_TYPE) -> Reply:
    return status, headers, _single_chunk(_dumped(value))


def _dumped(value: JsonObject) -> bytes:
    return json.dumps(value, separators=(",", ":")).encode()


async def _single_chunk(data: bytes) -> AsyncGenerator[bytes, None]:
    yield data


_ROUTES: dict[str, dict[str, Callable[[Simulator, BackendRequest], Awaitable[Reply]]]] = {
    "/responses": {"POST": Simulator._respond, "GET": Simulator._upgrade},
    "/models": {"GET": Simulator._list_models},
    "/images/generations": {"POST": Simulator._generate},
    "/images/edits": {"POST": Simulator._edit},
    "/alpha/search": {"POST": Simulator._search},
    "/transcribe": {"POST": Simulator._transcribe},
    "/usage": {"GET": Simulator._usage},
    "/wham/usage": {"GET": Simulator._usage},
    "/wham/accounts/check": {"GET": Simulator._accounts_check},
    "/oauth/token": {"POST": Simulator._token},
}
