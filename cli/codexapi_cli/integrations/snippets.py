"""The texts that a user pastes into programs, as `setup` prints them; the server's page shows them.

curl, Python and Node stand here: they have no settings, and `setup` writes none for them.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from importlib import import_module
from pathlib import PurePosixPath, PureWindowsPath
from typing import TYPE_CHECKING, Any, Final, cast

from .api_client import CONTEXT, UNUSED, ApiClient, ModelInfo, ServerInfo
from .edits import DocumentFormat, Entry, ListItem, snippet
from .http_clients import CLIENTS, exports
from .system import WINDOWS, System

if TYPE_CHECKING:
    from codexapi_engine.protocol.models import Model

KEY_HERE: Final = "YOUR-KEY"
"""Stands for the key, which no page shows."""

FIRST: Final = {
    "curl": "curl",
    "python": "Python",
    "node": "Node",
    "claude-code": "Claude Code",
    "ollama": "Ollama",
}
"""The programs that most users look for, in this order, and their short titles."""


def snippets(url: str, models: Sequence[Model], keyed: bool) -> list[dict[str, Any]]:
    """Each program with its texts: `{"name", "title", "parts": [{"title", "text"}], "after"}`."""
    known = [model_info(model) for model in models if model.listed] or [ModelInfo("MODEL")]
    point = ServerInfo(url, known, KEY_HERE if keyed else UNUSED)
    programs = {client.name: client for client in (*_PLAIN, *CLIENTS)}
    order = [*FIRST, *(name for name in programs if name not in FIRST)]
    return [_snippet(programs[name], point) for name in order]


def pasted(form: DocumentFormat, entries: Sequence[Entry]) -> str:
    """Settings as they stand in a file. Raises Refused."""
    if is_list(entries):
        return json.dumps([entry.value for entry in entries], indent=2, ensure_ascii=False) + "\n"
    return snippet(form, entries)


def is_list(entries: Sequence[Entry]) -> bool:
    """Whether a file is a list of such entries, and no object with members."""
    return isinstance(entries[0].path[0], ListItem)


def form_of(client: ApiClient) -> DocumentFormat:
    return cast(DocumentFormat, import_module(f".edits.{client.form}", __package__))


def words(client: ApiClient, point: ServerInfo) -> str:
    """What a user enters in a program without a settings file."""
    return client.words(point) if client.words else exports(client.env(point))


def model_info(model: Model) -> ModelInfo:
    return ModelInfo(model.slug, model.context_window or CONTEXT, "image" in model.modalities)


def _snippet(client: ApiClient, point: ServerInfo) -> dict[str, Any]:
    parts = [{"title": title, "text": text} for title, text in _snippet_parts(client, point)]
    title = FIRST.get(client.name) or client.title.replace("any program", "Any program", 1)
    return {"name": client.name, "title": title, "parts": parts, "after": client.after}


def _snippet_parts(client: ApiClient, point: ServerInfo) -> Iterator[tuple[str, str]]:
    if client.entries is None:
        yield _TITLES.get(client.name, "Enter this"), words(client, point)
        if client.name in _PACKAGES:
            yield "Once, in a terminal", f"{_PACKAGES[client.name]}\n"
        return
    yield "In a terminal, this writes its settings", f"codexapi setup {client.name}\n"
    yield f"Or paste into {_place(client)}", pasted(form_of(client), client.entries(point))


def _place(client: ApiClient) -> str:
    """The settings file, without the name of the user's folder."""
    here = System.this()
    home = PureWindowsPath("%USERPROFILE%") if here.platform == WINDOWS else PurePosixPath("~")
    return str(client.place(System(here.platform, home, {})))


def _curl(point: ServerInfo) -> str:
    key = "" if point.key == UNUSED else f"  -H 'Authorization: Bearer {point.key}' \\\n"
    body = json.dumps({"model": point.model, "input": "Say hello"})
    return f"""\
curl {point.url}/responses \\
{key}  -H 'Content-Type: application/json' \\
  -d '{body}'
"""


def _python(point: ServerInfo) -> str:
    return f"""\
from openai import OpenAI

client = OpenAI(base_url="{point.url}", api_key="{point.key}")
response = client.responses.create(model="{point.model}", input="Say hello")
print(response.output_text)
"""


def _node(point: ServerInfo) -> str:
    return f"""\
import OpenAI from "openai";

const client = new OpenAI({{ baseURL: "{point.url}", apiKey: "{point.key}" }});
const response = await client.responses.create({{ model: "{point.model}", input: "Say hello" }});
console.log(response.output_text);
"""


_PLAIN: Final = (
    ApiClient("curl", "curl", words=_curl),
    ApiClient("python", "Python", words=_python),
    ApiClient("node", "Node", words=_node),
)
_PACKAGES: Final = {"python": "pip install openai", "node": "npm install openai"}
_TITLES: Final = {
    "curl": "In a terminal",
    "python": "example.py",
    "node": "example.mjs",
    **dict.fromkeys(
        ("shell", "fish", "powershell", "ollama", "open-webui", "langchain", "qwen-code",
         "anthropic", "claude-agent-sdk", "goose"),
        "In a terminal, before the program starts",
    ),
}  # fmt: skip
