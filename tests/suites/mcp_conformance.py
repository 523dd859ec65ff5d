"""The official conformance suite of MCP, for both revisions of the specification that clients
speak, and the MCP Inspector with its strict look at schemas:
`python -m tests.suites.mcp_conformance`.

The suite calls tools of its own choice; `conformance_tools.py` adds them to our server.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.downloads import node
from tests.processes import ROOT, codexapi, environment

from .outcome import Exclusion, Outcome, report
from .surroundings import node_packages

REVISIONS = ("2025-11-25", "2026-07-28")

EXCLUSIONS = [
    Exclusion(
        "codexapi has tools alone: no resources, prompts or completions, and nothing to subscribe",
        (
            r".* resources-(read-text|read-binary|templates-read|subscribe|unsubscribe)",
            r".* prompts-get-.*",
            r".* completion-complete",
        ),
    ),
    Exclusion(
        "codexapi asks its client for nothing: no sampling, no elicitation, no rounds of input",
        (
            r".* (tools-call-sampling|tools-call-elicitation|elicitation-.*)",
            r"2026-07-28 input-required-result-(basic-.*|request-state|multi.*|non-tool-request)",
            r"2026-07-28 input-required-result-(result-type|tampered-state|capability-check)",
            r"2026-07-28 input-required-result-(missing-input-response|validate-input)",
        ),
    ),
    Exclusion(
        "logging over the protocol is deprecated, and codexapi logs to stderr",
        (r".* (logging-set-level|tools-call-with-logging)",),
    ),
    Exclusion(
        "no answer is kept for a client that comes back: a hang-up ends the call at the backend",
        (r"2025-11-25 server-sse-polling",),
    ),
    Exclusion(
        "the suite wants a tool whose schema is written by hand, and the SDK makes ours from types",
        (r".* json-schema-2020-12",),
    ),
]

CALLS = {
    "generate_text": ["--tool-arg", "prompt=[[say Hello.]]"],
    "generate_image": ["--tool-arg", "prompt=a red fox"],
    "list_models": [],
    "account_status": [],
}


def main() -> int:
    packages = node_packages("mcp-suites") / "node_modules"
    conformance = Outcome()
    with fixtures() as url, tempfile.TemporaryDirectory() as scratch:
        for revision in REVISIONS:
            told = Path(scratch) / revision
            subprocess.run(
                [
                    node(), packages / "@modelcontextprotocol/conformance/dist/index.js", "server",
                    "--url", url, "--suite", "all", "--spec-version", revision, "-o", told,
                ],
                env=alone(scratch), stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, check=False,
            )  # fmt: skip
            for folder in sorted(told.iterdir()):
                conformance.add(f"{revision} {scenario(folder.name)}", problem(folder))
    code = report("MCP conformance", conformance, EXCLUSIONS)
    return inspected(packages) or code


def inspected(packages: Path) -> int:
    """The Inspector's command line, over stdio."""
    outcome = Outcome()
    with tempfile.TemporaryDirectory() as scratch:
        server = codexapi("mcp", "serve", "--demo", "--image-dir", scratch)
        ask: list[str | Path] = [
            node(), packages / "@modelcontextprotocol/inspector/clients/launcher/build/index.js",
            "--cli", *server, "-q",
        ]  # fmt: skip
        for name, arguments in {
            "tools/list --strict": ["--method", "tools/list", "--strict"],
            **{
                f"tools/call {tool}": ["--method", "tools/call", "--tool-name", tool, *given]
                for tool, given in CALLS.items()
            },
        }.items():
            done = subprocess.run(
                [*ask, *arguments], env=alone(scratch), stdin=subprocess.DEVNULL,
                capture_output=True, text=True, check=False,
            )  # fmt: skip
            outcome.add(name, f"{done.returncode}: {done.stderr}" if done.returncode else None)
    return report("MCP Inspector", outcome, [])


@contextmanager
def fixtures() -> Iterator[str]:
    """Our server with the suite's tools, over HTTP."""
    process = subprocess.Popen(
        [sys.executable, "-m", "tests.suites.conformance_tools"], cwd=ROOT, env=environment(),
        text=True, stdin=subprocess.DEVNULL, stderr=subprocess.PIPE,
    )  # fmt: skip
    try:
        assert process.stderr is not None
        line = process.stderr.readline().strip()
        assert line.startswith("codexapi ready on "), line + process.stderr.read()
        # A pipe that nobody reads would hold the server in the middle of a log line.
        threading.Thread(target=process.stderr.read).start()
        yield line.removeprefix("codexapi ready on ")
    finally:
        process.terminate()
        process.wait()


def scenario(folder: str) -> str:
    """`server-tools-list-2026-11-25T16-40-07-633Z` is of `tools-list`."""
    match = re.fullmatch(r"server-(.+)-\d{4}-\d\d-\d\dT[\d-]+Z", folder)
    assert match, folder
    return match[1]


def problem(folder: Path) -> str | None:
    """What went wrong; a warning counts."""
    checks = json.loads((folder / "checks.json").read_text())
    bad = [check for check in checks if check["status"] in ("FAILURE", "WARNING")]
    told = (f"{check['id']}: {check.get('errorMessage') or check['description']}" for check in bad)
    return next(told, None)


def alone(scratch: str) -> dict[str, str]:
    """The environment of a program that is to leave the user's home as it is."""
    path = f"{node().parent}{os.pathsep}{os.environ['PATH']}"
    catalog = str(Path(scratch) / "catalog.json")
    return environment(HOME=scratch, PATH=path, MCP_CATALOG_PATH=catalog)


if __name__ == "__main__":
    sys.exit(main())
