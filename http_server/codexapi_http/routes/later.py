"""Endpoints whose module is loaded at their first request: a server needs few of them to begin."""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from importlib import import_module
from typing import Any

from starlette.responses import Response

Work = Callable[..., Coroutine[Any, Any, Response]]


class Later:
    """The endpoints of a module of this package, by their names."""

    def __init__(self, module: str) -> None:
        self._module = module

    def __getattr__(self, name: str) -> Work:
        async def work(*arguments: Any) -> Response:
            module = import_module(f".{self._module}", __package__)
            response: Response = await getattr(module, name)(*arguments)
            return response

        work.__name__ = name
        return work
