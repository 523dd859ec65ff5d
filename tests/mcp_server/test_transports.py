"""Every tool by every road and in both eras of the protocol, through real processes: what comes
back, what is heard meanwhile, and what reaches the backend when nobody waits any more."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path

import pytest
from mcp import Client
from mcp.types import CallToolResult, ImageContent
from tests.audio_files import wav
from tests.drawn import opened, picture
from tests.mcp_server.transports import (
    MODES,
    ROADS,
    Slow,
    answer,
    backend,
    client,
    content,
    facts,
    launched,
    served,
    structured,
    texts,
)
from tests.processes import codexapi

from codexapi_engine.simulator import Simulator

pytestmark = pytest.mark.timeout(120)
every_road = pytest.mark.parametrize("road", ROADS)
both_eras = pytest.mark.parametrize("mode", MODES)
SERVE_MCP = ("serve", "--port", "0", "--quiet", "--mcp")


@both_eras
@every_road
async def test_every_tool_answers(tmp_path: Path, road: str, mode: str) -> None:
    simulator = Simulator()
    async with backend(simulator, tmp_path) as env, client(road, env, mode=mode) as ours:
        tools = {tool.name for tool in (await ours.list_tools()).tools}
        first = await ours.call_tool("generate_text", {"prompt": "[[say Hello.]]"})
        again = {"prompt": "and now?", "conversation_id": facts(first)["conversation_id"]}
        second = await ours.call_tool("generate_text", again)
        drawn = await ours.call_tool("generate_image", {"prompt": "[[heavy 3]] a red fox"})
        (tmp_path / "in.png").write_bytes(picture())
        edited = await ours.call_tool(
            "edit_image", {"prompt": "in snow", "images": [str(tmp_path / "in.png")]}
        )
        (tmp_path / "in.wav").write_bytes(wav([1, 2]))
        heard = await ours.call_tool("transcribe_audio", {"path": str(tmp_path / "in.wav")})
        models = structured(await ours.call_tool("list_models", {}))
        account = structured(await ours.call_tool("account_status", {}))
    assert tools == {
        "generate_text", "generate_image", "edit_image", "transcribe_audio", "list_models",
        "account_status",
    }  # fmt: skip
    assert answer(first) == "Hello."
    assert structured(heard)["text"] == "two three"
    assert facts(second)["conversation_id"] == facts(first)["conversation_id"]
    sent = [json.loads(each.body) for each in simulator.requests if each.path == "/responses"]
    said = [item["role"] for item in sent[1]["input"] if item["type"] == "message"]
    assert said[-3:] == ["user", "assistant", "user"]
    (heavy,) = structured(drawn)["images"]
    assert heavy["bytes"] == len(content(heavy)) > 3_000_000
    inside = [len(part.data) for part in drawn.content if isinstance(part, ImageContent)]
    assert sum(inside) < 700_000
    (made,) = structured(edited)["images"]
    assert opened(content(made)).format == "PNG"
    assert [model for model in models["models"] if model["is_default"]]
    assert account["logged_in"] is True
    assert account["limits"]


@both_eras
@every_road
async def test_a_text_that_is_given_up_ends_and_a_picture_is_kept_for_the_same_call(
    tmp_path: Path, road: str, mode: str
) -> None:
    slow, heard, waited = Slow(), asyncio.Event(), asyncio.Event()
    counts: list[float] = []
    question, wish = {"prompt": "[[silence 60]] x"}, {"prompt": "[[silence 60]] a red fox"}

    async def told(progress: float, total: float | None, message: str | None) -> None:
        counts.append(progress)
        if len(counts) == 3:
            heard.set()

    async def told_again(progress: float, total: float | None, message: str | None) -> None:
        waited.set()

    async with backend(slow.simulator, tmp_path) as env:
        async with client(road, env, mode=mode, command=launched(road)) as ours:
            asking = ours.call_tool("generate_text", question, progress_callback=told)
            call = asyncio.create_task(asking)
            await slow.waiting.wait()
            await heard.wait()
            await given_up(call)
            await slow.ended.wait()
            assert slow.simulator.cancelled == 1
            slow.waiting.clear()
            drawing = asyncio.create_task(ours.call_tool("generate_image", wish))
            await slow.waiting.wait()
            await given_up(drawing)
            again = asyncio.create_task(
                ours.call_tool("generate_image", wish, progress_callback=told_again)
            )
            await waited.wait()  # it waits for the same picture
            slow.ready.set()
            result = structured(await again)
    assert counts == sorted(set(counts))
    assert "the same call before" in result["note"]
    assert (slow.simulator.runs, slow.simulator.cancelled) == (2, 1)


async def given_up(call: asyncio.Task[CallToolResult]) -> None:
    """Cancels a call, as a client does whose user does not want to wait."""
    call.cancel()
    with pytest.raises(asyncio.CancelledError):
        await call


async def test_the_openai_server_has_a_room_for_it(tmp_path: Path) -> None:
    simulator = Simulator()
    async with backend(simulator, tmp_path) as env:
        async with client("http", env, mode="legacy", command=codexapi(*SERVE_MCP)) as ours:
            result = await ours.call_tool("generate_text", {"prompt": "[[say Hello.]]"})
    assert answer(result) == "Hello."


async def test_the_flags_of_serve_hold(tmp_path: Path) -> None:
    async with backend(Simulator(), tmp_path) as env:
        flags = ("--tools", "image,status", "--image-dir", str(tmp_path / "only"),
                 "--image-dir-only", "--inline", "never", "--max-images", "1")  # fmt: skip
        async with client("stdio", env, mode="auto", arguments=flags) as ours:
            tools = {tool.name for tool in (await ours.list_tools()).tools}
            outside = {"prompt": "x", "output_path": f"{tmp_path}/fox.png"}
            refused = await ours.call_tool("generate_image", outside)
            first = await ours.call_tool("generate_image", {"prompt": "x"})
            second = await ours.call_tool("generate_image", {"prompt": "y"})
    assert tools == {"generate_image", "edit_image", "list_models", "account_status"}
    assert "--image-dir-only" in texts(refused)[0]
    (image,) = structured(first)["images"]
    assert Path(image["path"]).parent == tmp_path / "only"
    assert not [part for part in first.content if isinstance(part, ImageContent)]
    assert "max_images_reached" in texts(second)[0]


async def test_two_clients_of_one_server_do_not_meet(tmp_path: Path) -> None:
    async with backend(Simulator(), tmp_path) as env, served(env) as server:
        async with Client(server.url, mode="legacy") as one, Client(server.url) as other:
            results = await asyncio.gather(
                *(
                    each.call_tool("generate_text", {"prompt": f"[[say {number}]]"})
                    for number, each in enumerate((one, other, one, other))
                )
            )
    assert [answer(result) for result in results] == ["0", "1", "2", "3"]
