"""Writes anew all that the pages, the wheel and the command line take from the code's tables:
`python -m docs`. The gate compares.

`--check` writes nothing, and ends with code 1 where something is out of date. `--blocks` runs the
blocks of all pages too, and writes the outputs that they show.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping
from pathlib import Path

from docs import blocks, compatibility, help_pages, parts, plain_options, reference
from tests.downloads import Unavailable

from codexapi_cli.parser.help_pages import PAGES
from codexapi_cli.parser.plain import OPTIONS


def main(arguments: list[str]) -> int:
    """Helps first: the reference is made of them."""
    old = [write for write in (_helps, _files, _pages) if write("--check" not in arguments)]
    if "--blocks" in arguments:
        _outputs()
    return 1 if old and "--check" in arguments else 0


def _helps(writing: bool) -> bool:
    made = {Path(PAGES): help_pages.text(), Path(OPTIONS): plain_options.text()}
    return _put_all(made, writing)


def _files(writing: bool) -> bool:
    made = {path: make() for path, make in reference.FILES.items()}
    made[compatibility.PAGE] = compatibility.page()
    return _put_all(made, writing)


def _pages(writing: bool) -> bool:
    texts = {page: page.read_text("utf-8") for page in blocks.documents()}
    made = {page: blocks.linked(parts.fill(text), page.parent) for page, text in texts.items()}
    return _put_all(made, writing)


def _outputs() -> None:
    for page in blocks.documents():
        _put(page, blocks.fresh(page), writing=True)
        if any(block.language in blocks.JAVASCRIPT for block in blocks.blocks(page)):
            try:
                _put(page, blocks.fresh(page, blocks.JAVASCRIPT), writing=True)
            except Unavailable as error:
                print(f"{page.name}: its JavaScript was not run: {error}")


def _put_all(made: Mapping[Path, str], writing: bool) -> bool:
    old = [path for path, text in made.items() if _put(path, text, writing)]
    return bool(old)


def _put(path: Path, text: str, writing: bool) -> bool:
    """Whether the file was out of date."""
    if path.exists() and path.read_text("utf-8") == text:
        return False
    if writing:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, "utf-8")
    print(f"{path.relative_to(blocks.ROOT)}: {'written' if writing else 'out of date'}")
    return True


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
