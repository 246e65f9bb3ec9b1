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
from django.db.models import Q, QuerySet

from batchtokens.models import OperationToken, QueuedRun, RunState
from batchtokens.models.clock import database_now
from batchtokens.models.queue import QueuedRunQuerySet
from batchtokens.services.ledger.check_ledger_head import check_ledger
from batchtokens.services.mandates.occurrences import is_paused, pauses_of
from batchtokens.services.redemption.record_refusal import record_refusal
from batchtokens_verifier.errors import OperationHeld, OperationRevoked, OutsideValidity

BATCH = 500
LONGEST_WAIT = dt.timedelta(hours=1)
LAST_CALL = dt.timedelta(seconds=2)  # before a window ends: time to look and to deliver once more
# What redeeming asks of everyone, too: otherwise its answer would be `operation_held`.
_RUNS = Q(
    operation_token__holds=[],
    operation_token__user__is_active=True,
    operation_token__executor__is_active=True,
    operation_token__operation_type__is_active=True,
) & (Q(operation_token__client=None) | Q(operation_token__client__is_active=True))
_JITTER = SystemRandom()


@dataclass(frozen=True)
class Outcome:
    """What became of one delivery: done, dead, or pending again; `code` says why not done."""

    state: RunState
    code: str = ""


def claim_runs(*, owner: str, limit: int, now: dt.datetime | None = None) -> list[QueuedRun]:
    """Lease up to `limit` due runs to `owner`, each with the number of its next attempt.

    Runs of operations that are held, or of whom or what is switched off, stay where they are until
    their window closes. Raises LedgerBehind: an older database does not know what was delivered,
    and must not say what was missed.
    """
    with transaction.atomic(durable=True):
        check_ledger()
        clock = now or database_now()
        set_aside_closed(clock)
        # A lease that ended after its window is handed out, too: the executor may have acted before
        # the worker died, and gets to settle.
        runs = list(_unclaimed(waiting_runs(clock)).order_by("next_attempt_at")[:limit])
        for run in runs:
            run.state, run.lease_owner = RunState.LEASED, owner
            run.leased_until = clock + settings.DELIVERY_LEASE
            run.attempts += 1
        QueuedRun.objects.bulk_update(runs, ["state", "lease_owner", "leased_until", "attempts"])
        return runs


def waiting_runs(now: dt.datetime) -> QueuedRunQuerySet:
    """Return what could be claimed: due, in nobody's hands, and nobody in it is stopped."""
    return QueuedRun.objects.claimable(now).filter(_RUNS)


def claimed_at(run: QueuedRun) -> dt.datetime:
    """Return the database's instant of the claim that `run` came from."""
    if run.leased_until is None:
        raise ValueError("this run is not claimed")
    return run.leased_until - settings.DELIVERY_LEASE


def set_aside_closed(now: dt.datetime) -> int:
    """Mark runs dead whose window closed undelivered, and record each once.

    What was held when its window closed gets the hold's code, whatever became of the hold since.
    At most BATCH at a time; call it in a transaction.
    """
    late = QueuedRun.objects.claimable(now).filter(closes_at__lt=now)
    late = late.filter(Q(state=RunState.PENDING) | ~_RUNS)
    runs = list(_unclaimed(late).order_by("next_attempt_at")[:BATCH])
    pauses = pauses_of({run.operation_token_id for run in runs})
    for run in runs:
        skipped = _is_switched_off(run) or is_paused(pauses[run.operation_token_id], run.closes_at)
        run.code = OperationHeld.code if skipped else OutsideValidity.code
        run.state, run.finished_at = RunState.DEAD, now
        run.leased_until, run.lease_owner = None, ""
        # Not the last attempt's key: what was said of that attempt is another refusal.
        record_refusal(run.code, by=run.operation_token.executor, correlation=run.webhook_id)
    QueuedRun.objects.bulk_update(
        runs, ["state", "code", "finished_at", "leased_until", "lease_owner"]
    )
    return len(runs)


def _is_switched_off(run: QueuedRun) -> bool:
    token = run.operation_token
    everyone = (token.user, token.executor, token.operation_type, token.client)
    return not all(each.is_active for each in everyone if each)


def _unclaimed(runs: QuerySet[QueuedRun]) -> QuerySet[QueuedRun]:
    """Lock the runs that no other worker is claiming, and bring along whom they concern."""
    skip = connection.features.has_select_for_update_skip_locked
    locked = runs.select_for_update(skip_locked=skip, of=("self",) if skip else ())
    return locked.select_related(
        *(f"operation_token__{each}" for each in ("user", "executor", "operation_type", "client"))
    )


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
    if outcome.code == OperationRevoked.code and _is_cancelled(run):
        return {"state": RunState.DEAD, "code": outcome.code, "finished_at": now}
    again = now + backoff(run.attempts)
    if again > run.closes_at:
        # One last try near the window's end; after that one, there is no time for another.
        again = run.closes_at - LAST_CALL
    if again <= now:
        code = outcome.code or OutsideValidity.code
        return {"state": RunState.DEAD, "code": code, "finished_at": now}
    return {"state": RunState.PENDING, "code": outcome.code, "next_attempt_at": again}


def _is_cancelled(run: QueuedRun) -> bool:
    """Tell a cancel, which is final, from a hold that the executor's status list shows alike."""
    tokens = OperationToken.objects.filter(pk=run.operation_token_id)
    return tokens.exclude(cancelled_at=None).exists()


def backoff(attempts: int) -> dt.timedelta:
    """Return the wait after that many attempts: doubling from DELIVERY_BACKOFF, with jitter."""
    doubled: dt.timedelta = settings.DELIVERY_BACKOFF * 2 ** min(attempts - 1, 16)
    return min(doubled, LONGEST_WAIT) * _JITTER.uniform(0.5, 1)
