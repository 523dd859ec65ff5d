"""`codexapi_engine.__all__` is the public interface, and nothing else is."""

from __future__ import annotations

import ast
import importlib
import pkgutil
import subprocess
import sys
from pathlib import Path

import pytest

import codexapi_engine

SOURCE = Path(codexapi_engine.__file__)


def _type_checking_names() -> list[str]:
    """The names that a type checker sees."""
    for node in ast.parse(SOURCE.read_text(encoding="utf-8")).body:
        if isinstance(node, ast.If) and isinstance(node.test, ast.Name):
            lines = (line for line in node.body if isinstance(line, ast.ImportFrom))
            return [alias.asname or alias.name for line in lines for alias in line.names]
    raise AssertionError("there is no TYPE_CHECKING block")


def test_all_is_what_a_type_checker_sees() -> None:
    assert sorted(codexapi_engine.__all__) == sorted(_type_checking_names())


def test_all_is_sorted_and_without_doubles() -> None:
    assert codexapi_engine.__all__ == sorted(set(codexapi_engine.__all__))


@pytest.mark.parametrize("name", codexapi_engine.__all__)
def test_every_name_can_be_had_and_has_a_docstring(name: str) -> None:
    found = getattr(codexapi_engine, name)
    assert callable(found)
    assert found.__name__ == name


def test_names_stay_what_they_are_when_everything_is_loaded() -> None:
    """A submodule that is loaded later takes the place of a name of its package."""
    for module in pkgutil.walk_packages(codexapi_engine.__path__, "codexapi_engine."):
        if not module.name.endswith("__main__"):
            importlib.import_module(module.name)
    for name in codexapi_engine.__all__:
        assert callable(getattr(codexapi_engine, name)), name


def test_an_unknown_name_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="no attribute 'Codec'"):
        _ = codexapi_engine.Codec


def test_importing_the_package_loads_nothing() -> None:
    code = (
        "import sys, codexapi_engine; codexapi_engine.CodexError; "
        "print(*sorted({'httpx', 'pydantic', 'asyncio', 'pydantic_core'} & set(sys.modules)))"
    )
    ran = subprocess.run(
        [sys.executable, "-c", code],
        env={"PYTHONPATH": str(SOURCE.parents[1])},
        check=True,
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert ran.stdout.split() == []
