"""Chooses the shell command that answers a prompt of `codexapi sh`, by words of the prompt.

Every command only reads.
"""

from __future__ import annotations

import re
from collections.abc import Iterable

_WANTED = re.compile(r"(?i)\b(?:one|single) (?:shell )?command(?: line)? for (\S+) on ")
"""How the rules of an application ask for a command and nothing else."""

_DATA = "\n<stdin>"


def command(prompt: str, rules: Iterable[str]) -> str | None:
    """The command for a prompt; None where the rules want no command."""
    shell = next((found[1].lower() for rule in rules if (found := _WANTED.search(rule))), None)
    if shell is None:
        return None
    if shell in ("powershell", "pwsh"):
        return "Get-ChildItem"
    if shell == "cmd":
        return "dir"
    words = prompt.partition(_DATA)[0]
    return next((line for pattern, line in COMMANDS if pattern.search(words)), "ls -l")


COMMANDS = [
    (re.compile(rf"(?i)\b(?:{words})"), line)
    for words, line in (
        (r"(?:large|big)(?:st|gest|ger|r)?\b.*\b(?:folder|director)", "du -sh * | sort -rh | head"),
        (r"disk|space left|free space", "df -h"),
        (r"(?:takes?|uses?|eats?)\b.*\b(?:room|space)|sizes?\b", "du -sh * | sort -rh | head"),
        (r"large|big|heav", "ls -lS | head"),
        (r"new|latest|recent|last (?:changed|modified)", "ls -lt | head"),
        (r"old", "ls -ltr | head"),
        (r"hidden", "ls -la"),
        (r"count\b.*\blines|lines of code|how many lines", "wc -l *"),
        (r"count\b|how many\b", "ls | wc -l"),
        (r"memory|ram\b", "free -h"),
        (r"process|cpu\b", "ps aux | head"),
        (r"port|listen", "ss -tln"),
        (r"git\b.*\blog|commits?\b", "git log --oneline -10"),
        (r"git\b|branch|changed|staged?\b|deleted", "git status --short"),
        (r"python", "find . -name '*.py'"),
        (r"todo", "grep -rn TODO ."),
        (r"kernel|system|version", "uname -a"),
        (r"time|date|day\b", "date"),
        (r"who\b|user", "whoami"),
        (r"where|folder|director", "pwd"),
    )
]
"""The first that fits."""
