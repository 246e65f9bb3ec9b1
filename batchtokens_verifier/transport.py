"""One bounded HTTP exchange with the authority: no redirects, a deadline, a size limit."""

import ipaddress
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

import httpx

from batchtokens_verifier.errors import AuthorityUnavailable

TIMEOUT_SECONDS = 5.0  # to connect, and between two pieces of the answer
DEADLINE_SECONDS = 15.0  # for the whole answer
MAX_ANSWER_BYTES = 262_144


@dataclass(frozen=True, slots=True)
class Answer:
    """Status and body of an HTTP response."""

    status: int
    body: bytes


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


def exchange(
    http: httpx.Client,
    method: str,
    url: str,
    *,
    max_bytes: int = MAX_ANSWER_BYTES,
    headers: Mapping[str, str] | None = None,
    auth: httpx.BasicAuth | None = None,
    json: Any = None,
) -> Answer:
    """Send one request and read its whole answer.

    Raises AuthorityUnavailable when that fails, takes too long or is too large.
    """
    # Checked with each piece of the body. What bounds the headers is only the step's timeout, and
    # the 100 kB that h11 takes: the authority is trusted not to drip them.
    deadline = time.monotonic() + DEADLINE_SECONDS
    # Never compressed: a small answer could unfold into a large one.
    sent = {"Accept": "application/json", "Accept-Encoding": "identity"} | dict(headers or {})
    request = http.build_request(method, url, headers=sent, json=json, timeout=TIMEOUT_SECONDS)
    try:
        response = http.send(request, auth=auth, stream=True, follow_redirects=False)
        try:
            return Answer(response.status_code, _read(response, max_bytes, deadline))
        finally:
            response.close()
    except httpx.HTTPError:
        raise AuthorityUnavailable from None


def _read(response: httpx.Response, max_bytes: int, deadline: float) -> bytes:
    if response.headers.get("Content-Encoding", "identity") != "identity":
        raise AuthorityUnavailable("The authority's answer is compressed.")
    body = b""
    for piece in response.iter_bytes():
        body += piece
        if len(body) > max_bytes:
            raise AuthorityUnavailable("The authority's answer is too long.")
        if time.monotonic() > deadline:
            raise AuthorityUnavailable("The authority's answer took too long.")
    return body
