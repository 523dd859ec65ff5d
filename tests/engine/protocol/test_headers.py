"""What we say of ourselves, and what passes on."""

from __future__ import annotations

from typing import Any

import pytest
from tests.wire_files import table

from codexapi_engine.protocol import headers
from codexapi_engine.protocol.auth_file import Credentials
from codexapi_engine.protocol.secret import Secret


def who(**more: Any) -> Credentials:
    given = {
        "refresh_token": None,
        "account_id": "acct-1",
        "plan": None,
        "expires_at": None,
        "last_refresh": None,
    }
    return Credentials(Secret("token"), **{**given, **more})


def test_a_request_is_signed() -> None:
    assert headers.signature(who()) == {
        "authorization": "Bearer token",
        "chatgpt-account-id": "acct-1",
    }
    assert headers.signature(who(account_id=None)) == {"authorization": "Bearer token"}
    assert headers.signature(who(fedramp=True))["x-openai-fedramp"] == "true"


def test_we_say_who_we_are() -> None:
    said = headers.identity("codexapi/1 (test)", "0.1.2")
    assert said == {
        "originator": "codexapi", "user-agent": "codexapi/1 (test)", "version": "0.1.2", "accept-encoding": "identity",
    }  # fmt: skip


def test_a_conversation_keeps_its_name() -> None:
    assert set(headers.affinity("s").values()) == {"s"}
    assert "session-id" in headers.affinity("s")


def test_only_known_headers_of_a_codex_client_pass() -> None:
    known = {headers.WINDOW: "w", headers.LITE: "true", "session-id": "s"}
    given = {
        **known,
        "authorization": "Bearer x",
        "cookie": "c",
        "host": "h",
        "x-forwarded-for": "1",
    }
    assert headers.from_codex_client(given) == known


def test_limits_and_a_few_others_reach_the_client() -> None:
    passed = headers.to_client({**table("headers"), "set-cookie": "c", "content-length": "3"})
    assert {name for name in passed if not name.startswith("x-codex-")} == {
        "openai-model", "x-models-etag", "x-reasoning-included", "x-oai-request-id",
    }  # fmt: skip
    assert passed["x-codex-primary-used-percent"] == "9"


@pytest.mark.parametrize("value", ["a\r\nx: y", "a\nb", "é", "\x00"])
def test_a_value_that_could_end_a_header_does_not_pass(value: str) -> None:
    assert headers.from_codex_client({"session-id": value}) == {}
    assert headers.to_client({"openai-model": value}) == {}


@pytest.mark.parametrize("name", ["openai-model", "x-codex-" + "x" * 100])
def test_a_header_too_long_for_a_client_does_not_pass(name: str) -> None:
    room = headers.MAX_TO_CLIENT_BYTES - len(name)
    assert headers.to_client({name: "x" * room}) == {name: "x" * room}
    assert headers.to_client({name: "x" * (room + 1)}) == {}


def test_a_flood_of_headers_does_not_pass_and_the_known_ones_do() -> None:
    flood = {f"x-codex-{number}": "1" for number in range(300)}
    passed = headers.to_client({**flood, "openai-model": "m"})
    assert len(passed) == headers.MAX_TO_CLIENT
    assert passed["openai-model"] == "m"
