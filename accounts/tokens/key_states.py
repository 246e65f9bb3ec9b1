"""What the clock makes of a signing key (docs/adr/0006): no job has to move its state on.

Of one purpose the newest key whose time has come signs.  Those before it are published while their
tokens live, unless they were found out.
"""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from typing import Protocol

from django.conf import settings

from batchtokens_verifier.jws import Purpose

FOR_EVER = datetime.max.replace(tzinfo=UTC)

LastExpiry = Callable[[str], datetime | None]
"""Tells when the last token expires that a key (by its id) has signed; None: of none is known."""

LAST_EXPIRIES: dict[Purpose, LastExpiry] = {}
"""By purpose; set by the apps that keep a row for each token."""


class KeyState(StrEnum):
    """What the clock makes of a key."""

    UPCOMING = "upcoming"  # published, does not sign yet
    ACTIVE = "active"
    RETIRED = "retired"  # published while its tokens live
    OUTLIVED = "outlived"  # no longer published
    COMPROMISED = "compromised"  # published no more, whatever it has signed


class KeyFacts(Protocol):
    """What is told of a key, by its row or by the ring."""

    @property
    def kid(self) -> str: ...
    @property
    def purpose(self) -> str: ...
    @property
    def activates_at(self) -> datetime: ...
    @property
    def retired_at(self) -> datetime | None: ...
    @property
    def compromised_at(self) -> datetime | None: ...


@dataclass(frozen=True, slots=True)
class Standing:
    """A key's state; published_until: FOR_EVER for evidence, None while that is open."""

    state: KeyState
    published_until: datetime | None = None


def longest_life(purpose: Purpose) -> timedelta | None:
    """Say how long after its retirement a key's tokens may live; None: for ever."""
    return {
        Purpose.ACCESS: settings.ACCESS_TOKEN_LIFETIME,
        Purpose.REFRESH: settings.REFRESH_TOKEN_LIFETIME,
        Purpose.OPERATION: timedelta(days=366),
        Purpose.STATUS: timedelta(hours=1),
    }.get(purpose)  # receipts, introspection answers and checkpoints are evidence


def key_standings(keys: Iterable[KeyFacts], *, now: datetime) -> dict[str, Standing]:
    """Tell how every key stands, by key id; `keys` must be all there are."""
    ordered = sorted(keys, key=lambda key: key.activates_at)
    return {
        key.kid: standing
        for purpose in Purpose
        for key, standing in _standings([k for k in ordered if k.purpose == purpose], purpose, now)
    }


def key_states(keys: Iterable[KeyFacts], *, now: datetime) -> dict[str, KeyState]:
    """Tell the state of every key, by key id; `keys` must be all there are."""
    return {kid: standing.state for kid, standing in key_standings(keys, now=now).items()}


def _standings(
    own: list[KeyFacts], purpose: Purpose, now: datetime
) -> Iterator[tuple[KeyFacts, Standing]]:
    signing = [key for key in own if not never_signs(key)]
    for key in own:
        if key.compromised_at:
            yield key, Standing(KeyState.COMPROMISED, key.compromised_at)
        elif never_signs(key):
            yield key, Standing(KeyState.OUTLIVED, key.retired_at)
    for key, successor in zip(signing, [*signing, None][1:], strict=True):
        if not key.compromised_at:
            yield key, _standing(key, successor, purpose, now)


def never_signs(key: KeyFacts) -> bool:
    """Say whether a key was retired before its time came."""
    return key.retired_at is not None and key.retired_at <= key.activates_at


def _standing(
    key: KeyFacts, successor: KeyFacts | None, purpose: Purpose, now: datetime
) -> Standing:
    if key.activates_at > now:
        return Standing(KeyState.UPCOMING)
    superseded_at = successor.activates_at if successor else FOR_EVER
    if superseded_at > now and key.retired_at is None:
        return Standing(KeyState.ACTIVE)
    # A process that has not heard of it yet may go on for KEY_RING_TTL.
    ended_at = min(superseded_at, key.retired_at or FOR_EVER) + settings.KEY_RING_TTL
    until = _last_expiry(key, ended_at, purpose)
    return Standing(KeyState.OUTLIVED if until <= now else KeyState.RETIRED, until)


def _last_expiry(key: KeyFacts, ended_at: datetime, purpose: Purpose) -> datetime:
    """Return when nothing that the key signed is alive any more."""
    life = longest_life(purpose)
    if life is None:
        return FOR_EVER
    known = LAST_EXPIRIES[purpose](key.kid) if purpose in LAST_EXPIRIES else None
    # Where no token is known, a database that was restored may have lost it.
    return min(known, ended_at + life) if known else ended_at + life
