"""Runs every fenced block of the README and `docs/`, and keeps the outputs and links shown true.

`python -m docs` writes outputs and line numbers anew; the gate compares. A block runs in a folder
with the checkout's documents, against the simulated backend, with 18080 standing for the port of a
`serve --demo` that was started for it. A `text` fence right below a block is its output. A block that
cannot run says why in a comment above it, `<!-- no-run: reason -->`. Data (`json`, `toml`, `yaml`)
must parse.

A page is one shell: what a block exports holds for those below it. Its Python blocks run in one
interpreter, and its JavaScript blocks in another. The README's shell is that of a stranger: it has
the complete checkout and a `python3`, and nothing of ours until the first block has made it.
"""

from __future__ import annotations

import json
import os
import re
import shlex
import shutil
import subprocess
import sys
import tempfile
import tomllib
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import yaml
from docs import interpreters
from docs.interpreters import Interpreter
from tests import downloads, forks
from tests.processes import SOURCES, codexapi, environment, process

ROOT = Path(__file__).parents[1]
README = ROOT / "README.md"
PORT = "18080"
JAVASCRIPT = frozenset({"js"})
"""What needs a program that a machine may not have."""

_FENCE = re.compile(
    r"(?P<why>^<!-- no-run: (?P<reason>.+?) -->\n)?"
    r"^```(?P<language>\w+)\n(?P<body>.*?)^```$"
    r"(?P<shown>\n\n```text\n(?P<output>.*?)^```$)?",
    re.MULTILINE | re.DOTALL,
)
_CODE_LINK = re.compile(
    r"\[`(?P<code>[^`]+)`\]\((?P<path>[^)#]+)#L\d+\)(?P<of>\s+of\s+(?:the\s+)?`\w+`)?"
)
_OF_OURS = {"PYTHONPATH", "PYTHONHOME", "VIRTUAL_ENV"}
_OF_BASH = {"_", "SHLVL", "PWD", "OLDPWD"}
_LEFT_OUT = (".git", ".venv", ".cache", "node_modules", "__pycache__", ".*_cache", ".hypothesis")


@dataclass(frozen=True, slots=True)
class Block:
    language: str
    body: str
    reason: str | None  # why it does not run
    shown: bool  # its output is shown
    name: str  # file and line, for a person

    @property
    def runs(self) -> bool:
        return self.reason is None and self.language in RUNNERS


def documents() -> list[Path]:
    return [README, *sorted((ROOT / "docs").glob("*.md"))]


def fresh(document: Path, languages: frozenset[str] | None = None) -> str:
    """The document's text, with the outputs that its blocks of these languages print now. Raises
    if one fails, and Unavailable where its language cannot be had."""
    text, languages = document.read_text("utf-8"), languages or frozenset(RUNNERS) - JAVASCRIPT
    if not any(one.runs and one.language in languages for one in blocks(document)):
        return linked(text, document.parent)
    with workplace(of_stranger=document == README) as place:

        def again(match: re.Match[str]) -> str:
            line = text.count("\n", 0, match.start()) + 1
            found = _block(match, f"{document.name}:{line}")
            if not found.runs or found.language not in languages:
                return match[0]
            output = RUNNERS[found.language](found, place)
            return _with_output(match, output) if found.shown else match[0]

        return linked(_FENCE.sub(again, text), document.parent)


def blocks(document: Path) -> list[Block]:
    return [_block(match, document.name) for match in _FENCE.finditer(document.read_text("utf-8"))]


def linked(text: str, folder: Path) -> str:
    """The text, each link to a line of code pointing to where that code is now.

    ``[`def feed`](sse.py#L1) of the `Decoder` `` is the first `def feed` below `class Decoder`.
    """

    def again(match: re.Match[str]) -> str:
        lines = (folder / match["path"]).read_text().splitlines()
        owner = match["of"] and match["of"].rpartition("`")[0].rpartition("`")[2]
        start = next(n for n, line in enumerate(lines) if not owner or f"class {owner}" in line)
        code = match["code"]
        found = next(n for n, line in enumerate(lines[start:], start) if code in line) + 1
        return f"[`{code}`]({match['path']}#L{found}){match['of'] or ''}"

    return _CODE_LINK.sub(again, text)


def _block(match: re.Match[str], name: str) -> Block:
    shown = match["shown"] is not None
    return Block(match["language"], match["body"], match["reason"], shown, name)


@dataclass
class Workplace:
    """Where the blocks of a page run."""

    folder: Path
    environment: dict[str, str]
    port: str
    interpreters: dict[str, Interpreter] = field(default_factory=dict)

    def interpreter(
        self, name: str, start: Callable[[Path, Mapping[str, str]], Interpreter]
    ) -> Interpreter:
        """The one that runs, or a new one where a block has changed the variables."""
        running = self.interpreters.get(name)
        if running is not None and running.fits(self.environment):
            return running
        if running is not None:
            running.close()
        self.interpreters[name] = start(self.folder, self.environment)
        return self.interpreters[name]


@contextmanager
def workplace(*, of_stranger: bool = False) -> Iterator[Workplace]:
    """A folder with the documents, an environment with an empty HOME, and a server's port."""
    with tempfile.TemporaryDirectory() as made:
        folder, home, programs = (Path(made) / name for name in ("codexapi", "home", "programs"))
        _copy(folder, complete=of_stranger)
        home.mkdir()
        programs.mkdir()
        variables = _variables(home, programs)
        _repository(folder, variables)
        with serving(home) as port:
            if of_stranger:
                variables = _strangers(variables, programs)
            else:
                forks.put_program(programs / "codexapi")
            place = Workplace(folder, variables, port)
            try:
                yield place
            finally:
                for interpreter in place.interpreters.values():
                    interpreter.close()


def _variables(home: Path, programs: Path) -> dict[str, str]:
    ours = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith("CODEX") and name not in _OF_BASH
    }
    sources = os.pathsep.join(str(ROOT / source) for source in SOURCES)
    path = [str(programs), str(Path(sys.executable).parent), os.environ["PATH"]]
    return {**ours, "HOME": str(home), "PATH": os.pathsep.join(path), "PYTHONPATH": sources}


def _strangers(variables: Mapping[str, str], programs: Path) -> dict[str, str]:
    """The environment of a user who has Python and nothing of ours."""
    (programs / "python3").symlink_to(Path(sys.base_prefix) / "bin" / "python3")
    path = os.pathsep.join([str(programs), "/usr/local/bin", "/usr/bin", "/bin"])
    theirs = {name: value for name, value in variables.items() if name not in _OF_OURS}
    return {
        **theirs, "PATH": path, "PIP_DISABLE_PIP_VERSION_CHECK": "1",
        # `--no-compile`: a program compiles what it imports, a small part of what is installed.
        "PIP_NO_COMPILE": "0",
        # The index is asked once. To read its pages takes longer than to install.
        "PIP_NO_INDEX": "1", "PIP_FIND_LINKS": str(_wheels()),
    }  # fmt: skip


def _wheels() -> Path:
    """A folder with all that is pinned, with what builds ours, and with what else the README installs."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())
    pins, others = ROOT / "constraints.txt", [*project["build-system"]["requires"], "openai"]

    def download(folder: Path) -> None:
        downloads.pip("download", "--dest", str(folder), "--require-hashes", "-r", str(pins))
        downloads.pip("download", "--dest", str(folder), *others)

    version = ".".join(map(str, sys.version_info[:2]))
    content = pins.read_bytes() + " ".join(others).encode()
    return downloads.kept(downloads.named(f"wheels-{version}", content), download)


def _copy(folder: Path, *, complete: bool) -> None:
    if complete:
        shutil.copytree(ROOT, folder, ignore=shutil.ignore_patterns(*_LEFT_OUT))
        return
    folder.mkdir()
    for name in ("LICENSE", "README.md"):
        shutil.copy(ROOT / name, folder)
    shutil.copytree(ROOT / "docs", folder / "docs", ignore=shutil.ignore_patterns(*_LEFT_OUT))


@contextmanager
def serving(home: Path) -> Iterator[str]:
    """The port of a `codexapi serve --demo` that was started for it."""
    command = codexapi("serve", "--demo", "--port", "0", "--quiet")
    ready = r"codexapi ready on http://127\.0\.0\.1:(\d+)/v1"
    with process(command, environment(HOME=str(home)), ready) as running:
        yield running.url


def _repository(folder: Path, variables: Mapping[str, str]) -> None:
    """Makes the folder a repository with a change in it, for `git diff`."""
    git = ["git", "-c", "user.name=you", "-c", "user.email=you@example.org"]
    for command in (["init", "-q"], ["add", "LICENSE"], ["commit", "-q", "-m", "start"]):
        subprocess.run([*git, *command], cwd=folder, env=variables, check=True)
    with (folder / "LICENSE").open("a") as file:
        file.write("\n")


def _shell(found: Block, place: Workplace) -> str:
    """Changes the environment to what the block leaves behind."""
    after = place.folder.parent / "environment"
    leave = f"trap 'env -0 > {shlex.quote(str(after))}' EXIT\n"
    done = subprocess.run(
        ["bash", "-euo", "pipefail", "-c", leave + found.body.replace(PORT, place.port)],
        cwd=place.folder, env=place.environment, stdin=subprocess.DEVNULL, capture_output=True,
        text=True, check=False,
    )  # fmt: skip
    if done.returncode:
        raise RuntimeError(f"{found.name} failed ({done.returncode}):\n{done.stdout}{done.stderr}")
    pairs = (pair.partition("=") for pair in after.read_text().split("\0") if pair)
    place.environment = {name: value for name, _, value in pairs if name not in _OF_BASH}
    return done.stdout.replace(place.port, PORT)


def _python(found: Block, place: Workplace) -> str:
    python = place.interpreter("python", interpreters.python)
    return python.run(found.body.replace(PORT, place.port), found.name).replace(place.port, PORT)


def _javascript(found: Block, place: Workplace) -> str:
    node = place.interpreter("node", interpreters.node)
    module = place.folder / f"{found.name.replace(':', '-')}.mjs"
    module.write_text(found.body.replace(PORT, place.port))
    return node.run(str(module), found.name).replace(place.port, PORT)


def _json(found: Block, place: Workplace) -> str:
    json.loads(found.body)
    return ""


def _toml(found: Block, place: Workplace) -> str:
    tomllib.loads(found.body)
    return ""


def _yaml(found: Block, place: Workplace) -> str:
    yaml.safe_load(found.body)
    return ""


RUNNERS: dict[str, Callable[[Block, Workplace], str]] = {
    "sh": _shell, "python": _python, "js": _javascript, "json": _json, "toml": _toml, "yaml": _yaml,
}  # fmt: skip


def _with_output(match: re.Match[str], output: str) -> str:
    head = f"{match['why'] or ''}```{match['language']}\n{match['body']}```"
    ending = "" if not output or output.endswith("\n") else "\n"
    return f"{head}\n\n```text\n{output}{ending}```"
