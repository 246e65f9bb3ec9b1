"""Cancel an operation: final, at once here, and its waiting runs are set aside.

What was redeemed stays redeemed.
"""

from __future__ import annotations

import datetime as dt
import uuid

from django.db import transaction

from batchtokens.models import EntryKind, HoldKind, OperationToken, QueuedRun, RunState
from batchtokens.services.hold import lock_live, record
from batchtokens_verifier.errors import OperationRevoked


def cancel_operation(
    *,
    operation_id: uuid.UUID,
    by: HoldKind,
    actor: str = "",
    reason: str = "",
    now: dt.datetime | None = None,
) -> OperationToken:
    """Cancel for ever. Raises OperationFinal where it has already ended."""
    with transaction.atomic(durable=True):
        locked = lock_live(operation_id, now)
        locked.token.cancelled_at = locked.at
        token = record(locked, EntryKind.CANCELLED, by=by, actor=actor, reason=reason)
        # A leased run is in a worker's hands: its delivery will be refused at redemption.
        QueuedRun.objects.filter(operation_token=token, state=RunState.PENDING).update(
            state=RunState.DEAD, code=OperationRevoked.code, finished_at=locked.at
        )
        return token
