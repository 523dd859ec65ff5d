"""What the real backend refuses of a request, refused with its words (backend.md C.2, C.4, C.5).

Raises `Refused` for the first thing that is wrong. Bodies that no recording shows are those of the
public API.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence

from ..errors import JsonObject
from .asked import ADDED, CALLS, decoded, kind_of, text_of, tools
from .refusals import REFUSALS, Refusal, Refused, detail, error

LITE = "x-openai-internal-codex-responses-lite"
LITE_NAME = "X-OpenAI-Internal-Codex-Responses-Lite"

UNSUPPORTED = (
    "max_output_tokens", "max_completion_tokens", "temperature", "top_p", "frequency_penalty",
    "presence_penalty", "metadata", "user", "truncation", "safety_identifier",
    "prompt_cache_retention", "prompt_cache_options", "context_management",
    "previous_response_id", "stop", "background", "conversation", "top_logprobs",
    "max_tool_calls", "moderation", "prompt",
)  # fmt: skip
TIERS = ("priority", "flex")
EFFORTS = ("none", "minimal", "low", "medium", "high", "xhigh", "max")
TOOLS = ("function", "custom", "namespace", "tool_search", "web_search", "image_generation")
ITEMS = (
    "message", "reasoning", "function_call", "function_call_output", "custom_tool_call",
    "custom_tool_call_output", "web_search_call", "image_generation_call", "tool_search_call",
    "tool_search_output", "compaction", "compaction_trigger", "additional_tools",
)  # fmt: skip
PARTS = (
    "input_text", "input_image", "output_text", "refusal", "input_file", "computer_screenshot",
    "summary_text",
)  # fmt: skip
MAX_CACHE_KEY = 64
MAX_EDIT_IMAGES = 16
UNVERSIONED = (0, 100, 0)
"""What a client that tells no version gets: reports differ, and this is the stricter reading."""

_SHAPES: Mapping[str, tuple[type | tuple[type, ...], str]] = {
    "instructions": (str, "a string"),
    "tools": (list, "an array"),
    "tool_choice": ((str, dict), "a string or an object"),
    "parallel_tool_calls": (bool, "a boolean"),
    "reasoning": (dict, "an object"),
    "text": (dict, "an object"),
    "include": (list, "an array"),
    "stream_options": (dict, "an object"),
    "prompt_cache_key": (str, "a string"),
}
_NAME = re.compile(r"[a-zA-Z0-9_-]+")
_VERSION = re.compile(r"(\d+)\.(\d+)\.(\d+)")
_ID_BEGINS = {"message": "msg", "reasoning": "rs", "function_call": "fc", "custom_tool_call": "ctc"}


def check(body: JsonObject, headers: Mapping[str, str], models: Sequence[JsonObject]) -> None:
    """Raises Refused unless the real backend would run this request."""
    for rule in _RULES:
        rule(body)
    _check_model(body, headers.get("version"), models)
    if headers.get(LITE) == "true":
        _check_lite(body, models)


def version_of(told: str | None) -> tuple[int, ...] | None:
    match = _VERSION.match(told or "")
    return tuple(map(int, match.groups())) if match else None


def needed(model: JsonObject) -> tuple[int, ...]:
    return version_of(model.get("minimal_client_version")) or (0, 0, 0)


def check_image_request(body: JsonObject, *, edit: bool) -> None:
    if not isinstance(body.get("prompt"), str) or not body["prompt"]:
        raise _missing("prompt")
    if not isinstance(body.get("model"), str):
        raise _missing("model")
    if not edit:
        return
    images = body.get("images")
    if not isinstance(images, list) or not images:
        raise _missing("images")
    if len(images) > MAX_EDIT_IMAGES:
        raise error(f"At most {MAX_EDIT_IMAGES} images are allowed.", param="images")
    for index, image in enumerate(images):
        url = str(image.get("image_url") or "") if isinstance(image, dict) else ""
        if not url.startswith("data:"):
            raise error("Error while downloading file.", param=f"images[{index}].image_url")
        _check_image(url)


def _check_stream(body: JsonObject) -> None:
    if body.get("stream") is not True:
        raise Refused(REFUSALS["stream_required"])
    if body.get("store") is not False:
        raise Refused(REFUSALS["store_required"])


def _check_shapes(body: JsonObject) -> None:
    for name, (kind, called) in _SHAPES.items():
        if body.get(name) is not None and not isinstance(body[name], kind):
            raise _wrong_type(name, called)
    for index, tool in enumerate(body.get("tools") or []):
        if not isinstance(tool, dict):
            raise _wrong_type(f"tools[{index}]", "an object")
        if not isinstance(tool.get("parameters") or {}, dict):
            raise _wrong_type(f"tools[{index}].parameters", "an object")


def _check_parameters(body: JsonObject) -> None:
    if not isinstance(body.get("model"), str) or not body["model"]:
        raise _missing("model")
    for name in body:
        if name in UNSUPPORTED:
            raise detail(f"Unsupported parameter: {name}")
    for name in body.get("stream_options") or {}:
        if name != "reasoning_summary_delivery":
            raise detail(f"Unsupported parameter: stream_options.{name}")  # ours


def _check_instructions(body: JsonObject) -> None:
    """Today's official client sends none, and a developer message in their place."""
    developers = any(item.get("role") == "developer" for item in body["input"])
    if not body.get("instructions") and not developers:
        raise Refused(REFUSALS["instructions_required"])


def _check_input(body: JsonObject) -> None:
    items = body.get("input")
    if not isinstance(items, list) or not all(isinstance(item, dict) for item in items):
        raise Refused(REFUSALS["input_must_be_list"])
    for index, item in enumerate(items):
        if item.get("role") == "system":
            raise Refused(REFUSALS["system_messages"])
        kind = item.get("type", "message")
        if kind == "item_reference" or (kind == "reasoning" and not item.get("encrypted_content")):
            raise _not_persisted(str(item.get("id")))
        if kind not in ITEMS:
            raise _invalid(f"input[{index}]", kind, ITEMS)
        begins = _ID_BEGINS.get(kind)
        if begins and item.get("id") and not str(item["id"]).startswith(begins):
            raise error(
                f"Invalid 'input[{index}].id': '{item['id']}'. "
                f"Expected an ID that begins with '{begins}'.",
                param=f"input[{index}].id",
                code="invalid_value",
            )
        if kind == "message":
            _check_message(item, f"input[{index}]")


def _check_message(item: JsonObject, path: str) -> None:
    role, content = item.get("role"), item.get("content")
    if role not in ("user", "assistant", "developer"):
        raise _invalid(path, role, ("assistant", "system", "developer", "user"))
    if isinstance(content, str):
        return
    if not isinstance(content, list):
        raise _missing(f"{path}.content")
    for index, part in enumerate(content):
        if not isinstance(part, dict):
            raise _wrong_type(f"{path}.content[{index}]", "an object")
        kind, where = part.get("type"), f"{path}.content[{index}]"
        if kind not in PARTS:
            raise _invalid(where, kind, PARTS)
        spoken = ("output_text", "refusal")
        if (role == "assistant") != (kind in spoken):
            raise _invalid(where, kind, spoken if role == "assistant" else PARTS[:2])
        if "prompt_cache_breakpoint" in part:
            raise error("prompt_cache_breakpoint is not supported on this model", param=where)
        if kind == "input_image":
            url = part.get("image_url") or ""
            if not isinstance(url, str):
                raise _wrong_type(f"{where}.image_url", "a string")
            _check_image(url)


def _check_image(url: str) -> None:
    """Whether a data URL holds an image. Other URLs are the real backend's to fetch."""
    if not url.startswith("data:"):
        return
    image = decoded(url)
    if image is None or kind_of(image) is None:
        raise error(
            "The image data you provided does not represent a valid image. "
            "Please check your input and try again.",
            param="input",
            code="invalid_image",
        )


def _check_calls(body: JsonObject) -> None:
    items = body["input"]
    for call, output in CALLS.items():
        called = [item.get("call_id") for item in items if item.get("type") == call]
        answered = [item.get("call_id") for item in items if item.get("type") == output]
        kind = call.removesuffix("_call").replace("_", " ")
        for name in called:
            if name not in answered:
                raise error(f"No tool output found for {kind} call {name}.", param="input")
        for name in answered:
            if name not in called:
                raise error(
                    f"No tool call found for {kind} call output with call_id {name}.",
                    param="input",
                )


def _check_tools(body: JsonObject) -> None:
    given = [(f"tools[{at}]", tool) for at, tool in enumerate(body.get("tools") or [])]
    for index, item in enumerate(body["input"]):
        if item.get("type") == ADDED:
            offered = enumerate(item.get("tools") or [])
            given += [(f"input[{index}].tools[{at}]", tool) for at, tool in offered]
    for path, tool in given:
        _check_tool(path, tool)


def _check_tool(path: str, tool: JsonObject) -> None:
    kind = tool.get("type")
    if kind not in TOOLS:
        raise detail(f"Unsupported tool type: {kind}")  # ours
    if kind == "namespace":
        for at, inner in enumerate(tool.get("tools") or []):
            _check_tool(f"{path}.tools[{at}]", inner)
    if kind in ("function", "custom"):
        _check_name(path, tool.get("name"))
    if kind == "function":
        _check_schema(path, str(tool["name"]), tool.get("parameters"), ())
    if kind == "image_generation":
        _check_image_tool(path, tool)


def _check_name(path: str, name: object) -> None:
    if name is None:
        raise _missing(f"{path}.name")
    if not _NAME.fullmatch(str(name)):
        raise error(
            f"Invalid '{path}.name': string does not match pattern. "
            "Expected a string that matches the pattern '^[a-zA-Z0-9_-]+$'.",
            param=f"{path}.name",
            code="invalid_value",
        )


def _check_schema(path: str, name: str, schema: object, context: tuple[str, ...]) -> None:
    if isinstance(schema, list):
        for part in schema:
            _check_schema(path, name, part, context)
    if not isinstance(schema, dict):
        return
    if schema.get("type") == "array" and "items" not in schema and "prefixItems" not in schema:
        raise error(
            f"Invalid schema for function '{name}': In context={context!r}, "
            "array schema missing items.",
            param=f"{path}.parameters",
            code="invalid_function_parameters",
        )
    for key, part in schema.items():
        if key not in ("enum", "const", "default", "examples"):
            _check_schema(path, name, part, (*context, key))


def _check_image_tool(path: str, tool: JsonObject) -> None:
    if tool.get("partial_images") not in (None, 0, 1, 2, 3):
        raise _invalid(f"{path}.partial_images", tool["partial_images"], ("0", "1", "2", "3"))
    if "n" in tool:
        raise error(f"Unknown parameter: '{path}.n'.", param=f"{path}.n", code="unknown_parameter")
    if tool.get("background") == "transparent":
        raise error(  # ours
            "Transparent background is not supported for this model.",
            param=f"{path}.background",
            code="invalid_value",
        )


def _check_choice(body: JsonObject) -> None:
    choice = body.get("tool_choice")
    if not isinstance(choice, dict) or choice.get("type") == "allowed_tools":
        return
    wanted = choice.get("name") or choice.get("type")
    if not any(wanted in (tool.name, tool.kind) for tool in tools(body, lite=True)):
        raise error(f"Tool choice '{wanted}' not found in 'tools' parameter.", param="tool_choice")


def _check_options(body: JsonObject) -> None:
    key, tier = body.get("prompt_cache_key"), body.get("service_tier")
    if isinstance(key, str) and len(key) > MAX_CACHE_KEY:
        raise error(
            "Invalid 'prompt_cache_key': string too long. Expected a string with maximum length "
            f"{MAX_CACHE_KEY}, but got a string with length {len(key)} instead.",
            param="prompt_cache_key",
            code="string_above_max_length",
        )
    if "service_tier" in body and tier not in TIERS:
        raise detail(f"Unsupported service_tier: {tier}")  # ours
    effort = (body.get("reasoning") or {}).get("effort")
    if effort is not None and effort not in EFFORTS:
        raise _invalid("reasoning.effort", effort, EFFORTS)


def _check_form(body: JsonObject) -> None:
    form = (body.get("text") or {}).get("format") or {}
    if form.get("type") != "json_object":
        return
    said = " ".join(text_of(item.get("content")) for item in body["input"])
    if "json" not in said.lower():  # instructions do not count
        raise error(
            "Response input messages must contain the word 'json' in some form to use "
            "'text.format' of type 'json_object'.",
            param="input",
        )


def _check_model(body: JsonObject, told: str | None, models: Sequence[JsonObject]) -> None:
    slug = body["model"]
    model = next((model for model in models if model["slug"] == slug), None)
    version = version_of(told)
    if model is None or (version is None and needed(model) > UNVERSIONED):
        raise detail(
            f"The '{slug}' model is not supported when using Codex with a ChatGPT account."
        )
    if version is not None and version < needed(model):
        raise detail(
            f"The '{slug}' model requires a newer version of Codex. "
            "Please upgrade to the latest app or CLI and try again."
        )
    effort = (body.get("reasoning") or {}).get("effort")
    efforts = [level["effort"] for level in model.get("supported_reasoning_levels") or []]
    if effort not in (None, "none", "minimal", *efforts):
        raise error(
            f"Unsupported value: '{effort}' is not supported with the '{slug}' model.",
            param="reasoning.effort",
            code="unsupported_value",
        )


def _check_lite(body: JsonObject, models: Sequence[JsonObject]) -> None:
    model = next(model for model in models if model["slug"] == body["model"])
    if not model.get("use_responses_lite"):
        raise Refused(REFUSALS["lite_model"])
    if body.get("parallel_tool_calls") is not False:
        raise Refused(REFUSALS["lite_parallel"])
    if (body.get("reasoning") or {}).get("context") != "all_turns":
        raise _lite("requires `reasoning.context` to be `all_turns`.", "reasoning.context")  # ours
    hosted = [tool for tool in body.get("tools") or [] if tool["type"] in TOOLS[4:]]
    choice = body.get("tool_choice")
    forced = isinstance(choice, dict) and choice.get("type") in TOOLS[4:]
    if hosted or forced:
        raise _lite(
            "only supports function tools, custom tools, and client-executed tool search.",
            "tools" if hosted else "tool_choice",
        )


def _lite(what: str, param: str) -> Refused:
    return error(f"{LITE_NAME} {what}", param=param, code="unsupported_value")


def _missing(name: str) -> Refused:
    return error(
        f"Missing required parameter: '{name}'.", param=name, code="missing_required_parameter"
    )


def _wrong_type(path: str, wanted: str) -> Refused:
    return error(f"Invalid type for '{path}': expected {wanted}.", param=path, code="invalid_type")


def _invalid(path: str, value: object, allowed: Sequence[str]) -> Refused:
    *most, last = (f"'{name}'" for name in allowed)
    supported = f"{', '.join(most)}{',' if len(most) > 1 else ''} and {last}"
    return error(
        f"Invalid value: '{value}'. Supported values are: {supported}.",
        param=path,
        code="invalid_value",
    )


def _not_persisted(name: str) -> Refused:
    refusal = REFUSALS["item_not_persisted"]
    assert isinstance(refusal.body, dict)
    told = refusal.body["error"]
    message = told["message"].replace("rs_0001", name)
    return Refused(Refusal(refusal.status, {"error": {**told, "message": message}}))


_RULES: tuple[Callable[[JsonObject], None], ...] = (
    _check_shapes,
    _check_stream,
    _check_input,
    _check_parameters,
    _check_instructions,
    _check_calls,
    _check_tools,
    _check_choice,
    _check_options,
    _check_form,
)
