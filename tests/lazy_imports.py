"""The imports that stand inside functions, each with what it would cost at module level.

The cost is the CPU time of the import once the importing module is loaded: what every program that
loads that module would pay. `python -m tests.lazy_imports` measures it and prints the table.
"""

from __future__ import annotations

import ast
import os
import subprocess
import sys
from collections import defaultdict
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from importlib.util import resolve_name
from pathlib import Path

TREE = Path(__file__).parents[1]
ROUNDS = 5
FROM = 1.0
"""Milliseconds from which an import may stand inside a function."""

COSTS: dict[tuple[str, str], tuple[float, float] | None] = {
    ("codexapi_cli.__main__", "codexapi_cli.app"): (66.6, 6.64),
    ("codexapi_cli.__main__", "codexapi_cli.terminal.streams"): (10.3, 1.03),
    ("codexapi_cli.__main__", "codexapi_mcp.__main__"): (103.7, 10.35),
    ("codexapi_cli.__main__", "signal"): (5.2, 0.52),
    ("codexapi_cli.commands.chat", "codexapi_cli.conversation.interactive"): (108.2, 10.80),
    ("codexapi_cli.commands.chat", "codexapi_cli.terminal.markdown"): (74.1, 7.40),
    ("codexapi_cli.commands.chat", "codexapi_engine.client"): (96.6, 9.65),
    ("codexapi_cli.commands.config", "codexapi_engine.client"): (102.6, 10.25),
    ("codexapi_cli.commands.doctor", "codexapi_cli.checks"): (195.2, 19.49),
    ("codexapi_cli.commands.doctor", "codexapi_cli.online"): (197.8, 19.74),
    ("codexapi_cli.commands.mcp_doctor", "codexapi_cli.checks"): (225.1, 22.47),
    ("codexapi_cli.commands.mcp_doctor", "codexapi_cli.integrations.itself"): (12.8, 1.28),
    ("codexapi_cli.commands.mcp_doctor", "codexapi_cli.integrations.registration"): (29.7, 2.96),
    ("codexapi_cli.commands.mcp_doctor", "mcp"): (693.1, 69.18),
    ("codexapi_cli.commands.mcp_install", "codexapi_cli.integrations.edits"): (9.5, 0.95),
    ("codexapi_cli.commands.mcp_install", "codexapi_cli.integrations.itself"): (13.2, 1.32),
    ("codexapi_cli.commands.mcp_install", "codexapi_cli.integrations.registration"): (30.4, 3.04),
    ("codexapi_cli.commands.mcp_list", "codexapi_cli.integrations.registration"): (32.2, 3.21),
    ("codexapi_cli.commands.mcp_serve", "codexapi_http"): (318.3, 31.77),
    ("codexapi_cli.commands.mcp_serve", "codexapi_mcp"): (0.4, 0.04),
    ("codexapi_cli.commands.mcp_serve", "codexapi_mcp.options"): (2.1, 0.21),
    ("codexapi_cli.commands.serve", "codexapi_http"): (307.9, 30.74),
    ("codexapi_cli.commands.serve", "codexapi_mcp"): (0.4, 0.04),
    ("codexapi_cli.commands.service", "codexapi_cli.commands.serve"): (9.4, 0.94),
    ("codexapi_cli.commands.setup", "asyncio"): (17.5, 1.74),
    ("codexapi_cli.commands.simulate", "codexapi_engine.simulator"): (80.7, 8.05),
    ("codexapi_cli.commands.simulate", "codexapi_http.simulate"): (437.7, 43.69),
    ("codexapi_cli.commands.usage", "asyncio"): (23.3, 2.32),
    ("codexapi_cli.conversation.interactive", "codexapi_cli.conversation.line_editor"): (
        63.2,
        6.31,
    ),
    ("codexapi_cli.integrations.edits.toml", "tomlkit"): (7.1, 0.71),
    ("codexapi_cli.integrations.edits.yaml", "yaml"): (11.5, 1.15),
    ("codexapi_cli.parser.completers", "codexapi_cli.conversation.chat_history"): (89.1, 8.89),
    ("codexapi_cli.parser.completers", "codexapi_cli.integrations.http_clients"): (63.9, 6.38),
    ("codexapi_cli.parser.completers", "codexapi_cli.integrations.mcp_clients"): (27.6, 2.76),
    ("codexapi_cli.parser.completers", "codexapi_cli.parser.known_models"): (71.0, 7.08),
    ("codexapi_cli.parser.completers", "codexapi_cli.servers.registry"): (97.5, 9.73),
    ("codexapi_cli.parser.completers", "codexapi_engine.protocol.models"): (45.0, 4.49),
    ("codexapi_cli.parser.completers", "codexapi_engine.settings"): (59.2, 5.91),
    ("codexapi_cli.parser.completers", "dataclasses"): (8.8, 0.87),
    ("codexapi_cli.parser.options", "codexapi_cli.parser.remembering"): (173.0, 17.27),
    ("codexapi_cli.parser.options", "codexapi_cli.terminal.verbose"): (35.6, 3.56),
    ("codexapi_cli.parser.options", "codexapi_engine.setting_values"): (31.8, 3.18),
    ("codexapi_cli.parser.options", "codexapi_http"): (347.0, 34.64),
    ("codexapi_cli.parser.topics", "codexapi_engine.settings"): (40.3, 4.02),
    ("codexapi_cli.servers.registry", "http.client"): (11.6, 1.15),
    ("codexapi_cli.servers.server_check", "uvloop"): (3.5, 0.35),
    ("codexapi_cli.terminal.markdown_drawing", "rich.syntax"): (7.9, 0.79),
    ("codexapi_cli.terminal.output", "asyncio"): (19.7, 1.97),
    ("codexapi_cli.terminal.output", "codexapi_cli.terminal.cleaning"): (5.2, 0.52),
    ("codexapi_cli.terminal.output", "codexapi_cli.terminal.runner"): (24.8, 2.47),
    ("codexapi_cli.terminal.output", "codexapi_engine.login.login_hint"): (36.4, 3.63),
    ("codexapi_cli.terminal.output", "logging"): (2.8, 0.28),
    ("codexapi_cli.terminal.streams", "codexapi_cli.terminal.cleaning"): (7.7, 0.77),
    ("codexapi_engine.aside", "asyncio"): (36.8, 3.67),
    ("codexapi_engine.aside", "concurrent.futures"): (8.2, 0.82),
    ("codexapi_engine.client", "codexapi_engine.simulator"): (54.9, 5.48),
    ("codexapi_engine.client", "tomllib"): (2.2, 0.22),
    ("codexapi_engine.images.processing", "PIL"): (12.3, 1.05),
    ("codexapi_engine.images.processing", "PIL.Image"): (10.6, 1.05),
    ("codexapi_engine.login.keyring_store", "ctypes"): (2.0, 0.17),
    ("codexapi_engine.login.keyring_store", "keyring"): (28.4, 2.83),
    ("codexapi_engine.login.location", "tomllib"): (1.9, 0.19),
    ("codexapi_engine.simulator.png", "PIL"): (8.7, 0.74),
    ("codexapi_engine.storage.sqlite", "asyncio"): (22.4, 2.23),
    ("codexapi_http.app", "codexapi_http.metrics"): (13.1, 1.31),
    ("codexapi_http.middleware.compression", "backports"): (4.1, 0.35),
    ("codexapi_http.middleware.compression", "compression"): None,
    ("codexapi_http.reports", "codexapi_http.metrics"): (12.2, 1.22),
    ("codexapi_http.server.serve", "uvloop"): (4.2, 0.41),
    ("codexapi_mcp.runtime", "codexapi_engine"): (109.1, 9.30),
    ("codexapi_mcp.runtime", "codexapi_engine.hardening"): (2.2, 0.22),
    ("codexapi_mcp.runtime", "codexapi_engine.storage"): (34.8, 3.48),
    ("codexapi_mcp.server", "codexapi_mcp.images"): (114.7, 11.45),
    ("codexapi_mcp.server", "codexapi_mcp.status"): (95.2, 9.51),
    ("codexapi_mcp.server", "codexapi_mcp.text"): (103.8, 10.36),
    ("codexapi_mcp.stdio", "codexapi_mcp.failures"): (639.4, 63.82),
    ("codexapi_mcp.stdio", "codexapi_mcp.server"): (674.4, 67.32),
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
_PASS = "import time; print(time.process_time() * 1000)"


def found() -> dict[tuple[str, str], set[str]]:
    """The members that are imported, by the importer and the module that has them."""
    members: dict[tuple[str, str], set[str]] = defaultdict(set)
    for package in sorted(TREE.glob("*/codexapi_*")):
        for path in sorted(package.rglob("*.py")):
            importer = ".".join(path.relative_to(package.parent).with_suffix("").parts)
            home = importer.removesuffix(".__init__")
            inside = home if path.name == "__init__.py" else home.rpartition(".")[0]
            tree = ast.parse(path.read_text(encoding="utf-8"))
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
