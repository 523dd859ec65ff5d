"""What every client is asked for, and the form in which its answers are told.

Runs inside the clients' own interpreters. A client's script has a function for each thing it can
do, and ends in `tell(...)`.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from typing import Any

from pydantic import BaseModel

URL, KEY = os.environ["OPENAI_BASE_URL"], os.environ["OPENAI_API_KEY"]
MODEL = os.environ["MODEL"]
TEXT = "[[say Good morning.]]"
STREAM = "[[say One two three.]]"
TOOLS = "What is the weather in Paris and Rome?"
EXTRACT = "Extract: Ada is 36 years old"


class Person(BaseModel):
    name: str
    age: int


def weather(location: str) -> str:
    return f"20 degrees in {location}"


def mode() -> str:
    """The argument that this process is for. Each has a fork, once all that they share is imported:
    that takes longer than what they do."""
    *others, last = sys.argv[1:]
    for name in others:
        if not hasattr(os, "fork"):
            subprocess.run([sys.executable, sys.argv[0], name], check=True)
        elif (child := os.fork()) == 0:
            return name
        elif code := os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]):
            sys.exit(f"{name}: exit code {code}")
    return last


def tell(*features: Callable[[], Any]) -> None:
    """Runs the functions, and prints what they return by their names; or their errors."""
    told = {}
    for feature in features:
        try:
            told[feature.__name__] = feature()
        except Exception as error:  # noqa: BLE001  (whatever it is, it is the answer)
            told[feature.__name__] = f"{type(error).__name__}: {error}"
    print(json.dumps(told), flush=True)
