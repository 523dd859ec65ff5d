"""The tools that draw: a file on the user's disk, told as structured content, and a small preview.

Some clients show their model the structured content and nothing else, so that says everything.
"""

from __future__ import annotations

import asyncio
import base64
import hashlib
import os
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Annotated, Literal
from urllib.parse import urlsplit
from urllib.request import url2pathname

from mcp.server.mcpserver import Context, MCPServer
from mcp.server.mcpserver.exceptions import ToolError
from mcp.types import (
    CallToolResult,
    ContentBlock,
    ImageContent,
    ResourceLink,
    TextContent,
    ToolAnnotations,
)
from pydantic import BaseModel, Field

from codexapi_engine import Codex, CodexError, Settings, album, pictures
from codexapi_engine.protocol import images
from codexapi_engine.protocol.images import Picture

from .workshop import Workshop, signs_of_life

AT_ONCE = 2
"""Pictures of one call that are made at the same time."""

MAX_INLINE = 700_000
"""Characters of base64 in one result: clients refuse results of a megabyte, texts and all."""

MAX_PREVIEW = 200 * 1024

_DRAWS = ToolAnnotations(
    read_only_hint=False, destructive_hint=False, idempotent_hint=False, open_world_hint=True
)

Prompt = Annotated[str, Field(min_length=1, max_length=images.MAX_PROMPT)]
Size = Annotated[
    str,
    Field(
        description="auto, 1024x1024, 1536x1024, 1024x1536, or any WIDTHxHEIGHT of 16 to 3840 "
        "pixels an edge: the nearest shape is made, and the result tells the true size. "
        "Default: auto."
    ),
]
Quality = Annotated[
    Literal["auto", "low", "medium", "high"],
    Field(description="auto, low, medium or high. Default: auto."),
]
Background = Annotated[
    Literal["auto", "opaque", "transparent"],
    Field(description="auto, opaque or transparent (png and webp only). Default: auto."),
]
Format = Annotated[
    Literal["png", "jpeg", "webp"] | None,
    Field(description="png, jpeg or webp. Default: as output_path ends, else png."),
]
Count = Annotated[int, Field(ge=1, le=4, description="How many pictures, 1 to 4. Default: 1.")]
OutputPath = Annotated[
    str | None,
    Field(
        description="An absolute path: a file, whose extension decides the format, or a folder. "
        "Nothing is overwritten: -2, -3 … is added. Default: the user's picture folder."
    ),
]
Inline = Annotated[
    Literal["auto", "never"],
    Field(description="auto: the result carries a small preview; never: none. Default: auto."),
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


@dataclass(frozen=True, slots=True)
class Order:
    """What is to be made, and where it goes."""

    asked: images.Asked
    kind: str  # the format
    count: int
    place: Path
    is_folder: bool  # else it is the first file, where its name is free

    @property
    def path(self) -> Path:
        if not self.is_folder:
            return self.place
        stamp = time.strftime("%Y%m%d-%H%M%S")
        return self.place / album.name_for(self.asked.prompt, stamp, self.kind)

    @property
    def key(self) -> str:
        """The same for the same wish."""
        words = [repr(self.asked), self.kind, str(self.count), str(self.place)]
        words.append(str(self.asked.mask))
        digest = hashlib.sha256("\0".join([*words, *self.asked.inputs]).encode(errors="replace"))
        return digest.hexdigest()


@dataclass(frozen=True, slots=True)
class Drawn:
    """What came of an order."""

    saved: Sequence[tuple[Picture, Path]]
    failure: CodexError | None  # of a picture that did not come


def add_image_tools(server: MCPServer[Workshop]) -> None:
    @server.tool(title="Generate image", annotations=_DRAWS)
    async def generate_image(
        ctx: Context[Workshop],
        prompt: Annotated[Prompt, Field(description="What to draw.")],
        size: Size = "auto",
        quality: Quality = "auto",
        background: Background = "auto",
        format: Format = None,  # noqa: A002  (the tool's own word)
        n: Count = 1,
        output_path: OutputPath = None,
        inline: Inline = "auto",
    ) -> Annotated[CallToolResult, ImageResult]:
        """Draw a picture with OpenAI's image model through the user's own ChatGPT login, save it to
        disk, and return where it is. Takes a minute or two. If a call times out, make the same call
        again: the picture is kept for it."""
        asked = images.Asked(prompt, size=size, quality=quality, background=background)
        return await _answer(ctx, _order(ctx, asked, format, n, output_path), inline)

    @server.tool(title="Edit image", annotations=_DRAWS)
    async def edit_image(
        ctx: Context[Workshop],
        prompt: Annotated[Prompt, Field(description="What to change, or what to make of them.")],
        images: Annotated[
            list[str],
            Field(
                min_length=1,
                max_length=pictures.MAX_INPUTS,
                description="1 to 16 pictures (png, jpeg, webp, gif): absolute paths, or https "
                "addresses.",
            ),
        ],
        mask: Annotated[
            str | None,
            Field(
                description="Absolute path of a png as large as the first picture, transparent "
                "where it may change. Default: none."
            ),
        ] = None,
        size: Size = "auto",
        quality: Quality = "auto",
        background: Background = "auto",
        format: Format = None,  # noqa: A002
        n: Count = 1,
        output_path: OutputPath = None,
        inline: Inline = "auto",
    ) -> Annotated[CallToolResult, ImageResult]:
        """Change or combine pictures with OpenAI's image model through the user's own ChatGPT
        login, save the result to disk, and return where it is. Takes a minute or two. If a call
        times out, make the same call again: the picture is kept for it."""
        asked = await _edit(_codex(ctx), prompt, images, mask)
        asked = replace(asked, size=size, quality=quality, background=background)
        return await _answer(ctx, _order(ctx, asked, format, n, output_path), inline)


def folder_for(settings: Settings) -> Path:
    """Where pictures go when a call does not say. Never the working folder: an editor's is `/`."""
    chosen = settings.image_dir or album.default_folder(settings.state_dir, Path.home())
    return Path(os.path.abspath(chosen.expanduser()))


def _order(
    ctx: Context[Workshop],
    asked: images.Asked,
    kind: str | None,
    count: int,
    output_path: str | None,
) -> Order:
    """Raises ToolError, saying what would do."""
    default = folder_for(_codex(ctx).settings)
    path = default if output_path is None else Path(output_path).expanduser()
    if not path.is_absolute():
        raise ToolError(f"output_path is not absolute: try {default / path}")
    is_folder = output_path is None or output_path.endswith(("/", os.sep)) or path.is_dir()
    if is_folder:
        kind = kind or "png"
    elif path.suffix.lower() not in album.FORMATS:
        raise ToolError(f"output_path ends in none of {', '.join(album.FORMATS)}: {path.name}")
    else:
        kind = album.FORMATS[path.suffix.lower()]
    if kind == "jpeg" and asked.background == "transparent":
        raise ToolError("jpeg cannot be transparent: use png or webp")
    try:
        return Order(asked.checked(), kind or "png", count, path, is_folder)
    except CodexError as error:
        raise _failed(error) from None


async def _edit(codex: Codex, prompt: str, names: Sequence[str], mask: str | None) -> images.Asked:
    """Raises ToolError for a picture that cannot be edited."""
    try:
        inputs = [await _read(codex, name, f"images[{at}]") for at, name in enumerate(names)]
        over = await _read(codex, mask, "mask") if mask is not None else None
        urls, mask_url = await asyncio.to_thread(pictures.to_edit, inputs, over)
    except CodexError as error:
        raise _failed(error) from None
    return images.Asked(prompt, inputs=urls, mask=mask_url)


async def _read(codex: Codex, name: str, param: str) -> pictures.Input:
    if "://" in name and not name.startswith("file://"):
        return await codex.fetcher.fetch(name, param=param)
    path = _path(name, param)
    try:
        return await asyncio.to_thread(album.load, path, param)
    except OSError as error:
        raise ToolError(f"{param}: {path}: {error.strerror}") from None


def _path(name: str, param: str) -> Path:
    """Raises ToolError: what a relative path is relative to, nobody here knows."""
    given = url2pathname(urlsplit(name).path) if name.startswith("file://") else name
    path = Path(given).expanduser()
    if not path.is_absolute():
        raise ToolError(f"{param} is not an absolute path: {name}")
    return path


async def _answer(ctx: Context[Workshop], order: Order, inline: str) -> CallToolResult:
    shop = ctx.request_context.lifespan_context
    async with signs_of_life(ctx, lambda seconds: f"drawing, {seconds:.0f} s"):
        try:
            drawn, earlier = await shop.jobs.run(order.key, lambda: _drawn(shop.codex, order))
        except CodexError as error:
            raise _failed(error) from None
        except OSError as error:
            raise ToolError(f"the picture cannot be saved: {error}") from None
        return await asyncio.to_thread(_told, drawn, order, inline, earlier=earlier)


async def _drawn(codex: Codex, order: Order) -> Drawn:
    """Draws and saves. What is there is kept, whatever becomes of the others: it was paid for."""
    turns = asyncio.Semaphore(AT_ONCE)

    async def one(path: Path) -> tuple[Picture, Path]:
        async with turns:
            (made, *_) = (await codex.draw(order.asked)).images
        return await asyncio.to_thread(_saved, made, order.kind, path)

    tasks = [asyncio.create_task(one(path)) for path in album.numbered(order.path, order.count)]
    try:
        done = await asyncio.gather(*tasks, return_exceptions=True)
    finally:
        for task in tasks:
            task.cancel()
    saved = [result for result in done if not isinstance(result, BaseException)]
    failures = [result for result in done if isinstance(result, BaseException)]
    if failures and not (saved and isinstance(failures[0], CodexError)):
        raise failures[0]
    failure = failures[0] if failures else None
    return Drawn(saved, failure if isinstance(failure, CodexError) else None)


def _saved(made: images.Image, kind: str, path: Path) -> tuple[Picture, Path]:
    picture = pictures.finished(made.data, format=kind, revised_prompt=made.revised_prompt)
    path.parent.mkdir(parents=True, exist_ok=True)
    return picture, album.save(path, picture.data)


def _told(drawn: Drawn, order: Order, inline: str, *, earlier: bool) -> CallToolResult:
    files = [_file(picture, path) for picture, path in drawn.saved]
    notes = []
    if earlier:
        notes.append(
            "This is what the same call before has made. For another picture, call once more."
        )
    if drawn.failure is not None:
        missing = order.count - len(drawn.saved)
        notes.append(f"{missing} of {order.count} failed: {drawn.failure}")
    result = ImageResult(
        images=files,
        model=order.asked.model,
        revised_prompt=drawn.saved[0][0].revised_prompt,
        note=" ".join(notes) or None,
    )
    lines = [
        f"Saved {picture.size} {picture.format.upper()} to {path}" for picture, path in drawn.saved
    ]
    content: list[ContentBlock] = [TextContent(text="\n".join([*lines, *notes]))]
    for file in files:
        content.append(
            ResourceLink(
                uri=file.uri, name=Path(file.path).name, mime_type=file.mime_type, size=file.bytes
            )
        )
    if inline == "auto":
        room = min(MAX_PREVIEW, MAX_INLINE * 3 // 4 // len(files) - 3)
        content += [_preview(picture, room) for picture, _ in drawn.saved]
    return CallToolResult(content=content, structured_content=result.model_dump(mode="json"))


def _file(picture: Picture, path: Path) -> ImageFile:
    return ImageFile(
        path=str(path),
        uri=path.as_uri(),
        mime_type=picture.media_type,
        width=picture.width,
        height=picture.height,
        bytes=len(picture.data),
        sha256=hashlib.sha256(picture.data).hexdigest(),
    )


def _preview(picture: Picture, room: int) -> ImageContent:
    small = pictures.preview(picture, max_bytes=room)
    return ImageContent(data=base64.b64encode(small.data).decode(), mime_type=small.media_type)


def _codex(ctx: Context[Workshop]) -> Codex:
    return ctx.request_context.lifespan_context.codex


def _failed(error: CodexError) -> ToolError:
    return ToolError(f"{error.code or error.type}: {error}")
