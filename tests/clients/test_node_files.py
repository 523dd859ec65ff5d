"""The official client for Node stores files and transcribes an audio file."""

from __future__ import annotations

import base64
import json
import subprocess
from pathlib import Path

import pytest
from tests.audio_files import wav
from tests.clients.test_clients import Client, installed
from tests.suites.surroundings import MODEL, door, surroundings


@pytest.mark.clients
@pytest.mark.timeout(900)  # the first run installs
def test_the_client_for_node_stores_files_and_transcribes(tmp_path: Path) -> None:
    command, folder = installed(Client("node_files.mjs", pins="node-clients"), tmp_path)
    audio_file = base64.b64encode(wav([1, 2])).decode()
    with door() as ours:
        done = subprocess.run(
            [*command, audio_file], cwd=folder, stdin=subprocess.DEVNULL,
            env=surroundings(ours, MODEL=MODEL, HOME=str(tmp_path)),
            capture_output=True, text=True, timeout=100, check=False,
        )  # fmt: skip
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout)
    assert "paper.pdf (“Attention is all you need”)" in told.pop("answer")
    assert told == {
        "name": "paper.pdf", "lifetime": 3600, "listed": True, "same": True, "deleted": True,
        "gone": 404, "heard": "two three",
        "events": ["transcript.text.delta", "transcript.text.done"],
    }  # fmt: skip
