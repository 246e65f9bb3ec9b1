"""The constraints of an operation token: one frozen value, parsed once.

Wire format (docs/token-format.md), append-only: a new member is optional, last, with a default.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import cached_property
from typing import Any, Self, TypeVar

from batchtokens_verifier.constraints.instants import (
    format_duration,
    format_instant,
    parse_duration,
    parse_instant,
    zone_named,
)
from batchtokens_verifier.constraints.members import parse_count, refuse_unknown
from batchtokens_verifier.constraints.money import Amount
from batchtokens_verifier.constraints.periods import PeriodicLimit, period_index
from batchtokens_verifier.constraints.schedules import MAX_SLOTS, Rule, expand
from batchtokens_verifier.errors import InvalidConstraints

MAX_PERIODIC_LIMITS = 10
MAX_LIFETIME = timedelta(days=366)  # one year, also over a leap day

CONSTRAINT_MEMBERS = frozenset(
    {
        "valid_from",
        "valid_to",
        "schedule",
        "due_window",
        "max_individual_amount",
        "periodic_limits",
        "max_total",
        "max_occurrences",
    }
)
_Parsed = TypeVar("_Parsed")


@dataclass(frozen=True)
class Constraints:
    """What bounds one operation token; instants are aware UTC, whole seconds.

    No __slots__: what follows from the members is computed once, and kept with them.
    """

    valid_from: datetime
    valid_to: datetime
    schedule: str | None = None
    due_window: timedelta | None = None
    max_individual_amount: Amount | None = None
    periodic_limits: tuple[PeriodicLimit, ...] = ()
    max_total: Amount | None = None
    max_occurrences: int | None = None

    @classmethod
    def parse(
        cls,
        value: object,
        *,
        operation_amount: Amount | None,
        allow_secondly: bool = False,
    ) -> Self:
        """Read the constraints of an operation whose fixed amount is `operation_amount`.

        valid_from and valid_to are required: the issuer fills the first in. allow_secondly: also
        schedules finer than DAILY. Raises InvalidConstraints with the pointer of what is wrong.
        """
        if not isinstance(value, Mapping):
            raise InvalidConstraints("Constraints are an object.")
        refuse_unknown(value, CONSTRAINT_MEMBERS, "")
        constraints = cls(
            valid_from=parse_instant(value.get("valid_from"), "/valid_from"),
            valid_to=parse_instant(value.get("valid_to"), "/valid_to"),
            schedule=_text(value, "schedule"),
            due_window=_optional(parse_duration, value, "due_window"),
            max_individual_amount=_optional(Amount.parse, value, "max_individual_amount"),
            periodic_limits=_periodic_limits(value),
            max_total=_optional(Amount.parse, value, "max_total"),
            max_occurrences=parse_count(value, "max_occurrences", ""),
        )
        _check_validity(constraints)
        _check_amounts(constraints, operation_amount)
        _check_slots(constraints, allow_secondly=allow_secondly)
        return constraints

    def as_json(self) -> dict[str, Any]:
        """Return the wire form: the members that are there, in their fixed order."""
        return dict(self._wire)

    @cached_property
    def _wire(self) -> dict[str, Any]:
        members = {
            "valid_from": format_instant(self.valid_from),
            "valid_to": format_instant(self.valid_to),
            "schedule": self.schedule,
            "due_window": format_duration(self.due_window) if self.due_window else None,
            "max_individual_amount": _as_json(self.max_individual_amount),
            "periodic_limits": [limit.as_json() for limit in self.periodic_limits] or None,
            "max_total": _as_json(self.max_total),
            "max_occurrences": self.max_occurrences,
        }
        return {name: member for name, member in members.items() if member is not None}

    @cached_property
    def due_times(self) -> tuple[datetime, ...]:
        """Return the instants at which the schedule is due; none without a schedule."""
        if self.schedule is None:
            return ()
        rule = Rule.parse(self.schedule, allow_secondly=True)
        zone = self.periodic_limits[0].time_zone if self.periodic_limits else "UTC"
        return expand(
            rule, valid_from=self.valid_from, valid_to=self.valid_to, zone=zone_named(zone)
        )

    @cached_property
    def period_count(self) -> int:
        """Return how many periods of the first limit the validity touches; 1 without limits."""
        if not self.periodic_limits:
            return 1
        last = self.valid_to - timedelta(microseconds=1)
        return period_index(self.periodic_limits[0], self.valid_from, last) + 1

    @property
    def slots_per_period(self) -> int:
        """Return how many slots a period has where there is no schedule."""
        limits = self.periodic_limits
        return (limits[0].max_count if limits else self.max_occurrences) or 1


def _text(value: Mapping[str, object], name: str) -> str | None:
    if name not in value:
        return None
    text = value[name]
    if isinstance(text, str):
        return text
    raise InvalidConstraints("A string.", pointer=f"/{name}")


def _optional(
    parse: Callable[[object, str], _Parsed], value: Mapping[str, object], name: str
) -> _Parsed | None:
    return parse(value[name], f"/{name}") if name in value else None


def _periodic_limits(value: Mapping[str, object]) -> tuple[PeriodicLimit, ...]:
    limits = value.get("periodic_limits", [])
    if not isinstance(limits, list) or len(limits) > MAX_PERIODIC_LIMITS:
        raise InvalidConstraints(
            f"A list of at most {MAX_PERIODIC_LIMITS} limits.", pointer="/periodic_limits"
        )
    return tuple(
        PeriodicLimit.parse(limit, f"/periodic_limits/{index}")
        for index, limit in enumerate(limits)
    )


def _as_json(amount: Amount | None) -> dict[str, str] | None:
    return amount.as_json() if amount else None


def _check_validity(constraints: Constraints) -> None:
    if not constraints.valid_from < constraints.valid_to:
        raise InvalidConstraints("valid_to is after valid_from.", pointer="/valid_to")
    if constraints.valid_to - constraints.valid_from > MAX_LIFETIME:
        raise InvalidConstraints("Validity is at most one year.", pointer="/valid_to")


def _check_amounts(constraints: Constraints, operation_amount: Amount | None) -> None:
    individual = constraints.max_individual_amount
    if operation_amount is None and individual is None:
        raise InvalidConstraints(
            "An operation without an amount needs one.", pointer="/max_individual_amount"
        )
    base = operation_amount or individual
    named = {"/max_individual_amount": individual, "/max_total": constraints.max_total}
    for index, limit in enumerate(constraints.periodic_limits):
        named[f"/periodic_limits/{index}"] = limit.amount
    for pointer, amount in named.items():
        if base and amount and amount.currency != base.currency:
            raise InvalidConstraints("A token has one currency.", pointer=f"{pointer}/currency")
    if operation_amount and individual and operation_amount.minor > individual.minor:
        raise InvalidConstraints(
            "Less than the operation's own amount.", pointer="/max_individual_amount/amount"
        )


def _check_slots(constraints: Constraints, *, allow_secondly: bool) -> None:
    if (constraints.schedule is None) != (constraints.due_window is None):
        raise InvalidConstraints("A due_window goes with a schedule.", pointer="/due_window")
    if constraints.schedule is None:
        if constraints.period_count * constraints.slots_per_period > MAX_SLOTS:
            raise InvalidConstraints(f"More than {MAX_SLOTS} slots.", pointer="/periodic_limits")
        return
    Rule.parse(constraints.schedule, allow_secondly=allow_secondly)
    runs = len(constraints.due_times)
    if constraints.max_occurrences not in (None, runs):
        raise InvalidConstraints(
            f"The schedule has {runs} occurrences.", pointer="/max_occurrences"
        )
