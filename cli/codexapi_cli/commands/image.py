"""`codexapi image`: draws or edits a picture, and saves it.

Local problems are found before any quota is used: no request is made for a picture that cannot be
saved.
"""

from __future__ import annotations

import asyncio
import hashlib
import os
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from pathlib import Path
from typing import Annotated, NoReturn

import typer

import codexapi_engine as engine
from codexapi_engine import user_files
from codexapi_engine.bounds import MAX_CHAT_IMAGE_BYTES, MAX_IMAGES
from codexapi_engine.images import image_files, processing
from codexapi_engine.login.login_files import LoginFiles
from codexapi_engine.protocol import images
from codexapi_engine.protocol.images import FORMATS, Picture

from ..parser import completers
from ..parser.options import BaseUrl, Demo, Json, Record, RecordContent, command
from ..parser.words import WordsCommand
from ..settings import opened, settings
from ..terminal.cleaning import to_json
from ..terminal.opener import open_file
from ..terminal.output import (
    LOCAL_FILE,
    Problem,
    Progress,
    ending,
    note,
    put_bytes,
    put_json,
    put_path,
    run,
    say,
    stdout_problem,
)
from ..terminal.preview import Preview, chosen, escapes, in_multiplexer, shows_sixel
from ..terminal.stdin import stdin_bytes, stdin_text
from ..terminal.streams import StdoutError

PARTIALS = 2
"""Partial pictures that are requested where a terminal shows their progress."""

app = command()


class Fit(StrEnum):
    ANY = "any"
    EXACT = "exact"


@dataclass(frozen=True, slots=True)
class Order:
    """The picture to make, and its destination."""

    request: images.ImageRequest
    paths: Sequence[Path | None]  # one for each picture; None: stdout
    state_dir: Path  # keeps what cannot be written
    kind: str = "png"  # the format
    exact: tuple[int, int] | None = None
    force: bool = False
    as_json: bool = False
    show: Preview = Preview.AUTO
    show_prompt: bool = False
    open: bool = False
    inputs: Sequence[str] = ()
    mask: str | None = None


EXAMPLES = """
# Draw a picture
$ codexapi image "a red fox" -o fox.png

# Edit a picture
$ codexapi image "the same fox in snow" -i fox.png -o snow.png

# Draw four pictures: icon-1.png, icon-2.png …
$ codexapi image "an icon of a fox" -n 4 --background transparent -o icon.png
"""


@app.command(cls=WordsCommand, epilog=EXAMPLES)
def image(
    prompt: Annotated[
        list[str], typer.Argument(metavar="PROMPT", help="What to draw; -: read it from stdin")
    ],
    output: Annotated[
        str | None,
        typer.Option(
            "-o", "--output", metavar="FILE|DIR|-", rich_help_panel="Output",
            help="Where to save the picture; -: stdout (default: a file named by the prompt)",
        ),
    ] = None,
    size: Annotated[
        str,
        typer.Option(
            metavar="WxH", rich_help_panel="Picture",
            help="Size in pixels; the nearest that the model draws",
            autocompletion=completers.words("auto", "1024x1024", "1536x1024", "1024x1536"),
        ),
    ] = "auto",
    fit: Annotated[
        Fit,
        typer.Option(rich_help_panel="Picture", help="exact: resize the picture to --size"),
    ] = Fit.ANY,
    quality: Annotated[
        str,
        typer.Option(
            metavar="low|medium|high|auto", rich_help_panel="Picture",
            help="Quality of the picture",
            autocompletion=completers.words("low", "medium", "high", "auto"),
        ),
    ] = "auto",
    background: Annotated[
        str,
        typer.Option(
            metavar="opaque|transparent|auto", rich_help_panel="Picture",
            help="Background of the picture",
            autocompletion=completers.words("opaque", "transparent", "auto"),
        ),
    ] = "auto",
    format_: Annotated[
        str | None,
        typer.Option(
            "--format", metavar="png|jpeg|webp", rich_help_panel="Output",
            help="Format of the file (default: by the name of the file, else png)",
            autocompletion=completers.words(*FORMATS),
        ),
    ] = None,
    n: Annotated[
        int,
        typer.Option(
            "-n", "--n", metavar="N", min=1, max=MAX_IMAGES, rich_help_panel="Picture",
            help="How many pictures to draw",
        ),
    ] = 1,
    input_: Annotated[
        list[str] | None,
        typer.Option(
            "-i", "--input", metavar="FILE|URL", rich_help_panel="Input",
            help="Edit this picture; may be repeated",
        ),
    ] = None,
    mask: Annotated[
        str | None,
        typer.Option(
            metavar="FILE", rich_help_panel="Input",
            help="A PNG: the first picture changes where this is transparent",
        ),
    ] = None,
    model: Annotated[
        str | None,
        typer.Option(
            "-m", "--model", metavar="NAME", rich_help_panel="Picture",
            help=f"Image model to use (default: {images.MODEL})",
            autocompletion=completers.words(images.MODEL),
        ),
    ] = None,
    force: Annotated[
        bool,
        typer.Option("--force", rich_help_panel="Output", help="Overwrite existing files"),
    ] = False,
    as_json: Json = False,
    open_: Annotated[
        bool,
        typer.Option("--open", rich_help_panel="Output", help="Open the picture when it is done"),
    ] = False,
    show_prompt: Annotated[
        bool,
        typer.Option(
            "--show-prompt", rich_help_panel="Output",
            help="Print the prompt that the model made of yours, on stderr",
        ),
    ] = False,
    preview: Annotated[
        Preview,
        typer.Option(rich_help_panel="Output", help="How to show the picture in the terminal"),
    ] = Preview.AUTO,
    base_url: BaseUrl = None,
    demo: Demo = False,
    record: Record = None,
    record_content: RecordContent = False,
) -> None:  # fmt: skip
    """Draw or edit a picture, save it, and print its path.

    Existing files are kept unless you say --force; that is checked before anything is spent.
    """
    chosen_settings = settings(
        base_url=base_url, demo=demo, record=record, record_content=record_content
    )
    with ending(as_json=as_json):
        if mask is not None and not input_:
            _wrong("--mask: it belongs to a picture, named by --input")
        words = _prompt(prompt)
        kind = _format(format_, output)
        if kind == "jpeg" and background == "transparent":
            _wrong("--background: jpeg cannot be transparent: use png or webp")
        try:
            request = images.ImageRequest(
                words,
                model=model or images.MODEL,
                size=size,
                quality=quality,
                background=background,
            ).checked()
            pixels = images.pixels(size)
        except engine.InvalidRequest as error:
            _wrong(f"--{error.param}: {error}" if error.param != "prompt" else str(error))
        if open_ and output == "-":
            _wrong("--open: there is no file to open where the picture goes to stdout")
        if fit is Fit.EXACT and pixels is None:
            _wrong("--fit: exact needs a --size")
        order = Order(
            request=request,
            kind=kind,
            exact=pixels if fit is Fit.EXACT else None,
            paths=_places(output, words, kind, n, force=force),
            force=force,
            state_dir=chosen_settings.state_dir,
            as_json=as_json,
            show=preview,
            show_prompt=show_prompt,
            open=open_,
            inputs=input_ or (),
            mask=mask,
        )
    run(_draw(chosen_settings, order), as_json=as_json)


def _prompt(words: Sequence[str]) -> str:
    if list(words) != ["-"]:
        return " ".join(words)
    try:
        return stdin_text(by_name=True) or ""
    except engine.InvalidRequest as error:
        _wrong(str(error))


def _format(kind: str | None, output: str | None) -> str:
    """By the name of the file, else by the option. The two may not disagree."""
    ending = Path(output).suffix.lower() if output not in (None, "-") else ""
    if kind is not None and kind not in FORMATS:
        _wrong(f"--format: {kind} is none of {', '.join(FORMATS)}")
    if output is None or output == "-" or _is_folder(output):
        return kind or "png"
    if ending not in image_files.FORMATS:
        _wrong(f"--output: {output} ends in none of {', '.join(image_files.FORMATS)}")
    if kind not in (None, image_files.FORMATS[ending]):
        _wrong(f"--format: {kind} is not what {output} says by its name")
    return image_files.FORMATS[ending]


def _is_folder(output: str) -> bool:
    return output.endswith(("/", os.sep)) or os.path.isdir(os.path.expanduser(output))


def _places(
    output: str | None, prompt: str, kind: str, count: int, *, force: bool
) -> Sequence[Path | None]:
    """Where the pictures go. Ends the program if one cannot go there."""
    if output == "-":
        if count > 1:
            _wrong("--output: stdout takes one picture")
        if sys.stdout.isatty():
            _wrong("--output: a terminal is no place for a picture: name a file, or use a pipe")
        return [None]
    path = Path(os.path.expanduser(output or "."))
    if output is None or _is_folder(output):
        path /= image_files.name_for(prompt, time.strftime("%Y%m%d-%H%M%S"), kind)
    paths = [user_files.absolute(place) for place in image_files.numbered(path, count)]
    for place in paths:
        try:
            user_files.check(place, over=force)
        except FileExistsError:
            _unusable(f"{place} exists, and is left as it is: --force writes over it")
        except OSError as error:
            _unusable(f"{place}: {error.strerror}")
    return paths


async def _draw(chosen_settings: engine.Settings, order: Order) -> None:
    async with opened(chosen_settings) as codex:
        request = await _with_inputs(codex, order)
        progress = Progress()
        if request.needs_the_tool and progress.shown:
            request = replace(request, partial_images=PARTIALS)

        async def finish(index: int, answer: images.Images) -> tuple[Picture, Path | None]:
            picture = await asyncio.to_thread(_finished, answer.images[0], order)
            return picture, _written(picture, order.paths[index], order)

        async with progress.running("drawing"):
            batch = await codex.draw_many(request, len(order.paths), finish, partial=progress.step)
    _report(batch.images, batch.answer, order)
    for failure in batch.failures:
        raise failure


async def draw_in_chat(codex: engine.Codex, prompt: str) -> str:
    """Draws and saves a picture as `codexapi image PROMPT` does, prints its path, and returns it as
    a model may look at it: a data URL."""
    order = Order(
        request=images.ImageRequest(prompt).checked(),
        paths=_places(None, prompt, "png", 1, force=False),
        state_dir=codex.settings.state_dir,
    )
    async with Progress().running("drawing"):
        reply = await codex.draw(order.request)
        picture = await asyncio.to_thread(_finished, reply.images[0], order)
        path = _written(picture, order.paths[0], order)
    _report([(picture, path)], reply, order)
    small = await asyncio.to_thread(processing.preview, picture, max_bytes=MAX_CHAT_IMAGE_BYTES)
    return images.data_url(f"image/{small.format}", small.data)


async def _with_inputs(codex: engine.Codex, order: Order) -> images.ImageRequest:
    inputs = [await _load_input(codex, name, "--input") for name in order.inputs]
    mask = await _load_input(codex, order.mask, "--mask") if order.mask is not None else None
    urls, mask_url = await asyncio.to_thread(processing.to_edit, inputs, mask)
    return replace(order.request, inputs=urls, mask=mask_url)


async def _load_input(codex: engine.Codex, name: str, option: str) -> processing.Input:
    if "://" in name:
        return await codex.fetcher.fetch(name, param=option)
    if name == "-":
        data = await asyncio.to_thread(stdin_bytes, by_name=True)
        return processing.Input(option, data or _wrong(f"{option} -: there is nothing on stdin"))
    try:
        login = LoginFiles.of(codex.settings)
        return await asyncio.to_thread(image_files.load, Path(name), option, login)
    except OSError as error:
        _unusable(f"{name}: {error.strerror}")


def _finished(made: images.Image, order: Order) -> Picture:
    return processing.finished(
        made.data, format=order.kind, exact=order.exact, revised_prompt=made.revised_prompt
    )


def _written(picture: Picture, path: Path | None, order: Order) -> Path | None:
    if path is None:
        _put(picture, order)
        return None
    try:
        written = user_files.write(path, picture.data, over=order.force)
    except OSError as error:
        kept = user_files.rescue(order.state_dir, path.name, picture.data)
        _unusable(f"{path}: {error.strerror}" + (f"; the picture is {kept}" if kept else ""))
    if written != path:
        say(f"codexapi: {path} has come to be meanwhile; the picture is beside it")
    return written


def _put(picture: Picture, order: Order) -> None:
    """Writes a picture to stdout; keeps what stdout does not take, or nobody reads: it was paid
    for."""
    try:
        put_bytes(picture.data)
    except OSError as error:
        name = image_files.name_for(
            order.request.prompt, time.strftime("%Y%m%d-%H%M%S"), order.kind
        )
        kept = user_files.rescue(order.state_dir, name, picture.data)
        hint = f"; the picture is {kept}" if kept else ""
        if isinstance(error, StdoutError):
            raise stdout_problem(error, hint) from None
        say(f"codexapi: nobody reads stdout{hint}")
        raise


def _report(
    made: Sequence[tuple[Picture, Path | None]], answer: images.Images, order: Order
) -> None:
    """What came of it, for a person or a program."""
    if order.as_json:
        _print_json(made, answer, order)
    for picture, path in made:
        if not order.as_json and path is not None:
            put_path(path)
            _preview(picture, order)
        if order.show_prompt and picture.revised_prompt:
            say(f"codexapi: drawn from: {picture.revised_prompt}")
        if order.open and path is not None and (problem := open_file(path)):
            say(f"codexapi: --open: {problem}")
    first = made[0][0]
    if order.exact is None and order.request.size not in ("auto", first.size):
        note(f"codexapi: the backend made {first.size}; --fit exact resizes")
    if order.request.background == "transparent" and not first.alpha:
        note("codexapi: the backend made no transparent background")


def _print_json(
    made: Sequence[tuple[Picture, Path | None]], answer: images.Images, order: Order
) -> None:
    found = [
        {
            "path": str(path) if path else None,
            "format": picture.format,
            "width": picture.width,
            "height": picture.height,
            "alpha": picture.alpha,
            "bytes": len(picture.data),
            "sha256": hashlib.sha256(picture.data).hexdigest(),
            "revised_prompt": picture.revised_prompt,
        }
        for picture, path in made
    ]
    whole = {"images": found, "model": order.request.model, "usage": answer.usage}
    say(to_json(whole, indent=2)) if made[0][1] is None else put_json(whole)


def _preview(picture: Picture, order: Order) -> None:
    if not sys.stdout.isatty():
        return
    how = chosen(order.show, os.environ)
    if order.show is Preview.AUTO and how is Preview.NONE and shows_sixel(os.environ):
        how = Preview.SIXEL
    if how is not Preview.NONE and in_multiplexer(os.environ):
        note("codexapi: no preview: inside tmux or screen a picture does not stay in its place")
    elif how is not Preview.NONE:
        put_bytes(escapes(picture, how))


def _wrong(message: str) -> NoReturn:
    raise Problem(message)


def _unusable(message: str) -> NoReturn:
    raise Problem(message, LOCAL_FILE)
