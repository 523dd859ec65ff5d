"""The findings of `codexapi doctor` that come with a fix, as its source has them."""

from __future__ import annotations

import ast
from collections.abc import Iterator, Mapping
from pathlib import Path

from codexapi_cli import checks
from codexapi_engine import check, local_checks

SOURCES = (Path(checks.__file__), Path(local_checks.__file__))
_STATES = {"PROBLEM": check.PROBLEM, "WARNING": check.WARNING}
UNKNOWN = "…"
_CONSTANTS = {
    name: value
    for module in (local_checks, checks)
    for name, value in vars(module).items()
    if isinstance(value, str)
}
Row = tuple[str, str, str, str]


def findings() -> Iterator[Row]:
    """The name of each check, its state, what it says, and the fix. `…` stands for what a machine
    decides."""
    trees = [ast.parse(source.read_text("utf-8")) for source in SOURCES]
    for function in (one for tree in trees for one in tree.body):
        if not isinstance(function, ast.FunctionDef | ast.AsyncFunctionDef):
            continue
        for node in ast.walk(function):
            match node:
                case ast.Call(
                    func=ast.Name("Check"),
                    args=[name, ast.Name(state), text, fix],
                ) if state in _STATES:
                    texts = _assignments(function, node.lineno)
                    message, remedy = _text(text, texts), _text(fix, texts)
                    if message != UNKNOWN:  # else an error, which is in the table of codes
                        yield (
                            _text(name, texts).replace(UNKNOWN, "files"),
                            _STATES[state],
                            message,
                            remedy if remedy != UNKNOWN else "see its error code",
                        )


def _assignments(function: ast.AST, line: int) -> Mapping[str, ast.expr]:
    """What the names of a function stand for at a line."""
    found: dict[str, ast.expr] = {}
    for node in ast.walk(function):
        if getattr(node, "lineno", line) > line:
            continue
        match node:
            case ast.Assign(targets=[ast.Name(name)], value=value):
                found[name] = value
            case ast.Assign(targets=[ast.Tuple(names)], value=ast.Tuple(values)):
                pairs = zip(names, values, strict=True)
                found |= {name.id: value for name, value in pairs if isinstance(name, ast.Name)}
    return found


def _text(node: ast.expr, texts: Mapping[str, ast.expr]) -> str:
    match node:
        case ast.Constant(value=str(value)):
            return value
        case ast.JoinedStr(values):
            return "".join(_text(value, texts) for value in values)
        case ast.FormattedValue(value=value):
            return _text(value, texts)
        case ast.BinOp(left, ast.Add(), right):
            return _text(left, texts) + _text(right, texts)
        case ast.Name(name) if name in _CONSTANTS:
            return _CONSTANTS[name]
        case ast.Name(name) if name in texts:
            rest = {other: value for other, value in texts.items() if other != name}
            return _text(texts[name], rest)
    return UNKNOWN
