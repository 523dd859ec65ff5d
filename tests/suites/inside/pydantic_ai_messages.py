"""What agents of pydantic-ai do, with its `AnthropicModel`.

Runs inside the suite's own interpreter; `tests/suites/pydantic_ai.py` starts it.
"""

from __future__ import annotations

import base64
import os
from typing import Any

import pytest
from pydantic import BaseModel
from pydantic_ai import (
    Agent,
    BinaryContent,
    CachePoint,
    ImageUrl,
    ModelRetry,
    NativeOutput,
    PromptedOutput,
    ToolOutput,
    UnexpectedModelBehavior,
)
from pydantic_ai.capabilities import WebSearch
from pydantic_ai.exceptions import ModelHTTPError
from pydantic_ai.messages import (
    ModelResponse,
    NativeToolCallPart,
    NativeToolReturnPart,
    TextPart,
    ThinkingPart,
    ToolCallPart,
    ToolReturnPart,
)
from pydantic_ai.models.anthropic import AnthropicModel, AnthropicModelSettings

PNG = base64.b64decode(
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAIAAACQd1PeAAAADElEQVR4nGP4z8AAAAMBAQDJ/pLvAAAAAElFTkSuQmCC"
)
PDF = b"%PDF-1.4\n1 0 obj<<>>stream\nBT (About foxes) Tj ET\nendstream\n%%EOF\n"
CLAUDE = "claude-sonnet-5"
WEATHER = "What is the weather in Paris and Rome?"
EXTRACT = "Extract: Ada is 36 years old"
ADAPTIVE = AnthropicModelSettings(anthropic_thinking={"type": "adaptive"})


class Person(BaseModel):
    name: str
    age: int


class Place(BaseModel):
    city: str


ADA = Person(name="Ada", age=36)


@pytest.fixture(params=[CLAUDE, os.environ["MODEL"]])
def model(request: pytest.FixtureRequest) -> AnthropicModel:
    """By a name of Anthropic's and by the backend's own, which the client knows nothing of."""
    return AnthropicModel(request.param, profile=AnthropicModel(CLAUDE).profile)


def get_weather(location: str) -> str:
    """The weather at a place"""
    return f"20 degrees in {location}"


def parts(messages: list[Any], kind: type) -> list[Any]:
    return [part for message in messages for part in message.parts if isinstance(part, kind)]


async def test_text(model):
    result = await Agent(model).run("[[say Good morning.]]")
    assert result.output == "Good morning."
    assert result.response.finish_reason == "stop"
    assert result.response.model_name == model.model_name
    assert result.usage.input_tokens > 0
    assert result.usage.output_tokens > 0


async def test_instructions_and_a_system_prompt(model):
    agent = Agent(model, instructions="Mike is 37 years old.", system_prompt="Be brief.")
    result = await agent.run("Extract the person.", output_type=NativeOutput(Person))
    assert result.output == Person(name="Mike", age=37)


async def test_a_stream_comes_in_pieces(model):
    async with Agent(model).run_stream("[[say One two three.]]") as result:
        pieces = [piece async for piece in result.stream_text(delta=True, debounce_by=None)]
    assert len(pieces) > 1
    assert "".join(pieces) == "One two three."


async def test_a_chat_goes_on(model):
    agent = Agent(model)
    first = await agent.run("[[say One.]]")
    second = await agent.run("[[say Two.]]", message_history=first.all_messages())
    assert second.output == "Two."
    assert [part.content for part in parts(second.all_messages(), TextPart)] == ["One.", "Two."]


async def test_tools_in_parallel(model):
    result = await Agent(model, tools=[get_weather]).run(WEATHER)
    assert "20 degrees in Paris" in result.output
    assert "20 degrees in Rome" in result.output
    called = [message for message in result.all_messages() if isinstance(message, ModelResponse)]
    assert len(parts(called[:1], ToolCallPart)) == 2
    assert called[0].finish_reason == "tool_call"


async def test_tools_one_at_a_time(model):
    settings = AnthropicModelSettings(parallel_tool_calls=False)
    result = await Agent(model, tools=[get_weather]).run(WEATHER, model_settings=settings)
    called = [message for message in result.all_messages() if isinstance(message, ModelResponse)]
    assert len(parts(called[:1], ToolCallPart)) == 1


async def test_tools_in_a_stream(model):
    async with Agent(model, tools=[get_weather]).run_stream(WEATHER) as result:
        output = await result.get_output()
    assert "20 degrees in Paris" in output


async def test_the_events_of_a_run(model):
    kinds = []
    async with Agent(model, tools=[get_weather]).run_stream_events(WEATHER) as events:
        async for event in events:
            kinds.append(event.event_kind)
    assert {"part_start", "part_delta", "function_tool_call", "agent_run_result"} <= set(kinds)


async def test_a_tool_that_fails_is_called_again(model):
    failures = []

    def get_weather(location: str) -> str:
        """The weather at a place"""
        if not failures:
            failures.append(location)
            raise ModelRetry("Not now.")
        return f"20 degrees in {location}"

    agent = Agent(model, tools=[get_weather], retries=3)
    result = await agent.run("What is the weather in Paris? [[times 2]] [[tools 1]]")
    assert failures
    assert len(parts(result.all_messages(), ToolReturnPart)) >= 1


async def test_an_object_by_a_tool(model):
    assert (await Agent(model, output_type=Person).run(EXTRACT)).output == ADA


async def test_an_object_natively(model):
    assert (await Agent(model, output_type=NativeOutput(Person)).run(EXTRACT)).output == ADA


async def test_an_object_by_the_prompt(model):
    assert (await Agent(model, output_type=PromptedOutput(Person)).run(EXTRACT)).output == ADA


async def test_an_object_in_a_stream(model):
    async with Agent(model, output_type=NativeOutput(Person)).run_stream(EXTRACT) as result:
        *_, last = [value async for value in result.stream_output(debounce_by=None)]
    assert last == ADA


async def test_one_of_several_objects(model):
    result = await Agent(model, output_type=[ToolOutput(Person), ToolOutput(Place)]).run(EXTRACT)
    assert isinstance(result.output, Person | Place)


async def test_an_object_beside_tools(model):
    agent = Agent(model, tools=[get_weather], output_type=NativeOutput(Place))
    result = await agent.run("What is the weather in Paris?")
    assert result.output == Place(city="Paris")


async def test_thinking_and_its_way_back(model):
    agent = Agent(model, model_settings=ADAPTIVE)
    first = await agent.run("[[reason]] [[say One.]]")
    (thought,) = parts(first.all_messages(), ThinkingPart)
    assert thought.content
    assert thought.signature.startswith("cxa1:")
    second = await agent.run("[[say Two.]]", message_history=first.all_messages())
    assert second.output == "Two."


async def test_thinking_before_a_tool(model):
    agent = Agent(model, tools=[get_weather], model_settings=ADAPTIVE)
    result = await agent.run("[[reason]] What is the weather in Paris?")
    assert parts(result.all_messages(), ThinkingPart)
    assert "20 degrees in Paris" in result.output


async def test_thinking_in_a_stream(model):
    thoughts, text = [], []
    async with Agent(model, model_settings=ADAPTIVE).run_stream_events("[[reason]] hi") as events:
        async for event in events:
            if event.event_kind == "part_start":
                (thoughts if isinstance(event.part, ThinkingPart) else text).append(event.part)
    assert len(thoughts) == 1
    assert text


async def test_thinking_by_the_common_setting(model):
    for effort in (True, False, "low", "high"):
        result = await Agent(model).run("[[say Yes.]]", model_settings={"thinking": effort})
        assert result.output == "Yes."


async def test_a_thought_of_another_model_is_left_out(model):
    first = await Agent(AnthropicModel("gpt-6-luna"), model_settings=ADAPTIVE).run("[[reason]] hi")
    second = await Agent(model).run("[[say Two.]]", message_history=first.all_messages())
    assert second.output == "Two."


async def test_pictures_and_files(model):
    seen = await Agent(model).run([
        "Describe these.", BinaryContent(PNG, media_type="image/png"),
        BinaryContent(PDF, media_type="application/pdf"),
        ImageUrl("https://example.com/cat.png"),
    ])  # fmt: skip
    assert "1×1 PNG" in seen.output
    assert "About foxes" in seen.output
    assert "cat.png" in seen.output


async def test_a_picture_from_a_tool(model):
    def get_picture() -> BinaryContent:
        """A picture"""
        return BinaryContent(PNG, media_type="image/png")

    result = await Agent(model, tools=[get_picture]).run("[[tool get_picture {}]]")
    assert parts(result.all_messages(), ToolReturnPart)
    assert result.output


async def test_a_text_file(model):
    document = BinaryContent(b"Ada is 36 years old", media_type="text/plain")
    result = await Agent(model, output_type=NativeOutput(Person)).run(["Extract", document])
    assert result.output == ADA


async def test_a_web_search_and_its_sources(model):
    agent = Agent(model, capabilities=[WebSearch()])
    result = await agent.run("Search the web: what do red foxes eat?")
    assert parts(result.all_messages(), NativeToolCallPart)
    (found,) = parts(result.all_messages(), NativeToolReturnPart)
    assert "https://" in str(found.content)
    again = await agent.run("[[say Thanks.]]", message_history=result.all_messages())
    assert again.output == "Thanks."


async def test_cached_tokens_are_no_input_tokens(model):
    agent = Agent(model, instructions="Be brief. " * 300, model_settings={"cache": True})
    first = await agent.run(["Hello. " * 300, CachePoint(), "[[say One.]]"])
    second = await agent.run("[[say Two.]]", message_history=first.all_messages())
    assert second.usage.cache_read_tokens > 0
    assert second.usage.input_tokens >= second.usage.cache_read_tokens


async def test_a_stop_sequence(model):
    settings = AnthropicModelSettings(stop_sequences=["two"])
    result = await Agent(model).run("[[say One two three.]]", model_settings=settings)
    assert result.output.strip() == "One"


async def test_a_count_of_tokens(model):
    from pydantic_ai.messages import ModelRequest
    from pydantic_ai.models import ModelRequestParameters

    usage = await model.count_tokens(
        [ModelRequest.user_text_prompt("Hello")], None, ModelRequestParameters()
    )
    assert usage.input_tokens > 0


async def test_settings_that_ask_for_more_than_there_is(model):
    settings = AnthropicModelSettings(
        max_tokens=100, temperature=0.5, top_p=0.5, timeout=30, anthropic_cache=True,
        anthropic_metadata={"user_id": "somebody"}, anthropic_effort="low",
        anthropic_service_tier="auto", anthropic_eager_input_streaming=True,
        anthropic_cache_instructions=True, anthropic_cache_tool_definitions=True,
    )  # fmt: skip
    agent = Agent(model, tools=[get_weather], instructions="Be brief.")
    assert (await agent.run("[[say Yes.]]", model_settings=settings)).output == "Yes."


@pytest.mark.parametrize(
    ("script", "status"),
    [
        ("status overloaded", 529),
        ("status usage_limit_reached", 429),
        ("status unsupported_parameter", 400),
    ],
)
async def test_a_refusal_has_its_status(model, script, status):
    with pytest.raises(ModelHTTPError) as caught:
        await Agent(model).run(f"[[{script}]]", model_settings={"max_retries": 0})
    assert caught.value.status_code == status


async def test_a_stream_that_breaks_is_no_answer(model):
    with pytest.raises((ModelHTTPError, UnexpectedModelBehavior)):
        async with Agent(model).run_stream("[[long 9]] [[cut 3]]") as result:
            await result.get_output()
