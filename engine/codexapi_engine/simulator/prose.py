"""Finds people and places, prices and sums, and schemas in a prompt, by pattern."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable
from typing import NamedTuple

from ..errors import JsonObject


class Person(NamedTuple):
    name: str
    age: str


def people(prompt: str) -> list[Person]:
    """`Ada is 36`, `Ada Lovelace, age 36`, `Ada (36)`, `Ada, 36 years old`."""
    found = [match.groupdict() for match in _PERSON.finditer(prompt)]
    return [
        Person(fields["name"] or fields["other"], fields["age"] or fields["years"])
        for fields in found
    ]


def places(prompt: str) -> list[str]:
    """The places that a prompt names: two for `in Paris and Rome`, one for `in Paris, France`."""
    match = _PLACES.search(prompt)
    if match is None:
        return []
    several = " and " in match[1]
    return re.split(r",\s*(?:and\s+)?|\s+and\s+", match[1]) if several else [match[1]]


def numbers(text: str) -> list[float]:
    return [float(found) for found in re.findall(r"(?<![\w.])-?\d+(?:\.\d+)?", text)]


def wanted(prompt: str) -> int:
    """The number in a prompt: 3 for `three fake profiles`; 1 without one."""
    match = _COUNT.search(prompt)
    return 1 if match is None else _WORDS.get(match[1].lower()) or int(match[1])


def ordered(prompt: str) -> str | None:
    """The text to answer with: `Say the word 'yes'`, `reply with "no"`."""
    match = _ORDER.search(prompt)
    return match[1] if match else None


def forbids_tools(prompt: str) -> bool:
    """`Do NOT call any tools`."""
    return _NO_TOOLS.search(prompt) is not None


def tags(prompt: str) -> list[str]:
    """The tags to answer in: `an <analysis> block followed by a <summary> block`."""
    return list(dict.fromkeys(_TAG.findall(prompt)))


def on_sight(rules: Iterable[str]) -> str | None:
    """The text to answer images with: `If you see an image, reply with 'A cat'`."""
    found = (_ON_SIGHT.search(rule) for rule in rules)
    return next((match[1] for match in found if match), None)


def value_of(name: str, prompt: str) -> str | None:
    """What the prompt says of a property: `title: Ada`, and what one of that name is likely to
    mean."""
    if not name or not prompt:
        return None
    word = re.escape(name).replace("_", "[ _]")
    if match := re.search(rf"(?i)\b{word}\b\s*(?:[:=]|is\b)\s*([^,;\n]+)", prompt):
        return match[1].partition(" and ")[0].strip().strip("\"'`").rstrip(".")
    for names, pattern in _LIKELY:
        if names.search(name.lower()) and (match := pattern.search(prompt)):
            return str(next(filter(None, match.groups())))
    return (ordered(prompt) or prompt) if _WHOLE_PROMPT.search(name.lower()) else None


def schema_in(texts: Iterable[str]) -> JsonObject | None:
    """The schema that a text contains, or the keys that it asks for: `with 'a' and 'b' keys`."""
    for text in texts:
        start = text.find("{")
        value = _json(text, start) if start >= 0 else None
        if isinstance(value, dict) and ("properties" in value or "$ref" in value):
            return value
        if keys := _KEYS.search(text):
            return {"properties": {key: {"type": "string"} for key in _KEY.findall(keys[0])}}
    return None


def _json(text: str, start: int) -> object:
    try:
        return json.JSONDecoder().raw_decode(text, start)[0]
    except (ValueError, RecursionError):
        return None


_CAPITAL = r"[A-ZÀ-Þ][\w'’-]*"
_NAMES = rf"{_CAPITAL}(?:\s+{_CAPITAL})*"
_VERB = r"(?:Extract|Create|Generate|Make|Parse|Find|Describe|Return)"
_FULL_NAME = rf"(?!{_VERB}\b){_CAPITAL}(?:\s+{_CAPITAL})*"
_PERSON = re.compile(
    rf"\b(?P<name>{_FULL_NAME})(?:\s+is\s+|,?\s+aged?\s+|\s+\()(?P<age>\d+)(?!\d)"
    rf"|\b(?P<other>{_FULL_NAME}|\w+)(?:\s+who)?(?:\s+is|,)?\s+(?P<years>\d+)\s+years?[ -]old"
)
_PLACES = re.compile(
    rf"\b(?:in|for|at|to|of)\s+({_NAMES}(?:(?:,\s*(?:and\s+)?|\s+and\s+){_NAMES})*)"
)
_QUOTE = r"['\"`‘“](.+?)['\"`’”]"
_ORDER = re.compile(rf"(?i)\b(?:say|reply with|answer with)(?: exactly| the words?)?:? {_QUOTE}")
_NO_TOOLS = re.compile(r"(?i)\b(?:do not|don't|never) (?:call|use) any tools?\b")
_TAG = re.compile(r"\ban? <(\w+)> block\b")
_ON_SIGHT = re.compile(rf"(?i)\bif [^.]*\bimages?\b[^.]*\breply with {_QUOTE}")
_WORDS = {"two": 2, "three": 3, "four": 4, "five": 5}
_COUNT = re.compile(rf"(?i)\b([2-9]|{'|'.join(_WORDS)}) (?!years|degrees)(?:\w+ )?\w+s\b")
_KEY = re.compile(r"['\"`](\w+)['\"`]")
_KEYS = re.compile(rf"{_KEY.pattern}(?:(?:, | and |, and ){_KEY.pattern})* (?:keys?|fields?)\b")
_WHOLE_PROMPT = re.compile(
    r"(?:^|_)(?:query|q|question|prompt|text|input|message|content|command|cmd|expression)(?:$|_)"
)
_STREET = rf"(\d+ {_NAMES})"

# Names of properties, and where a prompt is likely to have their values.
_LIKELY = [
    (re.compile(names), re.compile(pattern))
    for names, pattern in (
        ("name$", rf"\b(?:named|called) {_QUOTE}"),
        ("^(?:first_|full_)?name$|^person$", rf"\b(?:named|called) ({_NAMES})"),
        ("^name$|^product$", r"^(.{1,40}?) costs "),
        (
            "^(?:first_)?name$|^person$",
            rf"(?<=[\w,;:] )({_CAPITAL})|\b({_CAPITAL})(?=\s+(?:is|was|has|and)\b)",
        ),
        ("price|cost|amount|budget", r"[$€](\d+(?:\.\d+)?)"),
        ("^title$|^subject$", r":\s+([^,;.\n]+)"),
        ("^expression$", r"(\d+(?:\s*[-+*/]\s*\d+)+)"),
        ("^street$", rf"\b{_STREET},"),
        ("^city$|^town$", rf"\b\d+ {_NAMES}, ({_NAMES})"),
        ("^country$", rf"\b\d+ {_NAMES}, {_NAMES}, ({_NAMES})"),
    )
]
