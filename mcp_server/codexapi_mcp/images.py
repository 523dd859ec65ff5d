"""The image tools: they save a file on the user's disk, and return its description and a preview.

Some clients show their model the structured content alone, so that has everything.
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
from typing import Any

from mcp.server.mcpserver import Context
from mcp.types import CallToolResult, ContentBlock, ImageContent, ResourceLink, TextContent

from codexapi_engine import Codex, CodexError, InvalidRequest, Settings, Unavailable, user_files
from codexapi_engine.bounds import MAX_FILE_BYTES, MAX_INLINE, MAX_PREVIEW_BYTES
from codexapi_engine.images import image_files, processing
from codexapi_engine.protocol import images
from codexapi_engine.protocol.images import Picture
from codexapi_engine.settings import private_folder

from .attachments import Disk, is_address
from .runtime import Runtime, with_progress
from .schema import ImageFile, ImageResult

GLANCE = 0.5
"""Seconds between two looks at whether another process has made its picture."""


@dataclass(frozen=True, slots=True)
class OutputOptions:
    """The options of a call, beside the picture itself."""

    kind: str | None  # the format
    count: int
    output_path: str | None
    inline: str | None


@dataclass(frozen=True, slots=True)
class ImageJob:
    """The picture to make, and its destination."""

    request: images.ImageRequest
    kind: str  # the format
    count: int
    place: Path
    is_folder: bool  # else it is the first file, where its name is free
    root: Path | None = None  # nothing is written outside of it

    @property
    def path(self) -> Path:
        if not self.is_folder:
            return self.place
        stamp = time.strftime("%Y%m%d-%H%M%S")
        return self.place / image_files.name_for(self.request.prompt, stamp, self.kind)

    @property
    def key(self) -> str:
        """The same for the same wish."""
        words = [repr(self.request), self.kind, str(self.count), str(self.place)]
        words.append(str(self.request.mask))
        digest = hashlib.sha256("\0".join([*words, *self.request.inputs]).encode(errors="replace"))
        return digest.hexdigest()


@dataclass(frozen=True, slots=True)
class ImageBatch:
    """What came of an order."""

    saved: Sequence[tuple[Picture, Path]]
    failure: CodexError | None  # of a picture that did not come


def image_request(prompt: str, *, size: str, quality: str, background: str) -> images.ImageRequest:
    return images.ImageRequest(prompt, size=size, quality=quality, background=background)


async def generate(
    ctx: Context[Runtime, Any], request: images.ImageRequest, output: OutputOptions
) -> CallToolResult:
    """Raises CodexError."""
    return await _answer(ctx, _order(ctx.request_context.lifespan_context, request, output), output)


async def edit(
    ctx: Context[Runtime, Any],
    request: images.ImageRequest,
    inputs: Sequence[str],
    mask: str | None,
    output: OutputOptions,
) -> CallToolResult:
    """Raises CodexError."""
    runtime = ctx.request_context.lifespan_context
    _order(runtime, request, output)  # what cannot be saved need not be read either
    order = _order(runtime, await _with_inputs(runtime.codex, request, inputs, mask), output)
    return await _answer(ctx, order, output)


def folder_for(settings: Settings) -> Path:
    """Where pictures go when a call does not say. Never the working folder: an editor's is `/`."""
    chosen = settings.image_dir or image_files.default_folder(settings.state_dir, Path.home())
    return Path(os.path.abspath(os.path.expanduser(chosen)))


def _order(runtime: Runtime, request: images.ImageRequest, output: OutputOptions) -> ImageJob:
    """Raises InvalidRequest, saying what would do."""
    default, path_text, kind = folder_for(runtime.codex.settings), output.output_path, output.kind
    path = default if path_text is None else _expanded(path_text)
    if not path.is_absolute():
        raise _invalid("output_path", f"it is not absolute: try {default / path}")
    is_folder = path_text is None or path_text.endswith(("/", os.sep)) or os.path.isdir(path)
    if is_folder:
        kind = kind or "png"
    elif path.suffix.lower() not in image_files.FORMATS:
        raise _invalid(
            "output_path", f"{path.name} ends in none of {', '.join(image_files.FORMATS)}"
        )
    else:
        kind = image_files.FORMATS[path.suffix.lower()]
    if kind == "jpeg" and request.background == "transparent":
        raise _invalid("background", "jpeg cannot be transparent: use png or webp")
    root = default if runtime.options.image_dir_only else None
    if root is not None:
        path = _confined(path, root, is_folder=is_folder)
    _check_place(path if is_folder else path.parent)
    order = ImageJob(request.checked(), kind, output.count, path, is_folder, root)
    _check_names(order)
    return order


def _check_names(order: ImageJob) -> None:
    """Raises InvalidRequest for a name that the file system does not take. One that is taken is
    no fault: the picture gets another."""
    for path in image_files.numbered(order.path, order.count):
        try:
            if os.path.isdir(path.parent):
                user_files.check(path, over=True)
        except OSError as error:
            raise _invalid("output_path", f"{path.name}: {error.strerror}") from None


def _expanded(text: str) -> Path:
    """Raises InvalidRequest for what no file can be called."""
    try:
        text.encode()
    except UnicodeEncodeError:  # half a character
        raise _invalid("output_path", "no file can have such a name") from None
    if "\0" in text:
        raise _invalid("output_path", "no file can have such a name")
    try:
        return Path(text).expanduser()
    except RuntimeError:  # the home of an unknown user
        return Path(text)


def _check_place(folder: Path) -> None:
    """Raises InvalidRequest where a picture could not be saved, before it is paid for."""
    places = (folder, *folder.parents)
    # Windows has drives that are not there.
    there = next((place for place in places if os.path.lexists(place)), folder)
    if not (there.is_dir() and os.access(there, os.W_OK | os.X_OK)):
        raise _invalid("output_path", f"nothing can be written in {there}")


def _confined(path: Path, root: Path, *, is_folder: bool) -> Path:
    """The path without links on its way. Raises InvalidRequest where it leaves the folder."""
    real = Path(os.path.realpath(path if is_folder else path.parent))
    if not real.is_relative_to(os.path.realpath(root)):
        raise _invalid(
            "output_path", f"this server saves pictures nowhere but in {root} (--image-dir-only)"
        )
    return real if is_folder else real / path.name


async def _with_inputs(
    codex: Codex, request: images.ImageRequest, names: Sequence[str], mask: str | None
) -> images.ImageRequest:
    """Raises InvalidRequest for a picture that cannot be edited."""
    sources: list[processing.Input] = []
    for at, name in enumerate(names):
        sources.append(await _load_input(codex, name, f"images[{at}]", sources))
    over = await _load_input(codex, mask, "mask", sources) if mask is not None else None
    urls, mask_url = await asyncio.to_thread(processing.to_edit, sources, over)
    return replace(request, inputs=urls, mask=mask_url)


async def _load_input(
    codex: Codex, name: str, param: str, before: Sequence[processing.Input]
) -> processing.Input:
    if is_address(name):
        return await codex.fetcher.fetch(name, param=param)
    room = MAX_FILE_BYTES - sum(len(read.data) for read in before)
    disk = Disk.of(codex.settings)
    return processing.Input(param, await asyncio.to_thread(disk.read, name, param, max(0, room)))


async def _answer(
    ctx: Context[Runtime, Any], order: ImageJob, output: OutputOptions
) -> CallToolResult:
    runtime = ctx.request_context.lifespan_context
    inline = output.inline or runtime.options.inline

    async def run() -> CallToolResult:
        if paths := await _earlier_files(runtime, order):
            try:
                kept = await asyncio.to_thread(_read_images, paths)
                if kept is not None:
                    return await asyncio.to_thread(_to_result, kept, order, inline, earlier=True)
            except asyncio.CancelledError:
                runtime.unclaimed.keep(order.key, paths)
                raise
        async with runtime.jobs.result(order.key, lambda: _drawn(runtime, order)) as made:
            drawn, earlier = made
            result = await asyncio.to_thread(_to_result, drawn, order, inline, earlier=earlier)
        if earlier:
            runtime.unclaimed.claim(order.key)
        return result

    return await with_progress(ctx, lambda seconds: f"drawing, {seconds:.0f} s", run)


async def _earlier_files(runtime: Runtime, order: ImageJob) -> list[Path]:
    """What the same call has made, where its client has left that process since."""
    if runtime.jobs.has(order.key):
        return []
    while runtime.unclaimed.is_drawing(order.key):  # noqa: ASYNC110  (of another process)
        await asyncio.sleep(GLANCE)
    return runtime.unclaimed.claim(order.key)


def _read_images(paths: Sequence[Path]) -> ImageBatch | None:
    try:
        return ImageBatch([(processing.finished(path.read_bytes()), path) for path in paths], None)
    except (OSError, CodexError):  # the file was changed by another program
        return None


async def _drawn(runtime: Runtime, order: ImageJob) -> ImageBatch:
    """Draws and saves, as many as the server may yet make. What is there is kept, whatever becomes
    of the others: it was paid for."""
    most = runtime.options.max_images
    if most is not None and runtime.pictures + order.count > most:
        raise InvalidRequest(
            f"n: this server was started to make at most {most} pictures (--max-images), and "
            f"{most - runtime.pictures} are left until it is started anew",
            code="max_images_reached",
            param="n",
        )
    runtime.pictures += order.count
    saved: list[tuple[Picture, Path]] = []
    try:
        return await _all(runtime.codex, order, saved)
    except asyncio.CancelledError:
        if saved:
            runtime.unclaimed.keep(order.key, [path for _, path in saved])
        raise
    finally:
        runtime.pictures -= order.count - len(saved)


async def _all(codex: Codex, order: ImageJob, saved: list[tuple[Picture, Path]]) -> ImageBatch:
    """Puts each into `saved` as it comes."""
    paths = image_files.numbered(order.path, order.count)

    async def finish(index: int, answer: images.Images) -> tuple[Picture, Path]:
        state_dir, picture = codex.settings.state_dir, answer.images[0]
        file = await asyncio.to_thread(_saved, picture, order, paths[index], state_dir)
        saved.append(file)
        return file

    batch = await codex.draw_many(order.request, len(paths), finish)
    return ImageBatch(batch.images, next(iter(batch.errors()), None))


def _saved(
    made: images.Image, order: ImageJob, path: Path, state_dir: Path
) -> tuple[Picture, Path]:
    picture = processing.finished(made.data, format=order.kind, revised_prompt=made.revised_prompt)
    try:
        if path.is_relative_to(state_dir):
            private_folder(state_dir)
        if order.root is None:
            path.parent.mkdir(parents=True, exist_ok=True)
        return picture, user_files.write(path, picture.data, over=False, root=order.root)
    except (OSError, ValueError) as error:  # ValueError: not under the root
        kept = user_files.rescue(state_dir, path.name, picture.data)
        raise Unavailable(
            f"the picture cannot be saved as {path}: {getattr(error, 'strerror', None) or error}"
            + (f"; it is kept as {kept}" if kept else ""),
            code="not_saved",
        ) from None


def _to_result(drawn: ImageBatch, order: ImageJob, inline: str, *, earlier: bool) -> CallToolResult:
    files = [_image_file(picture, path) for picture, path in drawn.saved]
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
        model=order.request.model,
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
    if inline != "never":
        room = MAX_INLINE * 3 // 4 // len(files) - 3
        room = room if inline == "always" else min(MAX_PREVIEW_BYTES, room)
        content += [_preview(picture, room) for picture, _ in drawn.saved]
    return CallToolResult(content=content, structured_content=result.model_dump(mode="json"))


def _image_file(picture: Picture, path: Path) -> ImageFile:
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
    small = processing.preview(picture, max_bytes=room)
    return ImageContent(data=base64.b64encode(small.data).decode(), mime_type=small.media_type)


def _invalid(param: str, why: str) -> InvalidRequest:
    return InvalidRequest(f"{param}: {why}", code="invalid_value", param=param)
