"""JSON for the wire."""

from __future__ import annotations

import codecs
import json as standard
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.streams import JSON

from codexapi_engine.protocol import json

HALF = "\\ud83d"  # half an emoji, as JSON


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ('{"a": [1, 2.5, true, null, "x"]}', {"a": [1, 2.5, True, None, "x"]}),
        (b'{"a": 1}', {"a": 1}),
        (' \n"\u2028" ', "\u2028"),
        ('"🙂"', "🙂"),
        (rf'"{HALF}\ude42"', "🙂"),
        (rf'"a{HALF}b"', "a�b"),
        (rf'{{"{HALF}": ["{HALF}", 1, null]}}', {"�": ["�", 1, None]}),
        ("12345678901234567890", 12345678901234567890),
    ],
)
def test_loads(text: str | bytes, value: object) -> None:
    assert json.loads(text) == value


@pytest.mark.parametrize(
    "text",
    [
        "", "{", "nul", "NaN", "[Infinity]", "-Infinity", b"\xff", b'"\xc3\x28"', '{"a":1} x', "'a'",
        rf'["{HALF}", NaN]', rf'["{HALF}"', "é", '"é', "[" * 10_000,
    ],
)  # fmt: skip
def test_loads_refuses_with_a_value_error(text: str | bytes) -> None:
    with pytest.raises(ValueError, match=r".*"):
        json.loads(text)


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ({"a": [1, None, True, "é🙂"]}, '{"a":[1,null,true,"é🙂"]}'),
        ("a\ud83db", '"a�b"'),
        ({"\ud83d": ["\ude42"]}, '{"�":["�"]}'),
        ("\ud83d\ude42", '"🙂"'),
        (float("inf"), "null"),
        (float("nan"), "null"),
    ],
)
def test_dumps(value: object, text: str) -> None:
    assert json.dumps(value).decode() == text


def test_dumps_with_an_indent_is_for_files() -> None:
    assert json.dumps({"a": {"b": 1}}, indent=2) == b'{\n  "a": {\n    "b": 1\n  }\n}'
    assert json.dumps({"a": "\ud83d"}, indent=2).decode() == '{\n  "a": "�"\n}'


@given(value=JSON)
def test_both_ways_agree_with_the_standard_library(value: Any) -> None:
    assert json.loads(json.dumps(value)) == value
    assert standard.loads(json.dumps(value)) == value
    assert json.loads(standard.dumps(value)) == value


@pytest.mark.parametrize(
    "text", [HALF * 10_000, "\\ud800\\udfff" * 10_000, f"{HALF}x\\udc00" * 10_000]
)
def test_halves_take_no_handler_each(text: str) -> None:
    """32 MiB of them would take 14 s."""
    calls, before = [], {}
    for name in ("replace", "surrogatepass", "surrogateescape", "ignore"):
        handle = codecs.lookup_error(name)

        def counted(error: UnicodeError, handle: Any = handle) -> Any:
            calls.append(error)
            return handle(error)

        codecs.register_error(name, counted)
        before[name] = handle
    try:
        assert json.loads(f'"{text}"')
    finally:
        for name, handle in before.items():
            codecs.register_error(name, handle)
    assert len(calls) < 10


@given(
    text=st.text(st.sampled_from("ab\ufffd\ud800\udbff\udc00\udced\udca0\udfff\u4e2d\U0001f642"))
)
def test_halves_become_what_utf_16_makes_of_them(text: str) -> None:
    whole = text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
    assert json.loads(json.dumps(text)) == whole
