"""Records refresh tokens that no process of ours may send again.

A refresh token is good for one use, and using it twice ends the login. So each is recorded on disk
before it is sent, and removed when the new pair is saved, or when the token endpoint is known not
to have received it. A record is a hash, from which no token can be derived.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

from ..files import Disk, read_regular
from ..protocol.secret import Secret
from ..settings import private_folder

SENT = "unanswered"
"""The reason of a token that was sent, and whose answer is not known."""

UNREADABLE = "unreadable"
"""The reason of a token whose answer came, and held no pair that can be used."""

_GOOD = "-"
_MAX_BYTES = 64 * 1024
_REWRITE = 4 * 1024
"""Bytes from which on the file is written anew, with its last lines alone."""


def fingerprint(token: Secret | None) -> str:
    """A name for a token from which it cannot be derived."""
    return hashlib.sha256(token.reveal().encode() if token else b"").hexdigest()


class ConsumedTokens:
    """A file of lines, `HASH REASON`, of which the last one of a token holds.

    `places` are tried in their order; what any of them says holds. A line is added in one write,
    so that a kill leaves a complete file. Its caller holds the lock of the login.
    """

    def __init__(self, places: Sequence[Path], disk: Disk) -> None:
        self._places = places
        self._disk = disk

    def mark(self, token: Secret, reason: str) -> None:
        """Raises OSError where it can be written nowhere."""
        failure: OSError | None = None
        for place in self._places:
            try:
                private_folder(place.parent)
                self._shorten(place)
                self._disk.append(place, f"\n{fingerprint(token)} {reason}\n".encode())
                self._disk.sync_folder(place.parent)
                return
            except OSError as error:
                failure = failure or error
        assert failure is not None, "there is at least one place"
        raise failure

    def clear(self, token: Secret) -> None:
        """The token was not used, or its new pair is safe. Where that cannot be written the mark
        stays: then the token is not sent, and that is the safe side."""
        for place in self._places:
            reasons = _read_reasons(place)
            if reasons.pop(fingerprint(token), _GOOD) == _GOOD:
                continue
            with suppress(OSError):
                if any(reason != _GOOD for reason in reasons.values()):
                    self._disk.append(place, f"\n{fingerprint(token)} {_GOOD}\n".encode())
                else:
                    self._disk.unlink(place)

    def reason(self, token: Secret) -> str | None:
        """Why this token is not to be sent; None if it may be."""
        for place in self._places:
            if (reason := _read_reasons(place).get(fingerprint(token), _GOOD)) != _GOOD:
                return reason
        return None

    def _shorten(self, place: Path) -> None:
        """A file of many lines is written anew, beside and in one step."""
        with suppress(OSError):
            if place.stat().st_size < _REWRITE:
                return
            kept = [(whose, why) for whose, why in _read_reasons(place).items() if why != _GOOD][
                -16:
            ]
            beside = place.with_name(place.name + ".new")
            with suppress(OSError):
                self._disk.unlink(beside)
            text = "".join(f"{whose} {why}\n" for whose, why in kept)
            self._disk.create(beside, text.encode())
            self._disk.replace(beside, place)


def _read_reasons(place: Path) -> dict[str, str]:
    """The last reason of each token. A line that is cut off is none."""
    try:
        text = read_regular(place, _MAX_BYTES)[1].decode("ascii", "replace")
    except OSError:
        return {}
    lines = (line.partition(" ") for line in text.splitlines())
    return {whose: why for whose, _, why in lines if len(whose) == 64 and why}
