"""The endpoints of stored responses: retrieve, stream again, cancel, delete."""

from __future__ import annotations

from starlette.requests import Request
from starlette.responses import Response

from codexapi_engine.protocol import responses
from codexapi_engine.protocol.event_log import Replay

from ..background import Background, StoredEvents
from ..errors import refusal
from ..pump import EventStreamResponse, Run
from ..requests import change_state, read_state, state_of
from .answer import json_response
from .lists import flag, include, page, whole


async def responses_get(request: Request) -> Response:
    """GET /v1/responses/{id}"""
    kept, name = state_of(request).responses, request.path_params["id"]
    job = _background(request).job(name)  # before: its end is kept when it is gone
    response = await read_state(kept.get, name)
    if not flag(request, "stream"):
        return json_response(responses.for_client(response, include(request)))
    after = whole(request, "starting_after", -1)
    if job is None and response["status"] in ("queued", "in_progress"):
        raise refusal(409, "not_here", "Another codexapi process runs this response: poll it.")
    events = job.follow() if job else StoredEvents(await read_state(kept.events, name))
    return EventStreamResponse(Run(events, Replay(after=after)), headers={})


async def responses_delete(request: Request) -> Response:
    """DELETE /v1/responses/{id}"""
    name = request.path_params["id"]
    await change_state(request, state_of(request).responses.delete, name)
    await _background(request).end(name)
    return json_response({"id": name, "object": "response", "deleted": True})


async def responses_cancel(request: Request) -> Response:
    """POST /v1/responses/{id}/cancel"""
    response = await _background(request).cancel(request.path_params["id"])
    return json_response(responses.for_client(response, None))


async def responses_input_items(request: Request) -> Response:
    """GET /v1/responses/{id}/input_items"""
    items = await read_state(state_of(request).responses.items, request.path_params["id"])
    return page(request, responses.items_for_client(items, include(request)), order="desc")


def _background(request: Request) -> Background:
    return request.app.state.background  # type: ignore[no-any-return]
