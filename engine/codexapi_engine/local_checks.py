"""What can be seen of this machine's set-up without a network, each finding with its fix."""

from __future__ import annotations

import os
import shutil
import ssl
import stat
import sys
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path
from urllib.parse import urlsplit

from .check import OK, PROBLEM, WARNING, Check
from .codex_config import codex_config
from .errors import LoginNotWritable
from .login.keyring_store import UNAVAILABLE
from .login.location import ANOTHER_TOKEN, STORE, STORES
from .login.login_hint import CODEX, INSTALL, MAKE_WRITABLE
from .protocol.auth_file import LOGIN_HINT
from .settings import INSTALL_KEYRING, Settings, proxy_text


def local_checks(chosen: Settings) -> Iterator[Check]:
    """What can be seen without asking anyone or changing anything: in a millisecond."""
    yield from ways(chosen)
    yield state_folder(chosen)
    if not chosen.demo:
        yield official()
        yield login_store(chosen)
    yield from login_file(chosen)


def ways(chosen: Settings) -> Iterator[Check]:
    """Where the requests go, and through what."""
    if chosen.demo:
        yield Check("backend address", OK, "the simulated backend (--demo)")
        return
    if chosen.foreign:
        fix = "unset CODEXAPI_BASE_URL, unless that host is yours: it gets your access token"
        yield Check("backend address", WARNING, f"{chosen.base_url} is not OpenAI's", fix)
    else:
        yield Check("backend address", OK, chosen.base_url)
    host = urlsplit(chosen.base_url).hostname
    if proxy := chosen.proxy_for(chosen.base_url):
        yield Check("proxy", OK, f"{host} is reached through {proxy_text(proxy)}")
    else:
        kept = f"; {proxy_text(chosen.proxy)} is not used for it" if chosen.proxy else ""
        yield Check("proxy", OK, f"none on the way to {host}{kept}")
    if chosen.ca_file is not None:
        yield _authorities(chosen.ca_file)


def _authorities(path: Path) -> Check:
    try:
        ssl.create_default_context(cafile=str(path))
    except OSError as error:
        fix = "point CODEX_CA_CERTIFICATE or SSL_CERT_FILE at a PEM file, or unset it"
        return Check("certificates", PROBLEM, f"{path} cannot be read: {error}", fix)
    return Check("certificates", OK, str(path))


def state_folder(chosen: Settings) -> Check:
    folder = chosen.state_dir
    try:
        mode = folder.stat().st_mode
    except FileNotFoundError:
        return Check("state folder", OK, f"{folder} (made when it is needed)")
    except OSError as error:
        return Check(
            "state folder", PROBLEM, f"{folder}: {error.strerror}", "set CODEXAPI_STATE_DIR"
        )
    if not stat.S_ISDIR(mode) or not os.access(folder, os.W_OK | os.X_OK):
        fix = f"make {folder} a folder of yours, or set CODEXAPI_STATE_DIR"
        return Check("state folder", PROBLEM, f"{folder} cannot be written to", fix)
    return _private("state folder", folder, mode, "700")


def _private(name: str, path: Path, mode: int, wanted: str) -> Check:
    if os.name == "posix" and stat.S_IMODE(mode) & 0o077:
        text = f"others may look into {path} (mode {stat.S_IMODE(mode):o})"
        return Check(name, WARNING, text, f"chmod {wanted} {path}")
    return Check(name, OK, str(path))


def official() -> Check:
    program = shutil.which(CODEX)
    if program is None:
        text = "the official client is not on PATH: it alone can log in"
        return Check("codex", WARNING, text, INSTALL)
    return Check("codex", OK, program)


def login_store(chosen: Settings) -> Check:
    """Where the login is looked for, by the environment and by Codex's own config."""
    if chosen.access_token is not None:
        return Check("login store", OK, "CODEX_ACCESS_TOKEN")
    kind = codex_config(chosen).get(STORE, "file")
    if kind in ("keyring", "auto") and find_spec("keyring") is None:
        state = PROBLEM if kind == "keyring" else WARNING  # `auto` looks into the file then
        text = f"Codex's config.toml says {kind}, and nothing here can read a keyring"
        return Check("login store", state, text, INSTALL_KEYRING)
    if kind not in STORES:
        text = f"Codex's config.toml has a {STORE} that is not known here: auth.json is read"
        return Check("login store", WARNING, text)
    return Check("login store", OK, f"{kind}, in {chosen.codex_home}" if kind == "file" else kind)


def login_file(chosen: Settings) -> Iterator[Check]:
    """The owner and mode of the login's file. Other checks read its content."""
    path = chosen.codex_home / "auth.json"
    if chosen.demo:
        return
    try:
        status = path.stat()
    except OSError:  # none, or none to be seen: the finding of the login says so
        return
    if sys.platform != "win32" and status.st_uid != os.geteuid():
        text = f"{path} belongs to another user (uid {status.st_uid})"
        yield Check("login file", WARNING, text, f"sudo chown $(id -u) {path}")
    else:
        yield _private("login file", path, status.st_mode, "600")


def login_remedy(chosen: Settings, code: str | None) -> str:
    """What helps where a login is missing or refused. A new login helps only where it is used."""
    if chosen.access_token is not None:
        return ANOTHER_TOKEN.replace(LOGIN_HINT, "run codexapi login")
    if code == LoginNotWritable.code:
        return MAKE_WRITABLE
    if code == UNAVAILABLE:
        return f'set {STORE} = "file" in Codex\'s config.toml, and then codexapi login'
    return "codexapi login"
