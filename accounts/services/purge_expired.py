"""Delete what is over, a bounded batch at a time; a run that was killed goes on with the next.

Security events stay, and recovery codes that were used: how many are left is counted by them.
"""

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial
from typing import Any, Protocol

from django.db import transaction
from django.db.models import QuerySet
from django.utils import timezone

from accounts.models import (
    Authenticator,
    ClientAssertion,
    FederationRequest,
    OneTimeLink,
    OutgoingEmail,
    RateCounter,
    SignInChallenge,
)
from accounts.services.purge_sessions import purge_sessions

EMAILS_KEPT = timedelta(days=30)
SESSIONS_KEPT = timedelta(days=90)  # people look at where they were, and so does the lockout
GUESSES_KEPT = timedelta(days=90)  # those at names that nobody has; a person's own stay

Delete = Callable[[int], int]
"""Deletes at most so many rows and returns how many."""


class DeleteAt(Protocol):
    """Does the same, of what is over at an instant."""

    def __call__(self, limit: int, *, now: datetime) -> int: ...


NOTHING_ELSE: Mapping[str, DeleteAt] = {}


@dataclass(frozen=True, slots=True)
class Purged:
    """How many rows of each kind are gone, and whether nothing more is over."""

    counts: Mapping[str, int]
    finished: bool


def purge_expired(
    *,
    batch: int = 1000,
    max_seconds: float = 60.0,
    now: datetime | None = None,
    also: Mapping[str, DeleteAt] = NOTHING_ELSE,
) -> Purged:
    """Delete in turn a batch of each kind, until nothing is left or the time is up.

    A batch is a transaction of its own, so no lock is held for long. also: what another app
    deletes, by its kind.
    """
    give_up = time.monotonic() + max_seconds
    now = now or timezone.now()
    left = deletions(now)
    for kind, delete_at in also.items():
        left[kind] = partial(delete_at, now=now)
    counts = dict.fromkeys(left, 0)
    while left:
        for kind, delete in list(left.items()):
            with transaction.atomic(durable=True):
                deleted = delete(batch)
            counts[kind] += deleted
            if deleted < batch:
                del left[kind]
            if left and time.monotonic() >= give_up:
                return Purged(counts, finished=False)
    return Purged(counts, finished=True)


def deletions(now: datetime) -> dict[str, Delete]:
    """Return what deletes each kind of what is over at this instant."""
    told = OutgoingEmail.objects.told_before(now - EMAILS_KEPT)
    seconds = int(now.timestamp())
    return {
        "challenges": _deletion(SignInChallenge.objects.outdated(now)),
        "links": _deletion(OneTimeLink.objects.outdated(now)),
        "federation_requests": _deletion(FederationRequest.objects.outdated(now)),
        "client_assertions": _deletion(ClientAssertion.objects.outdated(now)),
        "emails": _deletion(told),
        "rate_counters": _deletion(RateCounter.objects.outdated(seconds)),
        "guesses": _deletion(Authenticator.objects.of_nobody(now - GUESSES_KEPT)),
        "sessions": lambda limit: purge_sessions(before=now - SESSIONS_KEPT, limit=limit, now=now),
    }


def _deletion(over: QuerySet[Any]) -> Delete:
    def delete(limit: int) -> int:
        # Again with the condition: a counter may have been started anew since it was read.
        pks = list(over.order_by("pk").values_list("pk", flat=True)[:limit])
        return over.filter(pk__in=pks).delete()[0] if pks else 0

    return delete
