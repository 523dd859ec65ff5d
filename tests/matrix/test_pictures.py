"""The fault matrix for pictures: whole answers of the backend, and runs of its hosted tool.

At each cell: status and code, how often the backend was asked, that no failure leaves a file or
looks like a success, and that the next picture comes.
"""

from __future__ import annotations

import asyncio
import base64
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
from mcp.types import CallToolResult
from tests.faulty import FaultyBackend
from tests.http_server.doors import MODEL, distant_door
from tests.http_server.raw import JsonObject, Reply, post
from tests.matrix.by_mcp import mcp_client, tool_told
from tests.matrix.doors import LOGIN, Cell, Told, refused
from tests.matrix.faults import AFTERWARDS, NOW, Fault, Refused, Whole
from tests.matrix.picture_faults import (
    DATA_URL,
    DRAWN,
    PICTURE,
    TOOL_FAULTS,
    WHOLE_FAULTS,
    attempts,
    faulty,
    waiting,
)
from tests.wire_files import events

from codexapi_engine.protocol import sse

pytestmark = [pytest.mark.asyncio(loop_scope="module"), pytest.mark.timeout(120)]


# The doors.


async def over_http(backend: FaultyBackend, path: str, body: JsonObject) -> list[Told]:
    url, told = backend.url, []
    async with distant_door(url, LOGIN, token_url=f"{url}/oauth/token", model=MODEL) as server:
        for prompt in (NOW, AFTERWARDS):
            reply = await server.reply(post(path, {"prompt": prompt, **body}))
            if reply.status != 200:
                told.append(refused(reply))
            elif body.get("stream"):
                told.append(streamed(reply))
            else:
                (made,) = reply.json["data"]
                told.append(Told(kind_of(made), "stop", raw=reply.body.decode()))
    return told


def kind_of(made: JsonObject) -> str:
    return DRAWN if base64.b64decode(made["b64_json"]) == PICTURE else "another picture"


def streamed(reply: Reply) -> Told:
    told = [one for one in events(reply.body) if one.data != b"[DONE]"]
    raw = reply.body.decode()
    errors = [one.json["error"] for one in told if one.type == "error"]
    made = [one.json for one in told if one.type.endswith(".completed")]
    assert len(errors) + len(made) == 1, raw
    assert reply.body.endswith(sse.DONE) == bool(made), raw
    if errors:
        return Told(code=errors[0]["code"], raw=raw)
    return Told(kind_of(made[0]), "stop", raw=raw)


async def generated(backend: FaultyBackend, folder: Path) -> list[Told]:
    return await over_http(backend, "/v1/images/generations", {})


async def edited(backend: FaultyBackend, folder: Path) -> list[Told]:
    body = {"images": [{"image_url": DATA_URL}]}
    return await over_http(backend, "/v1/images/edits", body)


async def generated_as_a_stream(backend: FaultyBackend, folder: Path) -> list[Told]:
    return await over_http(backend, "/v1/images/generations", {"stream": True})


async def drawn_by_the_tool(backend: FaultyBackend, folder: Path) -> list[Told]:
    body = {"stream": True, "partial_images": 1}
    return await over_http(backend, "/v1/images/generations", body)


async def by_mcp(backend: FaultyBackend, folder: Path, tool: str, more: JsonObject) -> list[Told]:
    settings = {"image_dir": folder / tool}
    async with mcp_client(backend.url, settings) as mcp:
        return [
            saved(
                await mcp.call_tool(tool, {"prompt": prompt, "inline": "never", **more}),
                folder / tool,
            )
            for prompt in (NOW, AFTERWARDS)
        ]


def saved(result: CallToolResult, folder: Path) -> Told:
    if result.is_error:
        assert not folder.exists(), "a failure leaves nothing behind"
        return tool_told(result)
    assert result.structured_content is not None
    (made,) = result.structured_content["images"]
    same = Path(made["path"]).read_bytes() == PICTURE
    return Told(DRAWN if same else "another picture", "stop")


async def generated_by_mcp(backend: FaultyBackend, folder: Path) -> list[Told]:
    return await by_mcp(backend, folder, "generate_image", {})


async def edited_by_mcp(backend: FaultyBackend, folder: Path) -> list[Told]:
    given = folder / "given.png"
    given.write_bytes(PICTURE)
    return await by_mcp(backend, folder, "edit_image", {"images": [str(given)]})


WHOLE_DOORS: dict[str, Any] = {
    "generations": generated,
    "edits": edited,
    "generations, streamed": generated_as_a_stream,
    "mcp, generate_image": generated_by_mcp,
    "mcp, edit_image": edited_by_mcp,
}
Cells = tuple[Fault, Mapping[str, Cell | BaseException]]


async def cell(door: Any, fault: Fault, folder: Path) -> Cell:
    async with faulty(fault) as backend:
        first, afterwards = await door(backend, folder)
        return Cell(first, afterwards, attempts(backend))


@pytest_asyncio.fixture(scope="module", loop_scope="module", params=WHOLE_FAULTS)
async def fault(request: Any, tmp_path_factory: pytest.TempPathFactory) -> Cells:
    """A fault, and what all doors made of it: they run at once, to wait for silence once."""
    chosen = WHOLE_FAULTS[request.param]
    folder = tmp_path_factory.mktemp("pictures")
    with waiting(chosen):
        cells = await asyncio.gather(
            *(cell(door, chosen, folder) for door in WHOLE_DOORS.values()), return_exceptions=True
        )
    return chosen, dict(zip(WHOLE_DOORS, cells, strict=True))


@pytest.mark.parametrize("door", WHOLE_DOORS)
async def test_fault(fault: Cells, door: str) -> None:
    given, cells = fault
    found = cells[door]
    if isinstance(found, BaseException):
        raise found
    assert_shown(found, given, with_status="mcp" not in door)


@pytest.mark.parametrize("name", TOOL_FAULTS)
async def test_fault_of_the_hosted_tool(name: str, tmp_path: Path) -> None:
    chosen = TOOL_FAULTS[name]
    with waiting(chosen):
        found = await cell(drawn_by_the_tool, chosen, tmp_path)
    assert_shown(found, chosen)


def assert_shown(found: Cell, fault: Fault, *, with_status: bool = True) -> None:
    told, shows = found.first, fault.shows
    if isinstance(shows, Whole):
        assert (told.text, told.finish, told.code) == (DRAWN, "stop", None)
    else:
        status = shows.status if isinstance(shows, Refused) and with_status else None
        code = shows.code if shows.code or with_status else told.code
        assert (told.text, told.finish, told.status, told.code) == ("", None, status, code)
        if with_status:
            assert fault.headers.items() <= told.headers.items()
    assert found.attempts == fault.attempts
    assert (found.afterwards.text, found.afterwards.finish) == (DRAWN, "stop")
    for words in fault.told:
        assert words in told.raw
    for secret in ("canary", "<html", "Traceback"):
        assert secret not in told.raw
