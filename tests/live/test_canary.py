"""Secrets are where they belong and nowhere else: tokens, the local key, prompts, answers, pictures.

Each is a text of its own; the server does what it can do, at its most talkative, and then all that
it wrote is searched.
"""

from __future__ import annotations

import base64
import json
import os
import signal
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.http_server.raw import get, post
from tests.live.test_serve import Server, expired, on_a_port, serving
from tests.logins import write_login

pytestmark = pytest.mark.timeout(90)

CHAT, RESPONSES, IMAGES = "/v1/chat/completions", "/v1/responses", "/v1/images/generations"
KEY = "canary-local-key"
PROMPT, ANSWER = "canary-prompt", "canary-answer"
ASKED = f"{PROMPT} [[say {ANSWER}]]"


async def everything(server: Server) -> bytes:
    """What the server can do, well and badly. A picture of it."""
    bearer = f"Authorization: Bearer {KEY}"

    def chat(prompt: str, **more: object) -> bytes:
        body = {"model": "gpt-6.1-sol", "messages": [{"role": "user", "content": prompt}], **more}
        return post(CHAT, body, bearer)

    async def ok(request: bytes) -> bytes:
        reply = await server.reply(request)
        assert reply.status == 200, reply
        return reply.body

    assert ANSWER.encode() in await ok(chat(ASKED))
    await ok(chat(ASKED, stream=True, n=2, temperature=0.5, store=True))
    tool = {"type": "function", "function": {"name": PROMPT, "parameters": {"type": "object"}}}
    await ok(chat(f"[[tool {PROMPT} {{}}]]", tools=[tool]))
    body = {"model": "gpt-6.1-sol", "input": ASKED}
    kept = json.loads(await ok(post(RESPONSES, body, bearer)))
    await ok(get(f"{RESPONSES}/{kept['id']}", bearer))
    await ok(post(RESPONSES, {**body, "background": True}, bearer))
    for script in ("cut 2", "error", "fail invalid_prompt", "bad_json", "html", "status forbidden"):
        await server.reply(chat(f"{PROMPT} [[{script}]]", stream=True))
        await server.reply(chat(f"{PROMPT} [[{script}]]"))
    await server.reply(chat(ASKED, logprobs=True, user=PROMPT))
    await server.reply(post(CHAT, {"model": PROMPT, "messages": 5}, bearer))
    await server.reply(post(CHAT, b"{" + PROMPT.encode(), bearer))
    await server.reply(post(CHAT, {}, f"Authorization: Bearer {KEY}-wrong"))
    await server.reply(get(f"/v1/models?key={KEY}", bearer))
    picture = {"prompt": PROMPT, "response_format": "url"}
    url = json.loads(await ok(post(IMAGES, picture, bearer)))["data"][0]["url"]
    path = "/v1/files/" + url.partition("/v1/files/")[2]
    await ok(get("/metrics", bearer))
    return await ok(get(path))


def written(folder: Path) -> Iterator[tuple[Path, bytes]]:
    for path in folder.rglob("*"):
        if path.is_file():
            yield path, path.read_bytes()


@pytest.mark.parametrize("form", ["text", "json"])
@pytest.mark.parametrize("renewed", [False, True])
async def test_no_secret_is_anywhere_but_where_it_belongs(
    tmp_path: Path, form: str, renewed: bool
) -> None:
    simulator, login = expired()
    login = login if renewed else simulator.login()
    home, state = tmp_path / "home", tmp_path / "state"
    home.mkdir()
    path, key = write_login(home, login), tmp_path / "key"
    key.write_text(KEY)
    key.chmod(0o600)
    flags = ["--log-format", form, "--log-level", "debug", "--api-key-file", str(key), "--metrics"]
    async with on_a_port(simulator) as url:
        async with serving(
            home, *flags, url=f"{url}/backend-api/codex", token_url=f"{url}/oauth/token",
            env={"CODEXAPI_STATE_DIR": str(state)},
        ) as server:  # fmt: skip
            image = await everything(server)
            shown = b""
            if sys.platform == "linux":
                place = Path("/proc") / str(server.process.pid)
                shown = (place / "cmdline").read_bytes()
                limits = (place / "limits").read_text()
                assert "Max core file size        0                    0" in limits
                if os.getuid():
                    assert (place / "environ").stat().st_uid == 0
                else:
                    shown += (place / "environ").read_bytes()
                children = place / "task" / str(server.process.pid) / "children"
                assert children.read_text() == ""
            server.signal(signal.SIGTERM)
            code, said = await server.ended()
    assert code == 143
    assert simulator.refreshes == renewed
    assert said.count("\n") > 25, said
    assert "Traceback" not in said
    tokens = [json.loads(data)["tokens"] for data in (login, path.read_bytes())]
    secrets = {*tokens[0].values(), *tokens[1].values()} - {simulator.account_id}
    secrets |= {KEY, PROMPT, ANSWER}
    picture = base64.b64encode(image)[40:80].decode()
    for name in (*secrets, picture, "Bearer"):
        assert name not in said
    for name in secrets:
        assert name.encode() not in shown
    places = [(found, data) for found, data in written(tmp_path) if data != image]
    for found, data in places:
        if found in (path, key):
            continue
        assert not [name for name in (*secrets, picture) if name.encode() in data], found
    if form == "json":
        lines = [json.loads(line) for line in said.splitlines()]
        assert all({"time", "level", "message"} <= set(line) for line in lines)
        assert len(lines) > 25
