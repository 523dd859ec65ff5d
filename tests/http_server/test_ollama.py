"""Ollama's API at the server's door: what its clients send, and what they read, byte by byte."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import pytest
import pytest_asyncio
from tests.http_server import raw
from tests.http_server.doors import Door, door
from tests.http_server.raw import JsonObject, Reply, get, head, post
from tests.http_server.test_messages import Playing, Recorder, delta
from tests.replies import ollama_lines
from tests.test_laws import PNG

from codexapi_engine.protocol import ollama
from codexapi_engine.simulator import Simulator

pytestmark = [pytest.mark.asyncio(loop_scope="module"), pytest.mark.timeout(60)]

CHAT, GENERATE, SHOW, PULL = "/api/chat", "/api/generate", "/api/show", "/api/pull"
MODEL, KEY = "gpt-6.1-sol", "open sesame"
HOST = "Host: 127.0.0.1"
FORM = "Content-Type: application/x-www-form-urlencoded"
A_WHILE = 0.05
"""Seconds: a keep-alive interval that a test can wait for."""

WEATHER = {
    "type": "function",
    "function": {
        "name": "get_weather",
        "description": "The weather at a place",
        "parameters": {"type": "object", "properties": {"city": {"type": "string"}}},
    },
}
CREATED = {"type": "response.created", "response": {"id": "resp_1", "created_at": 5}}


@pytest.fixture(scope="module")
def backend() -> Recorder:
    return Recorder()


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def served(backend: Recorder) -> AsyncIterator[Door]:
    async with door(backend) as opened:
        yield opened


def ask(text: str, **more: Any) -> JsonObject:
    return {"model": MODEL, "messages": [{"role": "user", "content": text}], **more}


def refused(reply: Reply, status: int) -> str:
    """The words of an error. Fails unless it has this API's form, and nothing besides."""
    body = reply.json
    assert (reply.status, list(body)) == (status, ["error"]), reply
    assert isinstance(body["error"], str)
    return body["error"]


def lines(reply: Reply) -> list[JsonObject]:
    assert (reply.status, reply.headers["content-type"]) == (200, "application/x-ndjson"), reply
    return ollama_lines(reply.body)


# Answers


async def test_an_answer_streams_unless_the_request_says_otherwise(served: Door) -> None:
    reply = await served.reply(post(CHAT, ask("[[say Good day.]]")))
    *before, last = lines(reply)
    assert "".join(line["message"]["content"] for line in before) == "Good day."
    assert {line["model"] for line in (*before, last)} == {MODEL}
    assert (last["done"], last["done_reason"]) == (True, "stop")
    assert last["prompt_eval_count"] > 0
    assert last["eval_count"] > 0
    parts = last["prompt_eval_duration"], last["eval_duration"]
    assert min(parts) > 0
    assert sum(parts) == last["total_duration"]
    assert last["load_duration"] == 0


async def test_a_body_that_curl_calls_a_form_is_taken(served: Door) -> None:
    """As in the examples of Ollama's documents: `curl … -d '{…}'`."""
    reply = await served.reply(post(CHAT, ask("[[say Good day.]]"), FORM))
    assert lines(reply)[-1]["done"]


@pytest.mark.parametrize("path", [CHAT, GENERATE])
async def test_a_complete_answer_is_what_the_lines_add_up_to(served: Door, path: str) -> None:
    prompt = "[[reason]] [[two]] [[say Well.]]"
    given = ask(prompt) if path == CHAT else {"model": MODEL, "prompt": prompt}
    streamed = ollama.fold(lines(await served.reply(post(path, given))))
    whole = (await served.reply(post(path, {**given, "stream": False}))).json
    for reply in (streamed, whole):
        del reply["created_at"]
        for name in ("total_duration", "prompt_eval_duration", "eval_duration"):
            assert reply.pop(name) > 0
    assert streamed == whole
    part = whole if path == GENERATE else whole["message"]
    assert part["thinking"]
    assert "Well." in part["response" if path == GENERATE else "content"]


async def test_all_calls_stand_in_one_line_with_arguments_that_are_objects(served: Door) -> None:
    prompt = '[[tool get_weather {"city":"Oslo"}]] [[tool get_weather {"city":"Rome"}]]'
    found = lines(await served.reply(post(CHAT, ask(prompt, tools=[WEATHER]))))
    calls = [line["message"]["tool_calls"] for line in found if "tool_calls" in line["message"]]
    assert [call["function"] for call in calls[0]] == [
        {"index": 0, "name": "get_weather", "arguments": {"city": "Oslo"}},
        {"index": 1, "name": "get_weather", "arguments": {"city": "Rome"}},
    ]
    assert len(calls) == 1
    assert found[-1]["done_reason"] == "stop"


async def test_a_stop_sequence_ends_the_answer(served: Door) -> None:
    given = ask("[[say one two three four]]", options={"stop": ["three"]})
    for stream in (True, False):
        reply = await served.reply(post(CHAT, {**given, "stream": stream}))
        answer = ollama.fold(lines(reply)) if stream else reply.json
        assert answer["message"]["content"] == "one two "
        assert answer["done_reason"] == "stop"
        assert "eval_count" not in answer


@pytest.mark.parametrize(
    ("reason", "told"), [("", "length"), (" content_filter", "content_filter")]
)
async def test_an_answer_that_stops_early_says_why(served: Door, reason: str, told: str) -> None:
    reply = await served.reply(post(CHAT, ask(f"[[incomplete{reason}]]")))
    assert lines(reply)[-1]["done_reason"] == told


# What the backend gets


async def test_calls_without_ids_and_their_results_come_to_the_backend_in_pairs(
    served: Door, backend: Recorder
) -> None:
    call = {"function": {"name": "get_weather", "arguments": {"city": "Oslo"}}}
    other = {"function": {"name": "get_weather", "arguments": {"city": "Rome"}}}
    history = [
        {"role": "user", "content": "go"},
        {"role": "assistant", "content": "", "tool_calls": [call, other]},
        {"role": "tool", "content": "cold"},
        {"role": "tool", "content": "warm", "tool_name": "get_weather"},
    ]
    reply = await served.reply(post(CHAT, ask("x") | {"messages": history}))
    assert reply.status == 200, reply
    first, second, cold, warm = backend.bodies[-1]["input"][1:]
    assert (first["call_id"], second["call_id"]) == (cold["call_id"], warm["call_id"])
    assert first["call_id"] != second["call_id"]
    assert (cold["output"], warm["output"]) == ("cold", "warm")


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("with_ids", [False, True])
async def test_reasoning_before_a_call_is_put_back_for_clients_with_and_without_ids(
    served: Door, backend: Recorder, *, with_ids: bool, stream: bool
) -> None:
    prompt = f'[[reason]] [[tool get_weather {{"b":[1],"a":"{with_ids}{stream}"}}]]'
    reply = await served.reply(post(CHAT, ask(prompt, tools=[WEATHER], stream=stream)))
    message = (ollama.fold(lines(reply)) if stream else reply.json)["message"]
    for call in message["tool_calls"]:
        if not with_ids:
            del call["id"]
        arguments = call["function"]["arguments"]
        call["function"]["arguments"] = dict(reversed(arguments.items()))
    history = [
        {"role": "system", "content": "It is 10:01."},
        *ask(prompt)["messages"],
        message,
        {"role": "tool", "content": "5", "tool_name": "get_weather"},
    ]
    await served.reply(post(CHAT, ask("x") | {"messages": history}))
    kinds = [item["type"] for item in backend.bodies[-1]["input"]]
    assert kinds == ["message", "reasoning", "function_call", "function_call_output"]
    history[1]["content"] = "another conversation"
    await served.reply(post(CHAT, ask("x") | {"messages": history}))
    assert ("reasoning" in str(backend.bodies[-1]["input"])) == with_ids


@pytest.mark.parametrize(
    ("think", "effort", "summary"),
    [
        (None, None, "auto"),
        (True, None, "auto"),
        (False, "low", None),
        ("high", "high", "auto"),
        ("max", "max", "auto"),
    ],
)
async def test_think_is_effort_and_summary(
    served: Door, backend: Recorder, think: object, effort: str | None, summary: str | None
) -> None:
    reply = await served.reply(post(CHAT, ask("hi", think=think)))
    asked = backend.bodies[-1].get("reasoning", {})
    assert (asked.get("effort"), asked.get("summary")) == (effort, summary)
    ignored = reply.headers.get("x-codexapi-ignored", "")
    assert ignored == ("think" if think is False else "")


async def test_a_schema_is_sent_without_strict_and_json_is_json_mode(
    served: Door, backend: Recorder
) -> None:
    schema = {"type": "object", "properties": {"age": {"type": "integer"}}}
    reply = await served.reply(post(CHAT, ask("hi", format=schema, stream=False)))
    form = backend.bodies[-1]["text"]["format"]
    assert (reply.status, form["type"], form["strict"]) == (200, "json_schema", False)
    assert form["schema"]["properties"] == schema["properties"]
    await served.reply(post(CHAT, ask("hi", format="json")))
    assert backend.bodies[-1]["text"]["format"] == {"type": "json_object"}


async def test_a_picture_is_known_by_its_bytes(served: Door, backend: Recorder) -> None:
    message = {"role": "user", "content": "look", "images": [PNG]}
    assert (await served.reply(post(CHAT, ask("") | {"messages": [message]}))).status == 200
    asked = {"model": MODEL, "prompt": "look", "system": "Be brief.", "images": [PNG]}
    assert (await served.reply(post(GENERATE, asked))).status == 200
    for body in backend.bodies[-2:]:
        text, image = body["input"][0]["content"]
        assert text["text"] == "look"
        assert image == {"type": "input_image", "image_url": f"data:image/png;base64,{PNG}"}
    assert backend.bodies[-1]["instructions"] == "Be brief."


async def test_a_suffix_has_the_gap_before_it_filled(served: Door, backend: Recorder) -> None:
    asked = {"model": MODEL, "prompt": "def f(", "suffix": "return 5", "system": "x"}
    reply = await served.reply(post(GENERATE, asked))
    assert "fill-in-the-middle" in backend.bodies[-1]["instructions"]
    assert "return 5" in str(backend.bodies[-1]["input"])
    assert reply.headers["x-codexapi-ignored"] == "system"


async def test_options_are_ignored_by_name(served: Door) -> None:
    options = {"num_ctx": 8192, "temperature": 0.5, "num_predict": -1, "no such": 1, "nor such": 2}
    reply = await served.reply(post(CHAT, ask("hi", options=options, keep_alive="5m", shift=False)))
    names = "shift,options.num_ctx,options.temperature,options"
    assert reply.headers["x-codexapi-ignored"] == names


async def test_strict_refuses_options_by_name() -> None:
    async with door(Simulator(), strict=True) as server:
        fine = ask("hi", keep_alive=-1, options={"stop": "x", "num_predict": -1}, truncate=True)
        assert (await server.reply(post(CHAT, fine))).status == 200
        reply = await server.reply(post(CHAT, ask("hi", options={"num_ctx": 1})))
        assert "options.num_ctx" in refused(reply, 400)


async def test_names_have_a_tag_and_are_compared_without_case(
    served: Door, backend: Recorder
) -> None:
    for name, effort in (
        ("GPT-6.1-SOL:latest", None), (MODEL, None), (f"{MODEL}:high", "high"), (f"{MODEL.upper()}:LOW", "low"),
    ):  # fmt: skip
        reply = await served.reply(post(CHAT, ask("hi", model=name, stream=False)))
        assert (reply.json["model"], backend.bodies[-1]["model"]) == (name, MODEL)
        assert backend.bodies[-1].get("reasoning", {}).get("effort") == effort


# Models


async def test_tags_and_show_make_nothing_up(served: Door) -> None:
    (entry, *_) = (await served.reply(get("/api/tags"))).json["models"]
    assert (entry["size"], len(entry["digest"])) == (0, 64)
    assert entry["name"] == entry["model"] == entry["remote_model"]
    assert all(isinstance(value, str | list) for value in entry["details"].values())
    assert entry["modified_at"].startswith("20")
    assert entry["capabilities"] == ["completion", "tools", "insert", "vision", "thinking"]
    for given in ({"model": entry["name"]}, {"name": f"{entry['name']}:latest", "verbose": True}):
        told = (await served.reply(post(SHOW, given))).json
        assert told["capabilities"] == entry["capabilities"]
        info = told["model_info"]
        assert info[f"{info['general.architecture']}.context_length"] > 100_000
    assert (await served.reply(get("/api/ps"))).json == {"models": []}


async def test_aliases_stand_among_the_tags() -> None:
    async with door(Simulator(), model_aliases={"llama3:8b": MODEL}) as server:
        *_, last = (await server.reply(get("/api/tags"))).json["models"]
        assert (last["name"], last["remote_model"]) == ("llama3:8b", MODEL)
        told = (await server.reply(post(SHOW, {"model": "LLAMA3:8b"}))).json
        assert told["remote_model"] == MODEL


async def test_a_model_of_the_list_is_pulled_and_loaded_without_the_backend(
    served: Door, backend: Recorder
) -> None:
    before = len(backend.bodies)
    for stream in (True, False):
        reply = await served.reply(post(PULL, {"model": f"{MODEL}:latest", "stream": stream}))
        assert (lines(reply) if stream else [reply.json]) == [{"status": "success"}]
    nothing: tuple[tuple[str, JsonObject], ...] = (
        (CHAT, {"messages": []}),
        (GENERATE, {"prompt": ""}),
        (GENERATE, {}),
    )
    for path, empty in nothing:
        for keep_alive, told in (
            (None, "load"), ("5m", "load"), (-1, "load"), (0, "unload"), ("0s", "unload"), (0.0, "unload"),
        ):  # fmt: skip
            given = {"model": MODEL, "keep_alive": keep_alive, **empty}
            answer = (await served.reply(post(path, given))).json
            assert (answer["done"], answer["done_reason"]) == (True, told)
    assert len(backend.bodies) == before


@pytest.mark.parametrize(
    ("path", "body"),
    [
        (CHAT, {"messages": [{"role": "user", "content": "[[status model_does_not_exist]]"}]}),
        (CHAT, {"messages": []}),
        (GENERATE, {}),
        (SHOW, {}),
        (PULL, {}),
        (PULL, {"stream": False}),
    ],
)
async def test_an_unknown_model_is_a_404_in_the_words_that_clients_know(
    served: Door, path: str, body: JsonObject
) -> None:
    words = refused(await served.reply(post(path, {"model": "llama3:8b", **body})), 404)
    assert words.startswith("model 'llama3:8b' not found")
    assert "--model-alias llama3:8b=" in words


# Whether there is a server


async def test_the_probes_of_clients_are_answered(served: Door) -> None:
    reply = await served.reply(get("/"))
    assert (reply.status, reply.body) == (200, b"Ollama is running")
    for path in ("/", "/api/version", "/api/tags"):
        async with raw.connect(served.port) as client:
            await client.send(head(f"HEAD {path}", HOST))
            assert (await client.head()).status == 200
    version = (await served.reply(get("/api/version"))).json["version"]
    assert tuple(map(int, version.split("."))) >= (0, 17, 6)


async def test_without_a_page_a_browser_gets_what_this_is() -> None:
    async with door(Simulator(), page=False) as server:
        reply = await server.reply(get("/", "Accept: text/html,application/xhtml+xml"))
    assert "this is codexapi" in reply.refused(404, "not_found")["message"]


async def test_a_key_comes_as_a_bearer() -> None:
    async with door(Simulator(), api_key=KEY) as locked:
        for path in ("/", "/api/version", "/api/tags"):
            reply = await locked.reply(get(path))
            assert reply.status == 401, path
        assert "key" in refused(await locked.reply(post(CHAT, ask("hi"))), 401)
        reply = await locked.reply(post(CHAT, ask("hi"), f"Authorization: Bearer {KEY}"))
        assert reply.status == 200


async def test_a_fetch_of_node_passes_and_one_of_a_web_page_does_not(served: Door) -> None:
    node = ("sec-fetch-mode: cors", "accept-language: *", "user-agent: ollama-js/0.6.4")
    assert (await served.reply(post(CHAT, ask("hi"), *node))).status == 200
    page = ("Origin: https://evil.example", "sec-fetch-site: cross-site")
    assert "--cors" in refused(await served.reply(post(CHAT, ask("hi"), *page)), 403)


async def test_the_page_of_obsidian_may_call_where_the_user_allows_it() -> None:
    origin = "Origin: app://obsidian.md"
    async with door(Simulator(), cors=("app://obsidian.md",)) as server:
        wants = (
            "Access-Control-Request-Method: POST",
            "Access-Control-Request-Headers: content-type",
        )
        async with raw.connect(server.port) as client:
            await client.send(head(f"OPTIONS {CHAT}", HOST, origin, *wants))
            permission = await client.head()
        assert permission.headers["access-control-allow-headers"] == "content-type"
        reply = await server.reply(post(CHAT, ask("hi"), origin, "sec-fetch-site: cross-site"))
        assert reply.headers["access-control-allow-origin"] == "app://obsidian.md"
        assert lines(reply)[-1]["done"]


# Refusals


@pytest.mark.parametrize(
    ("request_", "status", "words"),
    [
        (post("/api/embed", {"model": MODEL, "input": "x"}), 400, "no embeddings"),
        (post("/api/embeddings", {"model": MODEL, "prompt": "x"}), 400, "no embeddings"),
        (post("/api/create", {"model": "x"}), 403, "no model is kept"),
        (post("/api/copy", {"source": "a", "destination": "b"}), 403, "--model-alias"),
        (post("/api/push", {"model": "x"}), 403, "no model is kept"),
        (head("DELETE /api/delete", HOST, "Content-Length: 0"), 403, "no model is kept"),
        (post("/api/blobs/sha256:00", b"x"), 403, "no model is kept"),
        (post("/api/me", {}), 404, "/api/me"),
        (get("/api/experimental/x"), 404, "/api/experimental/x"),
        (post("/v1/api/chat", {}), 404, "try /api/chat."),
        (get("/v1/api/tags"), 404, "try /api/tags."),
        (post("/api/chat/", {}), 404, "try /api/chat."),
        (get(CHAT), 405, "GET is not allowed"),
        (post(CHAT, b"{"), 400, "JSON"),
        (post(CHAT, b"{}", "Content-Type: text/plain"), 415, "application/json"),
        (post(CHAT, ask("hi"), FORM, "Origin: http://page.example"), 403, "web pages"),
        (post(CHAT, ask("hi"), FORM, "Origin: null"), 403, "web pages"),
        (post(CHAT, ask("hi"), FORM, "Sec-Fetch-Site: cross-site"), 403, "web pages"),
        (post(CHAT, {}), 400, "model"),
        (post(SHOW, {}), 400, "model"),
        (post(PULL, {"model": 5}), 400, "model"),
        (post(CHAT, ask("hi", logprobs=True)), 400, "logprobs"),
        (post(CHAT, ask("hi", format="yaml")), 400, "format"),
        (post(CHAT, ask("hi", think="hard")), 400, "think"),
        (post(CHAT, ask("hi", options={"temperature": "warm"})), 400, "options.temperature"),
        (post(CHAT, ask("hi", tools=[{"type": "image_generation"}])), 400, "tools[0].type"),
        (post(GENERATE, {"model": MODEL, "prompt": "x", "raw": True}), 400, "raw"),
        (post(GENERATE, {"model": MODEL, "prompt": "x", "context": [1]}), 400, "context"),
        (post(GENERATE, {"model": MODEL, "prompt": "x", "images": ["eA=="]}), 400, "images[0]"),
        (post(CHAT, {"model": MODEL, "messages": [{"role": "user", "images": ["?"]}]}), 400, "messages[0].images[0]"),
    ],
)  # fmt: skip
async def test_every_refusal_is_a_string_and_says_what_is_wrong(
    served: Door, request_: bytes, status: int, words: str
) -> None:
    assert words in refused(await served.reply(request_), status)


@pytest.mark.parametrize("results", [1, 3])
async def test_two_calls_need_two_results(served: Door, results: int) -> None:
    calls: list[JsonObject] = [
        {"function": {"name": name, "arguments": {}}} for name in ("one", "two")
    ]
    history = [
        {"role": "user", "content": "go"},
        {"role": "assistant", "tool_calls": calls},
        *[{"role": "tool", "content": "5"}] * results,
    ]
    words = refused(await served.reply(post(CHAT, ask("x") | {"messages": history})), 400)
    assert ("'two' has no result" if results == 1 else "messages[4]") in words


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize(
    ("script", "status"),
    [
        ("status unauthorized_detail", 401),
        ("status forbidden", 403),
        ("status rate_limited", 429),
        ("status usage_limit_reached", 429),
        ("status overloaded", 503),
        ("status gateway_timeout", 504),
        ("fail_first server_is_overloaded", 503),
        ("empty", 502),
    ],
)
async def test_a_failure_before_the_first_line_is_a_status(
    script: str, status: int, *, stream: bool
) -> None:
    async with door(Simulator()) as server:
        assert refused(await server.reply(post(CHAT, ask(f"[[{script}]]", stream=stream))), status)


@pytest.mark.parametrize("script", ["cut 3", "drop 3", "error server_error"])
async def test_a_stream_that_breaks_ends_with_a_line_that_says_so(
    served: Door, script: str
) -> None:
    reply = await served.reply(post(CHAT, ask(f"[[long 9]] [[{script}]]")))
    *before, last = lines(reply)
    assert list(last) == ["error"]
    assert isinstance(last["error"], str)
    assert before
    assert not any(line["done"] for line in before)
    whole = await served.reply(post(CHAT, ask(f"[[long 9]] [[{script}]]", stream=False)))
    refused(whole, 502)


async def test_silence_is_filled_with_empty_lines_also_before_the_answer_begins() -> None:
    backend = Playing()
    async with door(backend, keep_alive=A_WHILE) as server, raw.connect(server.port) as client:
        await client.send(post(GENERATE, {"model": "m", "prompt": "hi"}))
        assert (await client.head()).status == 200
        (first,) = ollama_lines(await client.piece())
        assert (first["response"], first["done"]) == ("", False)
        backend.send(CREATED, delta("half"))
        while (line := ollama_lines(await client.piece()))[0]["response"] == "":
            pass
        assert line[0]["response"] == "half"
        assert ollama_lines(await client.piece())[0]["response"] == ""
        backend.end()
        rest = ollama_lines(b"".join([piece async for piece in client.pieces()]))
        assert "connection lost" in rest[-1]["error"]


async def test_a_client_that_leaves_ends_the_run() -> None:
    backend = Playing()
    async with door(backend, keep_alive=3600) as server, raw.connect(server.port) as client:
        await client.send(post(CHAT, ask("hi", model="m")))
        backend.send(CREATED, delta("half"))
        assert (await client.head()).status == 200
        client.leave()
        await backend.closed.wait()
