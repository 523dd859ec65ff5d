"""The settings of programs that use a local model by Ollama's API alone."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from codexapi_engine.settings import OLLAMA_PORT

from .edits import Entry

if TYPE_CHECKING:
    from .api_client import ServerInfo


def address(point: ServerInfo) -> str:
    """The server's address as these programs want it: without /v1."""
    return point.url.removesuffix("/v1")


def environment(point: ServerInfo) -> Mapping[str, str]:
    """For Ollama's own command and its client libraries."""
    return {"OLLAMA_HOST": address(point)}


def zed(point: ServerInfo) -> list[Entry]:
    models = [
        {
            "name": model.name,
            "display_name": model.name,
            "max_tokens": model.context,
            "supports_tools": True,
            "supports_thinking": True,
            "supports_images": model.images,
        }
        for model in point.models
    ]
    return [
        Entry(("language_models", "ollama", "api_url"), address(point)),
        Entry(("language_models", "ollama", "available_models"), models),
    ]


def vs_code(point: ServerInfo) -> str:
    return f"""\
Chat > the model's name > Manage Models > Add Models > Ollama
  URL  {address(point)}
Each model then stands in the chat's picker, with its context and what it can do.
(`codexapi setup vscode` does without Ollama's API.)
"""


def jetbrains(point: ServerInfo) -> str:
    return f"""\
Settings > Tools > AI Assistant > Providers & API keys (before: Models) > Ollama
  URL  {address(point)}
It sends no key: the server must ask for none.
"""


def home_assistant(point: ServerInfo) -> str:
    return f"""\
Settings > Devices & services > Add integration > Ollama
  URL      {address(point)}
  API key  {point.key}
Then add a conversation agent, with the model {point.model}

Home Assistant on another machine, or in a container, reaches this one by its name or address:
  codexapi serve --host 0.0.0.0 --api-key-file FILE --allow-host NAME
"""


def raycast(point: ServerInfo) -> str:
    return f"""\
Settings > AI > Local Models > Ollama Host
  {address(point).partition("://")[2]}
Then Sync Models. It sends no key: the server must ask for none.
"""


def obsidian(point: ServerInfo) -> str:
    return f"""\
Settings > Copilot > Model > Add Custom Model
  Provider    Ollama
  Model Name  {point.model}
  Base URL    {address(point)}

Obsidian's plugins are web pages to the server, which lets none call it unless it is started so:
  codexapi serve --ollama --cors app://obsidian.md
"""


def any_program(point: ServerInfo) -> str:
    return f"""\
export OLLAMA_HOST={address(point)}

# A program whose address cannot be changed looks at 127.0.0.1:{OLLAMA_PORT}:
# codexapi serve --ollama
"""
