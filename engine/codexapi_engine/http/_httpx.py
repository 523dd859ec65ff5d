"""Imports httpx, in this module alone, without its command line.

The command line (click, rich) is imported whenever those are installed: 60 ms of every start.

These internals of httpx 0.28 and httpcore 1.0 are used. pyproject pins the minor versions, and
`tests/engine/test_httpx_contract.py` checks each of them:

* `httpx._main`, the command line, which `httpx` imports only if it can
* `AsyncHTTPTransport._pool` (`over_httpx.py`): its `_requests`, each with a `connection`, and its
  `connections`, each with `is_idle`, `is_closed` and `aclose`
"""

from __future__ import annotations

import sys
from types import ModuleType
from typing import cast

_CLI = "httpx._main"
_blocked = _CLI not in sys.modules
if _blocked:
    sys.modules[_CLI] = cast(ModuleType, None)

import httpx

if _blocked:
    del sys.modules[_CLI]

__all__ = ["httpx"]
