"""An MCP server over the engine. Its stdout belongs to the protocol."""

from __future__ import annotations

from .server import create_server, serve

__all__ = ["create_server", "serve"]
