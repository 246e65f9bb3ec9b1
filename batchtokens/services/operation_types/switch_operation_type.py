"""Switch an operation type off and on: off stops new tokens and every run at once."""

from __future__ import annotations

import datetime as dt

from django.db import transaction

from accounts.models import Decision
from accounts.services.record_event import record_event
from batchtokens.models import EntryKind, OperationType, append_authority_entry
from batchtokens.models.clock import database_now

# What staff are told before they decide.
CONSEQUENCES = {
    "stop": "New tokens of this type are refused at once, and so is every run of those that are"
    " out, of every version. What was reserved may still be settled and released.",
    "start": "Tokens of every version can be issued again, and those that are out run again.",
}


def switch_operation_type(
    *,
    name: str,
    is_active: bool,
    reason: str = "",
    actor: str = "",
    now: dt.datetime | None = None,
) -> int:
    """Switch every version of a type; return how many changed.

    actor: the public id of who decides. When this has returned, nothing more of a stopped type is
    reserved and nothing proceeds.
    """
    with transaction.atomic(durable=True):
        changed = OperationType.objects.filter(name=name, is_active=not is_active).update(
            is_active=is_active
        )
        if changed:
            kind = EntryKind.TYPE_STARTED if is_active else EntryKind.TYPE_STOPPED
            decision = Decision("staff", actor, reason)
            data = {**decision.told(), "type": name}
            append_authority_entry(kind, at=now or database_now(), data=data)
            record_event(
                code="operation_type_started" if is_active else "operation_type_stopped",
                correlation=decision.correlation,
                data={**decision.kept(), "type": name},
            )
        return changed
