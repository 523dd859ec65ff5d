"""What an attachment is: by its bytes alone."""

from __future__ import annotations

import pytest
from tests.drawn import picture

from codexapi_engine.attachments import is_on_the_web, media_type, text


@pytest.mark.parametrize("form", ["png", "jpeg", "webp", "gif"])
def test_a_picture_is_told_by_its_bytes(form: str) -> None:
    data = picture(form)
    assert media_type(data) == f"image/{form}"
    assert text(data) is None


def test_a_pdf_is_one_and_all_else_is_not_known() -> None:
    assert media_type(b"%PDF-1.7") == "application/pdf"
    assert media_type(b"GIF8") is media_type(b"") is media_type(b" %PDF-1.7") is None


@pytest.mark.parametrize(
    ("data", "wanted"),
    [
        ("grün\n".encode(), "grün\n"),
        (b"\xef\xbb\xbfmarked", "marked"),
        (b"", ""),
        (b"\xff", None),
        (b"a\0b", None),
    ],
)
def test_a_text_is_utf_8_without_a_null(data: bytes, wanted: str | None) -> None:
    assert text(data) == wanted


@pytest.mark.parametrize(
    ("address", "wanted"),
    [
        ("https://example.com/fox.png", True),
        ("http://[::1]:80/fox.png", True),
        ("http://[::1", False),
        ("https://", False),
        ("ftp://example.com/fox.png", False),
        ("file:///fox.png", False),
    ],
)
def test_the_web_is_http_with_a_host(address: str, wanted: bool) -> None:
    assert is_on_the_web(address) is wanted
