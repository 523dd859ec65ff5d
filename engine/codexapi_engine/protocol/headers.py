"""The request headers for the backend, and the response headers that clients get.

Names are those of the official client 0.169.0; HTTP compares them without case.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

from .auth_file import Credentials

ORIGINATOR = "codexapi"
CLIENT_VERSION = "0.171.0"
"""The Codex protocol version that we are tested with, and the least that we name: the backend
offers models by it. `models.client_version` raises it to what the catalogue asks for."""

LITE = "x-openai-internal-codex-responses-lite"
WINDOW = "x-codex-window-id"
"""Only a Codex client sends it: the mark of one as our caller."""

FROM_CODEX_CLIENTS = frozenset(
    {
        LITE, WINDOW, "x-codex-beta-features", "x-codex-turn-metadata", "x-codex-turn-state",
        "x-codex-routing-hint", "x-codex-parent-thread-id", "x-openai-subagent",
        "x-client-request-id", "session-id", "thread-id",
    }
)  # fmt: skip
"""Request headers that travel from a Codex client through us, unchanged."""

TO_CLIENTS = frozenset(
    {"openai-model", "x-models-etag", "x-reasoning-included", "x-oai-request-id", "openai-processing-ms"}
)  # fmt: skip
"""Response headers of the backend that travel to the client, and with them `x-codex-*`."""

MAX_TO_CLIENT = 64
MAX_TO_CLIENT_BYTES = 1024
"""Of one header with its name. Python's own HTTP client gives up at 100 lines of a head."""

ACCOUNT = "chatgpt-account-id"
_SECRET = frozenset({ACCOUNT})
_SECRET_WORDS = "(?i)authorization|cookie|token|secret|key|user-id|email"


def signature(credentials: Credentials) -> dict[str, str]:
    """The headers that sign a request."""
    signed = {"authorization": f"Bearer {credentials.access_token.reveal()}"}
    if credentials.account_id:
        signed[ACCOUNT] = credentials.account_id
    if credentials.fedramp:
        signed["x-openai-fedramp"] = "true"
    return signed


def backend_headers(user_agent: str, client_version: str) -> dict[str, str]:
    """The headers of every request to the backend, its signature aside: the place for one that the
    token endpoint must not get."""
    return identity(user_agent, client_version)


def identity(user_agent: str, client_version: str) -> dict[str, str]:
    """The headers that say who we are, on every request: those to the token endpoint too."""
    return {
        "originator": ORIGINATOR,
        "user-agent": user_agent,
        "version": client_version,
        # Bytes that we do not have to inflate cannot be a bomb.
        "accept-encoding": "identity",
    }


def affinity(session: str) -> dict[str, str]:
    """The headers by which the backend finds the cache of a conversation."""
    return {"session-id": session, "thread-id": session, "x-client-request-id": session}


def from_codex_client(headers: Mapping[str, str]) -> dict[str, str]:
    """The part of a client's request headers that the backend should see."""
    return _safe({name: value for name, value in headers.items() if name in FROM_CODEX_CLIENTS})


def to_client(headers: Mapping[str, str]) -> dict[str, str]:
    """The part of the backend's response headers that the client should see."""
    fit = {
        name: value
        for name, value in headers.items()
        if (name in TO_CLIENTS or name.startswith("x-codex-"))
        and len(name) + len(value) <= MAX_TO_CLIENT_BYTES
        and f"{name}{value}".isascii()
        and f"{name}{value}".isprintable()
    }
    if len(fit) <= MAX_TO_CLIENT:
        return fit
    first = sorted(fit, key=lambda name: name not in TO_CLIENTS)
    return {name: fit[name] for name in first[:MAX_TO_CLIENT]}


def masked(headers: Mapping[str, str]) -> dict[str, str]:
    """Headers without secrets and without the user's identity."""
    return {
        name: "(left out)" if name in _SECRET or re.search(_SECRET_WORDS, name) else value
        for name, value in headers.items()
    }


def _safe(headers: dict[str, str]) -> dict[str, str]:
    return {
        name: value for name, value in headers.items() if value.isascii() and value.isprintable()
    }
