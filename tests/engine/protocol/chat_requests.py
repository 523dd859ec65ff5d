"""A Chat Completions request, and the Responses request that it becomes."""

from __future__ import annotations

from typing import Any

import pytest

from codexapi_engine.errors import InvalidRequest
from codexapi_engine.protocol import JsonObject, chat

HI: JsonObject = {"role": "user", "content": "hi"}


def body(*messages: JsonObject, **more: Any) -> JsonObject:
    return {"model": "m", "messages": list(messages) or [HI], **more}


def made(*messages: JsonObject, **more: Any) -> JsonObject:
    request, _ = chat.from_client(body(*messages, **more))
    return chat.to_responses(request)


def refusal(given: Any, *, strict: bool = False) -> InvalidRequest:
    with pytest.raises(InvalidRequest) as caught:
        chat.to_responses(chat.from_client(given, strict=strict)[0])
    return caught.value
