"""`auth.json` and the JWTs in it. All tokens here are invented."""

from __future__ import annotations

import base64
import json
from typing import Any

import pytest
from tests.wire_files import table

from codexapi_engine.bounds import REFRESH_MARGIN
from codexapi_engine.errors import LoginExpired, NotLoggedIn
from codexapi_engine.protocol import auth_file
from codexapi_engine.protocol.secret import Secret

CLAIMS = "https://api.openai.com/auth"
TOKENS = table("oauth")
DEEP = rb'["\ud83d", ' + b"[" * 50_000
"""Nested too deep for the slow road, which half an emoji leads to."""


def part(value: object) -> str:
    data = value if isinstance(value, bytes) else json.dumps(value).encode()
    return base64.urlsafe_b64encode(data).decode().rstrip("=")


def jwt(payload: object) -> str:
    return f"{part({'alg': 'none'})}.{part(payload)}.c2ln"


def content(*, tokens: Any = None, **more: Any) -> dict[str, Any]:
    access = jwt({"exp": 2_000_000_000})
    given = {
        "access_token": access,
        "refresh_token": "rt_fake",
        "account_id": "acct-1",
        "id_token": "x",
    }
    return {"auth_mode": "chatgpt", "tokens": {**given, **(tokens or {})}, **more}


def parse(value: object) -> auth_file.Credentials:
    return auth_file.parse(json.dumps(value).encode())


def test_a_login_of_the_official_client_is_read() -> None:
    id_token = jwt({CLAIMS: {"chatgpt_plan_type": "pro", "chatgpt_account_id": "acct-2"}})
    found = parse(
        content(
            tokens={"id_token": id_token}, last_refresh="2026-11-20T10:00:00Z", OPENAI_API_KEY=None
        )
    )
    assert found.refresh_token == Secret("rt_fake")
    assert found.account_id == "acct-1"
    assert found.plan == "pro"
    assert found.expires_at == 2_000_000_000
    assert found.last_refresh == "2026-11-20T10:00:00Z"
    assert found.issuer == auth_file.ISSUER
    assert found.client_id == auth_file.CLIENT_ID
    assert found.fedramp is False


@pytest.mark.parametrize(
    ("changes", "name", "expected"),
    [
        ({"account_id": None}, "account_id", None),
        ({"account_id": ""}, "account_id", None),
        ({"account_id": None, "id_token": jwt({CLAIMS: {"chatgpt_account_id": "a"}})}, "account_id", "a"),
        ({"account_id": None, "access_token": jwt({CLAIMS: {"chatgpt_account_id": "b"}})}, "account_id", "b"),
        ({"account_id": 7}, "account_id", None),
        ({"refresh_token": None}, "refresh_token", None),
        ({"refresh_token": ""}, "refresh_token", None),
        ({"access_token": "opaque"}, "expires_at", None),
        ({"access_token": jwt({})}, "expires_at", None),
        ({"access_token": jwt({"exp": "soon"})}, "expires_at", None),
        ({"access_token": jwt({"exp": True})}, "expires_at", None),
        ({"access_token": jwt({"exp": 10**400})}, "expires_at", None),
        ({"access_token": jwt({"exp": 12.5})}, "expires_at", 12.5),
        ({"access_token": jwt([1])}, "expires_at", None),
        ({"id_token": jwt({CLAIMS: {"chatgpt_account_is_fedramp": True}})}, "fedramp", True),
        ({"id_token": jwt({CLAIMS: {"chatgpt_account_is_fedramp": "yes"}})}, "fedramp", False),
        ({"id_token": jwt({CLAIMS: ["odd"]})}, "plan", None),
        ({"id_token": None}, "plan", None),
        ({"oauth_provenance": {"issuer": "https://auth.example.com", "client_id": "app_x"}}, "issuer", "https://auth.example.com"),
        ({"oauth_provenance": {"issuer": "https://auth.example.com", "client_id": "app_x"}}, "client_id", "app_x"),
        ({"oauth_provenance": {"issuer": None}}, "issuer", auth_file.ISSUER),
        ({"oauth_provenance": "odd"}, "client_id", auth_file.CLIENT_ID),
    ],
)  # fmt: skip
def test_tokens_are_read_as_they_are(changes: dict[str, Any], name: str, expected: object) -> None:
    assert getattr(parse(content(tokens=changes)), name) == expected


@pytest.mark.parametrize(
    ("value", "accepted"),
    [
        (content(), True),
        (content(auth_mode="chatgptAuthTokens"), True),
        (content(auth_mode=None), True),
        ({"tokens": content()["tokens"]}, True),
        (content(auth_mode=None, OPENAI_API_KEY="sk-test"), False),
        (content(auth_mode=None, personal_access_token="pat"), True),
        (content(auth_mode="personalAccessToken"), False),
        (content(auth_mode="apikey"), False),
        (content(auth_mode="agentIdentity"), False),
        (content(auth_mode=["odd"]), False),
    ],
)
def test_only_a_chatgpt_login_will_do(value: dict[str, Any], accepted: bool) -> None:
    if accepted:
        assert parse(value).access_token
        return
    with pytest.raises(NotLoggedIn) as caught:
        parse(value)
    assert caught.value.code == "no_chatgpt_tokens"
    assert "codex login" in caught.value.message


def test_an_api_key_login_is_called_by_its_name() -> None:
    with pytest.raises(NotLoggedIn, match="of kind API key"):
        parse({"auth_mode": "apikey", "OPENAI_API_KEY": "sk-test"})


@pytest.mark.parametrize(
    "tokens",
    [None, [], "x", {}, {"access_token": None}, {"access_token": ""}, {"access_token": 7}],
)
def test_a_login_without_tokens_is_none(tokens: object) -> None:
    with pytest.raises(NotLoggedIn) as caught:
        parse({"auth_mode": "chatgpt", "tokens": tokens})
    assert caught.value.code == "no_chatgpt_tokens"


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"{",
        b'{"auth_mode": "chatg',
        b"\xff\xfe{}",
        b"[]",
        b"null",
        b"7",
        b'{"a": NaN}',
        b"[" * 99_999,
    ],
)
def test_a_file_that_is_no_json_object_is_invalid(data: bytes) -> None:
    with pytest.raises(NotLoggedIn) as caught:
        auth_file.parse(data)
    assert caught.value.code == "auth_file_invalid"
    assert "codex login" in caught.value.message


def test_a_bom_is_no_fault() -> None:
    assert auth_file.parse(b"\xef\xbb\xbf" + json.dumps(content()).encode()).account_id == "acct-1"


@pytest.mark.parametrize("name", ["access_token", "refresh_token", "account_id"])
@pytest.mark.parametrize("value", ["a\nb", "a\r", "tök", "a\x00", "\x7f", "a\tb"])
def test_what_could_end_a_header_is_refused(name: str, value: str) -> None:
    with pytest.raises(NotLoggedIn) as caught:
        parse(content(tokens={name: value}))
    assert caught.value.code == "auth_file_invalid"
    assert name in caught.value.message
    assert value not in caught.value.message


def test_an_account_id_of_a_claim_is_checked_too() -> None:
    id_token = jwt({CLAIMS: {"chatgpt_account_id": "a\r\nx-evil: 1"}})
    with pytest.raises(NotLoggedIn):
        parse(content(tokens={"account_id": None, "id_token": id_token}))


@pytest.mark.parametrize(
    "token",
    [
        "", "a.b", "a.b.c.d", "..", "a..c", "a.!!!.c", "a.e.c", f"a.{part(b'no json')}.c",
        f"a.{part(b'[1]')}.c", f"a.{part(b'[' * 5_000)}.c", f"a.{part(DEEP)}.c",
        "a.é.c", f"a.{part(bytes([255]))}.c",
    ],
)  # fmt: skip
def test_what_is_no_jwt_has_no_claims(token: str) -> None:
    assert auth_file.jwt_payload(token) == {}


@pytest.mark.parametrize("claims", [{}, {"a": "ab"}, {"a": "abc"}, {"exp": 1, "?": "~~~ÿÿÿ>>>"}])
def test_claims_of_any_length_are_read(claims: dict[str, Any]) -> None:
    assert auth_file.jwt_payload(jwt(claims)) == claims


@pytest.mark.parametrize(
    ("expires", "now", "fresh"),
    [
        (1000, 1000 - 2 * REFRESH_MARGIN, True),
        (1000, 1000 - REFRESH_MARGIN - 1, True),
        (1000, 1000 - REFRESH_MARGIN, False),
        (1000, 2000, False),
        (None, 9e9, True),
    ],
)
def test_a_token_is_fresh_until_the_margin_before_its_end(
    expires: float | None, now: float, fresh: bool
) -> None:
    access = "opaque" if expires is None else jwt({"exp": expires})
    assert parse(content(tokens={"access_token": access})).fresh(now) is fresh


def test_a_login_is_over_when_it_is_expired_and_cannot_be_renewed() -> None:
    lasting = parse(content(tokens={"access_token": jwt({"exp": 1000})}))
    ending = parse(content(tokens={"access_token": jwt({"exp": 1000}), "refresh_token": None}))
    assert lasting.unusable(2000) is None
    assert ending.unusable(999) is None
    assert isinstance(ending.unusable(1000), LoginExpired)


def test_the_refresh_request_is_the_official_clients() -> None:
    credentials = parse(content(tokens={"refresh_token": "rt_fake_A"}))
    assert auth_file.refresh_request(credentials, "proactive_expiry") == TOKENS["refresh_request"]


def test_a_refresh_replaces_the_tokens_and_nothing_else() -> None:
    before = content(last_refresh="old", OPENAI_API_KEY=None, future={"x": [1, {"y": "é"}]})
    before["tokens"]["unknown"] = 7
    answer = TOKENS["refresh_response_200"]
    after = auth_file.renewed(json.dumps(before).encode(), answer, "new")
    expected = {**before, "last_refresh": "new"}
    expected["tokens"] = {
        **before["tokens"],
        **{name: answer[name] for name in ("access_token", "id_token", "refresh_token")},
    }
    assert json.loads(after) == expected
    assert list(json.loads(after)) == list(before)
    assert after.decode() == json.dumps(expected, indent=2, ensure_ascii=False)


@pytest.mark.parametrize(
    "answer", [{}, {"access_token": None, "refresh_token": ""}, {"id_token": 7}]
)
def test_a_refresh_keeps_the_tokens_that_did_not_come_back(answer: dict[str, Any]) -> None:
    before = content()
    after = json.loads(auth_file.renewed(json.dumps(before).encode(), answer, "new"))
    assert after["tokens"] == before["tokens"]


def test_a_refresh_fills_in_a_missing_account_id() -> None:
    before = content(tokens={"account_id": None})
    answer = {"id_token": jwt({CLAIMS: {"chatgpt_account_id": "acct-9"}})}
    after = json.loads(auth_file.renewed(json.dumps(before).encode(), answer, "new"))
    assert after["tokens"]["account_id"] == "acct-9"
    assert auth_file.parse(json.dumps(after).encode()).account_id == "acct-9"


@pytest.mark.parametrize(
    "row", TOKENS["errors"], ids=lambda row: f"{row['status']}-{row['permanent']}"
)
def test_a_refusal_is_final_where_the_official_client_takes_it_so(row: dict[str, Any]) -> None:
    error = auth_file.refresh_refused(row["status"], json.dumps(row["body"]).encode())
    assert (error is not None) == row["permanent"]


@pytest.mark.parametrize(
    ("status", "body", "code"),
    [
        (401, b'{"error": {"code": "refresh_token_expired"}}', "refresh_token_expired"),
        (400, b'{"error": {"code": "refresh_token_reused"}}', "refresh_token_reused"),
        (403, b'{"error": "refresh_token_invalidated"}', "refresh_token_invalidated"),
        (500, b'{"code": "refresh_token_reused"}', "refresh_token_reused"),
        (401, b"", "login_expired"),
        (401, b"<html>", "login_expired"),
        (401, b'{"error": {"code": "other"}}', "login_expired"),
        (400, b'{"error": "invalid_grant"}', "login_expired"),
        (400, b'{"error": {"code": "invalid_grant"}}', "login_expired"),
        (403, b'{"error": "invalid_grant"}', None),
        (400, b'{"error": "invalid_request"}', None),
        (400, b"[]", None),
        (429, b"", None),
        (503, b"[" * 99_999, None),
    ],
)
def test_the_refusals_of_the_token_endpoint(status: int, body: bytes, code: str | None) -> None:
    error = auth_file.refresh_refused(status, body)
    assert (error and error.code) == code
    assert error is None or "codex login" in error.message


# In place of the file


def test_an_access_token_of_the_environment_is_read_as_a_login_of_its_own() -> None:
    personal = auth_file.parse(auth_file.from_access_token("at-fake"))
    assert (personal.access_token, personal.personal) == (Secret("at-fake"), True)
    assert (personal.refresh_token, personal.account_id, personal.expires_at) == (None, None, None)
    token = jwt({"exp": 5, CLAIMS: {"chatgpt_account_id": "acct-9", "chatgpt_plan_type": "team"}})
    whole = auth_file.parse(auth_file.from_access_token(token))
    assert (whole.access_token, whole.personal) == (Secret(token), False)
    assert (whole.account_id, whole.plan, whole.expires_at) == ("acct-9", "team", 5.0)
    assert whole.refresh_token is None


@pytest.mark.parametrize(
    ("token", "code"),
    [
        (jwt({"agent_private_key": "canary", "agent_runtime_id": "x"}), "no_chatgpt_tokens"),
        (jwt({"agent_runtime_id": "x"}), "no_chatgpt_tokens"),
        ("at-line\r\nbreak", "auth_file_invalid"),
    ],
)
def test_what_no_request_may_carry_is_refused_without_being_told(token: str, code: str) -> None:
    with pytest.raises(NotLoggedIn, match="CODEX_ACCESS_TOKEN") as caught:
        auth_file.from_access_token(token)
    assert caught.value.code == code
    assert token not in str(caught.value)


def test_whose_a_personal_access_token_is_comes_from_whoami() -> None:
    login = auth_file.parse(auth_file.from_access_token("at-fake"))
    told = {
        "email": "a@b", "chatgpt_user_id": "u", "chatgpt_account_id": "acct-9",
        "chatgpt_plan_type": "pro", "chatgpt_account_is_fedramp": True,
    }  # fmt: skip
    known = auth_file.with_owner(login, told)
    assert (known.account_id, known.plan, known.fedramp) == ("acct-9", "pro", True)
    assert auth_file.with_owner(login, {"chatgpt_account_id": "a\nb"}).account_id is None
    assert auth_file.with_owner(login, {"chatgpt_account_id": 5}).account_id is None
