"""Limits: whether one more use fits into the sums and counts of the constraints (I1)."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from batchtokens_verifier.constraints.money import Amount
from batchtokens_verifier.constraints.periods import PeriodicLimit, period_holding
from batchtokens_verifier.constraints.terms import Constraints
from batchtokens_verifier.errors import (
    InvalidOperation,
    LimitExceeded,
    OperationMismatch,
    UnresolvedConstraint,
)


@dataclass(frozen=True, slots=True)
class Use:
    """One taken slot. counts_at: when a due run was due, else the instant of its redemption."""

    counts_at: datetime
    amount: Amount


@dataclass(frozen=True, slots=True)
class Remaining:
    """What is left after a use; None where nothing limits it. period: of the tightest limit."""

    period: Amount | None
    total: Amount | None
    occurrences: int | None

    def as_json(self) -> dict[str, dict[str, str] | int | None]:
        """Return {"period","total","occurrences"}."""
        return {
            "period": self.period.as_json() if self.period else None,
            "total": self.total.as_json() if self.total else None,
            "occurrences": self.occurrences,
        }


def resolve_amount(
    operation: Mapping[str, object], constraints: Constraints, presented: Amount | None
) -> Amount:
    """Return the amount of one redemption: the operation's own, or the executor's.

    Raises OperationMismatch, UnresolvedConstraint or LimitExceeded.
    """
    if "amount" in operation:
        fixed = Amount.parse(operation["amount"], "/amount", error=InvalidOperation)
        if presented not in (None, fixed):
            raise OperationMismatch("The amount is not the operation's.", pointer="/amount")
        return fixed
    return _named_amount(constraints, presented)


def _named_amount(constraints: Constraints, presented: Amount | None) -> Amount:
    cap = constraints.max_individual_amount
    if presented is None or cap is None:
        raise UnresolvedConstraint("The executor names the amount.", pointer="/amount")
    if presented.currency != cap.currency:
        raise OperationMismatch("The currency is not the token's.", pointer="/amount/currency")
    if presented.minor > cap.minor:
        raise LimitExceeded("The amount passes max_individual_amount.", pointer="/amount")
    return presented


def check_limits(constraints: Constraints, uses: Sequence[Use], new: Use) -> Remaining:
    """Return what remains after `new` joins `uses`, the taken slots without it.

    Raises LimitExceeded.
    """
    after = [*uses, new]
    occurrences = _left_of_count(constraints.max_occurrences, after, "max_occurrences")
    total = _left_of_sum(constraints.max_total, after, "max_total")
    periods = [
        left
        for limit in constraints.periodic_limits
        if (left := _left_of_period(constraints, limit, after)) is not None
    ]
    return Remaining(min(periods, key=lambda left: left.minor, default=None), total, occurrences)


def _left_of_period(
    constraints: Constraints, limit: PeriodicLimit, after: Sequence[Use]
) -> Amount | None:
    start, end = period_holding(limit, constraints.valid_from, after[-1].counts_at)
    within = [use for use in after if start <= use.counts_at < end]
    name = f"the limit of a {limit.period_type}"
    _left_of_count(limit.max_count, within, name)
    return _left_of_sum(limit.amount, within, name)


def _left_of_count(cap: int | None, uses: Sequence[Use], name: str) -> int | None:
    if cap is None:
        return None
    if len(uses) > cap:
        raise LimitExceeded(f"The count passes {name}.")
    return cap - len(uses)


def _left_of_sum(cap: Amount | None, uses: Sequence[Use], name: str) -> Amount | None:
    if cap is None:
        return None
    left = cap.minor - sum(use.amount.minor for use in uses)
    if left < 0:
        raise LimitExceeded(f"The sum passes {name}.")
    return Amount(left, cap.currency)
