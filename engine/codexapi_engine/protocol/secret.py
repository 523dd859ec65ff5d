"""A text that cannot be printed: redaction by construction.

Nothing here does I/O.
"""

from __future__ import annotations

from typing import NoReturn

MASK = "***"


class Secret:
    """A token or a key. Printed, formatted, logged or shown by `repr` it is `***`; its text is had
    by `reveal` alone, so that every place where a secret leaves can be found by that word."""

    __slots__ = ("_text",)

    def __init__(self, text: str) -> None:
        self._text = text

    @classmethod
    def of(cls, text: str | Secret | None) -> Secret | None:
        """None stays None, and so does no text at all."""
        return text if isinstance(text, Secret) else cls(text) if text else None

    def reveal(self) -> str:
        return self._text

    def __repr__(self) -> str:
        return MASK

    def __str__(self) -> str:
        return MASK

    def __format__(self, spec: str) -> str:
        return MASK

    def __eq__(self, other: object) -> bool:
        """For dictionaries alone: untrusted input is compared in constant time, elsewhere."""
        return isinstance(other, Secret) and self._text == other._text

    def __hash__(self) -> int:
        return hash(self._text)

    def __deepcopy__(self, memo: object) -> Secret:
        return self

    def __reduce__(self) -> NoReturn:
        raise TypeError("a secret is not written down")
