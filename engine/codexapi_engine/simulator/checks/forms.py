"""Checks the form of a body before any rule reads it. None of this can be switched off."""

from __future__ import annotations

from collections.abc import Mapping

from ...errors import JsonObject
from ..model_request import ADDED
from ..refusals import REFUSALS, Refused
from .submission import Submission, missing, wrong_type

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


def check_run(submission: Submission) -> None:
    body = submission.body
    for name, (kind, called) in _SHAPES.items():
        _check_kind(body, "", name, kind, called)
    items = body.get("input")
    if not isinstance(items, list) or not all(isinstance(item, dict) for item in items):
        raise Refused(REFUSALS["input_must_be_list"])
    if not isinstance(body.get("model"), str) or not body["model"]:
        raise missing("model")
    if isinstance(choice := body.get("tool_choice"), dict):
        _check_list(choice, "tool_choice.", "tools")
    _check_tools(body, "")
    for path, item in submission.input_items():
        _check_item(item, f"{path}.")


def check_images(body: JsonObject, *, edit: bool) -> None:
    if not isinstance(body.get("prompt"), str) or not body["prompt"]:
        raise missing("prompt")
    if not isinstance(body.get("model"), str):
        raise missing("model")
    images = body.get("images")
    if edit and (not isinstance(images, list) or not images):
        raise missing("images")


def check_search(body: JsonObject) -> None:
    if not isinstance(body.get("model"), str):
        raise missing("model")
    if not isinstance(body.get("commands"), dict):
        raise missing("commands")
    _check_list(body["commands"], "commands.", "search_query")


def _check_item(item: JsonObject, prefix: str) -> None:
    for name in ("id", "call_id", "encrypted_content"):
        _check_kind(item, prefix, name, str, "a string")
    if item.get("type") == ADDED:
        _check_tools(item, prefix)
    if item.get("type", "message") != "message":
        return
    if not isinstance(item.get("content"), str | list):
        raise missing(f"{prefix}content")
    if isinstance(item["content"], list):
        _check_list(item, prefix, "content")
        for at, part in enumerate(item["content"]):
            _check_kind(part, f"{prefix}content[{at}].", "image_url", str, "a string")


def _check_tools(owner: JsonObject, prefix: str) -> None:
    _check_list(owner, prefix, "tools")
    for at, tool in enumerate(owner.get("tools") or []):
        within = f"{prefix}tools[{at}]."
        _check_kind(tool, within, "parameters", dict, "an object")
        if tool.get("type") == "namespace":
            _check_tools(tool, within)


def _check_list(owner: JsonObject, prefix: str, name: str) -> None:
    _check_kind(owner, prefix, name, list, "an array")
    for at, part in enumerate(owner.get(name) or []):
        if not isinstance(part, dict):
            raise wrong_type(f"{prefix}{name}[{at}]", "an object")


def _check_kind(
    owner: JsonObject, prefix: str, name: str, kind: type | tuple[type, ...], called: str
) -> None:
    if owner.get(name) is not None and not isinstance(owner[name], kind):
        raise wrong_type(f"{prefix}{name}", called)
