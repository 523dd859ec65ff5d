"""Which program a request is of: by its User-Agent, or by a key of its own."""

from __future__ import annotations

import asyncio
import re
from importlib.metadata import version
from pathlib import Path

import anthropic
import ollama
import openai
import pytest
from tests.http_server.doors import MODEL, Door, chat, door
from tests.http_server.raw import JsonObject, get, post
from tests.http_server.sockets import client
from tests.http_server.test_metrics import of, scraped
from websockets.exceptions import InvalidStatus

from codexapi_engine.bounds import MAX_PROGRAM_LABELS
from codexapi_engine.program_keys import ProgramKeys
from codexapi_engine.simulator import Simulator
from codexapi_http.dialect import DialectRoutes
from codexapi_http.programs import program_of
from codexapi_http.routes import DIALECTS

pytestmark = pytest.mark.timeout(60)

CHAT = "/v1/chat/completions"
BROWSER = b"Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/142.0.0.0"


@pytest.mark.parametrize(
    ("user_agent", "program"),
    [
        (b"OpenAI/Python 3.57.0", "openai-python 3.57.0"),
        (b"AsyncOpenAI/Python 3.57.0", "openai-python 3.57.0"),
        (b"OpenAI/JS 7.59.0", "openai-js 7.59.0"),
        (b"Anthropic/Python", "anthropic-python"),
        (b"claude-cli/2.0.1 (external, cli)", "claude-cli 2.0.1"),
        (b"codex_cli_rs/0.171.0 (Debian 12.0.0; x86_64) xterm", "codex_cli_rs 0.171.0"),
        (b"ollama-python/0.6.3 (x86_64 linux) Python/3.11", "ollama-python 0.6.3"),
        (b"ai/7.0.173 ai-sdk/provider-utils/4 runtime/node.js/22", "ai 7.0.173"),
        (b"curl/8.5.0", "curl 8.5.0"),
        (b"node", "node"),
        (BROWSER + b" Safari/537.36", "Chrome 142.0.0.0"),
        (BROWSER + b" Safari/537.36 Edg/142.0", "Edg 142.0"),
        (BROWSER.replace(b"Chrome", b"Code/1.106 Chrome") + b" Electron/39 Safari/5", "Code 1.106"),
        (b"Mozilla/5.0 (X11; rv:145.0) Gecko/20100101 Firefox/145.0", "Firefox 145.0"),
        (b"Mozilla/5.0 (Mac) AppleWebKit/605 (KHTML) Version/26.0 Safari/605", "Safari 605"),
        (b"", ""),
        (b"(only a comment)", ""),
        (b"\x1b[31mred\x1b[0m", ""),
        (b"<script>alert(1)</script>", ""),
        (b"x" * 41, ""),
        ("名前/1".encode(), ""),
        (b"name/" + b"9" * 500, ""),
        (b"fine/1.0 " + b"(" * 5000, "fine 1.0"),
    ],
)
def test_a_program_is_named_by_its_user_agent_and_by_nothing_else_in_it(
    user_agent: bytes, program: str
) -> None:
    assert program_of(user_agent) == program


async def recent(server: Door, key: str = "") -> list[JsonObject]:
    headers = [f"Authorization: Bearer {key}"] if key else []
    reply = await server.reply(get("/status.json", *headers))
    found: list[JsonObject] = reply.json["recent"]
    return found


async def test_official_clients_are_told_apart_without_any_key() -> None:
    async with door(Simulator()) as server:
        base = f"http://127.0.0.1:{server.port}"
        async with openai.AsyncOpenAI(base_url=f"{base}/v1", api_key="-") as sdk:
            await sdk.models.list()
        async with anthropic.AsyncAnthropic(base_url=base, api_key="-") as claude:
            await claude.messages.create(
                model=MODEL, max_tokens=9, messages=[{"role": "user", "content": "hi"}]
            )
        async with ollama.AsyncClient(base) as local:
            await local.list()
        programs = [entry["program"] for entry in await recent(server)]
    assert programs == [
        f"ollama-python {version('ollama')}",
        f"anthropic-python {anthropic.__version__}",
        f"openai-python {openai.__version__}",
    ]


async def test_a_key_names_its_program_in_every_api(tmp_path: Path) -> None:
    key = (await ProgramKeys(tmp_path).add("editor")).reveal()
    bearer = f"Authorization: Bearer {key}"
    messages = {"model": MODEL, "max_tokens": 9, "messages": [{"role": "user", "content": "hi"}]}
    async with door(Simulator(), state_dir=tmp_path) as server:
        for request in (
            post(CHAT, chat("hi"), bearer),
            post("/v1/messages", messages, f"x-api-key: {key}"),
            post("/v1/messages", messages, bearer),
            get("/api/tags", bearer),
            get("/v1/models", bearer),
        ):
            reply = await server.reply(request)
            assert reply.status == 200, reply
        async with client(
            server.port, additional_headers={"Authorization": f"Bearer {key}"}
        ) as socket:
            assert (await socket.ask())[-1]["type"] == "response.completed"
        entries = await recent(server, key)
    assert len(entries) == 7  # and the upgrade
    assert {entry["program"] for entry in entries} == {"editor"}


@pytest.mark.parametrize("entry", DIALECTS, ids=lambda entry: entry.dialect.name)
async def test_a_key_names_its_program_in_every_header_of_a_dialect(
    tmp_path: Path, entry: DialectRoutes
) -> None:
    key = (await ProgramKeys(tmp_path).add("editor")).reveal()
    path = re.sub(r"\{[^}]*\}", "x", entry.routes[0].path)
    headers = [header.decode() for header in entry.dialect.key_headers]
    async with door(Simulator(), state_dir=tmp_path) as server:
        for header in headers:
            value = f"Bearer {key}" if header == "authorization" else key
            assert (await server.reply(get(path, f"{header}: {value}"))).status != 401
        entries = await recent(server, key)
    assert [one["program"] for one in entries] == ["editor" for _ in headers]


@pytest.mark.parametrize("path", ["/v1/models", "/api/tags", "/status.json", "/v1/messages"])
async def test_with_a_program_key_there_is_no_way_in_without_one(tmp_path: Path, path: str) -> None:
    await ProgramKeys(tmp_path).add("editor")
    async with door(Simulator(), state_dir=tmp_path) as server:
        for headers in ([], ["Authorization: Bearer codexapi-wrong"], ["Authorization: Bearer "]):
            assert (await server.reply(get(path, *headers))).status == 401
        with pytest.raises(InvalidStatus):
            async with client(server.port):
                pass
        assert (await server.reply(get("/healthz"))).status == 200


async def test_the_message_says_how_to_get_a_key(tmp_path: Path) -> None:
    await ProgramKeys(tmp_path).add("editor")
    async with door(Simulator(), state_dir=tmp_path) as server:
        error = (await server.reply(get("/v1/models"))).refused(401, "invalid_api_key")
    assert "codexapi keys add NAME" in error["message"]


async def test_a_running_server_takes_a_new_key_and_refuses_a_revoked_one_at_once(
    tmp_path: Path,
) -> None:
    keys = ProgramKeys(tmp_path)
    async with door(Simulator(), state_dir=tmp_path) as server:

        async def status(key: str = "") -> int:
            header = [f"Authorization: Bearer {key}"] if key else []
            return (await server.reply(get("/v1/models", *header))).status

        assert await status() == 200
        first, second = [(await keys.add(name)).reveal() for name in ("one", "two")]
        assert (await status(), await status(first), await status(second)) == (401, 200, 200)
        assert await keys.revoke("one")
        assert (await status(first), await status(second)) == (401, 200)
        assert await keys.revoke("two")
        assert await status() == 200


async def test_the_key_of_the_server_is_good_beside_those_of_programs(tmp_path: Path) -> None:
    key = (await ProgramKeys(tmp_path).add("editor")).reveal()
    async with door(Simulator(), state_dir=tmp_path, api_key="mine") as server:
        agent = "User-Agent: editor/9"  # it has not the key of that name
        for one in (key, "mine"):
            reply = await server.reply(get("/v1/models", f"Authorization: Bearer {one}", agent))
            assert reply.status == 200
        assert (await server.reply(get("/v1/models", agent))).status == 401
        programs = [entry["program"] for entry in await recent(server, "mine")]
    assert programs == ["other", "other", "editor"]


@pytest.mark.parametrize("data", [b"", b"{}", b'{"keys": [1]}', b"[" * 100_000, b"\xff"])
async def test_a_damaged_file_lets_nobody_in(tmp_path: Path, data: bytes) -> None:
    key = (await ProgramKeys(tmp_path).add("editor")).reveal()
    (tmp_path / "keys.json").write_bytes(data)
    async with door(Simulator(), state_dir=tmp_path) as server:
        for headers in ([], [f"Authorization: Bearer {key}"]):
            reply = await server.reply(get("/v1/models", *headers))
            assert reply.refused(503, "keys_unreadable")
            assert key not in reply.body.decode()


async def test_metrics_count_by_program_and_bound_their_number() -> None:
    async with door(Simulator(), metrics=True) as server:
        for number in range(MAX_PROGRAM_LABELS + 3):
            await server.reply(get("/v1/files", f"User-Agent: tool{number}/1.{number}"))
        await asyncio.gather(
            *(server.reply(get("/v1/files", "User-Agent: tool0/2.0")) for _ in range(2))
        )
        told = await scraped(server)
    assert of(told, "program_requests_total", program="tool0") == 3
    assert of(told, "program_requests_total", program="other") == 3
    names = {labels for name, labels in told if name == "program_requests_total"}
    assert len(names) == MAX_PROGRAM_LABELS + 1
