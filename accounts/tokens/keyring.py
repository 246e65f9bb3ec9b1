"""The signing keys as one process knows them (RFC 7517).

Every process keeps a copy for KEY_RING_TTL; a key id that it does not know makes it look again,
but not more often than COOL_DOWN, so strangers cannot turn made-up ids into database load.
"""

import logging
import threading
import time
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from django.conf import settings
from django.utils import timezone

from accounts.models import SigningKey
from accounts.tokens.errors import NoSigningKey, SigningKeyNotOurs
from accounts.tokens.key_states import KeyState, key_states, never_signs
from accounts.tokens.key_store import KeyPair, key_store
from batchtokens_verifier.jws import KeySet, Purpose, VerificationKey

COOL_DOWN = 10.0  # seconds
JWKS_MAX_AGE = 300  # seconds that verifiers may keep the key set
UNPUBLISHED = frozenset({KeyState.OUTLIVED, KeyState.COMPROMISED})

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class RingKey:
    """A key that its store vouches for, and what its row says."""

    kid: str
    purpose: Purpose
    alg: str
    pair: KeyPair
    activates_at: datetime
    retired_at: datetime | None
    compromised_at: datetime | None

    def public_jwk(self) -> dict[str, Any]:
        """Write the public part as our JWKS shows it; `purpose` is a private member."""
        return self.pair.public_jwk() | {
            "kid": self.kid,
            "alg": self.alg,
            "use": "sig",
            "purpose": self.purpose.value,
        }

    def sign(self, message: bytes) -> bytes:
        """Return the JWS signature of a signing input (RFC 7515 section 5.1)."""
        return self.pair.sign(message)


def shortest_overlap() -> timedelta:
    """Say how long a key is published before every process and verifier can know it."""
    ring_ttl: timedelta = settings.KEY_RING_TTL
    return ring_ttl + timedelta(seconds=JWKS_MAX_AGE)


class KeyRing:
    """All keys that are published at one instant."""

    def __init__(self, keys: Iterable[RingKey], *, now: datetime) -> None:
        ordered = sorted(keys, key=lambda key: key.activates_at)
        states = key_states(ordered, now=now)
        self._all = ordered
        self._keys = [key for key in ordered if states[key.kid] not in UNPUBLISHED]
        self._jwks = {"keys": [key.public_jwk() for key in self._keys]}
        self._verification_keys = KeySet.of(
            VerificationKey(key.kid, key.purpose, key.public_jwk()) for key in self._keys
        )

    def signing_key(self, purpose: Purpose, at: datetime) -> RingKey:
        """Choose the newest key that is active; never one that was superseded before it ended.

        Raises NoSigningKey.
        """
        own = [k for k in self._all if k.purpose is purpose and k.activates_at <= at]
        newest = next((k for k in reversed(own) if not never_signs(k)), None)
        if newest is None or (newest.retired_at and newest.retired_at <= at):
            raise NoSigningKey
        return newest

    def verification_keys(self) -> KeySet:
        """Give the public keys to the verifier."""
        return self._verification_keys

    def keys_ever(self, purpose: Purpose) -> KeySet:
        """Give all public keys of a purpose, also those that are believed no more.

        For what one has signed oneself and must not forget because its key was found out.
        """
        own = (key for key in self._all if key.purpose is purpose)
        return KeySet.of(VerificationKey(key.kid, key.purpose, key.public_jwk()) for key in own)

    def jwks(self) -> dict[str, Any]:
        """Write the JSON Web Key Set (RFC 7517 section 5)."""
        return {"keys": [dict(key) for key in self._jwks["keys"]]}

    def has(self, kid: str) -> bool:
        """Say whether a key of this id is published."""
        return self._verification_keys.get(kid) is not None


@dataclass(frozen=True, slots=True)
class _Loaded:
    ring: KeyRing
    at: float


class _Shelf:
    """The process's copy.  One thread reloads while the others wait for it."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._loaded: _Loaded | None = None

    def ring(self, max_age: float) -> KeyRing:
        loaded = self._loaded
        if loaded is None or _age(loaded) >= max_age:
            with self._lock:
                loaded = self._loaded
                if loaded is None or _age(loaded) >= max_age:
                    loaded = self._loaded = _Loaded(load_key_ring(), time.monotonic())
        return loaded.ring

    def forget(self) -> None:
        self._loaded = None


def _age(loaded: _Loaded) -> float:
    return time.monotonic() - loaded.at


_shelf = _Shelf()


def current_key_ring(*, wanted: str = "") -> KeyRing:
    """Return the process's key ring; a fresher one where it lacks the `wanted` key id."""
    ring = _shelf.ring(settings.KEY_RING_TTL.total_seconds())
    return fresher_key_ring() if wanted and not ring.has(wanted) else ring


def fresher_key_ring() -> KeyRing:
    """Return the process's key ring, for a caller that misses a key: not older than COOL_DOWN."""
    return _shelf.ring(COOL_DOWN)


def forget_key_ring() -> None:
    """Drop the process's copy, after keys were changed."""
    _shelf.forget()


def load_key_ring(*, now: datetime | None = None) -> KeyRing:
    """Read all keys in one statement; a row that is no key of ours is left out and reported."""
    opened = (_open(row) for row in SigningKey.objects.all())
    return KeyRing((key for key in opened if key), now=now or timezone.now())


def _open(row: SigningKey) -> RingKey | None:
    """Open a row.  That its store vouches for it makes it ours: nobody else can have written it."""
    try:
        pair = key_store.open(row)
    except SigningKeyNotOurs as refusal:
        logger.critical("signing key %s %s and is not used", row.kid, refusal.reason)
        return None
    return RingKey(
        row.kid,
        Purpose(row.purpose),
        row.alg,
        pair,
        row.activates_at,
        row.retired_at,
        row.compromised_at,
    )
