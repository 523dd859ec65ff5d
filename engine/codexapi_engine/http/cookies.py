"""Stores the cookies of the backend's content delivery network, and no others.

Clients that send them back report fewer challenges; a login is never in them. They come from
outside, so each is bounded, and a value that no request header can carry is dropped.
"""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Iterable

MAX_COOKIES = 12
MAX_COOKIE_BYTES = 4096
"""Of one cookie, with its attributes: what browsers take."""

_PAIR = re.compile(rb"(_{1,2}cf[!#-+\--:<-Z^-~]*|cf_clearance)=([!#-+\--:<-\[\]-~]*)")
_AGE = re.compile(rb"-?[0-9]{1,10}")


class Cookies:
    """The cookies of one host. `clock` returns epoch seconds."""

    def __init__(self, clock: Callable[[], float] = time.time) -> None:
        self._clock = clock
        self._pairs: dict[bytes, tuple[bytes, float | None]] = {}  # the value, and until when

    def take(self, lines: Iterable[bytes]) -> None:
        """The values of `Set-Cookie` lines. The newest cookies stay."""
        for line in lines:
            if len(line) > MAX_COOKIE_BYTES:
                continue
            pair, *attributes = [part.strip(b" \t") for part in line.split(b";")]
            if (match := _PAIR.fullmatch(pair)) is None:
                continue
            self._pairs.pop(match[1], None)
            ends = self._expiry(attributes)
            if ends is None or ends > self._clock():
                self._pairs[match[1]] = match[2], ends
        while len(self._pairs) > MAX_COOKIES:
            del self._pairs[next(iter(self._pairs))]

    def header(self) -> str | None:
        """The value of a request's `Cookie`; None if there is nothing to send."""
        now = self._clock()
        alive = [
            name + b"=" + value
            for name, (value, ends) in self._pairs.items()
            if ends is None or ends > now
        ]
        return b"; ".join(alive).decode("ascii") or None

    def _expiry(self, attributes: list[bytes]) -> float | None:
        """When a cookie ends, in epoch seconds; None where it does not say."""
        values: dict[bytes, bytes] = {}
        for attribute in attributes:
            name, _, value = attribute.partition(b"=")
            values[name.strip(b" \t").lower()] = value.strip(b" \t")
        if _AGE.fullmatch(values.get(b"max-age", b"")):  # it counts before `expires`
            return self._clock() + int(values[b"max-age"])
        if b"expires" not in values:
            return None
        from email.utils import parsedate_to_datetime  # for old cookies alone

        try:
            return parsedate_to_datetime(values[b"expires"].decode("ascii")).timestamp()
        except (ValueError, OverflowError, OSError, TypeError, IndexError):
            return None
