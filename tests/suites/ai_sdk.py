"""The AI SDK's end-to-end feature test suite, over Chat Completions, Responses and Messages, and
with its package for compatible servers: `python -m tests.suites.ai_sdk --source DIR`.

DIR is a work tree of its repository, of which the suite is an example. What its model is to see in
a picture and read in a file stands in them in words here, since the simulated one has no eyes.
"""

from __future__ import annotations

import argparse
import base64
import shutil
import sys
import tempfile
from pathlib import Path

from .outcome import Exclusion, Outcome, report
from .surroundings import INSIDE, MODEL, door, node_packages, surroundings, vitest

SUITE = "examples/ai-functions/src/e2e/feature-test-suite.ts"
PIXEL = base64.b64decode(
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAIAAACQd1PeAAAADElEQVR4nGP4z8AAAAMBAQDJ/pLvAAAAAElFTkSuQmCC"
)
CAPTION = b"tEXtTitle\0A cat in a comic"
HEAD = 33  # bytes of a PNG before the first chunk that may be any
DATA = {
    "comic-cat.png": PIXEL[:HEAD]
    + (len(CAPTION) - 4).to_bytes(4)
    + CAPTION
    + bytes(4)
    + PIXEL[HEAD:],
    "ai.pdf": b"%PDF-1.4\n1 0 obj<<>>stream\nBT (About embedding models) Tj ET\nendstream\n%%EOF\n",
}

EXCLUSIONS: list[Exclusion] = []


def main() -> int:
    parser = argparse.ArgumentParser()
    parser.add_argument("--source", type=Path, required=True, metavar="DIR")
    source: Path = parser.parse_args().source
    packages = node_packages("ai-sdk")
    with tempfile.TemporaryDirectory() as scratch, door() as ours:
        folder = Path(scratch)
        shutil.copy(source / SUITE, folder)
        shutil.copy(INSIDE / "ai-sdk.test.ts", folder)
        (folder / "data").mkdir()
        for name, content in DATA.items():
            (folder / "data" / name).write_bytes(content)
        (results,) = vitest(folder, packages, surroundings(ours, MODEL=MODEL))
    outcome = Outcome()
    for result in results["assertionResults"]:
        way, _, case = result["fullName"].partition(" Feature Test Suite ")
        case = case.replace(f"Language Model: {MODEL} ", "")
        problems = "; ".join(result["failureMessages"]).partition("\n    at ")[0]
        outcome.add(f"{way}: {case}", None if result["status"] == "passed" else problems)
    return report("AI SDK", outcome, EXCLUSIONS)


if __name__ == "__main__":
    sys.exit(main())
