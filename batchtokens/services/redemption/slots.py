"""Choose the slot that a redemption takes, from a locked row: decisions, nothing is written."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from batchtokens.models import Redemption, RedemptionAttempt, RedemptionStatus
from batchtokens.models.locking import LockedToken
from batchtokens.services.mandates.limits import effective_limits
from batchtokens_verifier.constraints import (
    Amount,
    Constraints,
    Remaining,
    Slot,
    Use,
    check_limits,
    plan_slots,
    resolve_amount,
)
from batchtokens_verifier.errors import (
    ExecutorStopped,
    LimitExceeded,
    OperationHeld,
    OperationMismatch,
    OperationRevoked,
    OutsideValidity,
    SlotAlreadyRedeemed,
    VerificationError,
)
from batchtokens_verifier.policy import check_instant

FREE = frozenset({RedemptionStatus.RELEASED, RedemptionStatus.IN_DOUBT})


@dataclass(frozen=True)
class Claim:
    """The slot to take, at which amount; `former` is its row where it was taken before."""

    slot: str
    amount: Amount
    counts_at: dt.datetime
    remaining: Remaining
    former: Redemption | None


def obstacle(locked: LockedToken) -> VerificationError | None:
    """Return why the operation may not run now: cancelled, held, or somebody switched off."""
    if locked.token.cancelled_at is not None:
        return OperationRevoked()
    if locked.suspended or locked.token.holds:
        return OperationHeld()
    return ExecutorStopped() if locked.stopped else None


def check_allowed(locked: LockedToken) -> None:
    """Raise the obstacle, if there is one."""
    if found := obstacle(locked):
        raise found


def may_proceed(locked: LockedToken, redemption: Redemption, attempt: RedemptionAttempt) -> bool:
    """Tell whether the attempt still permits: its lease runs, nothing stopped it since (I6)."""
    return (
        redemption.status_at(locked.at) == RedemptionStatus.RESERVED
        and redemption.attempt == attempt.attempt
        and locked.at < locked.token.valid_to
        and obstacle(locked) is None
    )


def claim_slot(
    locked: LockedToken,
    operation: Mapping[str, Any],
    limits: Constraints,
    *,
    presented: Amount | None,
    occurrence: str | None,
) -> Claim:
    """Return the named or earliest open slot that is free, within every limit.

    operation and limits: as signed. Raises OutsideValidity, SlotAlreadyRedeemed, LimitExceeded,
    OperationMismatch or UnresolvedConstraint.
    """
    check_instant(limits, locked.at)
    effective = effective_limits(limits, locked.token.lowered)
    amount = resolve_amount(operation, effective, presented)
    most = effective.max_individual_amount
    if most and amount.minor > most.minor:  # a fixed amount, above what the person lowered it to
        raise LimitExceeded("The amount passes max_individual_amount.", pointer="/amount")
    slot, former = _choose(locked, _open_slots(limits, locked.at, occurrence), amount, occurrence)
    counts_at = plan_slots(limits).counts_at(slot, locked.at)
    if former is not None and former.status_at(locked.at) == RedemptionStatus.IN_DOUBT:
        counts_at = former.counts_at
    others = (r for r in locked.redemptions.values() if r.slot != slot.name)
    remaining = check_limits(effective, tuple(uses_of(others)), Use(counts_at, amount))
    return Claim(slot.name, amount, counts_at, remaining, former)


def _open_slots(limits: Constraints, at: dt.datetime, occurrence: str | None) -> tuple[Slot, ...]:
    plan = plan_slots(limits)
    if occurrence is not None:
        plan.named(occurrence)
    slots = tuple(s for s in plan.open_at(at) if occurrence in (None, s.name))
    if not slots:
        raise OutsideValidity("No slot is open now.")
    return slots


def _choose(
    locked: LockedToken, slots: tuple[Slot, ...], amount: Amount, occurrence: str | None
) -> tuple[Slot, Redemption | None]:
    """Take the first slot that is new, or released or in doubt at this amount.

    A redemption id has one amount for ever (I16).
    """
    for slot in slots:
        former = locked.redemptions.get(slot.name)
        if former is None:
            return slot, None
        if former.status_at(locked.at) in FREE:
            if former.amount == amount:
                return slot, former
            if occurrence is not None:
                raise OperationMismatch("The slot was redeemed at another amount before.")
    raise SlotAlreadyRedeemed(redemption_id=locked.redemptions[slots[0].name].pk)


def uses_of(redemptions: Iterable[Redemption]) -> Iterable[Use]:
    """Yield what counts: all but the released."""
    for redemption in redemptions:
        if redemption.status != RedemptionStatus.RELEASED:
            yield Use(redemption.counts_at, redemption.amount)
