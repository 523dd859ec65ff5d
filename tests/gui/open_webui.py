"""Open WebUI in an environment of its own, set up by its environment variables alone.

Its models for search and speech stay where they are: nothing here needs them, and it is told not
to fetch any.
"""

from __future__ import annotations

import secrets
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.error import URLError
from urllib.request import urlopen

from tests.downloads import PINS, Unavailable, kept, named, pip
from tests.processes import Running
from tests.suites.surroundings import surroundings

VERSION = "0.12.4"
START = "from open_webui import app; app()"
"""What its command does. The command itself would not survive that its folder is renamed."""

SECONDS = 1800.0
"""For the installation."""
READY = 300.0
"""For a start, which makes a database."""

OFFLINE = {
    "OFFLINE_MODE": "True",
    "HF_HUB_OFFLINE": "1",
    "RAG_EMBEDDING_ENGINE": "openai",  # else a model is loaded from a hub at the start
    "ENABLE_VERSION_UPDATE_CHECK": "False",
    "ANONYMIZED_TELEMETRY": "False",
    "DO_NOT_TRACK": "True",
    "SCARF_NO_ANALYTICS": "True",
}


@contextmanager
def open_webui(ours: Running, scratch: Path) -> Iterator[str]:
    """A running client of our server, and the address of its pages. Raises Unavailable."""
    interpreter, port, log = _interpreter(), _free_port(), scratch / "open-webui.log"
    command = [str(interpreter), "-c", START, "serve", "--host", "127.0.0.1", "--port", str(port)]
    with log.open("w") as told:
        process = subprocess.Popen(
            command, cwd=scratch, env=_settings(ours, scratch), stdin=subprocess.DEVNULL,
            stdout=told, stderr=told,
        )  # fmt: skip
        try:
            _wait(process, f"http://127.0.0.1:{port}/health", log)
            yield f"http://127.0.0.1:{port}/"
        finally:
            process.kill()
            process.wait()


def _settings(ours: Running, scratch: Path) -> dict[str, str]:
    return surroundings(
        ours,
        OPENAI_API_BASE_URL=ours.url,
        IMAGES_OPENAI_API_BASE_URL=ours.url,
        ENABLE_IMAGE_GENERATION="True",
        ENABLE_OLLAMA_API="False",
        WEBUI_AUTH="False",
        WEBUI_SECRET_KEY=secrets.token_hex(32),
        DATA_DIR=str(scratch),
        HOME=str(scratch),
        **OFFLINE,
    )


def _interpreter() -> Path:
    """The interpreter of an environment with the client, as the Python index has it."""
    if sys.version_info >= (3, 13):
        raise Unavailable("Open WebUI runs on Python 3.11 and 3.12 only; use one of them")
    pins = PINS / "open-webui.txt"
    inside = Path("Scripts" if sys.platform == "win32" else "bin") / "python"

    def make(folder: Path) -> None:
        subprocess.run([sys.executable, "-m", "venv", folder], check=True)
        pip(
            "--python", str(folder / inside), "install", "-c", str(pins),
            f"open-webui=={VERSION}", seconds=SECONDS,
        )  # fmt: skip

    return kept(named("open-webui", pins.read_bytes()), make) / inside


def _free_port() -> int:
    """It names no port that it chose itself, so one that is free now is chosen for it."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port: int = listener.getsockname()[1]
        return port


def _wait(process: subprocess.Popen[bytes], url: str, log: Path) -> None:
    late = time.monotonic() + READY
    while process.poll() is None and time.monotonic() < late:
        try:
            with urlopen(url, timeout=5):
                return
        except (URLError, OSError):
            time.sleep(0.5)
    raise Unavailable(f"Open WebUI did not start:\n{log.read_text()[-3000:]}")
