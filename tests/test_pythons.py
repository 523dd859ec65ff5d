"""Which other Pythons the gate finds on a machine."""

from __future__ import annotations

import os
import platform
import sys
from pathlib import Path

import pytest
from tests import pythons

if sys.platform == "win32":
    pytest.skip("the stand-ins are scripts", allow_module_level=True)

OTHERS = [name for name in pythons.versions() if name != "{}.{}".format(*sys.version_info)]


def put(path: Path, script: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f"#!/bin/sh\n{script}\n")
    path.chmod(0o755)
    return path


def test_a_python_on_the_path_is_found_and_else_one_of_pyenv(tmp_path: Path) -> None:
    first, second = OTHERS
    on_path = put(tmp_path / "bin" / f"python{first}", f"echo {first}.1")
    put(tmp_path / "bin" / f"python{second}", "exit 127")  # pyenv's own, where none is chosen
    of_pyenv = put(tmp_path / f".pyenv/versions/{second}.7/bin/python", f"echo {second}.7")
    environ = {"PATH": str(tmp_path / "bin"), "HOME": str(tmp_path)}
    assert pythons.others(environ) == {f"{first}.1": on_path, f"{second}.7": of_pyenv}


def test_another_release_of_our_own_version_is_found(tmp_path: Path) -> None:
    ours = "{}.{}".format(*sys.version_info)
    put(tmp_path / "a" / f"python{ours}", f"echo {platform.python_version()}")
    early = put(tmp_path / "b" / f"python{ours}", f"echo {ours}.0b1")
    environ = {"PATH": f"{tmp_path / 'a'}{os.pathsep}{tmp_path / 'b'}", "HOME": str(tmp_path)}
    assert pythons.others(environ) == {f"{ours}.0b1": early}


def test_a_machine_with_one_python_has_no_other(tmp_path: Path) -> None:
    put(tmp_path / f"python{OTHERS[0]}", "echo 3.9.1")  # not what its name says
    assert pythons.others({"PATH": str(tmp_path), "HOME": str(tmp_path)}) == {}
