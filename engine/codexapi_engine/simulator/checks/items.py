"""Rules of the input: its items, their ids, their encrypted content, and their pictures."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator

from ...errors import JsonObject
from ..encryption import Origin, decrypt
from ..model_request import CALLS, decoded, kind_of, media_type
from ..refusals import REFUSALS, Refusal, Refused, error
from .submission import LONGEST, Submission, empty, invalid, no_match, too_long

ITEMS = (
    "message", "reasoning", "function_call", "function_call_output", "custom_tool_call",
    "custom_tool_call_output", "web_search_call", "image_generation_call", "tool_search_call",
    "tool_search_output", "compaction", "compaction_trigger", "additional_tools",
    "configuration_update",
)  # fmt: skip
PARTS = (
    "input_text", "input_image", "output_text", "refusal", "input_file", "computer_screenshot",
    "summary_text",
)  # fmt: skip
MEDIA_TYPES = ("image/jpeg", "image/png", "image/gif", "image/webp")
LONGEST_NAME = 128

_ID_BEGINS = {"message": "msg", "reasoning": "rs", "function_call": "fc", "custom_tool_call": "ctc"}
_ASSISTANT_PARTS = ("output_text", "refusal")
_PLAIN = re.compile(r"[a-zA-Z0-9_-]+")


def check_roles(submission: Submission) -> None:
    for path, item in _messages(submission):
        if item.get("role") not in ("user", "assistant", "developer", "system"):
            raise invalid(path, item.get("role"), ("assistant", "system", "developer", "user"))


def check_system(submission: Submission) -> None:
    for _, item in submission.input_items():
        if item.get("role") == "system":
            raise Refused(REFUSALS["system_messages"])


def check_empty(submission: Submission) -> None:
    if not submission.body["input"] and not submission.warms_up:
        raise error(
            "One of \"input\" or \"previous_response_id\" or 'prompt' or 'conversation_id' "
            "must be provided.",
            param="input",
            code="missing_required_parameter",
        )


def check_types(submission: Submission) -> None:
    for path, item in submission.input_items():
        kind = item.get("type", "message")
        if kind not in (*ITEMS, "item_reference"):
            raise invalid(path, kind, ITEMS)


def check_stored(submission: Submission) -> None:
    for _, item in submission.input_items():
        kind = item.get("type")
        if kind == "item_reference" or (kind == "reasoning" and not item.get("encrypted_content")):
            raise _not_persisted(str(item.get("id")))


def check_id_characters(submission: Submission) -> None:
    for path, item in submission.input_items():
        name = item.get("id")
        if name is not None and not _PLAIN.fullmatch(name):
            raise error(
                f"Invalid '{path}.id': '{name}'. Expected an ID that contains letters, numbers, "
                "underscores, or dashes, but this value contained additional characters.",
                param=f"{path}.id",
                code="invalid_value",
            )


def check_id_begins(submission: Submission) -> None:
    for path, item in submission.input_items():
        begins = _ID_BEGINS.get(item.get("type", "message"), "")
        name = item.get("id") or begins
        if not name.startswith(begins):
            raise error(
                f"Invalid '{path}.id': '{name}'. Expected an ID that begins with '{begins}'.",
                param=f"{path}.id",
                code="invalid_value",
            )


def check_id_length(submission: Submission) -> None:
    for path, item in submission.input_items():
        if len(item.get("id") or "") > LONGEST:
            raise too_long(f"{path}.id", item["id"])


def check_duplicates(submission: Submission) -> None:
    counts = Counter(item["id"] for _, item in submission.input_items() if item.get("id"))
    for name, count in counts.items():
        if count > 1:
            raise error(
                f"Duplicate item found with id {name}. Remove duplicate items from your input "
                "and try again.",
                param="input",
            )


def check_call_id_empty(submission: Submission) -> None:
    for path, item in _calls(submission):
        if not item["call_id"]:
            raise empty(f"{path}.call_id")


def check_call_id_characters(submission: Submission) -> None:
    for path, item in _calls(submission):
        if item["call_id"] and not _PLAIN.fullmatch(item["call_id"]):
            raise no_match(f"{path}.call_id")


def check_call_id_length(submission: Submission) -> None:
    for path, item in _calls(submission):
        if len(item["call_id"]) > LONGEST:
            raise too_long(f"{path}.call_id", item["call_id"])


def check_call_name(submission: Submission) -> None:
    for path, item in submission.input_items():
        if item.get("type") in CALLS:
            name = str(item.get("name") or "")
            if not _PLAIN.fullmatch(name):
                raise no_match(f"{path}.name") if name else empty(f"{path}.name")


def check_call_name_length(submission: Submission) -> None:
    for path, item in submission.input_items():
        name = str(item.get("name") or "")
        if item.get("type") in CALLS and len(name) > LONGEST_NAME:
            raise too_long(f"{path}.name", name, LONGEST_NAME)


def check_answered(submission: Submission) -> None:
    """Whether each call has its output."""
    for call, output in CALLS.items():
        for name in _call_ids(submission, call):
            if name not in _call_ids(submission, output):
                raise error(
                    f"No tool output found for {_words_of(call)} {name}.",
                    param="input",
                )


def check_called(submission: Submission) -> None:
    """Whether each output has its call."""
    for call, output in CALLS.items():
        for name in _call_ids(submission, output):
            if name not in _call_ids(submission, call):
                raise error(
                    f"No tool call found for {_words_of(call)} output with call_id {name}.",
                    param="input",
                )


def check_readable(submission: Submission) -> None:
    for item, origin in _encrypted_items(submission):
        if origin is None or origin.key != submission.key:
            raise _unverifiable(item)


def check_account(submission: Submission) -> None:
    for item, origin in _encrypted_items(submission):
        if origin is not None and origin.account != submission.account.account_id:
            raise _unverifiable(item)


def check_model(submission: Submission) -> None:
    """A compaction is good for every model that compacts alike, reasoning for its own."""
    for item, origin in _encrypted_items(submission):
        if origin is None or origin.model == submission.body["model"]:
            continue
        if item["type"] == "compaction":
            writer, reader = submission.model_named(origin.model), submission.model
            if writer and reader and writer.get("comp_hash") == reader.get("comp_hash"):
                continue
        raise _unverifiable(item)


def check_item_id(submission: Submission) -> None:
    for item, origin in _encrypted_items(submission):
        if origin is not None and item.get("id") not in (None, origin.item):
            raise _unverifiable(item, "Encrypted content item_id did not match the target item id.")


def check_parts(submission: Submission) -> None:
    hears = "audio" in (submission.model or {}).get("input_modalities", ())
    for path, part, role in _message_parts(submission):
        kind = part.get("type")
        if kind not in PARTS and not (hears and kind == "input_audio"):
            raise invalid(path, kind, PARTS)
        if (role == "assistant") != (kind in _ASSISTANT_PARTS):
            raise invalid(path, kind, _ASSISTANT_PARTS if role == "assistant" else PARTS[:2])


def check_breakpoints(submission: Submission) -> None:
    for path, part, _ in _message_parts(submission):
        if "prompt_cache_breakpoint" in part:
            raise error("prompt_cache_breakpoint is not supported on this model", param=path)


def check_media_types(submission: Submission) -> None:
    for path, url in _pictures(submission):
        check_media_type(path, url)


def check_media_type(path: str, url: str) -> None:
    """Whether a data URL says that it is an image. Other URLs are the real backend's to fetch."""
    kind = media_type(url)
    if kind is not None and kind not in MEDIA_TYPES:
        raise error(
            f"Invalid '{path}'. Expected a base64-encoded data URL with an image MIME type "
            "(e.g. 'data:image/png;base64,aW1nIGJ5dGVzIGhlcmU='), but got unsupported MIME type "
            f"'{kind}'.",
            param=path,
            code="invalid_value",
        )


def check_images(submission: Submission) -> None:
    for _, url in _pictures(submission):
        check_image(url)


def check_image(url: str) -> None:
    """Whether a data URL holds an image."""
    if not url.startswith("data:"):
        return
    image = decoded(url)
    if image is None or kind_of(image) is None:
        raise error(
            "The image data you provided does not represent a valid image. Please check your "
            "input and try again with one of the supported image formats: "
            f"{list(MEDIA_TYPES)}.",
            param="input",
            code="invalid_value",
        )


def _messages(submission: Submission) -> Iterator[tuple[str, JsonObject]]:
    for path, item in submission.input_items():
        if item.get("type", "message") == "message":
            yield path, item


def _message_parts(submission: Submission) -> Iterator[tuple[str, JsonObject, object]]:
    """Each part of a message with its path, and the role of the message."""
    for path, item in _messages(submission):
        if isinstance(item["content"], list):
            for at, part in enumerate(item["content"]):
                yield f"{path}.content[{at}]", part, item.get("role")


def _pictures(submission: Submission) -> Iterator[tuple[str, str]]:
    """The address of each picture with its path, in messages and in outputs of tools."""
    for path, item in submission.input_items():
        for name in ("content", "output"):
            parts = item.get(name)
            for at, part in enumerate(parts if isinstance(parts, list) else ()):
                if isinstance(part, dict) and part.get("type") == "input_image":
                    yield f"{path}.{name}[{at}].image_url", str(part.get("image_url") or "")


def _calls(submission: Submission) -> Iterator[tuple[str, JsonObject]]:
    """Calls and outputs, each with its path."""
    for path, item in submission.input_items():
        if item.get("type") in (*CALLS, *CALLS.values()):
            yield path, {**item, "call_id": item.get("call_id") or ""}


def _call_ids(submission: Submission, kind: str) -> list[object]:
    return [item.get("call_id") for _, item in submission.input_items() if item.get("type") == kind]


def _words_of(call: str) -> str:
    return call.replace("_", " ")


def _encrypted_items(submission: Submission) -> Iterator[tuple[JsonObject, Origin | None]]:
    """The items with encrypted content, and its writer; None where that is unknown."""
    for _, item in submission.input_items():
        if item.get("type") in ("reasoning", "compaction") and item.get("encrypted_content"):
            yield item, decrypt(item["encrypted_content"])


def _unverifiable(
    item: JsonObject, reason: str = "Encrypted content could not be decrypted or parsed."
) -> Refused:
    content = item["encrypted_content"]
    named = f"for item {item['id']}" if item.get("id") else f"{content[:4]}...{content[-4:]}"
    return error(
        f"The encrypted content {named} could not be verified. Reason: {reason}",
        code="invalid_encrypted_content",
    )


def _not_persisted(name: str) -> Refused:
    refusal = REFUSALS["item_not_persisted"]
    assert isinstance(refusal.body, dict)
    template = refusal.body["error"]
    message = template["message"].replace("rs_0001", name)
    return Refused(Refusal(refusal.status, {"error": {**template, "message": message}}))
