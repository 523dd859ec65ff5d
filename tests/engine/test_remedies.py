"""The table of error codes: every code that the source can emit is in it."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

from tests.processes import ROOT

from codexapi_cli.terminal import output
from codexapi_engine import errors, remedies
from codexapi_engine.protocol import auth_file
from codexapi_engine.protocol.responses import public

REFUSALS = {"refusal", "_refused"}
"""The functions whose second argument is a code."""


def emitted() -> set[str]:
    """The codes in the source: keywords, defaults, attributes and members named `code`, and the
    second argument of a refusal."""
    files = [path for path in ROOT.glob("*/codexapi_*/**/*.py") if "simulator" not in path.parts]
    assert len(files) > 100
    return {code for path in files for code in _codes(path)}


def _codes(path: Path) -> Iterator[str]:
    tree = ast.parse(path.read_text("utf-8"))
    constants = dict(_constants(tree))
    for node in ast.walk(tree):
        for value in _values(node):
            if isinstance(value, ast.Name):
                value = constants.get(value.id, value)
            if isinstance(value, ast.Constant) and isinstance(value.value, str):
                yield value.value


def _constants(tree: ast.Module) -> Iterator[tuple[str, ast.expr]]:
    for line in tree.body:
        if isinstance(line, ast.Assign) and isinstance(line.targets[0], ast.Name):
            yield line.targets[0].id, line.value


def _values(node: ast.AST) -> Iterator[ast.AST | None]:
    if isinstance(node, ast.Call):
        yield from (keyword.value for keyword in node.keywords if keyword.arg == "code")
        if getattr(node.func, "id", "") in REFUSALS and len(node.args) > 1:
            yield node.args[1]
    elif isinstance(node, ast.arguments):
        pairs = zip(reversed(node.args), reversed(node.defaults), strict=False)
        yield from (default for argument, default in pairs if argument.arg == "code")
    elif isinstance(node, ast.Dict):
        for key, value in zip(node.keys, node.values, strict=True):
            if isinstance(key, ast.Constant) and key.value == "code":
                yield value
    elif isinstance(node, ast.Assign):
        names = [getattr(t, "id", getattr(t, "attr", "")) for t in node.targets]
        yield node.value if "code" in names else None
    elif isinstance(node, ast.AnnAssign):
        yield node.value if getattr(node.target, "id", "") == "code" else None


def listed() -> set[str]:
    """The codes that stand in tables, and the types that take the place of a code."""
    kinds = {kind.type for kind in vars(errors).values() if hasattr(kind, "known_code")}
    return {
        *errors._BY_CODE, *errors._OTHER_CODES, errors.OTHER_CODE, *auth_file._PERMANENT, *kinds,
        *public._PUBLIC_CODES, *output.KINDS.values(),
    }  # fmt: skip


def test_every_code_has_its_remedy() -> None:
    assert sorted((emitted() | listed()) - set(remedies.REMEDIES)) == []


def test_no_remedy_is_for_a_code_that_is_gone() -> None:
    assert sorted(set(remedies.REMEDIES) - emitted() - listed()) == []


def test_the_source_is_read_in_every_form_a_code_has() -> None:
    found = emitted()
    assert {"upstream_redirect", "login_expired", "host_not_allowed", "invalid_handshake"} <= found
    assert {"keyring_unavailable", "client_left", "steering_not_supported"} <= found


def test_a_remedy_is_complete_and_plain() -> None:
    assert len(remedies.REMEDIES) == len(remedies._TABLE), "a code stands twice"
    for remedy in remedies.REMEDIES.values():
        assert remedy.meaning.endswith(".")
        assert remedy.remedy.endswith((".", ")."))
        assert remedy.command is None or remedy.command.startswith("codexapi ")
