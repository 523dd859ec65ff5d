"""What all tests share: their order, the settings of hypothesis, signals that are not ignored, and
a collector of garbage that leaves the collected tests alone.
"""

from __future__ import annotations

import gc
import os
import signal
from collections.abc import Generator

import pytest
from hypothesis import HealthCheck, settings

ORDER = (
    "tests/storm/", "tests/test_docs.py", "tests/clients/test_clients.py", "tests/contract/test_codex_cli.py",
    "tests/live/test_real_road.py", "tests/page/", "tests/test_benchmarks.py", "tests/cli/test_doctor.py",
    "tests/engine/test_transport_faults.py", "tests/cli/test_interactive.py",
    "tests/engine/test_login_failures.py", "tests/engine/test_token_endpoint.py", "tests/contract/test_drift.py",
    "tests/http_server/test_stored_rows.py", "tests/cli/test_image.py", "tests/cli/test_drift.py",
    "tests/cli/test_help.py", "tests/cli/test_streams.py", "tests/http_server/test_work.py", "tests/clients/",
    "tests/live/", "tests/contract/", "tests/test_distribution.py", "tests/cli/", "tests/http_server/",
    "tests/mcp_server/", "tests/test_forks.py", "tests/test_workers.py", "tests/matrix/test_matrix.py",
    "tests/matrix/", "tests/engine/protocol/test_deltas.py", "tests/test_", "tests/engine/",
)  # fmt: skip
"""First the files that take longest and those that wait, last those that compute: `tests/workers.py`
takes them from both ends."""

# The gate gives the same verdict twice: no dice, no memory, no clock. `python -m tests --all` tries
# more examples. `--hypothesis-profile=search` throws the dice, and more often.
settings.register_profile(
    "gate",
    derandomize=True,
    database=None,
    deadline=None,
    max_examples=300 if os.environ.get("CODEXAPI_TESTS_ALL") == "1" else 40,
    suppress_health_check=[HealthCheck.too_slow],
)
settings.register_profile(
    "search", settings.get_profile("gate"), derandomize=False, max_examples=2_000
)
# For the other Pythons of `tests/pythons.py`.
settings.register_profile("few", settings.get_profile("gate"), max_examples=10)
settings.load_profile("gate")

# `nohup` and a shell's `&` ignore some signals, and codexapi honours that: so would those of a test.
for _name in ("SIGHUP", "SIGQUIT"):
    if (_number := getattr(signal, _name, None)) is not None:
        signal.signal(_number, signal.SIG_DFL)
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)


_GARBAGE = (50_000, 20, 100)
"""More than Python waits for by default: what a test leaves is little beside what was collected."""


@pytest.hookimpl(wrapper=True)
def pytest_collection() -> Generator[None, object, object]:
    """The collected tests are millions of objects, and live to the end. The collector of garbage
    would walk over them again and again, here and in every test: half of the time of this step."""
    gc.disable()
    try:
        return (yield)
    finally:
        gc.freeze()
        gc.set_threshold(*_GARBAGE)
        gc.enable()


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    items.sort(key=lambda item: _rank(item.nodeid))


def _rank(name: str) -> int:
    return next((rank for rank, place in enumerate(ORDER) if name.startswith(place)), len(ORDER))
