"""Validates pictures and converts them to the format and size of the request.

The format is read from the data, never from a name or a header. Pillow does the work, and is
loaded only where pixels are needed.
"""

from __future__ import annotations

import io
import struct
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from typing import TYPE_CHECKING, NamedTuple
from zlib import error as zlib_error

from ..bounds import MAX_FILE_BYTES, MAX_INPUTS, MAX_PIXELS
from ..errors import InvalidRequest, UnexpectedAnswer
from ..protocol import images
from ..protocol.images import FORMATS, Picture

if TYPE_CHECKING:
    from PIL import Image as pillow


_PHOTO_QUALITY = 95
_READS = ("PNG", "JPEG", "WEBP", "GIF")
_UNREADABLE = (OSError, SyntaxError, ValueError, EOFError, struct.error, zlib_error)
"""What Pillow raises over broken files."""


class Input(NamedTuple):
    """A picture that came in, and the field or option that it came by."""

    param: str
    data: bytes


def to_edit(inputs: Sequence[Input], mask: Input | None) -> tuple[tuple[str, ...], str | None]:
    """The pictures of an edit, and its mask, as data URLs. Raises InvalidRequest, naming the
    field."""
    if len(inputs) > MAX_INPUTS:
        param = inputs[MAX_INPUTS].param
        raise InvalidRequest(
            f"At most {MAX_INPUTS} pictures can be edited at once.",
            code="invalid_value",
            param=param,
        )
    seen = [_still(looked_at(source)) for source in inputs]
    if mask is None:
        return _data_urls(seen), None
    # A mask is drawn over the picture as people see it.
    seen = [_upright(picture) for picture in seen]
    over = _upright(looked_at(mask))
    if over.format != "png" or not over.alpha:
        raise _invalid_picture(
            mask, "a mask is a PNG with an alpha channel, clear where it may change"
        )
    if seen and over.size != seen[0].size:
        raise _invalid_picture(mask, f"a mask has the size of the first picture, {seen[0].size}")
    return _data_urls(seen), images.data_url(over.media_type, over.data)


def _data_urls(seen: Sequence[Picture]) -> tuple[str, ...]:
    return tuple(images.data_url(picture.media_type, picture.data) for picture in seen)


def _still(picture: Picture) -> Picture:
    """The first frame of a GIF, as PNG: the backend's endpoint was measured to refuse GIFs
    (`invalid_image_file`)."""
    if picture.format != "gif":
        return picture
    with _open_image(picture.data) as image:
        return _encoded(image, "png", None, None)


def _upright(picture: Picture) -> Picture:
    """The pixels turned as the photo's EXIF block says, where it says so."""
    with _open_image(picture.data) as image:
        image.load()  # a PNG may have it behind its pixels
        # Not by `ImageOps.exif_transpose`: it warns of what else is broken in there.
        exif = image.info.get("exif")
        turn = images.orientation(exif) if isinstance(exif, bytes) else 1
        if turn == 1:
            return picture
        upright = image.transpose(_turn(turn))
        upright.info.pop("exif", None)
        return _encoded(upright, picture.format, _PHOTO_QUALITY, None)


def _turn(orientation: int) -> pillow.Transpose:
    """What undoes an orientation of 2 to 8."""
    from PIL.Image import Transpose

    return (
        Transpose.FLIP_LEFT_RIGHT,
        Transpose.ROTATE_180,
        Transpose.FLIP_TOP_BOTTOM,
        Transpose.TRANSPOSE,
        Transpose.ROTATE_270,
        Transpose.TRANSVERSE,
        Transpose.ROTATE_90,
    )[orientation - 2]


def looked_at(source: Input) -> Picture:
    """The format of an input. Raises InvalidRequest for a truncated picture, or too large a one."""
    data = source.data
    if len(data) > MAX_FILE_BYTES:
        raise _invalid_picture(source, f"it has over {MAX_FILE_BYTES >> 20} MB", "image_too_large")
    seen = images.header(data)
    if seen is not None and seen.width * seen.height > MAX_PIXELS:
        raise _invalid_picture(
            source, f"{seen.width}x{seen.height} pixels are too many", "image_too_large"
        )
    try:
        with _open_image(data) as image:
            if image.width * image.height > MAX_PIXELS:  # the header may lie
                raise ValueError("too many pixels")
            image.load()
            return _described(data, image)
    except _UNREADABLE:
        raise _invalid_picture(source, "it is not a whole PNG, JPEG, WebP or GIF") from None


def finished(
    data: bytes,
    *,
    format: str | None = None,  # noqa: A002  (the wire's word)
    compression: int | None = None,
    exact: tuple[int, int] | None = None,
    revised_prompt: str | None = None,
) -> Picture:
    """The backend's picture as the request wants it: in this format, quality (0 to 100, of a lossy
    format) and size. The bytes stay as they came where nothing has to change.

    Raises UnexpectedAnswer if they are no picture.
    """
    seen = images.header(data)
    if seen is None:
        raise UnexpectedAnswer("the backend sent something that is no picture")
    picture = Picture(data, seen.format, seen.width, seen.height, seen.alpha, revised_prompt)
    wanted = format or picture.format
    if wanted == picture.format and compression is None and exact in (None, _size_of(picture)):
        return picture
    try:
        with _open_image(data) as image:
            made = _encoded(image, wanted, compression, exact)
    except _UNREADABLE as error:
        raise UnexpectedAnswer("the backend sent a picture that cannot be read") from error
    return replace(made, revised_prompt=revised_prompt)


def preview(picture: Picture, *, max_bytes: int) -> Picture:
    """A smaller picture of at most so many bytes: for those who carry pictures in messages."""
    edge = max(picture.width, picture.height)
    while len(picture.data) > max_bytes and edge > 32:
        edge = min(edge * 3 // 4, 1024)
        with _open_image(picture.data) as image:
            scale = edge / max(image.width, image.height)
            size = (max(1, round(image.width * scale)), max(1, round(image.height * scale)))
            picture = _encoded(image, "webp" if picture.alpha else "jpeg", 80, size)
    return picture


class PaletteImage(NamedTuple):
    """Pixels as numbers of a palette's colours; `CLEAR` is none."""

    width: int
    height: int
    palette: Sequence[tuple[int, int, int]]
    pixels: bytes


CLEAR = 255


def reduce_colours(picture: Picture, size: tuple[int, int]) -> PaletteImage:
    """The picture in at most 255 colours, and no larger than this."""
    from PIL.Image import Quantize

    with _open_image(picture.data) as image:
        small = image.convert("RGBA")
    small.thumbnail(size)
    opaque = small.getchannel("A").point(lambda alpha: 255 if alpha > 127 else 0)
    reduced = _on_white(small).quantize(CLEAR, Quantize.MEDIANCUT)
    colours = reduced.getpalette() or []
    reduced.paste(CLEAR, mask=opaque.point(lambda alpha: 255 - alpha))
    palette = [(r, g, b) for r, g, b in zip(*[iter(colours)] * 3, strict=True)]
    return PaletteImage(reduced.width, reduced.height, palette[:CLEAR], reduced.tobytes())


def _encoded(
    image: pillow.Image, wanted: str, compression: int | None, exact: tuple[int, int] | None
) -> Picture:
    kind = wanted if wanted in FORMATS else "png"
    if exact is not None and exact != image.size:
        image = _fitted(image, exact)
    if kind == "jpeg" and image.mode not in ("RGB", "L"):
        image = _on_white(image)
    quality = {"quality": compression if compression is not None else 90} if kind != "png" else {}
    out = io.BytesIO()
    image.save(out, kind, icc_profile=image.info.get("icc_profile"), **quality)
    data = out.getvalue()
    with _open_image(data) as made:
        return _described(data, made)


def _fitted(image: pillow.Image, size: tuple[int, int]) -> pillow.Image:
    """Exactly this size: scaled to cover it, and cut at the edges that stand over."""
    from PIL import Image, ImageOps

    if image.mode not in ("RGB", "RGBA", "L"):
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
def _open_image(data: bytes) -> Iterator[pillow.Image]:
    from PIL import Image  # only where there are pixels

    try:
        opened = Image.open(io.BytesIO(data), formats=_READS)
    except (Image.DecompressionBombError, Image.DecompressionBombWarning) as error:
        raise ValueError("too many pixels") from error
    with opened as image:
        yield image


def _described(data: bytes, image: pillow.Image) -> Picture:
    alpha = image.mode in ("RGBA", "LA", "PA") or "transparency" in image.info
    kind = str(image.format).lower()
    # Phones put a second picture behind a photo; Pillow has a name of its own for such a JPEG.
    return Picture(data, "jpeg" if kind == "mpo" else kind, image.width, image.height, alpha)


def _size_of(picture: Picture) -> tuple[int, int]:
    return picture.width, picture.height


def _invalid_picture(source: Input, why: str, code: str = "invalid_image") -> InvalidRequest:
    param = source.param
    return InvalidRequest(f"The picture in '{param}' is refused: {why}.", code=code, param=param)
