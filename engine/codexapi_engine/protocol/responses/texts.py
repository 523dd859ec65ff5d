"""The texts of a stream: what their events and parts are called, and what each is.

The dialects, the command line, the page, the announcer and the names that we know follow this table.
"""

from __future__ import annotations

from typing import Literal, NamedTuple, TypeVar

from ...errors import JsonObject
from ..shapes import get_str

Role = Literal["answer", "refusal", "reasoning", "input"]
"""What a text is: words of the answer, a refusal, reasoning, or the input of a call."""

ANSWER_ROLES: tuple[Role, ...] = ("answer", "refusal")
"""What a user reads as the answer."""

T = TypeVar("T")


class TextForm(NamedTuple):
    """A text that has deltas, in its events and in its item."""

    name: str  # the beginning of the delta's and the done event's name
    role: Role
    field: str  # where the done event, and the part or the call, have the complete text
    part_index: str = ""  # the member that counts the parts of the item; empty without parts
    part: str = ""  # the type of the part; empty where the item has none for it


OUTPUT_TEXT = TextForm("response.output_text", "answer", "text", "content_index", "output_text")
REFUSAL = TextForm("response.refusal", "refusal", "refusal", "content_index", "refusal")
SUMMARY = TextForm(
    "response.reasoning_summary_text", "reasoning", "text", "summary_index", "summary_text"
)
REASONING = TextForm(
    "response.reasoning_text", "reasoning", "text", "content_index", "reasoning_text"
)
ARGUMENTS = TextForm("response.function_call_arguments", "input", "arguments")
INPUT = TextForm("response.custom_tool_call_input", "input", "input")

TEXTS = (OUTPUT_TEXT, REFUSAL, SUMMARY, REASONING, ARGUMENTS, INPUT)

DELTAS = {f"{text.name}.delta": text for text in TEXTS}
ENDS = {f"{text.name}.done": text for text in TEXTS}
PARTS = {text.part: text for text in reversed(TEXTS) if text.part}
"""By the type of a part: the first in the table, where a part has the deltas of two."""

_FIELDS = tuple(dict.fromkeys(text.field for text in PARTS.values()))


def by_event(role: Role, delta: T, done: T) -> dict[str, T]:
    """What is for the deltas, and what for the ends, of all texts of a role: by type of event."""
    deltas = {name: delta for name, text in DELTAS.items() if text.role == role}
    return deltas | {name: done for name, text in ENDS.items() if text.role == role}


def by_part(role: Role, value: T) -> dict[str, T]:
    """What is for the parts of a role: by type of part."""
    return {part: value for part, text in PARTS.items() if text.role == role}


def role_of(part: JsonObject) -> Role | None:
    """None for a part that is no text, or is not known."""
    text = PARTS.get(get_str(part, "type"))
    return text.role if text else None


def complete_text(holder: JsonObject) -> str:
    """The complete text that a done event has, or a part."""
    return next((text for field in _FIELDS if (text := get_str(holder, field))), "")
