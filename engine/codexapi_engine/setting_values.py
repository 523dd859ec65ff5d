"""Parsers of setting values: each raises a ValueError that names the fix."""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Mapping
from ipaddress import IPv4Address, IPv6Address, ip_address, ip_network
from pathlib import Path
from urllib.parse import urlsplit

from .protocol.secret import Secret

_LOOPBACK = ("localhost", "::1")


_HOST = r"[a-z0-9_](?:[a-z0-9._-]*[a-z0-9_])?|\[?[0-9a-f]*:[0-9a-f]*:[0-9a-f:.]*\]?"


def state_folder(environ: Mapping[str, str], system: str = sys.platform) -> Path:
    """Where we keep what outlives us: the platform's place for that, unless the user has one."""
    if own := environ.get("CODEXAPI_STATE_DIR"):
        return expand_path(own)
    if system == "darwin":
        return Path.home() / "Library" / "Application Support" / "codexapi"
    if system == "win32":
        local = environ.get("LOCALAPPDATA")
        return (Path(local) if local else Path.home() / "AppData" / "Local") / "codexapi"
    xdg = environ.get("XDG_STATE_HOME", "")
    # The specification: a path that is not absolute is ignored.
    base = Path(xdg) if os.path.isabs(xdg) else Path.home() / ".local" / "state"
    return base / "codexapi"


def parse_url(url: str) -> str:
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


def parse_proxy(url: str) -> str:
    """A proxy's URL; `host:port` is an http one. Its text is in no error: it may have a password."""
    url = url.strip() if "://" in url else f"http://{url.strip()}"
    parts = urlsplit(url)
    if parts.scheme not in ("http", "https") or not parts.hostname or parts.port == 0:
        raise ValueError("a proxy is http://HOST:PORT or https://HOST:PORT")
    return url


def parse_port(text: str) -> int:
    if not text.strip().isdecimal() or not 0 <= int(text) <= 65535:
        raise ValueError(f"{text} is not a port: expected 0 to 65535")
    return int(text)


def parse_seconds(text: str) -> float:
    seconds = float(text)
    if not 0 < seconds < float("inf"):
        raise ValueError(f"{text} is not a number of seconds above 0")
    return seconds


def parse_token(text: str) -> Secret:
    token = text.strip()
    if not (token.isascii() and token.isprintable()):
        raise ValueError("a token has printable ASCII characters alone")
    return Secret(token)


def parse_alias(text: str) -> tuple[str, str]:
    """`NAME=MODEL`, for clients whose model names are built in."""
    name, mark, model = (part.strip() for part in text.partition("="))
    if not (name and mark and model):
        raise ValueError(f"{text} is not NAME=MODEL, as in gpt-4o=gpt-6-luna")
    return name, model


def parse_host(text: str) -> str:
    """A name by which clients call a server, without a port."""
    name = text.strip().lower()
    if not re.fullmatch(_HOST, name):
        raise ValueError(f"{text} is not a host name: expected one without scheme and port")
    return name


def parse_origin(text: str) -> str:
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


def expand_path(text: str) -> Path:
    """A `~` of an unknown user stays as it is; `Path.expanduser` would raise an error."""
    return Path(os.path.expanduser(text))


def parse_no_proxy(text: str) -> tuple[str, ...]:
    """The entries of NO_PROXY. What is under a name goes with it, as in `.x` and `*.x`."""
    return tuple(
        entry.removeprefix("*.").lstrip(".").lower()
        for entry in re.split(r"[,\s]+", text)
        if entry.strip(".")
    )


def matches_no_proxy(entry: str, host: str, port: int) -> bool:
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
