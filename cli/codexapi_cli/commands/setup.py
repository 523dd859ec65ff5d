"""`codexapi setup`: configures an installed program to use `codexapi serve`."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from difflib import get_close_matches
from pathlib import Path
from typing import Annotated, Any
from urllib.parse import urlsplit

import typer

import codexapi_engine as engine
from codexapi_engine.listeners import listener
from codexapi_engine.setting_values import is_loopback
from codexapi_engine.settings import KEYS_FILE, PORT

from ..integrations.api_client import (
    NAME,
    UNUSED,
    ApiClient,
    ModelInfo,
    ServerInfo,
)
from ..integrations.edits import (
    MISSING,
    Change,
    Conflict,
    DocumentFormat,
    Entry,
    Refused,
    SettingsFile,
)
from ..integrations.http_clients import CLIENTS
from ..integrations.snippets import form_of, is_list, model_info, pasted, words
from ..integrations.system import System
from ..parser import completers
from ..parser.help_text import DocumentedCommand
from ..parser.options import BaseUrl, Demo, Model, command
from ..servers.registry import reachable, running, version_at
from ..settings import opened, settings
from ..terminal.output import BACKEND, LOCAL_FILE, Problem, ending, hear_warnings, note, put, say

LOOK = 2.0
"""Seconds that a server on this machine has to say that it is there."""

NO_SERVER = ServerInfo("", [ModelInfo("")])
"""For the places of settings, where their values do not matter."""

app = command()


EXAMPLES = """
# List the clients, and which are set up
$ codexapi setup

# Show what would change in the settings of a client
$ codexapi setup aider --dry-run

# Print what to enter in a client that has no settings file
$ codexapi setup cline

# Put back what was there before
$ codexapi setup aider --undo
"""


class _SetupCommand(DocumentedCommand):
    def sections(self) -> dict[str, list[tuple[str, str]]]:
        return {"Clients": [(client.name, client.title) for client in CLIENTS]}


@app.command(cls=_SetupCommand, epilog=EXAMPLES, context_settings={"allow_interspersed_args": True})
def setup(
    name: Annotated[
        str | None,
        typer.Argument(
            metavar="CLIENT",
            help="The client to set up; none: list them, and which are set up",
            autocompletion=completers.setup_clients,
        ),
    ] = None,
    arguments: Annotated[
        list[str] | None,
        typer.Argument(metavar="[-- ARGUMENTS]", help="Arguments of the client, with --run"),
    ] = None,
    model: Model = None,
    url: Annotated[
        str | None,
        typer.Option(metavar="URL", help="Address of the server (default: the one that runs)"),
    ] = None,
    file: Annotated[
        Path | None, typer.Option(metavar="PATH", help="The client's settings file, if elsewhere")
    ] = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Show what would change, and change nothing")
    ] = False,
    undo: Annotated[bool, typer.Option("--undo", help="Restore what was there before")] = False,
    print_: Annotated[
        bool, typer.Option("--print", help="Print the settings, and write nothing")
    ] = False,
    run: Annotated[
        bool, typer.Option("--run", help="Start the client with these settings too")
    ] = False,
    force: Annotated[
        bool, typer.Option("--force", help="Overwrite different settings of the same name")
    ] = False,
    base_url: BaseUrl = None,
    demo: Demo = False,
) -> None:
    """Make another program use `codexapi serve`: write its settings, or print them.

    For the shell you are in: `eval "$(codexapi setup shell)"`.
    """
    if name is None:
        put("".join(f"{client.name:<12} {client.title}{_mark(client)}\n" for client in CLIENTS))
        return
    with ending():
        if sum((undo, run, print_)) > 1:
            raise Problem("--undo, --run and --print do not go together")
        hear_warnings()
        client = _client(name)
        chosen = settings(base_url=base_url, demo=demo)
        if undo:
            _undo(client, file, dry_run=dry_run)
            return
        point = _point(client, chosen, model, url)
        place = _Place.of(client, file, point) if client.entries else None
        if place is None or print_:
            if not run:
                put(place.pasted() if place else words(client, point))
        else:
            _apply(place, dry_run=dry_run, force=force)
            if not (dry_run or run):
                _note_silence(point.url, demo=demo)
        if run and not dry_run:
            raise typer.Exit(_start_client(client, point, place, arguments or (), demo=demo))


@dataclass(frozen=True, slots=True)
class _Place:
    """The settings file of a client, and what belongs there."""

    client: ApiClient
    path: Path
    entries: Sequence[Entry]
    make_folder: bool = False  # for a client that is installed, and has not been started yet

    @classmethod
    def of(cls, client: ApiClient, path: Path | None, point: ServerInfo) -> _Place:
        assert client.entries is not None
        where = path or Path(client.place(System.this()))
        installed = bool(client.run) and shutil.which(client.run[0]) is not None
        return cls(
            client, Path(os.path.expanduser(where)).absolute(), client.entries(point),
            make_folder=path is None and installed,
        )  # fmt: skip

    @property
    def form(self) -> DocumentFormat:
        return form_of(self.client)

    def file(self) -> SettingsFile:
        return SettingsFile(self.path, self.form)

    @property
    def is_list(self) -> bool:
        """Whether the file is a list of such entries, and no object with members."""
        return is_list(self.entries)

    def pasted(self) -> str:
        """The settings as a user pastes them."""
        return pasted(self.form, self.entries)

    def change(self, *, force: bool) -> Change:
        """Raises Refused, and Conflict with what would change."""
        if not (self.make_folder or self.path.parent.is_dir()):
            raise Refused(f"{self.client.title} is not here: there is no folder {self.path.parent}")
        file = self.file()
        if self.is_list and not file.data:
            return Change(file, self.pasted().encode())
        new = [] if file.data else list(self.client.opening)
        try:
            return file.put([*new, *self.entries], force=force)
        except Conflict:
            diff = file.put(self.entries, force=True).diff()
            message = f"{self.path} says something else; --force replaces it:\n{diff}"
            raise Conflict(message.rstrip()) from None


def _mark(client: ApiClient) -> str:
    """Where a client has settings that --undo would take out."""
    if client.entries is None:
        return ""
    with suppress(Refused):
        place = _Place.of(client, None, NO_SERVER)
        if _ours(place, _present(place)):
            return f"  (set up: {place.path})"
    return ""


def _client(name: str) -> ApiClient:
    """Raises Problem, with what may have been meant."""
    known = {client.name: client for client in CLIENTS}
    if name not in known:
        near = get_close_matches(name, known, n=1)
        hint = f"did you mean {near[0]}?" if near else f"there are {', '.join(known)}"
        raise Problem(f"there is no client {name}; {hint}")
    return known[name]


def _point(
    client: ApiClient, chosen: engine.Settings, model: str | None, url: str | None
) -> ServerInfo:
    """What the client has to know. Raises Problem, and CodexError where the models cannot be had."""
    models = [ModelInfo(model)] if model else []
    if client.models:
        from ..terminal.runner import Runner  # asyncio is 40 ms, and seldom needed

        try:
            with Runner() as runner:
                listed = runner.run(_models(chosen))
        except engine.CodexError:
            if not model:
                say("codexapi: the models cannot be listed; --model NAME does without the list")
                raise
        else:  # of a model by name too, the list knows the window
            models = [each for each in listed if each.name == model] or models or listed
    key = chosen.api_key.reveal() if chosen.api_key else UNUSED
    if chosen.api_key is None and url is None and _demands_key(chosen):
        say(
            "codexapi: the server demands a key: set CODEXAPI_API_KEY to one that "
            "`codexapi keys add NAME` prints, and run this again"
        )
    return ServerInfo(_served(chosen) if url is None else _check_url(url), models, key)


def _demands_key(chosen: engine.Settings) -> bool:
    if not (chosen.state_dir / KEYS_FILE).exists():
        return False
    from codexapi_engine.program_keys import ProgramKeys  # asyncio

    return bool(ProgramKeys(chosen.state_dir).load())


def _check_url(url: str) -> str:
    parts = urlsplit(url)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise Problem(f"--url: {url} is not an address, as in http://127.0.0.1:18080/v1")
    return url.rstrip("/")


def _served(chosen: engine.Settings) -> str:
    """The address of the one server that runs, else of the one that would."""
    found = [server for server in running(chosen.state_dir) if server.url]
    mine = [server for server in found if server.port == chosen.port] or found
    if len(mine) == 1:
        return f"{reachable(mine[0].url or '')}/v1"
    host = f"[{chosen.host}]" if ":" in chosen.host else chosen.host
    return f"{reachable(f'http://{host}:{chosen.port}')}/v1"


async def _models(chosen: engine.Settings) -> list[ModelInfo]:
    async with opened(chosen) as codex:
        first = await codex.model()
        listed = [model for model in await codex.models() if model.listed or model.slug == first]
    listed.sort(key=lambda model: model.slug != first)
    found = [model_info(model) for model in listed]
    return found if found and found[0].name == first else [ModelInfo(first), *found]


def _note_silence(url: str, *, demo: bool) -> None:
    """Where the client would find no server: it is easily forgotten. Of a name that another machine
    or a container knows, nothing can be said here."""
    parts = urlsplit(url)
    if not is_loopback(parts.hostname or ""):
        return
    serve = "codexapi serve" + (" --demo" if demo else "")
    serve += "" if parts.port in (None, PORT) else f" --port {parts.port}"
    try:
        version_at(url.removesuffix("/v1"), LOOK)
    except ConnectionRefusedError:
        note(f"codexapi: no server runs at {url} yet: `{serve}`")
    except OSError:
        who = listener(parts.port or 80) or "another program"
        note(f"codexapi: {who} answers at {url}, and it is not codexapi")


def _apply(place: _Place, *, dry_run: bool, force: bool) -> None:
    try:
        change = place.change(force=force)
    except Refused:
        put(place.pasted())  # for the user to enter
        raise
    if dry_run:
        put(change.diff())
    elif change:
        with _for_the_user_alone():  # there may be a key in it
            backup = change.write(make_folder=place.make_folder)
        say(f"codexapi: wrote {place.path}" + (f"; as it was: {backup}" if backup else ""))
        note(f"codexapi: {place.client.after}")
        return
    if not change:
        note(f"codexapi: {place.client.title} is set up already: {place.path}")


@contextmanager
def _for_the_user_alone() -> Iterator[None]:
    """A file that is made new is not for others to read."""
    before = os.umask(0o077)
    try:
        yield
    finally:
        os.umask(before)


def _undo(client: ApiClient, path: Path | None, *, dry_run: bool) -> None:
    """Raises Refused, and Conflict where the settings are not ours."""
    if client.entries is None:
        if variables := client.env(NO_SERVER):
            put("".join(client.unset.format(name) + "\n" for name in variables))
            return
        raise Problem(f"nothing was written for {client.title}: take back what you entered there")
    place = _Place.of(client, path, NO_SERVER)
    file, there = place.file(), _present(place)
    if there and not _ours(place, there):
        raise Conflict(f"{place.path}: these settings are not of ours: {there[0]}")
    change = _taken_out(replace(place, entries=there), file) if there else Change(file, file.data)
    if dry_run:
        put(change.diff())
    elif change:
        change.write()
        say(f"codexapi: {place.path} is as it was before")
    else:
        note(f"codexapi: there is nothing of ours in {place.path}")


def _present(place: _Place) -> list[Entry]:
    """The client's settings at the places of ours. Raises Refused."""
    file = place.file()
    paths = [entry.path for entry in place.entries] if file.data else []
    found = [Entry(at, file.value(at)) for at in paths]
    return [entry for entry in found if entry.value is not MISSING]


def _taken_out(place: _Place, file: SettingsFile) -> Change:
    """What was there before; nothing where the file is all ours, its opening too."""
    if place.is_list:
        ours = file.data == place.pasted().encode() and not any(file.backups())
        return Change(file, None) if ours else file.undo(place.entries)
    with suppress(Conflict):
        whole = file.undo([*place.client.opening, *place.entries])
        if whole.after is None:
            return whole
    return file.undo(place.entries)


def _ours(place: _Place, there: Sequence[Entry]) -> bool:
    """Whether settings that have been found are those that we wrote: by our name, or since they
    lead to this machine."""
    if any(NAME in map(str, entry.path) or f"name={NAME}" in str(entry) for entry in there):
        return True
    addresses = [str(entry.value) for entry in there if "://" in str(entry.value)]
    return any(is_loopback(urlsplit(address).hostname or "") for address in addresses)


def _must_answer(url: str, *, demo: bool) -> None:
    """Raises Problem where the client would find no server."""
    try:
        version_at(url.removesuffix("/v1"))
    except OSError as error:
        serve = "codexapi serve --demo --detach" if demo else "codexapi serve --detach"
        raise Problem(
            f"no server answers at {url}: {error}; `{serve}` starts one", BACKEND
        ) from None


def _start_client(
    client: ApiClient,
    point: ServerInfo,
    place: _Place | None,
    arguments: Sequence[str],
    *,
    demo: bool,
) -> int:
    """The client's exit code. Raises Problem."""
    if not client.run:
        raise Problem(f"--run: {client.title} is no program that could be started")
    _must_answer(point.url, demo=demo)
    filling = {
        "{file}": str(place.path) if place else "",
        "{model}": point.models[0].name if point.models else "",
        "{shell}": os.environ.get("SHELL") or "/bin/sh",
    }
    name, *rest = [filling.get(word, word) for word in client.run]
    program = shutil.which(name)
    if program is None:
        raise Problem(f"--run: there is no {name} on PATH", LOCAL_FILE)
    words: list[Any] = [program, *rest, *arguments]
    environ = {**os.environ, **client.env(point)}
    sys.stdout.flush()
    try:
        if sys.platform != "win32":
            os.execve(program, words, environ)  # Ctrl-C is the client's own then
        return subprocess.run(words, env=environ, check=False).returncode
    except OSError as error:
        raise Problem(f"--run: {program}: {error.strerror}", LOCAL_FILE) from None
