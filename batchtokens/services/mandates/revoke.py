"""Cancel one operation or many: final, at once here, and the waiting runs are set aside.

What was redeemed stays redeemed.
"""

from __future__ import annotations

import datetime as dt
import uuid
from collections.abc import Iterator

from django.db import transaction

from batchtokens.models import EntryKind, HoldKind, OperationToken, QueuedRun, RunState
from batchtokens.models.operation_tokens import OperationTokenQuerySet
from batchtokens.services.mandates.cancellations import confirm_cancellations
from batchtokens.services.mandates.change_operations import Change, change_operations_in_batches
from batchtokens.services.mandates.hold import can_change, lock_live, record
from batchtokens.services.mandates.words import UNSAID, Words
from batchtokens_verifier.errors import OperationRevoked


def cancel_operation(
    *, operation_id: uuid.UUID, by: HoldKind, words: Words = UNSAID, now: dt.datetime | None = None
) -> OperationToken:
    """Cancel for ever. Raises OperationFinal where it has already ended."""
    with transaction.atomic(durable=True):
        locked = lock_live(operation_id, now)
        locked.token.cancelled_at = locked.at
        token = record(locked, EntryKind.CANCELLED, by=by, words=words)
        _conclude([token], locked.at, by)
        return token


def cancel_operations(
    among: OperationTokenQuerySet,
    *,
    by: HoldKind,
    words: Words = UNSAID,
    now: dt.datetime | None = None,
) -> Iterator[int]:
    """Cancel all of `among` that have not ended, a transaction for each thousand; yields how many.

    What was done stays done when it is interrupted; the same call again does the rest.
    """

    def cancel(token: OperationToken, at: dt.datetime) -> bool:
        if not can_change(token, at):
            return False
        token.cancelled_at = at
        return True

    change = Change(
        kind=EntryKind.CANCELLED,
        by=by,
        words=words,
        apply=cancel,
        also=lambda changed, at: _conclude(changed, at, by),
        leave_broken=True,
    )
    with_client = among.select_related("client")
    return change_operations_in_batches(with_client, change=change, now=now)


def _conclude(tokens: list[OperationToken], at: dt.datetime, by: HoldKind) -> None:
    confirm_cancellations(tokens, by.value)
    # A leased run is in a worker's hands: its delivery will be refused at redemption.
    waiting = QueuedRun.objects.filter(operation_token__in=tokens, state=RunState.PENDING)
    waiting.update(state=RunState.DEAD, code=OperationRevoked.code, finished_at=at)
