"""What the tests of the command line share."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from tests.matrix.elsewhere import Elsewhere


@pytest.fixture(scope="module")
def elsewhere() -> Iterator[Elsewhere]:
    loop = Elsewhere()
    yield loop
    loop.end()
