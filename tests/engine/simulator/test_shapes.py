"""The shapes of a request: parameters, client versions, the Lite shape, endpoints and bodies."""

from __future__ import annotations

import pytest
from tests.engine.simulator.exchanges import (
    LITE,
    LITE_BODY,
    RESPONSES,
    WEATHER,
    JsonObject,
    ask,
    detail,
    send,
    signed,
    user,
)

from codexapi_engine.simulator import Simulator


@pytest.mark.parametrize(
    "name",
    [
        "max_output_tokens", "max_completion_tokens", "temperature", "top_p", "frequency_penalty",
        "presence_penalty", "metadata", "user", "truncation", "safety_identifier",
        "prompt_cache_retention", "prompt_cache_options", "context_management",
        "previous_response_id", "stop", "background", "conversation", "top_logprobs",
        "max_tool_calls", "moderation", "prompt",
    ],
)  # fmt: skip
async def test_parameter_that_the_backend_lacks_is_refused_by_name(name: str) -> None:
    changes: JsonObject = {name: 1}
    answer = await ask(**changes)
    assert (answer.status, answer.json) == (400, detail(f"Unsupported parameter: {name}"))


async def test_developer_message_does_for_instructions() -> None:
    items = [{"role": "developer", "content": "Be brief."}, user("hi")]
    assert (await ask(instructions=None, input=items)).status == 200


TOO_OLD = (
    "The '{}' model requires a newer version of Codex. "
    "Please upgrade to the latest app or CLI and try again."
)
NOT_YOURS = "The '{}' model is not supported when using Codex with a ChatGPT account."


@pytest.mark.parametrize(
    ("model", "version", "said"),
    [
        ("gpt-6-sol", "0.155.0", None),
        ("gpt-6-sol", "0.154.9", TOO_OLD),
        ("gpt-6-astra", "0.153.0", None),
        ("gpt-6-astra", "0.152.0", TOO_OLD),
        ("gpt-5.6-sol", "0.144.0", None),
        ("gpt-5.6-luna", "0.143.0", TOO_OLD),
        ("gpt-5.6-luna", "", NOT_YOURS),
        ("gpt-5.5", "", None),
    ],
)
async def test_client_version_decides_which_models_there_are(
    model: str, version: str, said: str | None
) -> None:
    answer = await ask(model=model, headers={"version": version})
    assert answer.status == (400 if said else 200)
    if said:
        assert answer.json == detail(said.format(model))


@pytest.mark.parametrize(
    ("changes", "param", "said"),
    [
        ({"model": "gpt-5.5"}, "model", "This model is not supported when using X-"),
        ({"parallel_tool_calls": True}, "parallel_tool_calls", "requires `parallel_tool_calls`"),
        ({"parallel_tool_calls": None}, "parallel_tool_calls", "to be false."),
        ({"reasoning": None}, "reasoning.context", "requires `reasoning.context`"),
        ({"tools": [{"type": "web_search"}]}, "tools", "only supports function tools, custom"),
    ],
)
async def test_lite_shape_has_rules_of_its_own(changes: JsonObject, param: str, said: str) -> None:
    whole: JsonObject = {**LITE_BODY, **changes, "headers": LITE}
    answer = await ask(**whole)
    assert answer.status == 400
    assert answer.json["error"]["param"] == param
    assert said in answer.json["error"]["message"]


async def test_lite_shape_offers_the_tools_of_its_input() -> None:
    offered = {
        "type": "additional_tools",
        "role": "developer",
        "tools": [{"type": "namespace", "name": "functions", "tools": [WEATHER]}],
    }
    items = [offered, user("The weather in Oslo?")]
    answer = await ask(input=items, **LITE_BODY, headers=LITE)
    assert answer.calls == [("get_weather", {"location": "Oslo"})]
    assert answer.items[-1]["namespace"] == "functions"


async def test_without_the_lite_header_those_tools_are_not_seen() -> None:
    offered = {"type": "additional_tools", "role": "developer", "tools": [WEATHER]}
    answer = await ask(input=[offered, user("The weather in Oslo?")])
    assert answer.calls == []


@pytest.mark.parametrize(
    ("method", "target", "status", "said"),
    [
        ("GET", "/backend-api/codex/nothing", 404, detail("Not Found")),
        ("GET", "/", 404, detail("Not Found")),
        ("PUT", RESPONSES, 405, detail("Method Not Allowed")),
        ("POST", "/backend-api/codex/models", 405, detail("Method Not Allowed")),
        ("GET", RESPONSES, 426, detail("Upgrade Required")),
    ],
)
async def test_there_are_no_other_endpoints(
    method: str, target: str, status: int, said: JsonObject
) -> None:
    answer = await send(Simulator(), method, target)
    assert (answer.status, answer.json) == (status, said)


@pytest.mark.parametrize(
    ("sent", "headers", "status"),
    [
        (b"{}", {"content-type": "text/plain"}, 415),
        (b"{}", {"content-encoding": "zstd"}, 415),
        (b"{", {}, 400),
        (b"[]", {}, 400),
        (b"[" * 100_000, {}, 400),
    ],
)
async def test_a_body_is_one_json_object(sent: bytes, headers: dict[str, str], status: int) -> None:
    simulator = Simulator()
    answer = await send(simulator, "POST", RESPONSES, sent, {**signed(simulator), **headers})
    assert answer.status == status


@pytest.mark.parametrize(
    "schema",
    [{"type": "array", "minItems": "x"}, {"properties": [1]}, {"enum": 7}, {"allOf": 1}],
)
async def test_a_schema_that_is_none_is_refused(schema: JsonObject) -> None:
    answer = await ask(text={"format": {"type": "json_schema", "name": "a", "schema": schema}})
    assert answer.status == 400
    assert answer.json["error"]["code"] == "invalid_json_schema"
