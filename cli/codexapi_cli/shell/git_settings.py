"""Checks whether the settings of a git repository make git start other programs.

A clone has none, but an unpacked archive can: `core.fsmonitor` is run by `git status`, a filter or
a `textconv` by `git diff`. The user's own settings, outside of the repository, are trusted.
"""

from __future__ import annotations

import os
import re
import subprocess

QUIETLY = {"GIT_OPTIONAL_LOCKS": "0"}
"""With it git writes no index by the way, and so runs no hook of it."""

_SECONDS = 5.0

_KNOWN = re.compile(
    r"core\.(repositoryformatversion|filemode|bare|logallrefupdates|ignorecase|symlinks|eol|autocrlf"
    r"|precomposeunicode|quotepath|safecrlf|sharedrepository)"
    r"|extensions\.(objectformat|refstorage)|(user|author|committer)\.(name|email)|init\.defaultbranch"
    r"|remote\.[^\n]*\.(url|pushurl|fetch|tagopt|prune)|branch\.[^\n]*\.(remote|merge|rebase"
    r"|description|pushremote|vscode-merge-base)|(pull|push|fetch|color|advice)\.[^\n]*"
    r"|lfs\.repositoryformatversion|commit\.gpgsign"
)
"""Settings that start nothing when git looks at things."""


_NESTED = re.compile(r"^160000 ", re.MULTILINE)
"""A repository inside of this one, into which `git status` goes, and which has settings too."""


def start_nothing() -> bool:
    """Whether all settings of the repository in this folder are known to start nothing."""
    names = _output("config", "--local", "--list", "--includes", "--name-only", "-z")
    if names is None or not all(_KNOWN.fullmatch(name) for name in names.split("\0") if name):
        return False
    files = _output("ls-files", "--stage")
    return files is not None and not _NESTED.search(files)


def _output(*arguments: str) -> str | None:
    """What git says; None where it fails."""
    try:
        done = subprocess.run(
            ["git", *arguments], stdin=subprocess.DEVNULL, capture_output=True, check=False,
            timeout=_SECONDS, env={**os.environ, **QUIETLY},
        )  # fmt: skip
    except (OSError, subprocess.TimeoutExpired):
        return None
    return done.stdout.decode(errors="replace") if done.returncode == 0 else None
