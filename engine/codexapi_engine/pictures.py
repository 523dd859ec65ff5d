"""Pictures as bytes: what they are, and what was asked of them in the end.

Truth is read from the data, never from a name or a header. Pillow does the work, and is loaded
when there is a picture. Knows nothing of where pictures come from or go to.
"""

from __future__ import annotations

import io
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import TYPE_CHECKING

from .errors import CodexError, InvalidRequest, UnexpectedAnswer
from .protocol.images import FORMATS, Picture

if TYPE_CHECKING:
    from PIL import Image as pillow

MAX_PIXELS = 64 * 1024 * 1024
"""Pixels of an input: four times the largest that the backend makes. More is a bomb."""

MAX_BYTES = 50 * 1024 * 1024
_READS = ("PNG", "JPEG", "WEBP", "GIF")


def looked_at(data: bytes, *, param: str = "image") -> Picture:
    """What an input is. Raises InvalidRequest for what is no whole picture, or too much of one."""
    if len(data) > MAX_BYTES:
        raise _refused(param, f"it has over {MAX_BYTES >> 20} MB", "image_too_large")
    try:
        with _opened(data) as image:
            if image.width * image.height > MAX_PIXELS:
                raise _refused(param, f"{image.width}x{image.height} pixels are too many",
                               "image_too_large")  # fmt: skip
            image.load()
            return _described(data, image)
    except (OSError, SyntaxError, ValueError, Warning) as error:
        raise _refused(
            param, "it is not a whole PNG, JPEG, WebP or GIF", "invalid_image"
        ) from error


def finished(
    data: bytes,
    *,
    format: str | None = None,  # noqa: A002  (the wire's word)
    compression: int | None = None,
    exact: tuple[int, int] | None = None,
    revised_prompt: str | None = None,
) -> Picture:
    """What the backend made, as it was asked for: in this format, quality (0 to 100, of a lossy
    format) and size. The bytes stay as they came where nothing has to change.

    Raises UnexpectedAnswer if they are no picture.
    """
    try:
        with _opened(data) as image:
            picture = _described(data, image)
            change = (format or picture.format) != picture.format or compression is not None
            if change or exact not in (None, (picture.width, picture.height)):
                picture = _encoded(image, format or picture.format, compression, exact)
    except (OSError, SyntaxError, ValueError, Warning) as error:
        raise UnexpectedAnswer("the backend sent a picture that cannot be read") from error
    return _with_prompt(picture, revised_prompt)


def preview(picture: Picture, *, max_bytes: int) -> Picture:
    """A smaller picture of at most so many bytes: for those who carry pictures in messages."""
    edge = max(picture.width, picture.height)
    while len(picture.data) > max_bytes and edge > 32:
        edge = edge * 3 // 4
        with _opened(picture.data) as image:
            scale = edge / max(image.width, image.height)
            size = (max(1, round(image.width * scale)), max(1, round(image.height * scale)))
            picture = _encoded(image, "webp" if picture.alpha else "jpeg", 80, size)
    return picture


def _encoded(
    image: pillow.Image,
    format: str,
    compression: int | None,
    exact: tuple[int, int] | None,
) -> Picture:
    if format not in FORMATS:
        format = "png"  # noqa: A001
    if exact is not None and exact != image.size:
        image = _fitted(image, exact)
    if format == "jpeg" and image.mode not in ("RGB", "L"):
        image = _on_white(image)
    quality = {"quality": compression if compression is not None else 90} if format != "png" else {}
    out = io.BytesIO()
    image.save(out, format, **quality)
    data = out.getvalue()
    with _opened(data) as made:
        return _described(data, made)


def _fitted(image: pillow.Image, size: tuple[int, int]) -> pillow.Image:
    """Exactly this size: scaled to cover it, and cut at the edges that stand over."""
    from PIL import Image, ImageOps

    if image.mode == "P":
        image = image.convert("RGBA")
    return ImageOps.fit(image, size, Image.Resampling.LANCZOS)


def _on_white(image: pillow.Image) -> pillow.Image:
    """JPEG has no alpha."""
    from PIL import Image

    below = Image.new("RGB", image.size, "white")
    above = image.convert("RGBA")
    below.paste(above, mask=above.getchannel("A"))
    return below


@contextmanager
def _opened(data: bytes) -> Iterator[pillow.Image]:
    from PIL import Image  # 60 ms, and only where there is a picture

    with warnings.catch_warnings():
        warnings.simplefilter("error", Image.DecompressionBombWarning)
        try:
            opened = Image.open(io.BytesIO(data), formats=_READS)
        except Image.DecompressionBombError as error:
            raise ValueError("too many pixels") from error
        with opened as image:
            yield image


def _described(data: bytes, image: pillow.Image) -> Picture:
    alpha = image.mode in ("RGBA", "LA", "PA") or "transparency" in image.info
    return Picture(data, str(image.format).lower(), image.width, image.height, alpha)


def _with_prompt(picture: Picture, revised_prompt: str | None) -> Picture:
    return replace(picture, revised_prompt=revised_prompt)


def _refused(param: str, why: str, code: str) -> CodexError:
    return InvalidRequest(f"The picture in '{param}' is refused: {why}.", code=code, param=param)
