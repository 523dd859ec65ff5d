"""Replaces each letter by the representative of its class: the same for all letters of a class.

A class is a Unicode category and a length in UTF-8. Punctuation of ASCII, spaces and controls stay.
"""

from __future__ import annotations

import re
import string
import unicodedata

_ASCII = str.maketrans(
    string.ascii_letters + string.digits, "x" * 26 + "X" * 26 + "1" * 10
)  # a digit is 1, so that a number stays one: 0 could not begin it

_REPRESENTATIVES = {
    ("Cf", 2): "\u00ad",
    ("Cf", 3): "\u200d",
    ("Cf", 4): "\U000110bd",
    ("Cn", 2): "\u0378",
    ("Cn", 3): "\u082e",
    ("Cn", 4): "\U0001000c",
    ("Co", 3): "\ue000",
    ("Co", 4): "\U000f0000",
    ("Ll", 2): "\u00f8",
    ("Ll", 3): "\u1e81",
    ("Ll", 4): "\U00010428",
    ("Lm", 2): "\u02b0",
    ("Lm", 3): "\u3005",
    ("Lm", 4): "\U00010780",
    ("Lo", 2): "\u00aa",
    ("Lo", 3): "\u65e5",
    ("Lo", 4): "\U00010000",
    ("Lt", 2): "\u01c5",
    ("Lt", 3): "\u1f88",
    ("Lu", 2): "\u00d8",
    ("Lu", 3): "\u1e80",
    ("Lu", 4): "\U00010400",
    ("Mc", 3): "\u0903",
    ("Mc", 4): "\U00011000",
    ("Me", 2): "\u0488",
    ("Me", 3): "\u1abe",
    ("Mn", 2): "\u0300",
    ("Mn", 3): "\u20d0",
    ("Mn", 4): "\U000101fd",
    ("Nd", 2): "\u0660",
    ("Nd", 3): "\u0966",
    ("Nd", 4): "\U000104a0",
    ("Nl", 3): "\u16ee",
    ("Nl", 4): "\U00010140",
    ("No", 2): "\u00b2",
    ("No", 3): "\u09f4",
    ("No", 4): "\U00010107",
    ("Pc", 3): "\u203f",
    ("Pd", 2): "\u058a",
    ("Pd", 3): "\u2013",
    ("Pd", 4): "\U00010ead",
    ("Pe", 3): "\u300d",
    ("Pf", 2): "\u00bb",
    ("Pf", 3): "\u2019",
    ("Pi", 2): "\u00ab",
    ("Pi", 3): "\u2018",
    ("Po", 2): "\u00a1",
    ("Po", 3): "\u2026",
    ("Po", 4): "\U00010100",
    ("Ps", 3): "\u300c",
    ("Sc", 2): "\u00a2",
    ("Sc", 3): "\u20ac",
    ("Sc", 4): "\U00011fdd",
    ("Sk", 2): "\u00a8",
    ("Sk", 3): "\u0888",
    ("Sk", 4): "\U0001f3fb",
    ("Sm", 2): "\u00ac",
    ("Sm", 3): "\u2192",
    ("Sm", 4): "\U0001d6c1",
    ("So", 2): "\u00a6",
    ("So", 3): "\u2713",
    ("So", 4): "\U0001f642",
}

_HIGH, _LOW = "\ud83d", "\ude42"
"""Halves of a pair for the halves of any pair, which deltas may cut in two."""

# A pair of escapes, one of a code, or a short one.
ESCAPE = r"\\u[dD][89abAB][0-9a-fA-F]{2}\\u[dD][c-fC-F][0-9a-fA-F]{2}|\\u[0-9a-fA-F]{4}|\\."
_UNITS = re.compile(rf"{ESCAPE}|[A-Za-z0-9]+|[^\x00-\x7f]", re.DOTALL)
_LETTERS = re.compile(rf"{ESCAPE}|.", re.DOTALL)
SHORT_ESCAPES = frozenset('"\\/bfnrt')
_SIMPLE = {"b": "\b", "f": "\f", "n": "\n", "r": "\r", "t": "\t"}


def representative(letter: str) -> str:
    """The letter that stands for all of its class."""
    if letter.isascii():
        return letter.translate(_ASCII)
    if "\ud800" <= letter <= "\udfff":
        return _HIGH if letter < "\udc00" else _LOW
    category = unicodedata.category(letter)
    return _REPRESENTATIVES.get((category, len(letter.encode())), letter)


def blank(text: str) -> str:
    """A text of representatives."""
    if text.isascii():
        return text.translate(_ASCII)
    return "".join(map(representative, text))


def blank_literal(literal: str) -> str:
    """Likewise, inside of a JSON string: escapes stay escapes. Bytes that are no UTF-8 may stand in
    it as `surrogateescape` decodes them."""
    return _UNITS.sub(_unit, literal)


def _unit(found: re.Match[str]) -> str:
    unit = found[0]
    if unit[0] == "\\":
        return escape(unit, representative(unescape(unit)))
    return blank(unit)


def units(literal: str) -> list[str]:
    """The inside of a JSON string, letter by letter: an escape is one, and so is a pair of them."""
    return _LETTERS.findall(literal)


def unescape(unit: str) -> str:
    """The letter that a unit stands for."""
    if unit[0] != "\\" or len(unit) == 1:
        return unit
    if unit[1] != "u" or len(unit) < 6:
        return _SIMPLE.get(unit[1], unit[1])
    codes = [int(part, 16) for part in unit.split("\\u")[1:]]
    if len(codes) == 2:
        return chr(0x10000 + ((codes[0] & 0x3FF) << 10) + (codes[1] & 0x3FF))
    return chr(codes[0])


def escape(unit: str, letter: str) -> str:
    """A letter in the form that a unit has. The letter is as long as the unit's own."""
    if unit[0] != "\\" or len(unit) == 1:
        return letter
    if unit[1] != "u" or len(unit) < 6:
        return unit if unit[1] in SHORT_ESCAPES else "\\" + representative(unit[1])
    code = ord(letter)
    if code > 0xFFFF:
        return f"\\u{0xD800 + (code - 0x10000 >> 10):04x}\\u{0xDC00 + (code & 0x3FF):04x}"
    return f"\\u{code:04x}"
