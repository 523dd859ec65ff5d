"""`codexapi drift` with the official clients: what differs is what is expected, and no more."""

from __future__ import annotations

import json
import subprocess
from fnmatch import fnmatchcase
from typing import Any

import pytest
from tests import forks
from tests.codex_cli import PINNED, official_client
from tests.loopback import loopback_only
from tests.processes import codexapi, environment

from codexapi_cli.drift.differences import Concern, Difference, DifferenceKind, expectations

pytestmark = pytest.mark.timeout(1500)  # the first run downloads 160 MB for each client


def report(version: str) -> dict[str, Any]:
    program = official_client(version)
    with loopback_only():
        done = forks.run(
            codexapi("drift", "--json", "--timeout", "100", "--codex", str(program)), env=environment(),
            stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=500, check=False,
        )  # fmt: skip
    assert done.returncode in (0, 1), done.stderr
    return dict(json.loads(done.stdout))


def test_each_client_differs_as_expected_and_each_expectation_is_needed() -> None:
    """One run of each client."""
    unneeded = {row: set(row.names) for row in expectations()}
    for version in PINNED:
        differences = [
            Difference(
                **{
                    **one,
                    "change": DifferenceKind(one["change"]),
                    "concern": Concern(one["concern"]),
                }
            )
            for one in report(version)["differences"]
        ]
        assert not [one for one in differences if one.concern is Concern.LOOK], version
        for row, names in unneeded.items():
            covered = [one.name for one in differences if row.covers(one, version)]
            names -= {each for each in names if any(fnmatchcase(one, each) for one in covered)}
    assert not [(row.request, names) for row, names in unneeded.items() if names]
