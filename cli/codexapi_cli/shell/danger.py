"""Recognises shell commands that can do irreversible harm, for a louder warning.

It is a list of known dangers, and no proof that another command is safe: `read_only` has the
commands that may run at once.
"""

from __future__ import annotations

import re

_FIRST = r"(?:^|[|&;({`]|\b(?:then|do|else|exec|command|env|nohup|time|xargs)\s)\s*(?:\S*/)?"
"""Where a program stands in a line."""

_SHELL = r"((ba|z|da|fi|k|c|tc)?sh|python[\d.]*|perl|ruby|php|node|pwsh|iex)"

_QUOTES = re.compile(
    r"\\(?=\w)|''|" + '""' + r"|(?<=\w)['\"](?=\w)|(?<![\w'\"])['\"](?=\w+['\"]\s)"
)
"""Letters that a shell takes out of a word, and that hide its name."""

DANGERS = {
    rf"{_FIRST}(rm|unlink|rmdir|srm|trash)\b": "it deletes files",
    r"\bxargs\b.*\b(rm|unlink|shred|mv|sh|bash|zsh)\b": "it acts on every file that is named",
    r"\bfind\b.*\s-(delete|exec|execdir|ok|okdir|fprint\w*|fls)\b": (
        "it acts on every file that it finds"
    ),
    r"\b(shred|wipefs|mkfs[.\w]*|mkswap|fdisk|sfdisk|gdisk|parted|blkdiscard)\b": (
        "it destroys what is on a disk"
    ),
    r"\bdd\b.*\bof=": "it writes over a file or a disk",
    r"(>|\b(tee|cp|mv|cat)\b.*\s)\s*/dev/(sd|hd|nvme|disk|mmcblk|vd)": "it writes over a disk",
    r"\b(truncate\b|mv\b.*\s/dev/null|(cp|install)\s.*/dev/null\b)": "it empties files",
    r"(?<![>&0-9-])[012]?>\|?\s*(?!/dev/(null|stdout|stderr|tty)\b|[>&(])\S": (
        "it writes over a file"
    ),
    rf"{_FIRST}mv\s(.*\s)?[^\s-]*\*": "it moves many files",
    r"\bsed\b.*\s(-\w*i|--in-place)": "it changes files in their place",
    r"\b(sudo|doas|su|pkexec|runas)\b": "it runs as another user",
    rf"\|\s*((sudo|env|nohup|exec|time|command)\s+(-\S+\s+|\w+=\S*\s+)*)*(\S*/)?{_SHELL}\b": (
        "it runs what it is given"
    ),
    rf"(\b{_SHELL}|{_FIRST}(source|\.))\s.*(<\(|\$\(|`)": "it runs what it is given",
    r"(?i)\b(iex|invoke-expression|eval)\b": "it runs what it is given",
    r"\bch(mod|own|grp)\b.*\s(-\w*R|--recursive)": "it changes who may do what, in a whole folder",
    r"\bchmod\b.*\s0*000?\b": "it takes away who may do what",
    r"\bgit\b.*\bpush\b.*(\s-\w*[fd]|--force|--delete|--mirror|--prune|\s\+|\s:\S)": (
        "it rewrites a history"
    ),
    r"\bgit\b.*\b(branch\b.*\s(-\w*[dD]|--delete)|tag\b.*\s(-\w*d|--delete)|filter-branch|"
    r"filter-repo|reflog\s+expire|update-ref\b.*\s-d|rebase)\b": "it rewrites a history",
    r"\bgit\b.*\b(reset\b.*--hard|clean\b.*\s-\w*f|checkout\b.*\s(--\s|\.(\s|$)|-\w*f|--force)|"
    r"restore|stash\s+(clear|drop|pop)|rm|worktree\s+remove)": "it drops changes",
    r"\b(shutdown|reboot|halt|poweroff|init\s+[06])\b": "it stops the machine",
    r"\b(kill|killall|pkill|taskkill)\b": "it ends programs",
    r"\brsync\b.*\s--(delete|remove-source)": "it deletes files",
    r"\bcrontab\s+(.*\s)?-\w*r": "it deletes what runs by the clock",
    r"\b(docker|podman)\b.*\b(prune|rm|rmi|kill|down\b.*\s-v)\b": "it deletes containers and data",
    r"\b(kubectl|oc)\b.*\b(delete|drain|replace\b.*--force)\b": "it deletes what runs in a cluster",
    r"\b(helm\b.*\b(uninstall|delete)|terraform\b.*\bdestroy|pulumi\b.*\bdestroy)\b": (
        "it deletes what runs elsewhere"
    ),
    r"\b(aws|gsutil|gcloud|az|rclone)\b.*\b(rm|rb|delete|purge|terminate-instances)\b": (
        "it deletes what runs elsewhere"
    ),
    r"\b(dropdb|dropuser|mysqladmin\b.*\bdrop|flushall|flushdb)\b": "it deletes a database",
    r"\b(userdel|groupdel|deluser|passwd|visudo|iptables|ufw|nft)\b": "it changes who may come in",
    r"\b(apt|apt-get|dnf|yum|pacman|brew|snap|pip3?|npm)\b.*\s"
    r"(remove|purge|autoremove|uninstall|-R\w*)\b": "it removes programs",
    r"\b(systemctl\b.*\b(stop|disable|mask|isolate|reboot|poweroff|halt)|umount|swapoff)\b": (
        "it stops what runs"
    ),
    r":\s*\(\)\s*\{": "it starts itself without end",
    r"(?i)\b(remove-item|rd|rmdir|del)\b.*\s[-/]\w*(r|s|f|q|recurse|force)\b": "it deletes files",
    r"(?i)\bformat\b\s+\w:": "it destroys what is on a disk",
    r"(?i)\bdrop\s+(table|database)\b": "it deletes a database",
}
"""What gives a command away, and what it does."""


def danger(command: str) -> str | None:
    """What is dangerous about a command; None if nothing is known to be."""
    spellings = (command, _QUOTES.sub("", command))
    return next(
        (why for sign, why in DANGERS.items() if any(re.search(sign, s) for s in spellings)), None
    )
