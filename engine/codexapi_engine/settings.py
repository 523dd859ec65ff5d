"""The settings that a user can make, read from the environment once.

The command line is not known here: it applies its flags with `dataclasses.replace`.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from . import __version__
from .bounds import CONNECT_TIMEOUT, DRAIN_TIMEOUT, IDLE_TIMEOUT, KEEP_ALIVE_INTERVAL
from .errors import InvalidRequest
from .protocol.headers import CLIENT_VERSION
from .protocol.secret import Secret
from .setting_values import (
    expand_path,
    is_loopback,
    matches_no_proxy,
    parse_no_proxy,
    parse_port,
    parse_proxy,
    parse_seconds,
    parse_token,
    parse_url,
    state_folder,
)

BASE_URL = "https://chatgpt.com/backend-api/codex"
ACCOUNTS_URL = "https://auth.openai.com/api/accounts"
PACKAGE = "codexapi-kit"
"""The name of the package. On an index it may be another's: no message installs it from there."""

INSTALL_COPY = "in the folder of your copy: uv tool install --force ."
INSTALL_KEYRING = "in the folder of your copy: pip install '.[keyring]'"

PORT = 18080
KEYS_FILE = "keys.json"
"""In the state folder: the keys of programs."""

OLLAMA_PORT = 11434
"""Where programs look for Ollama."""


def _about(
    help: str,  # noqa: A002  (the command line's word)
    *variables: str,
    parse: Callable[[str], object] = str,
    secret: bool = False,
) -> Mapping[str, Any]:
    """What a setting is, for a person; its variables, of which the first that is set wins; what
    reads one of them, and raises ValueError; and whether its value is never shown."""
    return {"help": help, "variables": variables, "parse": parse, "secret": secret}


@dataclass(frozen=True, slots=True)
class Settings:
    """Each setting once: the environment, `codexapi config`, and docs/settings.md follow."""

    codex_home: Path = field(
        default_factory=lambda: Path.home() / ".codex",
        metadata=_about("the login's folder", "CODEX_HOME", parse=expand_path),
    )
    base_url: str = field(
        default=BASE_URL, metadata=_about("the backend", "CODEXAPI_BASE_URL", parse=parse_url)
    )
    token_url: str | None = field(
        default=None,
        metadata=_about(
            "the token endpoint, in place of the login's own",
            "CODEX_REFRESH_TOKEN_URL_OVERRIDE",
            parse=parse_url,
        ),
    )
    access_token: Secret | None = field(
        default=None,
        metadata=_about(
            "an access token in place of the login",
            "CODEX_ACCESS_TOKEN",
            parse=parse_token,
            secret=True,
        ),
    )
    accounts_url: str = field(
        default=ACCOUNTS_URL,
        metadata=_about(
            "the service that names the owner of a personal access token",
            "CODEX_AUTHAPI_BASE_URL",
            parse=parse_url,
        ),
    )
    client_version: str | None = field(
        default=None,
        metadata=_about(
            "the Codex protocol version to send; none: our own, or a newer one if the model list needs it",
            "CODEXAPI_CLIENT_VERSION",
        ),
    )
    model: str | None = field(
        default=None, metadata=_about("the model where a request names none", "CODEXAPI_MODEL")
    )
    model_aliases: Mapping[str, str] = field(
        default_factory=dict, metadata=_about("other names for models: a client's name and ours")
    )
    connect_timeout: float = field(default=CONNECT_TIMEOUT, metadata=_about("seconds to connect"))
    timeout: float = field(
        default=IDLE_TIMEOUT,
        metadata=_about(
            "seconds that a backend stream may be silent", "CODEXAPI_TIMEOUT", parse=parse_seconds
        ),
    )
    keep_alive: float = field(
        default=KEEP_ALIVE_INTERVAL,
        metadata=_about("seconds of silence before a client is sent a keep-alive comment"),
    )
    drain: float = field(
        default=DRAIN_TIMEOUT,
        metadata=_about("seconds that open streams get when the server stops"),
    )
    host: str = field(
        default="127.0.0.1", metadata=_about("the address to listen on", "CODEXAPI_HOST")
    )
    port: int = field(
        default=PORT,
        metadata=_about(
            "the port to listen on; 0: any free one", "CODEXAPI_PORT", parse=parse_port
        ),
    )
    ollama_port: int | None = field(
        default=None,
        metadata=_about(
            "a port of this machine for programs that look for Ollama; none: closed",
            "CODEXAPI_OLLAMA_PORT",
            parse=parse_port,
        ),
    )
    api_key: Secret | None = field(
        default=None,
        metadata=_about(
            "a key that clients must send", "CODEXAPI_API_KEY", parse=Secret, secret=True
        ),
    )
    allow_hosts: tuple[str, ...] = field(
        default=(), metadata=_about("further names by which clients may call the server")
    )
    cors: tuple[str, ...] = field(
        default=(), metadata=_about("origins whose web pages may call the server")
    )
    max_streams: int | None = field(
        default=None, metadata=_about("backend streams at a time; none: no limit")
    )
    metrics: bool = field(default=False, metadata=_about("serve GET /metrics"))
    page: bool | None = field(
        default=None,
        metadata=_about("serve the status page"),
    )
    strict: bool = field(default=False, metadata=_about("refuse parameters that would be ignored"))
    transcribe_audio: bool = field(
        default=False, metadata=_about("transcribe audio for models that take none")
    )
    demo: bool = field(
        default=False, metadata=_about("a simulated backend, with a login of its own")
    )
    proxy: str | None = field(
        default=None,
        repr=False,
        metadata=_about("the proxy", "HTTPS_PROXY", "https_proxy", parse=parse_proxy),
    )
    no_proxy: tuple[str, ...] = field(
        default=(),
        metadata=_about(
            "hosts that are reached without the proxy", "NO_PROXY", "no_proxy", parse=parse_no_proxy
        ),
    )
    ca_file: Path | None = field(
        default=None,
        metadata=_about(
            "certificate authorities, in place of certifi's",
            "CODEX_CA_CERTIFICATE",
            "SSL_CERT_FILE",
            parse=Path,
        ),
    )
    state_dir: Path = field(
        default_factory=lambda: state_folder({}),
        metadata=_about(
            "our own state: history, logs, pictures with an address",
            "CODEXAPI_STATE_DIR",
            "XDG_STATE_HOME",
            "LOCALAPPDATA",
        ),
    )
    image_dir: Path | None = field(
        default=None,
        metadata=_about(
            "where MCP puts pictures; none: the user's own folder for them",
            "CODEXAPI_IMAGE_DIR",
            parse=expand_path,
        ),
    )
    state: Path | None = field(
        default=None,
        metadata=_about("a file that keeps stored responses over restarts; none: in memory"),
    )
    record: Path | None = field(
        default=None,
        metadata=_about("a folder for recordings of the exchanges with the backend; none: off"),
    )
    record_content: bool = field(
        default=False, metadata=_about("keep prompts and answers in recordings")
    )

    def __post_init__(self) -> None:
        """Raises InvalidRequest for a base URL that would send the login out unguarded."""
        object.__setattr__(self, "api_key", Secret.of(self.api_key))  # a flag is a text
        try:
            object.__setattr__(self, "base_url", parse_url(self.base_url))
        except ValueError as error:
            raise InvalidRequest(f"--base-url: {error}", param="base_url") from None

    @classmethod
    def from_env(cls, environ: Mapping[str, str] = os.environ) -> Settings:
        """Raises InvalidRequest, naming the variable."""
        values: dict[str, Any] = {}
        for name, variables in VARIABLES.items():
            variable = next((one for one in variables if environ.get(one, "").strip()), None)
            if variable is None:
                continue
            try:
                values[name] = _FIELDS[name].metadata["parse"](environ[variable])
            except ValueError as error:
                raise InvalidRequest(f"{variable}: {error}", param=variable) from None
        return cls(**{**values, "state_dir": state_folder(environ)})

    @property
    def protocol_version(self) -> str:
        """The user's own `client_version`, else the one that we are tested with, which the
        catalogue may raise."""
        return self.client_version or CLIENT_VERSION

    @property
    def usage_url(self) -> str:
        """The usage endpoint's URL; it stands beside the backend's."""
        root, mark, _ = self.base_url.partition("/backend-api")
        if mark:
            return f"{root}/backend-api/wham/usage"
        parts = urlsplit(self.base_url)
        return f"{parts.scheme}://{parts.netloc}/api/codex/usage"

    @property
    def transcription_url(self) -> str:
        """The transcription endpoint, which stands beside the backend's too."""
        root, mark, _ = self.base_url.partition("/backend-api")
        if not mark:
            parts = urlsplit(self.base_url)
            root = f"{parts.scheme}://{parts.netloc}"
        return f"{root}/backend-api/transcribe"

    @property
    def serves_page(self) -> bool:
        """Whether the server has its status page and what that reads."""
        return is_loopback(self.host) if self.page is None else self.page

    @property
    def foreign(self) -> bool:
        """Whether the login's token goes to a host that is neither OpenAI's nor this machine."""
        host = urlsplit(self.base_url).hostname or ""
        own = host in ("chatgpt.com", "openai.com") or host.endswith(
            (".chatgpt.com", ".openai.com")
        )
        return not own and not is_loopback(host)

    def proxy_for(self, url: str) -> str | None:
        """The proxy on the way to `url`. Loopback is never proxied."""
        parts = urlsplit(url)
        host = (parts.hostname or "").removesuffix(".")
        if self.proxy is None or is_loopback(host):
            return None
        port = parts.port or (443 if parts.scheme == "https" else 80)
        if any(matches_no_proxy(entry, host, port) for entry in self.no_proxy):
            return None
        return self.proxy


_FIELDS = {one.name: one for one in fields(Settings)}
VARIABLES: Mapping[str, tuple[str, ...]] = {
    name: one.metadata["variables"] for name, one in _FIELDS.items() if one.metadata["variables"]
}
"""What each setting is read from, the first that is set."""

SECRETS = frozenset(name for name, one in _FIELDS.items() if one.metadata["secret"])


LOGINS = "login"
"""In `state_dir`, the folder with one for each CODEX_HOME that does not take all of its own."""


def private_folder(folder: Path) -> Path:
    """Makes a folder with mode 0700, and likewise those above that are missing.
    Raises OSError."""
    if not folder.is_dir():
        private_folder(folder.parent)
        folder.mkdir(mode=0o700, exist_ok=True)
    return folder


def proxy_text(url: str) -> str:
    """A proxy's URL without its login."""
    parts = urlsplit(url)
    if not (parts.username or parts.password):
        return url
    return f"{parts.scheme}://(login left out)@{parts.netloc.rpartition('@')[2]}"


def user_agent() -> str:
    if sys.platform == "win32":
        import platform  # which other systems' own call is without

        system, _, release, _, machine, _ = platform.uname()
    else:
        system, _, release, _, machine = os.uname()
    python = sys.version.partition(" ")[0]
    return f"codexapi/{__version__} ({system} {release}; {machine}) Python/{python}"
