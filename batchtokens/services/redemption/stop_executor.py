"""Stop an executor, by its breaker or by staff, and start it again: staff alone do that.

A stopped executor reserves nothing and no retry says `proceed`; it may still settle and release.
Each change is an entry of the authority's own chain.
"""

from __future__ import annotations

import datetime as dt
import logging
from dataclasses import dataclass

from django.db import transaction

from accounts.models import Decision, Outcome, ServiceClient
from accounts.services.record_event import record_event
from batchtokens.errors import CapsNotValid
from batchtokens.models import EntryKind, ExecutorControl, StoppedBy, append_authority_entry
from batchtokens.models.clock import database_now
from batchtokens_verifier.constraints import exponent
from batchtokens_verifier.errors import InvalidConstraints

LONGEST_REASON = 200  # characters beside the switch; the security log has all of them
MOST_COUNT, MOST_MINOR = 2**31 - 1, 2**53 - 1  # what the columns, and JSON's readers, can hold

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
    with transaction.atomic(durable=True):
        control = _lock(executor)
        if control.stopped_by != StoppedBy.STAFF:
            decision = Decision(StoppedBy.STAFF.value, actor, reason)
            _stop(control, StoppedBy.STAFF, reason=reason, told=decision.told(), now=now)
            record_event(
                code="executor_stopped",
                client=executor,
                correlation=decision.correlation,
                data=decision.kept(),
            )
        return control


def start_executor(
    *, executor: ServiceClient, reason: str, actor: str = "", now: dt.datetime | None = None
) -> ExecutorControl:
    """Let it reserve again; a minute or day whose cap was reached stays full until it ends."""
    with transaction.atomic(durable=True):
        control = _lock(executor)
        if control.stopped_at is not None:
            control.stopped_at, control.stopped_by = None, ""
            control.reason = reason[:LONGEST_REASON]
            control.save()
            decision = Decision(StoppedBy.STAFF.value, actor, reason)
            append_authority_entry(
                EntryKind.EXECUTOR_STARTED,
                at=now or database_now(),
                data={**decision.told(), "executor": executor.client_id},
            )
            record_event(
                code="executor_started",
                client=executor,
                correlation=decision.correlation,
                data=decision.kept(),
            )
        return control


def set_caps(
    *, executor: ServiceClient, caps: Caps, reason: str, actor: str = ""
) -> ExecutorControl:
    """Replace all caps. What was reserved before an executor had a cap does not count.

    Raises CapsNotValid.
    """
    check_caps(caps)
    with transaction.atomic(durable=True):
        control = _lock(executor)
        for name, value in vars(caps).items():
            setattr(control, name, value)
        control.save()
        data = {"caps": vars(caps), "reason": reason, **({"by": actor} if actor else {})}
        record_event(code="executor_caps_set", client=executor, data=data)
        return control


def trip_breaker(*, executor: ServiceClient, cap: str, now: dt.datetime | None = None) -> None:
    """Stop an executor that asked for more than a cap; one that is stopped stays as it is.

    cap: the constraint that refused. Call it outside of the transaction that was refused.
    """
    with transaction.atomic(durable=True):
        control = _lock(executor)
        if control.stopped_at is not None:
            return
        told = {**Decision(StoppedBy.BREAKER.value).told(), "cap": cap}
        _stop(control, StoppedBy.BREAKER, reason=cap, told=told, now=now)
        record_event(
            code="executor_stopped",
            outcome=Outcome.REFUSED,
            client=executor,
            data={"by": StoppedBy.BREAKER.value, "reason": cap},
        )
    logger.error("executor %s passed its cap %s and is stopped", executor.client_id, cap)


def _lock(executor: ServiceClient) -> ExecutorControl:
    ExecutorControl.objects.get_or_create(executor=executor)
    return ExecutorControl.objects.select_for_update().get(executor=executor)


def _stop(
    control: ExecutorControl,
    by: StoppedBy,
    *,
    reason: str,
    told: dict[str, str],
    now: dt.datetime | None,
) -> None:
    at = now or database_now()
    control.stopped_at, control.stopped_by, control.reason = at, by, reason[:LONGEST_REASON]
    control.save()
    append_authority_entry(
        EntryKind.EXECUTOR_STOPPED,
        at=at,
        data={**told, "executor": control.executor.client_id},
    )


def check_caps(caps: Caps) -> None:
    """Raise CapsNotValid, with the member's pointer, for caps that cap nothing."""
    counts = {"max_count_minute": caps.max_count_minute, "max_count_day": caps.max_count_day}
    sums = {"max_minor_minute": caps.max_minor_minute, "max_minor_day": caps.max_minor_day}
    for most, values in ((MOST_COUNT, counts), (MOST_MINOR, sums)):
        for name, value in values.items():
            if value is not None and not 1 <= value <= most:
                raise CapsNotValid(f"A whole number, 1 to {most}.", pointer=f"/{name}")
    summed = any(value is not None for value in sums.values())
    if summed != bool(caps.currency):
        raise CapsNotValid("A currency goes with caps of sums.", pointer="/currency")
    if caps.currency:
        try:
            exponent(caps.currency)
        except (InvalidConstraints, KeyError) as error:
            raise CapsNotValid("An ISO 4217 currency.", pointer="/currency") from error
