"""Rules of `alpha/search`."""

from __future__ import annotations

from ..refusals import error
from .submission import Submission

PARAMETERS = ("id", "model", "input", "commands", "settings", "max_output_tokens")
"""Recorded: what the official client sends."""


def check_parameters(submission: Submission) -> None:
    for name in submission.body:
        if name not in PARAMETERS:
            message = f"Unknown parameter: '{name}'."
            raise error(message, param=name, code="unknown_parameter")
