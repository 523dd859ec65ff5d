"""The result of one check of `doctor`, with its fix."""

from __future__ import annotations

from typing import NamedTuple

OK, WARNING, PROBLEM, UNKNOWN = "ok", "warning", "problem", "unknown"


class Check(NamedTuple):
    name: str
    state: str
    text: str
    fix: str | None = None

    @property
    def advice(self) -> str:
        """What to do, as a line: where nothing is wrong there is nothing to fix."""
        return f"{'to do so' if self.state == OK else 'fix'}: {self.fix}"
