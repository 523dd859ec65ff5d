"""Follows `docs/install.md` as a stranger does, from an empty HOME: `python -m tests.install [uv pipx]`.

Takes minutes and the package index: uv and pipx are installed for it, and codexapi by each.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from tests.processes import ROOT

PAGE = ROOT / "docs" / "install.md"
TOOLS = ("uv", "pipx")
SECTION = re.compile(r"^## (\w+)$(.*?)(?=^## )", re.MULTILINE | re.DOTALL)
BLOCK = re.compile(r"^```sh\n(.*?)^```$", re.MULTILINE | re.DOTALL)
ROW = re.compile(r"^\| (uv|pipx) \| `([^`]+)`[^|]*\|$", re.MULTILINE)
SECONDS = 600
_KEPT = re.compile(r"LANG|SSL_CERT_FILE|(PIP|UV)_.*|(HTTPS?|NO)_PROXY", re.IGNORECASE)


def commands(tool: str) -> list[str]:
    """What the page says for this tool: its blocks, then how to upgrade, then how to remove."""
    text = PAGE.read_text()
    (section,) = (body for name, body in SECTION.findall(text) if name == tool)
    rows = ROW.findall(text.partition("\n## Upgrade\n")[2])
    later = [command for name, command in rows if name == tool]
    assert len(later) == 2, "one command to upgrade, one to remove"
    return [*BLOCK.findall(section), *later]


@contextmanager
def stranger(tool: str) -> Iterator[tuple[Path, dict[str, str]]]:
    """A checkout, and the environment of who has Python, this tool, and an empty HOME."""
    with tempfile.TemporaryDirectory() as made:
        place = Path(made)
        folder, home, tools = place / "codexapi", place / "home", place / "tools"
        left_out = shutil.ignore_patterns(".git", ".venv", ".cache", "__pycache__", ".*_cache")
        shutil.copytree(ROOT, folder, ignore=left_out)
        home.mkdir()
        subprocess.run([sys.executable, "-m", "venv", tools], check=True)
        pip = [str(tools / "bin" / "python"), "-m", "pip", "install", "-q", tool]
        subprocess.run(pip, check=True, timeout=SECONDS)
        programs = place / "programs"  # the tool alone: its environment has a Python too
        programs.mkdir()
        for name in (tool, f"{tool}x"):
            if (tools / "bin" / name).exists():
                (programs / name).symlink_to(tools / "bin" / name)
        (programs / "python3").symlink_to(Path(sys.base_prefix) / "bin" / "python3")
        path = [home / ".local" / "bin", programs, "/usr/bin", "/bin"]
        kept = reach_the_index(os.environ)
        yield (
            folder,
            {**kept, "HOME": str(home), "PATH": os.pathsep.join(map(str, path))},
        )


def reach_the_index(environ: Mapping[str, str]) -> dict[str, str]:
    """The variables by which this machine reaches the package index."""
    return {name: value for name, value in environ.items() if _KEPT.fullmatch(name)}


def follow(tool: str) -> None:
    """Raises where a command of the page fails, or leaves another state than it should."""
    *steps, upgrade, removal = commands(tool)
    with stranger(tool) as (folder, environment):
        for command in (*steps, upgrade):
            said = _run(command, folder, environment)
            assert "chat --demo" not in command or "Hello!" in said, said
        assert _run("codexapi --version", folder, environment).startswith("codexapi ")
        _run(removal, folder, environment)
        assert not (Path(environment["HOME"]) / ".local" / "bin" / "codexapi").is_symlink()


def _run(command: str, folder: Path, environment: dict[str, str]) -> str:
    done = subprocess.run(
        ["bash", "-euc", command], cwd=folder, env=environment, stdin=subprocess.DEVNULL,
        capture_output=True, text=True, timeout=SECONDS, check=False,
    )  # fmt: skip
    assert done.returncode == 0, f"{command}\n{done.stdout}{done.stderr}"
    return done.stdout


if __name__ == "__main__":
    for tool_name in sys.argv[1:] or TOOLS:
        follow(tool_name)
        print(f"{tool_name}: installed, asked, upgraded and removed as {PAGE.name} says")
