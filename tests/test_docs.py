"""The README and `docs/` say what is true: every block runs, every link leads somewhere."""

from __future__ import annotations

import re
import sys
from pathlib import Path

import pytest
from docs import blocks, record, screens

DOCUMENTS = blocks.documents()


@pytest.mark.timeout(900)  # the README installs from the package index
@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.name)
def test_every_block_runs_and_prints_what_is_shown(document: Path) -> None:
    assert document.read_text() == blocks.fresh(document)


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.name)
def test_every_local_link_leads_to_a_file(document: Path) -> None:
    for target in re.findall(r"\]\(([^)#]+)(?:#L\d+)?\)", document.read_text()):
        if "://" not in target:
            assert (document.parent / target).exists(), target


def test_the_picture_shows_what_the_three_doors_answer() -> None:
    assert record.PICTURE.read_text() == record.recorded()


@pytest.mark.skipif(sys.platform == "win32", reason="opens a terminal")
@pytest.mark.parametrize("name", screens.SCENES)
def test_a_screen_shows_what_a_terminal_would_show_today(name: str) -> None:
    drawn = (screens.FOLDER / f"{name}.svg").read_text()
    again = screens.drawing(name, screens.captured(screens.SCENES[name]))
    assert screens.said(drawn) == screens.said(again)


def test_the_first_screen_has_all_that_a_stranger_needs() -> None:
    text = (blocks.ROOT / "README.md").read_text()
    screen = "\n".join(text.splitlines()[:40])
    assert "docs/three-doors.svg" in screen
    assert screen.count("```sh") == 2
    assert 'chat --demo "Say hello"' in screen
    assert "python -m tests" in screen
    assert "not affiliated with or endorsed by OpenAI" in screen


def test_decisions_are_numbered_and_have_a_day_and_a_file() -> None:
    _, *entries = (blocks.ROOT / "docs" / "decisions.md").read_text().split("\n## ")
    for number, entry in enumerate(entries, 1):
        assert entry.startswith(f"{number}. ")
        assert re.search(r"\n\n\d{4}-\d\d-\d\d,\s\[`[^`]+`\]\(\.\./[^)]+\)\. ", entry), entry


def test_the_spine_of_the_program_is_short() -> None:
    """What `ARCHITECTURE.md` links to: few files, and each function small."""
    text = (blocks.ROOT / "docs" / "ARCHITECTURE.md").read_text()
    links = re.findall(r"\]\(\.\./([^)#]+)#L(\d+)\)", text)
    assert len({path for path, _ in links}) <= 6
    assert sum(_length(blocks.ROOT / path, int(line)) for path, line in links) <= 250


def _length(path: Path, line: int) -> int:
    """The lines of the definition that begins at a line."""
    lines = path.read_text().splitlines()
    indent = len(lines[line - 1]) - len(lines[line - 1].lstrip())
    count = 1
    for text in lines[line:]:
        if (
            text.strip()
            and len(text) - len(text.lstrip()) <= indent
            and text.strip()[0] not in ")]}"
        ):
            break
        count += 1
    return count
