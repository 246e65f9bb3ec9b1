"""One bounded HTTP exchange with the authority: no redirects, a deadline, a size limit.

Both forms, for threads and for event loops, differ in nothing but who waits.
"""

import asyncio
import ipaddress
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit

import httpx

from batchtokens_verifier.errors import AuthorityUnavailable

TIMEOUT_SECONDS = 5.0
DEADLINE_SECONDS = 15.0
MAX_ANSWER_BYTES = 262_144


@dataclass(frozen=True, slots=True)
class Answer:
    """Status and body of an HTTP response. etag: as sent, empty without."""

    status: int
    body: bytes
    etag: str = ""


def check_url(url: str) -> str:
    """Return `url` if it is https, or http to this machine.

    Raises ValueError: a credential never travels in the clear.
    """
    parts = urlsplit(url)
    if parts.scheme == "https" and parts.hostname:
        return url
    if parts.scheme == "http" and _is_loopback(parts.hostname or ""):
        return url
    raise ValueError("the authority's URL is https, or http to a loopback address")


def _is_loopback(host: str) -> bool:
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


@dataclass(frozen=True, slots=True)
class Request:
    """What is asked of the authority. max_bytes: of its answer.

    timeout: seconds to connect, and between two pieces of the answer; deadline: for all of it.
    """

    method: str
    url: str
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes | None = None
    max_bytes: int = MAX_ANSWER_BYTES
    timeout: float = TIMEOUT_SECONDS
    deadline: float = DEADLINE_SECONDS

    def content(self) -> dict[str, Any]:
        """Return httpx's arguments."""
        # Never compressed: a small answer could unfold into a large one.
        headers = {"Accept": "application/json", "Accept-Encoding": "identity"}
        return {
            "method": self.method,
            "url": self.url,
            "headers": headers | dict(self.headers),
            "content": self.body,
            "timeout": self.timeout,
        }


class _Body:
    """Collects an answer within its bounds.

    For threads, what bounds the headers is only the step's timeout, and the 100 kB that h11 takes:
    the authority is trusted not to drip them.
    """

    def __init__(self, request: Request) -> None:
        self._max_bytes = request.max_bytes
        self._deadline = time.monotonic() + request.deadline
        self._pieces: list[bytes] = []
        self._length = 0

    def begin(self, response: httpx.Response) -> None:
        if response.headers.get("Content-Encoding", "identity") != "identity":
            raise AuthorityUnavailable("The authority's answer is compressed.")

    def add(self, piece: bytes) -> None:
        self._pieces.append(piece)
        self._length += len(piece)
        if self._length > self._max_bytes:
            raise AuthorityUnavailable("The authority's answer is too long.")
        if time.monotonic() > self._deadline:
            raise AuthorityUnavailable("The authority's answer took too long.")

    def answer(self, response: httpx.Response) -> Answer:
        etag = response.headers.get("ETag", "")
        return Answer(response.status_code, b"".join(self._pieces), etag)


def exchange(
    http: httpx.Client, request: Request, *, auth: httpx.BasicAuth | None = None
) -> Answer:
    """Send one request and read its whole answer.

    Raises AuthorityUnavailable when that fails, takes too long or is too large.
    """
    body = _Body(request)
    sent = http.build_request(**request.content())
    try:
        response = http.send(sent, auth=auth, stream=True, follow_redirects=False)
        try:
            body.begin(response)
            for piece in response.iter_bytes():
                body.add(piece)
        finally:
            response.close()
    except httpx.HTTPError:
        raise AuthorityUnavailable from None
    return body.answer(response)


async def exchange_async(
    http: httpx.AsyncClient, request: Request, *, auth: httpx.BasicAuth | None = None
) -> Answer:
    """Do as `exchange` does, without blocking the event loop."""
    body = _Body(request)
    sent = http.build_request(**request.content())
    try:
        async with asyncio.timeout(request.deadline):
            response = await http.send(sent, auth=auth, stream=True, follow_redirects=False)
            try:
                body.begin(response)
                async for piece in response.aiter_bytes():
                    body.add(piece)
            finally:
                await response.aclose()
    except (httpx.HTTPError, TimeoutError):
        raise AuthorityUnavailable from None
    return body.answer(response)
