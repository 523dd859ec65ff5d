"""What the user can set, read from the environment once.

Knows nothing of the command line: a flag is laid over with `dataclasses.replace`.
"""

from __future__ import annotations

import os
import platform
import re
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from ipaddress import IPv4Address, IPv6Address, ip_address, ip_network
from pathlib import Path
from typing import TypeVar
from urllib.parse import urlsplit

from . import __version__
from .errors import InvalidRequest
from .protocol.headers import CLIENT_VERSION
from .protocol.secret import Secret

BASE_URL = "https://chatgpt.com/backend-api/codex"
ACCOUNTS_URL = "https://auth.openai.com/api/accounts"
PORT = 18080
_LOOPBACK = ("localhost", "::1")
_HOST = re.compile(r"[a-z0-9_](?:[a-z0-9._-]*[a-z0-9_])?|\[?[0-9a-f]*:[0-9a-f]*:[0-9a-f:.]*\]?")

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Settings:
    codex_home: Path = field(default_factory=lambda: Path.home() / ".codex")
    base_url: str = BASE_URL
    token_url: str | None = None  # replaces the login's own token endpoint
    access_token: Secret | None = None  # in place of the login on disk
    accounts_url: str = ACCOUNTS_URL  # tells whose a personal access token is
    client_version: str | None = None  # the Codex protocol version to name; None: ours, or newer
    model: str | None = None
    model_aliases: Mapping[str, str] = field(default_factory=dict)  # a client's name -> ours
    connect_timeout: float = 10.0  # seconds
    timeout: float = 300.0  # seconds a backend stream may be silent
    keep_alive: float = 10.0  # seconds of silence before a client hears a comment
    drain: float = 5.0  # seconds that running streams get at shutdown
    host: str = "127.0.0.1"
    port: int = PORT
    api_key: Secret | None = None
    allow_hosts: tuple[str, ...] = ()  # further names by which clients may call the server
    cors: tuple[str, ...] = ()  # origins whose web pages may call the server
    max_streams: int | None = None  # runs at the backend at a time; None: as many as are asked for
    metrics: bool = False  # GET /metrics
    strict: bool = False  # refuse what would be ignored
    demo: bool = False  # the simulated backend, and a login of its own
    proxy: str | None = field(default=None, repr=False)  # may carry a password
    no_proxy: tuple[str, ...] = ()
    ca_file: Path | None = None
    state_dir: Path = field(default_factory=lambda: state_folder({}))
    image_dir: Path | None = None  # where MCP puts pictures; None: the user's own folder for them
    state: Path | None = None  # the file that keeps what clients store; None: in memory

    def __post_init__(self) -> None:
        """Raises InvalidRequest for a base URL that would send the login out unguarded."""
        object.__setattr__(self, "api_key", Secret.of(self.api_key))  # a flag is a text
        try:
            object.__setattr__(self, "base_url", checked_url(self.base_url))
        except ValueError as error:
            raise InvalidRequest(f"--base-url: {error}", param="base_url") from None

    @classmethod
    def from_env(cls, environ: Mapping[str, str] = os.environ) -> Settings:
        """Raises InvalidRequest, naming the variable."""
        given = {name: value for name, value in environ.items() if value.strip()}

        def read(name: str, parse: Callable[[str], T], otherwise: T) -> T:
            if name not in given:
                return otherwise
            try:
                return parse(given[name])
            except ValueError as error:
                raise InvalidRequest(f"{name}: {error}", param=name) from None

        ca_file = given.get("CODEX_CA_CERTIFICATE") or given.get("SSL_CERT_FILE")
        home, image_dir = given.get("CODEX_HOME"), given.get("CODEXAPI_IMAGE_DIR")
        return cls(
            codex_home=_path(home) if home else Path.home() / ".codex",
            base_url=read("CODEXAPI_BASE_URL", checked_url, BASE_URL),
            token_url=read("CODEX_REFRESH_TOKEN_URL_OVERRIDE", checked_url, None),
            access_token=read("CODEX_ACCESS_TOKEN", checked_token, None),
            accounts_url=read("CODEX_AUTHAPI_BASE_URL", checked_url, ACCOUNTS_URL),
            client_version=given.get("CODEXAPI_CLIENT_VERSION"),
            model=given.get("CODEXAPI_MODEL"),
            timeout=read("CODEXAPI_TIMEOUT", checked_seconds, 300.0),
            host=given.get("CODEXAPI_HOST", "127.0.0.1"),
            port=read("CODEXAPI_PORT", checked_port, PORT),
            api_key=Secret.of(given.get("CODEXAPI_API_KEY")),
            proxy=read("HTTPS_PROXY", checked_proxy, read("https_proxy", checked_proxy, None)),
            no_proxy=_names(given.get("NO_PROXY") or given.get("no_proxy") or ""),
            ca_file=Path(ca_file) if ca_file else None,
            state_dir=state_folder(given),
            image_dir=_path(image_dir) if image_dir else None,
        )

    @property
    def protocol_version(self) -> str:
        """The user's own `client_version`, else the one that we are tested with, which the
        catalogue may raise."""
        return self.client_version or CLIENT_VERSION

    @property
    def usage_url(self) -> str:
        """The usage endpoint stands beside the backend's (backend.md G)."""
        root, mark, _ = self.base_url.partition("/backend-api")
        if mark:
            return f"{root}/backend-api/wham/usage"
        parts = urlsplit(self.base_url)
        return f"{parts.scheme}://{parts.netloc}/api/codex/usage"

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
        if any(_names_host(entry, host, port) for entry in self.no_proxy):
            return None
        return self.proxy


def state_folder(environ: Mapping[str, str], system: str = sys.platform) -> Path:
    """Where we keep what outlives us: the platform's place for that, unless the user has one."""
    if own := environ.get("CODEXAPI_STATE_DIR"):
        return _path(own)
    if system == "darwin":
        return Path.home() / "Library" / "Application Support" / "codexapi"
    if system == "win32":
        local = environ.get("LOCALAPPDATA")
        return (Path(local) if local else Path.home() / "AppData" / "Local") / "codexapi"
    xdg = environ.get("XDG_STATE_HOME", "")
    # The specification: a path that is not absolute is to be ignored.
    base = Path(xdg) if os.path.isabs(xdg) else Path.home() / ".local" / "state"
    return base / "codexapi"


def private_folder(folder: Path) -> Path:
    """Makes a folder that nobody else may look into, and likewise those above that are missing.
    Raises OSError."""
    if not folder.is_dir():
        private_folder(folder.parent)
        folder.mkdir(mode=0o700, exist_ok=True)
    return folder


def user_agent() -> str:
    system = f"{platform.system()} {platform.release()}; {platform.machine()}"
    return f"codexapi/{__version__} ({system}) Python/{platform.python_version()}"


def checked_url(url: str) -> str:
    """A base URL without its last slash. Raises ValueError unless it is https or loopback."""
    parts = urlsplit(url.strip())
    if parts.username or parts.password or parts.query or parts.fragment:
        raise ValueError("a base URL has no password, query or fragment")
    host, _ = parts.hostname or "", parts.port  # a port that is none raises
    if not url.strip().isprintable() or " " in url.strip():
        raise ValueError("a base URL has no spaces or control characters")
    if host and (parts.scheme == "https" or (parts.scheme == "http" and is_loopback(host))):
        return url.strip().rstrip("/")
    raise ValueError(
        f"{url} is neither https nor on this machine: the login would travel unguarded"
    )


def checked_proxy(url: str) -> str:
    """A proxy's URL; `host:port` is an http one. Its text is in no error: it may have a password."""
    url = url.strip() if "://" in url else f"http://{url.strip()}"
    parts = urlsplit(url)
    if parts.scheme not in ("http", "https") or not parts.hostname or parts.port == 0:
        raise ValueError("a proxy is http://HOST:PORT or https://HOST:PORT")
    return url


def checked_port(text: str) -> int:
    if not text.strip().isdecimal() or not 0 <= int(text) <= 65535:
        raise ValueError(f"{text} is not a port: expected 0 to 65535")
    return int(text)


def checked_seconds(text: str) -> float:
    seconds = float(text)
    if not 0 < seconds < float("inf"):
        raise ValueError(f"{text} is not a number of seconds above 0")
    return seconds


def checked_token(text: str) -> Secret:
    token = text.strip()
    if not (token.isascii() and token.isprintable()):
        raise ValueError("a token has printable ASCII characters alone")
    return Secret(token)


def checked_alias(text: str) -> tuple[str, str]:
    """`NAME=MODEL`, for clients whose model names are built in."""
    name, mark, model = (part.strip() for part in text.partition("="))
    if not (name and mark and model):
        raise ValueError(f"{text} is not NAME=MODEL, as in gpt-4o=gpt-6-luna")
    return name, model


def checked_host(text: str) -> str:
    """A name by which clients call a server, without a port."""
    name = text.strip().lower()
    if not _HOST.fullmatch(name):
        raise ValueError(f"{text} is not a host name: expected one without scheme and port")
    return name


def checked_origin(text: str) -> str:
    """`https://chat.example`, as browsers say where a web page is from."""
    parts = urlsplit(text.strip().lower())
    origin, _ = f"{parts.scheme}://{parts.netloc}", parts.port  # a port that is none raises
    if not parts.scheme or not parts.hostname or parts.username or text.strip().lower() != origin:
        raise ValueError(
            f"{text} is not an origin: expected SCHEME://HOST[:PORT], as in http://localhost:3000"
        )
    return origin


def is_loopback(host: str) -> bool:
    return host in _LOOPBACK or (host.startswith("127.") and host.replace(".", "").isdecimal())


def _path(text: str) -> Path:
    """A `~` of somebody unknown stays as it is, of which `Path.expanduser` would make an error."""
    return Path(os.path.expanduser(text))


def _names(text: str) -> tuple[str, ...]:
    """The entries of NO_PROXY. What is under a name goes with it, as in `.x` and `*.x`."""
    return tuple(
        entry.removeprefix("*.").lstrip(".").lower()
        for entry in re.split(r"[,\s]+", text)
        if entry.strip(".")
    )


def _names_host(entry: str, host: str, port: int) -> bool:
    """Whether an entry of NO_PROXY stands for a host, as curl reads it: `*`, a name with all that
    is under it, an address or a network; and, as others do, one with a port."""
    name, mark, number = entry.rpartition(":")
    if mark and number.isdecimal() and (":" not in name or name.endswith("]")):
        if int(number[:6]) != port:
            return False
        entry = name
    entry = entry.replace("[", "").replace("]", "").removesuffix(".")
    address = _address(host)
    if entry == "*":
        return True
    if address is None:
        return bool(entry) and (host == entry or host.endswith("." + entry))
    try:
        return address in ip_network(entry, strict=False)
    except ValueError:
        return False


def _address(host: str) -> IPv4Address | IPv6Address | None:
    try:
        return ip_address(host)
    except ValueError:
        return None
