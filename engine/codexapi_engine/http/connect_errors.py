"""Explains why a connection could not be made, in a message that names the server.

The system's own message is no more than "[Errno 111] Connect call failed ('127.0.0.1', 41420)".
"""

from __future__ import annotations

import os
import re
import socket
import ssl
from collections.abc import Iterator
from errno import ECONNREFUSED

from .failures import HttpFailure

_ADDRESS = r"\('([^']+)', (\d+)"
"""The address in an exception of asyncio."""


def connect_failure(error: HttpFailure) -> str:
    """What follows "no connection to HOST: ", of a ConnectError or a ProxyError."""
    if unresolved := name_error(error):
        return f"its name {unresolved}"
    for cause in _causes(error):
        if isinstance(cause, ssl.SSLError):
            return str(error)
        if isinstance(cause, OSError) and cause.errno:
            if cause.errno == ECONNREFUSED:
                return f"nothing listens at {_address(error, str(cause))}"
            return os.strerror(cause.errno)
    return str(error)


def name_error(error: BaseException) -> str | None:
    """Why a name has no address; None if that is not what failed."""
    for cause in _causes(error):
        if isinstance(cause, socket.gaierror | UnicodeError):
            return f"cannot be resolved ({cause.args[-1]})"
    return None


def _causes(error: BaseException | None) -> Iterator[BaseException]:
    """What led to an error, the first failure of a name of several addresses included."""
    while error is not None:
        yield error
        if isinstance(error, BaseExceptionGroup):
            yield from _causes(error.exceptions[0])
        error = error.__cause__ or error.__context__


def _address(error: HttpFailure, message: str) -> str:
    """The place as the URL has it; where another port was tried, which is that of a proxy, that."""
    tried = re.search(_ADDRESS, message)
    if error.url is None:
        return ":".join(tried.groups()) if tried else "its address"
    server = error.url.server
    if tried and tried[2] != str(server.port):
        return ":".join(tried.groups())
    return f"{server.url_host}:{server.port}"
