"""Remembers the last model list for the Tab key, which must not wait for a network.

It stores names alone, in the state folder, and also reads the Codex client's own list.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

import codexapi_engine as engine
from codexapi_engine import user_files
from codexapi_engine.files import read_regular
from codexapi_engine.protocol import models
from codexapi_engine.protocol.models import Model
from codexapi_engine.settings import private_folder

_FIELDS = ("slug", "description", "visibility", "priority", "supported_reasoning_levels")
_MAX_BYTES = 16 * 1024 * 1024
"""The Codex client's file holds each model's instructions too."""


def remembered(chosen: engine.Settings) -> Sequence[Model]:
    """The listed models, as far as this machine knows them."""
    demo = Path(engine.__file__).with_name("simulator") / "catalogue.json"
    codex = chosen.codex_home / "models_cache.json"
    for path in (demo,) if chosen.demo else (_path(chosen), codex):
        with suppress(OSError, ValueError, RecursionError):
            data = json.loads(read_regular(path, _MAX_BYTES)[1])
            if isinstance(data, dict) and (found := _listed(models.parse(data))):
                return found
    return ()


def remember(chosen: engine.Settings, found: Sequence[Model]) -> None:
    """Raises OSError."""
    kept = [{name: model.raw[name] for name in _FIELDS if name in model.raw} for model in found]
    data, path = json.dumps({"models": kept}).encode(), _path(chosen)
    with suppress(OSError):
        if read_regular(path, _MAX_BYTES)[1] == data:
            return
    private_folder(path.parent)
    user_files.write(path, data, over=True)


def _path(chosen: engine.Settings) -> Path:
    return chosen.state_dir / "models.json"


def _listed(found: Sequence[Model]) -> Sequence[Model]:
    return [model for model in found if model.listed]
