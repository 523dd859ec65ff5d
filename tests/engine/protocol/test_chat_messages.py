"""The messages of a Chat Completions request, and their parts."""

from __future__ import annotations

import base64
from typing import Any

import pytest
from tests.engine.protocol.chat_requests import HI, body, made, refusal

from codexapi_engine.protocol import JsonObject
from codexapi_engine.protocol.responses import to_backend

SAID_HI: JsonObject = {
    "type": "message", "role": "user", "content": [{"type": "input_text", "text": "hi"}],
}  # fmt: skip
PNG = "data:image/png;base64," + base64.b64encode(b"\x89PNG\r\n\x1a\n").decode()
CALL: JsonObject = {"id": "c1", "type": "function", "function": {"name": "f", "arguments": "{}"}}


def sent_up(*messages: JsonObject, **more: Any) -> JsonObject:
    """What the backend gets in the end."""
    return to_backend(made(*messages, **more))


def items(*messages: JsonObject, **more: Any) -> list[JsonObject]:
    found: list[JsonObject] = made(*messages, **more)["input"]
    return found


# Messages


@pytest.mark.parametrize(
    ("message", "expected"),
    [
        (HI, [SAID_HI]),
        ({"role": "user", "content": "hi", "name": "ann"}, [{**SAID_HI, "content": [{"type": "input_text", "text": "ann: hi"}]}]),
        ({"role": "user", "name": "ann", "content": [{"type": "image_url", "image_url": {"url": PNG}}]},
         [{**SAID_HI, "content": [{"type": "input_text", "text": "ann:"}, {"type": "input_image", "image_url": PNG}]}]),
        ({"role": "assistant", "content": "yes"},
         [{"type": "message", "role": "assistant", "content": [{"type": "output_text", "text": "yes", "annotations": []}]}]),
        ({"role": "assistant", "content": "yes", "phase": "commentary"},
         [{"type": "message", "role": "assistant", "content": [{"type": "output_text", "text": "yes", "annotations": []}], "phase": "commentary"}]),
        ({"role": "assistant", "content": [{"type": "text", "text": "a"}, {"type": "refusal", "refusal": "b"}]},
         [{"type": "message", "role": "assistant", "content": [{"type": "output_text", "text": "a", "annotations": []}, {"type": "refusal", "refusal": "b"}]}]),
        ({"role": "assistant", "content": None, "refusal": "no"},
         [{"type": "message", "role": "assistant", "content": [{"type": "refusal", "refusal": "no"}]}]),
        ({"role": "assistant", "content": None},
         [{"type": "message", "role": "assistant", "content": [{"type": "output_text", "text": "", "annotations": []}]}]),
        ({"role": "assistant", "content": [], "reasoning_content": "hm"},
         [{"type": "message", "role": "assistant", "content": [{"type": "output_text", "text": "", "annotations": []}]}]),
    ],
)  # fmt: skip
def test_a_message_becomes_items(message: JsonObject, expected: list[JsonObject]) -> None:
    assert items(message) == expected


@pytest.mark.parametrize("role", ["system", "developer"])
def test_leading_instructions_are_instructions(role: str) -> None:
    sent = made(
        {"role": role, "content": "A"},
        {"role": "developer", "content": [{"type": "text", "text": "B"}]},
        HI,
    )
    assert sent["instructions"] == "A\n\nB"
    assert sent["input"] == [SAID_HI]


def test_later_instructions_stay_in_their_place() -> None:
    sent = made(HI, {"role": "system", "content": "A"}, HI)
    assert "instructions" not in sent
    assert [item["role"] for item in sent["input"]] == ["user", "developer", "user"]


def test_instructions_alone_are_input() -> None:
    sent = made({"role": "system", "content": "A"})
    assert "instructions" not in sent
    assert sent["input"] == [
        {**SAID_HI, "role": "developer", "content": [{"type": "input_text", "text": "A"}]}
    ]


def test_json_object_keeps_the_word_in_the_input() -> None:
    form = {"type": "json_object"}
    sent = sent_up({"role": "system", "content": "Answer in JSON."}, HI, response_format=form)
    assert "JSON" not in sent["instructions"]
    assert [item["role"] for item in sent["input"]] == ["developer", "user"]
    sent = sent_up({"role": "system", "content": "Be brief."}, HI, response_format=form)
    assert sent["input"][0]["content"] == [{"type": "input_text", "text": "Respond in JSON."}]
    assert len(sent["input"]) == 3


def test_a_turn_of_tools_becomes_calls_and_outputs() -> None:
    custom = {"id": "c2", "type": "custom", "custom": {"name": "g", "input": "x"}}
    turn: list[JsonObject] = [
        HI,
        {"role": "assistant", "content": "Wait.", "tool_calls": [CALL, custom]},
        {"role": "tool", "tool_call_id": "c2", "content": "two"},
        {"role": "tool", "tool_call_id": "c1", "content": [{"type": "text", "text": "on"}, {"type": "text", "text": "e"}]},
    ]  # fmt: skip
    assert items(*turn)[2:] == [
        {"type": "function_call", "call_id": "c1", "name": "f", "arguments": "{}"},
        {"type": "custom_tool_call", "call_id": "c2", "name": "g", "input": "x"},
        {"type": "custom_tool_call_output", "call_id": "c2", "output": "two"},
        {"type": "function_call_output", "call_id": "c1", "output": "one"},
    ]


@pytest.mark.parametrize(
    ("arguments", "sent"),
    [('{"a": 1}', '{"a": 1}'), ("", "{}"), (None, "{}"), ({"a": 1}, '{"a":1}'), ({}, "{}")],
)
def test_arguments_are_sent_as_a_string(arguments: object, sent: str) -> None:
    call = {"id": "c1", "type": "function", "function": {"name": "f", "arguments": arguments}}
    turn: list[JsonObject] = [
        {"role": "assistant", "tool_calls": [call]},
        {"role": "tool", "tool_call_id": "c1", "content": "1"},
    ]
    assert items(*turn)[0]["arguments"] == sent


def test_a_tool_may_answer_with_an_image() -> None:
    answer = {
        "role": "tool",
        "tool_call_id": "c1",
        "content": [
            {"type": "text", "text": "see"},
            {"type": "image_url", "image_url": {"url": PNG}},
        ],
    }
    assert items({"role": "assistant", "tool_calls": [CALL]}, answer)[1]["output"] == [
        {"type": "input_text", "text": "see"}, {"type": "input_image", "image_url": PNG},
    ]  # fmt: skip


def test_a_tool_may_answer_nothing() -> None:
    assert (
        items({"role": "assistant", "tool_calls": [CALL]}, {"role": "tool", "tool_call_id": "c1"})[
            1
        ]["output"]
        == ""
    )


def test_a_legacy_turn_is_joined_by_an_id_of_ours() -> None:
    turn = [
        HI,
        {"role": "assistant", "content": None, "function_call": {"name": "f", "arguments": "{}"}},
        {"role": "function", "name": "f", "content": None},
    ]
    call, output = items(*turn, functions=[{"name": "f"}])[1:]
    assert call["type"] == "function_call"
    assert output == {"type": "function_call_output", "call_id": call["call_id"], "output": ""}
    assert items(*turn, *turn[1:])[1]["call_id"] != items(*turn, *turn[1:])[3]["call_id"]


@pytest.mark.parametrize(
    ("messages", "param", "words"),
    [
        ([{"role": "robot", "content": "x"}], "messages[0].role", "Supported values are: 'system', 'assistant', 'user', 'function', 'tool', and 'developer'."),
        ([HI, {"role": "tool", "tool_call_id": "c1", "content": "x"}], "messages[1].role", "must be a response to a preceeding message with 'tool_calls'"),
        ([{"role": "assistant", "tool_calls": [CALL]}, {"role": "tool", "content": "x"}], "messages[1].tool_call_id", "Missing required parameter"),
        ([{"role": "assistant", "tool_calls": [CALL]}, {"role": "tool", "tool_call_id": "other", "content": "x"}], "messages[1].role", "preceeding"),
        ([{"role": "assistant", "tool_calls": [CALL]}, HI], "messages[0].tool_calls", "did not have response messages: c1"),
        ([HI, {"role": "assistant", "tool_calls": [CALL]}], "messages[1].tool_calls", "must be followed by tool messages"),
        ([HI, {"role": "function", "name": "f", "content": "x"}], "messages[1].role", "preceeding message with 'function_call'"),
        ([{"role": "user", "content": None}], "messages[0].content", "got null"),
        ([{"role": "user"}], "messages[0].content", "got null"),
        ([{"role": "user", "content": []}], "messages[0].content", "empty"),
        ([{"role": "user", "content": [{"type": "input_audio"}]}], "messages[0].content[0].input_audio.data", "Missing"),
        ([{"role": "assistant", "content": [{"type": "input_audio"}]}], "messages[0].content[0].type", "Invalid value"),
        ([{"role": "user", "content": [{"type": "text"}]}], "messages[0].content[0].text", "Missing"),
        ([{"role": "user", "content": [{"type": ["odd"]}]}], "messages[0].content[0].type", "Invalid value"),
        ([{"role": "system", "content": [{"type": "image_url"}]}, HI], "messages[0].content[0].type", "'text'"),
        ([{"role": "assistant", "content": [{"type": "image_url"}]}], "messages[0].content[0].type", "'refusal'"),
        ([{"role": "assistant", "content": [{"type": "refusal"}]}], "messages[0].content[0].refusal", "Missing"),
        ([{"role": "assistant", "tool_calls": [{"id": "c"}]}], "messages[0].tool_calls[0].function.name", "Missing"),
        ([{"role": "assistant", "tool_calls": [{"type": "function", "function": {"name": "f"}}]}], "messages[0].tool_calls[0].id", "Missing"),
        ([{"role": "assistant", "tool_calls": [{"id": "c", "type": "odd"}]}], "messages[0].tool_calls[0].function.name", "Missing"),
    ],
)  # fmt: skip
def test_a_conversation_that_cannot_be_is_refused(
    messages: list[JsonObject], param: str, words: str
) -> None:
    error = refusal(body(*messages))
    assert (error.status, error.param) == (400, param)
    assert words in error.message


# Parts


def part(given: JsonObject) -> JsonObject:
    found: JsonObject = items({"role": "user", "content": [given]})[0]["content"][0]
    return found


PDF = base64.b64encode(b"%PDF").decode()


@pytest.mark.parametrize(
    ("given", "sent"),
    [
        ({"type": "text", "text": "a", "prompt_cache_breakpoint": {}}, {"type": "input_text", "text": "a"}),
        ({"type": "image_url", "image_url": {"url": PNG, "detail": "low"}}, {"type": "input_image", "image_url": PNG, "detail": "low"}),
        ({"type": "image_url", "image_url": PNG}, {"type": "input_image", "image_url": PNG}),
        ({"type": "image_url", "image_url": {"url": "https://example.org/a"}}, {"type": "input_image", "image_url": "https://example.org/a"}),
        ({"type": "file", "file": {"file_data": PDF}}, {"type": "input_file", "filename": "file.pdf", "file_data": f"data:application/pdf;base64,{PDF}"}),
        ({"type": "file", "file": {"file_data": f"data:application/pdf;base64,{PDF}", "filename": "a"}}, {"type": "input_file", "filename": "a", "file_data": f"data:application/pdf;base64,{PDF}"}),
        ({"type": "file", "file": {"file_data": "aGk=", "filename": "a.TXT"}}, {"type": "input_text", "text": '<file name="a.TXT">\nhi\n</file>'}),
        ({"type": "file", "file": {"file_data": "data:application/json;charset=utf-8;base64,e30=", "filename": "x"}}, {"type": "input_text", "text": '<file name="x">\n{}\n</file>'}),
        ({"type": "input_text", "text": "a"}, {"type": "input_text", "text": "a"}),
        ({"type": "input_image", "image_url": "x"}, {"type": "input_image", "image_url": "x"}),
        ({"type": "input_file", "file_url": "x"}, {"type": "input_file", "file_url": "x"}),
        ({"type": "input_audio", "input_audio": {"data": "aGk", "format": "mp3"}}, {"type": "input_audio", "audio_url": "data:audio/mpeg;base64,aGk="}),
        ({"type": "file", "file": {"file_id": "f", "filename": "a"}}, {"type": "input_file", "file_id": "f", "filename": "a"}),
        ({"type": "file", "file": {"file_id": "f", "file_data": None}}, {"type": "input_file", "file_id": "f"}),
    ],
)  # fmt: skip
def test_a_part_becomes_a_part(given: JsonObject, sent: JsonObject) -> None:
    assert part(given) == sent


@pytest.mark.parametrize(
    ("given", "param", "code"),
    [
        ({"type": "image_url"}, "image_url.url", "missing_required_parameter"),
        ({"type": "image_url", "image_url": {}}, "image_url.url", "missing_required_parameter"),
        ({"type": "image_url", "image_url": {"url": 1}}, "image_url.url", "invalid_type"),
        ({"type": "image_url", "image_url": {"url": "ftp://example.org"}}, "image_url.url", "invalid_image_url"),
        ({"type": "image_url", "image_url": {"url": "file:///a"}}, "image_url.url", "invalid_image_url"),
        ({"type": "image_url", "image_url": {"url": "data:image/png,AAAA"}}, "image_url.url", "invalid_image_format"),
        ({"type": "image_url", "image_url": {"url": "data:text/html;base64,AAAA"}}, "image_url.url", "invalid_image_format"),
        ({"type": "image_url", "image_url": {"url": "data:image/png;base64,A"}}, "image_url.url", "invalid_base64_image"),
        ({"type": "image_url", "image_url": {"url": "data:image/png;base64,é"}}, "image_url.url", "invalid_base64_image"),
        ({"type": "file"}, "file", "missing_required_parameter"),
        ({"type": "file", "file": {}}, "file.file_data", "missing_required_parameter"),
        ({"type": "input_audio", "input_audio": {"data": "aGk="}}, "input_audio.format", "missing_required_parameter"),
        ({"type": "input_audio", "input_audio": {"data": "aGk=", "format": "exe"}}, "input_audio.format", "invalid_value"),
        ({"type": "input_audio", "input_audio": {"data": "?", "format": "wav"}}, "input_audio.data", "invalid_audio"),
        ({"type": "file", "file": {"file_id": 1}}, "file.file_id", "invalid_type"),
        ({"type": "file", "file": {"file_id": "f", "file_data": "aGk="}}, "file.file_id", "mutually_exclusive_parameters"),
        ({"type": "input_file", "file_id": "f", "file_url": "x"}, "file_id", "mutually_exclusive_parameters"),
        ({"type": "input_image", "file_id": "f", "image_url": "x"}, "file_id", "mutually_exclusive_parameters"),
        ({"type": "file", "file": {"file_data": "?"}}, "file.file_data", "invalid_file_data"),
        ({"type": "file", "file": {"file_data": "data:text/plain;base64,/w=="}}, "file.file_data", "invalid_file_data"),
    ],
)  # fmt: skip
def test_a_bad_part_is_named(given: JsonObject, param: str, code: str) -> None:
    error = refusal(body({"role": "user", "content": [{"type": "text", "text": "x"}, given]}))
    assert (error.status, error.param, error.code) == (400, f"messages[0].content[1].{param}", code)
