"""Names the program behind a request, by its User-Agent."""

from __future__ import annotations

import re
from functools import lru_cache

PROGRAM = "codexapi.program"
"""Where a scope has the name, for the requests of a WebSocket."""

OTHER = "other"

_LENGTH = 400
"""Bytes of a User-Agent that are looked at: a browser's has about 120."""

_COMMENT = re.compile(r"\([^()]*\)")
_PRODUCT = re.compile(
    r"([A-Za-z0-9][A-Za-z0-9._@+-]{0,39})(?:/v?([A-Za-z0-9][A-Za-z0-9._+-]{0,23}))?"
)
_SDKS = frozenset({"OpenAI", "AsyncOpenAI", "Anthropic", "AsyncAnthropic"})
"""Their User-Agent is `OpenAI/Python 3.57.0`: what looks like a version is the language."""

_ENGINES = frozenset({"Mozilla", "AppleWebKit", "Gecko", "Version", "Mobile", "Safari"})
_SHELLS = frozenset({"Chrome", "HeadlessChrome", "Electron", *_ENGINES})
"""Parts of a browser's User-Agent that other programs have too: the rarest part names the program."""


def program_of(user_agent: bytes) -> str:
    """`claude-cli 2.0.1`, `openai-python 3.57.0`, `curl 8.5.0`: a name without spaces and a
    version, if there is one. Empty for a text that names no product: it is untrusted."""
    return _named(user_agent[:_LENGTH])


@lru_cache(64)  # a program has one, and sends it with each request
def _named(user_agent: bytes) -> str:
    words = _COMMENT.sub(" ", user_agent.decode("latin-1")).split()
    products = [match for word in words if (match := _PRODUCT.fullmatch(word))]
    if not products:
        return ""
    first = products[0]
    if first[1] in _SDKS and first[2]:
        name = f"{first[1].removeprefix('Async')}-{first[2]}".lower()
        version = words[1] if len(words) > 1 and _PRODUCT.fullmatch(words[1]) else ""
        return f"{name} {version}".rstrip()
    if first[1] == "Mozilla":
        first = _of_browser(products)
    return f"{first[1]} {first[2] or ''}".rstrip()


def _of_browser(products: list[re.Match[str]]) -> re.Match[str]:
    """The program in a browser's User-Agent, which begins with the names of others."""
    for known in (_SHELLS, _ENGINES):
        for product in products:
            if product[1] not in known:
                return product
    return products[-1]
