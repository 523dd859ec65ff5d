"""Data URLs, read by their bytes."""

from __future__ import annotations

import base64

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.drawn import picture

from codexapi_engine.errors import InvalidRequest
from codexapi_engine.protocol.images import data_url, data_urls

FORMATS = {kind: picture(kind) for kind in ("png", "jpeg", "webp", "gif")}
WRONG = [
    "image/jpg", "image/pjpeg", "image/x-png", "application/octet-stream", "image/png",
    "image/jpeg", "text/plain", "", "image/jpg;charset=utf-8", "image/jpg; name=a.jpg",
]  # fmt: skip


@pytest.mark.parametrize("kind", FORMATS)
@pytest.mark.parametrize("label", WRONG)
def test_a_picture_is_what_its_bytes_say(kind: str, label: str) -> None:
    right = data_url(f"image/{kind}", FORMATS[kind])
    url = f"data:{label};base64,{base64.b64encode(FORMATS[kind]).decode()}"
    assert data_urls.picture(url, "p") == right
    assert data_urls.picture(right, "p") is right


@pytest.mark.parametrize("kind", FORMATS)
@pytest.mark.parametrize("end", ["\n", "\r\n", " \t"])
def test_base64_may_be_broken_into_lines(kind: str, end: str) -> None:
    text = base64.b64encode(FORMATS[kind]).decode()
    url = f"data:image/{kind};base64," + end.join(text[at : at + 20] for at in range(0, 2000, 20))
    assert data_urls.picture(url, "p") == data_url(f"image/{kind}", FORMATS[kind])


def test_the_urlsafe_alphabet_and_missing_padding_are_read() -> None:
    data = FORMATS["png"] + b"\xff\xfe\xfb\xef"
    text = base64.urlsafe_b64encode(data).decode().rstrip("=")
    assert "_" in text
    assert data_urls.picture(f"DATA:image/png;BASE64,{text}", "p") == data_url("image/png", data)


@pytest.mark.parametrize(
    ("url", "code"),
    [
        ("data:image/png;base64,A", "invalid_base64_image"),
        ("data:image/png;base64,é", "invalid_base64_image"),
        ("data:image/png;base64,iVBORw0KGgo=iVBORw==", "invalid_base64_image"),
        ("data:image/png;base64,iVBORw0KGgo====", "invalid_base64_image"),
        ("data:image/png;base64,", "invalid_image_format"),
        ("data:image/bmp;base64,Qk0eAAAA", "invalid_image_format"),
        ("data:image/png;base64,Qk0eAAAA", "invalid_image_format"),
        ("data:image/png,AAAA", "invalid_image_format"),
        ("data:image/png;base64", "invalid_image_format"),
        ("https://example.org/a.png", "invalid_image_format"),
    ],
)
def test_what_is_no_picture_is_refused_by_name(url: str, code: str) -> None:
    with pytest.raises(InvalidRequest) as caught:
        data_urls.picture(url, "here")
    assert (caught.value.param, caught.value.code) == ("here", code)


@given(st.binary(max_size=200), st.integers(0, 80))
def test_any_bytes_come_back(data: bytes, width: int) -> None:
    text = base64.b64encode(data).decode()
    assert data_urls.plain(text) is text
    assert data_urls.is_base64(text)
    lines = "\n".join(text[at : at + width] for at in range(0, len(text), width)) if width else text
    assert data_urls.decode(lines) == data
    assert data_urls.decode(base64.urlsafe_b64encode(data).decode().rstrip("=")) == data


@given(st.text(max_size=40))
def test_what_counts_as_base64_can_be_decoded(text: str) -> None:
    plain = data_urls.plain(text)
    try:
        base64.b64decode(plain, validate=True)
    except ValueError:
        assert not data_urls.is_base64(plain)
    else:
        assert data_urls.is_base64(plain)
