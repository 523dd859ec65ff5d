"""Ollama's dialect: its chat and its generate, as lines of JSON."""

from __future__ import annotations

from .errors import error_body
from .models import VERSION, resolve, show, tags
from .reply import OllamaOptions, encode, fold
from .request import changed_names, from_client, loads_only, ollama_param
from .schema import GENERATE_RULES, RULES
from .splice import SplicingOllamaStream as OllamaStream

__all__ = [
    "GENERATE_RULES",
    "RULES",
    "VERSION",
    "OllamaOptions",
    "OllamaStream",
    "changed_names",
    "encode",
    "error_body",
    "fold",
    "from_client",
    "loads_only",
    "ollama_param",
    "resolve",
    "show",
    "tags",
]  # fmt: skip
