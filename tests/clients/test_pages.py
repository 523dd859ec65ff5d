"""Follows `docs/install.md` with uv and with pipx, which takes minutes."""

from __future__ import annotations

import sys

import pytest
from tests import install

pytestmark = [pytest.mark.clients, pytest.mark.timeout(1200)]  # the first run installs


@pytest.mark.skipif(sys.platform == "win32", reason="the page's commands are a shell's")
@pytest.mark.parametrize("tool", install.TOOLS)
def test_the_page_on_installing_is_right(tool: str) -> None:
    install.follow(tool)
