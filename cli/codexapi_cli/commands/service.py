"""`codexapi service`: prints the configuration for the system's service manager.

Nothing is installed: starting, restarting and logging are the service manager's job.
"""

from __future__ import annotations

import getpass
import os
import plistlib
import re
import shlex
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from html import escape
from pathlib import Path
from typing import Annotated

import typer

from codexapi_engine.settings import VARIABLES

from ..global_options import environment
from ..integrations import itself
from ..parser.options import command
from ..terminal.output import Problem, ending, put, say
from .config import plain

NAME = "codexapi"
_PLAIN = re.compile(r"[\w./:=,@+-]+", re.ASCII)
_UNWRITABLE = re.compile(r"[\x00-\x1f\x7f]")

app = command()


class ServiceManager(StrEnum):
    SYSTEMD = "systemd"
    LAUNCHD = "launchd"
    WINDOWS = "windows"


@dataclass(frozen=True, slots=True)
class Service:
    command: Sequence[str]
    environ: Mapping[str, str]


EXAMPLES = """
# Print a service file for this system
$ codexapi service print

# For a server with options
$ codexapi service print --port 18081 --metrics
"""
PRINT_EXAMPLES = """
# Print a service file for this system
$ codexapi service print

# For another system, and a server with options
$ codexapi service print --system launchd --port 18081 --metrics
"""


@app.callback(epilog=EXAMPLES)
def service() -> None:
    """Run the server as a service of your system, whenever you are logged in to it."""


@app.command(name="print", epilog=PRINT_EXAMPLES, context_settings={"ignore_unknown_options": True})
def print_(
    options: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="[SERVE OPTIONS...]", help="Options of `codexapi serve` for the service"
        ),
    ] = None,
    system: Annotated[
        ServiceManager | None,
        typer.Option(help="Service manager to print it for (default: that of this system)"),
    ] = None,
) -> None:
    """Print a systemd user unit, a launchd agent or a Windows task that runs `codexapi serve`.

    The command that installs it is printed on stderr.
    """
    with ending():
        chosen = system or own_system(sys.platform)
        served = Service(
            command=[*itself.command(), "serve", *_check_options(options or ())],
            environ=_environ(environment()),
        )
        put(_WRITERS[chosen](served))
        if chosen is ServiceManager.WINDOWS and served.environ:
            names = ", ".join(served.environ)
            say(f"codexapi: a task has no environment of its own: set {names} for your user")
        again = ["codexapi", "service", "print", "--system", chosen, *(options or ())]
        say(f"codexapi: this installs it:\n\n{_INSTALLERS[chosen](again)}\n")


def own_system(platform: str) -> ServiceManager:
    return {"darwin": ServiceManager.LAUNCHD, "win32": ServiceManager.WINDOWS}.get(
        platform, ServiceManager.SYSTEMD
    )


def systemd(service: Service) -> str:
    """A user unit, as systemd.service(5) and systemd.exec(5) have it."""
    environ = [f"Environment={_quoted(f'{k}={v}')}" for k, v in service.environ.items()]
    program, *arguments = map(_quoted, _acceptable(service.command))
    # A `$` names a variable in an argument, and stands for itself in the program's own path.
    command = " ".join([program, *(word.replace("$", "$$") for word in arguments)])
    return "\n".join(
        [
            "[Unit]",
            "Description=codexapi, the OpenAI API on this machine",
            "",
            "[Service]",
            f"ExecStart={command}",
            *environ,
            "Restart=on-failure",
            # A wrong option or an occupied port needs the user.
            "RestartPreventExitStatus=2 7 8",
            "SuccessExitStatus=143",
            "UMask=0077",
            "NoNewPrivileges=true",
            "",
            "[Install]",
            "WantedBy=default.target",
            "",
        ]
    )


def _acceptable(command: Sequence[str]) -> Sequence[str]:
    """The same, by a program whose own path systemd takes: it has no quotes and no backslashes."""
    return ["/usr/bin/env", *command] if set(command[0]) & set("'\"\\") else command


def launchd(service: Service) -> str:
    """An agent, as launchd.plist(5) has it."""
    agent = {
        "Label": NAME,
        "ProgramArguments": list(service.command),
        "EnvironmentVariables": dict(service.environ),
        "RunAtLoad": True,
        "KeepAlive": {"Crashed": True},  # and not after `codexapi stop`
        "ProcessType": "Background",
        "Umask": 0o077,
        "StandardErrorPath": str(Path.home() / "Library" / "Logs" / "codexapi.log"),
    }
    return plistlib.dumps(agent, sort_keys=False).decode()


def windows(service: Service) -> str:
    """A task, as the schema of Task Scheduler 1.2 has it. It runs in no window: --detach."""
    user = escape(getpass.getuser(), quote=False)
    domain = escape(os.environ.get("USERDOMAIN", ""), quote=False)
    who = f"{domain}\\{user}" if domain else user
    program, *arguments = service.command
    return f"""\
<?xml version="1.0"?>
<Task version="1.2" xmlns="http://schemas.microsoft.com/windows/2004/02/mit/task">
  <RegistrationInfo>
    <Description>codexapi, the OpenAI API on this machine</Description>
  </RegistrationInfo>
  <Triggers>
    <LogonTrigger>
      <UserId>{who}</UserId>
    </LogonTrigger>
  </Triggers>
  <Principals>
    <Principal id="Owner">
      <UserId>{who}</UserId>
      <LogonType>InteractiveToken</LogonType>
      <RunLevel>LeastPrivilege</RunLevel>
    </Principal>
  </Principals>
  <Settings>
    <DisallowStartIfOnBatteries>false</DisallowStartIfOnBatteries>
    <StopIfGoingOnBatteries>false</StopIfGoingOnBatteries>
    <ExecutionTimeLimit>PT0S</ExecutionTimeLimit>
  </Settings>
  <Actions Context="Owner">
    <Exec>
      <Command>{escape(program, quote=False)}</Command>
      <Arguments>{escape(subprocess.list2cmdline([*arguments, "--detach"]), quote=False)}</Arguments>
    </Exec>
  </Actions>
</Task>
"""


_WRITERS = {
    ServiceManager.SYSTEMD: systemd,
    ServiceManager.LAUNCHD: launchd,
    ServiceManager.WINDOWS: windows,
}


def _install_systemd(again: Sequence[str]) -> str:
    unit = "~/.config/systemd/user/codexapi.service"
    return (
        f"mkdir -p ~/.config/systemd/user && {shlex.join(again)} > {unit} && "
        f"systemctl --user daemon-reload && systemctl --user enable --now {NAME}"
    )


def _install_launchd(again: Sequence[str]) -> str:
    agent = "~/Library/LaunchAgents/codexapi.plist"
    return f"{shlex.join(again)} > {agent} && launchctl bootstrap gui/$(id -u) {agent}"


def _install_windows(again: Sequence[str]) -> str:
    doubled = [word.replace("'", "''") for word in again]  # as PowerShell has it
    words = " ".join(word if _PLAIN.fullmatch(word) else f"'{word}'" for word in doubled)
    return f"Register-ScheduledTask {NAME} -Xml ({words} | Out-String); Start-ScheduledTask {NAME}"


_INSTALLERS = {
    ServiceManager.SYSTEMD: _install_systemd, ServiceManager.LAUNCHD: _install_launchd,
    ServiceManager.WINDOWS: _install_windows,
}  # fmt: skip


def _check_options(options: Sequence[str]) -> Sequence[str]:
    """The options, if `serve` takes them. Raises Problem, or ends as `serve` would."""
    from .serve import app as serve  # logging and more, which only this needs

    for name, why in (
        ("--api-key", "a key would stand in the file, for all to read: use --api-key-file"),
        ("--detach", "the system sees to that"),
    ):
        if any(option.partition("=")[0] == name for option in options):
            raise Problem(f"{name}: {why}")
    context = typer.main.get_command(serve).make_context("codexapi serve", list(options))
    for name in ("state", "api_key_file"):
        if (path := context.params[name]) is not None and not Path(path).is_absolute():
            option = f"--{name.replace('_', '-')}"
            raise Problem(f"{option}: name it by its whole path: a service runs in another folder")
    return options


def _environ(environ: Mapping[str, str]) -> dict[str, str]:
    """Our settings that stand in the environment: a service has none of it. Without secrets."""
    kept = {}
    for setting, names in VARIABLES.items():
        name = next((name for name in names if environ.get(name, "").strip()), None)
        if name is None or name == "LOCALAPPDATA":  # the system's own
            continue
        if plain(setting, environ[name]) != environ[name]:
            say(f"codexapi: {name} holds a secret, and is left out: set it for the service itself")
        else:
            kept[name] = environ[name]
    return kept


def _quoted(word: str) -> str:
    """Raises Problem for what has no place in a unit."""
    if _UNWRITABLE.search(word):
        raise Problem(f"{word!r}: there is a control character in it")
    if _PLAIN.fullmatch(word):
        return word
    escaped = word.replace("\\", "\\\\").replace('"', '\\"').replace("%", "%%")
    return f'"{escaped}"'
