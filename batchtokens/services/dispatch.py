"""Hand due runs to workers and keep what became of them.

A run is in one worker's hands until its lease ends.
Waiting for a lock is never needed: rows that another worker is claiming are skipped (PostgreSQL),
or the transaction is the only writer (SQLite).
"""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass
from random import SystemRandom
from typing import Any

from django.conf import settings
from django.db import connection, transaction
from django.db.models import QuerySet

from batchtokens.models import QueuedRun, RunState
from batchtokens.models.clock import database_now
from batchtokens.services.record_refusal import record_refusal
from batchtokens_verifier.errors import OperationHeld, OutsideValidity

BATCH = 500
LONGEST_WAIT = dt.timedelta(hours=1)
_JITTER = SystemRandom()


@dataclass(frozen=True)
class Outcome:
    """What became of one delivery: done, dead, or pending again; `code` says why not done."""

    state: RunState
    code: str = ""


def claim_runs(*, owner: str, limit: int, now: dt.datetime | None = None) -> list[QueuedRun]:
    """Lease up to `limit` due runs to `owner`, each with the number of its next attempt.

    Held operations' runs stay where they are until their window closes.
    """
    with transaction.atomic(durable=True):
        clock = now or database_now()
        set_aside_closed(clock)
        claimable = QueuedRun.objects.claimable(clock).filter(operation_token__holds=[])
        runs = list(_unclaimed(claimable).order_by("next_attempt_at")[:limit])
        for run in runs:
            run.state, run.lease_owner = RunState.LEASED, owner
            run.leased_until = clock + settings.DELIVERY_LEASE
            run.attempts += 1
        QueuedRun.objects.bulk_update(runs, ["state", "lease_owner", "leased_until", "attempts"])
        return runs


def set_aside_closed(now: dt.datetime) -> int:
    """Mark runs dead whose window closed undelivered, and record each once.

    Held operations' runs get the hold's code. At most BATCH at a time; call it in a transaction.
    """
    late = QueuedRun.objects.filter(
        # The first bound is implied by the second, and lets the index of pending runs serve.
        state=RunState.PENDING,
        next_attempt_at__lte=now,
        closes_at__lt=now,
    )
    runs = list(_unclaimed(late).order_by("next_attempt_at")[:BATCH])
    for run in runs:
        run.state, run.finished_at = RunState.DEAD, now
        run.code = OperationHeld.code if run.operation_token.holds else OutsideValidity.code
        # Not the last attempt's key: what was said of that attempt is another refusal.
        record_refusal(run.code, by=run.operation_token.executor, correlation=run.webhook_id)
    QueuedRun.objects.bulk_update(runs, ["state", "code", "finished_at"])
    return len(runs)


def _unclaimed(runs: QuerySet[QueuedRun]) -> QuerySet[QueuedRun]:
    """Lock the runs that no other worker is claiming, and bring their executors along."""
    skip = connection.features.has_select_for_update_skip_locked
    locked = runs.select_for_update(skip_locked=skip, of=("self",) if skip else ())
    return locked.select_related("operation_token__executor")


def finish_run(run: QueuedRun, outcome: Outcome, *, now: dt.datetime | None = None) -> bool:
    """Store the outcome if this attempt still has the lease; tell whether it had.

    A run that ends here undelivered is recorded once, in the same transaction.
    """
    with transaction.atomic(durable=True):
        clock = now or database_now()
        mine = QueuedRun.objects.filter(
            pk=run.pk, state=RunState.LEASED, lease_owner=run.lease_owner, attempts=run.attempts
        )
        stored = _stored(run, outcome, clock)
        had = bool(mine.update(leased_until=None, lease_owner="", **stored))
        if had and stored["state"] == RunState.DEAD:
            attempt = f"{run.webhook_id}.{run.attempts}"
            record_refusal(stored["code"], by=run.operation_token.executor, correlation=attempt)
        return had


def _stored(run: QueuedRun, outcome: Outcome, now: dt.datetime) -> dict[str, Any]:
    if outcome.state != RunState.PENDING:
        return {"state": outcome.state, "code": outcome.code, "finished_at": now}
    again = now + backoff(run.attempts)
    if again > run.closes_at:
        code = outcome.code or OutsideValidity.code
        return {"state": RunState.DEAD, "code": code, "finished_at": now}
    return {"state": RunState.PENDING, "code": outcome.code, "next_attempt_at": again}


def backoff(attempts: int) -> dt.timedelta:
    """Return the wait after that many attempts: doubling from DELIVERY_BACKOFF, with jitter."""
    doubled: dt.timedelta = settings.DELIVERY_BACKOFF * 2 ** min(attempts - 1, 16)
    return min(doubled, LONGEST_WAIT) * _JITTER.uniform(0.5, 1)
