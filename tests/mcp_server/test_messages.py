"""Every request on stdin is answered, whatever is wrong with it, and nothing else is."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from typing import Any

import pytest
from mcp.types import JSONRPCError, JSONRPCNotification, JSONRPCRequest, JSONRPCResponse
from tests import forks
from tests.mcp_server.transports import HELLO
from tests.processes import codexapi, environment

from codexapi_engine.bounds import MAX_BODY_BYTES, MIB
from codexapi_mcp.messages import InvalidMessage, LongLine, parse, serialized
from codexapi_mcp.pipes import split

PARSE, INVALID = -32700, -32600
DEEP = b'{"a":' * 205 + b"1" + b"}" * 205
LESS_DEEP = b"[" * 150 + b"]" * 150


def answers(line: bytes | LongLine) -> list[tuple[int, Any]]:
    """The codes and ids with which a line is refused; none where it is a message or nothing."""
    try:
        parse(line)
    except InvalidMessage as error:
        given = [json.loads(answer) for answer in error.answers()]
        assert all(each["jsonrpc"] == "2.0" and each["error"]["message"] for each in given)
        return [(each["error"]["code"], each["id"]) for each in given]
    return []


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        (b"nonsense", [(PARSE, None)]),
        (b"\0\0", [(PARSE, None)]),
        (b"\xff\xfe{\x00}\x00", [(PARSE, None)]),
        (b'{"jsonrpc":"2.0","id":1,"method":"ping"', [(PARSE, 1)]),
        (b'{"jsonrpc":"2.0","id":"a b","method":"x","params":{"a":NaN}}', [(PARSE, "a b")]),
        (b'{"method":"x","params":{"a":oops,"id":3},"jsonrpc":"2.0","id":4}', [(PARSE, 4)]),
        (b'{"method":"x","params":{"a":"open, "id":3},"jsonrpc":"2.0","x":4}', [(PARSE, None)]),
        (b'{"id":5,"params":{"a":"\x01\xff"}}', [(PARSE, 5)]),
        (b'{"id":6,"method":"ping"}', [(INVALID, 6)]),
        (b'{"jsonrpc":"1.0","id":6,"method":"ping"}', [(INVALID, 6)]),
        (b'{"jsonrpc":"2.0","id":7,"method":123}', [(INVALID, 7)]),
        (b'{"jsonrpc":"2.0","id":7}', [(INVALID, 7)]),
        (b'{"jsonrpc":"2.0","id":8,"method":"x","params":"oops"}', [(INVALID, 8)]),
        (b'{"jsonrpc":"2.0","id":8,"method":"x","params":[1]}', [(INVALID, 8)]),
        (b'{"jsonrpc":"2.0","id":23.5,"method":"ping"}', [(INVALID, 23.5)]),
        (b'{"jsonrpc":"2.0","id":1e999,"method":"ping"}', [(INVALID, None)]),
        (b'{"jsonrpc":"2.0","id":null,"method":"ping"}', [(INVALID, None)]),
        (b'{"jsonrpc":"2.0","id":true,"method":"ping"}', [(INVALID, None)]),
        (b'{"jsonrpc":"2.0","id":{},"method":"ping"}', [(INVALID, None)]),
        (b'{"jsonrpc":"2.0","id":9,"method":"x","params":{"s":' + DEEP + b"}}", [(INVALID, 9)]),
        (b'{"method":"x","params":{"s":' + LESS_DEEP + b'},"jsonrpc":"2.0","id":9}', [(INVALID, 9)]),
        (b"[]", [(INVALID, None)]),
        (b"{}", [(INVALID, None)]),
        (b"5", [(INVALID, None)]),
        (
            b'[{"jsonrpc":"2.0","id":1,"method":"x"},{"id":2,"method":"y"},{"method":"z"},3]',
            [(INVALID, 1), (INVALID, 2), (INVALID, None)],
        ),
        (LongLine(b'{"jsonrpc":"2.0","id":1,"params":{"a":"yy', b'y"}}'), [(INVALID, 1)]),
        (LongLine(b'{"method":"x","params":"yy', b'y","jsonrpc":"2.0","id":2}'), [(INVALID, 2)]),
        (LongLine(b'{"method":"x","params":"yy', b'yyyyyyy'), [(INVALID, None)]),
    ],
)  # fmt: skip
def test_what_is_no_request_is_refused_by_its_id(
    line: bytes | LongLine, expected: list[tuple[int, Any]]
) -> None:
    assert answers(line) == expected


@pytest.mark.parametrize(
    "line",
    [
        b"",
        b" \t\r",
        b"\xef\xbb\xbf",
        b'{"method":"notifications/x"}',
        b'{"jsonrpc":"2.0","method":5}',
        b'{"jsonrpc":"2.0","method":"notifications/x","params":[]}',
        b'{"jsonrpc":"2.0","method":"notifications/x","params":{"a":' + DEEP + b"}}",
        b'{"jsonrpc":"2.0","method":"notifications/x","params":{',
        b'[{"jsonrpc":"2.0","method":"notifications/x"}]',
        b'{"jsonrpc":"2.0","id":1,"result":5}',
        b'{"id":1,"error":{"code":1,"message":"x"}}',
        LongLine(b'{"jsonrpc":"2.0","method":"notifications/x","params":"y', b'y"}'),
    ],
)
def test_what_is_no_request_at_all_is_never_answered(line: bytes | LongLine) -> None:
    assert answers(line) == []


def test_a_message_is_what_the_line_says() -> None:
    request = parse(b'\xef\xbb\xbf{"jsonrpc":"2.0","id":1,"method":"x","params":{"a":"\\ud83d"}}\r')
    assert request == JSONRPCRequest(jsonrpc="2.0", id=1, method="x", params={"a": "\ufffd"})
    whole = parse(b'{"jsonrpc":"2.0","id":24.0,"method":"x","params":null,"result":{}}')
    assert whole == JSONRPCRequest(jsonrpc="2.0", id=24, method="x", params=None)
    told = parse(b'{"jsonrpc":"2.0","method":"x\xff"}')
    assert told == JSONRPCNotification(jsonrpc="2.0", method="x\ufffd", params=None)
    assert isinstance(parse(b'{"jsonrpc":"2.0","id":"a","result":{}}'), JSONRPCResponse)
    failure = parse(b'{"jsonrpc":"2.0","id":null,"error":{"code":1,"message":"x"}}')
    assert isinstance(failure, JSONRPCError)


def test_half_a_character_does_not_stop_an_answer() -> None:
    line = serialized(JSONRPCResponse(jsonrpc="2.0", id=1, result={"a": "x\ud83d\ny"}))
    assert json.loads(line) == {"jsonrpc": "2.0", "id": 1, "result": {"a": "x\ufffd\ny"}}
    assert line.count(b"\n") == 1


def test_lines_are_the_same_however_they_are_cut_into_pieces() -> None:
    text = b"one\ntwo\r\n\n" + b"x" * 50 + b"\n" + b"y" * 20 + b"\nlast"
    for size in (1, 2, 7, 64, 1000):
        pieces = (text[at : at + size] for at in range(0, len(text), size))
        lines = list(split(pieces, most=30))
        assert isinstance(lines[3], LongLine)
        assert lines[:3] + lines[4:] == [b"one", b"two\r", b"", b"y" * 20, b"last"]


SHORT = """
import json, resource
from codexapi_engine.bounds import MAX_BODY_BYTES
from codexapi_mcp.messages import InvalidMessage, parse
from codexapi_mcp.pipes import split

def limit(more):
    with open("/proc/self/statm") as status:
        pages = int(status.read().split()[0])
    resource.setrlimit(resource.RLIMIT_AS, (pages * resource.getpagesize() + more,) * 2)

def refused(line):
    try:
        parse(line)
    except InvalidMessage as error:
        print(*(json.loads(answer) for answer in error.answers()))

SIZE = MAX_BODY_BYTES - (2 << 20)
HEAD, TAIL = b'{"jsonrpc":"2.0","method":"x","params":{"a":"', b'"},"id":7}'
line = HEAD + b"x" * SIZE + TAIL
limit(SIZE * 3 // 2)
refused(line)
refused(next(split(piece for piece in [HEAD, *(bytes(65536) for _ in range(SIZE >> 16)), TAIL + b"\\n"])))
"""


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere a process has no such limit")
def test_for_what_there_is_no_memory_its_client_gets_an_error() -> None:
    done = subprocess.run(
        [sys.executable, "-c", SHORT], env=environment(), capture_output=True, text=True, check=True
    )
    message = "Internal error: there is not enough memory for this: send less at once"
    error = {"code": -32603, "message": message}
    answer = str({"jsonrpc": "2.0", "id": 7, "error": error})
    assert done.stdout.splitlines() == [answer] * 2, "as a line, and while it comes"


def sent() -> Iterator[bytes]:
    yield b"\xef\xbb\xbf" + json.dumps(HELLO).encode() + b"\r\n\r\n"
    yield b'{"jsonrpc":"2.0","method":"notifications/initialized"}\n'
    surrogate = {"name": "generate_text", "arguments": {"prompt": "[[say Hi]] cut \ud83d"}}
    yield json.dumps(
        {"jsonrpc": "2.0", "id": 2, "method": "tools/call", "params": surrogate}
    ).encode()
    yield b'\n{"jsonrpc":"2.0","id":3,"method":"ping","params":{"a":' + DEEP + b"}}\n"
    yield b'{"jsonrpc":"2.0","id":4,"method":"ping","params":{"a":"'
    yield b"y" * MAX_BODY_BYTES
    yield b'"}}\nnonsense\n'
    yield b'{"jsonrpc":"2.0","id":5,"method":"ping","params":{"a":"' + b"z" * (MAX_BODY_BYTES // 4)
    yield b'"}}\n'


def test_a_process_answers_each_request_and_goes_on() -> None:
    process = forks.Popen[bytes](
        codexapi("mcp", "serve", "--demo"), env=environment(),
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
    )  # fmt: skip
    with process:
        assert process.stdin is not None
        assert process.stdout is not None
        assert process.stderr is not None
        for piece in sent():
            process.stdin.write(piece)
        process.stdin.flush()
        given = [json.loads(process.stdout.readline()) for _ in range(6)]
        process.stdin.close()
        assert process.stdout.read() == b""
        said = process.stderr.read()
    assert (process.returncode, said) == (0, b"")
    by_id = {each["id"]: each for each in given}
    assert by_id.keys() == {1, 2, 3, 4, 5, None}
    assert by_id[2]["result"]["content"][0]["text"] == "Hi"
    assert by_id[3]["error"]["code"] == INVALID
    assert by_id[4]["error"]["message"].endswith(f"longer than {MAX_BODY_BYTES // MIB} MiB")
    assert by_id[5]["result"] == {}
    assert by_id[None]["error"]["code"] == PARSE


CLOSED = """
import os, sys
os.close(int(sys.argv[1]))
os.execv(sys.executable, [sys.executable, "-m", "codexapi_cli", "mcp", "serve", "--demo"])
"""


@pytest.mark.parametrize("number", [0, 1, 2])
def test_a_closed_standard_stream_is_no_place_for_the_protocol(number: int) -> None:
    line = json.dumps(HELLO).encode() + b"\n"
    done = subprocess.run(
        [sys.executable, "-c", CLOSED, str(number)], input=line, env=environment(),
        capture_output=True, check=False,
    )  # fmt: skip
    assert b"Traceback" not in done.stderr
    heard = [json.loads(each) for each in done.stdout.splitlines()]
    assert [each["id"] for each in heard] == ([1] if number == 2 else [])
    assert os.strerror(9).encode() not in done.stderr
