"""Builds the site from the pages of `docs/`: `python -m docs.site [FOLDER]`, with the packages of the
extra `docs`.

The README is its first page. A link to a file that is no page becomes plain text: the site has no
source code.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

from docs.pages import FOLDER, SECTIONS, existing

ROOT = FOLDER.parent
FIRST = "README.md"
_POLICY = (
    '<meta http-equiv="Content-Security-Policy" '
    "content=\"default-src 'self' 'unsafe-inline' file: data: blob:\">"
)
_LINK = re.compile(r"(!?)\[((?:[^][]|\[[^]]*\])*)\]\((?!https?:)([^)#\s]+)(#[^)\s]*)?\)")


def on_config(config: Any) -> Any:
    """Gives the pages their places."""
    sections = {
        section: [{page.title: page.file} for page in existing(section)] for section in SECTIONS
    }
    config.nav = [{"Home": FIRST}, *({name: pages} for name, pages in sections.items())]
    return config


def on_page_markdown(markdown: str, page: Any, config: Any, files: Any) -> str:
    """The README of the project stands in place of the contents, which the navigation has."""
    if page.file.src_uri == FIRST:
        markdown = (ROOT / FIRST).read_text("utf-8").replace("](docs/", "](")
    return _LINK.sub(lambda match: _link(match, files), markdown)


def _link(match: re.Match[str], files: Any) -> str:
    mark, text, target, anchor = match.groups()
    if target == f"../{FIRST}":
        return f"[{text}]({FIRST}{anchor or ''})"
    path = os.path.normpath(target)
    return match[0] if mark or files.get_file_from_path(path) else text


def on_post_page(output: str, page: Any, config: Any) -> str:
    """Lets no browser ask another host for anything: the theme's scripts know some."""
    return output.replace("<head>", f"<head>\n{_POLICY}", 1)


def build(folder: Path) -> str:
    """Builds the site into a folder. Raises CalledProcessError for a warning; returns what was said."""
    done = subprocess.run(
        [
            sys.executable, "-m", "mkdocs", "build", "--config-file", "docs/inside/mkdocs.yml",
            "--strict", "--quiet", "--site-dir", str(folder),
        ],
        cwd=ROOT, env={**os.environ, "PYTHONPATH": str(ROOT), "NO_MKDOCS_2_WARNING": "1"},
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    if done.returncode:
        raise RuntimeError(f"the site cannot be built:\n{done.stdout}{done.stderr}")
    return done.stdout + done.stderr


if __name__ == "__main__":
    print(build(Path(sys.argv[1] if sys.argv[1:] else "build/site").absolute()), end="")
