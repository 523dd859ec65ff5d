"""LangChain's standard tests of a chat model, for `ChatOpenAI` in both of its modes and for
`ChatAnthropic`.

Runs inside the suite's own interpreter; `tests/suites/langchain.py` starts it. What the tests would
fetch from the web is stood in for: they look at what comes back, not at the picture.
"""

from __future__ import annotations

import base64
import os
from types import SimpleNamespace
from typing import ClassVar

import pytest
from langchain_anthropic import ChatAnthropic
from langchain_core.messages import AIMessage, BaseMessage, HumanMessage
from langchain_openai import ChatOpenAI
from langchain_tests.integration_tests import ChatModelIntegrationTests, chat_models

MODEL = os.environ["MODEL"]
PNG = base64.b64decode(
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAIAAACQd1PeAAAADElEQVR4nGP4z8AAAAMBAQDJ/pLvAAAAAElFTkSuQmCC"
)
PDF = b"""%PDF-1.1
1 0 obj<</Type/Catalog/Pages 2 0 R>>endobj
2 0 obj<</Type/Pages/Kids[3 0 R]/Count 1>>endobj
3 0 obj<</Type/Page/Parent 2 0 R/MediaBox[0 0 9 9]>>endobj
trailer<</Root 1 0 R>>
%%EOF
"""


@pytest.fixture(autouse=True)
def offline(monkeypatch: pytest.MonkeyPatch) -> None:
    def stand_in(url: str, **_: object) -> SimpleNamespace:
        return SimpleNamespace(content=PDF if url.endswith(".pdf") else PNG)

    monkeypatch.setattr(chat_models.httpx, "get", stand_in)


class Standard(ChatModelIntegrationTests):
    mode: ClassVar = {}

    @property
    def chat_model_params(self):
        return {"model": MODEL, **self.mode}

    supports_image_inputs = True
    supports_image_urls = True
    supports_pdf_inputs = True
    supports_anthropic_inputs = True
    supports_model_override = True
    model_override_value = "gpt-5.5"

    supported_usage_metadata_details: ClassVar = {
        "invoke": ["reasoning_output", "cache_read_input"],
        "stream": ["reasoning_output", "cache_read_input"],
    }

    def invoke_with_cache_read_input(self, *, stream: bool = False) -> AIMessage:
        question = HumanMessage("Hello. " * 200)
        return self._answer([question, AIMessage("Hello."), question], stream)

    def invoke_with_reasoning_output(self, *, stream: bool = False) -> AIMessage:
        return self._answer([HumanMessage("Think about it.")], stream)

    def _answer(self, messages: list[BaseMessage], stream: bool) -> AIMessage:
        model = self.chat_model_class(**self.chat_model_params)
        if not stream:
            return model.invoke(messages)
        first, *rest = model.stream(messages)
        return sum(rest, first)


class OpenAI(Standard):
    supports_json_mode = True

    @property
    def chat_model_class(self):
        return ChatOpenAI


class TestChatCompletions(OpenAI):
    mode: ClassVar = {"use_responses_api": False, "stream_usage": True}


class TestResponses(OpenAI):
    mode: ClassVar = {"use_responses_api": True}
    supports_image_tool_message = True
    supports_pdf_tool_message = True


class TestMessages(Standard):
    supports_image_tool_message = True
    supports_pdf_tool_message = True

    @property
    def chat_model_class(self):
        return ChatAnthropic


class TestMessagesNativeOutput(TestMessages):
    structured_output_kwargs: ClassVar = {"method": "json_schema"}


class TestMessagesThinking(TestMessages):
    mode: ClassVar = {"thinking": {"type": "adaptive"}}
