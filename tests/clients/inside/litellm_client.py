"""LiteLLM as a client, over Chat Completions and over Responses."""

from __future__ import annotations

import json

import litellm
from asked import EXTRACT, KEY, MODEL, STREAM, TEXT, TOOLS, URL, Person, tell, weather

ME = {"model": f"openai/{MODEL}", "api_base": URL, "api_key": KEY}
TOOL = {
    "type": "function",
    "function": {
        "name": "get_weather",
        "description": "The weather at a place",
        "parameters": {
            "type": "object",
            "properties": {"location": {"type": "string"}},
            "required": ["location"],
        },
    },
}


def user(text: str) -> list:
    return [{"role": "user", "content": text}]


def text():
    return litellm.completion(messages=user(TEXT), **ME).choices[0].message.content


def stream():
    chunks = litellm.completion(messages=user(STREAM), stream=True, **ME)
    return [chunk.choices[0].delta.content for chunk in chunks if chunk.choices[0].delta.content]


def whole(messages):
    return litellm.completion(messages=messages, tools=[TOOL], **ME)


def built(messages):
    chunks = litellm.completion(messages=messages, tools=[TOOL], stream=True, **ME)
    return litellm.stream_chunk_builder(list(chunks), messages=messages)


def tools(ask=whole):
    messages = user(TOOLS)
    message = ask(messages).choices[0].message
    messages.append(message)
    for call in message.tool_calls:
        content = weather(**json.loads(call.function.arguments))
        messages.append({"role": "tool", "tool_call_id": call.id, "content": content})
    return ask(messages).choices[0].message.content


def streamed_tools():
    return tools(built)


def structured():
    reply = litellm.completion(messages=user(EXTRACT), response_format=Person, **ME)
    return json.loads(reply.choices[0].message.content)


def responses():
    return litellm.responses(input=TEXT, **ME).output_text


def responses_stream():
    events = litellm.responses(input=STREAM, stream=True, **ME)
    return [event.delta for event in events if event.type == "response.output_text.delta"]


tell(text, stream, tools, streamed_tools, structured, responses, responses_stream)
