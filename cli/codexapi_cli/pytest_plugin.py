"""The pytest plugin: the fixture `codexapi_backend`. It loads the rest for tests that use it.

Only pytest imports this module; codexapi itself does without pytest.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from .local_backend import LocalBackend


@pytest.fixture
def codexapi_backend(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalBackend]:
    """An OpenAI API on this machine with simulated answers: no login, no quota, no network.

    `.base_url` is for clients; `.script(…)` says what the next requests get; `.replay(path)` plays
    a recording; `.requests` are those that came.
    """
    from .local_backend import running

    state: Path = tmp_path_factory.mktemp("codexapi")
    with running(state) as backend:
        yield backend
