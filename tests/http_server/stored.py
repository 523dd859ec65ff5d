"""Requests that are stored, and what refers to them."""

from __future__ import annotations

import json
from typing import Any

from tests.http_server.doors import Door
from tests.http_server.raw import JsonObject, get, head, post

from codexapi_engine.simulator import Simulator

RESPONSES, CONVERSATIONS = "/v1/responses", "/v1/conversations"
CHATS = "/v1/chat/completions"


def delete(path: str) -> bytes:
    return head(f"DELETE {path}", "Host: 127.0.0.1")


async def made(server: Door, path: str, body: JsonObject) -> JsonObject:
    reply = await server.reply(post(path, body))
    assert reply.status == 200, reply
    return reply.json


def sent(backend: Simulator) -> JsonObject:
    """What the backend was asked last."""
    body: JsonObject = json.loads(backend.requests[-1].body)
    return body


def kinds(items: list[JsonObject]) -> list[str]:
    return [item.get("role") or item["type"] for item in items]


async def listed(server: Door, path: str) -> list[JsonObject]:
    reply = await server.reply(get(path))
    assert reply.status == 200, reply
    data: list[JsonObject] = reply.json["data"]
    return data


async def conversation(server: Door, **body: Any) -> str:
    name: str = (await made(server, CONVERSATIONS, body))["id"]
    return name
