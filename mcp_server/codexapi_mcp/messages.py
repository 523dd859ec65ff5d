"""Parses and writes JSON-RPC messages, one per line.

An invalid request is answered too, by its own id where one can be read: its client waits, some
without a timeout. A notification and a response are never answered.
"""

from __future__ import annotations

import codecs
import json as scalars
import re
from dataclasses import dataclass
from itertools import islice
from typing import Any

from mcp.types import (
    INTERNAL_ERROR,
    INVALID_REQUEST,
    PARSE_ERROR,
    JSONRPCError,
    JSONRPCMessage,
    JSONRPCNotification,
    JSONRPCRequest,
    JSONRPCResponse,
    jsonrpc_message_adapter,
)

from codexapi_engine.bounds import MAX_BODY_BYTES, MAX_JSON_DEPTH, MAX_JSON_TOKENS
from codexapi_engine.memory import has_room_for
from codexapi_engine.protocol import json

EDGE = 64 * 1024
"""Bytes of each end of a line that is too long, which are searched for an id."""

NO_MEMORY = "there is not enough memory for this: send less at once"

Id = int | float | str | None

_TOKEN = re.compile(
    r'"[^"\\]*+(?>(?:\\.[^"\\]*+)*)(?:"|\\?\Z)|[{}\[\]:,]|[^\s{}\[\]:,"]++', re.DOTALL
)
_LAST_MEMBERS = re.compile(
    r'(?:,\s*"(?:id|jsonrpc|method)"\s*:\s*(?:"[^"\\]*"|-?[0-9.]+)\s*)+\}\s*\Z'
)
"""The end of an object, where some clients write the id."""


@dataclass(frozen=True, slots=True)
class LongLine:
    """The two ends of a line that has over MAX_BODY_BYTES, or that does not fit into memory."""

    head: bytes
    tail: bytes
    fits: bool = True

    def refusal(self) -> InvalidMessage:
        ids = _ids_of_long_line(self)
        if self.fits:
            return _invalid_request(f"the message is longer than {MAX_BODY_BYTES >> 20} MiB", ids)
        return InvalidMessage(INTERNAL_ERROR, f"Internal error: {NO_MEMORY}", ids)


class InvalidMessage(Exception):
    """What is wrong with a line, and the ids under which that is to be answered: none for a
    notification, a None where no id can be read."""

    def __init__(self, code: int, message: str, ids: list[Id]) -> None:
        super().__init__(message)
        self.code = code
        self.ids = ids

    def answers(self) -> list[bytes]:
        """The lines that say so."""
        error = {"code": self.code, "message": str(self)}
        return [_to_line({"jsonrpc": "2.0", "id": each, "error": error}) for each in self.ids]


def parse(line: bytes | LongLine) -> JSONRPCMessage | None:
    """The message in a line; None where there is nothing to do. Bytes that are no UTF-8 and lone
    surrogates become U+FFFD. Raises InvalidMessage."""
    if isinstance(line, LongLine):
        raise line.refusal()
    if len(line) > EDGE and not has_room_for(len(line)):
        raise LongLine(line[:EDGE], line[-EDGE:], fits=False).refusal()
    text = line.removeprefix(codecs.BOM_UTF8).decode(errors="replace").strip()
    if not text:
        return None
    try:
        value = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise _parse_error(text, error) from None
    if isinstance(value, list):
        raise _batch(value)
    if not isinstance(value, dict):
        raise _invalid_request("it is not an object", [None])
    return _message(value)


def serialized(message: JSONRPCMessage) -> bytes:
    """A message as a line; lone surrogates are replaced."""
    return _to_line(message.model_dump(mode="json", by_alias=True, exclude_unset=True))


def _to_line(value: Any) -> bytes:
    return json.dumps(value) + b"\n"


def _message(value: dict[str, Any]) -> JSONRPCMessage | None:
    if "method" not in value and ("result" in value or "error" in value):
        return _response_message(value)
    if "method" in value and "id" not in value:
        return _notification(value)
    ident = _readable(value.get("id"))
    if fault := _fault(value):
        raise _invalid_request(fault, [ident])
    if isinstance(ident, float) or ident is None:
        raise _invalid_request("`id` is neither a string nor a whole number", [ident])
    return JSONRPCRequest(
        jsonrpc="2.0", id=ident, method=value["method"], params=value.get("params")
    )


def _notification(value: dict[str, Any]) -> JSONRPCNotification | None:
    if _fault(value):
        return None
    return JSONRPCNotification(jsonrpc="2.0", method=value["method"], params=value.get("params"))


def _response_message(value: dict[str, Any]) -> JSONRPCMessage | None:
    try:
        message = jsonrpc_message_adapter.validate_python(value)
    except ValueError:
        return None
    return message if isinstance(message, JSONRPCResponse | JSONRPCError) else None


def _fault(value: dict[str, Any]) -> str | None:
    """What makes an object no request and no notification."""
    if value.get("jsonrpc") != "2.0":
        return '`jsonrpc` is not "2.0"'
    if "method" not in value:
        return "`method` is missing"
    if not isinstance(value["method"], str):
        return "`method` is not a string"
    if not isinstance(value.get("params"), dict | None):
        return "`params` is not an object"
    if _is_deep(value, MAX_JSON_DEPTH):
        return _TOO_DEEP
    return None


_TOO_DEEP = f"it is nested more than {MAX_JSON_DEPTH} deep"


def _is_deep(value: Any, levels: int) -> bool:
    if not isinstance(value, dict | list):
        return False
    items = value.values() if isinstance(value, dict) else value
    return levels == 0 or any(_is_deep(item, levels - 1) for item in items)


def _readable(value: Any) -> Id:
    """An id that an answer can repeat; `1.0` is an integer too."""
    if isinstance(value, str) or (isinstance(value, int) and not isinstance(value, bool)):
        return value
    if isinstance(value, float) and abs(value) < 2**53:
        return int(value) if value.is_integer() else value
    return None


def _invalid_request(why: str, ids: list[Id]) -> InvalidMessage:
    return InvalidMessage(INVALID_REQUEST, f"Invalid request: {why}", ids)


def _batch(values: list[Any]) -> InvalidMessage:
    """Every request in it is answered by itself."""
    ids = [
        _readable(value.get("id")) if isinstance(value, dict) else None
        for value in values
        if not isinstance(value, dict) or _wants_answer(value)
    ]
    why = "a batch is not supported: send each message in a line of its own"
    return _invalid_request(why, ids if values else [None])


def _wants_answer(value: dict[str, Any]) -> bool:
    if "method" in value:
        return "id" in value
    return "result" not in value and "error" not in value


def _parse_error(text: str, error: Exception) -> InvalidMessage:
    members = _members(text)
    is_notification = "method" in members and "id" not in members
    method = _scalar(members.get("method", ""))
    if is_notification and isinstance(method, str) and method.startswith("notifications/"):
        ids: list[Id] = []
    else:
        ids = [_readable(_scalar(members.get("id", "")))]
    if isinstance(error, RecursionError) or "recursion" in str(error) or "deep" in str(error):
        return _invalid_request(_TOO_DEEP, ids)
    return InvalidMessage(PARSE_ERROR, "Parse error: the line is not JSON", ids)


def _members(text: str) -> dict[str, str]:
    """The outermost members that are no containers, as far as a text that is no JSON has such."""
    depth, key, found = 0, "", dict[str, str]()
    before = ""
    for token in islice(_TOKEN.finditer(text), MAX_JSON_TOKENS):
        word = token[0]
        depth += (word in "{[") - (word in "}]")
        if depth == 1 and before == ":" and key and word not in "{}[]:,":
            found.setdefault(key, word)
        if word == ":" and before.startswith('"'):
            key = str(_scalar(before))
        elif word == ",":
            key = ""
        before = word
    return found


def _scalar(token: str) -> Any:
    try:
        return scalars.loads(token)
    except ValueError:
        return None


def _ids_of_long_line(line: LongLine) -> list[Id]:
    members = _members(line.head.removeprefix(codecs.BOM_UTF8).decode(errors="replace"))
    if "id" not in members and (end := _LAST_MEMBERS.search(line.tail.decode(errors="replace"))):
        members = {**members, **_members("{" + end[0][1:])}
    if "id" not in members and "method" in members and '"notifications/' in members["method"]:
        return []
    return [_readable(_scalar(members.get("id", "")))]
