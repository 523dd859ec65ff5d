"""Sends a refresh request to the token endpoint, with one deadline and a bounded response."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

from ..bounds import TOKEN_TIMEOUT
from ..errors import (
    JsonObject,
)
from ..http.messages import HttpRequest, HttpTransport, Timeouts, Url
from ..protocol import json

_TIMEOUTS = Timeouts(TOKEN_TIMEOUT / 4, TOKEN_TIMEOUT, TOKEN_TIMEOUT)
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
    http: HttpTransport, method: str, url: str, headers: Mapping[str, str], body: bytes = b""
) -> TokenAnswer:
    """Sends a request and reads the answer, up to its limit: an endless answer, or a small one
    that inflates to a large one, must not fill the memory. Raises HttpFailure."""
    place = Url.parse(url)
    sent = {"host": place.netloc, "accept": "*/*", **headers}
    if body:
        sent["content-length"] = str(len(body))
    response = await http.send(HttpRequest(method, place, sent, body, _TIMEOUTS))
    try:
        if response.headers.get("content-encoding", "identity").lower() != "identity":
            return TokenAnswer(response.status, b"")
        read = b""
        async for piece in response:
            read += piece
            if len(read) > MAX_ANSWER:
                return TokenAnswer(response.status, b"")
        return TokenAnswer(response.status, read)
    finally:
        await response.aclose()
