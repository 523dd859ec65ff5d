"""Logins that nobody has: `auth.json` as Codex 0.169 writes it, with invented tokens."""

from __future__ import annotations

import base64
import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

ACCOUNT = "00000000-aaaa-4bbb-8ccc-dddddddddddd"
CLAIMS = "https://api.openai.com/auth"
NOW = 1_795_332_000.0
"""A moment for tests that bring their own clock: 2026-11-22."""

DAY = 86400.0


def jwt(claims: dict[str, Any]) -> str:
    """A token that says `claims`; its signature is none."""
    parts = [{"alg": "RS256", "typ": "JWT"}, claims]
    head, body = (
        base64.urlsafe_b64encode(json.dumps(part).encode()).rstrip(b"=").decode() for part in parts
    )
    return f"{head}.{body}.bm90LWEtc2lnbmF0dXJl"


def access_token(exp: float | None, mark: str = "first", **claims: Any) -> str:
    """An access token; `mark` tells it from others."""
    told = {"jti": f"canary-access-{mark}", CLAIMS: {"chatgpt_plan_type": "pro", **claims}}
    return jwt(told if exp is None else {"exp": int(exp), **told})


def accepted_headers(login: bytes | str) -> dict[str, str]:
    """What the backend demands of every request, signed with this `auth.json`."""
    tokens = json.loads(login)["tokens"]
    return {
        "authorization": f"Bearer {tokens['access_token']}",
        "chatgpt-account-id": tokens["account_id"],
        "version": "0.171.0",
    }


def auth_json(
    *,
    exp: float | None = NOW + DAY,
    mark: str = "first",
    access: str | None = None,
    refresh: str | None = "canary-refresh-first",
    account: str | None = ACCOUNT,
    issued: float | None = NOW - 9 * DAY,
    provenance: dict[str, str] | None = None,
    **top: Any,
) -> bytes:
    """The bytes of an `auth.json`. `top` are members of the outer object."""
    tokens: dict[str, Any] = {
        "id_token": jwt({CLAIMS: {"chatgpt_plan_type": "pro", "chatgpt_account_id": account}}),
        "access_token": access or access_token(exp, mark),
        "refresh_token": refresh,
        "account_id": account,
    }
    if provenance is not None:
        tokens["oauth_provenance"] = provenance
    content = {"auth_mode": "chatgpt", "OPENAI_API_KEY": None, "tokens": tokens}
    if issued is not None:
        stamp = datetime.fromtimestamp(issued, UTC)
        content["last_refresh"] = f"{stamp:%Y-%m-%dT%H:%M:%S}.092488345Z"
    return json.dumps({**content, **top}, indent=2).encode()


def write_login(home: Path, data: bytes) -> Path:
    """Puts an `auth.json` into a folder, as private as Codex makes it."""
    path = home / "auth.json"
    path.write_bytes(data)
    path.chmod(0o600)
    return path
