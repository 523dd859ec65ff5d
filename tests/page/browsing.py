"""Tabs of one browser, and servers that can stop and come back at their port."""

from __future__ import annotations

import os
import shutil
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from playwright.async_api import Browser, Page
from tests.downloads import PINS, Unavailable, cached, npm_ci

NAMES = ("chromium-headless-shell", "chromium", "chromium-browser", "google-chrome", "chrome")
"""The first is the same browser without windows: it takes half the CPU."""

ARGUMENTS = [
    "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
    "--disable-component-update", "--disable-sync", "--host-resolver-rules=MAP *.test 127.0.0.1",
    *(["--no-sandbox"] if hasattr(os, "geteuid") and os.geteuid() == 0 else []),
]  # fmt: skip
"""Names under `.test` are this machine: hosts of attackers."""

MILLISECONDS = 20_000
"""For anything to appear on a busy machine."""

WIDE, NARROW = {"width": 1440, "height": 900}, {"width": 360, "height": 740}


def program() -> str:
    """The browser of the system. Raises Unavailable."""
    found = next(filter(None, map(shutil.which, NAMES)), None)
    if found is None:
        raise Unavailable(f"none of {', '.join(NAMES)} is on PATH")
    return found


@asynccontextmanager
async def tab(browser: Browser, url: str = "", **options: Any) -> AsyncIterator[Page]:
    """A page of a profile of its own, which must raise no error."""
    context = await browser.new_context(**{"viewport": WIDE, **options})
    try:
        page, errors = await context.new_page(), []
        page.set_default_timeout(MILLISECONDS)
        page.on("pageerror", lambda error: errors.append(str(error)))
        if url:
            await page.goto(url)
        yield page
        assert errors == []
    finally:
        await context.close()


def axe_source() -> str:
    """The script of axe-core, which judges accessibility. Skips where it cannot be had."""
    folder = cached("axe-core-4.14.1", lambda folder: npm_ci(PINS / "axe", folder))
    return (folder / "node_modules" / "axe-core" / "axe.min.js").read_text("utf-8")


async def violations(page: Page) -> list[str]:
    """What axe-core finds on a page, each with its places."""
    await page.evaluate(axe_source())
    found = await page.evaluate("axe.run(document, {resultTypes: ['violations']})")
    return [
        f"{one['id']}: {[node['target'] for node in one['nodes']]}" for one in found["violations"]
    ]


def picture() -> Path:
    return Path(__file__).parents[2] / "docs" / "gui-picture.png"
