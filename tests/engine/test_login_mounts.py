"""The login where containers put it: a folder that is read-only, a file that is mounted by itself.

Real mounts, in a mount namespace of each test's own.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from pathlib import Path

import pytest
from tests import forks
from tests.logins import DAY, NOW, auth_json

from codexapi_engine.bounds import REFRESH_MARGIN

ROOT = Path(__file__).parents[2]

RENEWS = """
import asyncio, json, sys
from pathlib import Path
from tests.engine.login_worlds import World
from tests.logins import NOW
from codexapi_engine.login.file_store import CodexFile
from codexapi_engine.errors import CodexError

async def main():
    there = World(CodexFile(Path(sys.argv[1]), state_dir=Path(sys.argv[2])))
    there.now += float(sys.argv[3])
    try:
        outcome = await there.ask()
    except CodexError as error:
        outcome = error.code
    print(json.dumps([outcome, len(there.redeemed)]))

asyncio.run(main())
"""


def can_mount() -> bool:
    probe = ["unshare", "-m", "true"]
    return (
        bool(shutil.which("unshare"))
        and not subprocess.run(probe, capture_output=True, check=False).returncode
    )


pytestmark = pytest.mark.skipif(not can_mount(), reason="only root may mount")


class Place:
    """A login on the host, and the folder in which a container sees it."""

    def __init__(self, folder: Path) -> None:
        self.host, self.seen, self.state = folder / "host", folder / "seen", folder / "state"
        for made in (self.host, self.seen, self.state):
            made.mkdir(mode=0o700)
        self.file = self.host / "auth.json"

    def renew(self, *mounts: str, later: float = 0) -> tuple[str, int]:
        """What one request after these mounts comes to, and how often a token was sent."""
        script = "; ".join(["set -e", *mounts, 'exec "$@"'])
        python = forks.for_shells(str(self.seen), str(self.state), str(later), code=RENEWS)
        done = subprocess.run(
            ["unshare", "-m", "sh", "-c", script, "sh", *python],
            capture_output=True,
            text=True,
            cwd=ROOT,
            env={**os.environ, "PYTHONPATH": os.pathsep.join(["engine", "."])},
            check=False,
        )
        assert done.returncode == 0, done.stderr
        outcome, sent = json.loads(done.stdout)
        return outcome, sent

    def bind(self, what: str, *, read_only: bool = False) -> str:
        source, target = self.host / what, self.seen / what
        bound = f"mount --bind {source} {target}"
        return f"{bound}; mount -o remount,bind,ro {target}" if read_only else bound


@pytest.fixture
def place(tmp_path: Path) -> Place:
    made = Place(tmp_path)
    made.file.write_bytes(auth_json(exp=NOW + REFRESH_MARGIN / 2))
    made.file.chmod(0o600)
    (made.seen / "auth.json").touch()
    return made


@pytest.mark.parametrize("what", [".", "auth.json"])
def test_a_login_that_cannot_be_saved_is_used_while_it_lives_and_never_spent(
    place: Place, what: str
) -> None:
    mounts = [place.bind(what, read_only=True)]
    if what == "auth.json":  # nor does anything else take it
        mounts.append(f"mount --bind {place.state} {place.state}")
        mounts.append(f"mount -o remount,bind,ro {place.state}")
    before = place.file.read_bytes()
    outcome, sent = place.renew(*mounts)
    assert (outcome.count("."), sent) == (2, 0), "the token that is still good"
    assert place.renew(*mounts, later=DAY) == ("login_not_writable", 0)
    assert place.file.read_bytes() == before
    outcome, sent = place.renew(place.bind("."))
    assert (outcome.count("."), sent) == (2, 1), "nothing was spent"


def test_a_file_that_is_mounted_by_itself_is_written_in_its_place(place: Place) -> None:
    inode = place.file.stat().st_ino
    outcome, sent = place.renew(place.bind("auth.json"), later=DAY)
    assert (outcome.count("."), sent) == (2, 1)
    assert place.file.stat().st_ino == inode
    assert outcome in place.file.read_text()
    assert place.renew(place.bind("auth.json"), later=DAY) == (outcome, 0)
    assert place.renew(place.bind("."), later=DAY) == (outcome, 0)


def test_a_file_that_can_be_written_in_a_folder_that_cannot(place: Place) -> None:
    """What is new waits in our own folder until it is proved to be in its place."""
    mounts = [
        place.bind(".", read_only=True),
        f"mount --bind {place.file} {place.seen / 'auth.json'}",
    ]
    outcome, sent = place.renew(*mounts, later=DAY)
    assert (outcome.count("."), sent) == (2, 1)
    assert outcome in place.file.read_text()
    left = [path for path in place.state.rglob("*") if path.is_file()]
    assert [(path.name, path.stat().st_size) for path in left] == [("auth.lock", 0)]
