"""Cookies of the backend's network: which ones go back, and how many."""

from __future__ import annotations

import pytest

from codexapi_engine.http.cookies import MAX_COOKIE_BYTES, MAX_COOKIES, Cookies


def sent_back(*lines: bytes, at: float = 0.0, later: float = 0.0) -> str | None:
    now = at
    cookies = Cookies(lambda: now)
    cookies.take(lines)
    now += later
    return cookies.header()


@pytest.mark.parametrize(
    "line",
    [
        b"__cf_bm=abc.DEF-1; path=/; expires=Fri, 31-Dec-2999 23:59:59 GMT; HttpOnly; Secure",
        b"_cfuvid=x",
        b"__cflb=0H28",
        b"__cfruid=0-1",
        b"cf_clearance=a.b_c",
    ],
)
def test_what_the_network_needs_goes_back(line: bytes) -> None:
    assert sent_back(line) == line.partition(b";")[0].decode()


@pytest.mark.parametrize(
    "line",
    [
        b"session=x",
        b"cf_other=x",
        b"__Secure-next-auth.session-token=x",
        b"__cf_bm=\xc3\xbc",
        b"__cf_bm=\xfc",
        b"__cf_\xfc=x",
        b"__cf_bm=a\tb",
        b"__cf_bm=a\x7f",
        b"__cf_bm=a\r\nX: y",
        b"__cf_bm=" + b"x" * MAX_COOKIE_BYTES,
        b"__cf_" + b"x" * MAX_COOKIE_BYTES + b"=x",
        b"__cf_bm",
        b"",
        b";;;",
        b"=",
    ],
)
def test_what_is_of_no_use_or_fits_no_header_does_not_go_back(line: bytes) -> None:
    assert sent_back(line) is None
    assert sent_back(line, b"_cfuvid=x") == "_cfuvid=x"


def test_a_flood_of_cookies_does_not_grow_the_head() -> None:
    flood = [b"__cf_%d=%b" % (number, b"x" * 400) for number in range(3000)]
    header = sent_back(*flood)
    assert header is not None
    names = [pair.partition("=")[0] for pair in header.split("; ")]
    assert names == [f"__cf_{number}" for number in range(3000 - MAX_COOKIES, 3000)]


def test_a_new_value_takes_the_place_of_the_old() -> None:
    assert sent_back(b"__cf_bm=a", b"_cfuvid=x", b"__cf_bm=b") == "_cfuvid=x; __cf_bm=b"


@pytest.mark.parametrize(
    "attribute", ["max-age=0", "Max-Age=-1", "expires=Thu, 01 Jan 1970 00:00:00 GMT"]
)
def test_a_cookie_that_has_ended_is_forgotten(attribute: str) -> None:
    assert sent_back(b"__cf_bm=a", f"__cf_bm=b; {attribute}".encode(), at=1e9) is None


def test_a_cookie_ends_at_its_time() -> None:
    line = b"__cf_bm=a; max-age=1800; expires=Thu, 01 Jan 1970 00:00:00 GMT"
    assert sent_back(line, later=1799) == "__cf_bm=a"
    assert sent_back(line, later=1800) is None


@pytest.mark.parametrize(
    "attribute",
    ["expires=never", "expires=Mon, 01 Jan 99999999999999999999 00:00:00 GMT", "max-age=" + "9" * 3000,
     "max-age=1e9", "expires=\xfc", "expires", "max-age="],
)  # fmt: skip
def test_an_end_that_cannot_be_read_is_none(attribute: str) -> None:
    assert sent_back(f"__cf_bm=a; {attribute}".encode("latin-1"), at=1e9) == "__cf_bm=a"
