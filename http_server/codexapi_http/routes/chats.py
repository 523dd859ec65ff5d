"""The endpoints of stored chat completions."""

from __future__ import annotations

import re
from functools import partial

from starlette.requests import Request
from starlette.responses import Response

from codexapi_engine.errors import JsonObject
from codexapi_engine.protocol.validation import validated

from ..requests import change_state, read_state, state_of
from .answer import json_response
from .conversations import Update
from .lists import page

_METADATA = re.compile(r"metadata\[(.+)\]")


async def chats_list(request: Request) -> Response:
    """GET /v1/chat/completions"""
    query = request.query_params
    pairs = ((_METADATA.fullmatch(name), value) for name, value in query.items())
    metadata = {match[1]: value for match, value in pairs if match}
    every = partial(state_of(request).chats.all, model=query.get("model"), metadata=metadata)
    kept = await read_state(every)
    return page(request, kept, order="asc")


async def chats_get(request: Request) -> Response:
    """GET /v1/chat/completions/{id}"""
    found = await read_state(state_of(request).chats.get, request.path_params["id"])
    return json_response(found)


async def chats_update(request: Request, body: JsonObject) -> Response:
    """POST /v1/chat/completions/{id}: its metadata"""
    update = validated(Update, body)
    name, metadata = request.path_params["id"], dict(update.metadata or {})
    chats = state_of(request).chats
    return json_response(await change_state(request, chats.update, name, metadata))


async def chats_delete(request: Request) -> Response:
    """DELETE /v1/chat/completions/{id}"""
    name = request.path_params["id"]
    await change_state(request, state_of(request).chats.delete, name)
    return json_response({"object": "chat.completion.deleted", "id": name, "deleted": True})


async def chats_messages(request: Request) -> Response:
    """GET /v1/chat/completions/{id}/messages"""
    messages = await read_state(state_of(request).chats.messages, request.path_params["id"])
    return page(request, messages, order="asc")
