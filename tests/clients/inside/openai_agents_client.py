"""The OpenAI Agents SDK; the argument tells the mode."""

from __future__ import annotations

import asyncio

from agents import (
    Agent,
    Runner,
    function_tool,
    set_default_openai_api,
    set_default_openai_responses_transport,
    set_tracing_disabled,
)
from asked import EXTRACT, MODEL, STREAM, TEXT, TOOLS, Person, mode, tell, weather

MODE = mode()
set_tracing_disabled(True)
set_default_openai_api("chat_completions" if MODE == "chat" else "responses")
if MODE == "websocket":
    set_default_openai_responses_transport("websocket")


def agent(**more) -> Agent:
    return Agent(name="tester", model=MODEL, **more)


def text():
    return Runner.run_sync(agent(), TEXT).final_output


def stream():
    async def pieces():
        result = Runner.run_streamed(agent(), STREAM)
        return [
            event.data.delta
            async for event in result.stream_events()
            if event.type == "raw_response_event"
            and event.data.type == "response.output_text.delta"
        ]

    return asyncio.run(pieces())


@function_tool
def get_weather(location: str) -> str:
    """The weather at a place"""
    return weather(location)


def tools():
    return Runner.run_sync(agent(tools=[get_weather]), TOOLS).final_output


def streamed_tools():
    async def last():
        result = Runner.run_streamed(agent(tools=[get_weather]), TOOLS)
        async for _ in result.stream_events():
            pass
        return result.final_output

    return asyncio.run(last())


def structured():
    return Runner.run_sync(agent(output_type=Person), EXTRACT).final_output.model_dump()


tell(text, stream, tools, streamed_tools, structured)
