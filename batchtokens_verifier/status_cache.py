"""Keeps status lists at hand: fetched when stale, served until they are over, never after.

Only addresses of the issuer's own origin are asked, whatever a token names.
"""

import re
import threading
import time
from collections.abc import Callable
from contextlib import AbstractContextManager
from datetime import datetime
from functools import partial
from urllib.parse import urlsplit

import httpx

from batchtokens_verifier.claims import StatusReference
from batchtokens_verifier.cooldown import Cooldown
from batchtokens_verifier.errors import (
    OperationTokenNotValid,
    StatusUnavailable,
    TokenNotValid,
)
from batchtokens_verifier.jwks import AsyncJwksCache, JwksCache
from batchtokens_verifier.jws import KeySet, unverified_kid
from batchtokens_verifier.single_flight import TaskFlight, ThreadFlight
from batchtokens_verifier.status_list import (
    MAX_STATUS_TOKEN_BYTES,
    StatusList,
    verify_status_list,
)
from batchtokens_verifier.transport import (
    Answer,
    Request,
    check_url,
    exchange,
    exchange_async,
)

COOL_DOWN_SECONDS = 30.0
MAX_LISTS = 64
STATUS_MEDIA_TYPE = "application/statuslist+jwt"
_ETAG = re.compile(r'(?:W/)?"[\x21\x23-\x7e]{0,200}"')  # RFC 9110 section 8.8.3


class _List:
    """One list: when to fetch it, and what to take from an answer."""

    def __init__(self, uri: str, url: str, issuer: str, kept: Cooldown[StatusList]) -> None:
        self.thread_flight, self.task_flight = ThreadFlight(), TaskFlight()
        self._uri, self._url, self._issuer, self._kept = uri, url, issuer, kept
        self._good_for = 0.0
        self._etag = ""

    def wanted(self, now: datetime) -> bool:
        found = self._kept.value
        return found is None or found.is_stale(now) or self._kept.age() >= found.ttl

    def must_wait(self, now: datetime) -> bool:
        """Tell whether what is at hand says nothing (any more).

        By this machine's steady clock, too: the other one may have gone back since.
        """
        found = self._kept.value
        if found is None or self._kept.age() >= self._good_for:
            return True
        return found.is_over(now) or found.is_ahead(now)

    def begin(self, now: datetime) -> bool:
        return self.wanted(now) and self._kept.may_try(soon=self.must_wait(now))

    def attempt(self) -> AbstractContextManager[None]:
        """Surround a fetch: after one that fails the last list serves until its exp."""
        return self._kept.attempt()

    def request(self, now: datetime) -> Request:
        headers = {"Accept": STATUS_MEDIA_TYPE}
        if self._etag and not self.must_wait(now):
            headers["If-None-Match"] = self._etag
        return Request("GET", self._url, headers=headers, max_bytes=MAX_STATUS_TOKEN_BYTES)

    def token_of(self, answer: Answer) -> str:
        """Return the token that was answered. Raises TokenNotValid.

        Also for 304: the list at hand may be the newest, but it grows no younger by that.
        """
        if answer.status != httpx.codes.OK or not answer.body.isascii():
            raise TokenNotValid("status list answer")
        return answer.body.decode("ascii")

    def take(self, answer: Answer, keys: KeySet, now: datetime) -> None:
        """Keep the list, unless it is older than the one at hand.

        Raises TokenNotValid.
        """
        found = verify_status_list(
            self.token_of(answer), keys=keys, uri=self._uri, now=now, issuer=self._issuer
        )
        # Whoever sits in between could answer yesterday's list to hide today's cancellation.
        if self._kept.value is None or found.iat >= self._kept.value.iat:
            self._kept.keep(found)
            self._good_for = found.exp - now.timestamp()
            self._etag = answer.etag if _ETAG.fullmatch(answer.etag) else ""

    def serve(self, now: datetime) -> StatusList:
        if self._kept.value is None or self.must_wait(now):
            raise StatusUnavailable
        return self._kept.value


class _Lists:
    """The lists of one issuer, the newest MAX_LISTS of them."""

    def __init__(
        self, issuer: str, reached_at: str, cool_down: float, clock: Callable[[], float]
    ) -> None:
        self._issuer, self._reached_at = issuer, check_url(reached_at or issuer)
        if (origin := origin_of(issuer)) is None:
            raise ValueError("the issuer is a plain URL")
        self._origin = origin
        self._cool_down = cool_down
        self._clock = clock
        self._lock = threading.Lock()
        self._by_uri: dict[str, _List] = {}

    def at(self, reference: StatusReference) -> _List:
        """Return what is kept of the list at `reference`.

        Raises OperationTokenNotValid for an address that is not the issuer's.
        """
        if origin_of(reference.uri) != self._origin:
            raise OperationTokenNotValid("status uri")
        with self._lock:
            if reference.uri not in self._by_uri:
                if len(self._by_uri) >= MAX_LISTS:
                    del self._by_uri[next(iter(self._by_uri))]
                kept: Cooldown[StatusList] = Cooldown(cool_down=self._cool_down, clock=self._clock)
                url = self._url(reference.uri)
                self._by_uri[reference.uri] = _List(reference.uri, url, self._issuer, kept)
            return self._by_uri[reference.uri]

    def _url(self, uri: str) -> str:
        if self._reached_at == self._issuer:
            return uri
        if not uri.startswith(f"{self._issuer}/"):
            raise OperationTokenNotValid("status uri")
        return self._reached_at + uri.removeprefix(self._issuer)


def origin_of(uri: str) -> tuple[str, str, int | None] | None:
    """Return scheme, host and port (RFC 6454 §4), or None for what names more or less than that."""
    try:
        parts = urlsplit(uri)
        origin = (parts.scheme, parts.hostname or "", parts.port)
    except ValueError:
        return None
    # Readers differ on backslashes, white space and names before an @: nobody's address has any.
    plain = uri.isascii() and uri.isprintable() and not set(uri) & set(" \\@#?")
    if not plain or not origin[1] or origin[0] not in ("https", "http"):
        return None
    default = 443 if origin[0] == "https" else 80
    return (origin[0], origin[1], origin[2] or default)


class StatusListCache:
    """The status lists of one issuer; safe to share between threads.

    keys: the issuer's. reached_at: its address, where that is not its name; nothing else is asked.
    cool_down: seconds between two fetches of a list. clock: seconds, monotonic.
    """

    def __init__(
        self,
        issuer: str,
        *,
        keys: JwksCache,
        http: httpx.Client,
        reached_at: str = "",
        cool_down: float = COOL_DOWN_SECONDS,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._lists = _Lists(issuer, reached_at, cool_down, clock)
        self._keys = keys
        self._http = http

    def get(self, reference: StatusReference, *, now: datetime) -> StatusList:
        """Return the list that `reference` names; between its ttl and exp maybe an old one.

        Raises StatusUnavailable where none is good any more, and OperationTokenNotValid for an
        address that is not the issuer's.
        """
        kept = self._lists.at(reference)
        if kept.wanted(now):
            begin, fetch = partial(kept.begin, now), partial(self._fetch, kept, now)
            kept.thread_flight.join(begin=begin, fetch=fetch, wait=kept.must_wait(now))
        return kept.serve(now)

    def _fetch(self, kept: _List, now: datetime) -> None:
        with kept.attempt():
            answer = exchange(self._http, kept.request(now))
            kept.take(answer, self._keys.keys(_kid(kept.token_of(answer))), now)


class AsyncStatusListCache:
    """The same for an event loop (asyncio); safe to share between its tasks."""

    def __init__(
        self,
        issuer: str,
        *,
        keys: AsyncJwksCache,
        http: httpx.AsyncClient,
        reached_at: str = "",
        cool_down: float = COOL_DOWN_SECONDS,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._lists = _Lists(issuer, reached_at, cool_down, clock)
        self._keys = keys
        self._http = http

    async def get(self, reference: StatusReference, *, now: datetime) -> StatusList:
        """Return the list as `StatusListCache.get` does."""
        kept = self._lists.at(reference)
        if kept.wanted(now):
            begin, fetch = partial(kept.begin, now), partial(self._fetch, kept, now)
            await kept.task_flight.join(begin=begin, fetch=fetch, wait=kept.must_wait(now))
        return kept.serve(now)

    async def _fetch(self, kept: _List, now: datetime) -> None:
        with kept.attempt():
            answer = await exchange_async(self._http, kept.request(now))
            kept.take(answer, await self._keys.keys(_kid(kept.token_of(answer))), now)


def _kid(token: str) -> str | None:
    return unverified_kid(token, max_bytes=MAX_STATUS_TOKEN_BYTES)
