"""Measure what is waiting, stopped or in doubt: each function is one statement on an index.

None reads more than MOST_COUNTED rows, so a measure of that size says "at least so many".
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from django.db.models import Case, CharField, Count, F, Min, Q, Value, When

from batchtokens.models import (
    ExecutorControl,
    OperationToken,
    OperationType,
    QueuedRun,
    Redemption,
    Status,
    StoppedBy,
)
from batchtokens.services.reports.report_missed import MOST_COUNTED, RECENTLY

NEWEST = 1000  # operation tokens whose states are counted


@dataclass(frozen=True)
class Backlog:
    """How many wait, and for how many seconds the first of them has."""

    count: int
    oldest: float


def measure_waiting_runs(*, now: dt.datetime) -> Backlog:
    """Measure runs that are due and that no worker has taken."""
    return _backlog(QueuedRun.objects.waiting(now), "next_attempt_at", now)


def measure_in_doubt(*, now: dt.datetime) -> Backlog:
    """Measure redemptions that were reserved and neither settled nor released in time."""
    return _backlog(Redemption.objects.in_doubt(now), "lease_expires_at", now)


def count_abandoned_runs(*, now: dt.datetime) -> int:
    """Count runs whose worker did not come back."""
    return QueuedRun.objects.abandoned(now)[:MOST_COUNTED].count()


def count_dead_runs(*, now: dt.datetime) -> int:
    """Count runs that were given up within the last day."""
    return QueuedRun.objects.dead_since(now - RECENTLY)[:MOST_COUNTED].count()


def count_token_states(*, now: dt.datetime) -> Mapping[Status, int]:
    """Count the NEWEST operation tokens by their state: of all, it would read every row."""
    newest = OperationToken.objects.order_by("-pk").annotate(state_now=_state(now))[:NEWEST]
    counts = newest.aggregate(
        **{state.value: Count("pk", filter=Q(state_now=state)) for state in Status}
    )
    return {state: counts[state.value] for state in Status}


def count_stopped_executors() -> Mapping[StoppedBy, int]:
    """Count stopped executors by who stopped them."""
    stopped = ExecutorControl.objects.exclude(stopped_at=None).order_by().values("stopped_by")
    counts = dict(stopped.annotate(count=Count("pk")).values_list("stopped_by", "count"))
    return {by: counts.get(by.value, 0) for by in StoppedBy}


def count_stopped_types() -> int:
    """Count operation types that are switched off."""
    return OperationType.objects.current().filter(is_active=False).count()


def _backlog(waiting: Any, since: str, now: dt.datetime) -> Backlog:
    """Measure a queryset that is ordered by the instant since which its rows wait."""
    found = waiting[:MOST_COUNTED].aggregate(count=Count("pk"), first=Min(since))
    waited = (now - found["first"]).total_seconds() if found["count"] else 0.0
    return Backlog(found["count"], waited)


def _state(now: dt.datetime) -> Case:
    """Return `OperationToken.status_at(now)` as an expression."""
    return Case(
        When(cancelled_at__isnull=False, then=Value(Status.CANCELLED)),
        When(settled_count__gte=F("max_occurrences"), then=Value(Status.COMPLETED)),
        When(valid_to__lte=now, then=Value(Status.EXPIRED)),
        When(~Q(holds=[]) | Q(disowned_at__isnull=False), then=Value(Status.HELD)),
        default=Value(Status.ACTIVE),
        output_field=CharField(),
    )
