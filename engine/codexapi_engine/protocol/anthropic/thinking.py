"""How much the model is to think, and what of it the client is to see."""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

from ...errors import JsonObject
from ..shapes import get_dict, get_int, get_str
from .fields import invalid

_EFFORTS = ("low", "medium", "high", "xhigh", "max")
_BUDGETS = ((2_048, "low"), (8_192, "medium"), (24_576, "high"))
_BEYOND = "xhigh"
LEAST = "none"
"""The effort of a request without thinking, where it is not known what the model has."""


class Thinking(NamedTuple):
    effort: str | None  # None leaves it to the backend
    blocks: bool  # the reply has thinking blocks
    summaries: bool  # with text in them

    @property
    def options(self) -> JsonObject:
        """As `reasoning` of a Responses request."""
        effort = {"effort": self.effort} if self.effort else {}
        return {**effort, "summary": "auto"} if self.summaries else effort


def thinking_of(
    config: JsonObject | None, configs: Iterable[tuple[str, JsonObject]], least: str
) -> Thinking:
    """What `thinking` and each `output_config`, with its path, ask for: the last one decides.
    `least` is the model's least effort."""
    effort = None
    for path, output in configs:
        effort = _effort(output, path) or effort
    if not config:
        return Thinking(effort, False, False)
    if (kind := get_str(config, "type")) == "disabled":
        return Thinking(least, False, False)
    if kind == "enabled":
        effort = effort or _from_budget(get_int(config, "budget_tokens") or 0)
    return Thinking(effort, True, get_str(config, "display") != "omitted")


def system_configs(messages: Iterable[JsonObject]) -> list[tuple[str, JsonObject]]:
    """The `output_config` of each system message, with its path."""
    return [
        (f"messages.{index}.output_config", config)
        for index, message in enumerate(messages)
        if message.get("role") == "system" and (config := get_dict(message, "output_config"))
    ]


def _effort(config: JsonObject, path: str) -> str:
    effort = config.get("effort")
    if effort is None:
        return ""
    if effort not in _EFFORTS:
        raise invalid(f"{path}.effort", f"Input should be one of {', '.join(_EFFORTS)}")
    return str(effort)


def _from_budget(tokens: int) -> str:
    return next((effort for bound, effort in _BUDGETS if tokens <= bound), _BEYOND)
