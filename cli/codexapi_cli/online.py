"""`codexapi doctor --online`: compares our picture of the backend with one small real request.

The report can be shown to anybody: statuses, counts, and names that `known.plain` accepts. It has
no text of the backend and nothing about the user.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterable
from dataclasses import replace
from pathlib import Path
from urllib.parse import urlsplit

import codexapi_engine as engine
from codexapi_engine.bounds import PROBE_IDLE_TIMEOUT
from codexapi_engine.check import OK, PROBLEM, UNKNOWN, WARNING, Check
from codexapi_engine.protocol import known, models
from codexapi_engine.telemetry import Exchange, Observer

CONSENT = "one small request is sent now, and counts against your plan (--online)"
PROMPT = "Reply with the one word: ok"

NEWS = "this is news: open an issue with this report"
UNTRIED = (
    "pictures, compaction, web search, tool calls and a renewal of the login, which cost more than "
    "one small request; transcription, which nobody has tried with the real backend yet; compressed "
    "streams, which codexapi does not use"
)


class Statuses(Observer):
    """The status of the newest answer."""

    def __init__(self) -> None:
        self.newest = 0

    def exchanged(self, exchange: Exchange) -> None:
        self.newest = exchange.status


async def survey(chosen: engine.Settings) -> AsyncIterator[Check]:
    """The findings. Sends one small request."""
    statuses = Statuses()
    async with engine.Codex(chosen, observer=statuses) as codex:
        for name, look in (("catalogue", _catalogue), ("usage page", _check_usage_page)):
            try:
                yield await look(codex, statuses)
            except engine.CodexError as error:
                yield _failure(name, error, statuses)
        try:
            async for finding in _answer(codex, statuses):
                yield finding
        except engine.CodexError as error:
            yield _failure("answer", error, statuses)
    yield Check("untried", UNKNOWN, UNTRIED)


async def _catalogue(codex: engine.Codex, statuses: Statuses) -> Check:
    reply = await codex.catalogue()
    unknown, lack = known.catalogue_differences(reply.json or {})
    found = models.parse(reply.json or {})
    first = next((model.slug for model in found if model.listed), "")
    text = f"{statuses.newest}, {len(found)} models, default {known.plain_model(first)}"
    return _compared("catalogue", text, unknown, lack)


async def _check_usage_page(codex: engine.Codex, statuses: Statuses) -> Check:
    reply = await codex.usage_page()
    unknown, lack = known.plan_differences(reply.json or {})
    return _compared("usage page", str(statuses.newest), unknown, lack)


async def _answer(codex: engine.Codex, statuses: Statuses) -> AsyncIterator[Check]:
    request = engine.request(PROMPT, model=await codex.model(), effort="low")
    seen = known.Survey()
    async with await codex.open(request, idle=PROBE_IDLE_TIMEOUT) as stream:
        headers = stream.headers
        yield Check("answer", OK, f"{statuses.newest}, {len(headers)} headers")
        names = {name.lower() for name in headers}
        lack = known.HEADERS_NEEDED - names
        text = ", ".join(sorted(names - _strange(names))) or "none"
        yield _compared("headers", text, known.unknown_headers(names), lack)
        async for event in stream:
            seen.feed(event)
    seen.finish()
    order = ", ".join(seen.names) or "none"
    yield _compared("events", order, seen.unknown_events, (), seen.disorder)
    yield _compared("fields", "of all events", seen.unknown_fields, ())


def _strange(names: Iterable[str]) -> set[str]:
    """The headers that we do not know."""
    return {name for name in names if known.unknown_headers([name])}


def _compared(
    name: str,
    text: str,
    unknown: Iterable[str],
    lack: Iterable[str],
    wrong: Iterable[str] = (),
) -> Check:
    differences = [
        f"{what}: {', '.join(sorted(names))}"
        for what, names in (("unknown", unknown), ("missing", lack), ("unlike", wrong))
        if names
    ]
    if not differences:
        return Check(name, OK, text)
    return Check(name, WARNING, "; ".join([text, *differences]), NEWS)


def _failure(name: str, error: engine.CodexError, statuses: Statuses) -> Check:
    """Our own name of the error: the backend's words may hold anything."""
    text = f"{statuses.newest or 'no answer'}, {type(error).__name__}"
    return Check(name, PROBLEM, text, "codexapi doctor, without --online, tells more")


def shareable(finding: Check, chosen: engine.Settings) -> Check:
    """A finding without what says whose machine it is."""
    fix = finding.fix and _shareable(finding.fix, chosen)
    return replace(finding, text=_shareable(finding.text, chosen), fix=fix)


def _shareable(text: str, chosen: engine.Settings) -> str:
    hosts = [urlsplit(chosen.base_url).hostname] if chosen.foreign else []
    hosts.append(urlsplit(chosen.proxy or "").hostname)
    hidden = [(str(Path.home()), "~"), (str(chosen.codex_home), "$CODEX_HOME")]
    hidden += [
        (str(chosen.state_dir), "$CODEXAPI_STATE_DIR"),
        (str(chosen.ca_file), "$CERTIFICATES"),
    ]
    hidden += [(host, "(a host of yours)") for host in hosts if host]
    for one, other in hidden:
        text = text.replace(one, other)
    return text
