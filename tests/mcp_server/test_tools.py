"""What the tools are told to be, what they take, and how they fail. The official client, in memory."""

from __future__ import annotations

import json
import time
from collections.abc import Mapping
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest
from mcp import Client
from mcp.server.mcpserver.exceptions import ToolError
from tests import unix
from tests.drawn import picture
from tests.logins import access_token
from tests.mcp_server.transports import (
    MODES,
    answer,
    facts,
    failure,
    in_memory,
    structured,
    texts,
)
from tests.two_accounts import TwoAccounts
from tests.virtual_time import hurried

from codexapi_engine import Codex, Settings
from codexapi_engine.bounds import MAX_FILE_BYTES
from codexapi_engine.errors import UsageLimitReached
from codexapi_engine.login.location import ANOTHER_TOKEN
from codexapi_engine.protocol.secret import Secret
from codexapi_engine.simulator import Simulator
from codexapi_engine.simulator.backend import Reply
from codexapi_mcp import Options, create_server, failures
from codexapi_mcp.failures import RESTART
from codexapi_mcp.options import checked_address
from codexapi_mcp.schema import ALIASES


def asked(simulator: Simulator) -> list[dict[str, Any]]:
    """The runs that the backend was asked for."""
    return [json.loads(each.body) for each in simulator.requests if each.path == "/responses"]


def parts(simulator: Simulator) -> list[dict[str, Any]]:
    """What the newest user's message is made of."""
    content: list[dict[str, Any]] = asked(simulator)[-1]["input"][-1]["content"]
    return content


async def test_the_tools_are_what_the_design_says(tmp_path: Path) -> None:
    async with in_memory(tmp_path) as client:
        tools = {tool.name: tool for tool in (await client.list_tools()).tools}
    reads = {"generate_text", "transcribe_audio", "list_models", "account_status"}
    assert tools.keys() == reads | {"generate_image", "edit_image"}
    for name, tool in tools.items():
        assert tool.title
        assert tool.annotations is not None
        assert tool.annotations.read_only_hint is (name in reads)
        if name not in reads:
            assert tool.annotations.destructive_hint is False
            assert tool.annotations.idempotent_hint is False
        # What is told as structured content is all that some clients show.
        assert (tool.output_schema is None) is (name == "generate_text")
        # Some clients strip defaults, ranges and titles from a schema: they stand in the words.
        for field, schema in tool.input_schema["properties"].items():
            needed = field in tool.input_schema.get("required", [])
            assert ("Required." if needed else "Default: ") in schema["description"], (name, field)
            for bound in ("minimum", "maximum", "maxItems"):
                inner = [schema, *schema.get("anyOf", [])]
                for value in (one[bound] for one in inner if bound in one):
                    assert str(value) in schema["description"], (name, field, bound)


async def test_an_alias_is_no_parameter_of_another_name(tmp_path: Path) -> None:
    async with in_memory(tmp_path) as client:
        tools = (await client.list_tools()).tools
    for tool in tools:
        names = set(tool.input_schema["properties"])
        also = [alias for name in names for alias in ALIASES.get(name, ())]
        assert not names & set(also)
        assert len(also) == len(set(also))


@pytest.mark.parametrize(
    ("options", "tools", "never_said"),
    [
        (Options(groups=("text",)), {"generate_text"}, ["generate_image", "account_status"]),
        (
            Options(read_only=True),
            {"generate_text", "transcribe_audio", "list_models", "account_status"},
            ["generate_image"],
        ),
        (Options(groups=("image",), read_only=True), set(), ["generate"]),
    ],
)
async def test_what_is_left_out_is_not_spoken_of(
    tmp_path: Path, options: Options, tools: set[str], never_said: list[str]
) -> None:
    async with in_memory(tmp_path, options=options) as client:
        assert {tool.name for tool in (await client.list_tools()).tools} == tools
        for word in never_said:
            assert word not in (client.instructions or "")


@pytest.mark.parametrize("mode", MODES)
async def test_an_answer_is_plain_text_and_what_is_known_of_it_stands_beside_it(
    tmp_path: Path, mode: str
) -> None:
    async with in_memory(tmp_path, mode=mode) as client:
        result = await client.call_tool("generate_text", {"prompt": "[[say Hello.]]"})
    assert result.structured_content is None
    told = facts(result)
    assert texts(result) == ["Hello.", f"[conversation_id: {told['conversation_id']}]"]
    assert told["finish_reason"] == "stop"
    assert told["model"]
    assert told["usage"]["output_tokens"] > 0


async def test_a_conversation_keeps_what_was_said_and_how_it_began(tmp_path: Path) -> None:
    simulator = Simulator()
    async with in_memory(tmp_path, simulator) as client:
        first = await client.call_tool(
            "generate_text",
            {"prompt": "[[say Blue.]]", "system": "Be brief.", "model": "gpt-5.5"},
        )
        name = facts(first)["conversation_id"]
        second = await client.call_tool("generate_text", {"prompt": "Why?", "threadId": name})
        third = await client.call_tool("generate_text", {"prompt": "[[say Hello.]]"})
    assert facts(second)["conversation_id"] == name != facts(third)["conversation_id"]
    run = asked(simulator)[1]
    assert (run["model"], run["instructions"]) == ("gpt-5.5", "Be brief.")
    said = [item for item in run["input"] if item["type"] == "message"]
    assert [item["role"] for item in said] == ["user", "assistant", "user"]
    assert said[1]["content"][0]["text"] == "Blue."


async def test_a_conversation_that_is_not_known_is_no_new_one(tmp_path: Path) -> None:
    simulator = Simulator()
    async with in_memory(tmp_path, simulator) as client:
        result = await client.call_tool(
            "generate_text", {"prompt": "x", "conversation_id": "conv_1"}
        )
    assert failure(result)["code"] == "conversation_not_found"
    assert simulator.runs == 0


async def test_pictures_and_files_go_along(tmp_path: Path) -> None:
    (tmp_path / "fox.png").write_bytes(picture())
    (tmp_path / "notes.txt").write_text("the notes\n")
    (tmp_path / "paper.pdf").write_bytes(b"%PDF-1.4 the paper")
    simulator = Simulator()
    async with in_memory(tmp_path, simulator) as client:
        await client.call_tool(
            "generate_text",
            {
                "prompt": "What is it?",
                "image": str(tmp_path / "fox.png"),
                "files": json.dumps([str(tmp_path / "notes.txt"), str(tmp_path / "paper.pdf")]),
            },
        )
        text, image, paper = parts(simulator)
        await client.call_tool(
            "generate_text", {"prompt": "x", "images": ["https://example.com/fox.png"]}
        )
        _, distant = parts(simulator)
    assert text["text"] == 'What is it?\n\n<file name="notes.txt">\nthe notes\n</file>'
    assert image["image_url"].startswith("data:image/png;base64,")
    assert (paper["filename"], paper["file_data"][:21]) == ("paper.pdf", "data:application/pdf;")
    assert distant["image_url"] == "https://example.com/fox.png"


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ({"images": ["fox.png"]}, "images[0]: fox.png is not an absolute path"),
        ({"files": ["~/nothing.txt"]}, "nothing.txt: No such file"),
        ({"files": ["HERE/folder"]}, "folder: Is a directory"),
        ({"files": ["HERE/pipe"]}, "is not a file"),
        ({"files": ["HERE/none/auth.json"]}, "is a part of your login, which goes to no model"),
        ({"files": ["HERE/link.txt"]}, "is a part of your login, which goes to no model"),
        ({"files": ["HERE/none/.auth.json.codexapi-1.tmp"]}, "is a part of your login"),
        ({"images": ["HERE/none/.auth.json.codexapi-1.tmp"]}, "is a part of your login"),
        ({"files": ["HERE/data.bin"]}, "neither UTF-8 text nor a PDF"),
        ({"images": ["HERE/data.bin"]}, "is not a PNG, JPEG, WebP or GIF"),
        ({"files": ["HERE/huge.txt"]}, "huge.txt is too large"),
        ({"images": ["ftp://example.com/fox.png"]}, "neither an absolute path nor an https"),
        ({"images": ["https://[::1/fox.png"]}, "neither an absolute path nor an https"),
        ({"files": ["file://[::1/notes.txt"]}, "is not an absolute path"),
        ({"files": ["/tmp/\ud800"]}, "no file can have such a name"),
    ],
)
async def test_what_cannot_go_along_costs_nothing(
    tmp_path: Path, arguments: dict[str, list[str]], said: str
) -> None:
    _things(tmp_path)
    simulator = Simulator()
    given = {
        name: [each.replace("HERE", str(tmp_path)) for each in value]
        for name, value in arguments.items()
    }
    async with in_memory(tmp_path, simulator) as client:
        result = await client.call_tool("generate_text", {"prompt": "x", **given})
    error = failure(result)
    assert error["code"] == "invalid_value"
    assert said in error["message"]
    assert simulator.runs == 0


@pytest.mark.parametrize("name", ["data:image/png;base64,", "/9j/", "ftp://x/", "file:///"])
async def test_data_in_place_of_a_path_does_not_come_back(tmp_path: Path, name: str) -> None:
    async with in_memory(tmp_path, Simulator()) as client:
        given = {"prompt": "x", "images": [name + "A" * 5_000]}
        result = await client.call_tool("generate_text", given)
    assert len(failure(result)["message"]) < 500


def _things(folder: Path) -> None:
    (folder / "folder").mkdir()
    unix.make_fifo(folder / "pipe")
    (folder / "none").mkdir()
    (folder / "none" / "auth.json").write_text("canary")
    (folder / "none" / ".auth.json.codexapi-1.tmp").write_text("canary")
    (folder / "link.txt").symlink_to(folder / "none" / "auth.json")
    (folder / "data.bin").write_bytes(b"\0\xff")
    with open(folder / "huge.txt", "wb") as file:
        file.truncate(MAX_FILE_BYTES + 1)


async def test_a_conversation_goes_on_after_another_account_has_logged_in(tmp_path: Path) -> None:
    backend = TwoAccounts()
    async with in_memory(tmp_path, backend) as client:
        first = await client.call_tool("generate_text", {"prompt": "one"})
        go_on = {"prompt": "two", "conversation_id": facts(first)["conversation_id"]}
        for account, encrypted in (("B", 0), ("B", 1), ("A", 1)):
            await backend.log_in(account)
            assert not (await client.call_tool("generate_text", go_on)).is_error
            items = backend.bodies[-1]["input"]
            assert sum("encrypted_content" in item for item in items) == encrypted
    assert backend.refusals == 0


@pytest.mark.parametrize("wanted", ["minimal", "none"])
async def test_an_effort_below_all_that_the_model_has_is_its_lowest(
    tmp_path: Path, wanted: str
) -> None:
    simulator = Simulator()
    async with in_memory(tmp_path, simulator) as client:
        given = {"prompt": "x", "model": "gpt-5.5", "effort": wanted}
        assert not (await client.call_tool("generate_text", given)).is_error
    assert asked(simulator)[0]["reasoning"]["effort"] == "low"


async def test_every_effort_that_list_models_tells_is_taken(tmp_path: Path) -> None:
    async with in_memory(tmp_path) as client:
        model = structured(await client.call_tool("list_models", {}))["models"][0]
        assert "ultra" in model["efforts"]
        for effort in model["efforts"]:
            given = {"prompt": "x", "model": model["slug"], "effort": effort}
            assert facts(await client.call_tool("generate_text", given))["ignored"] == []


@pytest.mark.parametrize("as_text", [False, True])
async def test_a_schema_makes_json(tmp_path: Path, as_text: bool) -> None:
    schema = {
        "type": "object",
        "properties": {"city": {"type": "string"}},
        "required": ["city"],
        "additionalProperties": False,
    }
    simulator = Simulator()
    given: Any = json.dumps(schema) if as_text else schema
    async with in_memory(tmp_path, simulator) as client:
        result = await client.call_tool("generate_text", {"prompt": "x", "schema": given})
    assert list(json.loads(answer(result))) == ["city"]
    form = asked(simulator)[0]["text"]["format"]
    assert (form["schema"], form["strict"]) == (schema, True)


async def test_a_limit_of_tokens_cuts_and_says_so(tmp_path: Path) -> None:
    simulator = Simulator()
    arguments = {"prompt": "[[long 5000]]", "max_tokens": 20}
    async with in_memory(tmp_path, simulator) as client:
        result = await client.call_tool("generate_text", arguments)
        again = {"prompt": "go on", "conversation_id": facts(result)["conversation_id"]}
        assert not (await client.call_tool("generate_text", again)).is_error
    text, note = texts(result)
    assert len(text) == 72
    assert note.startswith("[The answer is incomplete: it reached its limit of tokens.]")
    assert facts(result)["finish_reason"] == "length"
    assert simulator.cancelled == 1
    said = [item for item in asked(simulator)[1]["input"] if item["type"] == "message"]
    assert said[-2]["content"][0]["text"] == text


async def test_an_incomplete_answer_is_not_sold_as_a_whole_one(tmp_path: Path) -> None:
    async with in_memory(tmp_path) as client:
        result = await client.call_tool(
            "generate_text", {"prompt": "[[incomplete content_filter]]"}
        )
    assert "[The answer is incomplete: a content filter stopped it.]" in texts(result)[1]


@pytest.mark.parametrize("mode", MODES)
async def test_no_argument_is_passed_over_in_silence(tmp_path: Path, mode: str) -> None:
    async with in_memory(tmp_path, mode=mode) as client:
        text = await client.call_tool(
            "generate_text", {"prompt": "[[say Hi]]", "query": "second", "temperature": 1}
        )
        image = await client.call_tool("generate_image", {"prompt": "x", "sise": "big"})
        wrong = await client.call_tool("generate_image", {"promt": "x"})
    assert answer(text) == "Hi"
    said = "Ignored, for generate_text has no such parameter: query, temperature."
    assert texts(text)[-1] == f"[{said}]"
    assert "no such parameter: sise" in structured(image)["note"]
    error = failure(wrong)
    assert error["code"] == "invalid_arguments"
    assert error["message"].startswith("prompt: Field required.")
    assert "no such parameter: promt" in error["message"]


@pytest.mark.parametrize(
    ("prompt", "code", "said"),
    [
        ("[[status usage_limit_reached]]", "usage_limit_reached", "Here that is "),
        ("[[fail_first rate_limit_exceeded]]", "rate_limit_exceeded", "Call again a little later."),
        ("[[fail context_length_exceeded]]", "context_length_exceeded", "Send less"),
        ("[[status server_error]]", "upstream_error", ""),
    ],
)
async def test_a_failure_says_what_helps(tmp_path: Path, prompt: str, code: str, said: str) -> None:
    async with in_memory(tmp_path) as client:
        error = failure(await client.call_tool("generate_text", {"prompt": prompt}))
    assert error["code"] == code
    assert said in error["message"]


async def test_a_model_that_there_is_not_is_answered_with_those_that_there_are(
    tmp_path: Path,
) -> None:
    async with in_memory(tmp_path) as client:
        result = await client.call_tool("generate_text", {"prompt": "x", "model": "gpt-6.1-soul"})
    error = failure(result)
    assert error["code"] == "model_not_found"
    assert "gpt-6.1-sol" in error["message"]


async def test_what_had_come_before_it_broke_off_is_not_lost(tmp_path: Path) -> None:
    async with in_memory(tmp_path) as client:
        result = await client.call_tool("generate_text", {"prompt": "[[long 9]] [[cut 4]]"})
    error = failure(result)
    assert error["code"] == "upstream_disconnected"
    assert error["partial"].startswith("1 2")
    assert error["partial"] in texts(result)[1]


async def test_without_a_login_the_model_is_told_what_the_user_must_run(tmp_path: Path) -> None:
    async with (
        Codex(Settings(codex_home=tmp_path)) as codex,
        Client(create_server(codex)) as client,
    ):
        result = await client.call_tool("generate_text", {"prompt": "Hi", "model": "gpt-6.1-sol"})
        status = structured(await client.call_tool("account_status", {}))
    assert "codex login" in failure(result)["message"]
    assert status["logged_in"] is False
    assert "codex login" in status["note"]


async def test_a_login_in_a_variable_of_the_server_wants_a_restart() -> None:
    settings = Settings(access_token=Secret(access_token(exp=1)))
    async with Codex(settings) as codex, Client(create_server(codex)) as client:
        result = await client.call_tool("generate_text", {"prompt": "Hi", "model": "gpt-6.1-sol"})
    message = failure(result)["message"]
    assert ANOTHER_TOKEN in message
    assert message.endswith(RESTART)


async def test_the_models_and_the_default_one(tmp_path: Path) -> None:
    async with in_memory(tmp_path) as client:
        result = await client.call_tool("list_models", {})
    models = structured(result)["models"]
    assert [model["is_default"] for model in models].count(True) == 1
    assert all(model["efforts"] and model["takes_images"] for model in models[:1])
    for model in models:
        assert model["slug"] in texts(result)[0]


class Shy(Simulator):
    """Does not tell how much of the plan is used."""

    async def handle(
        self, method: str, target: str, headers: Mapping[str, str], body: bytes
    ) -> Reply:
        usage = "/wham/usage" in target or "/codex/usage" in target
        return await super().handle(method, "/nowhere" if usage else target, headers, body)


async def test_who_is_logged_in_is_known_even_where_the_limits_are_not(tmp_path: Path) -> None:
    async with in_memory(tmp_path, Shy()) as client:
        told = structured(await client.call_tool("account_status", {}))
    assert (told["logged_in"], told["limits"]) == (True, [])
    assert told["plan"]
    assert "is not known" in told["note"]


async def test_the_address_of_the_account_is_told_on_demand_alone(tmp_path: Path) -> None:
    async with in_memory(tmp_path) as client:
        plain = await client.call_tool("account_status", {})
        asked_for = await client.call_tool("account_status", {"email": True})
    assert "@" not in plain.model_dump_json()
    assert structured(asked_for)["email"] == "simulated@example.com"
    told = structured(plain)
    assert told["limits"][0]["window"] == "5 h"
    assert told["limits"][0]["resets_in"]
    assert "ey" + "J" not in asked_for.model_dump_json()  # how every JWT begins


def test_there_is_a_sign_of_life_every_ten_seconds() -> None:
    heard: list[tuple[float, str | None]] = []

    async def told(progress: float, total: float | None, message: str | None) -> None:
        heard.append((progress, message))

    async def story() -> None:
        async with in_memory(Path("nowhere")) as client:
            result = await client.call_tool(
                "generate_text",
                {"prompt": "[[silence 35]] [[say Hello.]]"},
                progress_callback=told,
            )
            assert answer(result) == "Hello."

    hurried(story())
    assert heard == [(1, "reasoning, 10 s"), (2, "reasoning, 20 s"), (3, "reasoning, 30 s")]


@pytest.mark.parametrize(
    ("text", "address"),
    [
        ("8931", ("127.0.0.1", 8931)),
        (":8931", ("127.0.0.1", 8931)),
        ("localhost:0", ("localhost", 0)),
        ("[::1]:80", ("::1", 80)),
        ("::1", None),
        ("8931:", None),
        ("host:99999", None),
        ("", None),
    ],
)
def test_the_address_of_http(text: str, address: tuple[str, int] | None) -> None:
    if address is None:
        with pytest.raises(ValueError, match="PORT"):
            checked_address(text)
    else:
        assert checked_address(text) == address


def test_a_limit_ends_by_the_users_own_clock() -> None:
    now = int(time.time())
    limit = UsageLimitReached("The limit is reached", extra={"resets_at": now})
    raised = ToolError("Error executing tool generate_text")
    raised.__cause__ = limit
    message = failure(failures.to_result("generate_text", raised))["message"]
    assert f"{datetime.fromtimestamp(now):%H:%M}." in message
    assert "account_status" in message
