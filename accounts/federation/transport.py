"""One bounded HTTP exchange with a provider: no redirect, one deadline, a size limit, no proxy.

httpx bounds each step; a provider that drips its answer takes many. So the deadline sits below,
where each read of the socket gets only what is left of it.
"""

import ipaddress
import ssl
import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any

import httpcore
import httpx

from accounts.errors import FederationRefused
from batchtokens_verifier.canonical import parse_json
from batchtokens_verifier.errors import InvalidOperation

CONNECT_SECONDS = 3.0
TOTAL_SECONDS = 10.0  # save what the system's own resolver takes for a name
MAX_ANSWER_BYTES = 131_072
# Behind them stands the IPv4 address of the last 32 bits: RFC 6052 section 2.1, RFC 8215, RFC 4291
# section 2.5.5.1.  A gateway may lead from the first two into the operator's own network.
TRANSLATED = tuple(map(ipaddress.IPv6Network, ("64:ff9b::/96", "64:ff9b:1::/48", "::/96")))


@dataclass(frozen=True, slots=True)
class Answer:
    """A whole answer.  `from_public`: whether its sender's address is one of the public network."""

    status: int
    body: bytes
    from_public: bool

    def json(self) -> Any:
        """Return what a good answer holds.

        Raises FederationRefused.
        """
        if self.status != httpx.codes.OK:  # a redirect is no answer either
            raise FederationRefused(f"status {self.status}")
        try:
            return parse_json(self.body, max_bytes=MAX_ANSWER_BYTES)
        except InvalidOperation:
            raise FederationRefused("not JSON") from None

    def members(self) -> dict[str, Any]:
        """Return the members of the object that a good answer is.

        Raises FederationRefused.
        """
        value = self.json()
        if not isinstance(value, dict):
            raise FederationRefused("no JSON object")
        return value


def exchange(
    method: str,
    url: str,
    *,
    headers: Mapping[str, str] | None = None,
    form: str | None = None,
    public_only: bool = False,
) -> Answer:
    """Send one request and read its answer.  form: the urlencoded body.

    public_only: speak to no private address, whatever the name resolves to.
    Raises FederationRefused when it fails, takes too long or is too large.
    """
    line = _Line(public_only=public_only)
    # Never compressed: a small answer could unfold into a large one.
    sent = {"Accept": "application/json", "Accept-Encoding": "identity"} | dict(headers or {})
    if form is not None:
        sent["Content-Type"] = "application/x-www-form-urlencoded"
    try:
        with (
            _client(line) as http,
            http.stream(method, url, headers=sent, content=form) as response,
        ):
            return Answer(response.status_code, _read(response), line.is_public)
    # Names that cannot be encoded, and sockets that are gone, come as themselves through httpx.
    except (httpx.HTTPError, httpx.InvalidURL, UnicodeError, OSError):
        raise FederationRefused("no answer") from None


def _client(line: "_Line") -> httpx.Client:
    return httpx.Client(
        transport=_Transport(line),
        timeout=httpx.Timeout(TOTAL_SECONDS, connect=CONNECT_SECONDS),
        follow_redirects=False,
        trust_env=False,
    )


def _read(response: httpx.Response) -> bytes:
    if response.headers.get("Content-Encoding", "identity") != "identity":
        raise FederationRefused("compressed answer")
    body = b""
    for piece in response.iter_raw():
        body += piece
        if len(body) > MAX_ANSWER_BYTES:
            raise FederationRefused("answer too long")
    return body


@cache
def _tls() -> ssl.SSLContext:
    return httpx.create_ssl_context(trust_env=False)


class _Transport(httpx.HTTPTransport):
    """httpx's own, over our lines.  It lets no backend in, so its pool is replaced."""

    def __init__(self, line: "_Line") -> None:
        super().__init__(verify=_tls(), trust_env=False)
        self._pool = httpcore.ConnectionPool(ssl_context=_tls(), network_backend=line)


class _Line(httpcore.SyncBackend):
    """Opens connections that end at one deadline, and looks at whom it has reached."""

    def __init__(self, *, public_only: bool) -> None:
        self.is_public = False
        self._public_only = public_only
        self._deadline = time.monotonic() + TOTAL_SECONDS

    def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Iterable[httpcore.SOCKET_OPTION] | None = None,
    ) -> httpcore.NetworkStream:
        """Connect; the address that answered decides, so no second look-up can change it."""
        stream = super().connect_tcp(host, port, timeout, local_address, socket_options)
        self.is_public = is_public(stream.get_extra_info("server_addr")[0])
        if self._public_only and not self.is_public:
            stream.close()
            raise httpcore.ConnectError("a private address")
        return _Bounded(stream, self._deadline)


class _Bounded(httpcore.NetworkStream):
    """A connection of which no step outlasts the deadline."""

    def __init__(self, stream: httpcore.NetworkStream, deadline: float) -> None:
        self._stream = stream
        self._deadline = deadline

    def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        """Read what is there."""
        return self._stream.read(max_bytes, self._left())

    def write(self, buffer: bytes, timeout: float | None = None) -> None:
        """Send all of it."""
        self._stream.write(buffer, self._left())

    def close(self) -> None:
        """Hang up."""
        self._stream.close()

    def start_tls(
        self,
        ssl_context: ssl.SSLContext,
        server_hostname: str | None = None,
        timeout: float | None = None,
    ) -> httpcore.NetworkStream:
        """Shake hands."""
        over_tls = self._stream.start_tls(ssl_context, server_hostname, self._left())
        return _Bounded(over_tls, self._deadline)

    def get_extra_info(self, info: str) -> Any:
        """Ask the connection below."""
        return self._stream.get_extra_info(info)

    def _left(self) -> float:
        left = self._deadline - time.monotonic()
        if left <= 0:
            raise httpcore.ReadTimeout("the deadline has passed")
        return left


def is_public(address: str) -> bool:
    """Say whether an address is one of the public network, whichever clothes it wears."""
    found = ipaddress.ip_address(address.partition("%")[0])
    if isinstance(found, ipaddress.IPv6Address):
        found = found.ipv4_mapped or found.sixtofour or _translated(found) or found
    return found.is_global and not found.is_multicast


def _translated(address: ipaddress.IPv6Address) -> ipaddress.IPv4Address | None:
    """Return whom a gateway would make of it."""
    if not any(address in network for network in TRANSLATED):
        return None
    return ipaddress.IPv4Address(int(address) & 0xFFFFFFFF)
