"""The table of programs that can use `codexapi serve`: their settings, and where they keep them.

To add one, add an `ApiClient` to `CLIENTS`: with `entries`, `setup` writes them into its file; with
`words` alone it prints them, for the user to enter. All else follows from the table.
"""

from __future__ import annotations

import json
import shlex
from collections.abc import Mapping
from typing import Any, Final

from . import ollama_clients as ollama
from .api_client import NAME, OUTPUT, UNUSED, ApiClient, ModelInfo, ServerInfo
from .edits import Entry, ListItem
from .system import LINUX, MACOS, WINDOWS

# Those whose settings are a file.


def _codex(point: ServerInfo) -> list[Entry]:
    """A profile, which is a file of its own (0.169.0: `codex --profile NAME`).

    Without `supports_standalone_web_search` the CLI gives the model no search on a provider that is
    not its own, and says nothing (0.171.0, recorded).
    """
    served: dict[str, Any] = {
        "name": NAME,
        "base_url": point.url,
        "wire_api": "responses",
        "supports_standalone_web_search": True,
    }
    if point.key != UNUSED:
        served["env_key"] = "CODEXAPI_API_KEY"
    return [
        Entry(("model",), point.model),
        Entry(("model_provider",), NAME),
        Entry(("model_providers", NAME), served),
    ]


def _key_env(point: ServerInfo) -> Mapping[str, str]:
    return {} if point.key == UNUSED else {"CODEXAPI_API_KEY": point.key}


def _continue(point: ServerInfo) -> list[Entry]:
    served: dict[str, Any] = {
        "name": NAME,
        "provider": "openai",
        "model": point.model,
        "apiBase": point.url,
        "apiKey": point.key,
        "roles": ["chat", "edit", "apply"],
        "capabilities": ["tool_use", *(["image_input"] if point.models[0].images else [])],
        "defaultCompletionOptions": {"contextLength": point.models[0].context},
    }
    return [Entry(("models", ListItem("name", NAME)), served)]


def _aider(point: ServerInfo) -> list[Entry]:
    return [
        Entry(("openai-api-base",), point.url),
        Entry(("openai-api-key",), point.key),
        Entry(("model",), f"openai/{point.model}"),
    ]


def _zed(point: ServerInfo) -> list[Entry]:
    models = [
        {
            "name": model.name,
            "display_name": f"{model.name} ({NAME})",
            "max_tokens": model.context,
            "max_output_tokens": OUTPUT,
            "capabilities": {
                "tools": True, "images": model.images, "parallel_tool_calls": True,
                "prompt_cache_key": True,
            },
        }
        for model in point.models
    ]  # fmt: skip
    served = {"api_url": point.url, "available_models": models}
    return [Entry(("language_models", "openai_compatible", NAME), served)]


def _vs_code(point: ServerInfo) -> list[Entry]:
    models = [
        {
            "id": model.name,
            "name": model.name,
            "url": f"{point.url}/chat/completions",
            "toolCalling": True,
            "vision": model.images,
            "maxInputTokens": model.context - OUTPUT,
            "maxOutputTokens": OUTPUT,
        }
        for model in point.models
    ]
    served = {
        "name": NAME, "vendor": "customendpoint", "apiKey": point.key,
        "apiType": "chat-completions", "models": models,
    }  # fmt: skip
    return [Entry((ListItem("name", NAME),), served)]


def _librechat(point: ServerInfo) -> list[Entry]:
    served = {
        "name": NAME,
        "apiKey": point.key,
        "baseURL": point.url,
        "models": {"default": [model.name for model in point.models], "fetch": True},
        "titleConvo": True,
        "titleModel": "current_model",
        "modelDisplayLabel": NAME,
    }
    return [Entry(("endpoints", "custom", ListItem("name", NAME)), served)]


def _opencode(point: ServerInfo) -> list[Entry]:
    models = {
        model.name: {
            "name": model.name,
            "attachment": model.images,
            "reasoning": True,
            "tool_call": True,
            "modalities": {"input": _modalities(model), "output": ["text"]},
            "limit": {"context": model.context, "output": OUTPUT},
        }
        for model in point.models
    }
    provider = {
        "npm": "@ai-sdk/openai-compatible",  # comes with it
        "name": NAME,
        "options": {"baseURL": point.url, "apiKey": point.key},
        "models": models,
    }
    return [Entry(("provider", NAME), provider)]


def _opencode_env(point: ServerInfo) -> Mapping[str, str]:
    """It merges this into its settings (1.18.33), so that the user's own model stays theirs."""
    return {"OPENCODE_CONFIG_CONTENT": json.dumps({"model": f"{NAME}/{point.model}"})}


def _pi(point: ServerInfo) -> list[Entry]:
    models = [
        {
            "id": model.name,
            "reasoning": True,
            "input": _modalities(model),
            "contextWindow": model.context,
            "maxTokens": OUTPUT,
        }
        for model in point.models
    ]
    # In a key, "$" begins a variable and "!" a command.
    key = point.key.replace("$", "$$")
    key = f"$!{key[1:]}" if key.startswith("!") else key
    provider = {
        "baseUrl": point.url, "api": "openai-responses", "apiKey": key, "models": models
    }  # fmt: skip
    return [Entry(("providers", NAME), provider)]


def _mistral_vibe(point: ServerInfo) -> list[Entry]:
    provider = {"name": NAME, "api_base": point.url}
    if point.key != UNUSED:
        provider["api_key_env_var"] = "CODEXAPI_API_KEY"
    model = {
        "name": point.model,
        "provider": NAME,
        "alias": NAME,
        "supports_images": point.models[0].images,
        "max_context_length": point.models[0].context,
    }
    return [
        Entry(("providers", ListItem("name", NAME)), provider),
        Entry(("models", ListItem("alias", NAME)), model),
    ]


def _mistral_vibe_env(point: ServerInfo) -> Mapping[str, str]:
    return {"VIBE_ACTIVE_MODEL": NAME, **_key_env(point)}


def _claude_code(point: ServerInfo) -> list[Entry]:
    """Variables that it sets for itself (2.1.332)."""
    return [Entry(("env", name), value) for name, value in _claude_code_env(point).items()]


def _crush(point: ServerInfo) -> list[Entry]:
    """Over Anthropic's API, by which it carries a model's reasoning from turn to turn itself: its
    provider for OpenAI's is Chat Completions. In a key, "$" begins a variable."""
    models = [
        {
            "id": model.name,
            "name": model.name,
            "context_window": model.context,
            "default_max_tokens": OUTPUT,
            "can_reason": True,
            "supports_attachments": model.images,
        }
        for model in point.models
    ]
    provider = {
        "name": NAME,
        "type": "anthropic",
        "base_url": point.base,
        "api_key": UNUSED if point.key == UNUSED else "$CODEXAPI_API_KEY",
        "models": models,
    }
    return [Entry(("providers", NAME), provider)]


def _modalities(model: ModelInfo) -> list[str]:
    return ["text", "image"] if model.images else ["text"]


# Those with settings in the environment.


def _openai(point: ServerInfo) -> Mapping[str, str]:
    return {"OPENAI_BASE_URL": point.url, "OPENAI_API_KEY": point.key}


def _anthropic(point: ServerInfo) -> Mapping[str, str]:
    return {"ANTHROPIC_BASE_URL": point.base, "ANTHROPIC_API_KEY": point.key}


def _claude_code_env(point: ServerInfo) -> Mapping[str, str]:
    """It takes an unknown model's window for a million tokens, and with an API key in place of a
    token it asks first whether to use it."""
    return {
        "ANTHROPIC_BASE_URL": point.base,
        "ANTHROPIC_AUTH_TOKEN": point.key,
        "ANTHROPIC_MODEL": point.model,
        "CLAUDE_CODE_MAX_CONTEXT_TOKENS": str(point.models[0].context),
        "CLAUDE_CODE_ENABLE_GATEWAY_MODEL_DISCOVERY": "1",
    }


def _goose(point: ServerInfo) -> Mapping[str, str]:
    """Over Anthropic's API, for the same reason as Crush."""
    return {
        "GOOSE_PROVIDER": "anthropic",
        "GOOSE_MODEL": point.model,
        "GOOSE_CONTEXT_LIMIT": str(point.models[0].context),
        "ANTHROPIC_HOST": point.base,
        "ANTHROPIC_API_KEY": point.key,
    }


def _qwen_code(point: ServerInfo) -> Mapping[str, str]:
    return {**_openai(point), "OPENAI_MODEL": point.model}


def _langchain_env(point: ServerInfo) -> Mapping[str, str]:
    return {"OPENAI_API_BASE": point.url, **_openai(point)}


def _open_webui(point: ServerInfo) -> Mapping[str, str]:
    return {
        "OPENAI_API_BASE_URL": point.url,
        "OPENAI_API_KEY": point.key,
        "ENABLE_IMAGE_GENERATION": "true",
        "IMAGE_GENERATION_ENGINE": "openai",
        "IMAGES_OPENAI_API_BASE_URL": point.url,
        "IMAGES_OPENAI_API_KEY": point.key,
    }


def exports(env: Mapping[str, str]) -> str:
    """As a POSIX shell reads them."""
    return "".join(f"export {name}={shlex.quote(value)}\n" for name, value in env.items())


def _fish(point: ServerInfo) -> str:
    quoted = {
        name: value.replace("\\", "\\\\").replace("'", "\\'")
        for name, value in _openai(point).items()
    }
    return "".join(f"set -gx {name} '{value}'\n" for name, value in quoted.items())


def _powershell(point: ServerInfo) -> str:
    quoted = {name: value.replace("'", "''") for name, value in _openai(point).items()}
    return "".join(f"$env:{name} = '{value}'\n" for name, value in quoted.items())


def _langchain_words(point: ServerInfo) -> str:
    return f"""\
{exports(_langchain_env(point))}
# Or in the program itself:
# from langchain_openai import ChatOpenAI
# ChatOpenAI(model={point.model!r}, base_url={point.url!r}, api_key={point.key!r})
"""


def _open_webui_words(point: ServerInfo) -> str:
    return f"""\
{exports(_open_webui(point))}
# They hold at its first start. Later: Admin Panel > Settings > Connections, and Images.
"""


# Those whose settings the user enters.


def _cline(point: ServerInfo) -> str:
    command = shlex.join(
        [
            "cline", "auth", "--provider", "openai", "--apikey", point.key, "--modelid", point.model,
            "--baseurl", point.url,
        ]
    )  # fmt: skip
    return f"""\
In a terminal:
  {command}

In an editor: Settings > API Configuration
  API Provider     OpenAI Compatible
  Base URL         {point.url}
  API Key          {point.key}
  Model ID         {point.model}
  Context Window   {point.models[0].context}
  Supports Images  yes
"""


def _jetbrains(point: ServerInfo) -> str:
    return f"""\
Settings > Tools > AI Assistant > Providers & API keys (before: Models) > OpenAI-compatible
  URL      {point.url}
  API Key  {point.key}
  Model    {point.model}
"""


def _n8n(point: ServerInfo) -> str:
    return f"""\
Credentials > New > OpenAI
  API Key   {point.key}
  Base URL  {point.url}
Model of the OpenAI node: {point.model} (By ID: its list leaves out names that it does not know)

n8n in Docker reaches this machine as http://host.docker.internal:PORT/v1, and the server then needs
  codexapi serve --host 0.0.0.0 --api-key-file FILE --allow-host host.docker.internal
"""


def _cursor(point: ServerInfo) -> str:
    return f"""\
Cursor sends what it asks of a model from its own servers, and they cannot reach
{point.url}. Do not put this server on the internet for it: it is for your own use alone.
In Cursor, codexapi can be used as an MCP server:
  codexapi mcp install cursor
"""


_ZED_FILES = {
    LINUX: "{config}/zed/settings.json",
    MACOS: "{home}/.config/zed/settings.json",
    WINDOWS: "{appdata}/Zed/settings.json",
}
_VS_CODE_FILE = "Code/User/chatLanguageModels.json"

CLIENTS: Final = (
    ApiClient(
        "codex", "Codex CLI", "codex --profile codexapi uses it.",
        files={"": "{codex}/codexapi.config.toml"}, form="toml", entries=_codex, env=_key_env,
        run=("codex", "--profile", NAME),
    ),
    ApiClient(
        "claude-code", "Claude Code",
        "claude uses it. Its auto mode has no safety check here: on a terminal it asks you instead, "
        "and claude -p refuses. --permission-mode default asks as before; "
        "CLAUDE_CODE_AUTO_MODE_SERVER=0 lets the model decide.",
        files={"": "{claude_settings}/settings.json"}, entries=_claude_code, run=("claude",),
    ),
    ApiClient(
        "continue", "Continue", "It is in the list of models of its panel.",
        files={"": "{home}/.continue/config.yaml"}, form="yaml", entries=_continue,
        opening=[
            Entry(("name",), "Local"), Entry(("version",), "1.0.0"), Entry(("schema",), "v1"),
        ],
        run=("cn", "--config", "{file}"),
    ),
    ApiClient(
        "aider", "aider", "It holds wherever aider is started.",
        files={"": "{home}/.aider.conf.yml"}, form="yaml", entries=_aider, run=("aider",),
    ),
    ApiClient(
        "zed", "Zed",
        "Its agent panel lists the models. It wants a key, from the variable CODEXAPI_API_KEY or "
        "typed in its settings: any text, if the server asks for none.",
        files=_ZED_FILES,
        entries=_zed, env=lambda point: {"CODEXAPI_API_KEY": point.key}, run=("zed",),
    ),
    ApiClient(
        "vscode", "VS Code (Copilot Chat)",
        "The models are in the chat's picker, after a restart. `Chat: Open Language Models (JSON)` "
        "opens the file.",
        files={
            LINUX: f"{{config}}/{_VS_CODE_FILE}", MACOS: f"{{support}}/{_VS_CODE_FILE}",
            WINDOWS: f"{{appdata}}/{_VS_CODE_FILE}",
        },
        entries=_vs_code, run=("code",),
    ),
    ApiClient(
        "librechat", "LibreChat",
        "Restart it. In Docker: --url http://host.docker.internal:PORT/v1, and the server needs "
        "--host 0.0.0.0 --api-key-file FILE --allow-host host.docker.internal.",
        files={"": "librechat.yaml"}, form="yaml", entries=_librechat,
        opening=[Entry(("version",), "1.3.17")],
    ),
    ApiClient(
        "opencode", "opencode", f"opencode --model {NAME}/MODEL uses it; /models lists them.",
        files={"": "{config}/opencode/opencode.json"}, entries=_opencode, env=_opencode_env,
        run=("opencode",),
    ),
    ApiClient(
        "pi", "pi", f"pi --provider {NAME} uses it; /model lists them.",
        files={"": "{pi}/models.json"}, entries=_pi,
        run=("pi", "--provider", NAME, "--model", "{model}"),
    ),
    ApiClient(
        "mistral-vibe", "Mistral Vibe",
        f"/model has it as {NAME}; VIBE_ACTIVE_MODEL={NAME} vibe begins with it.",
        files={"": "{vibe}/config.toml"}, form="toml", entries=_mistral_vibe,
        env=_mistral_vibe_env, run=("vibe",),
    ),
    ApiClient(
        "crush", "Crush",
        "Its picker of models (Ctrl-L) lists them. A key comes from the variable CODEXAPI_API_KEY.",
        files={"": "{config}/crush/crush.json"}, entries=_crush, env=_key_env, run=("crush",),
    ),
    ApiClient("shell", "any program, in a POSIX shell", env=_openai, run=("{shell}",), models=False),
    ApiClient(
        "fish", "any program, in fish", env=_openai, run=("fish",), words=_fish,
        unset="set -e {}", models=False,
    ),
    ApiClient(
        "powershell", "any program, in PowerShell", env=_openai, run=("pwsh",), words=_powershell,
        unset="Remove-Item Env:{}", models=False,
    ),
    ApiClient(
        "open-webui", "Open WebUI", env=_open_webui, run=("open-webui", "serve"),
        words=_open_webui_words, models=False,
    ),
    ApiClient(
        "langchain", "LangChain", env=_langchain_env, run=("python",), words=_langchain_words
    ),
    ApiClient("qwen-code", "Qwen Code", env=_qwen_code, run=("qwen",)),
    ApiClient(
        "anthropic", "any program with Anthropic's SDK, in a POSIX shell", env=_anthropic,
        run=("{shell}",), models=False,
    ),
    ApiClient("claude-agent-sdk", "Claude Agent SDK", env=_claude_code_env, run=("python",)),
    ApiClient("goose", "Goose", env=_goose, run=("goose", "session")),
    ApiClient("cline", "Cline", words=_cline),
    ApiClient("jetbrains", "JetBrains AI Assistant", words=_jetbrains),
    ApiClient("n8n", "n8n", words=_n8n),
    ApiClient(
        "ollama", "any program that looks for Ollama", env=ollama.environment, run=("ollama",),
        words=ollama.any_program, models=False,
    ),
    ApiClient(
        "zed-ollama", "Zed, as Ollama", "Its agent panel lists the models under Ollama.",
        files=_ZED_FILES, entries=ollama.zed, run=("zed",),
    ),
    ApiClient("vscode-ollama", "VS Code, as Ollama", words=ollama.vs_code, models=False),
    ApiClient("jetbrains-ollama", "JetBrains, as Ollama", words=ollama.jetbrains, models=False),
    ApiClient("home-assistant", "Home Assistant", words=ollama.home_assistant),
    ApiClient("raycast", "Raycast", words=ollama.raycast, models=False),
    ApiClient("obsidian-copilot", "Copilot for Obsidian", words=ollama.obsidian),
    ApiClient("cursor", "Cursor", words=_cursor, models=False),
)  # fmt: skip
