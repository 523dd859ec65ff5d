"""Generates the OpenAPI document of the server: OpenAI's API and the dialects beside it.

Paths come from the routes, all else from `openapi_tables.py`.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from codexapi_engine import __version__
from codexapi_engine.errors import JsonObject
from codexapi_engine.protocol.rules import FieldRule

from ..dialect import OPENAI, Dialect, DialectRoutes
from ..websocket.upgrade import Upgrade
from .answer import json_response
from .openapi_tables import (
    BODIES,
    ERRORS,
    HEADERS,
    IN_QUERY,
    KEY,
    MODEL,
    QUERIES,
    REPLIES,
    SAYS,
    Body,
    Reply,
)


async def openapi(request: Request) -> Response:
    """GET /openapi.json"""
    state = request.app.state
    if not hasattr(state, "openapi"):  # generated on first request, which few clients make
        state.openapi = document(request.app.routes, request.app.dialects.others)
    return json_response(state.openapi)


def document(routes: Iterable[BaseRoute], dialects: Iterable[DialectRoutes] = ()) -> JsonObject:
    """The OpenAPI 3.1 document of OpenAI's routes and of those of the dialects beside it."""
    schemas: JsonObject = {}
    paths: JsonObject = {}
    for path, method, route in _served(routes):
        paths.setdefault(path, {})[method] = _operation(route, path, method, schemas, OPENAI)
    keys: list[str] = []
    for entry in dialects:
        own = [name.decode() for name in entry.dialect.key_headers if name != b"authorization"]
        keys += [name for name in own if name not in keys]
        for path, method, route in _served(entry.routes):
            operation = _operation(route, path, method, schemas, entry.dialect)
            operation["security"] = [{}, {"key": []}, *({name: []} for name in own)]
            methods = paths.setdefault(path, {})
            methods[method] = (
                _either(methods[method], operation, entry) if method in methods else operation
            )
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "codexapi",
            "version": __version__,
            "summary": "The OpenAI API, Anthropic's Messages and Ollama's API on this machine, with "
            "your own Codex login behind them.",
        },
        "servers": [{"url": "/"}],
        "security": [{}, {"key": []}],
        "paths": paths,
        "components": _components(schemas, keys),
    }


def _components(schemas: JsonObject, keys: Iterable[str]) -> JsonObject:
    headers = {
        name: {"description": text, "schema": {"type": "string"}} for name, text in HEADERS.items()
    }
    schemes: JsonObject = {"key": {"type": "http", "scheme": "bearer", "description": KEY}}
    for name in keys:
        schemes[name] = {"type": "apiKey", "in": "header", "name": name, "description": KEY}
    return {"schemas": schemas, "headers": headers, "securitySchemes": schemes}


def _served(routes: Iterable[BaseRoute]) -> Iterator[tuple[str, str, Route]]:
    """Path, method and route, without those that answer every method, which say what is absent, and
    the WebSocket, for which the document has no words; nor those of our own page."""
    for route in routes:
        if (
            isinstance(route, Route)
            and route.include_in_schema
            and not isinstance(route.endpoint, Upgrade)
        ):
            path = re.sub(r":\w+}", "}", route.path)
            for method in sorted((route.methods or set()) - {"HEAD"}):
                yield path, method.lower(), route


def _operation(
    route: Route, path: str, method: str, schemas: JsonObject, dialect: Dialect
) -> JsonObject:
    name = route.endpoint.__name__
    operation: JsonObject = {
        "operationId": name,
        "summary": (route.endpoint.__doc__ or name).partition("\n")[0],
        "responses": _responses(REPLIES.get(name), schemas, dialect),
    }
    parameters = [_in_path(word) for word in re.findall(r"{(\w+)}", path)]
    parameters += [
        {"name": word, "in": "query", "schema": IN_QUERY[word]} for word in QUERIES.get(name, ())
    ]
    if parameters:
        operation["parameters"] = parameters
    if method == "post":
        operation["requestBody"] = _request_body(BODIES.get(name), schemas)
    return operation


def _either(operation: JsonObject, other: JsonObject, entry: DialectRoutes) -> JsonObject:
    """One operation of two dialects: `entry`'s where its header is sent."""
    header = (entry.header or b"").decode()
    says = f"With it, the answer has the form of {entry.dialect.name}."
    optional = {"name": header, "in": "header", "description": says, "schema": {"type": "string"}}
    responses = {}
    for status, response in operation["responses"].items():
        contents = [response["content"], other["responses"][status]["content"]]
        responses[status] = {**response, "content": _any_of(contents)}
    parameters = [*operation.get("parameters", ()), optional]
    return {
        **operation,
        "parameters": parameters,
        "responses": responses,
        "security": other["security"],
    }


def _any_of(contents: list[JsonObject]) -> JsonObject:
    """By media type, what either has."""
    found: dict[str, list[JsonObject]] = {}
    for content in contents:
        for kind, body in content.items():
            schemas = found.setdefault(kind, [])
            schemas += [each for each in [body.get("schema")] if each and each not in schemas]
    return {
        kind: {"schema": schemas[0] if len(schemas) == 1 else {"anyOf": schemas}} if schemas else {}
        for kind, schemas in found.items()
    }


def _in_path(name: str) -> JsonObject:
    found: JsonObject = {"name": name, "in": "path", "required": True, "schema": {"type": "string"}}
    return {**found, "example": MODEL} if name == "model" else found


def _request_body(body: Body | None, schemas: JsonObject) -> JsonObject:
    if body is None:
        return {"content": {"application/json": {"schema": {"type": "object"}}}}
    schemas.update(_schemas(body))
    content = {"schema": _reference(body.name), "example": body.example}
    kinds: JsonObject = {"application/json": content} if body.json else {}
    if body.form:
        kinds["multipart/form-data"] = {"schema": _reference(body.name)}
    return {"required": True, "content": kinds}


def _schemas(body: Body) -> JsonObject:
    """The body's schema and those that it needs, by name; each field with its rule."""
    template = _reference(body.name + ".{model}")["$ref"]
    whole = body.model.model_json_schema(ref_template=template)
    inner = {f"{body.name}.{name}": made for name, made in whole.pop("$defs", {}).items()}
    fields = whole["properties"]
    for name, rule in body.rules.items():
        values = [None, *([body.no_effect[name]] if name in body.no_effect else [])]
        field = {"enum": values} if rule is FieldRule.REFUSED else fields.get(name, {})
        fields[name] = {**field, "description": SAYS[rule], "x-codexapi-rule": rule.value}
    whole["description"] = f"A field that is not listed: {body.unknown.value}."
    return {body.name: whole, **inner}


def _responses(reply: Reply | None, schemas: JsonObject, dialect: Dialect) -> JsonObject:
    name, schema = ERRORS.get(dialect.name, ("AnyError", {"type": "object"}))
    schemas[name] = schema
    error = {"application/json": {"schema": _reference(name)}}
    content: JsonObject = {"application/json": {"schema": {"type": "object"}}}
    if reply is not None and reply.kind != "application/json":
        content = {reply.kind: {}} if reply.kind else {}
    elif reply is not None:
        schemas[reply.name] = _reply_schema(reply)
        content = {"application/json": {"schema": _reference(reply.name)}}
        if reply.streamed:
            # No schema: validators read the events in forms of their own.
            content[dialect.media_type.partition(";")[0]] = {}
    headers = {name: {"$ref": f"#/components/headers/{name}"} for name in HEADERS}
    return {
        "200": {"description": "The answer.", "headers": headers, "content": content},
        "default": {"description": "What went wrong.", "content": error},
    }


def _reply_schema(reply: Reply) -> JsonObject:
    properties: JsonObject = {name: {} for name in reply.required}
    if reply.object is not None:
        properties["object"] = {"const": reply.object}
    if reply.type is not None:
        properties["type"] = {"const": reply.type}
    return {"type": "object", "required": list(reply.required), "properties": properties}


def _reference(name: str) -> dict[str, str]:
    return {"$ref": f"#/components/schemas/{name}"}
