"""Runs scripts, each in a fork: `all_clients.py '{"SCRIPT": [MODE, …], …}'` prints what each prints,
and its exit code, as JSON. What they share is imported once: that takes longer than what they do.
"""

from __future__ import annotations

import gc
import json
import os
import runpy
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import IO, Any

gc.disable()  # what is imported lives to the end: the collector would walk over it again and again

from anthropic import Anthropic
from asked import MODEL, STREAM
from openai import OpenAI


def warm() -> None:
    """The official clients make the types of their answers at the first ones."""
    messages: Any = [{"role": "user", "content": STREAM}]
    with OpenAI() as client:
        for streamed in (False, True):
            [*client.responses.create(model=MODEL, input=STREAM, stream=streamed)]
            [*client.chat.completions.create(model=MODEL, messages=messages, stream=streamed)]
    with Anthropic() as client:
        [*client.messages.create(model=MODEL, messages=messages, max_tokens=9, stream=True)]


def run(script: str, modes: list[str]) -> dict[str, object]:
    """What a script prints for its modes, and its exit code."""
    path = str(Path(__file__).with_name(script))
    with tempfile.TemporaryFile() as printed, tempfile.TemporaryFile() as errors:
        if not hasattr(os, "fork"):
            command = [sys.executable, path, *modes]
            code = subprocess.run(command, stdout=printed, stderr=errors, check=False).returncode
        elif (child := os.fork()) == 0:
            os.dup2(printed.fileno(), 1)
            os.dup2(errors.fileno(), 2)
            sys.argv = [path, *modes]
            runpy.run_path(path, run_name="__main__")
            sys.exit()
        else:
            code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
        return {"code": code, "printed": text(printed), "errors": text(errors)}


def text(file: IO[bytes]) -> str:
    file.seek(0)
    return file.read().decode()


warm()
print(json.dumps({script: run(script, modes) for script, modes in json.loads(sys.argv[1]).items()}))
