"""The `Codex` of the commands, which remembers the model list for the Tab key."""

from __future__ import annotations

from contextlib import suppress

import codexapi_engine as engine
from codexapi_engine.protocol.models import Model

from .known_models import remember


class RememberingCodex(engine.Codex):
    async def models(self) -> list[Model]:
        found = await super().models()
        if not self.settings.demo:
            with suppress(OSError):
                remember(self.settings, found)
        return found
