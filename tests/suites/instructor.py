"""instructor's tests against a live API, core, OpenAI and Anthropic:
`python -m tests.suites.instructor`."""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

from .outcome import Exclusion, from_junit, report
from .surroundings import INSIDE, aliases, door, pytest, python, source, surroundings

VERSION = "1.17.0"
NAMES = ("gpt-4.1-mini", "gpt-4.1-nano")
FOLDERS = [f"tests/llm/test_{name}" for name in ("core_providers", "openai", "anthropic")]

EXCLUSIONS = [
    Exclusion(
        "the Codex backend has no embeddings", (r"test_openai\.test_attr\.test_has_embed.*",)
    ),
    Exclusion(
        "the Codex backend takes no audio",
        (r"test_openai\.test_multimodal\.test_multimodal_audio_description.*",),
    ),
    Exclusion(
        "the Codex backend has no moderations",
        (r"test_openai\.test_validators\.test_patch_completes_successfully",),
    ),
    Exclusion(
        "the simulated backend is no model: it does not judge what an answer says",
        (r"test_openai\.test_validators\.test_runmodel_validator_.*",),
    ),
    Exclusion(
        "the simulated backend is no model: it does not read an invoice that is drawn",
        (r"test_(openai|anthropic)\.test_multimodal\.test_multimodal_pdf_file.*",),
    ),
    Exclusion(
        "the simulated backend is no model: it compares no numbers",
        (r"test_anthropic\.test_reasoning\.test_reasoning",),
    ),
    Exclusion(
        "the simulated backend's cache knows no first turn",
        (r"test_anthropic\.test_system\.test_creation_with_system_cache.*",),
    ),
]


def main() -> int:
    interpreter, folder = python("instructor"), source("instructor", VERSION)
    with tempfile.TemporaryDirectory() as scratch, door(*aliases(*NAMES)) as ours:
        junit = Path(scratch) / "junit.xml"
        env = surroundings(ours, PYTHONPATH=str(INSIDE))
        plugin = ["-p", "instructor_offline"]
        pytest(interpreter, folder, *plugin, *FOLDERS, *sys.argv[1:], env=env, junit=junit)
        named = {r"^tests\.llm\.": ""}
        return report(f"instructor {VERSION}", from_junit(junit, named), EXCLUSIONS)


if __name__ == "__main__":
    sys.exit(main())
