"""How much of the plan is used."""

from __future__ import annotations

import pytest
from tests.wire_files import table

from codexapi_engine.protocol import limits
from codexapi_engine.protocol.limits import Credits, Limits, Window


def test_the_headers_of_a_good_answer_are_read() -> None:
    assert limits.from_headers(table("headers")) == Limits(
        "pro", Window(9.0, 300, 1795400000, 1637), Window(31.0, 10080, 1795900000, 167364)
    )


def test_the_usage_endpoint_is_read() -> None:
    found = limits.from_usage(table("usage"))
    assert found.plan == "pro"
    assert found.primary == Window(42.0, 300, 1795400000, 3600)
    assert found.secondary == Window(5.0, 10080, 1795900000, 86400)
    assert not found.reached


def test_a_refusal_tells_that_the_limit_is_reached() -> None:
    (row,) = (row for row in table("errors") if row["name"] == "usage_limit_reached")
    found = limits.from_headers(row["headers"])
    assert found.reached
    assert found.primary == Window(100.0, 300, 1795400000, None)
    assert found.secondary is None
    assert limits.from_usage({"rate_limit": {"limit_reached": True}}).reached


@pytest.mark.parametrize("told", ["", "x", "nan", "inf", "-inf", "1e999"])
def test_a_number_that_is_none_is_not_told(told: str) -> None:
    headers = {"x-codex-primary-used-percent": told, "x-codex-primary-reset-at": "1"}
    assert limits.from_headers(headers).primary is None
    headers = {"x-codex-primary-used-percent": "1.5", "x-codex-primary-reset-at": told}
    assert limits.from_headers(headers).primary == Window(1.5, None, None, None)


@pytest.mark.parametrize("told", [-1, 0, 253_402_300_800, 10**18])
def test_a_moment_that_no_calendar_has_is_not_told(told: int) -> None:
    headers = {"x-codex-primary-used-percent": "1.5", "x-codex-primary-reset-at": str(told)}
    assert limits.from_headers(headers).primary == Window(1.5, None, None, None)
    window = {"used_percent": 1.5, "reset_at": told}
    usage = {"rate_limit": {"primary_window": window}}
    assert limits.from_usage(usage).primary == Window(1.5, None, None, None)


@pytest.mark.parametrize(
    "usage",
    [
        {},
        {"rate_limit": None, "credits": None, "additional_rate_limits": None},
        {"rate_limit": {"primary_window": None}, "credits": {}, "additional_rate_limits": []},
    ],
)
def test_what_is_not_told_is_none(usage: dict[str, object]) -> None:
    nothing = {"plan": None, "limit_reached": False, "primary": None, "secondary": None}
    assert limits.from_usage(usage).as_json() == nothing
    assert limits.from_headers({}).as_json() == nothing


def test_as_json_has_all_members() -> None:
    shown = limits.from_usage(table("usage")).as_json()
    assert shown["plan"] == "pro"
    assert shown["primary"] == {
        "used_percent": 42.0, "window_minutes": 300, "resets_at": 1795400000, "resets_in_seconds": 3600,
    }  # fmt: skip
    assert shown["secondary"]["window_minutes"] == 10080
    assert shown["credits"] == {"has_credits": True, "unlimited": False, "balance": "12.5"}
    (other,) = shown["additional"]
    assert other["name"] == "GPT-5.3-Codex-Spark"
    assert other["primary"]["used_percent"] == 1.0
    assert (other["limit_reached"], other["secondary"]) == (False, None)
    assert limits.from_usage(
        {"rate_limit": {"primary_window": {"used_percent": 1}}}
    ).primary == Window(1.0, None, None, None)


def test_credits_and_additional_limits_may_be_told_in_part() -> None:
    found = limits.from_usage({"credits": {"unlimited": True}, "additional_rate_limits": [{}, 1]})
    assert found.credits == Credits(False, True, None)
    assert found.additional == (("", Limits(None, None, None)),)


def test_the_windows_are_percent_points_in_the_headers_that_clients_know() -> None:
    assert limits.from_headers(table("headers")).as_headers() == {
        "x-ratelimit-limit-requests": "100",
        "x-ratelimit-remaining-requests": "91",
        "x-ratelimit-reset-requests": "27m17s",
        "x-ratelimit-limit-tokens": "100",
        "x-ratelimit-remaining-tokens": "69",
        "x-ratelimit-reset-tokens": "46h29m24s",
    }


@pytest.mark.parametrize(
    ("used", "left"),
    [(0.0, "100"), (0.4, "100"), (99.9, "1"), (100.0, "0"), (130.0, "0"), (-5.0, "100")],
)
def test_nothing_is_left_only_when_all_is_used(used: float, left: str) -> None:
    told = Limits(None, Window(used, None, None, None), None).as_headers()
    assert told == {"x-ratelimit-limit-requests": "100", "x-ratelimit-remaining-requests": left}


def test_a_window_that_is_not_told_has_no_headers() -> None:
    assert Limits("pro", None, None).as_headers() == {}


@pytest.mark.parametrize(
    ("seconds", "told"),
    [(-3, "0s"), (0, "0s"), (59, "59s"), (60, "1m0s"), (3599, "59m59s"), (3600, "1h0m0s")],
)
def test_a_time_is_told_compactly(seconds: int, told: str) -> None:
    assert limits.compact(seconds) == told
