"""Translates an Ollama request into a Responses request, by way of a Chat request."""

from __future__ import annotations

import re
from typing import Any, NamedTuple

from ...errors import InvalidRequest, JsonObject
from .. import chat, completions, models
from ..models import EFFORTS, Model
from ..rules import FieldRule, apply, unsupported
from ..shapes import get_dict
from ..validation import validated
from .call_ids import CallIds
from .messages import OllamaHistory, content_of
from .reply import OllamaOptions
from .schema import (
    ASKS_NOTHING,
    GENERATE_RULES,
    OPTION_RULES,
    OPTIONS_ASK_NOTHING,
    RULES,
    OllamaChat,
    OllamaGenerate,
    OllamaRequest,
    SamplingOptions,
)

_TOOLS = ("function", "web_search")
_NO_TIME = re.compile(r"[+-]?0+(\.0+)?(ns|us|µs|ms|s|m|h)?")
_LEVELS = "true, false, 'low', 'medium', 'high' or 'max'"


class Translated(NamedTuple):
    """A request in Responses' terms, and what shapes its reply."""

    sent: JsonObject
    options: OllamaOptions
    ignored: tuple[str, ...]
    call_ids: CallIds


def loads_only(body: JsonObject, *, generate: bool) -> str | None:
    """`load` or `unload` for a request without a message, which asks for nothing else; None for any
    other. Raises InvalidRequest."""
    request = _checked(body, generate=generate)
    text = request.prompt if isinstance(request, OllamaGenerate) else request.messages
    if text:
        return None
    kept = request.keep_alive
    is_zero = bool(_NO_TIME.fullmatch(kept.strip())) if isinstance(kept, str) else kept == 0
    return "unload" if kept is not None and is_zero else "load"


def from_client(
    body: JsonObject,
    *,
    name: str,
    entry: Model | None,
    generate: bool = False,
    created_at: str = "",
    strict: bool = False,
) -> Translated:
    """A client's body, translated. `name` is the model to ask, `entry` what the list has of it, and
    `created_at` what the reply gives for its time. Raises InvalidRequest, naming the field."""
    request = _checked(body, generate=generate)
    ignored = _ignored(body, generate=generate, strict=strict)
    conversation = OllamaHistory()
    reasoning = _reasoning(request, entry)
    common: JsonObject = {"model": name, "response_format": _format(request.format)}
    common["reasoning"] = reasoning or None
    if isinstance(request, OllamaGenerate):
        sent = _generation(request, common)
    else:
        sent = _conversation(request, common, conversation)
    options = OllamaOptions(
        model=request.model,
        created_at=created_at,
        generate=generate,
        thinking="summary" in reasoning,
        json=bool(request.format),
        stop=_stops(request.options),
    )
    return Translated(sent, options, ignored, conversation.call_ids)


def _checked(body: JsonObject, *, generate: bool) -> OllamaChat | OllamaGenerate:
    return validated(OllamaGenerate, body) if generate else validated(OllamaChat, body)


def ollama_param(param: str | None, body: JsonObject) -> str | None:
    """The caller's name of a field that an error names in Chat's words or the backend's."""
    found = chat.chat_param(param, {name: body[name] for name in body if name != "format"})
    if found is None:
        return None
    if found.startswith("response_format"):
        return "format"
    if found.startswith("reasoning"):
        return "think"
    if found.startswith("messages") and "messages" not in body:
        return "prompt"
    return found


def changed_names(changed: tuple[str, ...], body: JsonObject) -> tuple[str, ...]:
    """The caller's names of what the backend's model has in another way."""
    if body.get("think") is None:
        return changed
    return tuple("think" if name == "reasoning_effort" else name for name in changed)


def _conversation(
    request: OllamaChat, common: JsonObject, conversation: OllamaHistory
) -> JsonObject:
    messages = conversation.translate(request.messages or [])
    tools = [_tool(tool, f"tools[{index}]") for index, tool in enumerate(request.tools or ())]
    return _by_chat({**common, "messages": messages, "tools": tools or None})


def _generation(request: OllamaGenerate, common: JsonObject) -> JsonObject:
    if request.suffix:  # the text between the two, as Completions has it
        gap = completions.CompletionRequest(model=common["model"], suffix=request.suffix)
        sent = completions.to_responses(gap, request.prompt or "")
        reasoning = common["reasoning"]
        return {**sent, "reasoning": reasoning} if reasoning else sent
    content = content_of(request.prompt, request.images, "")
    system = [{"role": "system", "content": request.system}] if request.system else []
    return _by_chat({**common, "messages": [*system, {"role": "user", "content": content}]})


def _by_chat(body: JsonObject) -> JsonObject:
    request, _ = chat.from_client(body)
    return chat.to_responses(request)


def _tool(tool: JsonObject, path: str) -> JsonObject:
    """Those of Chat's tools that Ollama's replies have a form for."""
    kind = tool.get("type", "function")
    if kind not in _TOOLS:
        raise InvalidRequest(
            f"Invalid value for '{path}.type': expected 'function'.",
            code="invalid_value",
            param=f"{path}.type",
        )
    return {**tool, "type": kind}


def _format(form: str | JsonObject | None) -> JsonObject | None:
    """Never strict: programs send plain schemas, to which strict mode does not apply."""
    if not form:
        return None
    if form == "json":
        return {"type": "json_object"}
    if isinstance(form, str):
        raise InvalidRequest(
            "Invalid value for 'format': expected 'json' or a JSON schema.",
            code="invalid_value",
            param="format",
        )
    wrapper = {"name": "answer", "schema": form, "strict": False}
    return {"type": "json_schema", "json_schema": wrapper}


def _reasoning(request: OllamaRequest, entry: Model | None) -> JsonObject:
    """The effort, and whether summaries of the reasoning are wanted: unless `think` is false, as
    Ollama's own thinking models do it."""
    think = request.think
    if entry is not None and not entry.efforts:
        if think:
            raise _wrong_think(f'"{request.model}" does not support thinking')
        return {}
    if think is False:
        return {"effort": "none"}
    if isinstance(think, bool) or not think:
        return {"summary": "auto"}
    if think not in EFFORTS:
        raise _wrong_think(f"Invalid value for 'think': expected {_LEVELS}.")
    highest = think == "max" and entry is not None
    effort = models.nearest_effort(entry, think) if highest and entry else think
    return {"effort": effort, "summary": "auto"}


def _wrong_think(message: str) -> InvalidRequest:
    return InvalidRequest(message, code="invalid_value", param="think")


def _stops(options: SamplingOptions | None) -> tuple[str, ...]:
    stop: Any = options.stop if options is not None else None
    return (stop,) if isinstance(stop, str) else tuple(stop or ())


def _ignored(body: JsonObject, *, generate: bool, strict: bool) -> tuple[str, ...]:
    rules = GENERATE_RULES if generate else RULES
    names = apply(
        rules, body, strict=strict, no_effect=ASKS_NOTHING, unknown=FieldRule.IGNORED
    )  # fmt: skip
    options = {f"options.{name}": value for name, value in get_dict(body, "options").items()}
    inner = apply(
        OPTION_RULES,
        options,
        strict=strict,
        no_effect=OPTIONS_ASK_NOTHING,
        unknown=FieldRule.IGNORED,
    )
    if generate and body.get("suffix"):
        names += _beside_a_suffix(body, strict=strict)
    known = [name if name in OPTION_RULES else "options" for name in inner]
    return (*names, *dict.fromkeys(known))


def _beside_a_suffix(body: JsonObject, *, strict: bool) -> tuple[str, ...]:
    """What has no effect where a gap in a text is filled."""
    names = tuple(name for name in ("system", "images", "format") if body.get(name))
    if names and strict:
        raise unsupported(names[0], "it does not go with 'suffix'")
    return names
