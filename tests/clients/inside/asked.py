"""What every client is asked for, and the form in which its answers are told.

Runs inside the clients' own interpreters. A client's script has a function for each thing it can
do, and ends in `tell(...)`.
"""

from __future__ import annotations

import json
import os
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


def tell(*features: Callable[[], Any]) -> None:
    """Runs the functions, and prints what they return by their names; or their errors."""
    told = {}
    for feature in features:
        try:
            told[feature.__name__] = feature()
        except Exception as error:  # noqa: BLE001  (whatever it is, it is the answer)
            told[feature.__name__] = f"{type(error).__name__}: {error}"
    json.dump(told, sys.stdout)
