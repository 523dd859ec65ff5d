"""One browser for all tests of the page in a process."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest_asyncio
from playwright.async_api import Browser, async_playwright, expect
from tests.downloads import had
from tests.page.browsing import ARGUMENTS, MILLISECONDS, program


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def browser() -> AsyncIterator[Browser]:
    path = had("a browser", program)
    expect.set_options(timeout=MILLISECONDS)
    async with async_playwright() as driver:
        opened = await driver.chromium.launch(executable_path=path, args=ARGUMENTS)
        yield opened
        await opened.close()
