"""The signing keys as one process knows them (RFC 7517).

Every process keeps a copy for KEY_RING_TTL; a key id that it does not know makes it look again,
but not more often than COOL_DOWN, so strangers cannot turn made-up ids into database load.
"""

import json
import logging
import threading
import time
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from itertools import pairwise
from typing import Any

from django.conf import settings
from django.utils import timezone
from joserfc.errors import JoseError
from joserfc.jwk import ECKey

from accounts.crypto import open_sealed
from accounts.errors import NoSigningKey, SealBroken
from accounts.models import SigningKey
from batchtokens_verifier.jws import KeySet, Purpose, VerificationKey

COOL_DOWN = 10.0  # seconds
JWKS_MAX_AGE = 300  # seconds that verifiers may keep the key set

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class RingKey:
    """A key pair, opened."""

    kid: str
    purpose: Purpose
    alg: str
    private: ECKey
    activates_at: datetime

    def public_jwk(self) -> dict[str, Any]:
        """Write the public part as our JWKS shows it; `purpose` is a private member."""
        return dict(self.private.as_dict(private=False)) | {
            "kid": self.kid,
            "alg": self.alg,
            "use": "sig",
            "purpose": self.purpose.value,
        }


def longest_life(purpose: Purpose) -> timedelta | None:
    """Say how long after its retirement a key's tokens may live; None: for ever."""
    return {
        Purpose.ACCESS: settings.ACCESS_TOKEN_LIFETIME,
        Purpose.REFRESH: settings.REFRESH_TOKEN_LIFETIME,
        Purpose.OPERATION: timedelta(days=366),
        Purpose.STATUS: timedelta(hours=1),
    }.get(purpose)  # receipts, introspection answers and checkpoints are evidence


def shortest_overlap() -> timedelta:
    """Say how long a key is published before every process and verifier can know it."""
    ring_ttl: timedelta = settings.KEY_RING_TTL
    return ring_ttl + timedelta(seconds=JWKS_MAX_AGE)


class KeyState(StrEnum):
    """What the clock makes of a key."""

    UPCOMING = "upcoming"  # published, does not sign yet
    ACTIVE = "active"
    RETIRED = "retired"  # published while its tokens live
    OUTLIVED = "outlived"  # no longer published


def key_states(rows: Iterable[SigningKey | RingKey], *, now: datetime) -> dict[str, KeyState]:
    """Tell the state of every key, by key id; the rows must be all keys."""
    ordered = sorted(rows, key=lambda row: row.activates_at)
    states: dict[str, KeyState] = {}
    for purpose in Purpose:
        own = [row for row in ordered if row.purpose == purpose]
        states |= {row.kid: _state(row, None, purpose, now) for row in own[-1:]}
        states |= {row.kid: _state(row, after, purpose, now) for row, after in pairwise(own)}
    return states


def _state(
    row: SigningKey | RingKey,
    successor: SigningKey | RingKey | None,
    purpose: Purpose,
    now: datetime,
) -> KeyState:
    if row.activates_at > now:
        return KeyState.UPCOMING
    if successor is None or successor.activates_at > now:
        return KeyState.ACTIVE
    life = longest_life(purpose)
    outlived = life is not None and successor.activates_at + life <= now
    return KeyState.OUTLIVED if outlived else KeyState.RETIRED


class KeyRing:
    """All keys that are published at one instant."""

    def __init__(self, keys: Iterable[RingKey], *, now: datetime) -> None:
        ordered = sorted(keys, key=lambda key: key.activates_at)
        states = key_states(ordered, now=now)
        self._keys = [key for key in ordered if states[key.kid] is not KeyState.OUTLIVED]
        self._jwks = {"keys": [key.public_jwk() for key in self._keys]}
        self._verification_keys = KeySet.of(
            VerificationKey(key.kid, key.purpose, key.public_jwk()) for key in self._keys
        )

    def signing_key(self, purpose: Purpose, at: datetime) -> RingKey:
        """Choose the newest key that is active.

        Raises NoSigningKey.
        """
        active = [k for k in self._keys if k.purpose is purpose and k.activates_at <= at]
        if not active:
            raise NoSigningKey
        return active[-1]

    def verification_keys(self) -> KeySet:
        """Give the public keys to the verifier."""
        return self._verification_keys

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
    """Open the private part.  It is what makes a row ours: nobody else can have sealed it."""
    try:
        purpose = Purpose(row.purpose)
        private = json.loads(open_sealed(row.private_sealed, context=row.seal_context()))
        key = ECKey.import_key(private)
    except SealBroken:
        logger.critical("signing key %s does not open and is not used", row.kid)
    except (ValueError, TypeError, LookupError, JoseError):  # what a later release may have made
        logger.critical("signing key %s is of an unknown kind and is not used", row.kid)
    else:
        return RingKey(row.kid, purpose, row.alg, key, row.activates_at)
    return None
