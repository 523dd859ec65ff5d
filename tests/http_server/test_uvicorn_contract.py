"""The internals of uvicorn that `server/uvicorn_protocol.py` lists are as it uses them."""

from __future__ import annotations

import asyncio
import re
import subprocess
import sys
import tomllib
from importlib.metadata import version
from pathlib import Path
from typing import Any, cast

import pytest
import uvicorn
from tests.processes import environment
from uvicorn.protocols.http import httptools_impl
from uvicorn.protocols.http.flow_control import FlowControl
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol, RequestResponseCycle
from uvicorn.server import ServerState

from codexapi_http.server import uvicorn_protocol

TREE = Path(__file__).parents[2]
LISTED = str(uvicorn_protocol.__doc__)


async def _app(scope: Any, receive: Any, send: Any) -> None: ...


def _instances() -> dict[str, Any]:
    config = uvicorn.Config(_app, log_config=None)
    state = ServerState()
    loop = asyncio.new_event_loop()
    try:
        protocol = HttpToolsProtocol(config, state, {}, _loop=loop)
        flow = FlowControl(asyncio.Transport())
        cycle = RequestResponseCycle(
            cast(Any, {}), asyncio.Transport(), flow, protocol.logger, protocol.access_logger,
            False, [], asyncio.Event(), False, True, lambda: None,
        )  # fmt: skip
        return {
            "HttpToolsProtocol": protocol,
            "RequestResponseCycle": cycle,
            "FlowControl": flow,
            "Server": uvicorn.Server(config),
            "ServerState": state,
            "httptools_impl": httptools_impl,
        }
    finally:
        loop.close()


def _listed() -> list[tuple[str, str]]:
    """Each owner with a name, as the docstring has them."""
    found = []
    for item in re.split(r"\n\* ", LISTED)[1:]:
        owner, *names = re.findall(r"`([\w.]+)`", item)
        found += [(owner.rpartition(".")[2], name) for name in names]
    return found


# `on_url`, a callback of httptools, sets it.
SET_LATER = {("HttpToolsProtocol", "url")}


@pytest.mark.parametrize(("owner", "name"), _listed())
def test_uvicorn_has_what_we_use_of_its_internals(owner: str, name: str) -> None:
    if (owner, name) in SET_LATER:
        assert f"self.{name} = " in Path(str(httptools_impl.__file__)).read_text()
    else:
        assert hasattr(_instances()[owner], name)


def test_every_member_of_uvicorn_that_our_protocol_uses_is_listed() -> None:
    ours = vars(uvicorn_protocol.Connection)
    used = {name for name in ours if name in vars(HttpToolsProtocol) and not name.startswith("__")}
    assert used <= {name for owner, name in _listed() if owner == "HttpToolsProtocol"}


def test_the_version_of_uvicorn_is_pinned_to_the_listed_minor() -> None:
    (minor,) = set(re.findall(r"uvicorn (\d+\.\d+)", LISTED))
    project = tomllib.loads((TREE / "pyproject.toml").read_text())["project"]
    (pin,) = [line for line in project["dependencies"] if line.startswith("uvicorn")]
    following = f"0.{int(minor.partition('.')[2]) + 1}"
    assert pin == f"uvicorn>={minor},<{following}"
    assert version("uvicorn").startswith(f"{minor}.")


RUNS_ANOTHER = """
import sys
from codexapi_http.app import create_app
import uvicorn.server
assert not {"uvicorn.main", "click", "multiprocessing"} & set(sys.modules)
assert uvicorn.Server is uvicorn.server.Server
from uvicorn import run
assert run is uvicorn.run is sys.modules["uvicorn.main"].run
assert uvicorn.main is sys.modules["uvicorn.main"].main
assert uvicorn.Server is sys.modules["uvicorn.main"].Server
assert not hasattr(uvicorn, "no_such_name")
"""
ALREADY_LOADED = """
import uvicorn
names = dict(vars(uvicorn))
import codexapi_http.app
assert names.items() <= vars(uvicorn).items()
"""


@pytest.mark.parametrize("program", [RUNS_ANOTHER, ALREADY_LOADED], ids=["before it", "after it"])
def test_a_program_that_loads_our_application_has_all_of_uvicorn(program: str) -> None:
    subprocess.run([sys.executable, "-c", program], env=environment(), check=True)
