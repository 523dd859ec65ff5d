"""The internals of httpx and httpcore that `http/_httpx.py` lists are as we use them."""

from __future__ import annotations

import re
import subprocess
import sys
import tomllib
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path

import httpcore
import httpx
import pytest
from httpcore._async.connection_pool import AsyncPoolRequest

from codexapi_engine.http import _httpx

TREE = Path(__file__).parents[2]
LISTED = str(_httpx.__doc__)


def test_httpx_works_without_the_module_of_its_command_line() -> None:
    assert find_spec("httpx._main") is not None
    program = "import sys; sys.modules['httpx._main'] = None; import httpx; httpx.AsyncClient"
    subprocess.run([sys.executable, "-c", program], check=True)


def test_the_pool_of_a_transport_has_its_requests_and_connections() -> None:
    pool = httpx.AsyncHTTPTransport()._pool
    assert isinstance(pool, httpcore.AsyncConnectionPool)
    assert (pool._requests, pool.connections) == ([], [])
    request = httpcore.Request("GET", "http://127.0.0.1/")
    assert AsyncPoolRequest(request).connection is None
    connection = pool.create_connection(httpcore.Origin(b"http", b"127.0.0.1", 80))
    assert not connection.is_idle()
    assert not connection.is_closed()
    assert callable(connection.aclose)


def test_a_timeout_is_a_dict_of_four_limits() -> None:
    assert set(httpx.Timeout(1.0).as_dict()) == {"connect", "read", "write", "pool"}


@pytest.mark.parametrize("package", ["httpx", "httpcore"])
def test_the_version_is_pinned_to_the_listed_minor(package: str) -> None:
    (minor,) = re.findall(rf"{package} (\d+\.\d+)", LISTED)
    project = tomllib.loads((TREE / "pyproject.toml").read_text())["project"]
    (pin,) = [line for line in project["dependencies"] if line.startswith(f"{package}>")]
    major, _, number = minor.partition(".")
    assert pin.startswith(f"{package}>={minor}.")
    assert pin.endswith(f",<{major}.{int(number) + 1}")
    assert version(package).startswith(f"{minor}.")
