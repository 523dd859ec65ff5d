"""Registers our MCP server with other programs, removes it, and finds it."""

from __future__ import annotations

import json
import os
import shlex
import shutil
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from difflib import get_close_matches
from importlib import import_module
from itertools import pairwise
from pathlib import Path
from typing import Any

from codexapi_engine.errors import JsonObject

from ..terminal.cleaning import clean
from ..terminal.output import Problem
from .edits import MISSING, Change, Conflict, DocumentFormat, Entry, Refused, SettingsFile, snippet
from .itself import fault_of, looks_like_ours
from .mcp_clients import CLIENTS, NAME, McpClient
from .system import Scope, System

SECONDS = 60.0
"""How long a client's own command may take."""

LONGEST = 300
"""Characters that a person is shown of what stands in a settings file."""

NOT_HERE, NONE, OURS, STALE, ANOTHER, UNREADABLE = (
    "not found", "not registered", "registered", "stale", "another server", "unreadable",
)  # fmt: skip
"""What there is of us in a client: nothing of the client itself, nothing of us, our server, our
server at a place where it is no more, another one under our name, or a file that cannot be read."""


@dataclass(frozen=True, slots=True)
class SettingsTarget:
    """A settings file that a client reads, and the entry of ours that belongs there."""

    client: McpClient
    scope: Scope
    path: Path

    @property
    def form(self) -> DocumentFormat:
        form: DocumentFormat = import_module(f".edits.{self.client.form}", __package__)
        return form

    @property
    def is_here(self) -> bool:
        """Whether the client is there to read it: we make no folder for one that is not."""
        if self.scope is Scope.PROJECT:
            return True
        if self.client.add:  # its file stands in the home folder, which is always there
            return self.path.is_file() or shutil.which(self.client.add[0]) is not None
        return self.path.parent.is_dir()

    @property
    def commands(self) -> tuple[Sequence[str], Sequence[str]]:
        """The client's own commands to add and remove us, where we leave it to them."""
        own = self.scope is Scope.USER
        return (self.client.add, self.client.remove) if own else ((), ())

    def entry(self, value: Any) -> Entry:
        return Entry((self.client.key, NAME), value)

    def file(self) -> SettingsFile:
        return SettingsFile(self.path, self.form)


@dataclass(frozen=True, slots=True)
class Registration:
    """What there is of us in one place."""

    place: SettingsTarget
    state: str
    entry: JsonObject = field(default_factory=dict)
    problem: str | None = None

    @property
    def command(self) -> list[str]:
        """The command line that the client starts."""
        for name in ("command", "cmd"):
            first = self.entry.get(name)
            if first is not None:
                words = first if isinstance(first, list) else [first, *_listed(self.entry, "args")]
                return [str(word) for word in words]
        return []

    @property
    def shown(self) -> str:
        """The command line for a person."""
        return one_line(shlex.join(self.command))

    @property
    def env(self) -> dict[str, str]:
        variables = self.entry.get(self.place.client.env)
        return {k: str(v) for k, v in variables.items()} if isinstance(variables, dict) else {}


def one_line(text: str) -> str:
    """Text from a settings file, sanitised for a terminal."""
    line = " ".join(clean(text).split())
    return line if len(line) <= LONGEST else f"{line[:LONGEST]}…"


def named(names: Sequence[str]) -> list[McpClient]:
    """The clients of these names. Raises Problem, with those that there are."""
    known = {client.name: client for client in CLIENTS}
    for name in names:
        if name not in known:
            near = get_close_matches(name, known, n=1)
            hint = f"did you mean {near[0]}?" if near else f"there are {', '.join(known)}"
            raise Problem(f"there is no client {name}; {hint}")
    return [known[name] for name in dict.fromkeys(names)]


def detected(system: System) -> list[McpClient]:
    """The clients that are here and that we can write to."""
    return [
        client
        for client in CLIENTS
        if client.written and place(client, Scope.USER, system).is_here
    ]  # fmt: skip


def place(client: McpClient, scope: Scope, system: System) -> SettingsTarget:
    """The settings file of a client, whether or not it exists. Raises Problem for a scope that
    the client does not have."""
    if scope is Scope.PROJECT:
        if client.project is None:
            raise Problem(f"{client.title} has no settings of a project: --scope user")
        return SettingsTarget(client, scope, Path.cwd() / client.project)
    places = [Path(pure) for pure in client.places(system)]
    found = [path for place in places for path in _existing(place)]
    beside = [path for path in found if path.parent == found[0].parent]
    best = next((path for path in beside if path.is_file()), None) or next(iter(found), None)
    return SettingsTarget(
        client, scope, best or next(path for path in places if "*" not in str(path))
    )


def found(system: System) -> Iterator[Registration]:
    """What there is of us in each client, for the user and in this folder."""
    for client in CLIENTS:
        if not client.written:
            continue
        own = place(client, Scope.USER, system)
        yield look(own)
        if client.project is None:
            continue
        project = place(client, Scope.PROJECT, system)
        if project.path.is_file() and project.path != own.path:  # as in the home folder
            yield look(project)


def look(where: SettingsTarget) -> Registration:
    """What there is of us in one place."""
    try:
        value = where.file().value((where.client.key, NAME))
    except Refused as error:
        return Registration(where, UNREADABLE, problem=one_line(str(error)))
    if value is MISSING:
        return Registration(where, NONE if where.is_here else NOT_HERE)
    if not isinstance(value, dict):
        return Registration(where, ANOTHER)
    found = Registration(where, OURS, value)
    if not _is_ours(where, value):
        return replace(found, state=ANOTHER)
    fault = fault_of(found.command)
    return replace(found, state=STALE, problem=one_line(fault)) if fault else found


def _is_ours(where: SettingsTarget, value: Any) -> bool:
    return isinstance(value, dict) and looks_like_ours(Registration(where, OURS, value).command)


def plan(where: SettingsTarget, value: JsonObject, *, force: bool) -> Change:
    """The change that registers us. Raises Refused, and Conflict with what would change."""
    if not where.client.written:
        raise Refused(f"{where.path} is for you to edit: paste this")
    if not where.is_here:
        sign = where.client.add[0] if where.client.add else f"folder {where.path.parent}"
        raise Refused(f"{where.client.title} is not here: there is no {sign}")
    file, entry = where.file(), where.entry(value)
    try:
        return file.put([entry], force=force or look(where).state == STALE)
    except Conflict:
        diff = file.put([entry], force=True).diff()
        message = f"{where.path} has another entry {NAME}; --force replaces it:\n{diff}"
        raise Conflict(message.rstrip()) from None


def renewed(where: SettingsTarget, value: JsonObject, chosen: Sequence[str] = ()) -> JsonObject:
    """Our entry; in the place of one of ours, with what its user has added to that: members,
    variables, and options of `mcp serve`, but for those that are chosen anew."""
    seen, env = look(where), where.client.env
    if seen.state not in (OURS, STALE):
        return value
    made = {**seen.entry, **value}
    if isinstance(seen.entry.get(env), dict):
        made[env] = {**seen.entry[env], **value.get(env, {})}
    words = seen.command
    options = words[words.index("serve") + 1 :] if "serve" in words else []
    options = _without_tools(options) if chosen else options
    for name in ("args", "command"):
        if isinstance(made.get(name), list):
            made[name] = [*made[name], *options]
            break
    return made


def _without_tools(options: Sequence[str]) -> list[str]:
    """Options of `mcp serve` but for --tools and --read-only."""
    kept = []
    for before, word in pairwise(["", *options]):
        name = word.partition("=")[0]
        if name not in ("--tools", "--read-only") and before != "--tools":
            kept.append(word)
    return kept


def plan_removal(seen: Registration, *, force: bool) -> Change:
    """The change that takes our entry out. Raises Refused, and Conflict for another's entry."""
    where = seen.place
    if seen.state == UNREADABLE:
        raise Refused(seen.problem or "")
    if seen.state == ANOTHER and not force:
        raise Conflict(f"{where.path} has an entry {NAME} that starts another program; --force")
    file = where.file()
    value = file.value((where.client.key, NAME))
    return file.undo([where.entry(value)], was_ours=lambda old: _is_ours(where, old))


def add(where: SettingsTarget, value: JsonObject, change: Change) -> Path | None:
    """Registers us; returns the backup. Raises Refused."""
    adding, removing = where.commands
    if not adding:
        return change.write(make_folder=where.scope is Scope.PROJECT)
    old = where.file().value((where.client.key, NAME))
    if old is not MISSING:
        _run_client(_with_values(removing, value))
    try:
        _run_client(_with_values(adding, value))
    except Refused:
        if old is not MISSING:
            _run_client(_with_values(adding, old))
        raise
    if not where.file().has([where.entry(value)]):
        raise Refused(f"{where.path} has no entry of ours, though {adding[0]} said nothing")
    return None


def take_out(where: SettingsTarget, change: Change) -> Path | None:
    """Removes our entry; returns the backup. Raises Refused."""
    _, removing = where.commands
    if not removing:
        return change.write()
    _run_client(_with_values(removing, {}))
    return None


def shown(where: SettingsTarget, change: Change, value: JsonObject | None) -> str:
    """What would be done: a diff, or a client's own command."""
    adding, removing = where.commands
    own = adding if value is not None else removing
    if own and change:
        return shlex.join(_with_values(own, value or {})) + "\n"
    return change.diff()


def pasted(where: SettingsTarget, value: JsonObject) -> str:
    """The entry as a user pastes it."""
    return snippet(where.form, [where.entry(value)])


def environment(words: Sequence[str], environ: Mapping[str, str]) -> dict[str, str]:
    """Variables of the command line, NAME=VALUE or NAME for the one that is set now; and where
    the login is, if that is told by a variable: editors do not start with the shell's. Raises
    Problem."""
    chosen = {}
    for word in ["CODEX_HOME", *words] if environ.get("CODEX_HOME") else words:
        name, equals, value = word.partition("=")
        if not name or (not equals and name not in environ):
            raise Problem(f"--env {word}: give NAME=VALUE, or the name of a variable that is set")
        chosen[name] = value if equals else environ[name]
    return chosen


def _existing(path: Path) -> Iterator[Path]:
    """A path whose folder exists; all such paths where its parts are patterns."""
    if "*" not in str(path):
        if path.parent.is_dir():
            yield path
        return
    pattern = path.parent.relative_to(path.anchor)
    yield from (
        folder / path.name
        for folder in sorted(Path(path.anchor).glob(str(pattern)))
        if folder.is_dir()
    )


def _with_values(words: Sequence[str], value: JsonObject) -> list[str]:
    fillings = {"{name}": NAME, "{entry}": json.dumps(value, ensure_ascii=False)}
    return [fillings.get(word, word) for word in words]


def _run_client(words: Sequence[str]) -> None:
    """Runs a client's own command. Raises Refused with its output."""
    program = shutil.which(words[0])
    if program is None or os.path.splitext(program)[1].lower() in (".cmd", ".bat"):
        # What starts a batch file would take the quotes of our entry for its own.
        why = "is not on PATH" if program is None else "is a batch file here"
        raise Refused(f"{words[0]} {why}; run this where it can be: {shlex.join(words)}")
    try:
        done = subprocess.run(
            [program, *words[1:]], stdin=subprocess.DEVNULL, capture_output=True, text=True,
            timeout=SECONDS, check=False,
        )  # fmt: skip
    except (OSError, subprocess.TimeoutExpired) as error:
        raise Refused(f"{shlex.join(words)}: {error}") from None
    if done.returncode:
        output = (done.stderr or done.stdout).strip().splitlines()
        raise Refused(f"{shlex.join(words[:3])}: {output[-1] if output else done.returncode}")


def _listed(entry: JsonObject, name: str) -> list[Any]:
    value = entry.get(name)
    return value if isinstance(value, list) else []
