"""Long JSON read in windows: what comes of it is what one call would have read."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from codexapi_engine.protocol import json, long_json

UNITS = st.sampled_from(
    [
        "a", '\\"', "\\\\", "\\n", "\\/", "\\u0000", "\\u00e9", "\\ud83d", "\\ude00",
        "\\ud83d\\ude00", "\\uDBFF\\uDFFF", "é", "\N{SLIGHTLY SMILING FACE}", "u", "d83d", "0",
        ",", "[", "{", ":", "null",
    ]
)  # fmt: skip
BROKEN = st.sampled_from(["\\x", "\\u12", '"', "\\", "\n", "\\ud83", "]", "}"])
TEXTS = st.lists(UNITS, max_size=30).map("".join)
VALUES = st.recursive(
    TEXTS.map('"{}"'.format)
    | st.sampled_from(["1", "-0.5e3", "true", "null", "[]", "NaN", "1e999"]),
    lambda inner: (
        st.lists(inner, max_size=4).map(lambda each: f"[{', '.join(each)}]")
        | st.lists(st.tuples(TEXTS, inner), max_size=4).map(
            lambda each: "{" + ",".join(f'"{name}" :{value}' for name, value in each) + "}"
        )
    ),
    max_leaves=12,
)


def outcome(read: Any, data: bytes) -> Any:
    try:
        return read(data)
    except ValueError:
        return ValueError


@pytest.fixture(autouse=True, scope="module")
def short_windows() -> Any:
    """So that they end at each place of a text."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(json, "PIECE", 7)
        patch.setattr(json, "_STEP", 1)
        patch.setattr(long_json, "MANY", 1)
        yield


@given(VALUES)
def test_a_text_in_windows_is_the_text(text: str) -> None:
    data = text.encode()
    assert outcome(long_json.loads, data) == outcome(json.loads, data)


@given(VALUES, BROKEN, st.integers(0, 200))
def test_what_is_no_json_is_none_in_windows_either(text: str, broken: str, at: int) -> None:
    data = (text[: at % len(text)] + broken + text[at % len(text) :]).encode()
    assert outcome(long_json.loads, data) == outcome(json.loads, data)


@given(VALUES)
def test_what_is_written_in_steps_is_what_is_written_at_once(text: str) -> None:
    value = outcome(json.loads, text.encode())
    if value is not ValueError:
        assert json.dumps_in_steps(value) == json.dumps(value)
