"""CORS for the web pages that the user allows by their exact origin: `serve --cors`.

Keys are not handled here: an allowed page still needs one where one is required. Cookies and other
credentials of the browser are never requested.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping

METHODS = ("GET", "POST", "DELETE")
_NAME = re.compile(r"[a-z0-9!#$%&'*+.^_`|~-]{1,100}")
_BROWSER_OWN = re.compile(
    r"\*|cookie2?|host|origin|referer|connection|content-length|transfer-encoding|upgrade|te|"
    r"trailer|via|expect|keep-alive|date|dnt|(?:sec|proxy|access-control)-.*"
)
"""What no page may set. Browsers do not ask for these either; of the rest, which each client has its
own (`x-title`, `http-referer`, `x-api-key`, `x-stainless-*`), nothing gives a page more than to call
at all."""

_AGE = 600
"""Seconds that a browser may remember a permission."""

Headers = list[tuple[bytes, bytes]]


class Cors:
    """The permissions of some origins. None where there are none."""

    def __init__(self, origins: Iterable[str]) -> None:
        self._origins = frozenset(origin.lower().encode() for origin in origins)

    def allows(self, headers: Mapping[bytes, bytes]) -> bool:
        return headers.get(b"origin", b"").lower() in self._origins

    def of_answer(self, headers: Mapping[bytes, bytes]) -> Headers:
        """What an answer says to a browser; an answer for another origin is not for this one."""
        if not self._origins:
            return []
        vary = (b"vary", b"Origin")
        if not self.allows(headers):
            return [vary]
        return [
            (b"access-control-allow-origin", headers[b"origin"]),
            # All of them, and a wildcard does for requests without the browser's logins.
            (b"access-control-expose-headers", b"*"),
            vary,
        ]

    def is_preflight(self, method: str, headers: Mapping[bytes, bytes]) -> bool:
        """Whether a request is a browser's question for a page of these: a preflight."""
        asks = method == "OPTIONS" and b"access-control-request-method" in headers
        return asks and self.allows(headers)

    def preflight(self, headers: Mapping[bytes, bytes]) -> Headers:
        """The headers that a page may send, of those that its browser requests."""
        method = headers.get(b"access-control-request-method", b"").decode("latin-1")
        wanted = headers.get(b"access-control-request-headers", b"").decode("latin-1").split(",")
        names = [
            name
            for name in map(_normalize, wanted)
            if _NAME.fullmatch(name) and not _BROWSER_OWN.fullmatch(name)
        ]
        answer = [(b"access-control-max-age", str(_AGE).encode())]
        if method in METHODS:
            answer.append((b"access-control-allow-methods", method.encode()))
        if names:
            answer.append((b"access-control-allow-headers", ", ".join(names).encode()))
        if headers.get(b"access-control-request-private-network") == b"true":
            answer.append((b"access-control-allow-private-network", b"true"))
        return answer


def _normalize(text: str) -> str:
    return text.strip().lower()
