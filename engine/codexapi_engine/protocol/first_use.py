"""Packages whose names are loaded at their first use: a start needs few of them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from importlib import import_module


def on_first_use(
    package: str, names: Sequence[str], homes: Sequence[str]
) -> Callable[[str], object]:
    """The `__getattr__` of a package. A name is of the first of the modules `homes` that has it."""

    def load(name: str) -> object:
        if name in names:
            for home in homes:
                members = vars(import_module(f".{home}", package))
                if name in members:
                    setattr(import_module(package), name, members[name])
                    return members[name]
        raise AttributeError(f"module {package!r} has no attribute {name!r}")

    return load
