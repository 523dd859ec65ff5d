"""What the first bytes of a picture tell, beside what Pillow makes of the whole."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image
from tests.drawn import opened, picture

from codexapi_engine.protocol.images import Header, header, orientation

KINDS = [
    ("png", "RGB", {}),
    ("png", "RGBA", {}),
    ("png", "LA", {}),
    ("png", "L", {}),
    ("png", "P", {}),
    ("png", "P", {"transparency": 0}),
    ("jpeg", "RGB", {}),
    ("jpeg", "L", {"progressive": True}),
    ("jpeg", "RGB", {"comment": b"a long comment" * 2000}),
    ("webp", "RGB", {}),
    ("webp", "RGBA", {}),
    ("webp", "RGB", {"lossless": True}),
    ("webp", "RGBA", {"lossless": True}),
    ("webp", "RGB", {"exif": b"Exif\0\0MM\0*\0\0\0\x08\0\0"}),
    ("gif", "P", {}),
    ("gif", "P", {"transparency": 0}),
]


@pytest.mark.parametrize("size", [(6, 4), (1, 1), (300, 517)], ids=str)
@pytest.mark.parametrize(("kind", "mode", "options"), KINDS)
def test_format_and_size_are_what_pillow_sees(
    kind: str, mode: str, options: dict[str, object], size: tuple[int, int]
) -> None:
    seen = header(picture(kind, size, mode, **options))
    assert seen is not None
    assert (seen.format, seen.width, seen.height) == (kind, *size)


@pytest.mark.parametrize(
    ("kind", "mode", "options", "alpha"),
    [
        ("png", "RGB", {}, False),
        ("png", "RGBA", {}, True),
        ("png", "LA", {}, True),
        ("png", "P", {}, False),
        ("png", "P", {"transparency": 0}, True),
        ("jpeg", "RGB", {}, False),
        ("webp", "RGB", {}, False),
        ("gif", "P", {}, False),
        ("gif", "P", {"transparency": 0}, True),
    ],
)
def test_alpha_is_where_a_picture_can_be_clear(
    kind: str, mode: str, options: dict[str, object], alpha: bool
) -> None:
    seen = header(picture(kind, (6, 4), mode, **options))
    assert seen is not None
    assert seen.alpha is alpha


@pytest.mark.parametrize("lossless", [False, True])
def test_a_clear_webp_has_alpha(lossless: bool) -> None:
    data = picture("webp", (6, 4), "RGBA", lossless=lossless)
    assert opened(data).mode == "RGBA"
    assert header(data) == Header("webp", 6, 4, True)


@pytest.mark.parametrize("data", [b"", b"GIF8", b"RIFF", b"hello", b"<svg/>", b"\xff\xd8\xff"])
def test_what_is_no_picture_has_no_header(data: bytes) -> None:
    assert header(data) is None


@given(st.sampled_from([*(picture(kind) for kind in ("png", "jpeg", "webp", "gif"))]), st.data())
def test_a_cut_or_broken_header_never_raises(data: bytes, dice: st.DataObject) -> None:
    cut = dice.draw(st.integers(0, len(data)))
    at = dice.draw(st.integers(0, len(data) - 1))
    byte = dice.draw(st.integers(0, 255))
    header(data[:cut])
    header(data[:at] + bytes([byte]) + data[at + 1 :])


@given(st.integers(0, 65535), st.sampled_from(["<", ">"]), st.booleans())
def test_an_orientation_is_what_exif_says(value: int, endian: str, marked: bool) -> None:
    exif = Image.Exif()
    exif.endian = endian
    exif[0x010F] = "Maker"
    exif[0x0112] = value
    block = exif.tobytes()
    seen = orientation(block if marked else block.removeprefix(b"Exif\0\0"))
    assert seen == (value if 1 <= value <= 8 else 1)


@given(st.binary(max_size=60), st.sampled_from([b"", b"II*\0", b"MM\0*", b"Exif\0\0II*\0"]))
def test_any_bytes_have_an_orientation(data: bytes, start: bytes) -> None:
    assert 1 <= orientation(start + data) <= 8
