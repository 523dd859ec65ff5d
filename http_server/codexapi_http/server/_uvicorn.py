"""Imports uvicorn, in this module alone, without its command line.

The command line (click, the supervisors of several processes) is 13 ms of every start. A program that
serves our application by itself has `uvicorn.run` and `uvicorn.main` all the same: they are imported
when they are used.

These internals of uvicorn 0.54 are used, beside those that `uvicorn_protocol.py` lists:

* `uvicorn` takes `Server`, `main` and `run` from `uvicorn.main`, and `Server` is `uvicorn.server`'s
"""

from __future__ import annotations

import sys
from importlib import import_module
from types import ModuleType

_CLI, _NAMES = "uvicorn.main", ("main", "run")


def _from_cli(name: str) -> object:
    if name not in _NAMES:
        raise AttributeError(f"module 'uvicorn' has no attribute {name!r}")
    module = import_module(_CLI)  # which puts itself where the function belongs
    vars(uvicorn).update({each: getattr(module, each) for each in _NAMES})
    return getattr(module, name)


_blocked = "uvicorn" not in sys.modules
if _blocked:
    sys.modules[_CLI] = ModuleType(_CLI)
    vars(sys.modules[_CLI]).update(dict.fromkeys(("Server", *_NAMES)))

import uvicorn
from uvicorn.protocols.http.httptools_impl import (
    STATUS_LINE,
    HttpToolsProtocol,
    RequestResponseCycle,
)
from uvicorn.server import Server

if _blocked:
    del sys.modules[_CLI], uvicorn.main, uvicorn.run
    uvicorn.Server = Server  # type: ignore[misc]
    uvicorn.__getattr__ = _from_cli  # type: ignore[method-assign]

__all__ = ["STATUS_LINE", "HttpToolsProtocol", "RequestResponseCycle", "uvicorn"]
