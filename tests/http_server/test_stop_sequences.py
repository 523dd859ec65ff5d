"""Every dialect ends its text at a stop sequence: the backend has none."""

from __future__ import annotations

import pytest
from tests.http_server.doors import Door, chat
from tests.http_server.raw import JsonObject, post

from codexapi_http.dialect import OPENAI
from codexapi_http.routes import DIALECTS

pytestmark = [pytest.mark.asyncio(loop_scope="module"), pytest.mark.timeout(60)]

STOPS: dict[str, tuple[str, JsonObject]] = {
    "openai": ("/v1/chat/completions", {"stop": ["END"]}),
    "anthropic": ("/v1/messages", {"stop_sequences": ["END"], "max_tokens": 9}),
    "ollama": ("/api/chat", {"options": {"stop": ["END"]}}),
}
"""Of each dialect a path, and how its requests name a stop sequence."""
NAMES = [OPENAI.name, *(routes.dialect.name for routes in DIALECTS)]


@pytest.mark.parametrize("streams", [True, False], ids=["stream", "complete"])
@pytest.mark.parametrize("dialect", NAMES)
async def test_a_reply_ends_before_a_stop_sequence(
    server: Door, dialect: str, streams: bool
) -> None:
    path, stop = STOPS[dialect]
    body = {**chat("[[say first END second]]", stream=streams), **stop}
    reply = await server.reply(post(path, body))
    assert reply.status == 200
    assert b"first" in reply.body
    assert b"second" not in reply.body
