"""The official `anthropic` client, unmodified, against a real `codexapi serve` process."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any

import anthropic
import pytest
from anthropic import Anthropic, AsyncAnthropic
from anthropic.types import Message, MessageParam, RawMessageStreamEvent, ToolParam
from pydantic import BaseModel, TypeAdapter
from tests.contract.test_openai_client import PIXEL, WEATHER_SCHEMA
from tests.message_replies import told
from tests.processes import server, simulator
from tests.replies import MESSAGES_OPTIONS, MessagesForm
from tests.wire_files import NAMES, events, translated, wire

from codexapi_engine.bounds import MAX_BODY_BYTES, MIB
from codexapi_engine.protocol import responses

MODEL = "claude-opus-5-5"
SLUG = "gpt-6.1-sol"
TOOL: ToolParam = {
    "name": "get_weather",
    "description": "The weather at a place",
    "input_schema": WEATHER_SCHEMA,
}
FORM = MessagesForm(MESSAGES_OPTIONS[2])


class Person(BaseModel):
    name: str
    age: int


def says(prompt: str) -> list[MessageParam]:
    return [{"role": "user", "content": prompt}]


@pytest.fixture(scope="module")
def url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    login: Path = tmp_path_factory.mktemp("login") / "codex"
    with simulator(login) as backend, server("--quiet", env=backend.env) as door:
        yield door.url.removesuffix("/v1")


@pytest.fixture
def client(url: str) -> Iterator[Anthropic]:
    with Anthropic(base_url=url, api_key="unused", max_retries=0) as client:
        yield client


@pytest.fixture
async def async_client(url: str) -> AsyncIterator[AsyncAnthropic]:
    async with AsyncAnthropic(base_url=url, api_key="unused", max_retries=0) as client:
        yield client


GOOD = [name for name in NAMES if translated(events(wire(name)), FORM.translator())[1] is None]


@pytest.mark.parametrize("name", GOOD)
def test_the_official_types_take_both_roads(name: str) -> None:
    union: TypeAdapter[Any] = TypeAdapter(RawMessageStreamEvent)
    out, _ = translated(events(wire(name)), FORM.translator())
    for step in told(out):
        if step["type"] != "ping":
            union.validate_json(json.dumps(step), strict=True)
    assembler = responses.Assembler()
    for event in events(wire(name)):
        assembler.feed(event)
    Message.model_validate_json(json.dumps(FORM.whole(assembler.finish())), strict=True)


def test_create_gives_text_usage_and_a_request_id(client: Anthropic) -> None:
    message = client.messages.create(model=MODEL, max_tokens=9, messages=says("[[say Good day.]]"))
    assert [block.text for block in message.content if block.type == "text"] == ["Good day."]
    assert (message.stop_reason, message.model) == ("end_turn", MODEL)
    assert message.usage.input_tokens > 0
    assert message.usage.output_tokens > 0
    assert (message._request_id or "").startswith("req_")


def test_stream_ends_in_the_whole_message(client: Anthropic) -> None:
    prompt = says("[[say One two three.]]")
    with client.messages.stream(model=MODEL, max_tokens=9, messages=prompt) as stream:
        pieces = list(stream.text_stream)
        final = stream.get_final_message()
        assert (stream.response.headers["request-id"]).startswith("req_")
    assert len(pieces) > 1
    assert "".join(pieces) == "One two three."
    assert final.content[0].type == "text"
    assert final.content[0].text == "One two three."
    assert final.usage.output_tokens > 0


def test_thinking_comes_before_the_text_and_is_taken_back(client: Anthropic) -> None:
    with client.messages.stream(
        model=MODEL, max_tokens=9, messages=says("[[reason]] [[say Well.]]"),
        thinking={"type": "adaptive"},
    ) as stream:  # fmt: skip
        first = stream.get_final_message()
    thought, text = first.content
    assert thought.type == "thinking"
    assert thought.thinking
    assert thought.signature.startswith("cxa1:")
    assert text.type == "text"
    again: list[MessageParam] = [*says("[[reason]] hi"), first.to_param(), *says("[[say On.]]")]
    raw = client.messages.with_raw_response.create(
        model=MODEL, max_tokens=9, messages=again, thinking={"type": "adaptive"}
    )
    assert "encrypted" not in raw.headers.get("x-codexapi-ignored", "")


@pytest.mark.parametrize("stream", [False, True])
def test_tools_in_parallel_and_their_results(client: Anthropic, *, stream: bool) -> None:
    question = says("What is the weather in Paris and Rome? [[tools 2]]")
    message: Message
    if stream:
        with client.messages.stream(
            model=MODEL, max_tokens=9, messages=question, tools=[TOOL]
        ) as events_:
            message = events_.get_final_message()
    else:
        message = client.messages.create(model=MODEL, max_tokens=9, messages=question, tools=[TOOL])
    calls = [block for block in message.content if block.type == "tool_use"]
    assert (len(calls), message.stop_reason) == (2, "tool_use")
    assert all(call.name == "get_weather" and "location" in call.input for call in calls)
    results: list[MessageParam] = [
        {
            "role": "user",
            "content": [
                {"type": "tool_result", "tool_use_id": call.id, "content": "18 degrees"}
                for call in calls
            ],
        }
    ]
    answer = client.messages.create(
        model=MODEL, max_tokens=9, messages=[*question, message.to_param(), *results], tools=[TOOL]
    )
    assert answer.stop_reason == "end_turn"


def test_pictures_and_files_are_taken(client: Anthropic) -> None:
    pdf = "JVBERi0xLjQKJSVFT0YK"
    message = client.messages.create(
        model=MODEL, max_tokens=9,
        messages=[{"role": "user", "content": [
            {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": PIXEL}},
            {"type": "document", "source": {"type": "base64", "media_type": "application/pdf", "data": pdf}},
            {"type": "text", "text": "Describe both"},
        ]}],
    )  # fmt: skip
    assert message.content[0].type == "text"
    assert "image" in message.content[0].text


@pytest.mark.parametrize("stream", [False, True])
def test_a_text_after_a_search_has_citations(client: Anthropic, *, stream: bool) -> None:
    asked: Any = {
        "model": MODEL, "max_tokens": 9, "messages": says("What do red foxes eat?"),
        "tools": [{"type": "web_search_20260209", "name": "web_search"}],
    }  # fmt: skip
    if stream:
        with client.messages.stream(**asked) as events_:
            message = events_.get_final_message()
    else:
        message = client.messages.create(**asked)
    *_, found, text = message.content
    assert found.type == "web_search_tool_result"
    assert isinstance(found.content, list)
    assert text.type == "text"
    (citation,) = text.citations or []
    assert citation.type == "web_search_result_location"
    assert (citation.url, citation.title) == (found.content[0].url, "A simulated source")


def test_a_document_whose_citations_are_asked_for_is_answered_without(client: Anthropic) -> None:
    source: Any = {"type": "text", "media_type": "text/plain", "data": "Foxes are red."}
    document: Any = {"type": "document", "source": source, "citations": {"enabled": True}}
    raw = client.messages.with_raw_response.create(
        model=MODEL, max_tokens=9, messages=[{"role": "user", "content": [document]}]
    )
    assert raw.headers["x-codexapi-ignored"] == "max_tokens,messages.0.content.0.citations"


def test_parse_gives_an_object(client: Anthropic) -> None:
    message = client.messages.parse(
        model=MODEL, max_tokens=9, messages=says("Extract: Ada is 36 years old"), output_format=Person
    )  # fmt: skip
    assert isinstance(message.parsed_output, Person)


def test_a_tool_runner_goes_on_without_threads(client: Anthropic) -> None:
    @anthropic.beta_tool
    def get_weather(location: str) -> str:
        """The weather at a place."""
        return f"18 degrees in {location}"

    runner = client.beta.messages.tool_runner(
        model=MODEL, max_tokens=9, tools=[get_weather],
        messages=[{"role": "user", "content": "What is the weather in Paris? [[times 1]] [[tools 1]]"}],
    )  # fmt: skip
    messages = list(runner)
    assert [message.stop_reason for message in messages] == ["tool_use", "end_turn"]


def test_tokens_are_counted_without_a_backend(client: Anthropic) -> None:
    few = client.messages.count_tokens(model=MODEL, messages=says("hi"))
    many = client.messages.count_tokens(
        model=MODEL, messages=says("hi"), tools=[TOOL], system="Be brief."
    )
    assert 0 < few.input_tokens < many.input_tokens


def test_models_are_listed_and_found_strictly(url: str) -> None:
    with Anthropic(base_url=url, api_key="x", _strict_response_validation=True) as client:
        names = [model.id for model in client.models.list(limit=1000)]
        assert {SLUG, f"claude-{SLUG}"} <= set(names)
        found = client.models.retrieve(f"claude-{SLUG}")
        assert (found.id, found.lifecycle) == (f"claude-{SLUG}", "active")
        with pytest.raises(anthropic.NotFoundError, match="model: claude-none"):
            client.models.retrieve("claude-none")


def test_ignored_parameters_are_named(client: Anthropic) -> None:
    raw = client.messages.with_raw_response.create(
        model=MODEL, max_tokens=9, messages=says("hi"), extra_body={"temperature": 0.5}
    )
    assert raw.headers["x-codexapi-ignored"] == "max_tokens,temperature"
    assert raw.headers["openai-model"].startswith("gpt-")


@pytest.mark.parametrize(
    ("script", "kind", "name", "retry"),
    [
        ("status unauthorized_detail", anthropic.AuthenticationError, "authentication_error", "false"),
        ("status model_does_not_exist", anthropic.NotFoundError, "not_found_error", None),
        ("status usage_limit_reached", anthropic.RateLimitError, "rate_limit_error", "false"),
        ("status rate_limited", anthropic.RateLimitError, "rate_limit_error", None),
        ("status server_error", anthropic.InternalServerError, "api_error", None),
        ("status overloaded", anthropic.APIStatusError, "overloaded_error", None),
        ("status context_length_exceeded_http", anthropic.BadRequestError, "invalid_request_error", None),
        ("fail_first context_length_exceeded", anthropic.BadRequestError, "invalid_request_error", None),
    ],
)  # fmt: skip
@pytest.mark.parametrize("stream", [False, True])
def test_a_refusal_is_a_typed_error_before_any_output(
    client: Anthropic,
    script: str,
    kind: type[anthropic.APIStatusError],
    name: str,
    retry: str | None,
    *,
    stream: bool,
) -> None:
    with pytest.raises(kind) as caught:
        client.messages.create(
            model=MODEL, max_tokens=9, messages=says(f"[[{script}]]"), stream=stream
        )
    error = caught.value
    assert error.type == name
    assert error.request_id == error.response.headers["x-request-id"]
    assert error.response.headers.get("x-should-retry") == retry
    if "context" in script:
        assert "prompt is too long: " in error.message
    if "usage" in script:
        assert int(error.response.headers["retry-after"]) > 60


def test_a_server_that_is_overloaded_is_asked_again(url: str) -> None:
    with Anthropic(base_url=url, api_key="x", max_retries=2) as client:
        message = client.messages.create(
            model=MODEL, max_tokens=9, messages=says("[[status overloaded 2]] [[say There.]]")
        )
    assert message.content[0].type == "text"


def test_a_body_that_is_too_large_and_a_wrong_base_say_so(url: str) -> None:
    with Anthropic(base_url=f"{url}/v1", api_key="x", max_retries=0) as client:
        with pytest.raises(anthropic.NotFoundError, match="try /v1/messages"):
            client.messages.create(model=MODEL, max_tokens=9, messages=says("hi"))
    with Anthropic(base_url=url, api_key="x", max_retries=0) as client:
        with pytest.raises(anthropic.ContentTooLargeError) as caught:
            client.messages.create(
                model=MODEL, max_tokens=9, messages=says("x" * (MAX_BODY_BYTES + MIB))
            )
        assert f"{MAX_BODY_BYTES // MIB} MiB" in caught.value.message


@pytest.mark.parametrize("script", ["cut 3", "error", "drop 3"])
def test_a_broken_stream_raises(client: Anthropic, script: str) -> None:
    prompt = says(f"[[long 5]] [[{script}]]")
    with client.messages.stream(model=MODEL, max_tokens=9, messages=prompt) as stream:
        with pytest.raises(anthropic.APIStatusError) as caught:
            stream.get_final_message()
    assert caught.value.type == "api_error"


async def test_async_stream(async_client: AsyncAnthropic) -> None:
    async with async_client.messages.stream(
        model=MODEL, max_tokens=9, messages=says("[[say Yes.]]")
    ) as stream:
        final = await stream.get_final_message()
    assert final.content[0].type == "text"
    assert final.content[0].text == "Yes."


async def test_counts_that_are_asked_at_once_add_up(async_client: AsyncAnthropic) -> None:
    tools: list[ToolParam] = [{**TOOL, "name": f"get_weather_{n:02}"} for n in range(25)]
    counts = await asyncio.gather(
        *(
            async_client.messages.count_tokens(model=MODEL, messages=says("foo"), tools=tools[:n])
            for n in range(25)
        )
    )
    steps = {after.input_tokens - before.input_tokens for before, after in pairwise(counts)}
    assert len(steps) == 1
