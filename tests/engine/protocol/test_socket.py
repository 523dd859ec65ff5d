"""The events of the WebSocket that HTTP lacks, and what becomes of a client's events."""

from __future__ import annotations

from typing import Any

import pytest

from codexapi_engine import InvalidRequest
from codexapi_engine.protocol.responses import socket

CALL = {"type": "function_call", "call_id": "call_1", "name": "add", "arguments": "{}"}
OUTPUT = {"type": "function_call_output", "call_id": "call_1", "output": "42"}
CUSTOM = {"type": "custom_tool_call_output", "call_id": "call_1", "output": "42"}
COMPACTION = {"type": "compaction", "encrypted_content": "x"}
MESSAGE = {"role": "user", "content": "hi"}


@pytest.mark.parametrize(
    ("history", "own"),
    [
        ([CALL], [OUTPUT]),
        ([], [CALL, OUTPUT]),
        ([MESSAGE, CALL], [MESSAGE, OUTPUT]),
        ([COMPACTION], [OUTPUT]),
        ([], [MESSAGE]),
    ],
)
def test_an_output_of_a_known_call_is_taken(history: list[Any], own: list[Any]) -> None:
    socket.check_outputs(history, own)


@pytest.mark.parametrize(
    ("history", "own", "words"),
    [
        ([], [OUTPUT], "function call output with call_id call_1"),
        ([CALL], [CUSTOM], "custom tool call output with call_id call_1"),
        ([MESSAGE], [OUTPUT, CALL], "function call output"),
        ([], [{"type": "function_call_output"}], "function call output"),
    ],
)
def test_an_orphan_output_is_refused(history: list[Any], own: list[Any], words: str) -> None:
    with pytest.raises(InvalidRequest, match=words) as refused:
        socket.check_outputs(history, own)
    assert refused.value.param == "input"


def test_a_create_is_the_body_of_a_post_without_what_only_a_socket_has() -> None:
    event = {
        "type": "response.create", "stream_id": "a", "generate": False, "model": "m",
        "input": [], "stream": False, "metadata": {"type": "x"},
    }  # fmt: skip
    create = socket.create_of(event)
    assert create.body == {"model": "m", "input": [], "stream": True, "metadata": {"type": "x"}}
    assert (create.lane, create.generates) == ("a", False)


@pytest.mark.parametrize("name", ["a", "A.b_c-9", "x" * 256])
def test_a_lane_has_a_name(name: str) -> None:
    assert socket.lane_of({"stream_id": name}) == name


@pytest.mark.parametrize("name", ["", "a b", "x" * 257, "ä", "a\n", 7, [], True])
def test_what_is_no_name_of_a_lane_is_refused(name: object) -> None:
    with pytest.raises(InvalidRequest) as refused:
        socket.lane_of({"stream_id": name})
    assert (refused.value.code, refused.value.param) == ("invalid_stream_id", "stream_id")


def test_the_metadata_of_a_codex_client_are_its_headers() -> None:
    metadata = {
        "ws_request_header_x_openai_internal_codex_responses_lite": "true",
        "x-codex-window-id": "w:1", "x-codex-turn-state": "token", "session_id": "s",
        "thread_id": "t", "x-codex-installation-id": "i", "turn_id": "u",
        "authorization": "Bearer x", "ws_request_header_authorization": "Bearer x",
        "x-codex-turn-metadata": 7,
    }  # fmt: skip
    assert socket.headers_of(metadata) == {
        "x-openai-internal-codex-responses-lite": "true", "x-codex-window-id": "w:1",
        "x-codex-turn-state": "token", "session-id": "s", "thread-id": "t",
    }  # fmt: skip


def test_what_a_codex_client_says_over_a_socket_alone_is_not_sent_on() -> None:
    metadata = {
        "ws_request_header_x_openai_internal_codex_responses_lite": "true",
        "x-codex-ws-stream-request-start-ms": "1", "turn_id": "u",
    }  # fmt: skip
    body = {"model": "m", "client_metadata": metadata}
    assert socket.for_http(body) == {"model": "m", "client_metadata": {"turn_id": "u"}}
    plain = {"model": "m"}
    assert socket.for_http(plain) is plain


def test_an_error_has_a_code_and_its_headers_where_each_client_looks() -> None:
    error = {"message": "m", "type": "invalid_request_error", "code": None, "param": None}
    event = socket.error_event(429, error, {"retry-after": "2"})
    assert event["error"]["code"] == "invalid_request_error"
    assert event["error"]["headers"] == {"retry-after": "2"}
    assert "headers" not in event
    assert "sequence_number" not in event
    codex = socket.error_event(429, error, {"retry-after": "2"}, number=3, for_codex=True)
    assert (codex["headers"], codex["sequence_number"]) == ({"retry-after": "2"}, 3)
    assert "headers" not in socket.error_event(500, error, {})["error"]


def test_limits_that_the_answer_does_not_tell_are_no_event() -> None:
    (event,) = socket.metadata_events({"openai-model": "m"})
    assert event == {"type": "response.metadata", "headers": {"openai-model": "m"}}
