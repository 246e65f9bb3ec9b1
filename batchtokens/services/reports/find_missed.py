"""Find due occurrences by what became of them, above all those that were missed (I7).

A page of mandates at a time, so that a hundred thousand of them need no more memory than one.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from django.db.models import Q

from accounts.models import ServiceClient
from batchtokens.models import OperationToken
from batchtokens.models.clock import database_now
from batchtokens.services.mandates.occurrences import (
    GRACE,
    Occurrence,
    OccurrenceState,
    tell_occurrences,
)

PAGE = 1000
UNREAD = ("sealed_token", "claims_sealed", "summary")  # long, and nothing here asks for them


@dataclass(frozen=True)
class Found:
    """One due occurrence of one mandate."""

    token: OperationToken
    occurrence: Occurrence

    @property
    def name(self) -> str:
        """Return what its run is called everywhere: `op_….o3`."""
        return f"{self.token.public_id}.{self.occurrence.slot.name}"


@dataclass(frozen=True)
class Search:
    """Which occurrences: in these states, and closed from `since` to before `until`."""

    states: frozenset[OccurrenceState] = frozenset({OccurrenceState.MISSED})
    since: dt.datetime | None = None
    until: dt.datetime | None = None
    executor: ServiceClient | None = None
    grace: dt.timedelta = GRACE

    def wants(self, occurrence: Occurrence) -> bool:
        closed = occurrence.slot.closes_at
        return (
            occurrence.state in self.states
            and (self.since is None or self.since <= closed)
            and (self.until is None or closed < self.until)
        )

    def candidates(self, at: dt.datetime) -> Any:
        """Leave out, in SQL, mandates of which no window closed in that time."""
        found = OperationToken.objects.filter(valid_from__lte=self.until or at)
        if self.since is not None:
            found = found.filter(valid_to__gte=self.since)
            # After a cancellation nothing is missed or skipped any more.
            found = found.filter(Q(cancelled_at=None) | Q(cancelled_at__gte=self.since))
        if self.executor is not None:
            found = found.filter(executor=self.executor)
        return found.select_related("user", "executor").defer(*UNREAD).order_by("pk")

    def among(self, tokens: Sequence[OperationToken], *, at: dt.datetime) -> list[Found]:
        """Return what is found among these mandates, in two statements."""
        told = tell_occurrences(tokens, at=at, grace=self.grace)
        return [Found(token, each) for token, every in told for each in every if self.wants(each)]


def find_occurrences(search: Search, *, now: dt.datetime | None = None) -> Iterator[list[Found]]:
    """Yield, a page of mandates at a time, what is found there: often nothing."""
    at = now or database_now()  # before the rows are read
    candidates = search.candidates(at)
    last = None
    while page := list(_page(candidates, last)):
        yield search.among(page, at=at)
        last = page[-1].pk


def _page(candidates: Any, after: Any) -> Any:
    return (candidates.filter(pk__gt=after) if after else candidates)[:PAGE]
