"""What a running server knows of itself, for its page, `codexapi status`, `codexapi top` and MCP.

Nothing here asks the backend, but `refresh_limits`. Times are epoch seconds, durations seconds.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator

from codexapi_engine import (
    Codex,
    CodexError,
    LoginExpired,
    RefreshUnavailable,
    Settings,
    __version__,
)
from codexapi_engine.bounds import CHECKS_AGE, PLAN_INTERVAL
from codexapi_engine.check import OK
from codexapi_engine.errors import JsonObject
from codexapi_engine.local_checks import local_checks, login_remedy
from codexapi_engine.login.login_hint import with_client
from codexapi_engine.login.refresh import renewal_due
from codexapi_engine.protocol.auth_file import Credentials
from codexapi_engine.protocol.limits import Limits, Window

from .reports import Reports
from .request_record import ended_json, running_json


class Status:
    """The numbers of one server."""

    def __init__(self, codex: Codex, settings: Settings, reports: Reports) -> None:
        # set once
        self._codex = codex
        self._settings = settings
        self._reports = reports
        self._started_at = time.time()
        # moves
        self._checks: list[JsonObject] = []
        self._checks_until = 0.0
        self._plan_until = 0.0

    async def report(self, base_url: str) -> JsonObject:
        """All of it. Every key is always there, and null where nothing is known."""
        record = self._reports.record
        return {
            "version": __version__,
            "base_url": base_url,
            "started_at": self._started_at,
            "now": time.time(),
            "demo": self._settings.demo,
            "login": await self._login(),
            "backend": self._backend(),
            "findings": await self._found(),
            "limits": self.limits(),
            "running": [running_json(entry) for entry in record.running()],
            "recent": [ended_json(entry) for entry in record.recent()],
            "seen": self._codex.unknown.counts,
        }

    def limits(self) -> JsonObject:
        """The plan's limits as the newest answers tell them."""
        codex = self._codex
        usage = codex.usage.as_json() if codex.usage else {}
        return {
            "as_of": codex.limits_at,
            "windows": list(_windows(codex.limits, codex.usage)),
            "credits": usage.get("credits"),
            "reset_credits": usage.get("reset_credits"),
        }

    async def refresh_limits(self) -> JsonObject:
        """The limits, from the usage endpoint where that has not been asked within a minute.
        Raises CodexError."""
        if time.monotonic() >= self._plan_until:
            self._plan_until = time.monotonic() + PLAN_INTERVAL
            await self._codex.plan()
        return self.limits()

    async def _login(self) -> JsonObject:
        known: Credentials | None = None
        try:
            known = await self._codex.credentials()
            problem = await self._codex.login_problem()
        except CodexError as error:
            problem = error
        due = known and renewal_due(known)
        return {
            "state": _state(problem),
            "account": known and _masked(known),
            "plan": known and known.plan,
            "renews_in": due and max(0.0, due - time.time()),
            "error": problem
            and {
                "code": problem.known_code,
                "message": with_client(str(problem)),
                "command": login_remedy(self._settings, problem.code),
            },
        }

    def _backend(self) -> JsonObject:
        backend = self._reports.backend
        return {
            "last_answer_at": backend.answered_at,
            "last_status": backend.status,
            "last_error": backend.code
            and {"code": backend.code, "message": (backend.failed and backend.failed.why) or None},
        }

    async def _found(self) -> list[JsonObject]:
        if time.monotonic() >= self._checks_until:
            self._checks = await asyncio.to_thread(_run_checks, self._settings)
            self._checks_until = time.monotonic() + CHECKS_AGE
        return self._checks


def _run_checks(settings: Settings) -> list[JsonObject]:
    return [
        {"name": one.name, "ok": one.state == OK, "text": one.text, "command": one.fix}
        for one in local_checks(settings)
    ]


def _state(problem: CodexError | None) -> str:
    if problem is None:
        return "ready"
    if isinstance(problem, LoginExpired | RefreshUnavailable):
        return "expired"
    return "missing" if problem.code == "auth_file_not_found" else "unreadable"


def _masked(login: Credentials) -> str | None:
    """Enough to tell two accounts of one person apart, and no more."""
    if login.email is not None:
        name, _, host = login.email.reveal().partition("@")
        return f"{name[:1]}…@{host[:1]}….{host.rpartition('.')[2]}"
    return f"…{login.account_id[-4:]}" if login.account_id else None


def _windows(newest: Limits | None, usage: Limits | None) -> Iterator[JsonObject]:
    """The account's windows, and those that single models have."""
    groups = [("", newest), *(usage.additional if usage else ())]
    for name, limits in groups:
        for kind in ("primary", "secondary"):
            window: Window | None = getattr(limits, kind, None)
            if window is not None:
                yield {
                    "name": f"{name} {kind}".strip(),
                    "used_percent": window.used_percent,
                    "resets_at": window.resets_at,
                    "minutes": window.minutes,
                }
