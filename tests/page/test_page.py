"""What a person sees and does on the page, in a real browser."""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from docs import page_pictures
from playwright.async_api import Browser, Page, Request, expect
from tests.http_server import raw
from tests.http_server.doors import MODEL, Door, door, listening, responses
from tests.http_server.raw import get, post
from tests.logins import access_token, auth_json, write_login
from tests.page.browsing import NARROW, WIDE, picture, tab, violations
from tests.ports import reserved_port

import codexapi_engine
from codexapi_cli.integrations.snippets import snippets
from codexapi_engine import Settings
from codexapi_engine.login.file_store import CodexFile
from codexapi_engine.login.location import ANOTHER_TOKEN, store_of
from codexapi_engine.protocol.secret import Secret
from codexapi_engine.simulator import Simulator
from codexapi_http import create_app

pytestmark = [pytest.mark.asyncio(loop_scope="session"), pytest.mark.timeout(120)]
RESPONSES = "/v1/responses"
SECRET = "the prompt that no report may hold"


@asynccontextmanager
async def served(backend: Simulator | None = None, **options: Any) -> AsyncIterator[Door]:
    """A server with the texts of the command line, as `serve` starts it."""
    async with door(backend or Simulator(), **options) as opened:
        opened.app.state.snippets = snippets
        yield opened


def address(server: Door, path: str = "/") -> str:
    return f"http://127.0.0.1:{server.port}{path}"


async def ask(server: Door, prompt: str) -> int:
    agent = "User-Agent: openai-python/3.5"
    return (await server.reply(post(RESPONSES, responses(prompt, model=MODEL), agent))).status


def report_of(page: Page) -> Any:
    return page.evaluate("navigator.clipboard.readText()")


async def test_a_stranger_reads_whether_it_works_what_is_left_and_what_to_paste(
    browser: Browser,
) -> None:
    async with served() as server:
        assert await ask(server, "hi") == 200  # its answer tells the limits
        async with tab(
            browser, address(server), permissions=["clipboard-read", "clipboard-write"]
        ) as page:
            await expect(page.locator("#state")).to_have_text("Ready")
            await expect(page.get_by_role("meter")).to_have_count(2)
            await expect(page.locator("#bars")).to_contain_text("88 % left")
            await expect(page.locator("#bars")).to_contain_text("resets in")
            await expect(page.locator("#age")).to_have_text(re.compile(r"as of \d+ s ago"))
            await page.get_by_role("button", name="Copy the base URL").click()
            assert await report_of(page) == address(server, "/v1")
            await page.get_by_role("tab", name="Python").click()
            await page.get_by_role("button", name="Copy Python: example.py").click()
            text = await report_of(page)
            assert f'base_url="{address(server, "/v1")}"' in text
            compile(text, "example.py", "exec")


async def test_every_program_of_setup_can_be_chosen_and_has_its_text(browser: Browser) -> None:
    from codexapi_cli.integrations.http_clients import CLIENTS

    async with served() as server, tab(browser, address(server)) as page:
        select = page.get_by_label("Program", exact=True)
        await expect(select.locator("option")).to_have_count(len(CLIENTS) + 3)
        await select.select_option("zed")
        await expect(page.locator("#snippet")).to_contain_text("codexapi setup zed")
        await expect(page.locator("#snippet")).to_contain_text('"openai_compatible"')
        await expect(page.get_by_role("tab", selected=True)).to_have_count(0)


async def test_without_script_the_page_tells_the_address_the_login_and_what_to_do(
    browser: Browser, tmp_path: Path
) -> None:
    async with (
        served(store=CodexFile(tmp_path)) as server,
        tab(browser, address(server), java_script_enabled=False) as page,
    ):
        await expect(page.locator("#version")).to_have_text(codexapi_engine.__version__)
        await expect(page.locator("#base")).to_have_text(address(server, "/v1"))
        await expect(page.locator("#state")).to_have_text("Not logged in")
        await expect(page.locator("#fix")).to_have_text("codexapi login")
        await expect(page.locator("#limits")).to_be_hidden()


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("size", [NARROW, WIDE], ids=["360", "1440"])
async def test_it_is_accessible_in_each_light_and_width(
    browser: Browser, scheme: str, size: dict[str, int]
) -> None:
    async with served() as server:
        for prompt in ("hi", "[[status usage_limit_reached]]"):
            await ask(server, prompt)
        options: dict[str, Any] = {"viewport": size, "color_scheme": scheme}
        async with running(server), tab(browser, address(server), **options) as page:
            await expect(page.locator("#recent tbody tr")).to_have_count(2)
            await expect(page.locator("#running li")).to_have_count(1)
            await expect(page.locator("#model-rows tr")).not_to_have_count(0)
            assert await violations(page) == []
            assert await page.evaluate("document.documentElement.scrollWidth") <= size["width"]
            await page.get_by_role("button", name="429 usage_limit_reached").click()
            await expect(page.get_by_role("dialog")).to_be_visible()
            assert await violations(page) == []


@asynccontextmanager
async def running(server: Door) -> AsyncIterator[asyncio.Task[int]]:
    """A request that does not end by itself."""
    task = asyncio.create_task(ask(server, "[[silence 60]]"))
    try:
        yield task
    finally:
        task.cancel()


async def test_it_is_used_by_keyboard_alone(browser: Browser) -> None:
    async with served() as server:
        await ask(server, "[[status usage_limit_reached]]")
        async with tab(browser, address(server)) as page:
            await expect(page.get_by_role("tab", selected=True)).to_have_text("curl")
            await page.keyboard.press("Tab")
            await expect(page.get_by_text("Skip to the state")).to_be_focused()
            await walk_to(page, "tab-curl")
            await page.keyboard.press("ArrowRight")
            await expect(page.get_by_role("tab", selected=True)).to_have_text("Python")
            await walk_to(page, "filter")
            await page.keyboard.type("responses")
            for _ in range(3):  # the box "Failed only", the table, its first row
                await page.keyboard.press("Tab")
            await page.keyboard.press("Enter")
            await expect(page.get_by_role("dialog")).to_be_visible()
            await page.keyboard.press("Escape")
            await expect(page.get_by_role("dialog")).to_be_hidden()
            await walk_to(page, "prompt")
            await page.keyboard.type("[[say By keyboard.]]")
            await page.keyboard.press("Control+Enter")
            await expect(page.locator("#answer")).to_have_text("By keyboard.")


async def walk_to(page: Page, name: str) -> None:
    """Presses Tab until an element has the focus, and shows it."""
    for _ in range(60):
        await page.keyboard.press("Tab")
        if await page.evaluate("document.activeElement.id") == name:
            break
    assert await page.evaluate("document.activeElement.id") == name
    style = "getComputedStyle(document.activeElement).outlineStyle"
    assert await page.evaluate(style) == "solid", "the focus cannot be seen"


async def test_of_a_thousand_requests_two_hundred_stay_and_can_be_filtered(
    browser: Browser,
) -> None:
    async with served() as server, tab(browser, address(server)) as page:
        await expect(page.locator("#empty")).to_be_visible()
        rows = page.locator("#recent tbody tr")
        async with raw.connect(server.port) as client:
            for number in range(1000):
                await client.send(get(f"/v1/nothing/{number}", f"X-Request-Id: row-{number}"))
                assert (await client.reply()).status == 404
                if number % 250 == 249:
                    await expect(rows).to_have_count(200)
        await page.get_by_label("Filter").fill("row-999")
        await expect(page.locator("#count")).to_have_text("1 of 200 requests")
        await page.get_by_label("Filter").fill("")
        await expect(rows).to_have_count(200)
        await page.get_by_role("button", name="404 not_found").first.click()
        await expect(page.locator("#fields")).to_contain_text("row-999")


async def test_a_server_that_stops_and_comes_back_is_followed(browser: Browser) -> None:
    demo = create_app(settings=Settings(demo=True), snippets=snippets)
    with reserved_port() as port:
        async with tab(browser) as page:
            async with served(port=port) as first:
                await page.goto(address(first))
                await expect(page.locator("#state")).to_have_text("Ready")
            await expect(page.locator("#state")).to_have_text("The server does not answer")
            await expect(page.locator("#fix")).to_contain_text("codexapi serve")
            async with listening(demo, port=port):
                await expect(page.locator("#state")).to_have_text("Ready, as a demo")
                await expect(page.locator("#fix")).to_be_hidden()


@pytest.mark.parametrize(
    ("login", "headline", "command"),
    [
        (None, "Not logged in", "codexapi login"),
        (auth_json(issued=0, exp=1000, refresh=None), "The login has expired", "codexapi login"),
        (b"nonsense", "The login cannot be used", "codexapi login"),
    ],
    ids=["missing", "expired", "unreadable"],
)
async def test_a_login_that_is_no_good_is_the_headline_and_a_new_one_ends_it(
    browser: Browser, tmp_path: Path, login: bytes | None, headline: str, command: str
) -> None:
    backend = Simulator()
    if login is not None:
        write_login(tmp_path, login)
    async with served(backend, store=CodexFile(tmp_path)) as server:
        async with tab(browser, address(server)) as page:
            await expect(page.locator("#state")).to_have_text(headline)
            await expect(page.locator("#fix code")).to_have_text(command)
            assert await violations(page) == []
            write_login(tmp_path, backend.login())
            await expect(page.locator("#state")).to_have_text("Ready")


async def test_a_login_in_a_variable_is_told_by_the_name_of_the_variable(browser: Browser) -> None:
    token = Secret(access_token(exp=1))
    store = store_of(Settings(access_token=token))
    async with (
        served(store=store, access_token=token) as server,
        tab(browser, address(server)) as page,
    ):
        await expect(page.locator("#state")).to_have_text("The login has expired")
        await expect(page.locator("#next")).to_contain_text(ANOTHER_TOKEN)
        await expect(page.locator("#fix")).to_contain_text("set CODEX_ACCESS_TOKEN")


async def test_a_failed_request_shows_its_remedy_and_a_report_without_content(
    browser: Browser,
) -> None:
    async with served() as server:
        await ask(server, f"{SECRET} [[status usage_limit_reached]]")
        granted = ["clipboard-read", "clipboard-write"]
        async with tab(browser, address(server), permissions=granted) as page:
            await expect(page.locator("#state")).to_have_text("Limit reached")
            await page.get_by_role("button", name="429 usage_limit_reached").click()
            await expect(page.locator("#remedy")).to_contain_text("Your plan's window is used up.")
            await expect(page.locator("#remedy")).to_contain_text("codexapi usage")
            await page.get_by_role("button", name="Copy report").click()
            await expect(page.get_by_role("button", name="Copied")).to_be_visible()
            report = await report_of(page)
            assert f"codexapi: {codexapi_engine.__version__} (" in report
            assert "Status: 429 usage_limit_reached" in report
            assert re.search(r"^Request id: req_\w+$", report, re.MULTILINE)
            assert SECRET not in await page.content() + report


async def test_a_running_request_is_stopped(browser: Browser) -> None:
    async with served() as server:
        async with running(server) as request, tab(browser, address(server)) as page:
            await page.get_by_role("button", name=re.compile("^Stop the request of")).click()
            await expect(page.locator("#running li")).to_have_count(0)
            assert await request != 200


async def test_an_answer_streams_with_its_reasoning_and_is_kept_nowhere(browser: Browser) -> None:
    async with served() as server, tab(browser, address(server)) as page:
        bodies: list[Any] = []

        def hear(request: Request) -> None:
            if request.url.endswith(RESPONSES):
                bodies.append(json.loads(request.post_data or "{}"))

        page.on("request", hear)
        await page.get_by_label("Prompt").fill("[[reason]] [[say Forty-two.]]")
        await page.get_by_label("Effort").select_option("high")
        await page.get_by_label("Picture to look at or edit").set_input_files(picture())
        await page.get_by_role("button", name="Send").click()
        await expect(page.locator("#answer")).to_have_text("Forty-two.")
        await expect(page.locator("#thoughts")).to_be_visible()
        await expect(page.locator("#progress")).to_have_text(re.compile(r"Done in .*tokens in"))
        (body,) = bodies
        assert (body["store"], body["reasoning"]["effort"]) == (False, "high")
        assert body["input"][0]["content"][1]["image_url"].startswith("data:image/png;base64,")


@pytest.mark.parametrize(
    ("prompt", "answer"),
    [
        ("[[say First.]] [[two]]", "First.\n\nThis is the second simulated message."),
        ("[[refuse No.]]", "No."),
        ("[[no_deltas]] [[say Done.]]", "Done."),
    ],
)
async def test_the_page_shows_what_chat_prints(browser: Browser, prompt: str, answer: str) -> None:
    async with served() as server, tab(browser, address(server)) as page:
        await page.get_by_label("Prompt").fill(prompt)
        await page.get_by_role("button", name="Send").click()
        await expect(page.locator("#progress")).to_contain_text("Done")
        assert await page.locator("#answer").evaluate("one => one.textContent") == answer


async def test_an_answer_is_stopped_and_a_failed_one_tells_its_remedy(browser: Browser) -> None:
    async with served() as server, tab(browser, address(server)) as page:
        await page.get_by_label("Prompt").fill("[[slow 5]] [[long 1000]]")
        await page.get_by_role("button", name="Send").click()
        await page.get_by_role("button", name="Stop", exact=True).click()
        await expect(page.locator("#progress")).to_have_text("Stopped")
        await page.get_by_label("Prompt").fill("[[fail_first rate_limit_exceeded]]")
        await page.get_by_role("button", name="Send").click()
        await expect(page.locator("#progress")).to_contain_text("--max-streams")


async def test_a_picture_is_generated_and_edited(browser: Browser) -> None:
    async with served() as server, tab(browser, address(server)) as page:
        await page.get_by_label("Picture", exact=True).check()
        await page.get_by_label("Prompt").fill("a red fox")
        for file in ([], [picture()]):
            await page.get_by_label("Picture to look at or edit").set_input_files(file)
            await page.get_by_role("button", name="Send").click()
            drawn = page.get_by_role("img", name="a red fox")
            await expect(drawn).to_be_visible()
            assert await drawn.evaluate("image => image.decode().then(() => image.naturalWidth)")
            await expect(page.locator("#progress")).to_contain_text("Done")


async def test_a_tab_that_nobody_sees_asks_nothing(browser: Browser) -> None:
    async with served() as server, tab(browser) as page:
        await page.add_init_script(
            "Object.defineProperty(document, 'hidden', {get: () => window.away === true})"
        )
        await page.clock.install()
        await page.goto(address(server))
        await expect(page.locator("#model-rows tr")).not_to_have_count(0)
        looks: list[str] = []
        page.on("request", lambda request: looks.append(request.url))
        flip = "value => { window.away = value; document.dispatchEvent(new Event('visibilitychange')) }"
        await page.evaluate(flip, True)
        await page.clock.run_for(60_000)
        assert looks == []
        async with page.expect_request("**/status.json"):
            await page.evaluate(flip, False)


async def test_the_files_are_small_and_a_browser_keeps_them() -> None:
    async with served() as server:
        home = await server.reply(get("/", "Accept: text/html"))
        size = len(home.body)
        for path in ("/page/app.js", "/page/style.css"):
            reply = await server.reply(get(path))
            size += len(reply.body)
            async with raw.connect(server.port) as client:
                await client.send(get(path, f"If-None-Match: {reply.headers['etag']}"))
                assert (await client.head()).status == 304
        assert size < 60_000
        assert b"http://" not in re.sub(rb"http://127.0.0.1[^<]*", b"", home.body)
        assert (await server.reply(get("/"))).body == b"Ollama is running"


async def test_its_pictures_in_the_documents_can_be_taken(browser: Browser) -> None:
    async with served(demo=True) as server:
        base = address(server, "/v1")
        await asyncio.to_thread(page_pictures.fill, base)
        for scheme in page_pictures.SCHEMES:
            image = await page_pictures.take(browser, address(server), scheme)
            documented = (page_pictures.FOLDER / f"page-{scheme}.png").read_bytes()
            for png in (image, documented):
                assert png.startswith(b"\x89PNG")
                assert len(png) < 150_000
                width, height = (int.from_bytes(png[at : at + 4]) for at in (16, 20))
                assert {"width": width, "height": height} == page_pictures.SIZE
