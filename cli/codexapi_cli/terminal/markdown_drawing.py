"""Renders Markdown as lines for a terminal.

No letter of the source is lost: unknown markup is shown as it is written, and a block that would
lose something is shown as its source. Code stands at the margin as it was written, in lines that
only the terminal wraps, so a copy from the screen is the code.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from html import unescape
from typing import NamedTuple

from markdown_it import MarkdownIt
from markdown_it.tree import SyntaxTreeNode
from rich.style import Style
from rich.text import Text

from .cells import wrap_lines
from .markdown_prose import is_open
from .markdown_tables import Cell, table

NESTING = 100
"""Levels that are drawn; deeper ones are shown as their source."""

_BREAK = re.compile(r"<br\s*/?>", re.IGNORECASE)
_REFERENCE = re.compile(r"\[[^\]]+\]:")
_SAFE_LINK = re.compile(r"(?:https?://|mailto:)[!-~]+", re.IGNORECASE)

_BEFORE = "\ufffc"
"""Stands for the beginning of a paragraph."""

_NONE = Style()
_DIM = Style(dim=True)
_HEADINGS = {"h1": Style(bold=True, underline=True), "h2": Style(bold=True)}
_STYLES = {
    "strong": Style(bold=True),
    "em": Style(italic=True),
    "s": Style(strike=True),
    "code_inline": Style(color="cyan"),
    "link": Style(underline=True),
}


class Line(NamedTuple):
    text: Text
    verbatim: bool = False  # stands at the margin, and may be longer than the terminal is wide


class Drawing:
    """Draws blocks. `styled`: with bold, colours and the like."""

    def __init__(self, *, styled: bool) -> None:
        parser = MarkdownIt("commonmark", {"maxNesting": NESTING, "html": True})
        # A reference is read here and drawn nowhere; a block may be drawn before its reference is
        # there anyway.
        parser.enable(["strikethrough", "table"]).disable("reference")
        parser.normalizeLink = parser.normalizeLinkText = str  # type: ignore[assignment, method-assign]
        self._parser = parser
        self._styled = styled
        self._blocks: dict[str, Callable[[SyntaxTreeNode, int], list[Line]]] = {
            "paragraph": self._paragraph,
            "heading": self._heading,
            "fence": self._fence,
            "code_block": self._fence,
            "html_block": self._html,
            "hr": self._rule,
            "bullet_list": self._list,
            "ordered_list": self._list,
            "blockquote": self._quote,
            "table": self._table,
        }
        self._source: list[str] = []

    def lines(self, source: str, width: int) -> list[Line]:
        """Complete blocks."""
        try:
            drawn = self.draft(source, width)
        except RecursionError:
            return verbatim(source)
        shown = "".join(line.text.plain for line in drawn)
        return verbatim(source) if _missing(source, shown) else drawn

    def draft(self, source: str, width: int) -> list[Line]:
        """What a block looks like so far."""
        self._source = source.split("\n")
        root = SyntaxTreeNode(self._parser.parse(source))
        return self._stack(root.children, max(width, 4))

    def words(self, source: str) -> Text:
        """The beginning of a paragraph, or more of it."""
        text = Text()
        for child in SyntaxTreeNode(self._parser.parseInline(source)).children:
            self._spans(child.children, _NONE, text)
        return text if not _missing(source, text.plain) else Text(source)

    def is_final(self, source: str) -> bool:
        """Whether what stands here looks as it does now, whatever follows in its paragraph."""
        tokens = self._parser.parseInline(source)[0].children or []
        return not any(is_open(token.content) for token in tokens if token.type == "text")

    def rest(self, source: str, width: int) -> tuple[Text, list[Line]]:
        """The end of a paragraph whose beginning is drawn, and what follows it in its block."""
        self._source = f"{_BEFORE}{source}".split("\n")
        first, *others = SyntaxTreeNode(self._parser.parse(_BEFORE + source)).children
        text, lines = self._inline(first)[1:], self._stack(others, width)
        if _missing(source, "".join([text.plain, *(line.text.plain for line in lines)])):
            return Text(source), []
        return text, lines

    def code(self, code: str, info: str, context: str = "") -> list[Line]:
        """Lines of code. Those before them are the context, for the colours."""
        before, language = context.count("\n"), info.split(maxsplit=1)[:1]
        code = context + code.removesuffix("\n")
        text = Text(code)
        if self._styled and language:
            text = _highlight(code, language[0].lower())
        return [Line(line, verbatim=True) for line in text.split("\n", allow_blank=True)[before:]]

    def label(self, info: str) -> list[Line]:
        """What stands behind a fence's mark: the language, the name of a file."""
        return [Line(Text(info, _DIM), verbatim=True)] if info else []

    def _stack(self, nodes: Iterable[SyntaxTreeNode], width: int, gap: bool = True) -> list[Line]:
        """Blocks, one below the other."""
        lines: list[Line] = []
        for node in nodes:
            block = self._blocks.get(node.type, self._as_source)(node, width)
            if lines and block and gap:
                lines.append(Line(Text()))
            lines += block
        return lines

    def _as_source(self, node: SyntaxTreeNode, width: int) -> list[Line]:
        start, end = node.map or (0, 0)
        return verbatim("\n".join(self._source[start:end]))

    def _paragraph(self, node: SyntaxTreeNode, width: int) -> list[Line]:
        return [Line(line) for line in wrap_lines(self._inline(node), width, fold=False)]

    def _heading(self, node: SyntaxTreeNode, width: int) -> list[Line]:
        text = self._inline(node)
        text.stylize_before(_HEADINGS.get(node.tag, _HEADINGS["h2"]))
        return [Line(line) for line in wrap_lines(text, width, fold=False)]

    def _fence(self, node: SyntaxTreeNode, width: int) -> list[Line]:
        info = node.info.strip()
        return self.label(info) + self.code(node.content, info)

    def _html(self, node: SyntaxTreeNode, width: int) -> list[Line]:
        return verbatim(node.content)

    def _rule(self, node: SyntaxTreeNode, width: int) -> list[Line]:
        return [Line(Text("─" * min(width, 80), _DIM))]

    def _quote(self, node: SyntaxTreeNode, width: int) -> list[Line]:
        bar = Text().append("▌ ", _DIM)
        return _indent(self._stack(node.children, width - 2), bar, bar)

    def _list(self, node: SyntaxTreeNode, width: int) -> list[Line]:
        loose = any(
            not child.hidden
            for item in node.children
            for child in item.children
            if child.type == "paragraph"
        )
        lines: list[Line] = []
        for item in node.children:
            mark = f"{item.info}{item.markup} " if node.type == "ordered_list" else "• "
            inside = self._stack(item.children, width - len(mark), gap=loose)
            if lines and loose:
                lines.append(Line(Text()))
            lines += _indent(inside or [Line(Text())], Text(mark), Text(" " * len(mark)))
        return lines

    def _table(self, node: SyntaxTreeNode, width: int) -> list[Line]:
        rows = [
            [Cell(self._inline(cell), str(cell.attrs.get("style", ""))) for cell in row.children]
            for part in node.children
            for row in part.children
        ]
        # A row with more cells than the head has lost some.
        start, end = node.map or (0, 0)
        contents = "".join(c.content for c in node.walk() if c.type == "inline")
        written = "".join(self._source[start : start + 1] + self._source[start + 2 : end])
        drawn = table(rows, width)
        if drawn is None or Counter(_table_letters(written)) - Counter(_table_letters(contents)):
            return self._as_source(node, width)
        return [Line(line) for line in drawn]

    # Inside of a line

    def _inline(self, node: SyntaxTreeNode) -> Text:
        text = Text()
        for child in node.children:
            self._spans(child.children, _NONE, text)
        return text

    def _spans(self, nodes: Sequence[SyntaxTreeNode], style: Style, text: Text) -> None:
        for at, node in enumerate(nodes):
            if node.type in ("strong", "em", "s"):
                self._spans(node.children, style + _STYLES[node.type], text)
            elif node.type == "link":
                self._link(node, style, text)
            elif node.type == "image":
                alt = node.content
                text.append(alt, style)
                self._address(node, "src", style, text)
            elif node.type == "code_inline":
                text.append(node.content, style + _STYLES["code_inline"])
            elif node.type == "softbreak":
                follows = nodes[at + 1].content if at + 1 < len(nodes) else ""
                text.append("\n" if _REFERENCE.match(follows) else " ", style)
            elif node.type == "hardbreak" or _BREAK.fullmatch(node.content):
                text.append("\n", style)
            else:
                text.append(node.content, style)

    def _link(self, node: SyntaxTreeNode, style: Style, text: Text) -> None:
        start = len(text)
        address = str(node.attrs.get("href", ""))
        inner = style + _STYLES["link"]
        if _SAFE_LINK.fullmatch(address):
            inner += Style(link=address)
        self._spans(node.children, inner, text)
        if text.plain[start:] not in (address, address.removeprefix("mailto:")):
            self._address(node, "href", style, text)

    def _address(self, node: SyntaxTreeNode, name: str, style: Style, text: Text) -> None:
        """Where a link or a picture is: a terminal that follows no links shows it too."""
        address, title = str(node.attrs.get(name, "")), str(node.attrs.get("title", ""))
        inside = " ".join(filter(None, [address, title and f'"{title}"']))
        if inside:
            look = style + _DIM
            if _SAFE_LINK.fullmatch(address):
                look += Style(link=address)
            text.append(" (", style + _DIM).append(inside, look).append(")", style + _DIM)


def verbatim(source: str) -> list[Line]:
    """Source as it is, without the blank lines around it."""
    lines = source.strip("\n").split("\n")
    return [Line(Text(line), verbatim=True) for line in lines]


def _indent(lines: Sequence[Line], first: Text, other: Text) -> list[Line]:
    """Lines behind a mark; code stays at the margin."""
    indented: list[Line] = []
    if lines and lines[0].verbatim:
        indented += _indent([Line(Text())], first, other)
        first = other
    for line in lines:
        if line.verbatim:
            indented.append(line)
        else:
            text = first.copy().append_text(line.text)
            text.rstrip()
            indented.append(Line(text))
        first = other
    return indented


def _highlight(code: str, language: str) -> Text:
    from rich.syntax import Syntax  # not every answer has code

    text = Syntax("", language, theme="ansi_dark").highlight(code)  # without a background
    text.right_crop(len(text) - len(code))  # a lexer ends the last line
    return text if text.plain == code else Text(code)


def _missing(source: str, shown: str) -> bool:
    """Whether a letter of the source is not shown, that has another meaning than to draw it."""
    wanted = Counter(filter(str.isalnum, unescape(_BREAK.sub("", source))))
    return bool(wanted - Counter(filter(str.isalnum, shown)))


def _table_letters(source: str) -> str:
    """The letters of a table, without what draws it."""
    return re.sub(r"[\s|\\]", "", source)
