"""`--schema`: from a few words, from JSON, from a file."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from codexapi_cli.conversation.schema import schema
from codexapi_cli.terminal.output import LOCAL_FILE, USAGE, Problem
from codexapi_engine.protocol.responses import json_form


def fields(given: str) -> dict[str, Any]:
    made = schema(given)
    assert made["required"] == list(made["properties"])
    assert made["additionalProperties"] is False
    properties: dict[str, Any] = made["properties"]
    return properties


@pytest.mark.parametrize(
    ("given", "properties"),
    [
        ("name", {"name": {"type": "string"}}),
        ("name, age int", {"name": {"type": "string"}, "age": {"type": "integer"}}),
        ("a float,b bool ,c str", {
            "a": {"type": "number"}, "b": {"type": "boolean"}, "c": {"type": "string"},
        }),
        ("age int: in years", {"age": {"type": "integer", "description": "in years"}}),
        ("a: one, two\nb", {"a": {"type": "string", "description": "one, two"},
                            "b": {"type": "string"}}),
    ],
)  # fmt: skip
def test_a_few_words_are_a_schema(given: str, properties: dict[str, Any]) -> None:
    assert fields(given) == properties


def test_json_and_a_file_are_taken_as_they_are(tmp_path: Path) -> None:
    given = {"type": "object", "properties": {"a": {}}}
    path = tmp_path / "schema"
    path.write_text(json.dumps(given))
    assert schema(json.dumps(given)) == schema(str(path)) == given


@pytest.mark.parametrize(
    ("given", "code"),
    [("", USAGE), (" , ", USAGE), ("1a", USAGE), ("a date", USAGE), ("{]", USAGE),
     ("none.json", LOCAL_FILE)],
)  # fmt: skip
def test_what_is_no_schema_is_said_so(given: str, code: int) -> None:
    with pytest.raises(Problem, match="--schema") as caught:
        schema(given)
    assert caught.value.exit_code == code


CLOSED = {
    "type": "object", "properties": {"a": {"type": "string"}}, "required": ["a"],
    "additionalProperties": False,
}  # fmt: skip


@pytest.mark.parametrize(
    ("given", "strict"),
    [
        (CLOSED, True),
        ({"type": "array", "items": CLOSED}, True),
        ({**CLOSED, "additionalProperties": True}, False),
        ({**CLOSED, "required": []}, False),
        ({**CLOSED, "properties": {"a": {"type": "object"}}}, False),
        ({"anyOf": [CLOSED, {"properties": {"a": {}}}]}, False),
    ],
)
def test_a_schema_is_strict_where_the_backend_can_be(given: dict[str, Any], strict: bool) -> None:
    assert json_form(given)["strict"] is strict


def test_a_schema_is_no_part_of_the_login(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CODEX_HOME", str(tmp_path))
    login = tmp_path / "auth.json"
    login.write_text('{"tokens": {"refresh_token": "canary"}}')
    (tmp_path / "link").symlink_to(login)
    for name in ("auth.json", "link"):
        with pytest.raises(Problem, match=r"--schema .*a part of your login"):
            schema(str(tmp_path / name))
