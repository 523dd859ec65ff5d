"""The programs that only read, and the options with which they do.

It is an allowlist. Options that write a file, start another program, or change a setting are left
out of it, as are options that nobody has verified.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass


def only_looks(
    name: str, arguments: Sequence[str], *, patterns: bool = False, options_by_pattern: bool = False
) -> bool:
    """Whether a program is known to change nothing with these arguments. `patterns`: files that
    nobody knows stand among them; `options_by_pattern`: of any name, so that one may be an
    option."""
    if name not in _NAMERS and any(_DEVICE.search(argument) for argument in arguments):
        return False
    if name in _ANYTHING:
        return True
    program = _PROGRAMS.get(name)
    if program is None or (patterns and program.words is not None):
        return False
    if options_by_pattern and not program.any_option_by_pattern:
        return False
    return program.takes(arguments)


@dataclass(frozen=True, slots=True)
class _Program:
    """What a program may be given; each argument that begins with a dash is an option, or has the
    value of one, and must be listed."""

    options: re.Pattern[str]
    words: int | None = None  # how many others at most; None: any number
    first: frozenset[str] = frozenset()  # its command, if it has some
    rule: Callable[[Sequence[str]], bool] = lambda _: True
    any_option_by_pattern: bool = False

    def takes(self, arguments: Sequence[str]) -> bool:
        if self.first:
            if not arguments or arguments[0] not in self.first:
                return False
            rest = arguments[1:]
        else:
            rest = arguments
        words = [argument for argument in rest if not argument.startswith("-")]
        options = [argument for argument in rest if argument.startswith("-")]
        known = all(self.options.fullmatch(option) for option in options)
        few = self.words is None or len(words) <= self.words
        return known and few and self.rule(arguments)


def _program(
    short: str = "", long: str = "", words: int | None = None, *, first: str = "",
    rule: Callable[[Sequence[str]], bool] = lambda _: True, any_option_by_pattern: bool = False,
) -> _Program:  # fmt: skip
    """`short` is a pattern of options with one dash, `long` the names of those with two."""
    names = "|".join(map(re.escape, long.split()))
    either = [f"-(?:{short})"] * bool(short) + [f"--(?:{names})(?:=.*)?"] * bool(long)
    options = re.compile("|".join(["--?", *either]), re.DOTALL)
    return _Program(options, words, frozenset(first.split()), rule, any_option_by_pattern)


def _date(arguments: Sequence[str]) -> bool:
    """No word is a time to be set."""
    rest = iter(arguments)
    for argument in rest:
        if argument == "-d":  # a number sets something elsewhere than in GNU
            if not re.search(r"[A-Za-z]", next(rest, "")):
                return False
        elif not argument.startswith(("+", "-")):
            return False
    return True


def _sed(arguments: Sequence[str]) -> bool:
    """It prints lines by their numbers."""
    return len(arguments) >= 2 and bool(re.fullmatch(r"\d+(,(\d+|\$))?p", arguments[1]))


def _awk(arguments: Sequence[str]) -> bool:
    """A program that prints fields: no call, no pipe, no file, no file of a program."""
    rest = list(arguments)
    if rest and rest[0].startswith("-F"):
        rest = rest[2 if rest[0] == "-F" else 1 :]
    if not rest or rest[0].startswith("-") or any(word.startswith("-") for word in rest[1:]):
        return False
    return not re.search(r"[|<>(@%]|printf|getline", rest[0])


def _jq(arguments: Sequence[str]) -> bool:
    """No filter makes letters that a terminal obeys, or loads another."""
    return not any(
        re.search(r"implode|ascii\b|fromjson|@base\d\dd|@urid|stderr|halt|import|include", word)
        for word in arguments
    )


def _printf(arguments: Sequence[str]) -> bool:
    """Texts alone: a number is calculated, and some shells assign by it."""
    form = arguments[0] if arguments else "-"
    return not form.startswith("-") and "%" not in re.sub(r"%(?:-?\d*(?:\.\d+)?s|%)", "", form)


def _ip(arguments: Sequence[str]) -> bool:
    words = [argument for argument in arguments if not argument.startswith("-")]
    objects = {"a", "addr", "address", "l", "link", "r", "route", "n", "neigh", "rule"}
    shows = {"s", "show", "l", "ls", "lst", "list"}
    return bool(words) and words[0] in objects and (len(words) == 1 or words[1] in shows)


def _tar(arguments: Sequence[str]) -> bool:
    """The names in an archive of this machine."""
    return (
        len(arguments) == 2
        and bool(re.fullmatch(r"-?(t[vzjJ]*f|v?[zjJ]?tf)", arguments[0]))
        and not arguments[1].startswith("-")
        and ":" not in arguments[1]
    )


def _git(arguments: Sequence[str]) -> bool:
    rest = arguments[1:] if arguments[:1] == ["--no-pager"] else arguments
    command = _GIT.get(rest[0]) if rest else None
    return command is not None and command(rest[1:])


def _without(*options: str) -> Callable[[Sequence[str]], bool]:
    """Any arguments but these options and their abbreviations, and texts with a signature."""

    def rule(arguments: Sequence[str]) -> bool:
        names = [argument.partition("=")[0] for argument in arguments]
        return not any("%G" in argument for argument in arguments) and not any(
            name[2:] and option.startswith(name) for name in names for option in options
        )

    return rule


def _only(*options: str) -> Callable[[Sequence[str]], bool]:
    return lambda arguments: all(argument in options for argument in arguments)


def _stash(arguments: Sequence[str]) -> bool:
    return bool(arguments) and arguments[0] in {"list", "show"} and _LOG(arguments[1:])


_LOG = _without("--output", "--ext-diff", "--textconv", "--show-signature", "--exec")
_GIT: Mapping[str, Callable[[Sequence[str]], bool]] = {
    **dict.fromkeys(
        (
            "log", "diff", "show", "status", "blame", "shortlog", "whatchanged", "rev-parse",
            "ls-files", "ls-tree", "describe", "rev-list",
        ),
        _LOG,
    ),
    "branch": _only("-a", "-r", "-v", "-vv", "--all", "--list", "--remotes", "--show-current"),
    "tag": _only("-l", "--list", "-n"),
    "remote": _only("-v", "--verbose"),
    "stash": _stash,
}  # fmt: skip

_ANYTHING = {
    "ls", "pwd", "echo", "cat", "head", "tail", "wc", "cut", "tr", "nl", "tac", "rev", "stat",
    "du", "df", "free", "uptime", "whoami", "id", "groups", "uname", "which", "whereis", "type",
    "realpath", "readlink", "basename", "dirname", "seq", "true", "false", "cmp", "comm", "ps",
    "pgrep", "lsblk", "lscpu", "nproc", "md5sum", "sha1sum", "sha256sum", "sha512sum", "shasum",
    "b2sum", "cksum", "od", "hexdump", "strings", "column", "fold", "fmt", "paste", "join",
    "expand", "unexpand", "cd", "sleep", "diff", "printenv", "locale", "who", "w", "users", "arch",
    "tty", "lsmod", "lsusb", "lspci", "getconf",
}  # fmt: skip
"""Programs that write no file and start no other program, with any arguments."""

_NAMERS = {
    "ls", "df", "lsblk", "stat", "du", "find", "tree", "readlink", "realpath", "basename", "echo",
    "dirname", "file",
}  # fmt: skip
"""They report on a file without opening it."""

_DEVICE = re.compile(r"/dev(?:$|/(?!(?:null|zero|random|urandom)$))")
"""What looking at changes: a watchdog, a tape, a line."""

_GREP = _program(
    "[^-].*",
    "color colour include exclude exclude-dir recursive ignore-case count line-number text null "
    "files-with-matches files-without-match only-matching invert-match word-regexp line-regexp "
    "max-count context after-context before-context extended-regexp perl-regexp fixed-strings "
    "basic-regexp no-filename with-filename binary-files line-buffered quiet silent no-messages "
    "regexp version help",
    any_option_by_pattern=True,
)
_PYTHON = _program("V", "version", words=0, rule=lambda arguments: len(arguments) == 1)
_VERSION = _program("v", "version", words=0, rule=lambda arguments: len(arguments) == 1)

_PROGRAMS = {
    **dict.fromkeys(("grep", "egrep", "fgrep"), _GREP),
    **dict.fromkeys(("python", "python3"), _PYTHON),
    **dict.fromkeys(("node", "gcc", "make", "npm"), _VERSION),
    "sort": _program(
        r"[bdfghiMnRrVsuzcC]*(k\d?[\d.,bdfgiMhnRrV]*|t.{0,2}|S\d*\w?)?",
        "numeric-sort reverse unique key field-separator human-numeric-sort version-sort "
        "ignore-case stable zero-terminated general-numeric-sort month-sort random-sort check",
    ),
    "uniq": _program("[cdui]+", "count repeated unique ignore-case", words=1),
    "find": _program(
        r"[LHPEX]|i?name|i?path|wholename|i?regex|regextype|x?type|size|[mac](time|min)"
        r"|newer\w{0,2}|maxdepth|mindepth|d(epth)?|print0?|printf|ls|empty|user|group|[ug]id|perm"
        r"|prune|o|a|not|or|and|xdev|mount|quit|readable|writable|executable|links|inum|samefile"
        r"|i?lname|follow|daystart|nouser|nogroup|true|false|fstype|\d+[cwbkMGP]?|[ugoa][=+]\w+"
    ),
    "fd": _program(
        r"[^-xX][^xX]*",
        "hidden no-ignore type extension glob max-depth min-depth full-path absolute-path size "
        "changed-within changed-before exclude follow ignore-case case-sensitive color",
    ),
    "rg": _program(
        "[^-].*",
        "files hidden no-ignore glob iglob type type-not ignore-case smart-case count line-number "
        "files-with-matches files-without-match only-matching invert-match word-regexp max-count "
        "context after-context before-context fixed-strings max-depth multiline pcre2 replace sort "
        "sortr stats json heading no-heading color no-messages with-filename no-filename vimgrep",
    ),
    "tree": _program(
        r"[adfxlpsughDCAnNqQFrtcUvJXi]+|[LPI]\S*",
        "dirsfirst du gitignore noreport filelimit prune si inodes device sort matchdirs timefmt",
    ),
    "file": _program("[bikLhNnrzZ0]+", "brief mime mime-type mime-encoding dereference"),
    "printf": _Program(re.compile(".*", re.DOTALL), rule=_printf),
    "date": _program("[uR]|I.*|d", "utc iso-8601 rfc-email rfc-3339 date reference", rule=_date),
    "hostname": _program("[fiIsdAy]", words=0),
    "env": _program("0", words=0),
    "command": _program(first="-v -V"),
    "exit": _program(rule=lambda arguments: all(map(str.isdecimal, arguments))),
    "sed": _program(first="-n", rule=_sed),
    "awk": _Program(re.compile(".*", re.DOTALL), rule=_awk),
    "jq": _program(
        "[rcSeMCnsRj]+",
        "raw-output compact-output sort-keys null-input slurp exit-status arg argjson args indent "
        "tab",
        rule=_jq,
    ),
    "git": _Program(re.compile(".*", re.DOTALL), rule=_git),
    "docker": _program(
        "[aqsln]+", "all quiet no-trunc size format filter last latest",
        first="ps images version info",
    ),
    "systemctl": _program(
        "[la]+", "no-pager full all failed user type state plain no-legend",
        first="status list-units list-timers list-unit-files is-active is-enabled is-failed",
    ),
    "journalctl": _program(
        r"[xerkfbqan]+|[nupb]\w*", "no-pager since until user lines priority unit grep boot"
    ),
    "pip": _program("[ouv]+", "outdated user format local version", first="list show freeze"),
    "pip3": _program("[ouv]+", "outdated user format local version", first="list show freeze"),
    "ip": _program("[46co]|br|brief|color|json|j|d|s|details|statistics", rule=_ip),
    "ss": _program("[tulnpaemoiHrx460sw]+"),
    "netstat": _program("[tulnpaersig46]+"),
    "lsof": _program(r"[nPtRal]*(i[\w@.:,-]*)?|s\w+:\w+|[pu][\w,]*"),
    "crontab": _program(first="-l", words=0),
    "tar": _Program(re.compile(".*", re.DOTALL), words=2, rule=_tar),
    "unzip": _program(first="-l", words=1),
    "gzip": _program(first="-l"),
    "last": _program(r"[nxFiw\d]+"),
    "cal": _program(r"[13ymj]+"),
    "vmstat": _program(r"[asdwtm]+"),
}  # fmt: skip
