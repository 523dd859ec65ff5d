"""The scripts that a prompt may contain for the simulated backend: `[[name argument]]`, anywhere.

The table is the documentation: `listing()` prints it. `stream.py` and `answers.py` play a script.
"""

from __future__ import annotations

import json
import re
import textwrap
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from difflib import get_close_matches

from .refusals import FAILURES, REFUSALS, detail

MOST = 1_000_000
HEAVIEST = 40


@dataclass(frozen=True, slots=True)
class Script:
    argument: str  # how it is written after the name; optional in brackets
    does: str
    check: Callable[[str], None]  # raises ValueError


@dataclass(frozen=True, slots=True)
class Directions:
    """A prompt, read: its plain text, and the scripts in it."""

    prompt: str
    arguments: Mapping[str, list[str]] = field(default_factory=dict)
    origin: Sequence[str] = ()  # the texts that the scripts stand in

    def __contains__(self, name: str) -> bool:
        return name in self.arguments

    def without(self, names: Collection[str]) -> Directions:
        kept = {name: value for name, value in self.arguments.items() if name not in names}
        return replace(self, arguments=kept)

    def text(self, name: str, otherwise: str = "") -> str:
        """The argument of a script; the last one's if it stands there twice."""
        return self.arguments[name][-1] or otherwise if name in self.arguments else otherwise

    def number(self, name: str, otherwise: float = 0) -> float:
        return float(self.text(name) or otherwise)

    def count(self, name: str, otherwise: int = 0) -> int:
        return int(self.text(name) or otherwise)


def read(*texts: str) -> Directions:
    """The texts of one prompt. Raises Refused for a misspelt script, and for an argument that it
    does not take."""
    arguments: dict[str, list[str]] = {}
    plain, origin = [], []
    for text in texts:
        found = [] if _is_object(text) else list(_scripts_in(text))
        at = 0
        for name, argument, begin, end in found:
            _check(name, argument)
            arguments.setdefault(name, []).append(argument)
            plain.append(text[at:begin])
            at = end
        plain += [text[at:], "\n"]
        origin += [text] if found else []
    return Directions(
        "".join(plain[:-1]).strip() if arguments else "\n".join(texts), arguments, origin
    )


def _is_object(text: str) -> bool:
    """Whether a text is JSON, as in the transcripts that a client has judged: it quotes a prompt."""
    try:
        return text.lstrip().startswith("{") and isinstance(json.loads(text), dict)
    except (ValueError, RecursionError):
        return False


def _scripts_in(text: str) -> Iterator[tuple[str, str, int, int]]:
    """The name and the argument of each script, and where it begins and ends."""
    at = 0
    for match in _BEGINS.finditer(text):
        end = _script_end(text, match.start()) if match.start() >= at else None
        if end is None:
            continue
        name, argument = match[1], text[match.end() : end].strip()
        if name not in SCRIPTS and not get_close_matches(name, SCRIPTS):
            continue  # other text of the user, such as the [[package]] of a lock file
        at = end + 2
        yield name, argument, match.start(), at


def listing() -> str:
    """The table for a person: one script a line, then the names that some of them take."""
    written = {
        name: f"[[{name} {script.argument}".rstrip() + "]]" for name, script in SCRIPTS.items()
    }
    width = max(map(len, written.values()))
    lines = [f"{written[name]:<{width}}  {SCRIPTS[name].does}" for name in SCRIPTS]
    for title, names in (("CODE, or any other", FAILURES), ("NAME of a status", REFUSALS)):
        names_lines = textwrap.wrap(
            ", ".join(names), 96, initial_indent="  ", subsequent_indent="  "
        )
        lines += ["", f"{title}:", *names_lines]
    return "\n".join(lines)


def _check(name: str, argument: str) -> None:
    script = SCRIPTS.get(name)
    if script is None:
        raise detail(f"Unknown simulator script: {name}. Known: {', '.join(SCRIPTS)}")
    try:
        script.check(argument)
    except ValueError as problem:
        raise detail(f"Simulator script {name}: {problem}") from None


# Lower case and a space or the end after it: `[[Page]]`, `[[1, 2]]` and `[[ -f x ]]` are text.
_BEGINS = re.compile(r"\[\[([a-z_]+)(?=\s|\]\])")


def _script_end(text: str, start: int) -> int | None:
    """Where the `]]` of a script stands: brackets inside it may be balanced, as in JSON, and if
    they are not, it is the first."""
    depth = 0
    for at in range(start, len(text)):
        depth += {"[": 1, "]": -1}.get(text[at], 0)
        if depth == 0:
            return at - 1
    first = text.find("]]", start)
    return first if first >= 0 else None


def _no_argument(argument: str) -> None:
    if argument:
        raise ValueError("it takes no argument")


def _anything(argument: str) -> None:
    pass


def _some(argument: str) -> None:
    if not argument:
        raise ValueError("it needs an argument")


def _seconds(argument: str) -> None:
    if not re.fullmatch(r"\d+(\.\d+)?", argument):
        raise ValueError("it needs a number of seconds")


def _check_number(argument: str) -> None:
    if not argument.isascii() or not argument.isdecimal():
        raise ValueError("it needs a whole number")
    if int(argument) > MOST:
        raise ValueError(f"it takes at most {MOST}")


def _megabytes(argument: str) -> None:
    _check_number(argument)
    if int(argument) > HEAVIEST:
        raise ValueError(f"it takes at most {HEAVIEST}")


def _maybe_whole(argument: str) -> None:
    if argument:
        _check_number(argument)


def _check_status(argument: str) -> None:
    name, _, times = argument.partition(" ")
    if name not in REFUSALS:
        raise ValueError(f"it needs one of {', '.join(REFUSALS)}")
    _maybe_whole(times.strip())


def _reason(argument: str) -> None:
    if argument not in ("", "max_output_tokens", "content_filter"):
        raise ValueError("it takes max_output_tokens or content_filter")


SCRIPTS: Mapping[str, Script] = {
    # what is said
    "say": Script("TEXT", "answers with exactly this text", _some),
    "long": Script("N", "answers with N deltas: `1 2 3 …`", _check_number),
    "refuse": Script("[TEXT]", "answers with a refusal", _anything),
    "reason": Script("", "begins with a reasoning summary of two parts", _no_argument),
    "commentary": Script("", "says something in passing before the final answer", _no_argument),
    "two": Script("", "answers with two messages", _no_argument),
    "surrogate": Script("", "cuts an emoji in two, a lone surrogate in each delta", _no_argument),
    "tool": Script("NAME [ARGUMENTS]", "calls this tool; twice in a prompt: in parallel", _some),
    "tools": Script("N", "calls the tool that fits best N times in parallel", _check_number),
    "exact": Script("", "an image of exactly the size asked for", _no_argument),
    "heavy": Script("MB", "an image of so many megabytes", _megabytes),
    "blocked": Script("", "an image that moderation refuses", _no_argument),
    # how it is sent
    "late": Script("SECONDS", "waits before the status", _seconds),
    "slow": Script("SECONDS", "waits before each delta", _seconds),
    "silence": Script("SECONDS", "waits before the first output event", _seconds),
    "keepalive": Script("N", "sends N keepalive events, spread over the silence", _check_number),
    "rate_limits": Script("", "sends a codex.rate_limits event", _no_argument),
    "usage": Script(
        "PERCENT", "says in the headers that so much of the plan is used", _check_number
    ),
    "no_deltas": Script("", "items come whole, in output_item.done only", _no_argument),
    "no_text_deltas": Script("", "events of every kind but deltas", _no_argument),
    "no_parts": Script("", "items are added and done, and nothing in between", _no_argument),
    "unannounced": Script(
        "", "items and parts are never added, only their deltas come", _no_argument
    ),
    "long_ids": Script("", "ids of 408 characters, and call ids of 83", _no_argument),
    "unnamed": Script("", "events have no `event:` line", _no_argument),
    "crlf": Script("", "lines end with CR LF", _no_argument),
    "bytewise": Script("", "each byte is a chunk of its own", _no_argument),
    "unknown_event": Script("", "sends an event that nobody knows", _no_argument),
    "hold": Script("", "keeps the connection open after the last event", _no_argument),
    # how it goes wrong
    "incomplete": Script("[REASON]", "stops early: max_output_tokens or content_filter", _reason),
    "fail": Script("CODE", "fails after it began", _some),
    "fail_first": Script("CODE", "fails in the very first event", _some),
    "error": Script("[CODE]", "sends an `error` event in the middle", _anything),
    "error_nested": Script("[CODE]", "likewise, with the error one level deeper", _anything),
    "cut": Script("N", "ends after N deltas, without a last event", _check_number),
    "drop": Script("N", "breaks the connection after N deltas", _check_number),
    "empty": Script("", "200, and no event at all", _no_argument),
    "html": Script("", "200, and a web page", _no_argument),
    "bad_json": Script("", "one event is not JSON", _no_argument),
    "status": Script(
        "NAME [N]", "refuses with this status; with N, the first N times only", _check_status
    ),
    "times": Script(
        "N", "only the first N requests with this prompt play its scripts", _check_number
    ),
}
