"""Stop an executor, by its breaker or by staff; start it again, and cap it: staff alone do that.

A stopped executor reserves nothing and no retry says `proceed`; it may still settle and release.
Each change is an entry of the authority's own chain; what changes nothing leaves none.
"""

from __future__ import annotations

import datetime as dt
import logging
from collections.abc import Collection
from dataclasses import dataclass, replace
from typing import Any

from django.db import transaction

from accounts.models import Decision, Outcome, ServiceClient
from accounts.services.record_event import record_event
from batchtokens.errors import CapsNotValid
from batchtokens.models import EntryKind, ExecutorControl, StoppedBy, append_authority_entry
from batchtokens.models.clock import database_now
from batchtokens_verifier.constraints import exponent
from batchtokens_verifier.errors import InvalidConstraints

LONGEST_SWITCH_REASON = 200  # characters beside the switch; the security log has all of them
COUNTS, SUMS = ("max_count_minute", "max_count_day"), ("max_minor_minute", "max_minor_day")
CAPS = (*COUNTS, *SUMS, "currency")
MOST_COUNT, MOST_MINOR = 2**31 - 1, 2**53 - 1  # what the columns, and JSON's readers, can hold

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


@dataclass(frozen=True)
class Caps:
    """What one executor may reserve in a minute and in a UTC day; None: no cap.

    The sums are minor units of `currency`; where there is one, other currencies are refused.
    """

    max_count_minute: int | None = None
    max_count_day: int | None = None
    currency: str = ""
    max_minor_minute: int | None = None
    max_minor_day: int | None = None


def stop_executor(
    *, executor: ServiceClient, reason: str, actor: str = "", now: dt.datetime | None = None
) -> ExecutorControl:
    """Stop it by hand. When this has returned, nothing more is reserved and nothing proceeds.

    actor: the public id of who decides.
    """
    decision = Decision(StoppedBy.STAFF.value, actor, reason)
    with transaction.atomic(durable=True):
        control = _lock(executor)
        if control.stopped_by != StoppedBy.STAFF:
            at = now or database_now()
            _switch(control, reason, stopped_at=at, stopped_by=StoppedBy.STAFF)
            _tell(control, EntryKind.EXECUTOR_STOPPED, decision, at)
        return control


def start_executor(
    *, executor: ServiceClient, reason: str, actor: str = "", now: dt.datetime | None = None
) -> ExecutorControl:
    """Let it reserve again; a minute or day whose cap was reached stays full until it ends."""
    decision = Decision(StoppedBy.STAFF.value, actor, reason)
    with transaction.atomic(durable=True):
        control = _lock(executor)
        if control.stopped_at is not None:
            _switch(control, reason)
            _tell(control, EntryKind.EXECUTOR_STARTED, decision, now or database_now())
        return control


def set_caps(
    *,
    executor: ServiceClient,
    caps: Caps,
    named: Collection[str] = CAPS,
    reason: str,
    actor: str = "",
    now: dt.datetime | None = None,
) -> ExecutorControl:
    """Set the caps that are named, by default all; the others stay as they are in the row.

    What was reserved before an executor had a cap does not count. Raises CapsNotValid.
    """
    decision = Decision(StoppedBy.STAFF.value, actor, reason)
    with transaction.atomic(durable=True):
        control = _lock(executor)
        wanted = caps_with(control, caps, named)
        if wanted != caps_of(control):
            for name, value in vars(wanted).items():
                setattr(control, name, value)
            control.save(update_fields=CAPS)
            told = {name: value for name, value in vars(wanted).items() if value}
            at = now or database_now()
            _tell(control, EntryKind.EXECUTOR_CAPPED, decision, at, caps=told)
        return control


def trip_breaker(*, executor: ServiceClient, cap: str, now: dt.datetime | None = None) -> None:
    """Stop an executor that asked for more than a cap; one that is stopped stays as it is.

    cap: the constraint that refused. Call it outside of the transaction that was refused.
    """
    by = StoppedBy.BREAKER
    with transaction.atomic(durable=True):
        control = _lock(executor)
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


def _lock(executor: ServiceClient) -> ExecutorControl:
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


def _tell(
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


def caps_of(control: ExecutorControl) -> Caps:
    return Caps(**{name: getattr(control, name) for name in CAPS})


def caps_with(control: ExecutorControl, caps: Caps, named: Collection[str]) -> Caps:
    """Return its caps with those that are named; a currency goes with the last of the sums.

    Raises CapsNotValid, also where a sum that is not named would be of another currency.
    """
    present = caps_of(control)
    wanted = replace(present, **{name: getattr(caps, name) for name in named})
    sums = {name for name in SUMS if getattr(wanted, name) is not None}
    if not sums and "currency" not in named:
        wanted = replace(wanted, currency="")
    if wanted.currency != present.currency and (others := sums.difference(named)):
        told = f"{' and '.join(sorted(others))} would stay, in {present.currency}: name it, too."
        raise CapsNotValid(told, pointer="/currency")
    check_caps(wanted)
    return wanted


def check_caps(caps: Caps) -> None:
    """Raise CapsNotValid, with the member's pointer, for caps that cap nothing."""
    for most, names in ((MOST_COUNT, COUNTS), (MOST_MINOR, SUMS)):
        for name in names:
            value = getattr(caps, name)
            if value is not None and not 1 <= value <= most:
                raise CapsNotValid(f"A whole number, 1 to {most}.", pointer=f"/{name}")
    summed = any(getattr(caps, name) is not None for name in SUMS)
    if summed != bool(caps.currency):
        raise CapsNotValid("A currency goes with caps of sums.", pointer="/currency")
    if caps.currency:
        try:
            exponent(caps.currency)
        except (InvalidConstraints, KeyError) as error:
            told = f"{caps.currency} is no currency of ISO 4217."
            raise CapsNotValid(told, pointer="/currency") from error
