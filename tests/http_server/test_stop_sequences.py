"""Every dialect ends its text at a stop sequence: the backend has none."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from tests.http_server.doors import Door, chat
from tests.http_server.raw import post

from codexapi_http.dialect import OPENAI
from codexapi_http.routes import DIALECTS

pytestmark = [pytest.mark.asyncio(loop_scope="module"), pytest.mark.timeout(60)]

PROMPT = "[[say first END second]]"


def _openai(streams: bool) -> bytes:
    return post("/v1/chat/completions", {**chat(PROMPT, stream=streams), "stop": ["END"]})


def _anthropic(streams: bool) -> bytes:
    stop = {"stop_sequences": ["END"], "max_tokens": 9}
    return post("/v1/messages", {**chat(PROMPT, stream=streams), **stop})


def _ollama(streams: bool) -> bytes:
    return post("/api/chat", {**chat(PROMPT, stream=streams), "options": {"stop": ["END"]}})


STOPS: dict[str, Callable[[bool], bytes]] = {
    "openai": _openai,
    "anthropic": _anthropic,
    "ollama": _ollama,
}
"""Of each dialect the request for `PROMPT` that ends before `END`; its argument is whether it streams."""
NAMES = [OPENAI.name, *(routes.dialect.name for routes in DIALECTS)]


@pytest.mark.parametrize("streams", [True, False], ids=["stream", "complete"])
@pytest.mark.parametrize("dialect", NAMES)
async def test_a_reply_ends_before_a_stop_sequence(
    server: Door, dialect: str, streams: bool
) -> None:
    reply = await server.reply(STOPS[dialect](streams))
    assert reply.status == 200
    assert b"first" in reply.body
    assert b"second" not in reply.body
