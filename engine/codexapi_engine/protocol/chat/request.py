"""A Chat Completions request as a Responses request.

Field by field as translation.md 1 and 2 have it. Knows nothing of the reply.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from ...errors import InvalidRequest, JsonObject
from .. import json
from ..choices import MAX_CHOICES, MAX_STOPS, check_stream_options
from ..images import data_urls
from ..responses.backend import SERVICE_TIERS, cache_key
from ..responses.ids import legal_name
from ..responses.parts import file_part, is_data, refuse_file_id, translate_part
from ..responses.tools import check_name, translate_choice, translate_tool
from ..rules import Rule, apply
from ..shapes import listed, word
from ..validation import Metadata, validated
from .reply import Form, tier_of

RULES: dict[str, Rule] = {
    "model": Rule.TRANSLATED,
    "messages": Rule.TRANSLATED,
    "tools": Rule.TRANSLATED,
    "tool_choice": Rule.TRANSLATED,
    "parallel_tool_calls": Rule.TRANSLATED,
    "functions": Rule.TRANSLATED,
    "function_call": Rule.TRANSLATED,
    "response_format": Rule.TRANSLATED,
    "verbosity": Rule.TRANSLATED,
    "reasoning_effort": Rule.TRANSLATED,
    "reasoning": Rule.TRANSLATED,  # beyond the official API: {effort, summary}
    "reasoning_summary": Rule.TRANSLATED,  # likewise
    "web_search_options": Rule.TRANSLATED,
    "service_tier": Rule.TRANSLATED,
    "prompt_cache_key": Rule.TRANSLATED,
    "stream": Rule.HONOURED,
    "stream_options": Rule.HONOURED,
    "n": Rule.HONOURED,
    "stop": Rule.HONOURED,
    "store": Rule.HONOURED,  # kept on this machine, if true
    "metadata": Rule.HONOURED,  # of what is kept
    "temperature": Rule.IGNORED,
    "top_p": Rule.IGNORED,
    "presence_penalty": Rule.IGNORED,
    "frequency_penalty": Rule.IGNORED,
    "seed": Rule.IGNORED,
    "max_tokens": Rule.IGNORED,
    "max_completion_tokens": Rule.IGNORED,
    "prediction": Rule.IGNORED,
    "user": Rule.IGNORED,
    "safety_identifier": Rule.IGNORED,
    "prompt_cache_options": Rule.IGNORED,
    "prompt_cache_retention": Rule.IGNORED,
    "logit_bias": Rule.REFUSED,
    "logprobs": Rule.REFUSED,
    "top_logprobs": Rule.REFUSED,
    "audio": Rule.REFUSED,
    "modalities": Rule.REFUSED,
    "moderation": Rule.REFUSED,
}
"""What becomes of each field of `POST /v1/chat/completions`. What is not here is ignored."""

ASKS_NOTHING: dict[str, object] = {
    "n": 1,
    "presence_penalty": 0,
    "frequency_penalty": 0,
    "logit_bias": {},
    "logprobs": False,
    "top_logprobs": 0,
    "modalities": ["text"],
    "stop": [],
}
_ROLES = ("system", "assistant", "user", "function", "tool", "developer")
_FORMAT_NAME = re.compile(r"[a-zA-Z0-9_-]{1,64}")
MAX_TOOLS = 128


class Message(BaseModel):
    model_config = ConfigDict(extra="allow", strict=True, defer_build=True)

    role: str
    content: list[dict[str, Any]] | str | None = None
    name: str | None = None
    refusal: str | None = None
    tool_calls: list[dict[str, Any]] | None = None
    tool_call_id: str | None = None
    function_call: dict[str, Any] | None = None
    phase: str | None = None


class Options(BaseModel):
    """All that a client may leave out: the shapes of what we look at."""

    model_config = ConfigDict(extra="allow", strict=True, defer_build=True)

    stream: bool | None = None
    stream_options: dict[str, Any] | None = None
    tools: list[dict[str, Any]] | None = Field(None, max_length=MAX_TOOLS)
    tool_choice: str | dict[str, Any] | None = None
    parallel_tool_calls: bool | None = None
    functions: list[dict[str, Any]] | None = Field(None, max_length=MAX_TOOLS)
    function_call: str | dict[str, Any] | None = None
    response_format: dict[str, Any] | None = None
    verbosity: Literal["low", "medium", "high"] | None = None
    reasoning_effort: str | None = None
    reasoning: dict[str, Any] | None = None
    reasoning_summary: str | None = None
    web_search_options: dict[str, Any] | None = None
    service_tier: str | None = None
    prompt_cache_key: str | None = None
    store: bool | None = None
    metadata: Metadata | None = None
    n: int | None = Field(None, ge=1, le=MAX_CHOICES)
    # The list first: of a union's errors, the first branch's is told.
    stop: Annotated[list[str], Field(max_length=MAX_STOPS)] | str | None = None
    temperature: float | None = Field(None, ge=0, le=2)
    top_p: float | None = Field(None, ge=0, le=1)
    presence_penalty: float | None = Field(None, ge=-2, le=2)
    frequency_penalty: float | None = Field(None, ge=-2, le=2)
    max_tokens: int | None = Field(None, ge=1)
    max_completion_tokens: int | None = Field(None, ge=1)


class Request(Options):
    """What a client may send."""

    model: str = Field(min_length=1)
    messages: list[Message] = Field(min_length=1)


def form(request: Request) -> Form:
    """What of a request shapes its reply."""
    options, wanted = request.stream_options or {}, request.response_format or {}
    reasoning = request.reasoning or {}
    return Form(
        model=request.model,
        include_usage=options.get("include_usage") is True,
        service_tier=tier_of(request.service_tier),
        reasoning=bool(request.reasoning_summary or reasoning.get("summary")),
        json=wanted.get("type") in ("json_object", "json_schema"),
        legacy=request.functions is not None,
        stop=(request.stop,) if isinstance(request.stop, str) else tuple(request.stop or ()),
        n=request.n or 1,
    )


def from_client(body: JsonObject, *, strict: bool = False) -> tuple[Request, tuple[str, ...]]:
    """A client's body, checked, and the names of the ignored fields.

    Raises InvalidRequest, naming the field.
    """
    request = validated(Request, body)
    ignored = apply(RULES, body, strict=strict, harmless=ASKS_NOTHING, unknown=Rule.IGNORED)
    check_stream_options(request.stream_options, request.stream)
    if request.tools and request.functions:
        raise InvalidRequest(
            "Use 'tools' or 'functions', not both.", code="invalid_value", param="functions"
        )
    if request.service_tier not in (None, "auto", "default", *SERVICE_TIERS):
        ignored = (*ignored, "service_tier")
    if request.metadata and not request.store:  # many clients send it all the same
        if strict:
            raise InvalidRequest(
                "The 'metadata' parameter is only allowed when 'store' is enabled.",
                code="invalid_value",
                param="metadata",
            )
        ignored = (*ignored, "metadata")
    return request, ignored


def to_responses(request: Request) -> JsonObject:
    """The Responses request. Raises InvalidRequest, naming the field."""
    wanted = request.response_format or {}
    made: JsonObject = {"model": request.model}
    by_message = _items(request.messages)
    instructions, items = _instructions(request.messages, by_message, wanted)
    if instructions:
        made["instructions"] = instructions
    made["input"] = items
    if text := text_of_wanted(wanted, request.verbosity):
        made["text"] = text
    if reasoning := _reasoning(request):
        made["reasoning"] = reasoning
    if tools := _tools(request):
        made["tools"] = tools
    if (choice := _tool_choice(request)) is not None:
        made["tool_choice"] = choice
    parallel = False if request.functions else request.parallel_tool_calls
    if parallel is not None:
        made["parallel_tool_calls"] = parallel
    if tier := SERVICE_TIERS.get(request.service_tier or ""):
        made["service_tier"] = tier
    if request.prompt_cache_key:
        made["prompt_cache_key"] = cache_key(request.prompt_cache_key)
    return made


# Messages.


def _items(messages: list[Message]) -> list[list[JsonObject]]:
    """The input items, message by message."""
    open_calls: dict[str, str] = {}  # call_id -> the type of its call, while it waits for output
    items = []
    for index, message in enumerate(messages):
        to_items = _BY_ROLE.get(message.role)
        if to_items is None:
            raise InvalidRequest(
                f"Invalid value: '{message.role}'. Supported values are: "
                + ", ".join(f"'{role}'" for role in _ROLES[:-1])
                + f", and '{_ROLES[-1]}'.",
                code="invalid_value",
                param=f"messages[{index}].role",
            )
        if open_calls and message.role not in ("tool", "function"):
            raise _unanswered(open_calls, index - 1)
        items.append(to_items(message, f"messages[{index}]", open_calls))
    if open_calls:
        raise _unanswered(open_calls, len(messages) - 1)
    return items


def _unanswered(open_calls: dict[str, str], index: int) -> InvalidRequest:
    return InvalidRequest(
        "An assistant message with 'tool_calls' must be followed by tool messages responding "
        "to each 'tool_call_id'. The following tool_call_ids did not have response messages: "
        + ", ".join(open_calls),
        param=f"messages[{index}].tool_calls",
    )


def _instructions(
    messages: list[Message], items: list[list[JsonObject]], wanted: Mapping[str, Any]
) -> tuple[str | None, list[JsonObject]]:
    """The leading system messages as `instructions`, and the items that are left.

    They stay items where nothing else would be left, and with `json_object`: the word "json", which
    that needs, does not count in instructions.
    """
    leading = 0
    while leading < len(messages) and messages[leading].role in ("system", "developer"):
        leading += 1
    flat = [item for group in items for item in group]
    if wanted.get("type") == "json_object" or leading in (0, len(messages)):
        return None, flat
    texts = [part["text"] for group in items[:leading] for part in group[0]["content"]]
    return "\n\n".join(texts), [item for group in items[leading:] for item in group]


def _said(role: str, content: list[JsonObject], **more: Any) -> JsonObject:
    return {"type": "message", "role": role, "content": content, **more}


def _developer(message: Message, path: str, open_calls: dict[str, str]) -> list[JsonObject]:
    """The backend refuses the role `system`; `developer` says the same."""
    parts = _parts(message, path, {"text": _text_part})
    return [_said("developer", parts)]


def _user(message: Message, path: str, open_calls: dict[str, str]) -> list[JsonObject]:
    parts = _parts(message, path, _USER_PARTS)
    if message.name:  # Responses has no names
        first = next((part for part in parts if part["type"] == "input_text"), None)
        if first is None:
            parts.insert(0, {"type": "input_text", "text": f"{message.name}:"})
        else:
            first["text"] = f"{message.name}: {first['text']}"
    return [_said("user", parts)]


def _assistant(message: Message, path: str, open_calls: dict[str, str]) -> list[JsonObject]:
    parts: list[JsonObject] = []
    if message.content:
        parts = _parts(message, path, _ASSISTANT_PARTS, kind="output_text")
    if message.refusal:
        parts.append({"type": "refusal", "refusal": message.refusal})
    said = {} if message.phase is None else {"phase": message.phase}
    items = [_said("assistant", parts, **said)] if parts else []
    calls = [
        _call(call, f"{path}.tool_calls[{n}]") for n, call in enumerate(message.tool_calls or [])
    ]
    if message.function_call:
        call = {"id": _synthetic_id(path, message.function_call), "type": "function"}
        calls.append(_call({**call, "function": message.function_call}, f"{path}.function_call"))
    if not items and not calls:
        items = [_said("assistant", [{"type": "output_text", "text": "", "annotations": []}])]
    open_calls.update((call["call_id"], call["type"]) for call in calls)
    return items + calls


def _tool(message: Message, path: str, open_calls: dict[str, str]) -> list[JsonObject]:
    call_id = message.tool_call_id
    if call_id is None:
        raise InvalidRequest(
            f"Missing required parameter: '{path}.tool_call_id'.",
            code="missing_required_parameter",
            param=f"{path}.tool_call_id",
        )
    if call_id not in open_calls:
        raise InvalidRequest(
            "Invalid parameter: messages with role 'tool' must be a response to a preceeding "
            "message with 'tool_calls'.",
            param=f"{path}.role",
        )
    return [_output(open_calls.pop(call_id), call_id, message, path)]


def _function(message: Message, path: str, open_calls: dict[str, str]) -> list[JsonObject]:
    if not open_calls:
        raise InvalidRequest(
            "Invalid parameter: messages with role 'function' must be a response to a preceeding "
            "message with 'function_call'.",
            param=f"{path}.role",
        )
    call_id = next(iter(open_calls))
    return [_output(open_calls.pop(call_id), call_id, message, path)]


_BY_ROLE: dict[str, Callable[[Message, str, dict[str, str]], list[JsonObject]]] = {
    "system": _developer,
    "developer": _developer,
    "user": _user,
    "assistant": _assistant,
    "tool": _tool,
    "function": _function,
}


def _output(kind: str, call_id: str, message: Message, path: str) -> JsonObject:
    output: str | list[JsonObject] = message.content if isinstance(message.content, str) else ""
    if isinstance(message.content, list):
        parts = _parts(message, path, _USER_PARTS)
        plain = all(part["type"] == "input_text" for part in parts)
        output = "".join(part["text"] for part in parts) if plain else parts
    return {"type": f"{kind}_output", "call_id": call_id, "output": output}


def _call(call: JsonObject, path: str) -> JsonObject:
    kind = call.get("type", "function")
    body = call.get(kind) if kind in ("function", "custom") else None
    if not isinstance(body, dict) or not isinstance(body.get("name"), str):
        raise InvalidRequest(
            f"Missing required parameter: '{path}.function.name'.",
            code="missing_required_parameter",
            param=f"{path}.function.name",
        )
    if not isinstance(call.get("id"), str):
        raise InvalidRequest(
            f"Missing required parameter: '{path}.id'.",
            code="missing_required_parameter",
            param=f"{path}.id",
        )
    head = {"call_id": call["id"], "name": body["name"]}
    if isinstance(body.get("namespace"), str) and body["namespace"]:
        head["namespace"] = body["namespace"]  # as our replies have it
    if kind == "custom":
        return {"type": "custom_tool_call", **head, "input": body.get("input") or ""}
    arguments = body.get("arguments") or "{}"
    if not isinstance(arguments, str):
        arguments = json.dumps(arguments).decode()
    return {"type": "function_call", **head, "arguments": arguments}


def _synthetic_id(path: str, call: JsonObject) -> str:
    """A legacy call has no id, and the backend joins call and output by one."""
    return "call_" + hashlib.sha256(f"{path}{call.get('name')}".encode()).hexdigest()[:24]


# Content parts.

_ToPart = Callable[[JsonObject, str], JsonObject]


def _parts(
    message: Message, path: str, known: Mapping[str, _ToPart], kind: str = "input_text"
) -> list[JsonObject]:
    content = message.content
    if content is None:
        raise InvalidRequest(
            f"Invalid value for '{path}.content': expected a string or a list of parts, got null.",
            code="invalid_type",
            param=f"{path}.content",
        )
    if isinstance(content, str):
        return [_text_of(kind, content)]
    if not content:
        raise InvalidRequest(
            f"Invalid value for '{path}.content': the list of parts is empty.",
            code="invalid_value",
            param=f"{path}.content",
        )
    return [_content_part(part, f"{path}.content[{n}]", known) for n, part in enumerate(content)]


def _content_part(part: JsonObject, path: str, known: Mapping[str, _ToPart]) -> JsonObject:
    kind = part.get("type")
    to_part = known.get(kind) if isinstance(kind, str) else None
    if to_part is None:
        why = "Audio input is not supported by the Codex backend." if kind == "input_audio" else (
            f"Invalid value: '{kind}'. Supported values are: "
            + ", ".join(f"'{name}'" for name in known) + "."
        )  # fmt: skip
        raise InvalidRequest(why, code="invalid_value", param=f"{path}.type")
    return to_part(part, path)


def _text_of(kind: str, text: str) -> JsonObject:
    part: JsonObject = {"type": kind, "text": text}
    return {**part, "annotations": []} if kind == "output_text" else part


def _text_part(part: JsonObject, path: str) -> JsonObject:
    return {"type": "input_text", "text": _required(part, "text", path)}


def _output_text_part(part: JsonObject, path: str) -> JsonObject:
    return _text_of("output_text", _required(part, "text", path))


def _refusal_part(part: JsonObject, path: str) -> JsonObject:
    return {"type": "refusal", "refusal": _required(part, "refusal", path)}


def _image_part(part: JsonObject, path: str) -> JsonObject:
    given = part.get("image_url")
    image = {"url": given} if isinstance(given, str) else given  # the Responses form, tolerated
    if not isinstance(image, dict):
        raise _missing(f"{path}.image_url.url")
    url = _required(image, "url", f"{path}.image_url")
    if is_data(url):
        url = data_urls.picture(url, f"{path}.image_url.url")
    elif not url.startswith(("https://", "http://")):
        raise InvalidRequest(
            "Invalid image URL: expected an http(s) or a data URL.",
            code="invalid_image_url",
            param=f"{path}.image_url.url",
        )
    return {"type": "input_image", "image_url": url, **_given(detail=image.get("detail"))}


def _file_part(part: JsonObject, path: str) -> JsonObject:
    given = part.get("file")
    if not isinstance(given, dict):
        raise _missing(f"{path}.file")
    refuse_file_id(given, f"{path}.file", "file_data")
    data = _required(given, "file_data", f"{path}.file")
    return file_part(data, word(given, "filename"), f"{path}.file.file_data")


def _already(part: JsonObject, path: str) -> JsonObject:
    """In the Responses form: some clients mix them."""
    return dict(translate_part(part, path))


_USER_PARTS: dict[str, _ToPart] = {
    "text": _text_part,
    "image_url": _image_part,
    "file": _file_part,
    "input_text": _already,
    "input_image": _already,
    "input_file": _already,
}
_ASSISTANT_PARTS: dict[str, _ToPart] = {
    "text": _output_text_part,
    "refusal": _refusal_part,
    "output_text": _already,
}


# Everything else.


def text_of_wanted(wanted: Mapping[str, Any], verbosity: Any) -> JsonObject:
    """`response_format` and `verbosity` as the other dialect's `text`."""
    made: JsonObject = {} if verbosity is None else {"verbosity": verbosity}
    kind = wanted.get("type")
    if kind == "json_object":
        made["format"] = {"type": "json_object"}
    elif kind == "json_schema":
        made["format"] = _json_schema(wanted.get("json_schema"))
    elif kind not in (None, "text"):
        raise InvalidRequest(
            f"Invalid value: '{kind}'. Supported values are: 'text', 'json_object', and "
            "'json_schema'.",
            code="invalid_value",
            param="response_format.type",
        )
    return made


def _json_schema(given: Any) -> JsonObject:
    path = "response_format.json_schema"
    if not isinstance(given, dict):
        raise _missing(path)
    if not isinstance(given.get("schema"), dict):
        raise _missing(f"{path}.schema")
    return {
        "type": "json_schema",
        "name": _format_name(given, path),
        "schema": given["schema"],
        "strict": bool(given.get("strict")),
        **_given(description=given.get("description")),
    }


def _format_name(holder: JsonObject, path: str) -> str:
    name = _required(holder, "name", path)
    if not _FORMAT_NAME.fullmatch(name):
        raise InvalidRequest(
            f"Invalid '{path}.name': expected up to 64 letters, digits, '_' or '-'.",
            code="invalid_value",
            param=f"{path}.name",
        )
    return name


def _reasoning(request: Request) -> JsonObject:
    made = _given(effort=request.reasoning_effort, summary=request.reasoning_summary)
    return {**made, **_given(**request.reasoning)} if request.reasoning else made


def _tools(request: Request) -> list[JsonObject]:
    tools = [tool_of(tool, f"tools[{n}]") for n, tool in enumerate(request.tools or ())]
    for n, function in enumerate(request.functions or ()):
        tools.append(_function_tool(function, f"functions[{n}]"))
    if request.web_search_options is not None:
        tools.append(_web_search(request.web_search_options))
    return tools


def tool_of(tool: JsonObject, path: str) -> JsonObject:
    kind = tool.get("type")
    if kind == "function":
        if isinstance(tool.get("function"), dict):
            return _function_tool(tool["function"], f"{path}.function")
        return _function_tool(tool, path)  # flat, in the Responses form
    if kind == "custom" and isinstance(tool.get("custom"), dict):
        return _custom_tool(tool["custom"], f"{path}.custom")
    if not isinstance(kind, str):
        raise _missing(f"{path}.type")
    if kind == "namespace":
        inside = enumerate(listed(tool, "tools"))
        tool = {**tool, "tools": [tool_of(one, f"{path}.tools[{n}]") for n, one in inside]}
    # A hosted tool in the Responses form: beyond the official API, and useful.
    return translate_tool(tool, path)


def _function_tool(function: JsonObject, path: str) -> JsonObject:
    made: JsonObject = {"type": "function", "name": _tool_name(function, path)}
    if (description := function.get("description")) is not None:
        made["description"] = description
    made.update(_given(parameters=function.get("parameters")))
    # Left out, chat means not strict and Responses means strict: always say it.
    made["strict"] = bool(function.get("strict"))
    return made


def _custom_tool(custom: JsonObject, path: str) -> JsonObject:
    form = custom.get("format")
    if isinstance(form, dict) and isinstance(form.get("grammar"), dict):
        form = {"type": "grammar", **form["grammar"]}
    return {
        "type": "custom",
        "name": _tool_name(custom, path),
        **_given(description=custom.get("description"), format=form),
    }


def _tool_name(holder: JsonObject, path: str) -> str:
    name = _required(holder, "name", path)
    check_name(name, f"{path}.name")
    return name


def _web_search(options: JsonObject) -> JsonObject:
    place = options.get("user_location")
    if isinstance(place, dict) and isinstance(place.get("approximate"), dict):
        place = {"type": "approximate", **place["approximate"]}
    size = options.get("search_context_size")
    return {"type": "web_search", **_given(search_context_size=size, user_location=place)}


def _tool_choice(request: Request) -> Any:
    if request.functions is not None:
        choice = request.function_call
        if isinstance(choice, dict):
            return {"type": "function", "name": _required(choice, "name", "function_call")}
        return choice
    choice = request.tool_choice
    if isinstance(choice, str):
        if choice not in ("none", "auto", "required"):
            raise InvalidRequest(
                f"Invalid value: '{choice}'. Supported values are: 'none', 'auto', and 'required'.",
                code="invalid_value",
                param="tool_choice",
            )
        return choice
    if not isinstance(choice, dict):
        return None
    flat = choice_of(choice)
    if flat.get("type") in ("function", "custom"):
        _check_offered(request, flat)
    return flat


def choice_of(choice: JsonObject) -> JsonObject:
    """A `tool_choice` that is an object, flat: those of the Responses form are already."""
    kind = choice.get("type")
    if kind in ("function", "custom"):
        flat = _flat(choice)
        return {**flat, "name": _required(flat, "name", f"tool_choice.{kind}")}
    allowed = choice.get("allowed_tools")
    if kind == "allowed_tools" and isinstance(allowed, dict):
        tools = [_flat(tool) for tool in listed(allowed, "tools")]
        choice = {"type": kind, "mode": allowed.get("mode", "auto"), "tools": tools}
        return translate_choice(choice, "tool_choice.allowed_tools")
    return translate_choice(choice)


def _check_offered(request: Request, choice: JsonObject) -> None:
    name = legal_name(choice["name"])
    if name not in _names(request.tools or []):
        raise InvalidRequest(
            f"Invalid value for 'tool_choice': the tool '{choice['name']}' is not among 'tools'.",
            code="invalid_value",
            param="tool_choice",
        )


def _names(tools: Iterable[JsonObject]) -> Iterator[Any]:
    """What a choice can name, inside namespaces too."""
    for tool in tools:
        yield _flat(tool).get("name")
        yield from _names(listed(tool, "tools"))


def _flat(tool: JsonObject) -> JsonObject:
    """`{type, function: {name}}` as `{type, name}`."""
    kind = tool.get("type")
    body = tool.get(kind) if isinstance(kind, str) else None
    if not isinstance(body, dict):
        return tool
    return {"type": kind, "name": body.get("name"), **_given(namespace=body.get("namespace"))}


def _given(**fields: Any) -> JsonObject:
    return {name: value for name, value in fields.items() if value is not None}


def _required(holder: Mapping[str, Any], name: str, path: str) -> str:
    value = holder.get(name)
    if isinstance(value, str):
        return value
    if value is None:
        raise _missing(f"{path}.{name}")
    raise InvalidRequest(
        f"Invalid type for '{path}.{name}': expected a string.",
        code="invalid_type",
        param=f"{path}.{name}",
    )


def _missing(param: str) -> InvalidRequest:
    return InvalidRequest(
        f"Missing required parameter: '{param}'.", code="missing_required_parameter", param=param
    )
