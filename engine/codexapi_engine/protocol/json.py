"""JSON for the wire, both ways.

pydantic_core comes with a mandated package and is three times as fast as the standard library.
It refuses lone surrogates (`"\\ud83d"`), which models do emit when a stream cuts an emoji:
then the slow road is taken and U+FFFD stands for each of them. Nothing here does I/O.
"""

from __future__ import annotations

import json
from typing import Any, NoReturn

from pydantic_core import PydanticSerializationError, from_json, to_json


def loads(data: bytes | str) -> Any:
    """The value of a JSON text. Raises ValueError, for `NaN` and `Infinity` too."""
    try:
        return from_json(data, allow_inf_nan=False)
    except ValueError:
        text = data if isinstance(data, str) else data.decode("utf-8")
        if "\\u" not in text and text.isascii():
            raise
        try:
            return _whole(json.loads(text, parse_constant=_refuse))
        except RecursionError:
            raise ValueError("nested too deep") from None


def dumps(value: Any, *, indent: int | None = None) -> bytes:
    """UTF-8 JSON, compact unless `indent` is given."""
    try:
        # A float beyond the double's range (1e999) is read as infinity, which is not JSON.
        return to_json(value, indent=indent, inf_nan_mode="null")
    except (PydanticSerializationError, UnicodeEncodeError, ValueError):
        separators = (",", ":") if indent is None else None
        text = json.dumps(value, ensure_ascii=False, separators=separators, indent=indent)
        return _whole_text(text).encode()


def _whole(value: Any) -> Any:
    if isinstance(value, str):
        return _whole_text(value)
    if isinstance(value, list):
        return [_whole(item) for item in value]
    if isinstance(value, dict):
        return {_whole_text(key): _whole(item) for key, item in value.items()}
    return value


def _whole_text(text: str) -> str:
    return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")


def _refuse(name: str) -> NoReturn:
    raise ValueError(f"{name} is not JSON")
