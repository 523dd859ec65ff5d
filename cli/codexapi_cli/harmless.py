"""Which shell commands are known to be harmless: they look at things, and change none.

A list of programs and of what they may be given, and no judgement about the rest: what cannot be
read here word by word, or is not listed, is not known. Sibling of `danger`, which knows some of
what does harm.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

SHELLS = {"sh", "bash", "dash", "ash", "ksh", "zsh"}
"""Those that read a line as it is read here."""

_TOKEN = re.compile(
    r"""(?P<blank>[ \t]+)
    |(?P<nowhere>(?:[012]|&)?>>?[ \t]*/dev/null(?![^\s;|&])|[12]?>&[12](?![^\s;|&]))
    |(?P<operator>\|\||&&|;|\|)
    |(?P<word>(?:[^\s'"\\$`|&;<>(){}\#!]|'[^']*'|"(?:[^"\\$`!]|\\[^\s$`!])*"|\\[^\s])+)""",
    re.VERBOSE,
)
"""No expansion, substitution, subshell, redirection over a file, comment or second line."""

_PART = re.compile(r"""'([^']*)'|"((?:[^"\\]|\\.)*)"|\\(.)|([^'"\\]+)""")


_CONTROLS = re.compile(r"\\[0-9aceEuUx]|%x")
"""What some programs write as control characters: the terminal would obey them."""


@dataclass(frozen=True, slots=True)
class Word:
    value: str  # without quotes
    pattern: bool  # names of files may take its place, and begin with a dash


Rule = Callable[[Sequence[str]], bool]
"""Whether a program is harmless with these arguments."""


def is_harmless(command: str, shell: str) -> bool:
    """Whether all that a command line does is known, and changes nothing."""
    if shell not in SHELLS or "$(" in command or "`" in command or not command.isprintable():
        return False
    commands = list(_commands(command))
    return bool(commands) and all(words is not None and _is_listed(words) for words in commands)


def _commands(line: str) -> Iterator[list[Word] | None]:
    """The simple commands of a line; None for what is none."""
    words: list[Word] = []
    at = 0
    while at < len(line):
        token = _TOKEN.match(line, at)
        if token is None:
            yield None
            return
        at = token.end()
        if token["word"]:
            words.append(_word(token["word"]))
        elif token["operator"]:
            yield words or None
            words = []
    if words:
        yield words


def _word(raw: str) -> Word:
    pieces = []
    for single, double, escaped, plain in _PART.findall(raw):
        pieces.append(single or re.sub(r'\\(["\\])', r"\1", double) or escaped or plain)
    outside = re.sub(r"""'[^']*'|"(?:[^"\\]|\\.)*"|\\.""", "_", raw)
    dashed = outside.startswith("-") and any(c in outside for c in "*?[")
    return Word("".join(pieces), dashed or outside[:1] in {*"*?["})


def _is_listed(words: Sequence[Word]) -> bool:
    if any(_CONTROLS.search(word.value) for word in words):
        return False
    name, *rest = words
    arguments = [word.value for word in rest]
    if name.value in _ANYTHING:
        return True
    rule = _RULES.get(name.value)
    return rule is not None and not any(word.pattern for word in rest) and rule(arguments)


def _without(*options: str, letters: str = "") -> Rule:
    """Any arguments but these options, their abbreviations, and these letters in a short one."""

    def rule(arguments: Sequence[str]) -> bool:
        for argument in arguments:
            option = argument.partition("=")[0]
            if option in options:
                return False
            if option[2:] and any(name.startswith(option) for name in options):
                return False
            short = option.startswith("-") and not option.startswith("--")
            if short and any(letter in option for letter in letters):
                return False
        return True

    return rule


def _only(*options: str, words: int | None = 0) -> Rule:
    """These options, and so many other words at most; None: any number."""

    def rule(arguments: Sequence[str]) -> bool:
        others = [argument for argument in arguments if argument not in options]
        dashed = any(other.startswith(("-", "+")) for other in others)
        return not dashed and (words is None or len(others) <= words)

    return rule


def _starting(*commands: str, rule: Rule = lambda _: True) -> Rule:
    """One of these commands first."""
    return lambda arguments: bool(arguments) and arguments[0] in commands and rule(arguments[1:])


def _date(arguments: Sequence[str]) -> bool:
    return all(a.startswith(("+", "-I")) or a in {"-u", "-R", "--utc"} for a in arguments)


def _sed(arguments: Sequence[str]) -> bool:
    """It prints lines by their numbers."""
    script = r"\d+(,(\d+|\$))?p"
    return (
        len(arguments) >= 2
        and arguments[0] == "-n"
        and re.fullmatch(script, arguments[1]) is not None
        and not any(argument.startswith("-") for argument in arguments[2:])
    )


def _git(arguments: Sequence[str]) -> bool:
    rest = list(arguments)
    while rest and rest[0] in {"--no-pager", "-C"}:
        rest = rest[2 if rest[0] == "-C" else 1 :]
    rule = _GIT.get(rest[0]) if rest else None
    return rule is not None and rule(rest[1:])


def _exit(arguments: Sequence[str]) -> bool:
    return all(argument.isdecimal() for argument in arguments)


_LOG = _without("--output", "--ext-diff", "--textconv", "--show-signature")
_GIT: dict[str, Rule] = {
    **dict.fromkeys(("log", "diff", "show", "status", "blame", "shortlog", "whatchanged"), _LOG),
    "branch": _only("-a", "-r", "-v", "-vv", "--all", "--list", "--remotes", "--show-current"),
    "tag": _only("-l", "--list", "-n"),
    "remote": _only("-v", "--verbose"),
    "stash": _starting("list", "show", rule=_LOG),
    "rev-parse": _without(),
    "ls-files": _without(),
    "ls-tree": _without(),
    "describe": _without(),
    "rev-list": _without(),
}
_ANYTHING = {
    "ls", "pwd", "echo", "cat", "head", "tail", "wc", "cut", "tr", "nl", "tac", "rev", "stat",
    "du", "df", "free", "uptime", "whoami", "id", "groups", "uname", "which", "whereis", "type",
    "realpath", "readlink", "basename", "dirname", "seq", "true", "false", "cmp", "comm", "grep",
    "egrep", "fgrep", "ps", "pgrep", "lsblk", "lscpu", "nproc", "md5sum", "sha1sum", "sha256sum",
    "sha512sum", "shasum", "b2sum", "cksum", "od", "hexdump", "strings", "column", "fold", "fmt",
    "paste", "join", "expand", "unexpand", "jq", "cd", "sleep", "diff", "printenv", "locale",
}  # fmt: skip
"""Programs that write no file and start no other program, whatever they are given."""

_VERSION = _only("--version", "-V")
_RULES: dict[str, Rule] = {
    "sort": _without("--output", "--compress-program", letters="o"),
    "uniq": _only("-c", "-d", "-u", "-i", words=1),  # a second file is written to
    "find": _without(
        "-delete", "-exec", "-execdir", "-ok", "-okdir", "-fprint", "-fprint0", "-fprintf", "-fls"
    ),
    "fd": _without("--exec", "--exec-batch", letters="xX"),
    "rg": _without("--pre", "--pre-glob", "--hostname-bin"),
    "tree": _without("--output", "-o", letters="oR"),
    "file": _without("--compile", letters="C"),
    "printf": _without("-v"),
    "date": _date,
    "hostname": _only("-f", "-i", "-I", "-s", "-d"),
    "env": _only(),
    "command": _starting("-v", "-V"),
    "exit": _exit,
    "sed": _sed,
    "git": _git,
    "docker": _starting("ps", "images", "version", "info"),
    "systemctl": _starting("status", "list-units", "list-timers", "is-active", "is-enabled"),
    "pip": _starting("list", "show", "freeze", "--version"),
    "npm": _starting("ls", "list", "--version", "-v"),
    **dict.fromkeys(("python", "python3", "node", "cargo", "rustc", "gcc", "make"), _VERSION),
}
