"""Imports the JSON of pydantic_core without the rest of that package.

The rest is the types of its schemas, which pydantic alone needs, and takes ten times as long to import
as the compiled module. That module is found in the package's folder and put where the package itself
looks for it when it is imported; where it is not found, the package is imported whole.
"""

from __future__ import annotations

import sys
from importlib.machinery import PathFinder
from importlib.util import module_from_spec

_PACKAGE = "pydantic_core"
_COMPILED = f"{_PACKAGE}._pydantic_core"


def _import_alone() -> None:
    package = PathFinder.find_spec(_PACKAGE)
    spec = package and PathFinder.find_spec(_COMPILED, package.submodule_search_locations)
    if spec is None or spec.loader is None:
        return
    module = module_from_spec(spec)
    spec.loader.exec_module(module)
    sys.modules[_COMPILED] = module


if _COMPILED not in sys.modules:
    _import_alone()

from pydantic_core._pydantic_core import PydanticSerializationError, from_json, to_json

__all__ = ["PydanticSerializationError", "from_json", "to_json"]
