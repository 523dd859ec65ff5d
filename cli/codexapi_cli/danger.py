"""Which shell commands could do harm that nobody can undo. A list of what is known, and no proof
that the rest is safe."""

from __future__ import annotations

import re

DANGERS = {
    r"\brm\b.*\s(-\w*[rRf]|--recursive|--force)": "it deletes files",
    r"\bfind\b.*\s-(delete|exec|execdir|ok)\b": "it acts on every file that it finds",
    r"\b(shred|wipefs|mkfs[.\w]*|fdisk|parted)\b": "it destroys what is on a disk",
    r"\bdd\b.*\bof=": "it writes over a file or a disk",
    r">\s*/dev/(sd|hd|nvme|disk|mmcblk|vd)": "it writes over a disk",
    r"\b(truncate|mv\b.*\s/dev/null)": "it empties files",
    r"\b(sudo|doas|su|pkexec|runas)\b": "it runs as another user",
    r"\|\s*(sudo\s+)?(\S*/)?((ba|z|da|fi|k|c)?sh|python[\d.]*|perl|node|pwsh|iex)\b": (
        "it runs what it is given"
    ),
    r"(?i)\b(iex|invoke-expression|eval)\b": "it runs what it is given",
    r"\bch(mod|own|grp)\b.*\s(-\w*R|--recursive)": "it changes who may do what, in a whole folder",
    r"\bgit\b.*\bpush\b.*(\s-\w*f|--force|--delete|--mirror|\s\+)": "it rewrites a history",
    r"\bgit\b.*\b(reset\b.*--hard|clean\b.*\s-\w*f|checkout\s+(--\s+)?\.)": "it drops changes",
    r"\b(shutdown|reboot|halt|poweroff|init\s+[06])\b": "it stops the machine",
    r"\b(kill|killall|pkill|taskkill)\b": "it ends programs",
    r":\s*\(\)\s*\{": "it starts itself without end",
    r"(?i)\b(remove-item|rd|rmdir|del)\b.*\s[-/]\w*(r|s|f|q|recurse|force)\b": "it deletes files",
    r"(?i)\bformat\b\s+\w:": "it destroys what is on a disk",
    r"(?i)\bdrop\s+(table|database)\b": "it deletes a database",
}
"""What gives a command away, and what it does."""


def danger(command: str) -> str | None:
    """What is dangerous about a command; None if nothing is known to be."""
    return next((why for sign, why in DANGERS.items() if re.search(sign, command)), None)
