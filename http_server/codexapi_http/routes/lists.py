"""Pagination of lists, and its query parameters."""

from __future__ import annotations

from collections.abc import Sequence

from starlette.requests import Request
from starlette.responses import Response

from codexapi_engine import InvalidRequest
from codexapi_engine.bounds import DEFAULT_PAGE, MAX_PAGE
from codexapi_engine.errors import JsonObject

from .answer import json_response


def page(
    request: Request,
    objects: Sequence[JsonObject],
    *,
    order: str,
    limit: int = DEFAULT_PAGE,
    max_limit: int = MAX_PAGE,
) -> Response:
    """A page of `objects`, which are given in ascending order and have ids. `order` and `limit` are
    those of a query that names none. Raises InvalidRequest, naming the parameter."""
    wanted = request.query_params.get("order", order)
    if wanted not in ("asc", "desc"):
        raise _wrong("order", f"'{wanted}' is neither 'asc' nor 'desc'")
    ordered = list(objects) if wanted == "asc" else list(reversed(objects))
    limit = whole(request, "limit", limit)
    if not 1 <= limit <= max_limit:
        raise _wrong("limit", f"expected 1 to {max_limit}")
    start = _start_index(ordered, request.query_params.get("after"))
    shown = ordered[start : start + limit]
    return json_response(
        {
            "object": "list",
            "data": shown,
            "first_id": shown[0]["id"] if shown else None,
            "last_id": shown[-1]["id"] if shown else None,
            "has_more": start + limit < len(ordered),
        }
    )


def include(request: Request) -> list[str]:
    """The `include` of a query, in both forms of a list."""
    return [*request.query_params.getlist("include"), *request.query_params.getlist("include[]")]


def whole(request: Request, name: str, otherwise: int) -> int:
    """A parameter that is an integer."""
    text = request.query_params.get(name, str(otherwise))
    if text.removeprefix("-").isascii() and text.removeprefix("-").isdecimal() and len(text) < 19:
        return int(text)
    raise _wrong(name, "expected a whole number")


def flag(request: Request, name: str) -> bool:
    """A parameter that is true or false."""
    text = request.query_params.get(name, "false").lower()
    if text not in ("true", "false", "1", "0"):
        raise _wrong(name, "expected true or false")
    return text in ("true", "1")


def _start_index(ordered: Sequence[JsonObject], after: str | None) -> int:
    if not after:
        return 0
    for index, found in enumerate(ordered):
        if found["id"] == after:
            return index + 1
    raise _wrong("after", f"there is no '{after}' in this list")


def _wrong(name: str, why: str) -> InvalidRequest:
    return InvalidRequest(f"Invalid value for '{name}': {why}.", code="invalid_value", param=name)
