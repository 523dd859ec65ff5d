"""Parses data URLs, and takes the media type from the bytes.

Clients write `image/jpg`, `image/x-png` or `application/octet-stream`, name the wrong format,
break base64 into lines, use its URL-safe alphabet and omit its padding. The backend is reported to
refuse a wrong media type.
"""

from __future__ import annotations

import binascii

from ...errors import InvalidRequest
from .header import format_of

_LONGEST_HEAD = 256
_ALPHABET = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"
_SPACES = (" ", "\t", "\r", "\n")
_SIGNATURE = 32
"""Characters of base64 that contain the format: of the 24 bytes, a WebP's takes 12."""


def split(url: str) -> tuple[str, str] | None:
    """The media type (lower case, perhaps empty) and the base64 of a data URL; None for what is
    no data URL, or in another coding."""
    comma = url.find(",", 0, _LONGEST_HEAD)
    if comma < 0 or url[:5].lower() != "data:":
        return None
    kind, *parameters = (word.strip().lower() for word in url[5:comma].split(";"))
    return (kind, url[comma + 1 :]) if parameters[-1:] == ["base64"] else None


def plain(text: str) -> str:
    """Base64 in one line, of the standard alphabet, with its padding."""
    if any(space in text for space in _SPACES):
        text = "".join(text.split())
    if "-" in text or "_" in text:
        text = text.replace("-", "+").replace("_", "/")
    return text + "=" * (-len(text) % 4) if len(text) % 4 else text


def decode(text: str) -> bytes:
    """The bytes of base64, however it is written. Raises ValueError."""
    return binascii.a2b_base64(plain(text), strict_mode=True)


def is_base64(text: str) -> bool:
    """Whether `plain` gave base64. Decoding 20 MB would take four times as long."""
    if not text.isascii() or len(text) % 4:
        return False
    rest = text.encode().translate(None, _ALPHABET)
    return rest in (b"", b"=", b"==") and text.endswith(rest.decode())


def picture(url: str, param: str) -> str:
    """The data URL of a picture as the backend takes it: the same, if it is right.

    Raises InvalidRequest, naming `param`, for what is no picture that a model can look at.
    """
    parts = split(url)
    if parts is None:
        raise _no_picture(param)
    text = plain(parts[1])
    if not is_base64(text):
        raise InvalidRequest("Invalid base64 data.", code="invalid_base64_image", param=param)
    kind = format_of(binascii.a2b_base64(text[:_SIGNATURE]))
    if kind is None:
        raise _no_picture(param)
    head = f"data:image/{kind};base64,"
    return url if text is parts[1] and url.startswith(head) else head + text


def _no_picture(param: str) -> InvalidRequest:
    return InvalidRequest(
        "Invalid image data URL: expected a PNG, JPEG, WebP or GIF, in base64.",
        code="invalid_image_format",
        param=param,
    )
