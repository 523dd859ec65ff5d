"""The tools as clients see them: parameters, results, and when to use them.

Some clients strip defaults, ranges and titles from a schema, so they stand in the descriptions.
Loads nothing of the engine: a client waits for these texts before it shows a tool.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Annotated, Any, Literal

from mcp.types import ToolAnnotations
from pydantic import AliasChoices, BaseModel, BeforeValidator, Field

from codexapi_engine.bounds import (
    MAX_AUDIO_BYTES,
    MAX_CALL_IMAGES,
    MAX_EDGE,
    MAX_IMAGE_PROMPT,
    MAX_INPUTS,
    MIB,
    MIN_EDGE,
)

from .options import Options

READS = ToolAnnotations(read_only_hint=True, open_world_hint=True)
LOOKS = ToolAnnotations(read_only_hint=True)
DRAWS = ToolAnnotations(
    read_only_hint=False, destructive_hint=False, idempotent_hint=False, open_world_hint=True
)

ALIASES: Mapping[str, Sequence[str]] = {
    "prompt": ("message", "question", "query", "input", "text", "description"),
    "system": ("system_prompt", "instructions"),
    "effort": ("reasoning_effort",),
    "images": ("image", "image_paths", "image_path", "image_urls", "image_url", "input_images"),
    "files": ("file", "file_paths", "file_path"),
    "json_schema": ("schema", "output_schema"),
    "max_output_tokens": ("max_tokens", "max_completion_tokens"),
    "conversation_id": ("conversation", "thread_id", "session_id", "conversationId", "threadId"),
    "size": ("dimensions", "image_size", "resolution"),
    "format": ("output_format", "file_format"),
    "n": ("count", "num_images", "number_of_images"),
    "output_path": ("path", "output", "output_file", "output_dir", "save_path", "filename"),
    "mask": ("mask_path", "mask_image"),
    "inline": ("return_image",),
    "include_email": ("email",),
    "path": ("file", "file_path", "audio", "audio_path", "audio_file", "filename"),
    "language": ("lang", "locale"),
}
"""What models call a parameter that has another name here."""


def parameter(name: str, description: str, **rules: Any) -> Any:
    """A parameter that its aliases reach too."""
    return Field(
        description=description,
        validation_alias=AliasChoices(name, *ALIASES.get(name, ())),
        **rules,
    )


def _listed(value: object) -> object:
    """One where a list is wanted; clients also send lists as JSON text."""
    if not isinstance(value, str):
        return value
    parsed = _parse(value)
    return parsed if isinstance(parsed, list) else [value]


def _parse(value: object) -> object:
    try:
        return json.loads(value) if isinstance(value, str) else value
    except (ValueError, RecursionError):
        return value


def _numeral(value: object) -> object:
    """A number may stand for its text."""
    return str(value) if isinstance(value, int | float) else value


def _to_text(value: object) -> object:
    """The text again, where the SDK has read it as JSON."""
    if isinstance(value, dict | list):
        return json.dumps(value, ensure_ascii=False)
    return _numeral(value)


def _word(value: object) -> object:
    """One of a few words, however it is written."""
    return value.strip().lower() if isinstance(value, str) else value


def _format(value: object) -> object:
    word = _word(value)
    if not isinstance(word, str):
        return word
    plain = word.removeprefix("image/").removeprefix(".")
    return "jpeg" if plain == "jpg" else plain


def _inline(value: object) -> object:
    """A yes or no to many models."""
    return {"true": "always", "false": "never"}.get(str(value).strip().lower(), _word(value))


def _size(value: object) -> object:
    if not isinstance(value, str):
        return value
    return value.strip().lower().replace(" ", "").replace("\N{MULTIPLICATION SIGN}", "x")


Prompt = Annotated[
    str, BeforeValidator(_numeral), parameter("prompt", "What to ask. Required.", min_length=1)
]
System = Annotated[
    str | None,
    BeforeValidator(_to_text),
    parameter(
        "system",
        "Instructions for the model. Default: none; in a conversation, those that it began with.",
    ),
]
Model = Annotated[
    str | None,
    BeforeValidator(_to_text),
    parameter(
        "model",
        "Model name; list_models tells them. Default: the user's own choice; in a conversation, "
        "the model that it is held with.",
    ),
]
Effort = Annotated[
    str | None,
    BeforeValidator(_word),
    parameter(
        "effort",
        "How hard the model thinks: low, medium, high or another that list_models tells of it. The "
        "nearest that the model has is taken. Default: the model's own.",
    ),
]
ShownImages = Annotated[
    list[str],
    BeforeValidator(_listed),
    parameter(
        "images",
        f"Pictures to look at, at most {MAX_INPUTS}: absolute paths (png, jpeg, webp, gif), or https "
        "addresses. Default: none.",
        max_length=MAX_INPUTS,
    ),
]
Files = Annotated[
    list[str],
    BeforeValidator(_listed),
    parameter(
        "files",
        f"Absolute paths of files to read, at most {MAX_INPUTS}: UTF-8 text, or PDF. Default: none.",
        max_length=MAX_INPUTS,
    ),
]
JsonSchema = Annotated[
    dict[str, Any] | None,
    BeforeValidator(_parse),
    parameter(
        "json_schema",
        "A JSON Schema of an object: the answer is JSON that fits it. Default: none.",
    ),
]
MaxOutputTokens = Annotated[
    int | None,
    parameter(
        "max_output_tokens",
        "The answer is cut after about so many tokens, and says so; 1 or more. Default: no limit.",
        ge=1,
    ),
]
ConversationId = Annotated[
    str | None,
    BeforeValidator(_to_text),
    parameter(
        "conversation_id",
        "Goes on with an earlier conversation: the id that its last answer came with. It is good "
        "as long as this server runs. Default: a new conversation.",
    ),
]

ToDraw = Annotated[
    str,
    BeforeValidator(_numeral),
    parameter("prompt", "What to draw. Required.", min_length=1, max_length=MAX_IMAGE_PROMPT),
]
ToChange = Annotated[
    str,
    BeforeValidator(_numeral),
    parameter(
        "prompt",
        "What to change, or what to make of them. Required.",
        min_length=1,
        max_length=MAX_IMAGE_PROMPT,
    ),
]
EditedImages = Annotated[
    list[str],
    BeforeValidator(_listed),
    parameter(
        "images",
        f"The pictures to edit, 1 to {MAX_INPUTS} (png, jpeg, webp, gif): absolute paths, or https "
        "addresses. Required.",
        min_length=1,
        max_length=MAX_INPUTS,
    ),
]
Mask = Annotated[
    str | None,
    parameter(
        "mask",
        "Absolute path of a png as large as the first picture, transparent where it may change. "
        "Default: none.",
    ),
]
Size = Annotated[
    str,
    BeforeValidator(_size),
    parameter(
        "size",
        "auto, 1024x1024, 1536x1024, 1024x1536, or any WIDTHxHEIGHT of "
        f"{MIN_EDGE} to {MAX_EDGE} pixels an edge: "
        "the nearest shape is made, and the result tells the true size. Default: auto.",
    ),
]
Quality = Annotated[
    Literal["auto", "low", "medium", "high"],
    BeforeValidator(_word),
    parameter("quality", "auto, low, medium or high. Default: auto."),
]
Background = Annotated[
    Literal["auto", "transparent", "opaque"],
    BeforeValidator(_word),
    parameter("background", "auto, transparent (png and webp only) or opaque. Default: auto."),
]
Format = Annotated[
    Literal["png", "jpeg", "webp"] | None,
    BeforeValidator(_format),
    parameter("format", "png, jpeg or webp. Default: as output_path ends, else png."),
]
Count = Annotated[
    int,
    parameter(
        "n", f"How many pictures, 1 to {MAX_CALL_IMAGES}. Default: 1.", ge=1, le=MAX_CALL_IMAGES
    ),
]
OutputPath = Annotated[
    str | None,
    parameter(
        "output_path",
        "An absolute path: a file, whose extension decides the format, or a folder. Nothing is "
        "overwritten: -2, -3 … is added. Default: the user's picture folder.",
    ),
]
Inline = Annotated[
    Literal["auto", "always", "never"] | None,
    BeforeValidator(_inline),
    parameter(
        "inline",
        "Whether the result carries the picture itself: auto, a small preview; always, the "
        "picture wherever clients can take it; never. Default: auto, unless the server was "
        "started otherwise.",
    ),
]
IncludeEmail = Annotated[
    bool,
    parameter("include_email", "true: tell the account's e-mail address too. Default: false."),
]


AudioPath = Annotated[
    str,
    parameter(
        "path",
        "Absolute path of the audio file (wav, mp3, m4a, webm, ogg, flac), of at most "
        f"{MAX_AUDIO_BYTES // MIB} MiB. Required.",
        min_length=1,
    ),
]
Language = Annotated[
    str | None,
    BeforeValidator(_word),
    parameter(
        "language",
        "Language that is spoken, as en or de. Default: the backend finds out.",
        pattern="^[a-z-]{0,16}$",
    ),
]


class ImageFile(BaseModel):
    path: str
    uri: str
    mime_type: str
    width: int
    height: int
    bytes: int
    sha256: str


class ImageResult(BaseModel):
    images: list[ImageFile]
    model: str
    revised_prompt: str | None = None
    note: str | None = None


class TranscriptResult(BaseModel):
    text: str
    note: str | None = None


class ListedModel(BaseModel):
    slug: str
    display_name: str
    description: str
    efforts: list[str]
    default_effort: str | None
    takes_images: bool
    context_window: int | None = Field(description="In tokens.")
    is_default: bool


class ModelsResult(BaseModel):
    models: list[ListedModel]
    note: str | None = None


class LimitWindow(BaseModel):
    window: str = Field(description="Its length: `5 h`, `7 d`.")
    used_percent: float
    resets_at: str | None = Field(description="Local time, ISO 8601.")
    resets_in: str | None


class ProgramRequests(BaseModel):
    program: str
    requests: int = Field(description="Of the newest 200, those that run included.")
    running: int
    input_tokens: int
    output_tokens: int


class AccountResult(BaseModel):
    logged_in: bool
    plan: str | None = None
    email: str | None = None
    limit_reached: bool | None = None
    limits: list[LimitWindow] = []
    programs: list[ProgramRequests] = Field(
        [], description="Which programs use the server; empty where no HTTP server runs with this."
    )
    note: str | None = None


def instructions(options: Options) -> str:
    """Codex shows them as the description of all tools, and Claude Code finds tools by them."""
    return " ".join(words for tool, words in _WHEN if tool is None or tool in options.tools)


_WHEN = (
    (None, "Text and image generation with the user's own Codex/ChatGPT login (no API key)."),
    (
        "generate_image",
        (
            "Use generate_image or edit_image whenever the user wants a picture, icon, diagram "
            "mock-up, texture, sprite or photo: files are saved to disk, and the absolute path is "
            "returned."
        ),
    ),
    ("transcribe_audio", "Use transcribe_audio to read what is said in an audio file."),
    ("generate_text", "Use generate_text for a second opinion from an OpenAI model."),
    ("account_status", "Call account_status when a call fails with a limit or login error."),
)
