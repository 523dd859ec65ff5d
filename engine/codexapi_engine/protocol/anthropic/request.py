"""A Messages request as a Responses request. Knows nothing of the reply."""

from __future__ import annotations

from typing import NamedTuple, TypeVar

from ...errors import InvalidRequest, JsonObject
from .. import json
from ..responses.backend import json_form
from ..rules import FieldRule, apply
from ..shapes import get_dict, get_list, get_str
from .content import MessageOptions
from .fields import Ignored, check, content_blocks, invalid, required_object, required_text
from .messages import Conversation
from .schema import ASKS_NOTHING, RULES, CountRequest, MessagesRequest
from .signature import UNKNOWN, Writer
from .thinking import LEAST, Thinking, system_configs, thinking_of
from .tools import Toolbox

R = TypeVar("R", bound=CountRequest)

BILLING_HEADER = "x-anthropic-billing-header:"
"""How a line of Claude Code's begins that differs in each request, and would miss every cache."""

_KEEPS_ALL = {"type": "clear_thinking_20251015", "keep": "all"}
_TIERS = ("auto", "standard_only")


class Request(NamedTuple):
    """A request in Responses' terms, and what shapes its reply."""

    sent: JsonObject
    options: MessageOptions
    ignored: tuple[str, ...]


def from_client(
    body: JsonObject,
    *,
    model: str,
    reader: Writer = UNKNOWN,
    session: str = "",
    least_effort: str = LEAST,
    strict: bool = False,
) -> Request:
    """A client's body, translated. `model` is the one to ask, `least_effort` its own, `reader` is
    who will read the reasoning in it, and `session` names the conversation for the backend's cache.

    Raises InvalidRequest, naming the field.
    """
    request = check(MessagesRequest, body)
    if request.messages[-1].get("role") == "assistant":
        why = "The last message cannot be the assistant's: the Codex backend continues no text"
        raise invalid(f"messages.{len(request.messages) - 1}.role", why)
    ignored = Ignored(strict)
    ignored.paths += _top_level(body, strict)
    made = _translate(request, reader, ignored, least_effort)
    made.sent["model"] = model
    if session:
        made.sent["prompt_cache_key"] = session
    return made


def to_count(body: JsonObject) -> JsonObject:
    """The Responses request of a body that is to be counted. Raises InvalidRequest."""
    request = check(CountRequest, body)
    return _translate(request, UNKNOWN, Ignored(strict=False)).sent


def _translate(
    request: CountRequest, reader: Writer, ignored: Ignored, least_effort: str = LEAST
) -> Request:
    thinking = _thinking(request, ignored, least_effort)
    tools = Toolbox(request.tools or (), request.messages, ignored)
    conversation = Conversation(tools.known, reader, ignored)
    sent: JsonObject = {}
    if instructions := _instructions(request):
        sent["instructions"] = instructions
    sent["input"] = conversation.items(request.messages)
    if not sent["input"]:
        raise invalid("messages", "at least one message must have content")
    if form := _text_format(request):
        sent["text"] = {"format": form}
    if thinking.options:
        sent["reasoning"] = thinking.options
    sent.update(_tool_fields(request, tools))
    if request.speed == "fast":
        sent["service_tier"] = "priority"
    elif request.speed not in (None, "standard"):
        ignored.add("speed")
    options = MessageOptions(
        model=request.model,
        writer=reader,
        thinking=thinking.blocks,
        summaries=thinking.summaries,
        stop=tuple(request.stop_sequences or ()),
        names=tools.names,
        edits=_context_edits(request, ignored),
    )
    return Request(sent, options, tuple(ignored.paths))


def _top_level(body: JsonObject, strict: bool) -> list[str]:
    """The names of the fields without effect. `max_tokens` is one that a client cannot leave out,
    so it is never refused."""
    if body.get("thread") is not None:
        raise _no_threads()
    fields = {name: value for name, value in body.items() if name != "max_tokens"}
    if fields.get("service_tier") in _TIERS:
        del fields["service_tier"]
    names = apply(RULES, fields, strict=strict, no_effect=ASKS_NOTHING, unknown=FieldRule.IGNORED)
    return ["max_tokens", *names]


def _no_threads() -> InvalidRequest:
    """The official client falls back to whole conversations for this refusal, and for no other."""
    error = invalid("thread", "Threads are not supported: the Codex backend keeps no conversation")
    details = {"error_code": "thread_unsupported_request", "unsupported": ["thread"]}
    error.extra = {"details": details}
    return error


def _instructions(request: CountRequest) -> str:
    texts: list[str] = []
    for index, block in enumerate(content_blocks(request.system, "system")):
        if get_str(block, "type") != "text":
            raise invalid(f"system.{index}.type", "Input should be 'text'")
        texts.append(required_text(block, "text", f"system.{index}"))
    return "\n\n".join(text for text in texts if text and not text.startswith(BILLING_HEADER))


def _thinking(request: CountRequest, ignored: Ignored, least_effort: str) -> Thinking:
    own = request.output_config or {}
    configs = [("output_config", own), *system_configs(request.messages)]
    for path, config in configs:
        if config.get("task_budget") is not None:
            ignored.add(f"{path}.task_budget")
    return thinking_of(request.thinking, configs, least_effort)


def _text_format(request: CountRequest) -> JsonObject | None:
    """`text.format`: strict wherever the schema is one that the backend can be strict about."""
    path, form = "output_config.format", get_dict(request.output_config or {}, "format")
    if not form and request.output_format:
        path, form = "output_format", request.output_format
    if not form:
        return None
    if get_str(form, "type") != "json_schema":
        raise invalid(f"{path}.type", "Input should be 'json_schema'")
    return json_form(required_object(form, "schema", path), "output")


def _tool_fields(request: CountRequest, tools: Toolbox) -> JsonObject:
    choice = request.tool_choice or {}
    chosen = tools.choice(choice) if choice else None
    offer = tools.offer
    if not offer:
        return {}
    fields: JsonObject = {
        "tools": offer,
        "parallel_tool_calls": choice.get("disable_parallel_tool_use") is not True,
    }
    if chosen is not None:
        fields["tool_choice"] = chosen
    return fields


def _context_edits(request: CountRequest, ignored: Ignored) -> bool:
    """Whether the client wants to hear of edits of its context. None is ever made."""
    if not request.context_management:
        return False
    for index, edit in enumerate(get_list(request.context_management, "edits")):
        if edit != _KEEPS_ALL:
            ignored.add(f"context_management.edits.{index}")
    return True


def session_of(body: JsonObject) -> str:
    """The session that Claude Code names in `metadata.user_id`; empty where there is none."""
    name = get_str(get_dict(body, "metadata"), "user_id")
    if not name:
        return ""
    try:
        value = json.loads(name)
    except ValueError:
        return ""
    return get_str(value, "session_id") if isinstance(value, dict) else ""
