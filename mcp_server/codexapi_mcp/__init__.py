"""An MCP server over the engine. Its stdout belongs to the protocol.

Names are loaded on first use: an invalid option is reported without loading the SDK.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .endpoint import Endpoint
    from .options import Options
    from .server import create_server
    from .stdio import serve

__all__ = ["Endpoint", "Options", "create_server", "serve"]

_HOMES = {"Endpoint": "endpoint", "Options": "options", "create_server": "server", "serve": "stdio"}


def __getattr__(name: str) -> Any:
    if name in _HOMES:
        return getattr(import_module(f".{_HOMES[name]}", __name__), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
