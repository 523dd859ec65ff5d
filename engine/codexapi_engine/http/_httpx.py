"""httpx, and the only place that imports it.

Its command line (click, rich) would come along whenever those are installed: 60 ms of every start.
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
