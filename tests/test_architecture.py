"""The layers, and what each may not touch. Read from the source, not from running it."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from tests import lazy_imports

TREE = Path(__file__).parents[1]
ENGINE = "codexapi_engine"
FRONT_ENDS = {"codexapi_http", "codexapi_mcp"}
CLI = "codexapi_cli"
OURS = {ENGINE, CLI, *FRONT_ENDS}

IMPURE = {
    "httpx", "httpx2", "asyncio", "anyio", "os", "io", "pathlib", "shutil", "tempfile", "time",
    "datetime", "random", "secrets", "uuid", "logging", "socket", "ssl", "subprocess", "threading",
    "mimetypes", "locale", "sqlite3", "urllib", "http",
}  # fmt: skip
"""What a pure layer may not import."""

WIDE_CATCHES = {
    "codexapi_http": 1,
    "codexapi_mcp": 1,
    CLI: 1,
    ENGINE: 1,  # around a keyring: its backends raise whatever they stand on
}
"""How often each may catch everything: once per front end, at its outermost edge."""

EMPTY_NAMES = {
    "utils", "util", "helpers", "helper", "common", "compat", "base", "core", "misc", "shared",
    "manager", "managers", "handler", "handlers",
}  # fmt: skip
BANNED_WORDS = ("upstream", "provider", "remote")


@dataclass(frozen=True)
class Module:
    name: str  # codexapi_engine.protocol.sse
    path: Path
    tree: ast.Module

    def __str__(self) -> str:
        return self.name

    @property
    def layer(self) -> int:
        """0 errors · 1 protocol · 2 engine · 3 doors · 4 cli"""
        return _layer(self.name)

    def imports(self) -> Iterator[tuple[str, ast.AST]]:
        """The modules that are imported, by their full names, with the node that does it."""
        package = self.name if self.path.name == "__init__.py" else self.name.rpartition(".")[0]
        for node in ast.walk(self.tree):
            if isinstance(node, ast.Import):
                yield from ((alias.name, node) for alias in node.names)
            elif isinstance(node, ast.ImportFrom):
                home = node.module or ""
                if node.level:
                    above = package.split(".")[: len(package.split(".")) - node.level + 1]
                    home = ".".join([*above, *filter(None, [node.module])])
                yield home, node
                yield from ((f"{home}.{alias.name}", node) for alias in node.names)


def _layer(name: str) -> int:
    top = name.partition(".")[0]
    if top == CLI:
        return 4
    if top in FRONT_ENDS:
        return 3
    if name.startswith(f"{ENGINE}.errors"):
        return 0
    return 1 if name.startswith(f"{ENGINE}.protocol") else 2


def _modules() -> Iterator[Module]:
    for package in sorted(TREE.glob("*/codexapi_*")):
        for path in sorted(package.rglob("*.py")):
            parts = path.relative_to(package.parent).with_suffix("").parts
            name = ".".join(parts).removesuffix(".__init__")
            yield Module(name, path, ast.parse(path.read_text(encoding="utf-8"), str(path)))


MODULES = list(_modules())
PURE = [module for module in MODULES if module.layer <= 1]
every_module = pytest.mark.parametrize("module", MODULES, ids=str)


def _exists(name: str) -> bool:
    return any(module.name == name for module in MODULES)


def _in_function(module: Module, node: ast.AST) -> bool:
    functions = (ast.FunctionDef, ast.AsyncFunctionDef)
    return any(
        node in ast.walk(outer) for outer in ast.walk(module.tree) if isinstance(outer, functions)
    )


def _for_types_only(module: Module, node: ast.AST) -> bool:
    blocks = [n for n in ast.walk(module.tree) if isinstance(n, ast.If)]
    return any(
        isinstance(block.test, ast.Name)
        and block.test.id == "TYPE_CHECKING"
        and any(node in ast.walk(line) for line in block.body)
        for block in blocks
    )


def test_the_tree_is_where_this_test_looks() -> None:
    assert {module.name.partition(".")[0] for module in MODULES} == OURS
    assert len(PURE) > 10


@every_module
def test_arrows_go_down(module: Module) -> None:
    for name, node in module.imports():
        if name.partition(".")[0] in OURS and _exists(name):
            assert _layer(name) <= module.layer, f"line {node.lineno}: {name}"  # type: ignore[attr-defined]


@every_module
def test_doors_do_not_know_each_other(module: Module) -> None:
    mine = module.name.partition(".")[0]
    for name, node in module.imports():
        other = name.partition(".")[0]
        if other == mine or other not in FRONT_ENDS | {CLI}:
            continue
        assert mine == CLI, f"{name} is another front end"
        assert _in_function(module, node), (
            f"{name}: the program starts a front end inside its command"
        )


@pytest.mark.parametrize("module", PURE, ids=str)
def test_the_pure_floor_touches_nothing(module: Module) -> None:
    # errors.py turns an epoch into words, by a fixed zone and without a clock.
    allowed = {"datetime"} if module.name == f"{ENGINE}.errors" else set()
    imported = {name.partition(".")[0] for name, _ in module.imports()}
    assert not imported & (IMPURE - allowed)
    asynchronous = (ast.AsyncFunctionDef, ast.Await, ast.AsyncFor, ast.AsyncWith)
    assert not [node for node in ast.walk(module.tree) if isinstance(node, asynchronous)]
    calls = [node.func for node in ast.walk(module.tree) if isinstance(node, ast.Call)]
    assert not {f.id for f in calls if isinstance(f, ast.Name)} & {"open", "print", "input"}
    assert not {f.attr for f in calls if isinstance(f, ast.Attribute)} & {"now", "today", "utcnow"}


@every_module
def test_httpx_is_imported_in_one_place(module: Module) -> None:
    imported = {
        name.partition(".")[0]
        for name, node in module.imports()
        if not _for_types_only(module, node)
    }
    if module.name != f"{ENGINE}.http._httpx":
        assert not imported & {"httpx", "httpx2", "httpcore"}


def test_no_import_is_a_circle() -> None:
    names = {module.name for module in MODULES}
    imported = {module.name: set(_loaded(module, names)) for module in MODULES}
    while loaded := {name for name, needs in imported.items() if not needs & set(imported)}:
        for name in loaded:  # all that it needs is loaded
            del imported[name]
    assert not imported


def _loaded(module: Module, names: set[str]) -> Iterator[str]:
    """Our modules that are imported when the module is: neither in functions nor for types only."""
    at_top = Module(module.name, module.path, ast.Module(_outside(module.tree.body), []))
    for name, node in at_top.imports():
        members = {f"{name}.{alias.name}" for alias in getattr(node, "names", ())}
        if name in names and not members <= names and name != module.name:
            yield name


def _outside(body: list[ast.stmt]) -> list[ast.stmt]:
    """The imports of a block that run with it."""
    found: list[ast.stmt] = []
    for line in body:
        if isinstance(line, ast.Import | ast.ImportFrom):
            found.append(line)
        elif isinstance(line, ast.If) and ast.unparse(line.test) == "TYPE_CHECKING":
            found += _outside(line.orelse)
        elif not isinstance(line, ast.FunctionDef | ast.AsyncFunctionDef):
            for block in ("body", "orelse", "finalbody"):
                found += _outside(getattr(line, block, []))
    return found


def test_an_import_within_a_function_has_a_measured_cost() -> None:
    assert sorted(lazy_imports.found()) == sorted(lazy_imports.COSTS)


def test_an_import_that_costs_next_to_nothing_is_at_the_top() -> None:
    starts = {f"{CLI}.__main__", *FRONT_ENDS}  # a front end is loaded by the command that starts it
    for (importer, imported), cost in lazy_imports.COSTS.items():
        assert cost is None or cost[0] >= lazy_imports.FROM or starts & {importer, imported}, (
            f"{importer}: {imported}"
        )


@every_module
def test_no_module_keeps_state(module: Module) -> None:
    """A module may have tables, in capitals, and nobody may change one."""
    tables = set()
    for line in module.tree.body:
        targets = line.targets if isinstance(line, ast.Assign) else [getattr(line, "target", None)]
        value = getattr(line, "value", None)
        for target in targets:
            if isinstance(target, ast.Name) and _is_mutable(value):
                assert target.id.isupper() or target.id == "__all__", f"{target.id} is state"
                tables.add(target.id)
    for node in ast.walk(module.tree):
        assert not isinstance(node, ast.Global), "global"
        assert _changed_name(node) not in tables, f"line {node.lineno} changes a table"  # type: ignore[attr-defined]


def _is_mutable(value: ast.AST | None) -> bool:
    if isinstance(value, ast.Call):
        name = (
            value.func.id if isinstance(value.func, ast.Name) else getattr(value.func, "attr", "")
        )
        return name in {"list", "dict", "set", "defaultdict", "deque", "Counter", "OrderedDict"}
    return isinstance(
        value, ast.List | ast.Dict | ast.Set | ast.ListComp | ast.DictComp | ast.SetComp
    )


_CHANGES = {"append", "extend", "insert", "pop", "remove", "clear", "update", "add", "discard", "setdefault", "popitem"}  # fmt: skip


def _changed_name(node: ast.AST) -> str | None:
    """The name of the container that a node changes."""
    place: ast.AST | None = None
    if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
        place = node.func.value if node.func.attr in _CHANGES else None
    elif isinstance(node, ast.Subscript) and isinstance(node.ctx, ast.Store | ast.Del):
        place = node.value
    elif isinstance(node, ast.AugAssign):
        place = node.target
    return place.id if isinstance(place, ast.Name) else None


def test_everything_is_caught_once_per_door() -> None:
    found = dict.fromkeys(WIDE_CATCHES, 0)
    places = []
    for module in MODULES:
        for node in ast.walk(module.tree):
            if isinstance(node, ast.ExceptHandler) and _catches_all(node):
                found[module.name.partition(".")[0]] += 1
                places.append(f"{module.name}:{node.lineno}")
    assert all(found[name] <= WIDE_CATCHES[name] for name in found), places


def _called(node: ast.AST) -> str | None:
    """The name of the method that a call calls."""
    return getattr(node.func, "attr", None) if isinstance(node, ast.Call) else None


def _catches_all(handler: ast.ExceptHandler) -> bool:
    last = handler.body[-1]
    if isinstance(last, ast.Raise) and last.exc is None:
        return False  # it tidies up and lets go
    if isinstance(last, ast.Expr) and _called(last.value) == "set_exception":
        return False  # it is raised where it is waited for
    if handler.type is None:
        return True
    kinds = handler.type.elts if isinstance(handler.type, ast.Tuple) else [handler.type]
    return any(isinstance(k, ast.Name) and k.id in ("Exception", "BaseException") for k in kinds)


@every_module
def test_names_say_something(module: Module) -> None:
    assert not EMPTY_NAMES & set(module.name.split("."))
    defined = (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)
    names = {n.name.lower() for n in ast.walk(module.tree) if isinstance(n, defined)}
    assert not [name for name in names for word in BANNED_WORDS if word in name]


@every_module
def test_a_module_says_what_it_is(module: Module) -> None:
    assert ast.get_docstring(module.tree) or not module.tree.body


@pytest.mark.parametrize("dialect", ["chat", "completions", "images", "responses"])
def test_every_dialect_has_the_same_two_files(dialect: str) -> None:
    for half in ("request", "reply"):
        assert _exists(f"{ENGINE}.protocol.{dialect}.{half}")
