"""Stop an executor, by its breaker or by staff, and start it again: staff alone do that.

A stopped executor reserves nothing and no retry says `proceed`; it may still settle and release.
Each change is an entry of the authority's own chain; what changes nothing leaves none.
"""

from __future__ import annotations

import datetime as dt
import logging
from typing import Any

from django.db import transaction

from accounts.models import Decision, Outcome, ServiceClient
from accounts.services.record_event import record_event
from batchtokens.models import EntryKind, ExecutorControl, StoppedBy, append_authority_entry
from batchtokens.models.clock import database_now

LONGEST_SWITCH_REASON = 200  # characters beside the switch; the security log has all of them

# What staff are told before they decide.
CONSEQUENCES = {
    "stop": "It reserves nothing more, and no retry says that it may proceed."
    " What it holds it may still settle and release.",
    "start": "It may reserve again."
    " A minute or day whose cap was reached stays full until it ends.",
}
CODES = {
    EntryKind.EXECUTOR_STOPPED: "executor_stopped",
    EntryKind.EXECUTOR_STARTED: "executor_started",
    EntryKind.EXECUTOR_CAPPED: "executor_caps_set",
}

logger = logging.getLogger(__name__)


def stop_executor(
    *, executor: ServiceClient, reason: str, actor: str = "", now: dt.datetime | None = None
) -> ExecutorControl:
    """Stop it by hand. When this has returned, nothing more is reserved and nothing proceeds.

    actor: the public id of who decides.
    """
    decision = Decision(StoppedBy.STAFF.value, actor, reason)
    with transaction.atomic(durable=True):
        control = lock_control(executor)
        if control.stopped_by != StoppedBy.STAFF:
            at = now or database_now()
            _switch(control, reason, stopped_at=at, stopped_by=StoppedBy.STAFF)
            tell_decision(control, EntryKind.EXECUTOR_STOPPED, decision, at)
        return control


def start_executor(
    *, executor: ServiceClient, reason: str, actor: str = "", now: dt.datetime | None = None
) -> ExecutorControl:
    """Let it reserve again; a minute or day whose cap was reached stays full until it ends."""
    decision = Decision(StoppedBy.STAFF.value, actor, reason)
    with transaction.atomic(durable=True):
        control = lock_control(executor)
        if control.stopped_at is not None:
            _switch(control, reason)
            tell_decision(control, EntryKind.EXECUTOR_STARTED, decision, now or database_now())
        return control


def trip_breaker(*, executor: ServiceClient, cap: str, now: dt.datetime | None = None) -> None:
    """Stop an executor that asked for more than a cap; one that is stopped stays as it is.

    cap: the constraint that refused. Call it outside of the transaction that was refused.
    """
    by = StoppedBy.BREAKER
    with transaction.atomic(durable=True):
        control = lock_control(executor)
        if control.stopped_at is not None:
            return
        at = now or database_now()
        _switch(control, cap, stopped_at=at, stopped_by=by)
        data = {"by": by.value, "executor": executor.client_id, "cap": cap}
        append_authority_entry(EntryKind.EXECUTOR_STOPPED, at=at, data=data)
        record_event(
            code=CODES[EntryKind.EXECUTOR_STOPPED],
            outcome=Outcome.REFUSED,
            client=executor,
            data={"by": by.value, "reason": cap},
        )
    logger.error("executor %s passed its cap %s and is stopped", executor.client_id, cap)


def lock_control(executor: ServiceClient) -> ExecutorControl:
    """Lock its row, which is made where it is not there yet; call it in a transaction."""
    ExecutorControl.objects.get_or_create(executor=executor)
    return ExecutorControl.objects.select_for_update().get(executor=executor)


def _switch(
    control: ExecutorControl,
    reason: str,
    *,
    stopped_at: dt.datetime | None = None,
    stopped_by: str = "",
) -> None:
    """Write the switch and why it is so; without an instant it runs."""
    control.stopped_at, control.stopped_by = stopped_at, stopped_by
    control.reason = reason[:LONGEST_SWITCH_REASON]
    control.save(update_fields=("stopped_at", "stopped_by", "reason"))


def tell_decision(
    control: ExecutorControl, kind: EntryKind, decision: Decision, at: dt.datetime, **more: Any
) -> None:
    """Tell the ledger what staff decided, and the security log in their words (ADR 0040)."""
    data = {**decision.told(), "executor": control.executor.client_id, **more}
    append_authority_entry(kind, at=at, data=data)
    record_event(
        code=CODES[kind],
        client=control.executor,
        correlation=decision.correlation,
        data={**decision.kept(), **more},
    )
