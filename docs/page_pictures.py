"""Takes `docs/screens/page-light.png` and `page-dark.png`: `python docs/page_pictures.py`.

They show the page of `codexapi serve --demo` in the system's Chromium, after a few requests of
simulated programs. A test takes them again, and looks at what stands in them.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Sequence
from pathlib import Path
from urllib.error import HTTPError
from urllib.request import Request, urlopen

from playwright.async_api import Browser, async_playwright, expect
from tests.page.browsing import ARGUMENTS, program
from tests.processes import server

FOLDER = Path(__file__).with_name("screens")
SCHEMES = ("light", "dark")
SIZE = {"width": 1120, "height": 1330}
REQUESTS: Sequence[tuple[str, str]] = (
    ("openai-python/3.54.0", "Say hello"),
    ("claude-cli/2.1.332", "[[reason]] [[say Done: two files changed.]]"),
    ("Zed/0.200", "[[fail_first rate_limit_exceeded]]"),
    ("curl/8.14.1", "Say hello again"),
)


def fill(base_url: str) -> None:
    """Sends a few requests, so that there is something to see."""
    for agent, prompt in REQUESTS:
        headers = {"User-Agent": agent, "Content-Type": "application/json"}
        body = json.dumps({"model": "gpt-6.2-sol", "input": prompt}).encode()
        try:
            urlopen(Request(f"{base_url}/responses", body, headers)).close()
        except HTTPError as error:  # one of them fails
            error.close()


async def take(browser: Browser, address: str, scheme: str) -> bytes:
    """A picture of the page, complete."""
    context = await browser.new_context(viewport=SIZE, color_scheme=scheme)  # type: ignore[arg-type]
    try:
        page = await context.new_page()
        await page.goto(address)
        await expect(page.locator("#recent tbody tr")).to_have_count(len(REQUESTS))
        await expect(page.locator("#bars .bar")).to_have_count(2)
        await page.get_by_role("tab", name="Python").click()
        await page.evaluate("document.activeElement.blur()")
        return await page.screenshot()
    finally:
        await context.close()


async def main() -> None:
    with server("--demo") as running:
        await asyncio.to_thread(fill, running.url)
        async with async_playwright() as driver:
            browser = await driver.chromium.launch(executable_path=program(), args=ARGUMENTS)
            for scheme in SCHEMES:
                picture = await take(browser, running.url.removesuffix("/v1"), scheme)
                (FOLDER / f"page-{scheme}.png").write_bytes(picture)
            await browser.close()


if __name__ == "__main__":
    asyncio.run(main())
