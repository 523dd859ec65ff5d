"""The imports that stand inside functions, each with what it would cost at module level.

The cost is the CPU time of the import once the importing module is loaded: what every program that
loads that module would pay. `python -m tests.lazy_imports` measures it and prints the table.
"""

from __future__ import annotations

import ast
import os
import re
import subprocess
import sys
from collections import defaultdict
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from importlib.util import resolve_name
from pathlib import Path

TREE = Path(__file__).parents[1]
ROUNDS = 5
FROM = 1.0
"""Milliseconds from which an import may stand inside a function."""

COSTS: dict[tuple[str, str], tuple[float, float] | None] = {
    ("codexapi_cli.commands.keys", "codexapi_engine.program_keys"): (43.8, 3.78),
    ("codexapi_cli.commands.setup", "codexapi_engine.program_keys"): (25.3, 2.18),
    ("codexapi_cli.commands.status", "asyncio"): (16.6, 1.43),
    ("codexapi_cli.commands.top", "asyncio"): (16.2, 1.40),
    ("codexapi_cli.commands.top", "codexapi_cli.terminal.cleaning"): (6.2, 0.53),
    ("codexapi_cli.commands.top", "codexapi_cli.terminal.request_table"): (19.2, 1.66),
    ("codexapi_cli.parser.completers", "codexapi_engine.program_keys"): (83.2, 7.18),
    ("codexapi_cli.servers.live", "http.client"): (12.8, 1.10),
    ("codexapi_cli.__main__", "codexapi_cli.app"): (54.9, 6.35),
    ("codexapi_cli.__main__", "codexapi_cli.parser.help_pages"): (10.2, 1.18),
    ("codexapi_cli.__main__", "codexapi_cli.terminal.streams"): (8.1, 0.94),
    ("codexapi_cli.__main__", "codexapi_mcp.__main__"): (78.9, 9.13),
    ("codexapi_cli.__main__", "signal"): (4.5, 0.53),
    ("codexapi_cli.commands.doctor", "codexapi_cli.checks"): (131.7, 15.23),
    ("codexapi_cli.commands.doctor", "codexapi_cli.online"): (137.2, 15.86),
    ("codexapi_cli.commands.drift", "codexapi_cli.drift.survey"): (369.2, 29.37),
    ("codexapi_cli.commands.drift", "codexapi_http.server.beside"): (490.2, 39.00),
    ("codexapi_cli.commands.mcp_doctor", "codexapi_cli.integrations.itself"): (6.8, 0.79),
    ("codexapi_cli.commands.mcp_doctor", "codexapi_cli.integrations.registration"): (21.4, 2.47),
    ("codexapi_cli.commands.mcp_doctor", "codexapi_mcp.options"): (1.0, 0.18),
    ("codexapi_cli.commands.mcp_doctor", "mcp"): (553.6, 64.02),
    ("codexapi_cli.commands.mcp_install", "codexapi_cli.integrations.edits"): (5.4, 0.62),
    ("codexapi_cli.commands.mcp_install", "codexapi_cli.integrations.itself"): (7.6, 0.88),
    ("codexapi_cli.commands.mcp_install", "codexapi_cli.integrations.registration"): (23.6, 2.72),
    ("codexapi_cli.commands.mcp_list", "codexapi_cli.integrations.registration"): (23.7, 2.75),
    ("codexapi_cli.commands.mcp_serve", "codexapi_http"): (213.6, 24.69),
    ("codexapi_cli.commands.mcp_install", "codexapi_mcp.options"): (1.3, 0.15),
    ("codexapi_cli.commands.mcp_serve", "codexapi_mcp"): (0.1, 0.02),
    ("codexapi_cli.commands.mcp_serve", "codexapi_mcp.options"): (1.3, 0.15),
    ("codexapi_cli.commands.replay", "codexapi_engine.recording.lines"): (3.7, 0.34),
    ("codexapi_cli.commands.replay", "codexapi_engine.recording.playback"): (100.9, 9.26),
    ("codexapi_cli.commands.replay", "codexapi_engine.simulator"): (106.9, 9.81),
    ("codexapi_cli.commands.replay", "codexapi_http.simulate"): (589.6, 54.11),
    ("codexapi_cli.commands.service", "codexapi_cli.commands.serve"): (4.1, 0.48),
    ("codexapi_cli.commands.setup", "codexapi_cli.terminal.runner"): (13.6, 1.58),
    ("codexapi_cli.commands.simulate", "codexapi_engine.simulator"): (36.6, 4.23),
    ("codexapi_cli.commands.simulate", "codexapi_http.simulate"): (253.2, 29.27),
    ("codexapi_cli.commands.usage", "asyncio"): (18.0, 2.08),
    ("codexapi_cli.conversation.interactive", "codexapi_cli.conversation.line_editor"): (
        45.9,
        5.30,
    ),
    ("codexapi_cli.conversation.slash", "codexapi_cli.terminal.wrapping"): (1.1, 0.13),
    ("codexapi_cli.integrations.edits.toml", "tomlkit"): (5.8, 0.67),
    ("codexapi_cli.integrations.edits.yaml", "yaml"): (10.9, 1.26),
    ("codexapi_cli.local_backend", "codexapi_http.app"): (350.1, 32.13),
    ("codexapi_cli.local_backend", "codexapi_http.server.thread"): (345.9, 31.75),
    ("codexapi_cli.parser.completers", "codexapi_cli.conversation.chat_history"): (59.4, 6.87),
    ("codexapi_cli.parser.completers", "codexapi_cli.integrations.http_clients"): (49.3, 5.70),
    ("codexapi_cli.parser.completers", "codexapi_cli.integrations.mcp_clients"): (20.4, 2.36),
    ("codexapi_cli.parser.completers", "codexapi_cli.parser.known_models"): (51.6, 5.97),
    ("codexapi_cli.parser.completers", "codexapi_cli.servers.registry"): (73.2, 8.46),
    ("codexapi_cli.parser.completers", "codexapi_engine.protocol.models"): (33.8, 3.90),
    ("codexapi_cli.parser.completers", "codexapi_engine.settings"): (42.6, 4.93),
    ("codexapi_cli.parser.completers", "codexapi_mcp.options"): (8.8, 1.02),
    ("codexapi_cli.parser.completers", "dataclasses"): (7.1, 0.82),
    ("codexapi_cli.parser.options", "codexapi_engine.setting_values"): (19.9, 2.30),
    ("codexapi_cli.parser.topics", "codexapi_engine.settings"): (27.0, 3.13),
    ("codexapi_cli.pytest_plugin", "codexapi_cli.local_backend"): (284.2, 26.08),
    ("codexapi_cli.servers.registry", "http.client"): (9.2, 1.07),
    ("codexapi_cli.servers.server_check", "uvloop"): (2.8, 0.32),
    ("codexapi_cli.terminal.markdown_drawing", "rich.syntax"): (6.2, 0.71),
    ("codexapi_cli.terminal.output", "asyncio"): (18.4, 2.13),
    ("codexapi_cli.terminal.output", "codexapi_cli.terminal.cleaning"): (5.3, 0.62),
    ("codexapi_cli.terminal.output", "codexapi_cli.terminal.runner"): (17.8, 2.06),
    ("codexapi_cli.terminal.output", "codexapi_engine.login.login_hint"): (25.2, 2.92),
    ("codexapi_cli.terminal.output", "logging"): (1.9, 0.22),
    ("codexapi_cli.terminal.streams", "codexapi_cli.terminal.cleaning"): (7.1, 0.83),
    ("codexapi_engine.aside", "asyncio"): (28.7, 3.31),
    ("codexapi_engine.aside", "concurrent.futures"): (7.9, 0.92),
    ("codexapi_engine.catalogue", "email.utils"): (3.3, 0.33),
    ("codexapi_engine.client", "codexapi_engine.images.batch"): (3.1, 0.30),
    ("codexapi_engine.client", "codexapi_engine.images.fetch"): (4.2, 0.41),
    ("codexapi_engine.client", "codexapi_engine.simulator"): (17.1, 1.97),
    ("codexapi_engine.codex_config", "tomllib"): (1.4, 0.16),
    ("codexapi_engine.http.client", "certifi"): (4.4, 0.34),
    ("codexapi_engine.http.client", "codexapi_engine.http.over_httpx"): (23.1, 1.81),
    ("codexapi_engine.http.cookies", "email.utils"): (13.1, 1.28),
    ("codexapi_engine.http.messages", "codexapi_engine.http._httpx"): (52.2, 4.08),
    ("codexapi_engine.images.processing", "PIL"): (9.4, 1.09),
    ("codexapi_engine.images.processing", "PIL.Image"): (8.2, 0.95),
    ("codexapi_engine.login.keyring_store", "ctypes"): (1.4, 0.16),
    ("codexapi_engine.login.keyring_store", "keyring"): (22.7, 2.63),
    ("codexapi_engine.login.location", "tomllib"): (1.5, 0.17),
    ("codexapi_engine.login.login_hint", "shutil"): (2.3, 0.23),
    ("codexapi_engine.memory", "ctypes"): (2.6, 0.28),
    ("codexapi_engine.recording.switch", "codexapi_engine.http.recording"): (41.4, 3.80),
    ("codexapi_engine.recording.switch", "codexapi_engine.recording.recorder"): (41.9, 3.84),
    ("codexapi_engine.settings", "platform"): (1.5, 0.14),
    ("codexapi_engine.simulator.png", "PIL"): (7.7, 0.89),
    ("codexapi_engine.storage.sqlite", "asyncio"): (15.4, 1.78),
    ("codexapi_http.app", "codexapi_http.metrics"): (8.9, 1.03),
    ("codexapi_http.middleware.compression", "backports"): (3.2, 0.37),
    ("codexapi_http.middleware.compression", "compression"): None,
    ("codexapi_http.middleware.request_log", "codexapi_http.middleware.known_fields"): (8.1, 0.79),
    ("codexapi_http.reports", "codexapi_http.metrics"): (9.3, 1.07),
    ("codexapi_http.server.serve", "uvloop"): (2.9, 0.34),
    ("codexapi_http.websocket.upgrade", "codexapi_http.websocket.connection"): (17.2, 1.60),
    ("codexapi_mcp.runtime", "codexapi_engine"): (46.3, 5.35),
    ("codexapi_mcp.runtime", "codexapi_engine.hardening"): (1.9, 0.22),
    ("codexapi_mcp.runtime", "codexapi_engine.storage"): (7.6, 0.87),
    ("codexapi_mcp.server", "codexapi_mcp.audio"): (32.4, 3.08),
    ("codexapi_mcp.server", "codexapi_mcp.images"): (52.4, 6.06),
    ("codexapi_mcp.server", "codexapi_mcp.status"): (47.2, 5.46),
    ("codexapi_mcp.server", "codexapi_mcp.text"): (51.4, 5.94),
    ("codexapi_mcp.stdio", "codexapi_mcp.failures"): (497.7, 57.55),
    ("codexapi_mcp.stdio", "codexapi_mcp.server"): (513.1, 59.33),
    ("codexapi_cli.__main__", "codexapi_cli.parser.plain"): (18.9, 1.65),
    ("codexapi_cli.conversation.ask", "codexapi_cli.conversation.interactive"): (81.6, 7.12),
    ("codexapi_cli.conversation.ask", "codexapi_cli.terminal.markdown"): (97.7, 8.52),
    ("codexapi_cli.parser.plain", "codexapi_cli.conversation.ask"): (112.1, 9.78),
    ("codexapi_cli.parser.plain", "codexapi_cli.servers.foreground"): (64.2, 5.60),
    ("codexapi_cli.servers.foreground", "codexapi_cli.integrations.snippets"): (15.7, 1.37),
    ("codexapi_cli.servers.foreground", "codexapi_http"): (264.1, 23.03),
    ("codexapi_cli.servers.foreground", "codexapi_mcp"): (0.3, 0.02),
    ("codexapi_cli.settings", "codexapi_cli.parser.remembering"): (116.0, 10.12),
    ("codexapi_cli.settings", "codexapi_cli.terminal.verbose"): (12.7, 1.11),
    ("codexapi_cli.settings", "codexapi_http"): (333.8, 29.12),
}
"""By importer and import: milliseconds, and their ratio to `python -c pass`, as of 2026-11-28. None
for what one system or version of Python alone can import."""

_FUNCTIONS = (ast.FunctionDef, ast.AsyncFunctionDef)
_MEASURE = """
import sys, time, importlib
importlib.import_module(sys.argv[1])
began = time.process_time()
module = importlib.import_module(sys.argv[2])
for name in sys.argv[3:]:
    if not hasattr(module, name):
        importlib.import_module(f"{sys.argv[2]}.{name}")
print((time.process_time() - began) * 1000)
"""
_INDENTED = re.compile(r"^ +(?:from|import) ", re.MULTILINE)
_PASS = "import time; print(time.process_time() * 1000)"


def found() -> dict[tuple[str, str], set[str]]:
    """The members that are imported, by the importer and the module that has them."""
    members: dict[tuple[str, str], set[str]] = defaultdict(set)
    for package in sorted(TREE.glob("*/codexapi_*")):
        for path in sorted(package.rglob("*.py")):
            importer = ".".join(path.relative_to(package.parent).with_suffix("").parts)
            home = importer.removesuffix(".__init__")
            inside = home if path.name == "__init__.py" else home.rpartition(".")[0]
            text = path.read_text(encoding="utf-8")
            if not _INDENTED.search(text):
                continue
            tree = ast.parse(text)
            functions = (outer for outer in ast.walk(tree) if isinstance(outer, _FUNCTIONS))
            for node in (node for outer in functions for node in ast.walk(outer)):
                for module, member in _imported(node, inside):
                    members[home, module] |= {member} - {""}
    return members


def _imported(node: ast.AST, package: str) -> Iterator[tuple[str, str]]:
    """The modules that a node imports, each with a member of it or ""."""
    if isinstance(node, ast.Import):
        yield from ((alias.name, "") for alias in node.names)
    elif isinstance(node, ast.ImportFrom):
        parent = f"{'.' * node.level}{node.module or ''}"
        name = resolve_name(parent, package) if node.level else parent
        for alias in node.names:
            own = f"{name}.{alias.name}"
            yield (own, "") if _is_ours(own) else (name, alias.name)


@cache
def _is_ours(name: str) -> bool:
    path = Path(*name.split("."))
    return any(
        (package.parent / path).with_suffix(".py").exists() or (package.parent / path).is_dir()
        for package in TREE.glob("*/codexapi_*")
    )


def _cost(program: str, *arguments: str) -> float | None:
    """CPU milliseconds; None where the module cannot be imported on this machine."""
    paths = [str(package.parent) for package in TREE.glob("*/codexapi_*")]
    env = {**os.environ, "PYTHONPATH": os.pathsep.join(paths)}
    times = []
    for _ in range(ROUNDS):
        done = subprocess.run(
            [sys.executable, "-c", program, *arguments],
            env=env, capture_output=True, text=True, check=False,
        )  # fmt: skip
        if done.returncode:
            return None
        times.append(float(done.stdout))
    return min(times)


def main() -> None:
    nothing = _cost(_PASS)
    assert nothing is not None
    places = sorted(found().items())
    with ThreadPoolExecutor(2) as pool:
        costs = pool.map(lambda place: _cost(_MEASURE, *place[0], *sorted(place[1])), places)
        for ((importer, imported), _), cost in zip(places, costs, strict=True):
            shown = "None" if cost is None else f"({cost:.1f}, {cost / nothing:.2f})"
            print(f'    ("{importer}", "{imported}"): {shown},', flush=True)


if __name__ == "__main__":
    main()
