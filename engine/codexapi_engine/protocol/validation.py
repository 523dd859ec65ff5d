"""Validates untrusted input: a pydantic model, or InvalidRequest that names the field.

All models are built when they are first used (`defer_build`): together they would be a twentieth of
the time that a server takes to start.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Any, TypeVar

from pydantic import AfterValidator, BaseModel, ValidationError

from ..bounds import MAX_METADATA_KEY, MAX_METADATA_PAIRS, MAX_METADATA_VALUE
from ..errors import InvalidRequest, JsonObject, missing

M = TypeVar("M", bound=BaseModel)


def _bounded(pairs: dict[str, str]) -> dict[str, str]:
    if len(pairs) > MAX_METADATA_PAIRS:
        raise ValueError(f"at most {MAX_METADATA_PAIRS} pairs are allowed")
    for key, value in pairs.items():
        if len(key) > MAX_METADATA_KEY:
            raise ValueError(f"a key has at most {MAX_METADATA_KEY} characters")
        if len(value) > MAX_METADATA_VALUE:
            raise ValueError(f"a value has at most {MAX_METADATA_VALUE} characters")
    return pairs


Metadata = Annotated[dict[str, str], AfterValidator(_bounded)]
"""What a client may attach to an object that is kept."""


def validated(model: type[M], body: JsonObject) -> M:
    """`body` as a `model`. Raises InvalidRequest for the first thing that is wrong with it."""
    try:
        return model.model_validate(body)
    except ValidationError as error:
        first = error.errors(include_url=False, include_context=False)[0]
        param = _path(body, first["loc"])
        if first["type"] == "missing":
            raise missing(param) from None
        code = "invalid_value" if first["type"] in _VALUES else "invalid_type"
        message = first["msg"].removeprefix("Value error, ")
        raise InvalidRequest(
            f"Invalid value for '{param}': {message}.", code=code, param=param
        ) from None


_VALUES = {
    "literal_error", "greater_than_equal", "less_than_equal", "string_too_short", "too_short",
    "too_long", "value_error", "string_pattern_mismatch", "string_too_long",
}  # fmt: skip


def _path(body: Any, loc: Sequence[int | str]) -> str:
    """`messages[0].role`. pydantic's path also names union branches, which the body lacks."""
    path, here = "", body
    for step in loc:
        if isinstance(step, int) and isinstance(here, list):
            path += f"[{step}]"
        elif (
            isinstance(here, dict) and isinstance(step, str) and (step in here or _last(loc, step))
        ):
            path += f".{step}" if path else step
        else:
            continue
        here = _inside(here, step)
    return path


def _last(loc: Sequence[int | str], step: str) -> bool:
    return loc[-1] == step


def _inside(here: Any, step: int | str) -> Any:
    try:
        return here[step]
    except (KeyError, IndexError, TypeError):
        return None
