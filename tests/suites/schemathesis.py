"""Property-based requests made from our own OpenAPI document: `python -m tests.suites.schemathesis`.

Fails on a server error, and on an answer that the document does not describe. `--seconds N` gives
it more or less time than four minutes, `--seed N` other requests.
"""

from __future__ import annotations

import argparse
import subprocess
import sys

from .surroundings import door, python, surroundings

CHECKS = ("not_a_server_error", "content_type_conformance", "response_schema_conformance")


def main() -> int:
    parser = argparse.ArgumentParser()
    parser.add_argument("--seconds", type=int, default=240)
    parser.add_argument("--seed", type=int, default=1)
    asked = parser.parse_args()
    interpreter = python("schemathesis")
    with door() as ours:
        done = subprocess.run(
            [
                interpreter, "-m", "schemathesis.cli", "run", ours.url.replace("/v1", "/openapi.json"),
                "--checks", ",".join(CHECKS), "--max-time", str(asked.seconds),
                "--seed", str(asked.seed), "--generation-database", "none",
                "--continue-on-failure", "--no-color", "--request-timeout", "30",
            ],
            env=surroundings(ours), stdin=subprocess.DEVNULL, check=False,
        )  # fmt: skip
    return done.returncode


if __name__ == "__main__":
    sys.exit(main())
