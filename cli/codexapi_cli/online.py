"""`codexapi doctor --online`: compares our picture of the backend with one small real request.

The report can be shown to anybody: statuses, counts, and names that `known.plain` accepts. It has
no text of the backend and nothing about the user.
"""

from __future__ import annotations

import re
from collections.abc import AsyncIterator, Iterable, Mapping
from contextlib import suppress
from pathlib import Path
from urllib.parse import urlsplit

import codexapi_engine as engine
from codexapi_engine.bounds import PROBE_IDLE_TIMEOUT
from codexapi_engine.check import OK, PROBLEM, UNKNOWN, WARNING, Check
from codexapi_engine.protocol import known, models
from codexapi_engine.telemetry import Exchange, Observer

from .beliefs import Belief, Observations, settled

CONSENT = "one small request is sent now, and counts against your plan (--online)"
OK_STATUS = 200
PROMPT = "Reply with the one word: ok"

NEWS = "this is news: open an issue with this report"
UNTRIED = (
    "pictures, compaction, web search, tool calls and a renewal of the login, which cost more than "
    "one small request; transcription, which nobody has tried with the real backend yet; compressed "
    "streams, which codexapi does not use"
)


class Statuses(Observer):
    """The status and the headers of the newest answer."""

    def __init__(self) -> None:
        self.newest = 0
        self.headers: Mapping[str, str] = {}

    def exchanged(self, exchange: Exchange) -> None:
        self.newest, self.headers = exchange.status, exchange.received


async def survey(chosen: engine.Settings) -> AsyncIterator[Check]:
    """The findings. Sends one small request."""
    statuses, seen = Statuses(), Observations()
    async with engine.Codex(chosen, observer=statuses) as codex:
        for name, look in (("catalogue", _catalogue), ("usage page", _check_usage_page)):
            try:
                yield await look(codex, statuses, seen)
            except engine.CodexError as error:
                yield _failure(name, error, statuses)
        try:
            async for finding in _answer(codex, statuses, seen):
                yield finding
        except engine.CodexError as error:
            if statuses.newest == OK_STATUS:  # what was refused is how it came
                seen.headers = statuses.headers
            yield _failure("answer", error, statuses)
    for belief, holds in settled(seen):
        yield _row(belief, holds)
    yield Check("untried", UNKNOWN, UNTRIED)


def _row(belief: Belief, holds: bool | None) -> Check:
    """What this answer says of a row of `docs/backend.md`."""
    if holds is None:
        return Check(belief.name, UNKNOWN, f"not settled: {belief.text}")
    if holds:
        return Check(belief.name, OK, belief.text)
    return Check(belief.name, WARNING, f"does not hold: {belief.text}", NEWS)


async def _catalogue(codex: engine.Codex, statuses: Statuses, seen: Observations) -> Check:
    reply = await codex.catalogue()
    seen.catalogue, seen.catalogue_etag = reply.json or {}, reply.headers.get("etag", "")
    unknown, lack = known.catalogue_differences(reply.json or {})
    found = models.parse(reply.json or {})
    first = next((model.slug for model in found if model.listed), "")
    text = f"{statuses.newest}, {len(found)} models, default {known.plain_model(first)}"
    return _compared("catalogue", text, unknown, lack)


async def _check_usage_page(codex: engine.Codex, statuses: Statuses, seen: Observations) -> Check:
    reply = await codex.usage_page()
    seen.usage_page = reply.json or {}
    unknown, lack = known.plan_differences(reply.json or {})
    return _compared("usage page", str(statuses.newest), unknown, lack)


async def _answer(
    codex: engine.Codex, statuses: Statuses, seen: Observations
) -> AsyncIterator[Check]:
    seen.model, seen.version = await codex.model(), codex.settings.protocol_version
    request = engine.request(PROMPT, model=seen.model, effort="low")
    events = known.Survey()
    async with await codex.open(request, idle=PROBE_IDLE_TIMEOUT) as stream:
        headers = seen.headers = stream.headers
        yield Check("answer", OK, f"{statuses.newest}, {len(headers)} headers")
        names = {name.lower() for name in headers}
        lack = known.HEADERS_NEEDED - names
        text = ", ".join(sorted(names - _strange(names))) or "none"
        yield _compared("headers", text, known.unknown_headers(names), lack)
        async for event in stream:
            events.feed(event)
            with suppress(engine.CodexError):  # the survey has noted that it cannot be read
                seen.events.append(event.json)
    events.finish()
    order = ", ".join(events.names) or "none"
    yield _compared("events", order, events.unknown_events, (), events.disorder)
    yield _compared("fields", "of all events", events.unknown_fields, ())


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
    return finding._replace(text=_shareable(finding.text, chosen), fix=fix)


def _shareable(text: str, chosen: engine.Settings) -> str:
    hosts = [urlsplit(chosen.base_url).hostname] if chosen.foreign else []
    hosts.append(urlsplit(chosen.proxy or "").hostname)
    paths = {
        Path.home(): "~",
        chosen.codex_home: "$CODEX_HOME",
        chosen.state_dir: "$CODEXAPI_STATE_DIR",
        chosen.ca_file: "$CERTIFICATES",
    }
    # `/` and `.` say nothing of a machine, and stand in many texts.
    hidden = {str(path): name for path, name in paths.items() if path and len(path.parts) > 1}
    hidden |= dict.fromkeys(filter(None, hosts), "(a host of yours)")
    for one, other in hidden.items():
        text = re.sub(rf"(?<!\w){re.escape(one)}(?!\w)", other, text)
    return text
