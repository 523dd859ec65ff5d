"""Chooses the way to the backend: through a recorder for `--record`, which is loaded for that alone."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from ..http.client import connect
from ..settings import Settings

if TYPE_CHECKING:
    from ..http.messages import HttpTransport
    from .recorder import Recorder


class RecordingSwitch:
    """The recording that the settings ask for, or none."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._recorder: Recorder | None = None
        if settings.record is not None:
            from .recorder import Recorder

            self._recorder = Recorder(settings.record, content=settings.record_content)

    def way(self, http: HttpTransport | None, url: str) -> HttpTransport:
        """The way to a host, through the recorder if there is one. `http` stands for the network."""
        http = http or connect(self._settings, url)
        if self._recorder is None:
            return http
        from ..http.recording import RecordingTransport

        return RecordingTransport(http, self._recorder)

    async def aclose(self) -> None:
        if self._recorder is not None:
            await asyncio.to_thread(self._recorder.close)
