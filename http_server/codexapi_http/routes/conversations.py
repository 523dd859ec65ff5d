"""The endpoints of conversations and their items."""

from __future__ import annotations

import time
from functools import partial
from typing import Any

from pydantic import BaseModel, ConfigDict, Field
from starlette.requests import Request
from starlette.responses import Response

from codexapi_engine.aside import aside
from codexapi_engine.bounds import MAX_ITEMS
from codexapi_engine.errors import JsonObject
from codexapi_engine.protocol import json
from codexapi_engine.protocol.responses import items_for_client
from codexapi_engine.protocol.responses.request import checked_items
from codexapi_engine.protocol.validation import Metadata, validated
from codexapi_engine.storage import Owner

from ..requests import change_state, codex_of, read_state, state_of
from ..stored_files import check_files
from .answer import json_response
from .lists import include, page

_ANY_MODEL = ""
"""A client does not say whose model wrote the items that it adds."""


class Creation(BaseModel):
    model_config = ConfigDict(strict=True, defer_build=True)

    items: list[dict[str, Any]] | None = Field(None, max_length=MAX_ITEMS)
    metadata: Metadata | None = None


class Update(BaseModel):
    model_config = ConfigDict(strict=True, defer_build=True)

    metadata: Metadata | None


class Addition(BaseModel):
    model_config = ConfigDict(strict=True, defer_build=True)

    items: list[dict[str, Any]] = Field(max_length=MAX_ITEMS)


async def conversations_create(request: Request, body: JsonObject) -> Response:
    """POST /v1/conversations"""
    creation = validated(Creation, body)
    items, owner = await _added(request, body, creation.items or [])
    create = partial(state_of(request).conversations.create, created=int(time.time()), owner=owner)
    made = await change_state(request, create, items, dict(creation.metadata or {}))
    return json_response(made)


async def conversations_get(request: Request) -> Response:
    """GET /v1/conversations/{id}"""
    found = await read_state(state_of(request).conversations.get, request.path_params["id"])
    return json_response(found)


async def conversations_update(request: Request, body: JsonObject) -> Response:
    """POST /v1/conversations/{id}: its metadata"""
    update = validated(Update, body)
    name, metadata = request.path_params["id"], dict(update.metadata or {})
    kept = state_of(request).conversations
    return json_response(await change_state(request, kept.update, name, metadata))


async def conversations_delete(request: Request) -> Response:
    """DELETE /v1/conversations/{id}"""
    name = request.path_params["id"]
    await change_state(request, state_of(request).conversations.delete, name)
    return json_response({"id": name, "object": "conversation.deleted", "deleted": True})


async def items_list(request: Request) -> Response:
    """GET /v1/conversations/{id}/items"""
    items = await read_state(state_of(request).conversations.items, request.path_params["id"])
    return page(request, items_for_client(items, include(request)), order="desc")


async def items_add(request: Request, body: JsonObject) -> Response:
    """POST /v1/conversations/{id}/items"""
    items, owner = await _added(request, body, validated(Addition, body).items)
    kept, name = state_of(request).conversations, request.path_params["id"]
    added = await change_state(request, partial(kept.add, owner=owner), name, items)
    added = items_for_client(added, include(request))
    return json_response(
        {
            "object": "list",
            "data": added,
            "first_id": added[0]["id"] if added else None,
            "last_id": added[-1]["id"] if added else None,
            "has_more": False,
        }
    )


async def items_get(request: Request) -> Response:
    """GET /v1/conversations/{id}/items/{item}"""
    name, item = request.path_params["id"], request.path_params["item"]
    found = [await read_state(state_of(request).conversations.item, name, item)]
    return json_response(items_for_client(found, include(request))[0])


async def items_delete(request: Request) -> Response:
    """DELETE /v1/conversations/{id}/items/{item}: what is left is answered"""
    name, item = request.path_params["id"], request.path_params["item"]
    kept = state_of(request).conversations
    return json_response(await change_state(request, kept.remove, name, item))


async def _added(
    request: Request, body: JsonObject, items: list[JsonObject]
) -> tuple[list[JsonObject], Owner]:
    """Items that a client adds, with what they refer to in its place, and whose they are."""
    owner = await codex_of(request).owner(_ANY_MODEL)
    whole = await read_state(partial(state_of(request).responses.inlined, items, owner=owner))
    heavy = json.is_heavy(whole)
    await aside(heavy, checked_items, whole)
    await check_files(request, body, whole, heavy=heavy)
    return whole, owner
