"""The OpenAPI document: valid, complete, and about what the server really does."""

from __future__ import annotations

import re
from dataclasses import replace

import pytest
from openapi_schema_validator import OAS31Validator
from openapi_spec_validator import OpenAPIV31SpecValidator
from starlette.routing import Route
from tests.http_server import forms
from tests.http_server.doors import Door, chat, responses
from tests.http_server.raw import JsonObject, get, post
from tests.http_server.toy import ROUTES as TOY
from tests.http_server.toy import TOY as TOY_DIALECT

from codexapi_engine.protocol.rules import FieldRule
from codexapi_engine.simulator import Simulator
from codexapi_http.dialect import DialectRoutes
from codexapi_http.routes import DIALECTS, ROUTES
from codexapi_http.routes.openapi import document
from codexapi_http.routes.openapi_tables import BODIES, MODEL, QUERIES, REPLIES, Body
from codexapi_http.routes.translated import translated
from codexapi_http.websocket.upgrade import Upgrade

served = pytest.mark.asyncio(loop_scope="module")

DOCUMENT = document(ROUTES, DIALECTS)
VERSION = "anthropic-version: 2023-06-01"
SCHEMAS = DOCUMENT["components"]["schemas"]


def operations() -> list[tuple[str, str, JsonObject]]:
    return [
        (path, method, operation)
        for path, methods in DOCUMENT["paths"].items()
        for method, operation in methods.items()
    ]


def valid(name: str, value: object) -> bool:
    return fits({"$ref": f"#/components/schemas/{name}"}, value)


def fits(schema: JsonObject, value: object) -> bool:
    whole = {**schema, "components": {"schemas": SCHEMAS}}
    return bool(OAS31Validator(whole).is_valid(value))


def test_the_document_is_valid() -> None:
    OpenAPIV31SpecValidator(DOCUMENT).validate()


def test_every_route_is_in_it_but_the_websocket_and_nothing_else() -> None:
    served = {
        (re.sub(r":\w+}", "}", route.path), method.lower())
        for routes in (ROUTES, *(entry.routes for entry in DIALECTS))
        for route in routes
        if not isinstance(route.endpoint, Upgrade)
        for method in (route.methods or set()) - {"HEAD"}
    }
    assert {("/v1/messages", "post"), ("/v1/messages/count_tokens", "post")} <= served
    assert {(path, method) for path, method, _ in operations()} == served


def test_a_dialect_that_nobody_described_is_in_a_valid_document() -> None:
    made = document(ROUTES, [*DIALECTS, TOY])
    OpenAPIV31SpecValidator(made).validate()
    operation = made["paths"]["/toy/say"]["post"]
    assert operation["operationId"] == "toy_create"
    assert {"x-toy-key": []} in operation["security"]
    assert "x-toy-key" in made["components"]["securitySchemes"]


def test_two_dialects_that_only_translate_are_two_operations() -> None:
    other = replace(TOY_DIALECT, name="toy_two")
    route = Route("/toy_two/say", translated(other), methods=["POST"])
    made = document(ROUTES, [TOY, DialectRoutes(other, [route])])
    OpenAPIV31SpecValidator(made).validate()


def test_every_operation_has_a_name_of_its_own() -> None:
    names = [operation["operationId"] for _, _, operation in operations()]
    assert sorted(names) == sorted(set(names))


def test_every_table_is_about_an_endpoint() -> None:
    names = {operation["operationId"] for _, _, operation in operations()}
    names |= {"metrics"}  # is there under `serve --metrics` alone
    names |= {"models_page", "model_get"}  # share an operation with OpenAI's
    assert set(BODIES) <= names
    assert set(REPLIES) <= names
    assert set(QUERIES) <= names


@pytest.mark.parametrize("name", BODIES)
def test_every_field_of_a_body_has_its_rule(name: str) -> None:
    body = BODIES[name]
    fields = SCHEMAS[body.name]["properties"]
    assert set(body.rules) <= set(fields)
    for field, rule in body.rules.items():
        assert fields[field]["x-codexapi-rule"] == rule.value
        assert fields[field]["description"]


@pytest.mark.parametrize("name", BODIES)
def test_what_is_refused_may_only_ask_for_nothing(name: str) -> None:
    body = BODIES[name]
    assert valid(body.name, body.example)
    for field, rule in body.rules.items():
        if rule is FieldRule.REFUSED:
            assert valid(body.name, {**body.example, field: None})
            assert not valid(body.name, {**body.example, field: "anything"})
        if field in body.no_effect:
            assert valid(body.name, {**body.example, field: body.no_effect[field]})


@pytest.mark.parametrize(
    ("wrong", "name"),
    [
        ({"model": "m"}, "ChatCompletionsRequest"),
        ({"model": "m", "messages": []}, "ChatCompletionsRequest"),
        ({"model": "m", "messages": [{}]}, "ChatCompletionsRequest"),
        ({"model": "m", "messages": "x"}, "ChatCompletionsRequest"),
        ({"model": "m", "input": 1}, "ResponsesRequest"),
        ({"prompt": "x"}, "CompletionsRequest"),
        ({"model": "m", "prompt": "x", "n": 9}, "CompletionsRequest"),
        ({"model": "m", "messages": [{}]}, "AnthropicMessagesRequest"),
        ({"model": "m", "messages": []}, "AnthropicCountRequest"),
    ],
)
def test_what_the_server_refuses_is_against_the_schema(wrong: JsonObject, name: str) -> None:
    assert not valid(name, wrong)


def request_with(body: Body, path: str) -> bytes:
    """The example of a body, as the endpoint takes it."""
    path = path.replace("{model}", MODEL)
    if body.json:
        return post(path, body.example)
    parts = [
        forms.part(name, value, file="a.txt" if name == "file" else None)
        for name, value in body.example.items()
    ]
    return forms.post(path, *parts)


@served
async def test_it_is_served_and_its_examples_are_answered_as_it_says(
    server: Door, backend: Simulator
) -> None:
    told = (await server.reply(get("/openapi.json"))).json
    assert told == DOCUMENT
    for path, method, operation in operations():
        content = operation["responses"]["200"]["content"]
        schema = content.get("application/json", {}).get("schema", {})
        if method == "get" and "{" not in path:
            reply = await server.reply(get(path))
        elif body := BODIES.get(operation["operationId"]):
            reply = await server.reply(request_with(body, path))
        else:
            continue
        assert reply.status == 200, path
        assert not schema or fits(schema, reply.json), path


@served
@pytest.mark.parametrize("stream", [True, False, None])
async def test_an_answer_is_of_a_media_type_that_the_document_names(
    server: Door, stream: bool | None
) -> None:
    names = {name for name, body in BODIES.items() if body.json}
    for path, method, operation in operations():
        if method != "post" or operation["operationId"] not in names:
            continue
        example = BODIES[operation["operationId"]].example
        path = path.replace("{model}", MODEL)
        reply = await server.reply(post(path, {**example, "stream": stream}))
        content = operation["responses"]["200" if reply.status == 200 else "default"]["content"]
        assert reply.headers["content-type"].partition(";")[0] in content, path


@served
@pytest.mark.parametrize(
    ("path", "name"),
    [("/v1/models", "ModelList"), (f"/v1/models/{MODEL}", "Model")],
)
async def test_a_path_of_two_dialects_has_the_form_that_its_header_asks_for(
    path: str, name: str, server: Door
) -> None:
    operation = DOCUMENT["paths"][path.replace(MODEL, "{model}")]["get"]
    assert [one["name"] for one in operation["parameters"] if one["in"] == "header"] == [
        "anthropic-version"
    ]
    plain, theirs = await server.reply(get(path)), await server.reply(get(path, VERSION))
    assert (valid(name, plain.json), valid(name, theirs.json)) == (True, False)
    assert valid(f"Anthropic{name}", theirs.json)
    schema = operation["responses"]["200"]["content"]["application/json"]["schema"]
    assert fits(schema, plain.json)
    assert fits(schema, theirs.json)


@served
@pytest.mark.parametrize(
    "request_",
    [
        get("/v1/nothing"),
        get("/v1/models/nothing"),
        post("/v1/chat/completions", chat(model="nothing")),
        post("/v1/chat/completions", chat(logprobs=True)),
        post("/v1/responses", responses(), "Content-Type: text/plain"),
        post("/v1/models", {}),
    ],
)
async def test_every_error_is_the_documents_error(server: Door, request_: bytes) -> None:
    reply = await server.reply(request_)
    assert reply.status >= 400
    assert valid("Error", reply.json)


@served
@pytest.mark.parametrize(
    "request_",
    [
        get("/v1/messages/nothing"),
        get("/v1/models/nothing", VERSION),
        post("/v1/messages", {"model": MODEL, "messages": []}),
        post("/v1/messages/count_tokens", {"model": MODEL}),
    ],
)
async def test_every_error_of_messages_is_the_documents_error(
    server: Door, request_: bytes
) -> None:
    reply = await server.reply(request_)
    assert reply.status >= 400
    assert valid("AnthropicError", reply.json)


def test_routes_are_all_of_the_kind_that_is_read() -> None:
    every = (*ROUTES, *(route for entry in DIALECTS for route in entry.routes))
    assert all(isinstance(route, Route) for route in every)
