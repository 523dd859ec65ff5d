"""How much of the plan is used."""

from __future__ import annotations

import pytest
from tests.wire_files import table

from codexapi_engine.protocol import limits
from codexapi_engine.protocol.limits import Limits, Window


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


@pytest.mark.parametrize(
    "usage", [{}, {"rate_limit": None}, {"rate_limit": {"primary_window": None}}]
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
    assert limits.from_usage(
        {"rate_limit": {"primary_window": {"used_percent": 1}}}
    ).primary == Window(1.0, None, None, None)
