"""The tools that draw, driven by the official client: in memory, and over stdio as editors do."""

from __future__ import annotations

import asyncio
import base64
import hashlib
import io
import json
import random
from collections.abc import AsyncGenerator, Mapping
from pathlib import Path
from typing import Any

import pytest
from mcp import Client, StdioServerParameters
from mcp.types import CallToolResult, ImageContent, ResourceLink, TextContent
from PIL import Image
from tests import forks
from tests.drawn import mask, opened, picture
from tests.mcp_server.transports import MODES, Slow, content, in_memory, structured
from tests.processes import environment

from codexapi_engine import Codex, Settings
from codexapi_engine.simulator import Simulator
from codexapi_engine.simulator.backend import Reply
from codexapi_mcp import Options, create_server


def made(result: CallToolResult) -> list[dict[str, Any]]:
    images: list[dict[str, Any]] = structured(result)["images"]
    return images


def refused(result: CallToolResult) -> str:
    assert result.is_error
    assert isinstance(result.content[0], TextContent)
    return result.content[0].text


@pytest.mark.parametrize("mode", MODES)
async def test_a_picture_is_on_disk_and_told_in_three_ways(tmp_path: Path, mode: str) -> None:
    async with in_memory(tmp_path, mode=mode) as client:
        result = await client.call_tool("generate_image", {"prompt": "a red fox"})
    (image,) = made(result)
    path = Path(image["path"])
    data = content(image)
    assert path.parent == tmp_path / "pictures"
    assert path.name.startswith("a-red-fox-")
    assert image == {
        "path": str(path),
        "uri": path.as_uri(),
        "mime_type": "image/png",
        "width": 1024,
        "height": 1024,
        "bytes": len(data),
        "sha256": hashlib.sha256(data).hexdigest(),
    }
    assert result.structured_content is not None
    assert result.structured_content["revised_prompt"] == "a red fox"
    text, link, preview = result.content
    assert isinstance(text, TextContent)
    assert text.text == f"Saved 1024x1024 PNG to {path}"
    assert isinstance(link, ResourceLink)
    assert str(link.uri) == path.as_uri()
    assert isinstance(preview, ImageContent)
    assert opened(base64.b64decode(preview.data)).format == "PNG"


class Noise(Simulator):
    """Draws what no format can make small."""

    def __init__(self, edge: int = 760) -> None:
        super().__init__()
        self._size = (edge, edge)
        self._pixels = random.Random(1).randbytes(edge * edge * 3)

    async def handle(
        self, method: str, target: str, headers: Mapping[str, str], body: bytes
    ) -> Reply:
        if not target.endswith("/images/generations"):
            return await super().handle(method, target, headers, body)

        async def answer() -> AsyncGenerator[bytes, None]:
            out = io.BytesIO()
            Image.frombytes("RGB", self._size, self._pixels).save(out, "png")
            data = base64.b64encode(out.getvalue()).decode()
            yield json.dumps({"data": [{"b64_json": data}]}).encode()

        return 200, {"content-type": "application/json"}, answer()


async def test_the_previews_of_several_pictures_stay_within_what_clients_take(
    tmp_path: Path,
) -> None:
    async with in_memory(tmp_path, Noise()) as client:
        result = await client.call_tool("generate_image", {"prompt": "x", "n": 4})
    assert len({image["path"] for image in made(result)}) == 4
    assert all(image["bytes"] > 1_500_000 for image in made(result))
    previews = [part for part in result.content if isinstance(part, ImageContent)]
    assert len(previews) == 4
    assert 100_000 < sum(len(part.data) for part in previews) < 700_000


async def test_a_picture_comes_along_whole_where_it_is_always_wanted(tmp_path: Path) -> None:
    async with in_memory(tmp_path, Noise(350)) as client:
        small = await client.call_tool("generate_image", {"prompt": "x"})
        large = await client.call_tool("generate_image", {"prompt": "y", "inline": "always"})
    (little,) = [part for part in small.content if isinstance(part, ImageContent)]
    (much,) = [part for part in large.content if isinstance(part, ImageContent)]
    assert len(little.data) < 280_000
    assert base64.b64decode(much.data) == content(made(large)[0])


async def test_how_much_comes_along_is_for_the_call_to_say_and_else_for_the_user(
    tmp_path: Path,
) -> None:
    async with in_memory(tmp_path, options=Options(inline="never")) as client:
        plain = await client.call_tool("generate_image", {"prompt": "x"})
        wanted = await client.call_tool("generate_image", {"prompt": "x", "inline": "auto"})
    assert not [part for part in plain.content if isinstance(part, ImageContent)]
    assert [part for part in wanted.content if isinstance(part, ImageContent)]


async def test_a_preview_can_be_declined(tmp_path: Path) -> None:
    async with in_memory(tmp_path) as client:
        result = await client.call_tool("generate_image", {"prompt": "x", "inline": "never"})
    assert made(result)
    assert not [part for part in result.content if isinstance(part, ImageContent)]


async def test_nothing_is_ever_overwritten(tmp_path: Path) -> None:
    target = tmp_path / "new" / "fox.webp"
    async with in_memory(tmp_path) as client:
        paths = [
            made(
                await client.call_tool(
                    "generate_image", {"prompt": prompt, "output_path": str(target)}
                )
            )[0]["path"]
            for prompt in ("one", "two", "three")
        ]
    assert paths == [str(target.with_name(n)) for n in ("fox.webp", "fox-2.webp", "fox-3.webp")]
    assert opened(target.read_bytes()).format == "WEBP"


async def test_a_folder_takes_a_picture_of_the_format_asked_for(tmp_path: Path) -> None:
    async with in_memory(tmp_path) as client:
        result = await client.call_tool(
            "generate_image",
            {"prompt": "x", "output_path": f"{tmp_path}/there/", "format": "jpeg"},
        )
    (image,) = made(result)
    assert Path(image["path"]).parent == tmp_path / "there"
    assert image["path"].endswith(".jpg")
    assert image["mime_type"] == "image/jpeg"


async def test_an_edit_takes_paths_addresses_of_files_and_a_mask(tmp_path: Path) -> None:
    (tmp_path / "in one.png").write_bytes(picture())
    (tmp_path / "mask.png").write_bytes(mask())
    simulator = Simulator()
    async with in_memory(tmp_path, simulator) as client:
        first = await client.call_tool(
            "edit_image",
            {
                "prompt": "in snow",
                "images": [str(tmp_path / "in one.png"), (tmp_path / "in one.png").as_uri()],
            },
        )
        second = await client.call_tool(
            "edit_image",
            {
                "prompt": "in snow",
                "images": [str(tmp_path / "in one.png")],
                "mask": str(tmp_path / "mask.png"),
            },
        )
    assert made(first)
    assert made(second)
    roads = [request.path for request in simulator.requests if request.method == "POST"]
    assert roads == ["/images/edits", "/responses"]


@pytest.mark.parametrize(
    ("tool", "arguments", "said"),
    [
        ("generate_image", {"output_path": "fox.png"}, "/pictures/fox.png"),
        ("generate_image", {"output_path": "/tmp/fox.bmp"}, ".webp"),
        ("generate_image", {"output_path": "~no-such-user/fox.png"}, "it is not absolute"),
        ("generate_image", {"output_path": "/tmp/\0.png"}, "no file can have such a name"),
        ("generate_image", {"output_path": f"/tmp/{'x' * 252}.png"}, "File name too long"),
        ("generate_image", {"output_path": "/tmp/\ud800.png"}, "no file can have such a name"),
        ("generate_image", {"output_path": f"{__file__}/fox.png"}, "nothing can be written in"),
        ("generate_image", {"size": "big"}, "WIDTHxHEIGHT"),
        ("generate_image", {"background": "transparent", "format": "jpeg"}, "png or webp"),
        ("generate_image", {"prompt": "[[blocked]]"}, "moderation_blocked"),
        ("generate_image", {"prompt": "[[status usage_limit_reached]]"}, "resets in"),
        ("generate_image", {"n": 5}, "4"),
        ("edit_image", {"images": ["fox.png"]}, "images[0]: fox.png is not an absolute path"),
        ("edit_image", {"images": ["/no/such/fox.png"]}, "No such file"),
        ("edit_image", {"images": ["https://127.0.0.1/fox.png"]}, "not a public address"),
        ("edit_image", {"images": []}, "images"),
    ],
)
async def test_a_failure_says_what_would_do(
    tmp_path: Path, tool: str, arguments: dict[str, Any], said: str
) -> None:
    async with in_memory(tmp_path) as client:
        text = refused(await client.call_tool(tool, {"prompt": "x", **arguments}))
    assert said in text
    assert not (tmp_path / "pictures").exists()


async def test_a_file_that_is_no_picture_is_named(tmp_path: Path) -> None:
    (tmp_path / "text.png").write_text("hello")
    async with in_memory(tmp_path) as client:
        result = await client.call_tool(
            "edit_image", {"prompt": "x", "images": [str(tmp_path / "text.png")]}
        )
    assert "'images[0]'" in refused(result)


async def test_without_a_login_the_model_is_told_what_the_user_must_run(tmp_path: Path) -> None:
    settings = Settings(codex_home=tmp_path, image_dir=tmp_path / "pictures")
    async with Codex(settings) as codex, Client(create_server(codex)) as client:
        assert "codex login" in refused(await client.call_tool("generate_image", {"prompt": "x"}))


async def test_what_was_paid_for_is_kept_where_another_picture_fails(tmp_path: Path) -> None:
    async with in_memory(tmp_path) as client:
        result = await client.call_tool(
            "generate_image", {"prompt": "x [[status moderation_blocked 1]]", "n": 2}
        )
    assert len(made(result)) == 1
    assert result.structured_content is not None
    assert "1 of 2 failed" in result.structured_content["note"]


async def test_the_client_hears_how_long_it_takes(tmp_path: Path) -> None:
    slow, heard = Slow(), []

    async def told(progress: float, total: float | None, message: str | None) -> None:
        heard.append((progress, message))
        if len(heard) == 3:
            slow.ready.set()

    async with in_memory(tmp_path, slow.simulator, heartbeat=0.01) as client:
        result = await client.call_tool(
            "generate_image", {"prompt": "[[silence 1]] x"}, progress_callback=told
        )
    assert made(result)
    counts = [count for count, _ in heard]
    assert counts[:3] == sorted(set(counts[:3]))
    assert str(heard[0][1]).startswith("drawing, ")


@pytest.mark.parametrize("mode", MODES)
async def test_a_job_outlives_a_cancel_and_the_same_call_gets_it(tmp_path: Path, mode: str) -> None:
    slow = Slow()
    arguments = {"prompt": "[[silence 60]] a red fox"}
    async with in_memory(tmp_path, slow.simulator, mode=mode) as client:
        call = asyncio.create_task(client.call_tool("generate_image", arguments))
        await slow.waiting.wait()
        call.cancel()
        with pytest.raises(asyncio.CancelledError):
            await call
        slow.ready.set()
        result = await client.call_tool("generate_image", arguments)
        once_more = await client.call_tool("generate_image", arguments)
    assert made(result)
    assert "the same call before" in (result.structured_content or {})["note"]
    assert (once_more.structured_content or {})["note"] is None
    assert made(once_more)[0]["path"] != made(result)[0]["path"]
    assert slow.simulator.runs == 2


async def test_the_end_of_the_server_ends_its_jobs(tmp_path: Path) -> None:
    slow = Slow()
    async with in_memory(tmp_path, slow.simulator) as client:
        call = asyncio.create_task(client.call_tool("generate_image", {"prompt": "[[silence 60]]"}))
        await slow.waiting.wait()
        call.cancel()
        with pytest.raises(asyncio.CancelledError):
            await call
        assert not slow.ended.is_set()
    await slow.ended.wait()
    assert slow.simulator.cancelled == 1


@pytest.mark.parametrize(
    ("variable", "folder", "expected"),
    [
        ("~/mine", "Pictures", "mine"),
        ("", "Pictures", "Pictures/codexapi"),
        ("", "", ".local/state/codexapi/pictures"),
    ],
)
async def test_the_folder_is_the_environments_or_the_users_own_for_pictures_or_ours(
    tmp_path: Path, variable: str, folder: str, expected: str
) -> None:
    (tmp_path / folder).mkdir(exist_ok=True)
    env = environment(HOME=str(tmp_path), XDG_STATE_HOME="", CODEXAPI_IMAGE_DIR=variable)
    command, *arguments = forks.for_shells("mcp", "serve", "--demo")
    parameters = StdioServerParameters(command=command, args=arguments, env=env, cwd="/")
    async with Client(parameters) as client:
        result = await client.call_tool("generate_image", {"prompt": "a red fox"})
    assert Path(made(result)[0]["path"]).parent == tmp_path / expected
    if not folder:
        state = tmp_path / ".local" / "state" / "codexapi"
        assert state.stat().st_mode & 0o077 == 0, "others may not look into it"


@pytest.mark.parametrize(
    "place", ["OUT/fox.png", "OUT/", "HERE/pictures/../fox.png", "HERE/pictures/link/fox.png"]
)
async def test_pictures_stay_in_the_folder_that_they_are_confined_to(
    tmp_path: Path, place: str
) -> None:
    outside = tmp_path / "out"
    outside.mkdir()
    (tmp_path / "pictures").mkdir()
    (tmp_path / "pictures" / "link").symlink_to(outside)
    path = place.replace("OUT", str(outside)).replace("HERE", str(tmp_path))
    simulator = Simulator()
    async with in_memory(tmp_path, simulator, options=Options(image_dir_only=True)) as client:
        result = await client.call_tool("generate_image", {"prompt": "x", "output_path": path})
        inside = await client.call_tool(
            "generate_image", {"prompt": "x", "output_path": f"{tmp_path}/pictures/new/fox.png"}
        )
    assert "--image-dir-only" in refused(result)
    assert not list(outside.iterdir())
    assert made(inside)[0]["path"] == f"{tmp_path}/pictures/new/fox.png"
    assert simulator.runs == 1


async def test_no_more_pictures_are_made_than_the_user_allows(tmp_path: Path) -> None:
    simulator = Simulator()
    async with in_memory(tmp_path, simulator, options=Options(max_images=3)) as client:
        failed = await client.call_tool("generate_image", {"prompt": "[[blocked]]", "n": 3})
        two = await client.call_tool("generate_image", {"prompt": "x", "n": 2})
        too_many = await client.call_tool("generate_image", {"prompt": "y", "n": 2})
        last = await client.call_tool("generate_image", {"prompt": "y"})
        one_more = await client.call_tool("generate_image", {"prompt": "z"})
    assert "moderation_blocked" in refused(failed)
    assert (len(made(two)), len(made(last))) == (2, 1)
    assert "1 are left" in refused(too_many)
    assert "max_images_reached" in refused(one_more)


async def test_the_login_is_no_picture(tmp_path: Path) -> None:
    (tmp_path / "none").mkdir()
    (tmp_path / "none" / "auth.json").write_text("canary")
    async with in_memory(tmp_path) as client:
        result = await client.call_tool(
            "edit_image", {"prompt": "x", "image": str(tmp_path / "none" / "auth.json")}
        )
    assert "is a part of your login" in refused(result)
