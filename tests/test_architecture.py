"""The layers, and what each may not touch. Read from the source, not from running it."""

from __future__ import annotations

import ast
import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cache, cached_property
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

BOUNDS = f"{ENGINE}.bounds"
A_BOUND = re.compile(r"(?!_)(MAX|MIN)_|[A-Z].*_(TIMEOUT|LIFETIME|MARGIN|INTERVAL|AGE|LINGER)$")
ELSEWHERE = {
    "codexapi_cli.commands.": "how long a command waits for one program that it has started",
    "codexapi_cli.integrations.api_client.": "what a client's settings say of a model",
    "codexapi_cli.terminal.output.": "exit codes",
    "codexapi_cli.terminal.preview.MAX_BYTES": "what a terminal takes: only the preview knows it",
    "codexapi_cli.terminal.stdin.": "how long a pipe may hesitate: only the reading of stdin",
    "codexapi_engine.errors.MAX_MESSAGE": "the words of an error, cut where errors are made",
    "codexapi_engine.http.body.MAX_ERROR_BYTES": "how much of an error's body is read for its words",
    "codexapi_engine.http.cookies.": "RFC 6265's, kept by the cookie jar alone",
    "codexapi_engine.http.deadlines.": "the margins of one algorithm, which two sockets use",
    "codexapi_engine.http.errors.LARGE": "from which size on a broken request has a hint",
    "codexapi_engine.images.processing.CLEAR": "a value of a pixel",
    "codexapi_engine.login.locks.POLL_INTERVAL": "how lock files are polled",
    "codexapi_engine.login.token_endpoint.MAX_ANSWER": "ten times what that endpoint sends",
    "codexapi_engine.protocol.headers.": "which headers are passed on: a list with its own room",
    "codexapi_engine.protocol.json.PIECE": "how much is done before others have a turn",
    "codexapi_engine.protocol.responses.estimate.": "the weights of an estimate",
    "codexapi_engine.settings.OLLAMA_PORT": "an address",
    "codexapi_engine.settings.PORT": "an address",
    "codexapi_engine.simulator.": "it stands for the backend, whose bounds must not follow ours",
    "codexapi_http.middleware.request_log.CLIENT_LEFT": "a status",
    "codexapi_http.routes.answer.MAX_NAMES": "how many ignored fields a header names",
    "codexapi_http.server.process.PORT_IN_USE": "an exit code",
    "codexapi_mcp.messages.EDGE": "which ends of a message that is too long are searched for its id",
}
"""Numbers that look like bounds, or that two modules know, and are at home elsewhere; and why."""

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
        """0 errors, bounds · 1 protocol · 2 engine · 3 doors · 4 cli"""
        return _layer(self.name)

    @cached_property
    def nodes(self) -> Sequence[ast.AST]:
        """All nodes of its tree, which each test reads."""
        return tuple(ast.walk(self.tree))

    def imports(self) -> Iterator[tuple[str, ast.AST]]:
        """The modules that are imported, by their full names, with the node that does it."""
        package = self.name if self.path.name == "__init__.py" else self.name.rpartition(".")[0]
        for node in self.nodes:
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
    if name.startswith((f"{ENGINE}.errors", f"{ENGINE}.bounds")):
        return 0
    return 1 if name.startswith(f"{ENGINE}.protocol") else 2


_POSSESSIVE_GROUP = re.compile(r"(?<!\\)\)(?:[*+?]|\{[\d,]+\})\+")


@cache
def every_module() -> list[Module]:
    """Parsed for a test and not at import: each process of a run collects all tests."""
    return list(_modules())


def pure() -> list[Module]:
    return [module for module in every_module() if module.layer <= 1]


def _modules() -> Iterator[Module]:
    for package in sorted(TREE.glob("*/codexapi_*")):
        for path in sorted(package.rglob("*.py")):
            parts = path.relative_to(package.parent).with_suffix("").parts
            name = ".".join(parts).removesuffix(".__init__")
            yield Module(name, path, ast.parse(path.read_text(encoding="utf-8"), str(path)))


def each(modules: list[Module], wrong: Callable[[Module], Iterable[str]]) -> None:
    """Fails with all that is wrong, each with its module."""
    found = [f"{module}: {complaint}" for module in modules for complaint in wrong(module)]
    assert not found, "\n".join(found)


@cache
def _exists(name: str) -> bool:
    return any(module.name == name for module in every_module())


def _in_function(module: Module, node: ast.AST) -> bool:
    functions = (ast.FunctionDef, ast.AsyncFunctionDef)
    return any(node in ast.walk(outer) for outer in module.nodes if isinstance(outer, functions))


def _for_types_only(module: Module, node: ast.AST) -> bool:
    blocks = [n for n in module.nodes if isinstance(n, ast.If)]
    return any(
        isinstance(block.test, ast.Name)
        and block.test.id == "TYPE_CHECKING"
        and any(node in ast.walk(line) for line in block.body)
        for block in blocks
    )


def test_the_tree_is_where_this_test_looks() -> None:
    assert {module.name.partition(".")[0] for module in every_module()} == OURS
    assert len(pure()) > 10


def test_arrows_go_down() -> None:
    def wrong(module: Module) -> Iterator[str]:
        for name, node in module.imports():
            if name.partition(".")[0] in OURS and _exists(name) and _layer(name) > module.layer:
                yield f"line {_line(node)}: {name}"

    each(every_module(), wrong)


def test_doors_do_not_know_each_other() -> None:
    def wrong(module: Module) -> Iterator[str]:
        mine = module.name.partition(".")[0]
        for name, node in module.imports():
            other = name.partition(".")[0]
            if other == mine or other not in FRONT_ENDS | {CLI}:
                continue
            if mine != CLI:
                yield f"{name} is another front end"
            elif not _in_function(module, node):
                yield f"{name}: the program starts a front end inside its command"

    each(every_module(), wrong)


def test_the_pure_floor_touches_nothing() -> None:
    asynchronous = (ast.AsyncFunctionDef, ast.Await, ast.AsyncFor, ast.AsyncWith)

    def wrong(module: Module) -> Iterator[str]:
        # errors.py turns an epoch into words, by a fixed zone and without a clock.
        allowed = {"datetime"} if module.name == f"{ENGINE}.errors" else set()
        imported = {name.partition(".")[0] for name, _ in module.imports()}
        yield from imported & (IMPURE - allowed)
        for node in module.nodes:
            if isinstance(node, asynchronous):
                yield f"line {node.lineno} is asynchronous"
            elif isinstance(node, ast.Call):
                name = getattr(node.func, "id", None)
                method = getattr(node.func, "attr", None)
                if name in {"open", "print", "input"} or method in {"now", "today", "utcnow"}:
                    yield f"line {node.lineno}: {name or method}"

    each(pure(), wrong)


def test_httpx_is_imported_in_one_place() -> None:
    def wrong(module: Module) -> Iterator[str]:
        clients = {"httpx", "httpx2", "httpcore"}
        for name, node in module.imports():
            if name.partition(".")[0] in clients and not _for_types_only(module, node):
                yield f"line {_line(node)}: {name}"

    each([module for module in every_module() if module.name != f"{ENGINE}.http._httpx"], wrong)


def test_no_import_is_a_circle() -> None:
    names = {module.name for module in every_module()}
    imported = {module.name: set(_loaded(module, names)) for module in every_module()}
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


def test_no_module_keeps_state() -> None:
    """A module may have tables, in capitals, and nobody may change one."""

    def wrong(module: Module) -> Iterator[str]:
        tables = _tables(module)
        yield from (
            f"{name} is state" for name in tables if not name.isupper() and name != "__all__"
        )
        for node in module.nodes:
            if isinstance(node, ast.Global):
                yield f"line {node.lineno}: global"
            if _changed_name(node) in tables:
                yield f"line {_line(node)} changes a table"

    each(every_module(), wrong)


def _line(node: ast.AST) -> int:
    return int(getattr(node, "lineno", 0))


def _tables(module: Module) -> set[str]:
    tables = set()
    for line in module.tree.body:
        targets = line.targets if isinstance(line, ast.Assign) else [getattr(line, "target", None)]
        if _is_mutable(getattr(line, "value", None)):
            tables |= {target.id for target in targets if isinstance(target, ast.Name)}
    return tables


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
    for module in every_module():
        for node in module.nodes:
            if isinstance(node, ast.ExceptHandler) and _catches_all(node):
                found[module.name.partition(".")[0]] += 1
                places.append(f"{module.name}:{node.lineno}")
    assert all(found[name] <= WIDE_CATCHES[name] for name in found), places


def _stored(error: ast.expr | None) -> bool:
    """Whether it is an object's, or a list's: exceptions of a module are classes."""
    return isinstance(error, ast.Subscript) or (
        isinstance(error, ast.Attribute) and error.attr.islower()
    )


def test_an_error_that_is_stored_is_raised_as_a_copy() -> None:
    """Else what stores it, and the functions that it has left, refer to each other."""

    def wrong(module: Module) -> Iterator[str]:
        for node in module.nodes:
            if isinstance(node, ast.Raise) and _stored(node.exc):
                yield f"line {node.lineno}: raise copy_of({ast.unparse(node.exc or node)})"

    each(every_module(), wrong)


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


def test_names_say_something() -> None:
    defined = (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)

    def wrong(module: Module) -> Iterator[str]:
        yield from EMPTY_NAMES & set(module.name.split("."))
        names = {n.name.lower() for n in module.nodes if isinstance(n, defined)}
        yield from (name for name in names for word in BANNED_WORDS if word in name)

    each(every_module(), wrong)


def test_a_module_says_what_it_is() -> None:
    def wrong(module: Module) -> Iterator[str]:
        if module.tree.body and not ast.get_docstring(module.tree):
            yield "has no docstring"

    each(every_module(), wrong)


@pytest.mark.parametrize("dialect", ["chat", "completions", "images", "responses"])
def test_every_dialect_has_the_same_two_files(dialect: str) -> None:
    for half in ("request", "reply"):
        assert _exists(f"{ENGINE}.protocol.{dialect}.{half}")


def _writes_to_the_environment(node: ast.AST) -> bool:
    place: ast.AST | None = None
    if isinstance(node, ast.Subscript) and isinstance(node.ctx, ast.Store | ast.Del):
        place = node.value
    elif isinstance(node, ast.AugAssign):
        place = node.target
    elif isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
        if node.func.attr in {"putenv", "unsetenv"}:
            return True
        place = node.func.value if node.func.attr in _CHANGES else None
    return place is not None and ast.unparse(place) in {"os.environ", "os.environb"}


def test_no_pattern_repeats_a_group_possessively() -> None:
    """Python before 3.11.3 takes half of the last repetition too (python/cpython#100061)."""

    def wrong(module: Module) -> Iterator[str]:
        for node in module.nodes:
            if not isinstance(node, ast.Constant):
                continue
            value = node.value
            text = value.decode("latin-1") if isinstance(value, bytes) else value
            if isinstance(text, str) and _POSSESSIVE_GROUP.search(text):
                yield f"line {node.lineno}: write (?>(…)*) in place of (…)*+"

    each(every_module(), wrong)
    assert _POSSESSIVE_GROUP.search(r"(?:ab)*+")


def test_the_environment_is_read_and_never_written() -> None:
    """What one command sets there, every thread and every program that it starts would inherit."""

    def wrong(module: Module) -> Iterator[str]:
        for node in module.nodes:
            if _writes_to_the_environment(node):
                yield f"line {node.lineno}"  # type: ignore[attr-defined]
        if "os.environ" in {name for name, _ in module.imports()}:
            yield "import it as os.environ, so that this test sees it"

    each(every_module(), wrong)


def _is_number(node: ast.AST | None) -> bool:
    if isinstance(node, ast.BinOp):
        return _is_number(node.left) and _is_number(node.right)
    return isinstance(node, ast.Constant) and type(node.value) in (int, float)


def _numbers(module: Module) -> Iterator[str]:
    """The names of a module's numbers, in full."""
    for line in module.tree.body:
        if isinstance(line, ast.Assign):
            values = line.value.elts if isinstance(line.value, ast.Tuple) else [line.value]
            if all(map(_is_number, values)):
                names = [n for target in line.targets for n in ast.walk(target)]
                yield from (f"{module.name}.{n.id}" for n in names if isinstance(n, ast.Name))


def _stands_elsewhere(number: str) -> bool:
    return any(
        number == name or (name[-1] == "." and number.startswith(name)) for name in ELSEWHERE
    )


@cache
def numbers() -> set[str]:
    return {n for module in every_module() if module.name != BOUNDS for n in _numbers(module)}


def test_what_looks_like_a_bound_is_in_the_file_of_bounds() -> None:
    def wrong(module: Module) -> Iterator[str]:
        names = [name for name in _numbers(module) if A_BOUND.match(name.rpartition(".")[2])]
        yield from (name for name in names if not _stands_elsewhere(name))

    each([module for module in every_module() if module.name != BOUNDS], wrong)


def test_a_number_that_two_modules_know_is_in_the_file_of_bounds() -> None:
    modules = {module.name for module in every_module()}

    def wrong(module: Module) -> Iterator[str]:
        known = {name for name, _ in module.imports() if name in numbers()}
        homes = {name.rpartition(".")[2]: name for name, _ in module.imports() if name in modules}
        for node in module.nodes:
            if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name):
                name = f"{homes.get(node.value.id)}.{node.attr}"
                known |= {name} & numbers()
        yield from (name for name in known if not _stands_elsewhere(name))

    each(every_module(), wrong)


def test_no_exception_is_for_a_number_that_is_gone() -> None:
    for name in ELSEWHERE:
        assert any(number.startswith(name) for number in numbers()), name
