"""Detects the type of an attached file from its bytes, and translates it into an input part.

The backend reads PDFs. A text file is sent as text, whatever its name or its media type is.
"""

from __future__ import annotations

PDF = "application/pdf"
OCTETS = "application/octet-stream"
_TEXT_TYPES = frozenset(
    {"json", "xml", "yaml", "x-yaml", "toml", "javascript", "x-javascript", "sql", "x-sh"}
)
_TEXT_SUFFIXES = frozenset(
    {
        "txt", "md", "csv", "html", "json", "xml", "yaml", "yml", "toml", "ini", "py", "js", "ts",
        "css", "sql", "sh", "c", "h", "cpp", "go", "rs", "java",
    }
)  # fmt: skip
_SAYS_NOTHING = ("", OCTETS)


def is_pdf(data: bytes) -> bool:
    return data.startswith(b"%PDF")


def text(data: bytes) -> str | None:
    """The text that the bytes are, without its mark; None if they are no UTF-8 text."""
    try:
        content = data.decode("utf-8-sig")
    except UnicodeDecodeError:
        return None
    return None if "\0" in content else content


def claims_text(media_type: str, name: str) -> bool:
    """Whether a file is declared as text, by its media type or else by its name."""
    if media_type not in _SAYS_NOTHING:
        kind, _, subtype = media_type.partition("/")
        return kind == "text" or subtype in _TEXT_TYPES
    return name.rpartition(".")[2].lower() in _TEXT_SUFFIXES


def inline(name: str, content: str) -> str:
    """A text file as a part of a message."""
    return f'<file name="{name}">\n{content}\n</file>'
