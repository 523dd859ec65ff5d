from __future__ import annotations

import asyncio
import json
import logging
import traceback
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import pytest
from tests.faulty import HOLD, REUSED, RST, Exchange, FaultyBackend, TokenEndpoint, whole
from tests.logins import ACCOUNT, DAY, NOW, access_token, auth_json, write_login
from tests.test_laws import folded  # noqa: F401  (keeps the laws importable beside this)
from tests.virtual_time import hurried

from codexapi_engine.auth import BACK_OFF, NEWER, REDEEM, SCHEDULE, Login
from codexapi_engine.credentials import CodexFile, InMemory, Store
from codexapi_engine.errors import (
    AuthError,
    CodexError,
    LoginExpired,
    NotLoggedIn,
    RefreshUnavailable,
    TokenRejected,
)
from codexapi_engine.settings import Settings, user_agent
from codexapi_engine.transport import Transport, client, in_process

Answer = tuple[int, object] | Exception
