"""The JSON of pydantic_core is imported alone, and pydantic works with it all the same."""

from __future__ import annotations

import subprocess
import sys

import pytest
from tests.processes import environment

ALONE = """
import sys
from codexapi_engine.protocol import json
loaded = {name for name in sys.modules if name.partition(".")[0] in ("pydantic_core", "pydantic")}
assert loaded == {"pydantic_core._pydantic_core"}, loaded
assert json.loads(b'{"a": 1}') == {"a": 1}
try: json.loads(b"{")
except ValueError: pass
else: raise AssertionError
"""
PYDANTIC = """
import pydantic, pydantic_core
from codexapi_engine.protocol import _pydantic_core
assert pydantic_core.from_json is _pydantic_core.from_json
assert pydantic_core.PydanticSerializationError is _pydantic_core.PydanticSerializationError
class Model(pydantic.BaseModel): number: int
try: Model(number="x")
except pydantic.ValidationError: pass
assert Model(number="3").number == 3
"""


@pytest.mark.parametrize("program", [ALONE + PYDANTIC, PYDANTIC], ids=["before it", "after it"])
def test_the_json_of_pydantic_core_is_that_of_pydantic(program: str) -> None:
    subprocess.run([sys.executable, "-c", program], env=environment(), check=True)
