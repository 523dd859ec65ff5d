"""What programs send to a server that they take for Ollama, and what they read of its answers.

The requests are those of the programs' sources: Home Assistant 2026.11 (`components/ollama`), Zed
(`crates/ollama`), Copilot Chat of VS Code (`ollamaProvider`), JetBrains' Koog (its Ollama client) and
Ollama's own command.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import pytest
import pytest_asyncio
from tests.http_server import raw
from tests.http_server.doors import Door, door
from tests.http_server.raw import JsonObject, get, head, post
from tests.http_server.test_messages import Recorder
from tests.http_server.test_ollama import MODEL, WEATHER, lines

from codexapi_engine.protocol import ollama

pytestmark = [pytest.mark.asyncio(loop_scope="module"), pytest.mark.timeout(60)]

CALLS = '[[tool get_weather {"city":"Oslo"}]] [[tool get_weather {"city":"Rome"}]]'


@pytest.fixture(scope="module")
def backend() -> Recorder:
    return Recorder()


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def served(backend: Recorder) -> AsyncIterator[Door]:
    async with door(backend) as opened:
        yield opened


async def test_home_assistant_lists_chats_calls_and_cuts_its_history(
    served: Door, backend: Recorder
) -> None:
    agent = ("user-agent: ollama-python/0.6.3", "Authorization: Bearer unused")
    listed = (await served.reply(get("/api/tags", *agent))).json["models"]
    assert MODEL in [model["model"] for model in listed], "else it pulls"

    async def chat(*messages: JsonObject) -> JsonObject:
        body = {
            "model": MODEL, "messages": messages, "tools": [WEATHER], "stream": True,
            "options": {"num_ctx": 8192}, "think": False, "keep_alive": -1,
        }  # fmt: skip
        message: JsonObject = ollama.fold(
            lines(await served.reply(post("/api/chat", body, *agent)))
        )["message"]
        return message

    system = {"role": "system", "content": "Current time is 10:01."}
    question = {"role": "user", "content": CALLS}
    calls = (await chat(system, question))["tool_calls"]
    kept = [{"function": {k: call["function"][k] for k in ("name", "arguments")}} for call in calls]
    called = {"role": "assistant", "tool_calls": kept}
    results = [{"role": "tool", "content": '{"data": 1}'}, {"role": "tool", "content": "2"}]
    answer = {"role": "user", "content": "[[say Cold.]]"}
    assert (await chat(system, question, called, *results, answer))["content"] == "Cold."
    outputs = [item for item in backend.bodies[-1]["input"] if "output" in item]
    assert [item["output"] for item in outputs] == ['{"data": 1}', "2"]
    # With the calls cut off, the results are the first that is left.
    assert (await chat(system, *results, answer))["content"] == "Cold."
    assert '{"data": 1}' in str(backend.bodies[-1]["input"])


async def test_zed_reads_the_list_and_streams_with_nulls(served: Door) -> None:
    for entry in (await served.reply(get("/api/tags", "Accept: application/json"))).json["models"]:
        texts = [entry["name"], entry["modified_at"], entry["digest"]]
        texts += [value for name, value in entry["details"].items() if name != "families"]
        assert all(isinstance(text, str) for text in texts)
        assert isinstance(entry["size"], int)
    shown = (await served.reply(post("/api/show", {"model": MODEL}))).json
    assert {"tools", "vision", "thinking"} <= {*shown["capabilities"]}
    body = {
        "model": MODEL,
        "messages": [
            {"role": "system", "content": "Be brief."},
            {"role": "user", "content": "hi"},
            {"role": "assistant", "content": "", "thinking": None, "tool_calls": [
                {"function": {"name": "get_weather", "arguments": {"city": "Oslo"}}}]},
            {"role": "tool", "tool_name": "get_weather", "content": "cold"},
            {"role": "user", "content": CALLS},
        ],
        "stream": True, "keep_alive": -1, "think": None, "tools": [WEATHER],
        "options": {"num_ctx": 272000, "num_predict": None, "stop": [], "temperature": 1.0, "top_p": None},
    }  # fmt: skip
    found = lines(await served.reply(post("/api/chat", body)))
    assert all({"model", "created_at", "message", "done"} <= {*line} for line in found)
    assert all(isinstance(line["message"]["content"], str) for line in found)
    assert all(call["id"] for line in found for call in line["message"].get("tool_calls", ()))


async def test_vs_code_reads_the_models_and_chats_by_openais_api(served: Door) -> None:
    version = (await served.reply(get("/api/version"))).json["version"]
    assert tuple(map(int, version.split("."))) >= (0, 6, 4)
    for entry in (await served.reply(get("/api/tags"))).json["models"]:
        shown = (await served.reply(post("/api/show", {"model": entry["model"]}))).json
        info = shown["model_info"]
        assert info["general.basename"]
        assert info[f"{info['general.architecture']}.context_length"] > 32_768
        assert "tools" in shown["capabilities"]
    body = {"model": MODEL, "messages": [{"role": "user", "content": "hi"}], "stream": True}
    assert (await served.reply(post("/v1/chat/completions", body))).status == 200


async def test_jetbrains_finds_the_server_and_its_models(served: Door) -> None:
    assert (await served.reply(get("/"))).body == b"Ollama is running"
    known = {"audio", "completion", "embedding", "insert", "vision", "thinking", "tools"}
    for entry in (await served.reply(get("/api/tags"))).json["models"]:
        shown = (await served.reply(post("/api/show", {"name": entry["name"]}))).json
        assert {*shown["capabilities"]} <= known, "it knows no others"
    pulled = await served.reply(post("/api/pull", {"name": MODEL, "stream": False}))
    assert pulled.json["status"] == "success"
    body: dict[str, Any] = {
        "model": f"{MODEL}:latest", "messages": [{"role": "user", "content": CALLS}], "tools": [WEATHER],
        "format": None, "options": {"temperature": 0.2}, "stream": False, "keep_alive": None,
    }  # fmt: skip
    message = (await served.reply(post("/api/chat", body))).json["message"]
    body["messages"] += [message, *({"role": "tool", "content": str(n)} for n in range(2))]
    body["messages"].append({"role": "user", "content": "[[say Cold.]]"})
    assert (await served.reply(post("/api/chat", body))).json["message"]["content"] == "Cold."


async def test_the_command_of_ollama_finds_shows_loads_and_runs(served: Door) -> None:
    agent = "user-agent: ollama/0.17.6 (amd64 linux) Go/go1.24.1"
    async with raw.connect(served.port) as client:
        await client.send(head("HEAD /", "Host: 127.0.0.1", agent))
        assert (await client.head()).status == 200
    show = {"model": MODEL, "system": "", "template": "", "verbose": False, "options": None, "name": MODEL}  # fmt: skip
    assert (await served.reply(post("/api/show", show, agent))).status == 200
    load = {"model": MODEL, "prompt": "", "suffix": "", "system": "", "template": "", "options": {}}
    reply = await served.reply(post("/api/generate", load, agent, "Accept: application/x-ndjson"))
    assert reply.json["done_reason"] == "load"
    chat = {
        "model": MODEL, "messages": [{"role": "user", "content": "[[say Good day.]]"}],
        "format": "", "options": {}, "think": True,
    }  # fmt: skip
    assert lines(await served.reply(post("/api/chat", chat, agent)))[-1]["done"]
    missing = await served.reply(post("/api/show", {"model": "llama3"}, agent))
    assert missing.status == 404, "it pulls then"
