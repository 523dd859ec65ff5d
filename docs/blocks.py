"""Runs every fenced block of the README and `docs/`, and keeps the outputs and links shown true.

`python docs/blocks.py` writes outputs and line numbers anew; the gate compares. A block runs in a copy of the
checkout against the simulated backend, with 18080 standing for the port of a `serve --demo` that
was started for it. A `text` fence right below a block is its output. A block that cannot run says
why in a comment above it, `<!-- no-run: reason -->`. Data (`json`, `toml`) must parse.

A page is one shell: what a block exports holds for those below it. The README's shell is that of a
stranger: it has a `python3`, and nothing of ours until the first block has made it.
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
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[1]
PORT = "18080"
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
        return self.reason is None and self.language in _RUNNERS


def documents() -> list[Path]:
    return [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]


def fresh(document: Path) -> str:
    """The document's text, with the outputs that its blocks print now. Raises if one fails."""
    text = document.read_text()
    found = (block(match, document.name) for match in _FENCE.finditer(text))
    if not any(one.runs for one in found):
        return linked(text, document.parent)
    with workplace() as (folder, environment, port):
        if document.name == "README.md" and document.parent == ROOT:
            environment = strangers(environment, folder.parent)

        def again(match: re.Match[str]) -> str:
            line = text.count("\n", 0, match.start()) + 1
            found = block(match, f"{document.name}:{line}")
            if not found.runs:
                return match[0]
            output = _RUNNERS[found.language](found, folder, environment, port)
            return _with_output(match, output) if found.shown else match[0]

        return linked(_FENCE.sub(again, text), document.parent)


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


def block(match: re.Match[str], name: str) -> Block:
    shown = match["shown"] is not None
    return Block(match["language"], match["body"], match["reason"], shown, name)


@contextmanager
def workplace() -> Iterator[tuple[Path, dict[str, str], str]]:
    """A copy of the checkout, an environment with an empty HOME, and a server's port."""
    with tempfile.TemporaryDirectory() as made:
        folder, home = Path(made) / "codexapi", Path(made) / "home"
        shutil.copytree(ROOT, folder, ignore=shutil.ignore_patterns(*_LEFT_OUT))
        home.mkdir()
        environment = {
            **{name: value for name, value in os.environ.items() if not name.startswith("CODEX")},
            "HOME": str(home),
            "PATH": os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]]),
        }
        _repository(folder, environment)
        with serving(environment) as port:
            yield folder, environment, port


def strangers(environment: dict[str, str], place: Path) -> dict[str, str]:
    """The environment of who has Python and nothing of ours."""
    programs = place / "programs"
    programs.mkdir()
    (programs / "python3").symlink_to(Path(sys.base_prefix) / "bin" / "python3")
    path = os.pathsep.join([str(programs), "/usr/local/bin", "/usr/bin", "/bin"])
    kept = {name: value for name, value in environment.items() if name not in _OF_OURS}
    # `--no-compile`: a program compiles what it imports, a small part of what is installed.
    return {**kept, "PATH": path, "PIP_NO_COMPILE": "0", "PIP_DISABLE_PIP_VERSION_CHECK": "1"}


@contextmanager
def serving(environment: dict[str, str]) -> Iterator[str]:
    """A `codexapi serve --demo` on a free port."""
    server = subprocess.Popen(
        ["codexapi", "serve", "--demo", "--port", "0", "--quiet"],
        env=environment, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    try:
        assert server.stderr is not None
        ready = re.search(r"ready on http://127\.0\.0\.1:(\d+)/v1", server.stderr.readline())
        assert ready, "the server did not start"
        yield ready[1]
    finally:
        server.terminate()
        server.communicate()


def _repository(folder: Path, environment: dict[str, str]) -> None:
    """Makes the copy a repository with a change in it, for `git diff`."""
    git = ["git", "-c", "user.name=you", "-c", "user.email=you@example.org"]
    for command in (["init", "-q"], ["add", "LICENSE"], ["commit", "-q", "-m", "start"]):
        subprocess.run([*git, *command], cwd=folder, env=environment, check=True)
    with (folder / "LICENSE").open("a") as file:
        file.write("\n")


def _shell(found: Block, folder: Path, environment: dict[str, str], port: str) -> str:
    """Changes the environment to what the block leaves behind."""
    after = folder.parent / "environment"
    leave = f"trap 'env -0 > {shlex.quote(str(after))}' EXIT\n"
    output = _run(["bash", "-euo", "pipefail", "-c"], found, folder, environment, port, leave)
    pairs = (pair.partition("=") for pair in after.read_text().split("\0") if pair)
    environment.clear()
    environment.update((name, value) for name, _, value in pairs)
    return output


def _python(found: Block, folder: Path, environment: dict[str, str], port: str) -> str:
    return _run(["python", "-W", "error", "-c"], found, folder, environment, port)


def _run(
    command: list[str],
    found: Block,
    folder: Path,
    environment: dict[str, str],
    port: str,
    before: str = "",
) -> str:
    done = subprocess.run(
        [*command, before + found.body.replace(PORT, port)],
        cwd=folder, env=environment, stdin=subprocess.DEVNULL, capture_output=True, text=True,
        check=False,
    )  # fmt: skip
    if done.returncode:
        raise RuntimeError(f"{found.name} failed ({done.returncode}):\n{done.stdout}{done.stderr}")
    return done.stdout.replace(port, PORT)


def _json(found: Block, folder: Path, environment: dict[str, str], port: str) -> str:
    json.loads(found.body)
    return ""


def _toml(found: Block, folder: Path, environment: dict[str, str], port: str) -> str:
    tomllib.loads(found.body)
    return ""


_RUNNERS = {"sh": _shell, "python": _python, "json": _json, "toml": _toml}


def _with_output(match: re.Match[str], output: str) -> str:
    head = f"{match['why'] or ''}```{match['language']}\n{match['body']}```"
    ending = "" if not output or output.endswith("\n") else "\n"
    return f"{head}\n\n```text\n{output}{ending}```"


def main() -> None:
    for document in documents():
        text = fresh(document)
        if text != document.read_text():
            document.write_text(text)
            print(f"{document.relative_to(ROOT)}: outputs written")


if __name__ == "__main__":
    main()
