"""An OpenAI-compatible server over the engine: it parses, calls and renders."""

from __future__ import annotations

from .app import create_app
from .server import serve

__all__ = ["create_app", "serve"]
