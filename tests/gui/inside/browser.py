"""What a person does in Open WebUI: looks at the models, asks, reads, lets it draw.

Runs in an interpreter that has Playwright; `python -m tests.gui` starts it. Knows the client's
pages by what a person sees of them, as far as they allow it.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Callable
from pathlib import Path
from urllib.request import urlopen

from playwright.sync_api import (  # type: ignore[import-not-found]
    Error,
    Page,
    sync_playwright,
)

HEADLESS = [
    "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
    "--disable-component-update", "--disable-sync",
]  # fmt: skip
SCALE = 1.25
LANDSCAPE = {"width": 1024, "height": 640}  # a picture of 1280 × 800
PORTRAIT = {"width": 640, "height": 1120}
MILLISECONDS = 60_000
"""For anything to appear."""

WORDS = "one two three four five six"
WATCH = """() => {
  window.seen = [];
  new MutationObserver(() => {
    const text = [...document.querySelectorAll(".chat-assistant")].at(-1)?.innerText;
    if (text && window.seen.at(-1) !== text) window.seen.push(text);
  }).observe(document.body, {subtree: true, childList: true, characterData: true});
}"""
"""Keeps each state of the newest answer."""


def main() -> int:
    parser = argparse.ArgumentParser()
    for name in ("client", "server", "browser", "pictures", "scratch"):
        parser.add_argument(name)
    asked = parser.parse_args()
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=asked.browser, args=HEADLESS)
        page = browser.new_page(viewport=LANDSCAPE, device_scale_factor=SCALE)
        page.set_default_timeout(MILLISECONDS)
        print(f"Chromium {browser.version}", flush=True)
        try:
            _visit(page, asked.client, asked.server, Path(asked.pictures))
        except (AssertionError, Error) as error:
            print(f"not ok  {error}")
            _photograph(page, Path(asked.scratch) / "gui-failed.png")
            return 1
    return 0


def _visit(page: Page, client: str, server: str, pictures: Path) -> None:
    page.goto(client)
    page.get_by_role("button", name="Okay, Let's Go!").click()  # what is new in this version
    _told("models", lambda: _lists_our_models(page, server))
    _told("stream", lambda: _streams(page))
    page.goto(client)
    _told("answer", lambda: _answers(page))
    _open_models(page)
    _photograph(page, pictures / "gui.png")
    page.goto(client)
    _told("tool", lambda: _calls_a_tool(page))
    page.goto(client)
    _told("picture", lambda: _draws(page))
    page.set_viewport_size(PORTRAIT)
    _photograph(page, pictures / "gui-picture.png")


def _told(name: str, check: Callable[[], str]) -> None:
    print(f"ok  {name}: {check()}", flush=True)


def _lists_our_models(page: Page, server: str) -> str:
    with urlopen(f"{server}/models") as reply:
        ours = [model["id"] for model in json.load(reply)["data"]]
    _open_models(page)
    listed = page.get_by_role("option").evaluate_all("all => all.map(one => one.dataset.value)")
    page.keyboard.press("Escape")
    assert listed == ours, f"lists {listed}, and we have {ours}"
    return f"lists {', '.join(listed)}"


def _open_models(page: Page) -> None:
    page.locator("#model-selector-model-button").click()
    page.get_by_role("option").first.wait_for()


def _answers(page: Page) -> str:
    _ask(page, "Say hello")
    return _answer(page, "simulated")


def _streams(page: Page) -> str:
    """An answer in one piece would look the same in the end."""
    page.evaluate(WATCH)
    _ask(page, f"[[slow 0.2]] [[say {WORDS}]]")
    _answer(page, WORDS)
    seen = page.evaluate("window.seen")
    grown = [text for text in seen if WORDS.startswith(text.strip())]
    assert len(grown) > 2, f"came in one piece: {seen}"
    return f"{len(grown)} states of one answer were on the screen"


def _calls_a_tool(page: Page) -> str:
    """One of its own: it runs the call, and sends what came out."""
    _ask(page, "[[tool get_current_timestamp]]")
    return _answer(page, "get_current_timestamp said")


def _draws(page: Page) -> str:
    """By its button, the model draws with a tool, and the client asks for the picture itself."""
    page.get_by_role("button", name="Integrations").click()
    page.get_by_role("menuitemcheckbox", name="Image").click()
    page.keyboard.press("Escape")
    _ask(page, "Generate an image of a red bicycle")
    told = _answer(page, "generate_image said")
    assert "error" not in told, told
    shown = page.get_by_role("img", name="generated-image").last
    shown.wait_for()
    width, height = shown.evaluate("one => [one.naturalWidth, one.naturalHeight]")
    assert width, "the picture is broken"
    return f"shows one of {width} × {height}"


def _ask(page: Page, prompt: str) -> None:
    page.locator("#model-selector-model-button", has_text="gpt").wait_for()
    page.locator("#chat-input").click()
    page.keyboard.type(prompt)
    page.keyboard.press("Enter")


def _answer(page: Page, part: str) -> str:
    """The newest answer, when it has this part and is complete."""
    newest = page.locator("[id^=message-]", has=page.locator(".chat-assistant")).last
    newest.locator(".chat-assistant", has_text=part).wait_for()
    newest.get_by_role("button", name="Regenerate").wait_for()
    text: str = newest.locator(".chat-assistant").inner_text()
    return " ".join(text.split())


def _photograph(page: Page, picture: Path) -> None:
    page.wait_for_function("!document.querySelector('[data-sonner-toast]')")  # "logged in"
    page.screenshot(path=picture, animations="disabled")
    print(f"    {picture.name}: {picture.stat().st_size // 1000} kB", flush=True)


if __name__ == "__main__":
    sys.exit(main())
