"""Members of the right kind, or the empty one."""

from __future__ import annotations

import pytest

from codexapi_engine.protocol import shapes

OTHERS = [None, True, 1, 0.5, "x", [], ["x"], {}, {"a": 1}, [{"a": 1}]]


@pytest.mark.parametrize("value", OTHERS, ids=repr)
def test_only_the_right_kind_is_read(value: object) -> None:
    holder = {"m": value}
    assert shapes.get_str(holder, "m") == (value if value == "x" and isinstance(value, str) else "")
    assert shapes.get_dict(holder, "m") == (value if isinstance(value, dict) else {})
    assert shapes.get_list(holder, "m") == ([{"a": 1}] if value == [{"a": 1}] else [])


def test_a_missing_member_is_the_empty_one() -> None:
    assert shapes.get_str({}, "m") == ""
    assert shapes.get_dict({}, "m") == {}
    assert shapes.get_list({}, "m") == []
    assert shapes.get_int({}, "m") is None


@pytest.mark.parametrize(
    ("value", "expected"),
    [(0, 0), (-3, -3), (2.9, 2), (10**15, 10**15), (True, None), ("1", None), (None, None),
     (float("inf"), None), (float("nan"), None), (1e300, None), (10**400, None), ([1], None)],
)  # fmt: skip
def test_a_number_is_a_whole_one_that_fits(value: object, expected: int | None) -> None:
    assert shapes.get_int({"m": value}, "m") == expected
