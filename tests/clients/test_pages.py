"""What the pages say for tools that the gate does not have: Node, uv, pipx."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests import install
from tests.downloads import had, node
from tests.processes import ROOT, Running, server
from tests.suites.surroundings import node_packages

pytestmark = [pytest.mark.clients, pytest.mark.timeout(1200)]  # the first run installs

RECIPES = ROOT / "docs" / "recipes.md"
BLOCKS = re.findall(
    r"^## ([^\n]+)$(?:(?!^## ).)*?^```js\n(.*?)^```$", RECIPES.read_text(), re.MULTILINE | re.DOTALL
)
SAYS = {
    "Tools: the loop": "20 degrees in Rome",
    "Structured output": "name:",
    "Pictures to look at": "\n",
    "Streaming with Responses": "completed",
}


@pytest.fixture(scope="module")
def ours() -> Iterator[Running]:
    with server("--demo", "--quiet") as running:
        yield running


def test_each_recipe_is_there_for_node_too() -> None:
    assert [name for name, _ in BLOCKS] == list(SAYS)


@pytest.mark.parametrize(("name", "code"), BLOCKS, ids=[name for name, _ in BLOCKS])
def test_a_recipe_for_node_works_as_it_stands(
    name: str, code: str, ours: Running, tmp_path: Path
) -> None:
    packages = had("node-clients", lambda: node_packages("node-clients"))
    (tmp_path / "node_modules").symlink_to(packages / "node_modules")
    (tmp_path / "docs").symlink_to(ROOT / "docs")
    script = tmp_path / "recipe.mjs"
    script.write_text(code.replace("http://127.0.0.1:18080/v1", ours.url))
    done = subprocess.run(
        [had("node", node), script.name], cwd=tmp_path, stdin=subprocess.DEVNULL,
        env={"PATH": os.environ["PATH"], "HOME": str(tmp_path)},
        capture_output=True, text=True, timeout=100, check=False,
    )  # fmt: skip
    assert (done.returncode, done.stderr) == (0, "")
    assert SAYS[name] in done.stdout


@pytest.mark.skipif(sys.platform == "win32", reason="the page's commands are a shell's")
@pytest.mark.parametrize("tool", install.TOOLS)
def test_the_page_on_installing_is_right(tool: str) -> None:
    install.follow(tool)
