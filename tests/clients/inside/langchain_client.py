"""LangChain's `ChatOpenAI` and `ChatAnthropic`; the argument tells the mode."""

from __future__ import annotations

import functools
import operator

from asked import EXTRACT, MODEL, STREAM, TEXT, TOOLS, Person, mode, tell, weather
from langchain_anthropic import ChatAnthropic
from langchain_core.messages import HumanMessage, ToolMessage
from langchain_core.tools import tool
from langchain_openai import ChatOpenAI

MODE = mode()
if MODE == "messages":
    model = ChatAnthropic(model=MODEL)
else:
    model = ChatOpenAI(model=MODEL, use_responses_api=MODE == "responses")


def text():
    return model.invoke(TEXT).text


def stream():
    return [chunk.text for chunk in model.stream(STREAM) if chunk.text]


@tool
def get_weather(location: str) -> str:
    """The weather at a place"""
    return weather(location)


def tools(ask=lambda able, messages: able.invoke(messages)):
    able = model.bind_tools([get_weather])
    messages = [HumanMessage(TOOLS)]
    messages.append(ask(able, messages))
    for call in messages[-1].tool_calls:
        messages.append(ToolMessage(get_weather.invoke(call["args"]), tool_call_id=call["id"]))
    return ask(able, messages).text


def streamed_tools():
    return tools(lambda able, messages: functools.reduce(operator.add, able.stream(messages)))


def structured():
    return model.with_structured_output(Person).invoke(EXTRACT).model_dump()


tell(text, stream, tools, streamed_tools, structured)
