"""Other programs are kept out of the process that holds the login: Linux alone."""

from __future__ import annotations

import subprocess
import sys

import pytest
from tests.processes import environment

HARDENED = """
import ctypes, os, resource
from codexapi_engine.hardening import harden
harden()
assert resource.getrlimit(resource.RLIMIT_CORE) == (0, 0)
assert ctypes.CDLL(None).prctl(3, 0, 0, 0, 0) == 0, "PR_GET_DUMPABLE"
assert os.stat("/proc/self/environ").st_uid == 0, "others of this user cannot open it"
os.listdir("/proc/self/fd")  # and it can look at itself
"""


@pytest.mark.skipif(sys.platform != "linux", reason="Linux alone has it")
def test_hardened_process_leaves_no_core_and_lets_nobody_look() -> None:
    subprocess.run([sys.executable, "-c", HARDENED], env=environment(), check=True)


ELSEWHERE = """
import ctypes, sys
from codexapi_engine.hardening import harden
before = ctypes.CDLL(None).prctl(3, 0, 0, 0, 0)
harden(sys.argv[1])
assert ctypes.CDLL(None).prctl(3, 0, 0, 0, 0) == before == 1, "PR_GET_DUMPABLE"
"""


@pytest.mark.skipif(sys.platform != "linux", reason="only there it would be seen")
@pytest.mark.parametrize("system", ["darwin", "win32"])
def test_elsewhere_nothing_is_done(system: str) -> None:
    subprocess.run([sys.executable, "-c", ELSEWHERE, system], env=environment(), check=True)
