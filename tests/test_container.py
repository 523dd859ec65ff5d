"""The image, the compose file and the workflows, without Docker and without a hosted CI."""

from __future__ import annotations

import json
import os
import re
import shlex
import subprocess
import sys
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path

import pytest
import yaml
from tests.downloads import had
from tests.processes import ROOT, Running, environment, running
from tests.suites.surroundings import python

pytestmark = pytest.mark.timeout(400)  # the first run downloads the linters

CONTAINER = ROOT / "docs" / "container"
DOCKERFILE = (CONTAINER / "Dockerfile").read_text().replace("\\\n", "")
LAST_STAGE = DOCKERFILE.rpartition("\nFROM ")[2]
COMPOSE = yaml.safe_load((CONTAINER / "compose.yaml").read_text())
SERVICE = COMPOSE["services"]["codexapi"]
KEY = "/run/secrets/codexapi-key"


def instruction(name: str) -> str:
    """What the last stage says behind this word."""
    found: list[str] = re.findall(rf"^{name} (.+)$", LAST_STAGE, re.MULTILINE)
    return found[-1]


def linter(name: str) -> Path:
    return had("linters", lambda: python("linters")).with_name(name)


def test_the_linter_of_images_finds_nothing() -> None:
    done = subprocess.run(
        [linter("hadolint"), CONTAINER / "Dockerfile"], capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stdout) == (0, "")


def test_the_linter_of_workflows_finds_nothing() -> None:
    command = [
        str(linter("zizmor")),
        "--offline",
        "--no-progress",
        "--quiet",
        str(ROOT / ".github"),
    ]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    """The server that the image starts, on a free port of this machine alone."""
    folder = tmp_path_factory.mktemp("container")
    (folder / "key").touch(0o600)
    (folder / "key").write_text("simulated-key\n")
    command = json.loads(instruction("CMD"))
    places = {"0.0.0.0": "127.0.0.1", KEY: str(folder / "key")}
    words = [places.get(word, word.replace("/state/", f"{folder}/")) for word in command]
    options = {"CODEXAPI_STATE_DIR": str(folder / "codexapi"), "HOME": str(folder)}
    with running(
        *words, "--demo", "--quiet", "--port", "0", ready=r"codexapi ready on (\S+)", env=options
    ) as process:
        yield process


def health(port: str) -> int:
    program, *arguments = json.loads(instruction("HEALTHCHECK").partition(" CMD ")[2])
    assert program == "python3"
    words = [word.replace("18080", port) for word in arguments]
    return subprocess.run(
        [sys.executable, *words], env=environment(), stderr=subprocess.DEVNULL, check=False
    ).returncode


def test_the_check_of_health_tells_a_server_from_none(server: Running) -> None:
    port = server.url.rpartition(":")[2].removesuffix("/v1")
    assert health(port) == 0
    assert health("1") != 0


def test_nothing_runs_as_root_and_nothing_secret_is_in_the_image() -> None:
    assert int(instruction("USER").partition(":")[0]) > 0
    assert not re.search(r"auth\.json|CODEXAPI_API_KEY|ACCESS_TOKEN", DOCKERFILE)
    assert "**/codexapi-key" in (ROOT / ".dockerignore").read_text().splitlines()
    assert KEY in instruction("CMD")


def test_the_service_can_write_to_the_login_and_the_state_alone() -> None:
    assert SERVICE["read_only"] is True
    assert SERVICE["cap_drop"] == ["ALL"]
    places = {volume.partition(":")[2] for volume in SERVICE["volumes"]}
    assert places == {"/home/codexapi/.codex", "/state"}
    assert json.loads(instruction("VOLUME")) == ["/state"]
    state = dict(pair.split("=", 1) for pair in shlex.split(instruction("ENV")))
    assert state["CODEXAPI_STATE_DIR"].startswith("/state/")
    assert f"/run/secrets/{SERVICE['secrets'][0]}" == KEY


def test_the_port_is_open_to_this_machine_alone() -> None:
    assert SERVICE["ports"] == [f"127.0.0.1:18080:{instruction('EXPOSE')}"]


def test_the_page_starts_the_image_as_the_compose_file_does() -> None:
    page = (ROOT / "docs" / "install.md").read_text().replace("\\\n", "")
    (line,) = re.findall(r"^docker run --detach (.+)$", page, re.MULTILINE)
    options, image = shlex.split(line)[:-1], shlex.split(line)[-1]
    pairs = {(a, b) for a, b in pairwise(options) if a.startswith("--")}
    volumes = {b.replace("codexapi-state:", "state:") for a, b in pairs if a == "--volume"}
    secret = f"$PWD/docs/container/{Path(COMPOSE['secrets']['codexapi-key']['file']).name}:{KEY}:ro"
    assert image == SERVICE["image"]
    assert volumes == {*SERVICE["volumes"], secret}
    assert {
        ("--publish", SERVICE["ports"][0]),
        ("--restart", SERVICE["restart"]),
        ("--tmpfs", SERVICE["tmpfs"][0]),
        ("--cap-drop", SERVICE["cap_drop"][0]),
        ("--security-opt", SERVICE["security_opt"][0]),
        ("--stop-timeout", SERVICE["stop_grace_period"].removesuffix("s")),
    } <= pairs
    assert "--read-only" in options
    assert "--user" in options


@pytest.mark.clients
@pytest.mark.timeout(600)
@pytest.mark.skipif(sys.platform == "win32", reason="the image's shell is POSIX's")
def test_the_steps_of_the_image_install_a_command_that_works(tmp_path: Path) -> None:
    (step,) = re.findall(r"^RUN (python3 -m venv .+)$", DOCKERFILE, re.MULTILINE)
    program = tmp_path / "codexapi"
    folder = Path(sys.base_prefix) / "bin"
    env = {**os.environ, "HOME": str(tmp_path), "PATH": f"{folder}:/usr/bin:/bin"}
    lines = step.replace("/opt/codexapi", str(program))
    subprocess.run(["sh", "-ec", lines], cwd=ROOT, env=env, capture_output=True, check=True)
    command = [str(program / "bin" / "codexapi"), "chat", "--demo", "[[say It works.]]"]
    assert subprocess.check_output(command, env=env, text=True) == "It works.\n"
