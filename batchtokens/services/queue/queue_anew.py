"""Put tokens that were signed anew into the runs that carry the former bytes."""

from __future__ import annotations

import datetime as dt
import uuid
from collections.abc import Collection, Iterator
from dataclasses import dataclass, field

from django.db.models import Q

from accounts.crypto import seal
from batchtokens.models import OperationToken, QueuedRun, RunState
from batchtokens.models.writing import change_many, write_together
from batchtokens.services.queue.enqueue import job_of, seal_context
from batchtokens_verifier.errors import OperationTokenNotValid, TokenNotValid

RUNS = 2000  # a statement
# What was delivered with the old signature was refused with one of these: it is tried again.
_REFUSED = (OperationTokenNotValid.code, TokenNotValid.code)
_FIELDS = (
    "sealed",
    "state",
    "finished_at",
    "code",
    "leased_until",
    "lease_owner",
    "next_attempt_at",
)


@dataclass(frozen=True)
class Renewed:
    """A row, its new token, and since when the former one was refused."""

    row: OperationToken
    token: str = field(repr=False)
    since: dt.datetime


def queue_anew(renewed: Collection[Renewed], *, at: dt.datetime) -> None:
    """Change the runs that are still ahead, also those refused for the old token.

    A run in a worker's hands is taken back: its outcome would be the old signature's. Two
    statements for RUNS of them; call it in a transaction.
    """
    tokens = {each.row.pk: each for each in renewed}
    jobs = {key: job_of(each.row, each.token) for key, each in tokens.items()}
    for runs in _ahead(list(tokens), at):
        changed = []
        for run in runs:
            of = tokens[run.operation_token_id]
            if run.state == RunState.DEAD and not _refused_since(run, of.since):
                continue
            # What it carried counts for nothing.
            context = seal_context(of.row.public_id, run.occurrence)
            run.sealed = seal(jobs[of.row.pk], context=context)
            _try_again(run, at)
            changed.append(run)
        if changed:
            write_together(*change_many(changed, _FIELDS))


def _ahead(tokens: Collection[uuid.UUID], at: dt.datetime) -> Iterator[list[QueuedRun]]:
    """Lock the runs, in the order of their keys, so many at a time."""
    waiting = Q(state__in=[RunState.PENDING, RunState.LEASED])
    refused = Q(state=RunState.DEAD, code__in=_REFUSED)
    runs = QueuedRun.objects.filter(waiting | refused, operation_token__in=tokens, closes_at__gt=at)
    locked = runs.defer("sealed").select_for_update().order_by("pk")
    last = None
    while page := list((locked.filter(pk__gt=last) if last else locked)[:RUNS]):
        yield page
        last = page[-1].pk


def _refused_since(run: QueuedRun, since: dt.datetime) -> bool:
    return run.finished_at is not None and run.finished_at >= since


def _try_again(run: QueuedRun, at: dt.datetime) -> None:
    if run.state != RunState.PENDING:
        run.state, run.finished_at, run.code = RunState.PENDING, None, ""
        run.leased_until, run.lease_owner = None, ""
        run.next_attempt_at = max(run.due_at, at)
