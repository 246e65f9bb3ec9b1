"""Say whether a redemption would be accepted now, and what is left: for who watches a mandate.

It takes nothing, writes nothing and promises nothing: only a redemption is an answer to act on.
"""

from __future__ import annotations

import datetime as dt
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from accounts.models import ServiceClient, User
from batchtokens.errors import OperationNotFound
from batchtokens.models.locking import LockedToken, read_operation_token
from batchtokens.services.mandates.find_operation import find_operation
from batchtokens.services.mandates.limits import effective_limits, signed_limits
from batchtokens.services.redemption.count_use import check_caps
from batchtokens.services.redemption.slots import FREE, check_allowed, claim_slot, uses_of
from batchtokens_verifier.constraints import (
    Amount,
    Constraints,
    Remaining,
    Slot,
    period_bounds,
    period_index,
    plan_slots,
)
from batchtokens_verifier.errors import ProblemError


@dataclass(frozen=True)
class Check:
    """What would be answered at `at`.

    refusal: None where it would be accepted. amount: what was asked for; of a mandate with a
    variable amount, unless one was given, the smallest there is. slot: the one that it would take,
    else the next that opens. remaining: before it.
    """

    at: dt.datetime
    refusal: ProblemError | None
    amount: Amount | None
    slot: Slot | None
    remaining: Remaining
    limits: Constraints


def check_redemption(
    *,
    by: User | ServiceClient,
    public_id: str,
    amount: Amount | None = None,
    now: dt.datetime | None = None,
) -> Check:
    """Try a redemption of one's own operation without making it.

    Executors redeem instead: to them it is not found. Raises OperationNotFound, LedgerBroken.
    """
    operation = find_operation(by=by, public_id=public_id)
    seen = read_operation_token(pk=operation.pk, now=now)
    if seen is None:
        raise OperationNotFound
    signed, limits = json.loads(seen.token.operation), signed_limits(seen.token)
    effective = effective_limits(limits, seen.token.lowered)
    asked = amount or _least(signed, effective)
    refusal, taken = None, ""
    try:
        check_allowed(seen)
        claim = claim_slot(seen, signed, limits, presented=asked, occurrence=None)
        check_caps(seen, claim.amount)
        taken, asked = claim.slot, claim.amount
    except ProblemError as error:
        refusal = error
    return Check(
        at=seen.at,
        refusal=refusal,
        amount=asked,
        slot=plan_slots(limits).named(taken) if taken else _next_slot(seen, limits),
        remaining=_remaining(seen, effective),
        limits=effective,
    )


def _least(signed: Mapping[str, Any], limits: Constraints) -> Amount | None:
    most = limits.max_individual_amount
    return Amount(1, most.currency) if "amount" not in signed and most else None


def _next_slot(seen: LockedToken, limits: Constraints) -> Slot | None:
    plan = plan_slots(limits)
    for slot in plan.slots:
        former = seen.redemptions.get(slot.name)
        is_free = former is None or former.status_at(seen.at) in FREE
        if is_free and (slot.opens_at > seen.at or plan.is_open(slot, seen.at)):
            return slot
    return None


def _remaining(seen: LockedToken, limits: Constraints) -> Remaining:
    token = seen.token
    total = limits.max_total
    return Remaining(
        period=min(_left_of_periods(seen, limits), key=lambda left: left.minor, default=None),
        total=Amount(max(0, total.minor - token.taken_minor), total.currency) if total else None,
        occurrences=max(0, token.most_runs - token.taken_count),
    )


def _left_of_periods(seen: LockedToken, limits: Constraints) -> list[Amount]:
    """Return what the current period of each limit of a sum still lets through."""
    at = min(max(seen.at, limits.valid_from), limits.valid_to - dt.timedelta(microseconds=1))
    uses = list(uses_of(seen.redemptions.values()))
    left = []
    for limit in limits.periodic_limits:
        if limit.amount is None:
            continue
        index = period_index(limit, limits.valid_from, at)
        start, end = period_bounds(limit, limits.valid_from, index)
        used = sum(use.amount.minor for use in uses if start <= use.counts_at < end)
        left.append(Amount(max(0, limit.amount.minor - used), limit.amount.currency))
    return left
