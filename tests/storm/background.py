"""Servers that `serve --detach` leaves behind."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

from tests.storm.processes import Nursery, Process

NOT_FOUND = "will not find this server"
"""What a server says whose place in the state folder could not be written."""


@dataclass
class Background:
    """A server in the background: who started it, itself, and who stopped it."""

    start: Process
    server: Process
    port: int
    stop: Process | None = None
    was_alive: bool = False  # when it was to be stopped
    is_alive: bool = False  # when that was over

    @property
    def is_known(self) -> bool:
        """Whether other commands can find it."""
        return NOT_FOUND not in self.start.complaint()


def found(start: Process, nursery: Nursery) -> Background | None:
    """The server that a `serve --detach` tells of, which has ended well."""
    url = re.fullmatch(r"http://\S+:(\d+)/v1\n", start.answer())
    words = r"process (\d+) goes on in the background.*its log is (\S+)"
    place = re.search(words, start.complaint(), re.DOTALL)
    if url is None or place is None:
        return None
    server = nursery.adopt(f"{start.name}-server", int(place[1]), Path(place[2]))
    return Background(start, server, int(url[1]))
