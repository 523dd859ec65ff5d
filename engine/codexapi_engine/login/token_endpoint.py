"""Sends a refresh request to the token endpoint, with one deadline and a bounded response."""

from __future__ import annotations

from typing import NamedTuple

from ..bounds import TOKEN_TIMEOUT
from ..errors import (
    JsonObject,
)
from ..http._httpx import httpx
from ..protocol import json

_TIMEOUTS = httpx.Timeout(TOKEN_TIMEOUT, connect=TOKEN_TIMEOUT / 4)
"""A failed connection and a lost answer are different: only the first may be tried again."""


MAX_ANSWER = 64 * 1024
"""Bytes of an answer about a login: a pair of tokens has 4 kB."""


class TokenAnswer(NamedTuple):
    """An answer about a login, as much of it as one may have."""

    status: int
    body: bytes  # empty where it is too large, or in a coding that we did not accept

    @property
    def is_web_page(self) -> bool:
        """What stood between us and the token endpoint has answered in its place."""
        return self.body.lstrip()[:1] == b"<"

    def json(self) -> JsonObject | None:
        """The JSON object of a good answer; None of any other."""
        try:
            value = json.loads(self.body) if self.status == 200 else None
        except (ValueError, RecursionError):
            value = None
        return value if isinstance(value, dict) else None


async def ask_token_endpoint(
    http: httpx.AsyncClient, method: str, url: str, headers: dict[str, str], body: bytes = b""
) -> TokenAnswer:
    """Sends a request and reads the answer, up to its limit: an endless answer, or a small one
    that inflates to a large one, must not fill the memory. Raises httpx's exceptions."""
    request = http.build_request(method, url, content=body, headers=headers, timeout=_TIMEOUTS)
    response = await http.send(request, stream=True)
    try:
        if response.headers.get("content-encoding", "identity").lower() != "identity":
            return TokenAnswer(response.status_code, b"")
        read = b""
        async for piece in response.aiter_raw():
            read += piece
            if len(read) > MAX_ANSWER:
                return TokenAnswer(response.status_code, b"")
        return TokenAnswer(response.status_code, read)
    finally:
        await response.aclose()
