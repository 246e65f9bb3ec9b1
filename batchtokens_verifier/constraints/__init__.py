"""What bounds an operation token: money, periods, schedules, slots and limits."""

from batchtokens_verifier.constraints.instants import format_instant, parse_instant
from batchtokens_verifier.constraints.limits import Remaining, Use, check_limits, resolve_amount
from batchtokens_verifier.constraints.money import Amount, exponent
from batchtokens_verifier.constraints.periods import (
    Alignment,
    PeriodicLimit,
    PeriodType,
    period_bounds,
    period_index,
)
from batchtokens_verifier.constraints.slots import Slot, SlotPlan, plan_slots
from batchtokens_verifier.constraints.terms import Constraints

__all__ = [
    "Alignment",
    "Amount",
    "Constraints",
    "PeriodType",
    "PeriodicLimit",
    "Remaining",
    "Slot",
    "SlotPlan",
    "Use",
    "check_limits",
    "exponent",
    "format_instant",
    "parse_instant",
    "period_bounds",
    "period_index",
    "plan_slots",
    "resolve_amount",
]
