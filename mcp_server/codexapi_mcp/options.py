"""The options of the server. Loads nothing of the SDK."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, NamedTuple, cast, get_args


class Group(NamedTuple):
    """Tools that are served together."""

    tools: tuple[str, ...]
    writes_files: bool = False


GROUPS = {
    "text": Group(("generate_text",)),
    "image": Group(("generate_image", "edit_image"), writes_files=True),
    "audio": Group(("transcribe_audio",)),
    "status": Group(("list_models", "account_status")),
}
"""By the name that `--tools` has for each."""

Inline = Literal["auto", "always", "never"]


@dataclass(frozen=True, slots=True)
class Options:
    groups: tuple[str, ...] = tuple(GROUPS)
    read_only: bool = False  # no tool that writes files
    image_dir_only: bool = False  # pictures go nowhere else
    inline: Inline = "auto"  # for calls that do not say
    max_images: int | None = None  # that may be made before the server ends

    @property
    def tools(self) -> tuple[str, ...]:
        """The names of the tools that there are."""
        groups = [GROUPS[name] for name in self.groups]
        shown = [group for group in groups if not (self.read_only and group.writes_files)]
        return tuple(tool for group in shown for tool in group.tools)


def checked_groups(text: str) -> tuple[str, ...]:
    """`text,image,audio,status` or some of them. Raises ValueError."""
    names = [name.strip() for name in text.split(",") if name.strip()]
    wrong = [name for name in names if name not in GROUPS]
    if wrong or not names:
        raise ValueError(f"{text} is not a list of {', '.join(GROUPS)}")
    return tuple(name for name in GROUPS if name in names)


def checked_inline(text: str) -> Inline:
    """Raises ValueError."""
    if text not in get_args(Inline):
        raise ValueError(f"{text} is none of {', '.join(get_args(Inline))}")
    return cast(Inline, text)


def checked_address(text: str) -> tuple[str, int]:
    """`PORT`, `HOST:PORT` or `[IPv6]:PORT`; a port of 0 is any free one. Raises ValueError."""
    host, _, port = text.strip().rpartition(":")
    bare = host[1:-1] if host.startswith("[") and host.endswith("]") else host
    if (":" in bare and bare == host) or not port.isdecimal() or int(port) > 65535:
        raise ValueError(f"{text} is not [HOST:]PORT, as in 8931 or 127.0.0.1:8931")
    return bare or "127.0.0.1", int(port)
