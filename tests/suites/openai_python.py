"""The official client's own tests, with strict validation: `python -m tests.suites.openai_python`.

They were written for a mock that says yes to everything. A case is a method of its test classes,
and passes when all its variants do: sync and async, loose and strict, and over aiohttp. What they
read, change and delete by fixed ids is made through our server first, and put back for each test.
"""

from __future__ import annotations

import json
import sqlite3
import sys
import tempfile
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

from openai import OpenAI

from .outcome import Exclusion, from_junit, report
from .surroundings import INSIDE, MODEL, aliases, door, pytest, python, source, surroundings

VERSION = "3.54.0"
NAMES = ("gpt-6-astra", "gpt-3.5-turbo-instruct", "model")
FILES = [
    "chat", "responses", "conversations", "test_completions.py", "test_models.py",
    "test_images.py", "test_responses.py", "test_conversations.py", "test_files.py",
    "audio/test_transcriptions.py",
]  # fmt: skip
ONE_CASE = {r"^tests\.api_resources\.": "", r"\.TestAsync": ".Test", r"\[.*\]$": ""}
RESPONSES = (
    "resp_677efb5139a88190b512bc3fef8e535d", "response_id", "resp_123", "previous_response_id",
)  # fmt: skip
"""Ids that the tests know."""
CHAT, CONVERSATION, ITEM, FILE = "completion_id", "conv_123", "msg_abc", "file_id"

EXCLUSIONS = [
    Exclusion(
        "everything at once: parameters that the Codex backend lacks, and some that exclude others",
        (
            r".*\.TestCompletions\.test_method_create_with_all_params_overload_[12]",
            r"test_responses\.TestResponses\.test_method_create_with_all_params_overload_[12]",
            r"responses\.test_input_tokens\.TestInputTokens\.test_method_count_with_all_params",
            r"test_images\.TestImages\.test_method_generate_with_all_params_overload_2",
        ),
    ),
    Exclusion(
        "pages of no items (`limit=0`), which the official API refuses too",
        (r"(chat|conversations|responses|test_files)\..*\.test_method_list_with_all_params",),
    ),
    Exclusion(
        "the Codex backend answers no request that says nothing",
        (
            r"test_responses\.TestResponses\.test_\w+_create_overload_[12]",
            r"test_responses\.TestResponses\.test_(method|raw_response|streaming_response)_compact",
        ),
    ),
    Exclusion(
        "what is compacted begins with the user's messages, which the client's type does not know",
        (r"test_responses\.TestResponses\.test_method_compact_with_all_params",),
    ),
    Exclusion(
        "the Codex backend edits pictures, and what is sent here is none",
        (r"test_images\.TestImages\.test_\w+_(edit|create_variation)\w*",),
    ),
    Exclusion(
        "the Codex backend has no fine-tuned models to delete",
        (r"test_models\.TestModels\.test_(method|raw_response|streaming_response)_delete",),
    ),
]


def main() -> int:
    interpreter, folder = python("openai-python"), source("openai", VERSION)
    with tempfile.TemporaryDirectory() as scratch:
        state, junit = Path(scratch) / "state.sqlite", Path(scratch) / "junit.xml"
        with door(*aliases(*NAMES), "--state", str(state)) as ours:
            seeds = {"file": str(state), "rows": list(seeded(ours.url, state))}
            env = surroundings(
                ours, TEST_API_BASE_URL=ours.url, PYTHONPATH=str(INSIDE), SEEDS=json.dumps(seeds)
            )
            files = [f"tests/api_resources/{name}" for name in FILES]
            plugin = ["-p", "openai_seeds"]
            pytest(interpreter, folder, *plugin, *files, *sys.argv[1:], env=env, junit=junit)
        return report(f"openai-python {VERSION}", from_junit(junit, ONE_CASE), EXCLUSIONS)


def seeded(url: str, state: Path) -> Iterator[tuple[str, str, str]]:
    """Objects as the server keeps them, under the ids that the tests know: kind, id, value."""
    with OpenAI(base_url=url, api_key="unused") as client:
        response = client.responses.create(model=MODEL, input="Hello", background=True)
        while response.status in ("queued", "in_progress"):
            response = client.responses.retrieve(response.id)
        # The client's type for a stored message knows no other role.
        messages = [{"role": "assistant", "content": "Hello"}]
        chat = client.chat.completions.create(model=MODEL, messages=messages, store=True)  # type: ignore[arg-type]
        said = [{"type": "message", "role": "user", "content": "Hello"}]
        conversation = client.conversations.create(items=said)  # type: ignore[arg-type]
        (item,) = client.conversations.items.list(conversation.id)
        file = client.files.create(file=b"Example data", purpose="assistants")
    known = {
        file.id: (FILE,),
        chat.id: (CHAT,),
        conversation.id: (CONVERSATION,),
        response.id: RESPONSES,
    }
    with closing(sqlite3.connect(state)) as database:
        rows = database.execute("SELECT kind, id, value FROM objects").fetchall()
    for kind, name, value in rows:
        for instead in known.get(name, ()):
            text = value.decode().replace(name, instead).replace(str(item.id), ITEM)
            yield kind, instead, text


if __name__ == "__main__":
    sys.exit(main())
