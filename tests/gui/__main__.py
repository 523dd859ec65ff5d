"""A real chat client with windows and buttons, in a real browser: `python -m tests.gui`.

Open WebUI, as its users install it, is told our base URL and nothing else of ours, and driven in
Chromium against `codexapi serve --demo`. No part of the gate: it installs gigabytes, once.
"""

from __future__ import annotations

import re
import shutil
import signal
import subprocess
import sys
import tempfile
from pathlib import Path

from tests.downloads import CACHE, Unavailable
from tests.processes import ROOT, Running, server
from tests.suites.surroundings import python, surroundings

from .open_webui import VERSION, open_webui

INSIDE = Path(__file__).parent / "inside" / "browser.py"
BROWSERS = ("chromium", "chromium-browser", "google-chrome", "chrome")


def main() -> int:
    try:
        browser, driver = _browser(), python("playwright")
        with tempfile.TemporaryDirectory() as scratch, server("--demo") as ours:
            with open_webui(ours, Path(scratch)) as client:
                print(f"Open WebUI {VERSION} on codexapi serve --demo", flush=True)
                done = subprocess.run(
                    [driver, INSIDE, client, ours.url, browser, ROOT / "docs", CACHE],
                    env=surroundings(ours), stdin=subprocess.DEVNULL, check=False,
                )  # fmt: skip
                return done.returncode or _refused(ours)
    except (Unavailable, OSError) as error:
        print(f"cannot be had: {error}", file=sys.stderr)
        return 1


def _browser() -> str:
    found = next(filter(None, map(shutil.which, BROWSERS)), None)
    if found is None:
        raise Unavailable(f"a browser: none of {', '.join(BROWSERS)} is on PATH")
    return found


def _refused(ours: Running) -> int:
    """Looks in the server's log for what the client asks beside the chat: titles, tags, suggestions.
    It hides when they fail. The server ends first, so that it finishes them."""
    ours.stop(signal.SIGTERM)
    assert ours.process.stderr is not None
    replies = re.findall(r"(?:GET|POST) \S+ \d{3}\b", ours.process.stderr.read())
    refused = [reply for reply in replies if not reply.endswith(" 200")]
    print(f"{'not ok' if refused else 'ok'}  {len(replies)} requests in all, refused: {refused}")
    return 1 if refused or not replies else 0


if __name__ == "__main__":
    sys.exit(main())
