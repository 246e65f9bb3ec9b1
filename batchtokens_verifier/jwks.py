"""Keeps the authority's public keys at hand: fetched seldom, served when the source is away."""

import time
from collections.abc import Callable
from contextlib import AbstractContextManager
from functools import partial

import httpx

from batchtokens_verifier.canonical import parse_json
from batchtokens_verifier.cooldown import Cooldown
from batchtokens_verifier.errors import AuthorityUnavailable, InvalidKeySet, InvalidOperation
from batchtokens_verifier.jws import KeySet
from batchtokens_verifier.single_flight import TaskFlight, ThreadFlight
from batchtokens_verifier.transport import Answer, Request, check_url, exchange, exchange_async

MAX_JWKS_BYTES = 65536
TTL_SECONDS = 300.0
COOL_DOWN_SECONDS = 30.0
# Whoever keeps the source away keeps removed keys alive: not for ever.
MAX_STALE_SECONDS = 86400.0
AWAY = "The authority's keys cannot be had."


class _Keys:
    """When to fetch, and what to take from an answer: the same for threads and event loops."""

    def __init__(
        self, uri: str, ttl: float, cool_down: float, max_bytes: int, clock: Callable[[], float]
    ) -> None:
        self.request = Request("GET", check_url(uri), max_bytes=max_bytes)
        self._ttl = ttl
        self._kept: Cooldown[KeySet] = Cooldown(cool_down=cool_down, clock=clock)

    def wanted(self, kid: str | None) -> bool:
        """Tell whether the keys are old, or lack `kid`."""
        return self.must_wait(kid) or self._kept.age() >= self._ttl

    def must_wait(self, kid: str | None) -> bool:
        """Tell whether a fetch has to be waited for; else the old keys still serve."""
        return self._is_over() or self._is_unknown(kid)

    def begin(self, kid: str | None) -> bool:
        """Tell whether to fetch now; another caller may have fetched while this one waited."""
        return self.wanted(kid) and self._kept.may_try(soon=self._is_over())

    def attempt(self) -> AbstractContextManager[None]:
        """Surround a fetch: after one that fails the last keys keep serving."""
        return self._kept.attempt()

    def take(self, answer: Answer) -> None:
        """Keep the keys of a good answer. Raises AuthorityUnavailable after any other."""
        if answer.status != httpx.codes.OK:
            raise AuthorityUnavailable(AWAY)
        try:
            found = KeySet.from_jwks(parse_json(answer.body, max_bytes=self.request.max_bytes))
            if self._kept.value is not None:
                found.check_follows(self._kept.value)
        except (InvalidKeySet, InvalidOperation):
            raise AuthorityUnavailable(AWAY) from None
        self._kept.keep(found)

    def serve(self, kid: str | None) -> KeySet:
        """Return the keys. Raises AuthorityUnavailable."""
        keys = self._kept.value
        if keys is None or self._is_over() or (self._is_unknown(kid) and self._kept.failed):
            raise AuthorityUnavailable(AWAY)
        return keys

    def _is_over(self) -> bool:
        return self._kept.value is None or self._kept.age() >= MAX_STALE_SECONDS

    def _is_unknown(self, kid: str | None) -> bool:
        keys = self._kept.value
        return kid is not None and (keys is None or keys.get(kid) is None)


class JwksCache:
    """A JWK Set and when to fetch it again; safe to share between threads.

    ttl: seconds after which keys are fetched again. cool_down: seconds between two fetches,
    whatever unknown kids arrive. clock: seconds, monotonic.
    """

    def __init__(
        self,
        uri: str,
        *,
        http: httpx.Client,
        ttl: float = TTL_SECONDS,
        cool_down: float = COOL_DOWN_SECONDS,
        max_bytes: int = MAX_JWKS_BYTES,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._keys = _Keys(uri, ttl, cool_down, max_bytes, clock)
        self._http = http
        self._flight = ThreadFlight()

    def keys(self, kid: str | None = None) -> KeySet:
        """Return the keys; an unknown `kid` fetches them again, at most once a cool-down.

        Raises AuthorityUnavailable while there are none at all or those at hand are a day old, and
        for an unknown `kid` while the last fetch failed: the authority may have begun to sign with
        it since.
        """
        if self._keys.wanted(kid):
            begin, wait = partial(self._keys.begin, kid), self._keys.must_wait(kid)
            self._flight.join(begin=begin, fetch=self._fetch, wait=wait)
        return self._keys.serve(kid)

    def _fetch(self) -> None:
        with self._keys.attempt():
            self._keys.take(exchange(self._http, self._keys.request))


class AsyncJwksCache:
    """The same for an event loop (asyncio); safe to share between its tasks."""

    def __init__(
        self,
        uri: str,
        *,
        http: httpx.AsyncClient,
        ttl: float = TTL_SECONDS,
        cool_down: float = COOL_DOWN_SECONDS,
        max_bytes: int = MAX_JWKS_BYTES,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._keys = _Keys(uri, ttl, cool_down, max_bytes, clock)
        self._http = http
        self._flight = TaskFlight()

    async def keys(self, kid: str | None = None) -> KeySet:
        """Return the keys as `JwksCache.keys` does."""
        if self._keys.wanted(kid):
            begin, wait = partial(self._keys.begin, kid), self._keys.must_wait(kid)
            await self._flight.join(begin=begin, fetch=self._fetch, wait=wait)
        return self._keys.serve(kid)

    async def _fetch(self) -> None:
        with self._keys.attempt():
            self._keys.take(await exchange_async(self._http, self._keys.request))
