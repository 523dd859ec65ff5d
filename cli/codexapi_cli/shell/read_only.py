"""Recognises shell commands that only read.

A command that cannot be parsed word by word, or whose program is not in `known_programs`, is not
recognised. `danger` has its counterpart.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from .known_programs import only_looks

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
    pattern: bool  # names of files take its place, as many as there are
    option: bool  # such a name may be an option


def changes_nothing(command: str, shell: str) -> bool:
    """Whether all that a command line does is known, and changes nothing."""
    if shell not in SHELLS or "$(" in command or "`" in command or not command.isprintable():
        return False
    commands = list(_commands(command))
    if not commands or not all(words is not None and _is_known(words) for words in commands):
        return False
    # What another folder's settings make git start is not known.
    return not {"cd", "git"} <= programs(command)


def programs(command: str) -> set[str]:
    """The names of the programs that a line starts, as far as it can be read."""
    return {words[0].value for words in _commands(command) if words}


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
    pattern = any(c in outside for c in "*?[^")  # ^: with zsh's EXTENDED_GLOB
    return Word("".join(pieces), pattern, pattern and outside[0] in "-*?[^")


def _is_known(words: Sequence[Word]) -> bool:
    if any(_CONTROLS.search(word.value) for word in words):
        return False
    name, *rest = words
    return not name.pattern and only_looks(
        name.value,
        [word.value for word in rest],
        patterns=any(word.pattern for word in rest),
        options_by_pattern=any(word.option for word in rest),
    )
