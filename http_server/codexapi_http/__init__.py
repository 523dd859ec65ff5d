"""An OpenAI-compatible HTTP server over the engine."""

from __future__ import annotations

from .app import create_app
from .logs import configure as configure_log
from .server.key_file import read_key
from .server.serve import serve

__all__ = ["configure_log", "create_app", "read_key", "serve"]
