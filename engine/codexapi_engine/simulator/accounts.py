"""The accounts of the simulated backend: access tokens, refresh tokens, and the encryption key.

All of them are invented; nothing here is a secret.
"""

from __future__ import annotations

import base64
import json
import random
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import NamedTuple

from ..errors import JsonObject
from .refusals import REFUSALS, Refusal, Refused

CLIENT_ID = "app_EMoamEEZ73f0CkXaXp7hrann"
"""The OAuth client of Codex logins: a refresh token is good for no other."""

PLAN = "plus"
_CLAIMS = "https://api.openai.com/auth"


class Account(NamedTuple):
    account_id: str
    user_id: str


NOBODY = Account("", "")


class Accounts:
    """Issues tokens, checks them, and redeems refresh tokens once."""

    def __init__(self, lifetime: float, clock: Callable[[], float], dice: random.Random) -> None:
        # set once
        self._lifetime = lifetime
        self._clock = clock
        self._dice = dice
        self.first = self._new_account()
        # moves
        self.key = 1  # the number of the key that encrypts
        self._by_name: dict[str, Account] = {"": self.first}
        self._expiry: dict[str, float] = {}  # access token -> epoch seconds
        self._owners: dict[str, Account] = {}  # access or refresh token -> whose it is
        self._refresh_tokens: dict[str, bool] = {}  # -> whether it is still good
        self._issued = 0
        self.refreshes = 0
        self.refused_refreshes = 0

    def account_of(self, name: str = "") -> Account:
        """The account of this name, which is made when it is first asked for."""
        if name not in self._by_name:
            self._by_name[name] = self._new_account()
        return self._by_name[name]

    def login(self, name: str = "") -> bytes:
        """An `auth.json` with tokens of its own, as the official client writes it."""
        account = self.account_of(name)
        content = {
            "auth_mode": "chatgpt",
            "OPENAI_API_KEY": None,
            "tokens": {**self._issue(account), "account_id": account.account_id},
            "last_refresh": datetime.fromtimestamp(self._clock(), UTC).strftime(
                "%Y-%m-%dT%H:%M:%S.%fZ"
            ),
        }
        return json.dumps(content, indent=2).encode()

    def check(self, headers: Mapping[str, str]) -> Account:
        """The account that signs a request. Raises Refused unless its token is good now."""
        kind, _, token = headers.get("authorization", "").partition(" ")
        if kind.lower() != "bearer" or not token:
            raise Refused(REFUSALS["unauthorized_detail"])
        if token not in self._expiry:
            raise Refused(REFUSALS["token_invalidated"])
        if self._clock() >= self._expiry[token]:
            raise Refused(REFUSALS["token_expired"])
        if headers.get("chatgpt-account-id") != self._owners[token].account_id:
            raise Refused(REFUSALS["unauthorized_detail"])
        return self._owners[token]

    def invalidate(self) -> None:
        """Makes every access token so far worthless; refresh tokens stay good."""
        self._expiry.clear()

    def rotate_keys(self) -> None:
        """Makes all encrypted content so far unreadable, of every account."""
        self.key += 1

    def refresh(self, request: Mapping[str, object]) -> JsonObject:
        """New tokens for a refresh token. Raises Refused, from the second time on for ever."""
        token = str(request.get("refresh_token"))
        if request.get("grant_type") != "refresh_token":
            raise self._count_refusal(_oauth("unsupported_grant_type"))
        if request.get("client_id") != CLIENT_ID:
            raise self._count_refusal(_oauth("invalid_client"))
        if token not in self._refresh_tokens:
            raise self._count_refusal(REFUSALS["refresh_token_invalidated"])
        if not self._refresh_tokens[token]:
            raise self._count_refusal(REFUSALS["refresh_token_reused"])
        self._refresh_tokens[token] = False
        self.refreshes += 1
        return {
            **self._issue(self._owners[token]),
            "token_type": "Bearer",
            "expires_in": int(self._lifetime),
            "scope": "openid profile email offline_access",
        }

    def _count_refusal(self, refusal: Refusal) -> Refused:
        self.refused_refreshes += 1
        return Refused(refusal)

    def _new_account(self) -> Account:
        return Account(
            f"acct-simulated-{self._dice.getrandbits(32):08x}",
            f"user-simulated-{self._dice.getrandbits(32):08x}",
        )

    def _issue(self, account: Account) -> JsonObject:
        self._issued += 1
        now = self._clock()
        expires = now + self._lifetime
        who = {
            "chatgpt_account_id": account.account_id,
            "chatgpt_plan_type": PLAN,
            "chatgpt_user_id": account.user_id,
        }
        # `exp` may have a fraction (RFC 7519 2): lifetimes below a second are for tests.
        times = {"iat": int(now), "exp": int(expires) if self._lifetime >= 60 else expires}
        access = _jwt({**times, "jti": f"simulated-{self._issued}", _CLAIMS: who})
        refresh = f"rt_simulated_{self._issued}_{self._dice.getrandbits(64):016x}"
        self._expiry[access] = times["exp"]
        self._refresh_tokens[refresh] = True
        self._owners[access] = self._owners[refresh] = account
        return {
            "id_token": _jwt({**times, "email": "simulated@example.com", _CLAIMS: who}),
            "access_token": access,
            "refresh_token": refresh,
        }


def _jwt(claims: JsonObject) -> str:
    parts = [{"alg": "none", "typ": "JWT"}, claims]
    coded = (
        base64.urlsafe_b64encode(json.dumps(part, separators=(",", ":")).encode()) for part in parts
    )
    return ".".join([*(part.rstrip(b"=").decode() for part in coded), "simulated"])


def _oauth(code: str) -> Refusal:
    return Refusal(400, {"error": code, "error_description": "The simulated issuer refuses this."})
