"""Keeps the authority's public keys at hand: fetched seldom, served when the source is away."""

import threading
import time
from collections.abc import Callable

import httpx

from batchtokens_verifier.canonical import parse_json
from batchtokens_verifier.errors import AuthorityUnavailable, InvalidKeySet, InvalidOperation
from batchtokens_verifier.jws import KeySet
from batchtokens_verifier.transport import check_url, exchange

MAX_JWKS_BYTES = 65536
# Without any keys nothing can be verified: ask again sooner than after the cool-down.
FIRST_RETRY_SECONDS = 1.0


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
        ttl: float = 300.0,
        cool_down: float = 30.0,
        max_bytes: int = MAX_JWKS_BYTES,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._uri = check_url(uri)
        self._http = http
        self._ttl = ttl
        self._cool_down = cool_down
        self._max_bytes = max_bytes
        self._clock = clock
        self._lock = threading.Lock()
        self._keys: KeySet | None = None
        self._fetched_at = self._tried_at = float("-inf")

    def keys(self, kid: str | None = None) -> KeySet:
        """Return the keys; an unknown `kid` fetches them again, at most once a cool-down.

        Raises AuthorityUnavailable while there are none at all, and for an unknown `kid` while the
        last fetch failed: the authority may have begun to sign with it since.
        """
        if self._wanted(kid):
            # A refresh that is only due need not be waited for: the old keys still serve.
            self._refresh(kid, wait=self._keys is None or self._is_unknown(kid))
        if self._keys is None or (self._is_unknown(kid) and self._tried_at > self._fetched_at):
            raise AuthorityUnavailable("The authority's keys cannot be had.")
        return self._keys

    def _wanted(self, kid: str | None) -> bool:
        if self._keys is None or self._is_unknown(kid):
            return True
        return self._clock() - self._fetched_at >= self._ttl

    def _is_unknown(self, kid: str | None) -> bool:
        return kid is not None and (self._keys is None or self._keys.get(kid) is None)

    def _refresh(self, kid: str | None, *, wait: bool) -> None:
        if not self._lock.acquire(blocking=wait):
            return
        try:
            pause = self._cool_down if self._keys else FIRST_RETRY_SECONDS
            # Another thread may have fetched while this one waited.
            if self._wanted(kid) and self._clock() - self._tried_at >= pause:
                self._tried_at = self._clock()
                self._fetch()
        finally:
            self._lock.release()

    def _fetch(self) -> None:
        try:
            answer = exchange(self._http, "GET", self._uri, max_bytes=self._max_bytes)
            if answer.status != httpx.codes.OK:
                return
            self._keys = KeySet.from_jwks(parse_json(answer.body, max_bytes=self._max_bytes))
        except (AuthorityUnavailable, InvalidKeySet, InvalidOperation):
            return  # the last keys keep serving
        self._fetched_at = self._clock()
