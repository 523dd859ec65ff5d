"""Parses and writes `auth.json`, the login of the Codex client, and reads the JWTs in it.

It takes bytes and returns `Credentials` or bytes. Signatures are not verified: the backend does
that. Fields are those that codex-rs/login (0.169.0) reads and writes.
"""

from __future__ import annotations

import base64
from typing import NamedTuple

from ..bounds import REFRESH_MARGIN
from ..errors import JsonObject, LoginExpired, NotLoggedIn
from . import json
from .secret import Secret
from .shapes import get_dict, get_str

LOGIN_HINT = "run `codex login`"
ISSUER = "https://auth.openai.com"
CLIENT_ID = "app_EMoamEEZ73f0CkXaXp7hrann"
"""The login's own OAuth client: a refresh token is only good for the client it was issued to."""


_LAST_MOMENT = 253_000_000_000
"""Epoch seconds, in the year 9987: `datetime` ends in 9999, wherever one lives."""

_CLAIMS = "https://api.openai.com/auth"
_PROFILE = "https://api.openai.com/profile"
_PERMANENT = {
    "refresh_token_expired": "its refresh token has expired",
    "refresh_token_reused": "its refresh token was already used, by another program or a copy",
    "refresh_token_invalidated": "its refresh token was revoked",
}


class Credentials(NamedTuple):
    """Who we are to the backend."""

    access_token: Secret
    refresh_token: Secret | None
    account_id: str | None
    plan: str | None
    expires_at: float | None  # epoch seconds; None where the access token is opaque
    last_refresh: str | None  # RFC 3339, as it stands in the file
    fedramp: bool = False
    issuer: str = ISSUER
    client_id: str = CLIENT_ID
    personal: bool = False  # a personal access token: only `whoami` has its owner
    email: Secret | None = None  # shown on request alone

    def fresh(self, now: float, margin: float = REFRESH_MARGIN) -> bool:
        """Whether the access token is good for more than `margin` seconds; True if unreadable."""
        return self.expires_at is None or self.expires_at - now > margin

    def unusable(self, now: float) -> LoginExpired | None:
        """The error of a login that is over: expired, with nothing to renew it by."""
        if self.refresh_token or self.fresh(now, margin=0):
            return None
        return LoginExpired(f"the access token has expired and cannot be renewed: {LOGIN_HINT}")


def parse(data: bytes, holder: str = "auth.json") -> Credentials:
    """The ChatGPT login in an `auth.json`. Raises NotLoggedIn, with the way out; `holder` is what
    the bytes are from."""
    content = _content(data, holder)
    mode = content.get("auth_mode") or _mode(content)
    tokens = content.get("tokens")
    if mode == "personalAccessToken" and get_str(content, "personal_access_token"):
        return _personal(content["personal_access_token"], holder)
    if mode not in ("chatgpt", "chatgptAuthTokens"):
        raise NotLoggedIn(
            f"{holder} holds a login of kind {_kind(mode)}, and codexapi needs a ChatGPT login: "
            f"{LOGIN_HINT} and choose ChatGPT",
            code="no_chatgpt_tokens",
        )
    access = get_str(tokens, "access_token") if isinstance(tokens, dict) else ""
    if not isinstance(tokens, dict) or not access:
        raise NotLoggedIn(f"{holder} has no ChatGPT tokens: {LOGIN_HINT}", code="no_chatgpt_tokens")
    claims = _claims(tokens)
    # The official client sends no account id when the field is null; the claim is as true.
    account = get_str(tokens, "account_id") or get_str(claims, "chatgpt_account_id") or None
    _printable("access_token", access, holder)
    _printable("refresh_token", tokens.get("refresh_token"), holder)
    _printable("account_id", account, holder)
    grant = get_dict(tokens, "oauth_provenance")
    expires = jwt_payload(access).get("exp")
    return Credentials(
        access_token=Secret(access),
        refresh_token=Secret.of(get_str(tokens, "refresh_token") or None),
        account_id=account,
        plan=get_str(claims, "chatgpt_plan_type") or None,
        expires_at=_moment(expires),
        last_refresh=get_str(content, "last_refresh") or None,
        fedramp=claims.get("chatgpt_account_is_fedramp") is True,
        issuer=get_str(grant, "issuer") or ISSUER,
        client_id=get_str(grant, "client_id") or CLIENT_ID,
        email=Secret.of(_email(tokens)),
    )


def renewed(data: bytes, answer: JsonObject, last_refresh: str) -> bytes:
    """`auth.json` after a refresh: the tokens that came back, and nothing else, replaced.

    Written as the official client writes it: two spaces, no newline at the end.
    """
    content = _content(data)
    tokens = content["tokens"]
    for name in ("id_token", "access_token", "refresh_token"):
        if get_str(answer, name):
            tokens[name] = answer[name]
    if tokens.get("account_id") is None:
        tokens["account_id"] = get_str(_claims(tokens), "chatgpt_account_id") or None
    content["last_refresh"] = last_refresh
    return json.dumps(content, indent=2)


def from_access_token(token: str) -> bytes:
    """`CODEX_ACCESS_TOKEN` as an `auth.json`: a personal access token (`at-…`), or the access
    token of a ChatGPT login. Neither can be renewed. Raises NotLoggedIn."""
    claims = jwt_payload(token)
    if "agent_private_key" in claims or "agent_runtime_id" in claims:
        # To send it as it is would hand out the private key in it.
        raise NotLoggedIn(
            "CODEX_ACCESS_TOKEN holds an agent identity, and codexapi needs a personal access "
            "token or a ChatGPT access token",
            code="no_chatgpt_tokens",
        )
    if not _sendable(token):
        raise NotLoggedIn(
            "CODEX_ACCESS_TOKEN has characters that no token has: set it anew, or unset it",
            code="auth_file_invalid",
        )
    if not claims:
        return json.dumps({"OPENAI_API_KEY": None, "personal_access_token": token})
    tokens = {"id_token": token, "access_token": token, "refresh_token": None, "account_id": None}
    return json.dumps({"auth_mode": "chatgptAuthTokens", "tokens": tokens})


def with_owner(credentials: Credentials, answer: JsonObject) -> Credentials:
    """A personal access token, with its owner from `whoami`."""
    account = get_str(answer, "chatgpt_account_id") or None
    return credentials._replace(
        account_id=account if account and _sendable(account) else None,
        plan=get_str(answer, "chatgpt_plan_type") or None,
        fedramp=answer.get("chatgpt_account_is_fedramp") is True,
    )


def refresh_request(credentials: Credentials, reason: str) -> JsonObject:
    """The body of `POST /oauth/token`. `reason`: proactive_expiry, scheduled or
    unauthorized_recovery, in the official client's words."""
    return {
        "client_id": credentials.client_id,
        "grant_type": "refresh_token",
        "refresh_reason": reason,
        "refresh_token": credentials.refresh_token and credentials.refresh_token.reveal(),
    }


def refresh_refused(status: int, body: bytes) -> LoginExpired | None:
    """The permanent failure behind an answer of the token endpoint; None if it may pass.

    Permanent: the three codes, any other 401, and 400 `invalid_grant` (`tests/wires/oauth.json`).
    """
    code = _refusal_code(body)
    if code in _PERMANENT:
        return login_expired(code)
    if status != 401 and not (status == 400 and code == "invalid_grant"):
        return None
    return LoginExpired(
        f"the login can no longer be renewed: the token endpoint refused it; {LOGIN_HINT}",
        code="login_expired",
    )


def may_be_spent(status: int, body: bytes) -> bool:
    """Whether a refresh token may be gone after an answer without a pair and without a refusal.

    A 5xx that is no error of the endpoint itself comes from a gateway, and most of those are
    about an answer that was lost: the official client sends the token again, and is logged out
    where the first request had arrived.
    """
    if status < 500:
        return False
    return status not in (500, 503) or not _is_endpoint_error(body)


def _is_endpoint_error(body: bytes) -> bool:
    """An error in OAuth's form (a code in `error`), or in OpenAI's. Gateways have others."""
    try:
        error = json.loads(body).get("error")
    except (ValueError, AttributeError, RecursionError):
        return False
    if isinstance(error, dict):
        error = error.get("code") or error.get("type")
    return isinstance(error, str) and bool(error)


def login_expired(code: str) -> LoginExpired | None:
    """The permanent failure of this code; None if it is none."""
    if code not in _PERMANENT:
        return None
    return LoginExpired(
        f"the login can no longer be renewed: {_PERMANENT[code]}; {LOGIN_HINT}", code=code
    )


def jwt_payload(token: str) -> JsonObject:
    """The claims of a JWT; `{}` if it is not one."""
    parts = token.split(".")
    if len(parts) != 3 or not all(parts):
        return {}
    try:
        padded = parts[1] + "=" * (-len(parts[1]) % 4)
        payload = json.loads(base64.urlsafe_b64decode(padded))
    except ValueError:
        return {}
    return payload if isinstance(payload, dict) else {}


def _content(data: bytes, holder: str = "auth.json") -> JsonObject:
    try:
        content = json.loads(data.decode("utf-8-sig"))
    except ValueError:
        raise NotLoggedIn(
            f"{holder} is not readable as JSON: {LOGIN_HINT} to write it anew",
            code="auth_file_invalid",
        ) from None  # its repr would hold the file's bytes
    if not isinstance(content, dict):
        raise NotLoggedIn(
            f"{holder} is not a JSON object: {LOGIN_HINT} to write it anew",
            code="auth_file_invalid",
        )
    return content


def _personal(token: str, holder: str) -> Credentials:
    _printable("personal_access_token", token, holder)
    return Credentials(Secret(token), None, None, None, None, None, personal=True)


def _mode(content: JsonObject) -> str:
    """The kind of login where `auth_mode` is missing (codex-rs/login/src/auth/storage.rs)."""
    if content.get("personal_access_token"):
        return "personalAccessToken"
    return "apikey" if content.get("OPENAI_API_KEY") else "chatgpt"


def _kind(mode: object) -> str:
    return {"apikey": "API key"}.get(str(mode), str(mode)[:40])


def _claims(tokens: JsonObject) -> JsonObject:
    """The ChatGPT claims: of the id token, and where it has none, of the access token."""
    merged: JsonObject = {}
    for name in ("access_token", "id_token"):
        merged.update(get_dict(jwt_payload(get_str(tokens, name)), _CLAIMS))
    return merged


def _email(tokens: JsonObject) -> str | None:
    claims = jwt_payload(str(tokens.get("id_token")))
    return get_str(claims, "email") or get_str(get_dict(claims, _PROFILE), "email") or None


def _refusal_code(body: bytes) -> str:
    """The code stands in `error.code`, in `error`, or in `code`."""
    try:
        answer = json.loads(body)
    except ValueError:
        return ""
    if not isinstance(answer, dict):
        return ""
    nested = get_str(get_dict(answer, "error"), "code")
    return nested or get_str(answer, "error") or get_str(answer, "code")


def _printable(name: str, value: object, holder: str) -> None:
    """What goes into a header must not be able to end it."""
    if isinstance(value, str) and not _sendable(value):
        raise NotLoggedIn(
            f"the {name} in {holder} has characters that no token has: {LOGIN_HINT}",
            code="auth_file_invalid",
        )


def _sendable(text: str) -> bool:
    return text.isascii() and text.isprintable()


def _moment(value: object) -> float | None:
    """Epoch seconds; None where that is no number, or beyond what a calendar holds."""
    if isinstance(value, bool) or not isinstance(value, int | float) or value > _LAST_MOMENT:
        return None
    return float(max(value, 0))
