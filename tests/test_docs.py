"""The README and `docs/` say what is true: every block runs, every link leads somewhere."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from docs import __main__ as pages
from docs import blocks, record, screens
from docs.pages import FOLDER, PAGES
from tests import forks
from tests.downloads import had

from codexapi_engine.protocol.auth_file import CLIENT_ID

DOCUMENTS = blocks.documents()
IN_JAVASCRIPT = [
    document
    for document in DOCUMENTS
    if any(block.language in blocks.JAVASCRIPT for block in blocks.blocks(document))
]


def _name(document: Path) -> str:
    return str(document.relative_to(blocks.ROOT))


@pytest.mark.timeout(900)  # the README installs from the package index
@pytest.mark.parametrize("document", DOCUMENTS, ids=_name)
def test_every_block_runs_and_prints_what_is_shown(document: Path) -> None:
    assert document.read_text() == blocks.fresh(document)


@pytest.mark.timeout(400)  # the first run installs the official client
@pytest.mark.parametrize("document", IN_JAVASCRIPT, ids=_name)
def test_every_block_of_javascript_runs_and_prints_what_is_shown(document: Path) -> None:
    assert document.read_text() == had("node", lambda: blocks.fresh(document, blocks.JAVASCRIPT))


@pytest.mark.parametrize("document", DOCUMENTS, ids=_name)
def test_every_local_link_leads_to_a_file_and_a_heading(document: Path) -> None:
    for target, line, anchor in LINK.findall(_without_code(document)):
        place = (document.parent / target).resolve() if target else document
        assert place.exists(), target
        assert not anchor or anchor in _anchors(place), f"{target}#{anchor}"
        assert not line or int(line) <= len(place.read_text().splitlines()), f"{target}#L{line}"


LINK = re.compile(r"\]\((?!https?:)([^)#\s]*)(?:#L(\d+)|#([^)\s]+))?\)")
_FENCES = re.compile(r"^```.*?^```$", re.MULTILINE | re.DOTALL)


def _without_code(document: Path) -> str:
    return _FENCES.sub("", document.read_text("utf-8"))


def _anchors(document: Path) -> set[str]:
    """The headings' anchors, as GitHub and the site make them."""
    headings = re.findall(r"^#+ (.+)$", _without_code(document), re.MULTILINE)
    return {
        re.sub(r"[^\w\- ]", "", heading.lower()).strip().replace(" ", "-") for heading in headings
    }


def test_what_the_pages_take_from_the_code_is_up_to_date() -> None:
    assert pages.main(["--check"]) == 0, "write it anew: python -m docs"


def test_every_page_has_its_place_in_the_contents() -> None:
    listed = {page.file for page in PAGES}
    there = {path.name for path in FOLDER.glob("*.md")} - {"README.md"}
    assert there <= listed, "add a line to docs/pages.py"


@pytest.mark.skipif(shutil.which("groff") is None, reason="there is no groff")
def test_the_manual_page_has_nothing_that_roff_warns_of() -> None:
    manual = blocks.ROOT / "cli" / "share" / "codexapi.1"
    done = subprocess.run(
        ["groff", "-man", "-ww", "-z", "-Tutf8", str(manual)],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert (done.returncode, done.stderr) == (0, "")


def test_nothing_is_misspelled() -> None:
    pytest.importorskip("codespell_lib")
    texts = [str(path) for path in (*DOCUMENTS, blocks.ROOT / "CHANGELOG.md")]
    done = subprocess.run(
        [sys.executable, "-m", "codespell_lib", *texts], capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stdout) == (0, "")


def test_the_picture_shows_what_the_three_doors_answer(tmp_path: Path) -> None:
    forks.put_program(tmp_path / "codexapi")
    assert record.PICTURE.read_text() == record.recorded(tmp_path)


@pytest.mark.skipif(sys.platform == "win32", reason="opens a terminal")
@pytest.mark.parametrize("name", screens.SCENES)
def test_a_screen_shows_what_a_terminal_would_show_today(name: str) -> None:
    drawn = (screens.FOLDER / f"{name}.svg").read_text()
    again = screens.drawing(name, screens.captured(screens.SCENES[name]))
    assert screens.said(drawn) == screens.said(again)


def test_the_first_screen_has_all_that_a_stranger_needs() -> None:
    text = (blocks.ROOT / "README.md").read_text()
    screen = "\n".join(text.splitlines()[:40])
    assert "One user, your own login, your own machine" in screen
    assert "docs/screens/chat.svg" in screen
    assert screen.count("```sh") == 2
    assert 'chat --demo "Say hello"' in screen
    assert "python -m tests" in screen
    assert "not affiliated with or endorsed by OpenAI" in screen


def test_the_readme_is_read_in_two_minutes() -> None:
    assert len((blocks.ROOT / "README.md").read_text().splitlines()) <= 150


def test_the_readme_names_all_that_is_shared_with_the_official_client() -> None:
    text = (blocks.ROOT / "README.md").read_text()
    assert CLIENT_ID in text
    assert "`version`" in text
    assert "`auth.json`" in text


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


def test_where_to_change_what_names_what_the_files_have() -> None:
    text = (blocks.ROOT / "docs" / "ARCHITECTURE.md").read_text()
    _, chapter = text.split("## Where would I change", 1)
    places = re.split(r"^### |^\| ", chapter, flags=re.MULTILINE)[1:]
    wrong = {
        place.splitlines()[0]: names for place in places if (names := _names_of_nothing(place))
    }
    assert not wrong
    assert len(places) > 25


def _names_of_nothing(place: str) -> list[str]:
    """The files that a row names and that are not there, and the names that are in none of its files."""
    spans = [span for span in _SPAN.findall(place) if not _NO_NAME.search(span)]
    files = {span: _expand(span) for span in spans if "/" in span}
    texts = [
        f"{file.name}\n{file.read_text('utf-8')}"
        for path in files.values()
        for file in (path.rglob("*.*") if path.is_dir() else [path] if path.exists() else [])
        if file.is_file() and file.suffix != ".pyc"
    ]
    missing = [span for span, path in files.items() if not path.exists()]
    names = [span for span in spans if "/" not in span]
    return missing + [name for name in names if not any(name.strip("…") in text for text in texts)]


def _expand(span: str) -> Path:
    """`engine/…/errors.py` as a path: `…` stands for the package."""
    folder, dots, rest = span.partition("/…/")
    if not dots:
        return blocks.ROOT / span
    (package,) = (blocks.ROOT / folder).glob("codexapi_*")
    return package / rest


_SPAN = re.compile(r"`([^`]+)`")
_NO_NAME = re.compile(r"[\s\[{]|^/|^\.|^--|^codex\.…")
"""Commands, scripts, options, routes, and beginnings and ends of names of events."""
