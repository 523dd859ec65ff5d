"""LangChain's standard tests of a chat model, for `ChatOllama`.

Runs inside the suite's own interpreter; `tests/suites/ollama.py` starts it. What the tests would
fetch from the web is stood in for: they look at what comes back, not at the picture.
"""

from __future__ import annotations

import base64
import os
from types import SimpleNamespace

import pytest
from langchain_ollama import ChatOllama
from langchain_tests.integration_tests import ChatModelIntegrationTests, chat_models

MODEL = os.environ["MODEL"]
PNG = base64.b64decode(
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAIAAACQd1PeAAAADElEQVR4nGP4z8AAAAMBAQDJ/pLvAAAAAElFTkSuQmCC"
)


@pytest.fixture(autouse=True)
def offline(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(chat_models.httpx, "get", lambda url, **_: SimpleNamespace(content=PNG))


class TestChatOllama(ChatModelIntegrationTests):
    @property
    def chat_model_class(self):
        return ChatOllama

    @property
    def chat_model_params(self):
        return {"model": MODEL, "reasoning": True}

    has_tool_choice = False  # ChatOllama sends none
    supports_json_mode = True
    supports_image_inputs = True
    supports_model_override = True
    model_override_value = "gpt-5.5"
