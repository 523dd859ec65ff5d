"""The site: every page is in it, and nothing of it comes from another host."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
from docs import site
from docs.pages import SECTIONS, existing


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    pytest.importorskip("material", reason="the packages of the extra `docs` are not installed")
    folder = tmp_path_factory.mktemp("site")
    site.build(folder)
    return folder


def test_every_page_is_built_without_a_warning(folder: Path) -> None:
    pages = [page.file for section in SECTIONS for page in existing(section)]
    assert {Path(page).stem for page in pages} <= {path.stem for path in folder.glob("*.html")}
    assert "One user, your own login" in (folder / "index.html").read_text()


def test_a_page_asks_no_other_host_for_anything(folder: Path) -> None:
    for page in set(folder.glob("*.html")) - {folder / "404.html"}:
        text = page.read_text("utf-8")
        assert text.count('http-equiv="Content-Security-Policy" content="default-src \'self\'') == 1
        loading = re.findall(r"<(?:link|script|img|iframe|source)\b[^>]*", text)
        assert not [tag for tag in loading if re.search(r"""(src|href)=["']?(https?:)?//""", tag)]
    for style in folder.rglob("*.css"):
        assert not re.search(r"url\(['\"]?(https?:)?//", style.read_text("utf-8"))


def test_a_word_of_every_page_can_be_searched_for(folder: Path) -> None:
    index = json.loads((folder / "search" / "search_index.json").read_text("utf-8"))
    found = {entry["location"].partition("#")[0] for entry in index["docs"]}
    for section in SECTIONS:
        for page in existing(section):
            assert page.file.replace(".md", ".html") in found
