"""Downloads the pictures that a client names by URL, which the backend does not fetch itself.

The URL is untrusted input and must not lead into the user's own network: https only, every
address of the name public, the connection made to the address that was checked, and a redirect
checked like the first URL. Only the size of a picture is known here, not its format.
"""

from __future__ import annotations

import asyncio
import ipaddress
import socket
from collections.abc import Awaitable, Callable, Sequence
from functools import partial
from urllib.parse import urljoin, urlsplit

from ..bounds import CONNECT_TIMEOUT, FETCH_TIMEOUT, MAX_FILE_BYTES, MAX_REDIRECTS
from ..errors import CodexError, InvalidRequest
from ..http.body import read_body
from ..http.client import connect
from ..http.errors import translate_errors
from ..http.failures import HttpFailure
from ..http.messages import HttpRequest, HttpResponse, HttpTransport, Timeouts, Url
from ..http.resolver import Resolver
from ..settings import Settings, user_agent
from .processing import Input

_REDIRECTS = (301, 302, 303, 307, 308)
_NAT64 = ipaddress.ip_network("64:ff9b::/96")

Resolve = Callable[[str, int], Awaitable[Sequence[str]]]
"""The addresses of a name. Raises OSError."""


class Fetcher:
    """Gets pictures from public https addresses. Close it at the end.

    `resolve` and `http` replace the network, for tests.
    """

    def __init__(
        self,
        settings: Settings,
        *,
        resolve: Resolve | None = None,
        http: HttpTransport | None = None,
        max_bytes: int = MAX_FILE_BYTES,
        seconds: float = FETCH_TIMEOUT,
    ) -> None:
        self._settings = settings
        self._resolve = resolve or _resolved
        self._http = http
        self._max_bytes = max_bytes
        self._seconds = seconds

    async def fetch(self, url: str, *, param: str) -> Input:
        """Raises InvalidRequest, naming `param`."""
        try:
            async with asyncio.timeout(self._seconds):
                return Input(param, await self._following(url))
        except TimeoutError:
            why = f"it took longer than {self._seconds:g} s"
        except socket.gaierror as error:
            why = f"its name cannot be resolved ({error.args[-1]})"
        except (FetchRefused, OSError) as error:
            why = str(error)
        except CodexError as error:
            why = error.message
        raise InvalidRequest(
            f"The picture in '{param}' could not be fetched: {why}.",
            code="invalid_image_url",
            param=param,
        )

    async def aclose(self) -> None:
        if self._http is not None:
            await self._http.aclose()

    async def _following(self, url: str) -> bytes:
        for _ in range(MAX_REDIRECTS + 1):
            response = await self._send(url)
            try:
                location = response.headers.get("location")
                if response.status in _REDIRECTS and location is not None:
                    url = urljoin(url, location)
                    continue
                return await self._read_body(response)
            finally:
                await response.aclose()
        raise FetchRefused(f"it was redirected more than {MAX_REDIRECTS} times")

    async def _send(self, url: str) -> HttpResponse:
        name, port = _parse_url(url)
        addresses = await self._resolve(name, port)
        if not addresses or not all(map(public, addresses)):
            # The same message for every name: the addresses of the user's network stay private.
            raise FetchRefused(f"{name} is not a public address")
        named = Url.parse(url.partition("#")[0])
        server = named.server._replace(
            host=addresses[0], name=name
        )  # the certificate is the name's
        headers = {
            "host": name if port == 443 else f"{name}:{port}",
            "user-agent": user_agent(),
            "accept": "*/*",
            "accept-encoding": "identity",
        }
        timeouts = Timeouts(CONNECT_TIMEOUT, self._seconds, self._seconds)
        if self._http is None:
            self._http = connect(self._settings, "https://example.org")
        with translate_errors():
            return await self._http.send(
                HttpRequest("GET", named._replace(server=server), headers, timeouts=timeouts)
            )

    async def _read_body(self, response: HttpResponse) -> bytes:
        if response.status != 200:
            raise FetchRefused(f"the answer was a {response.status}")
        if response.headers.get("content-encoding", "identity") != "identity":
            raise FetchRefused("it came compressed, unasked")
        length = response.headers.get("content-length", "")
        too_large = partial(FetchRefused, f"it has over {self._max_bytes >> 20} MB")
        if length.isdecimal() and int(length) > self._max_bytes:
            raise too_large()
        return await read_body(response, limit=self._max_bytes, too_large=too_large)


class FetchRefused(Exception):
    """Why there will be no picture."""


def public(address: str) -> bool:
    """Whether an address is out on the internet, and leads nowhere else."""
    try:
        found = ipaddress.ip_address(address.partition("%")[0])
    except ValueError:
        return False
    if isinstance(found, ipaddress.IPv6Address):
        if found.ipv4_mapped is not None:
            return public(str(found.ipv4_mapped))
        if found in _NAT64:
            return public(str(ipaddress.IPv4Address(int(found) & 0xFFFFFFFF)))
        if found.sixtofour is not None or found.teredo is not None or found.is_site_local:
            return False
    return found.is_global and not (found.is_multicast or found.is_reserved)


def _parse_url(url: str) -> tuple[str, int]:
    """Name and port of a URL. Raises _Refused."""
    try:
        parts = urlsplit(url)
        name, port = parts.hostname or "", parts.port or 443
        name = name if name.isascii() else name.encode("idna").decode()
        if parts.scheme == "https" and name:
            Url.parse(url.partition("#")[0])
    except (ValueError, HttpFailure):
        raise FetchRefused("its address cannot be read") from None
    if parts.scheme != "https" or not name:
        raise FetchRefused("its address does not begin with https://")
    if parts.username is not None or parts.password is not None:
        raise FetchRefused("its address has a user name in it")
    return name, port


async def _resolved(name: str, port: int) -> list[str]:
    found = await Resolver().addresses(name, port)
    return [str(address[0]) for _, _, _, _, address in found]
