"""The official `openai` client, unmodified, against a real `codexapi serve` process."""

from __future__ import annotations

import base64
import json
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import openai
import pytest
from openai import AsyncOpenAI, OpenAI
from openai.types.chat import ChatCompletionToolParam
from openai.types.responses import FunctionToolParam
from pydantic import BaseModel
from tests.processes import server, simulator

MODEL = "gpt-6.1-sol"
WEATHER_SCHEMA = {
    "type": "object",
    "properties": {"location": {"type": "string"}},
    "required": ["location"],
    "additionalProperties": False,
}
CHAT_TOOL: ChatCompletionToolParam = {
    "type": "function",
    "function": {
        "name": "get_weather",
        "description": "The weather at a place",
        "parameters": WEATHER_SCHEMA,
    },
}
TOOL: FunctionToolParam = {
    "type": "function",
    "name": "get_weather",
    "description": "The weather at a place",
    "parameters": WEATHER_SCHEMA,
    "strict": True,
}
PIXEL = base64.b64encode(
    base64.b64decode(
        "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAIAAACQd1PeAAAADElEQVR4nGP4z8AAAAMBAQDJ/pLvAAAAAElFTkSuQmCC"
    )
).decode()
QUESTION = "What is the weather in Paris and Rome?"


class Person(BaseModel):
    name: str
    age: int


@pytest.fixture(scope="module")
def url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    login: Path = tmp_path_factory.mktemp("login") / "codex"
    with simulator(login) as backend, server("--quiet", env=backend.env) as door:
        yield door.url


@pytest.fixture
def client(url: str) -> Iterator[OpenAI]:
    with OpenAI(base_url=url, api_key="unused", max_retries=0) as client:
        yield client


@pytest.fixture
async def async_client(url: str) -> AsyncIterator[AsyncOpenAI]:
    async with AsyncOpenAI(base_url=url, api_key="unused", max_retries=0) as client:
        yield client


def test_responses_create_gives_text_and_usage(client: OpenAI) -> None:
    response = client.responses.create(model=MODEL, input="[[say Good morning.]]")
    assert response.output_text == "Good morning."
    assert response.status == "completed"
    assert response.usage is not None
    assert response.usage.output_tokens > 0


def test_responses_stream_ends_in_the_whole_response(client: OpenAI) -> None:
    with client.responses.stream(model=MODEL, input="[[say One two three.]]") as stream:
        deltas = [e.delta for e in stream if e.type == "response.output_text.delta"]
        final = stream.get_final_response()
    assert "".join(deltas) == final.output_text == "One two three."


def test_responses_create_with_stream_gives_events_in_order(client: OpenAI) -> None:
    stream = client.responses.create(model=MODEL, input="[[say Hi.]]", stream=True)
    events = list(stream)
    assert events[0].type == "response.created"
    assert events[-1].type == "response.completed"
    numbers = [event.sequence_number for event in events]
    assert numbers == list(range(len(numbers)))


def test_responses_parse_gives_the_object(client: OpenAI) -> None:
    response = client.responses.parse(
        model=MODEL, input="Extract: Ada is 36 years old", text_format=Person
    )
    assert isinstance(response.output_parsed, Person)


def test_responses_calls_tools_in_parallel_and_takes_their_outputs(client: OpenAI) -> None:
    first = client.responses.create(model=MODEL, input=QUESTION, tools=[TOOL])
    calls = [item for item in first.output if item.type == "function_call"]
    assert first.output[0].type == "reasoning"
    assert [json.loads(call.arguments)["location"] for call in calls] == ["Paris", "Rome"]
    history = [
        {"role": "user", "content": QUESTION},
        *(item.model_dump(exclude_none=True) for item in first.output),
        *(
            {"type": "function_call_output", "call_id": call.call_id, "output": f"{n} degrees"}
            for n, call in enumerate(calls, 20)
        ),
    ]
    second = client.responses.create(model=MODEL, input=history, tools=[TOOL])  # type: ignore[arg-type]
    assert "20 degrees" in second.output_text
    assert "21 degrees" in second.output_text


def test_chat_create_gives_text_and_usage(client: OpenAI) -> None:
    completion = client.chat.completions.create(
        model=MODEL, messages=[{"role": "user", "content": "[[say Good evening.]]"}]
    )
    assert completion.choices[0].message.content == "Good evening."
    assert completion.choices[0].finish_reason == "stop"
    assert completion.usage is not None
    assert completion.usage.total_tokens > 0


def test_chat_stream_helper_ends_in_the_whole_completion(client: OpenAI) -> None:
    with client.chat.completions.stream(
        model=MODEL,
        messages=[{"role": "user", "content": "[[say One two three.]]"}],
        stream_options={"include_usage": True},
    ) as stream:
        deltas = [event.delta for event in stream if event.type == "content.delta"]
        final = stream.get_final_completion()
    assert "".join(deltas) == final.choices[0].message.content == "One two three."
    assert final.usage is not None


def test_chat_parse_gives_the_object(client: OpenAI) -> None:
    completion = client.chat.completions.parse(
        model=MODEL,
        messages=[{"role": "user", "content": "Extract: Ada is 36 years old"}],
        response_format=Person,
    )
    assert isinstance(completion.choices[0].message.parsed, Person)


def test_chat_stream_of_parallel_tool_calls_after_reasoning_has_dense_indexes(
    client: OpenAI,
) -> None:
    with client.chat.completions.stream(
        model=MODEL, messages=[{"role": "user", "content": QUESTION}], tools=[CHAT_TOOL]
    ) as stream:
        indexes = {
            call.index
            for event in stream
            if event.type == "chunk" and event.chunk.choices
            for call in event.chunk.choices[0].delta.tool_calls or []
        }
        final = stream.get_final_completion()
    assert indexes == {0, 1}
    assert final.choices[0].finish_reason == "tool_calls"
    assert len(final.choices[0].message.tool_calls or []) == 2


def test_chat_takes_tool_outputs(client: OpenAI) -> None:
    first = client.chat.completions.create(
        model=MODEL, messages=[{"role": "user", "content": QUESTION}], tools=[CHAT_TOOL]
    )
    message = first.choices[0].message
    calls = message.tool_calls or []
    outputs = [
        {"role": "tool", "tool_call_id": call.id, "content": f"{n} degrees"}
        for n, call in enumerate(calls, 20)
    ]
    second = client.chat.completions.create(
        model=MODEL,
        messages=[{"role": "user", "content": QUESTION}, message, *outputs],  # type: ignore[list-item]
        tools=[CHAT_TOOL],
    )
    assert "21 degrees" in str(second.choices[0].message.content)


def test_an_image_reaches_the_model_in_both_dialects(client: OpenAI) -> None:
    url = f"data:image/png;base64,{PIXEL}"
    response = client.responses.create(
        model=MODEL,
        input=[
            {
                "role": "user",
                "content": [
                    {"type": "input_text", "text": "Describe it"},
                    {"type": "input_image", "image_url": url, "detail": "auto"},
                ],
            }
        ],
    )
    completion = client.chat.completions.create(
        model=MODEL,
        messages=[
            {
                "role": "user",
                "content": [
                    {"type": "text", "text": "Describe it"},
                    {"type": "image_url", "image_url": {"url": url}},
                ],
            }
        ],
    )
    assert "image" in response.output_text
    assert "image" in str(completion.choices[0].message.content)


def test_raw_responses_show_what_was_ignored_and_the_request_id(client: OpenAI) -> None:
    raw = client.chat.completions.with_raw_response.create(
        model=MODEL, messages=[{"role": "user", "content": "Hi"}], temperature=0.5, seed=1
    )
    assert set(raw.headers["x-codexapi-ignored"].split(",")) == {"temperature", "seed"}
    assert raw.headers["x-request-id"].startswith("req_")
    assert raw.parse().choices[0].message.content


def test_models_are_listed_and_found_by_name(client: OpenAI) -> None:
    names = [model.id for model in client.models.list()]
    assert MODEL in names
    assert client.models.retrieve(MODEL).id == MODEL


def test_an_unknown_model_is_not_found_and_others_are_named(client: OpenAI) -> None:
    with pytest.raises(openai.NotFoundError, match=MODEL):
        client.chat.completions.create(
            model="gpt-6.1-soll", messages=[{"role": "user", "content": "Hi"}]
        )


def test_a_used_up_plan_is_a_rate_limit_error_before_any_output(client: OpenAI) -> None:
    with pytest.raises(openai.RateLimitError) as caught:
        client.chat.completions.create(
            model=MODEL,
            messages=[{"role": "user", "content": "[[status usage_limit_reached]]"}],
            stream=True,
        )
    assert caught.value.code == "usage_limit_reached"
    assert caught.value.response.headers["x-should-retry"] == "false"
    assert "retry-after" not in caught.value.response.headers, "it resets in hours"


@pytest.mark.parametrize("script", ["cut 3", "error", "drop"])
def test_a_broken_stream_raises_in_both_dialects(client: OpenAI, script: str) -> None:
    prompt = f"[[long 5]] [[{script}]]"
    with pytest.raises(openai.APIError):
        for _ in client.chat.completions.create(
            model=MODEL, messages=[{"role": "user", "content": prompt}], stream=True
        ):
            pass
    with pytest.raises(openai.APIError):
        for _ in client.responses.create(model=MODEL, input=prompt, stream=True):
            pass


async def test_async_twins(async_client: AsyncOpenAI) -> None:
    response = await async_client.responses.create(model=MODEL, input="[[say Yes.]]")
    completion = await async_client.chat.completions.create(
        model=MODEL, messages=[{"role": "user", "content": "[[say Yes.]]"}]
    )
    assert response.output_text == completion.choices[0].message.content == "Yes."


async def test_async_stream_helpers(async_client: AsyncOpenAI) -> None:
    kinds: list[str] = []
    async with async_client.responses.stream(model=MODEL, input="[[say Yes.]]") as stream:
        async for event in stream:
            kinds.append(event.type)
        final = await stream.get_final_response()
    async with async_client.chat.completions.stream(
        model=MODEL, messages=[{"role": "user", "content": "[[say Yes.]]"}]
    ) as chat_stream:
        completion = await chat_stream.get_final_completion()
    assert kinds[-1] == "response.completed"
    assert final.output_text == completion.choices[0].message.content == "Yes."


async def test_async_parse(async_client: AsyncOpenAI) -> None:
    completion = await async_client.chat.completions.parse(
        model=MODEL,
        messages=[{"role": "user", "content": "Extract: Ada is 36 years old"}],
        response_format=Person,
    )
    assert isinstance(completion.choices[0].message.parsed, Person)
