"""pydantic-ai's agents; the argument tells the mode."""

from __future__ import annotations

import asyncio

from asked import EXTRACT, MODEL, STREAM, TEXT, TOOLS, Person, mode, tell, weather
from pydantic_ai import Agent, NativeOutput
from pydantic_ai.models.openai import OpenAIChatModel, OpenAIResponsesModel

kind = OpenAIResponsesModel if mode() == "responses" else OpenAIChatModel
model = kind(MODEL)


def text():
    return Agent(model).run_sync(TEXT).output


def stream():
    async def pieces():
        async with Agent(model).run_stream(STREAM) as result:
            return [piece async for piece in result.stream_text(delta=True, debounce_by=None)]

    return asyncio.run(pieces())


def get_weather(location: str) -> str:
    """The weather at a place"""
    return weather(location)


def tools():
    return Agent(model, tools=[get_weather]).run_sync(TOOLS).output


def streamed_tools():
    async def last():
        async with Agent(model, tools=[get_weather]).run_stream(TOOLS) as result:
            return await result.get_output()

    return asyncio.run(last())


def structured():
    return Agent(model, output_type=NativeOutput(Person)).run_sync(EXTRACT).output.model_dump()


def structured_by_tool():
    return Agent(model, output_type=Person).run_sync(EXTRACT).output.model_dump()


tell(text, stream, tools, streamed_tools, structured, structured_by_tool)
