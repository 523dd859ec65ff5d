"""The official `ollama` client, unmodified, against a real `codexapi serve` process."""

from __future__ import annotations

import asyncio
import base64
from collections.abc import Iterator
from pathlib import Path

import pytest
from ollama import (
    AsyncClient,
    ChatResponse,
    Client,
    GenerateResponse,
    Image,
    Message,
    ResponseError,
)
from pydantic import BaseModel, TypeAdapter
from tests.processes import server, simulator
from tests.replies import OLLAMA_OPTIONS, OllamaForm, ollama_lines
from tests.test_laws import PNG
from tests.wire_files import NAMES, events, translated, wire

MODEL = "gpt-6.1-sol"


class Person(BaseModel):
    name: str
    age: int


def get_weather(city: str) -> str:
    """The weather at a place.

    Args:
      city: the place
    """
    return f"cold in {city}"


@pytest.fixture(scope="module")
def url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    login: Path = tmp_path_factory.mktemp("login") / "codex"
    with simulator(login) as backend, server("--quiet", env=backend.env) as door:
        yield door.url.removesuffix("/v1")


@pytest.fixture(scope="module")
def client(url: str) -> Iterator[Client]:
    with Client(url) as client:
        yield client


def says(text: str) -> list[Message]:
    return [Message(role="user", content=text)]


@pytest.mark.parametrize("name", NAMES)
def test_the_official_types_take_every_line(name: str) -> None:
    for options in OLLAMA_OPTIONS:
        kind = GenerateResponse if options.generate else ChatResponse
        out, error = translated(events(wire(name)), OllamaForm(options).translator())
        for line in ollama_lines(out)[: -1 if error else None]:
            TypeAdapter(kind).validate_python(line)


def test_the_models_are_listed_and_shown(client: Client) -> None:
    listed = client.list().models
    assert MODEL in [model.model for model in listed]
    assert listed[0].modified_at is not None
    shown = client.show(MODEL)
    assert shown.capabilities == ["completion", "tools", "insert", "vision", "thinking"]
    assert shown.modelinfo is not None
    assert shown.modelinfo["openai.context_length"] > 100_000
    assert client.ps().models == []


def test_a_chat_and_its_stream(client: Client) -> None:
    whole = client.chat(MODEL, says("[[say Good day.]]"))
    assert whole.message.content == "Good day."
    assert (whole.done_reason, whole.done) == ("stop", True)
    assert (whole.eval_count or 0) > 0
    parts = list(client.chat(MODEL, says("[[say Good day.]]"), stream=True))
    assert "".join(part.message.content or "" for part in parts) == "Good day."
    assert [part.done for part in parts] == [False] * (len(parts) - 1) + [True]


@pytest.mark.parametrize("stream", [False, True])
def test_a_tool_is_called_and_its_result_goes_back(client: Client, *, stream: bool) -> None:
    messages = says(f'{stream} [[reason]] [[tool get_weather {{"city":"Oslo"}}]] [[times 1]]')
    parts = (
        list(client.chat(MODEL, messages, tools=[get_weather], stream=True))
        if stream
        else [client.chat(MODEL, messages, tools=[get_weather])]
    )
    (call,) = [call for part in parts for call in part.message.tool_calls or ()]
    assert get_weather(**call.function.arguments) == "cold in Oslo"
    messages.append(Message(role="assistant", tool_calls=[call]))
    messages.append(Message(role="tool", content="cold", tool_name=call.function.name))
    answer = client.chat(MODEL, [*messages, *says("[[say So it is.]]")], tools=[get_weather])
    assert answer.message.content == "So it is."


def test_a_schema_shapes_the_answer(client: Client) -> None:
    reply = client.chat(MODEL, says("Ada, 36"), format=Person.model_json_schema())
    assert isinstance(Person.model_validate_json(reply.message.content or "").age, int)


def test_pictures_and_thinking(client: Client) -> None:
    picture = Message(
        role="user", content="[[reason]] look", images=[Image(value=base64.b64decode(PNG))]
    )
    assert client.chat(MODEL, [picture], think=True).message.thinking
    assert client.chat(MODEL, [picture], think="high").message.thinking
    assert client.chat(MODEL, [picture], think=False).message.thinking is None


def test_generate_with_a_system_message_and_a_suffix(client: Client) -> None:
    prompt, system = "[[say Good day.]]", "Be brief."
    assert client.generate(MODEL, prompt, system=system).response == "Good day."
    parts = list(client.generate(MODEL, prompt, system=system, stream=True))
    assert "".join(part.response or "" for part in parts) == "Good day."
    assert client.generate(MODEL, "[[say x]]", suffix="end").response == "x"


def test_load_unload_and_pull(client: Client) -> None:
    assert client.generate(MODEL).done_reason == "load"
    assert client.chat(MODEL, [], keep_alive=0).done_reason == "unload"
    assert client.pull(f"{MODEL}:latest").status == "success"
    assert [step.status for step in client.pull(MODEL, stream=True)] == ["success"]


def test_what_is_not_there_is_an_error_with_its_status(client: Client) -> None:
    with pytest.raises(ResponseError, match=r"model 'llama3:8b' not found") as missing:
        client.chat("llama3:8b", [])
    assert missing.value.status_code == 404
    with pytest.raises(ResponseError, match="no model is kept") as refused:
        client.delete(MODEL)
    assert refused.value.status_code == 403
    with pytest.raises(ResponseError, match="no embeddings"):
        client.embed(MODEL, "x")
    with pytest.raises(ResponseError, match=r"status|limit|rate") as limited:
        client.chat(MODEL, says("[[status rate_limited]]"))
    assert limited.value.status_code == 429


def test_a_stream_that_breaks_raises(client: Client) -> None:
    parts: list[str] = []
    stream = client.chat(MODEL, says("[[long 9]] [[cut 3]]"), stream=True, think=False)
    with pytest.raises(ResponseError, match="connection lost") as broken:
        parts.extend(part.message.content or "" for part in stream)
    assert ("".join(parts).split(), broken.value.status_code) == (["1", "2", "3"], -1)


async def test_chats_side_by_side_of_the_async_client(url: str) -> None:
    async with AsyncClient(url, headers={"Authorization": "Bearer unused"}) as client:

        async def one(number: int) -> str:
            stream = await client.chat(
                MODEL, says(f"[[say {number}]]"), stream=True,
                options={"num_ctx": 8192}, keep_alive="300s",
            )  # fmt: skip
            return "".join([part.message.content or "" async for part in stream])

        assert await asyncio.gather(*map(one, range(8))) == [str(number) for number in range(8)]
