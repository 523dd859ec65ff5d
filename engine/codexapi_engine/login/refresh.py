"""`Login` signs requests with the access token, and refreshes it.

The rules are those of docs/how-it-works.md "The login", and of the official client behind them.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable
from contextlib import aclosing, suppress
from datetime import UTC, datetime
from urllib.parse import urlsplit

from ..bounds import MAX_LOGIN_AGE, REFRESH_MARGIN, TOKEN_TIMEOUT
from ..errors import (
    AuthError,
    CodexError,
    JsonObject,
    LoginExpired,
    LoginNotWritable,
    NotLoggedIn,
    RefreshUnavailable,
    TokenRejected,
    copy_of,
)
from ..http.connect_errors import connect_failure
from ..http.deadlines import deadline
from ..http.failures import ConnectError, HttpFailure, InvalidUrl
from ..http.messages import HttpTransport
from ..protocol import auth_file, json
from ..protocol.auth_file import LOGIN_HINT, Credentials
from ..protocol.headers import CLIENT_VERSION, identity
from ..protocol.secret import Secret
from ..setting_values import parse_url
from ..settings import ACCOUNTS_URL, user_agent
from ..telemetry import Observer
from .consumed_tokens import SENT, UNREADABLE
from .login_hint import MAKE_WRITABLE
from .store import Snapshot, Store
from .token_endpoint import TokenAnswer, ask_token_endpoint

BACK_OFF = 5.0
"""Seconds after a temporary failure without another attempt."""

NEWER = 2.0
"""Seconds to look for the pair that another program got for a token that we lost to it."""

SAVE_AGAIN = 10.0
"""Seconds after which a login that could not be saved is saved again, where it is used."""


# On a connection of its own: one that was kept may break, and leave us not knowing.
_JSON = {"content-type": "application/json", "connection": "close"}

_NEVER = float("inf")

log = logging.getLogger("codexapi.login")


class Login:
    """Signs requests with the Codex login, and renews it: early when it is about to expire, once
    more when the backend says 401. One renewal at a time, for this process and for others.

    `connect` opens the way to a URL: the login itself says where its token endpoint is.
    """

    def __init__(
        self,
        store: Store,
        connect: Callable[[str], HttpTransport],
        *,
        token_url: str | None = None,
        accounts_url: str = ACCOUNTS_URL,
        version: str = CLIENT_VERSION,
        observer: Observer | None = None,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._store = store
        self._observer = observer or Observer()
        self._connect = connect
        self._token_url = token_url
        self._accounts_url = accounts_url
        self._identity = identity(user_agent(), version)
        self._clock = clock
        self._renewal: asyncio.Task[Snapshot] | None = None
        self._saving: asyncio.Task[None] | None = None
        self._save_after = 0.0
        self._kept: tuple[Secret | None, Snapshot] | None = None  # (token on disk, unsaved login)
        self._due: tuple[Snapshot, float, str] | None = None  # a login, when to renew it and why
        self._failed_tokens: dict[
            Secret, CodexError
        ] = {}  # refresh token -> why it is never sent again
        self._owners: dict[Secret, Credentials] = {}  # of personal access tokens
        self._asking: dict[Secret, asyncio.Task[JsonObject]] = {}
        self._unproven: set[Secret] = set()  # access tokens had for a 401 that have not worked yet
        self._not_before = 0.0

    async def signing_credentials(self) -> Credentials:
        """The login that signs a request. Raises AuthError, RefreshUnavailable."""
        try:
            return (await self.fresh()).credentials
        except (AuthError, RefreshUnavailable) as error:
            self._add_hint(error)
            raise

    def note_status(self, credentials: Credentials | None, status: int) -> None:
        """Notes how the last answer to a request was."""
        if credentials is not None and status == 401:
            self._unproven.add(credentials.access_token)
        elif credentials is not None and self._unproven:
            self._unproven.discard(credentials.access_token)

    async def current(self) -> Credentials:
        """The login as it stands, without renewing it. Raises NotLoggedIn."""
        try:
            found = (await self._load()).credentials
        except NotLoggedIn as error:
            self._add_hint(error)
            raise
        return self._owners.get(found.access_token, found)

    async def problem(self) -> CodexError | None:
        """Why no request can succeed now, without asking anyone; None if nothing is known."""
        try:
            login = await self.current()
        except NotLoggedIn as error:
            return error
        now, token = self._clock(), login.refresh_token
        problem: CodexError | None = login.unusable(now)
        if token is not None and not login.fresh(now, margin=0):
            reason = self._store.consumed_reason(token)
            problem = _consumed(reason) if reason else self._failed_tokens.get(token)
        if problem is not None:
            self._add_hint(problem)
        return problem

    def _add_hint(self, error: CodexError) -> None:
        """Lets an error say what helps where the login is stored."""
        hint = self._store.login_hint
        if hint not in error.message:
            error.message = error.message.replace(LOGIN_HINT, hint)

    async def fresh(self) -> Snapshot:
        """The login, renewed if it is about to expire. Raises AuthError, RefreshUnavailable."""
        login = await self._load()
        if login.credentials.personal:
            return await self._identified(login)
        if self._kept is not None and login is self._kept[1]:
            self._save_again()
        reason = self._stale(login)
        if reason is None:
            return login
        try:
            return await self._renew(login, reason)
        except (AuthError, RefreshUnavailable):
            if login.credentials.fresh(self._clock(), margin=0):
                return login  # its last seconds are still good
            raise

    async def aclose(self) -> None:
        """Waits for a renewal under way: its answer must reach the disk."""
        if self._renewal is not None:
            await asyncio.wait({self._renewal})
        self._save_after = 0.0
        self._save_again()
        if self._saving is not None:
            await asyncio.wait({self._saving})

    def _stale(self, login: Snapshot) -> str | None:
        """Why the login should be renewed now; None if it is good."""
        if self._due is None or self._due[0] is not login:  # else of an earlier request
            self._due = (login, *_when_due(login.credentials))
        _, due, reason = self._due
        return reason if self._clock() >= due else None

    async def _load(self) -> Snapshot:
        login = await self._store.load()
        # A pair that could not be saved lives on here, as long as the disk has the consumed one.
        if self._kept and login.credentials.refresh_token == self._kept[0]:
            return self._kept[1]
        return login

    async def other_credentials(self, refused: Credentials | None) -> Credentials | None:
        """Another login to try after a 401; None if there is none. Raises AuthError,
        RefreshUnavailable."""
        try:
            return await self._other_credentials(refused)
        except (AuthError, RefreshUnavailable) as error:
            self._add_hint(error)
            raise

    async def _other_credentials(self, refused: Credentials | None) -> Credentials | None:
        assert refused is not None, "every request is signed"
        self._store.forget()  # another program may have renewed it a moment ago
        login = await self._load()
        if login.credentials.access_token == refused.access_token:
            if refused.access_token in self._unproven or refused.refresh_token is None:
                return None
            login = await self._renew(login, "unauthorized_recovery")
        if login.credentials.personal:
            login = await self._identified(login)
        if login.credentials.account_id != refused.account_id:
            raise TokenRejected(
                "the login changed to another account while the request ran; send it again",
                code="account_changed",
            )
        return login.credentials

    async def _renew(self, stale: Snapshot, reason: str) -> Snapshot:
        if self._renewal is None or self._renewal.done():
            self._renewal = asyncio.create_task(self._renewed(stale, reason))
            self._renewal.add_done_callback(self._report_renewal)
        # A caller that leaves must not end it: the old refresh token is consumed once it is sent.
        try:
            return await asyncio.shield(self._renewal)
        except CodexError as error:  # which stays in the task, and is raised by all who wait
            raise copy_of(error) from error.__cause__

    def _report_renewal(self, task: asyncio.Task[Snapshot]) -> None:
        """A renewal may fail after everyone who waited for it has left."""
        if not task.cancelled():
            error = task.exception()
            code = getattr(error, "code", None) or type(error).__name__
            self._observer.refreshed("ok" if error is None else code)

    async def _renewed(self, stale: Snapshot, reason: str) -> Snapshot:
        async with self._store.lock():
            login = await self._load()
            if login.credentials.access_token != stale.credentials.access_token:
                return login  # another program was first
            token = login.credentials.refresh_token
            if token is None:
                raise login.credentials.unusable(now=float("inf")) or RefreshUnavailable("")
            if (reason_before := self._store.consumed_reason(token)) is not None:
                self._failed_tokens.setdefault(token, _consumed(reason_before))
            if token in self._failed_tokens:
                raise copy_of(self._failed_tokens[token])
            try:
                answer = await self._send_token(login.credentials, reason)
            except LoginExpired as error:
                self._failed_tokens[token] = lost = error
                self._mark_refused(token, error)
            else:
                new = await self._persist(login, answer)
                if reason == "unauthorized_recovery":
                    self._unproven.add(new.credentials.access_token)
                return new
        # Outside the lock: the program that was first needs it to save what it got.
        newer = await self._newer_than(login)
        if newer is None:
            raise lost
        return newer

    async def _prepare(self, token: Secret) -> None:
        """Before a token is sent, its answer has a place, and every process knows that it was
        sent: a kill at any moment then leaves a login that nobody spends twice. Raises
        LoginNotWritable."""
        try:
            await self._store.check_writable()
            self._store.mark_consumed(token, SENT)
        except OSError as error:
            raise LoginNotWritable(
                "the login has to be renewed, and a new one could not be saved here "
                f"({error.strerror or type(error).__name__}): {MAKE_WRITABLE}. "
                "Nothing was sent, and the login is as it was"
            ) from error

    def _mark_refused(self, token: Secret, error: LoginExpired) -> None:
        """Of a 401 without a code we are not as sure, and another process may try again."""
        if error.code and auth_file.login_expired(error.code):
            with suppress(OSError):  # then it is marked as sent, which says enough
                self._store.mark_consumed(token, error.code)
        elif error.code != UNREADABLE:
            self._store.clear_mark(token)

    async def _persist(self, login: Snapshot, answer: JsonObject) -> Snapshot:
        """Memory first, then disk: if the disk fails, the new pair is not lost.
        Raises LoginExpired for a pair that cannot be used: the old one is consumed all the same."""
        stamp = datetime.fromtimestamp(self._clock(), UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
        try:
            new = Snapshot.of(auth_file.renewed(login.data, answer, stamp))
        except NotLoggedIn:
            token = login.credentials.refresh_token
            assert token is not None, "what cannot be renewed is not"
            raise self._lost_pair(token) from None
        unsaved = self._kept is not None and self._kept[1] is login
        on_disk = self._kept[0] if self._kept and unsaved else login.credentials.refresh_token
        self._kept = (on_disk, new)
        try:
            await self._store.save(new.data, on_disk)
        except OSError as error:
            # The mark of the old one stays: it is consumed, and others read it.
            self._clear_unless_consumed(login, new)
            self._save_after = asyncio.get_running_loop().time() + SAVE_AGAIN
            log.warning(
                "the renewed login could not be saved (%s); it is kept in memory, and lost when "
                "codexapi ends before it can be", error.strerror or type(error).__name__,
            )  # fmt: skip
            return new
        self._kept = None
        if (token := login.credentials.refresh_token) is not None and token != on_disk:
            self._store.clear_mark(token)  # it was never on the disk
        return await self._load()  # another program's, where that one was there first

    def _clear_unless_consumed(self, login: Snapshot, new: Snapshot) -> None:
        """An answer may leave the refresh token as it is, and then it is good for another use."""
        token = login.credentials.refresh_token
        if token is not None and token == new.credentials.refresh_token:
            self._store.clear_mark(token)

    def _save_again(self) -> None:
        """Tries again to save a pair that is only in memory, if it is time, in the background."""
        idle = self._saving is None or self._saving.done()
        if self._kept and idle and asyncio.get_running_loop().time() >= self._save_after:
            self._saving = asyncio.create_task(self._saved())

    async def _saved(self) -> None:
        self._save_after = asyncio.get_running_loop().time() + SAVE_AGAIN
        with suppress(OSError, RefreshUnavailable):
            async with self._store.lock():
                if self._kept is not None:
                    on_disk, unsaved = self._kept
                    await self._store.save(unsaved.data, on_disk)
                    if self._kept[1] is unsaved:
                        self._kept = None

    async def _send_token(self, credentials: Credentials, reason: str) -> JsonObject:
        """Sends the refresh token, once. Raises LoginExpired, RefreshUnavailable."""
        if 0 < self._not_before - self._clock() <= BACK_OFF:  # more: the clock was set back
            raise RefreshUnavailable(
                "the login could not be renewed a moment ago; the next try is in a few seconds",
                retry_after=BACK_OFF,
            )
        url = self._token_url or _token_url(credentials)
        body = json.dumps(auth_file.refresh_request(credentials, reason))
        token = credentials.refresh_token
        assert token is not None, "what cannot be renewed is not"
        headers = {**self._identity, **_JSON}
        async with aclosing(self._connect(url)) as http:
            await self._prepare(token)
            try:
                async with deadline(TOKEN_TIMEOUT):
                    answer = await ask_token_endpoint(http, "POST", url, headers, body)
            except (ConnectError, InvalidUrl) as error:
                self._store.clear_mark(token)
                raise self._later(
                    f"the token endpoint, {urlsplit(url).hostname}, cannot be reached: "
                    f"{connect_failure(error)}"
                ) from error
            except (HttpFailure, TimeoutError) as error:
                raise self._unknown(token) from error
        return self._pair(answer, token)

    def _unknown(self, token: Secret) -> CodexError:
        """The token was sent, and may be consumed: to send it again could end the login. So its mark
        stays."""
        return self._failed_tokens.setdefault(token, _unanswered())

    def _lost_pair(self, token: Secret) -> LoginExpired:
        """The token was taken, and what came for it cannot be used."""
        with suppress(OSError):  # then it is marked as sent, which says enough
            self._store.mark_consumed(token, UNREADABLE)
        lost = _consumed(UNREADABLE)
        assert isinstance(lost, LoginExpired)
        self._failed_tokens[token] = lost
        return lost

    async def _identified(self, login: Snapshot) -> Snapshot:
        """A personal access token with its owner, who is requested once. Raises TokenRejected,
        RefreshUnavailable."""
        token = login.credentials.access_token
        if token not in self._owners:
            answer = await self._whose(token)
            self._owners[token] = auth_file.with_owner(login.credentials, answer)
        return Snapshot(login.data, self._owners[token])

    async def _whose(self, token: Secret) -> JsonObject:
        """One question for all who ask at once."""
        asking = self._asking.get(token)
        if asking is None:
            asking = self._asking[token] = asyncio.create_task(self._whoami(token))
            asking.add_done_callback(lambda done: self._on_owner(token, done))
        return await asyncio.shield(asking)

    def _on_owner(self, token: Secret, asking: asyncio.Task[JsonObject]) -> None:
        del self._asking[token]
        if not asking.cancelled():
            asking.exception()  # which may be retrieved by no caller

    async def _whoami(self, token: Secret) -> JsonObject:
        url = f"{self._accounts_url}/v1/user-auth-credential/whoami"
        signed = {"authorization": f"Bearer {token.reveal()}", "connection": "close"}
        headers = {**self._identity, **signed}
        try:
            async with aclosing(self._connect(url)) as http, deadline(TOKEN_TIMEOUT):
                answer = await ask_token_endpoint(http, "GET", url, headers)
        except (HttpFailure, TimeoutError) as error:
            raise RefreshUnavailable(
                f"nobody told whose the personal access token is: {url} did not answer"
            ) from error
        if answer.status in (401, 403):
            raise TokenRejected(f"the personal access token was refused: {LOGIN_HINT}")
        owner = answer.json()
        if owner is None:
            raise RefreshUnavailable(
                f"nobody told whose the personal access token is ({answer.status})"
            )
        return owner

    def _pair(self, answer: TokenAnswer, token: Secret) -> JsonObject:
        """The new tokens of an answer. Raises LoginExpired, RefreshUnavailable."""
        refused = auth_file.refresh_refused(answer.status, answer.body)
        if refused:
            raise refused
        pair = answer.json()
        if pair is not None and isinstance(pair.get("access_token"), str):
            return pair
        if 200 <= answer.status < 300 and not answer.is_web_page:
            raise self._lost_pair(token)
        if auth_file.may_be_spent(answer.status, answer.body):
            raise self._unknown(token)
        self._store.clear_mark(token)
        raise self._later(f"the token endpoint gave no token ({answer.status})")

    def _later(self, why: str) -> RefreshUnavailable:
        self._not_before = self._clock() + BACK_OFF
        return RefreshUnavailable(why, retry_after=BACK_OFF)

    async def _newer_than(self, login: Snapshot) -> Snapshot | None:
        """The pair that another program has for the token that it took before us, if it comes."""
        until = asyncio.get_running_loop().time() + NEWER
        while True:
            try:
                found = await self._load()
            except NotLoggedIn:
                return None
            if found.credentials.refresh_token != login.credentials.refresh_token:
                return found
            if asyncio.get_running_loop().time() >= until:
                return None
            await asyncio.sleep(0.05)


def _consumed(reason: str) -> CodexError:
    """Why a refresh token that is marked is not sent."""
    if reason == UNREADABLE:
        return LoginExpired(
            "the login can no longer be renewed: the token endpoint took the refresh token and "
            f"answered with a pair that cannot be used; {LOGIN_HINT}",
            code=UNREADABLE,
        )
    return auth_file.login_expired(reason) or _unanswered()


def _unanswered() -> RefreshUnavailable:
    return RefreshUnavailable(
        "the refresh token was sent and no answer of the token endpoint came, so it may be spent "
        "and codexapi does not send it again: run `codex`, which may still renew the login; if it "
        f"cannot, {LOGIN_HINT}"
    )


def renewal_due(credentials: Credentials) -> float | None:
    """When the login should be renewed, in epoch seconds; None where nobody knows."""
    due, _ = _when_due(credentials)
    return None if due == _NEVER else due


def _when_due(credentials: Credentials) -> tuple[float, str]:
    """When the login should be renewed, and why in the token endpoint's words."""
    refreshed = _epoch(credentials.last_refresh)
    if credentials.expires_at is not None:
        # A pair that was stale when it was new means a wrong clock. Then a 401 must decide, or
        # every process would renew it again and again.
        born_stale = refreshed is not None and not credentials.fresh(refreshed)
        return _NEVER if born_stale else credentials.expires_at - REFRESH_MARGIN, "proactive_expiry"
    if refreshed is None or credentials.refresh_token is None:
        return _NEVER, ""
    return refreshed + MAX_LOGIN_AGE, "scheduled"


def _epoch(moment: str | None) -> float | None:
    """Epoch seconds of an RFC 3339 text; None if it is not one."""
    try:
        return datetime.fromisoformat(moment or "").timestamp()
    except (ValueError, OverflowError):
        return None


def _token_url(credentials: Credentials) -> str:
    try:
        return parse_url(credentials.issuer) + "/oauth/token"
    except ValueError as error:
        raise NotLoggedIn(
            f"the issuer in auth.json cannot be trusted ({error}): {LOGIN_HINT}",
            code="auth_file_invalid",
        ) from None
