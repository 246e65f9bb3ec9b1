"""Periods of a limit, day to year, as a pure function of valid_from.

Period 0 holds valid_from. "consent" periods start at valid_from's wall-clock time, months clamped
from its day; "calendar" periods start at local midnight: Mondays, firsts of months and so on.
"""

from calendar import monthrange
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from functools import cached_property, lru_cache
from typing import Any, Self
from zoneinfo import ZoneInfo

from batchtokens_verifier.constraints.instants import (
    instant_of,
    parse_zone,
    wall_clock,
    zone_named,
)
from batchtokens_verifier.constraints.members import parse_count, parse_word, refuse_unknown
from batchtokens_verifier.constraints.money import Amount
from batchtokens_verifier.errors import InvalidConstraints


class PeriodType(StrEnum):
    """How long a period is."""

    DAY = "day"
    WEEK = "week"
    MONTH = "month"
    QUARTER = "quarter"
    HALF_YEAR = "half_year"
    YEAR = "year"


class Alignment(StrEnum):
    """Where periods start: at the consent's own instant, or with the calendar."""

    CONSENT = "consent"
    CALENDAR = "calendar"


_LIMIT_MEMBERS = frozenset(
    {"period_type", "period_alignment", "time_zone", "amount", "currency", "max_count"}
)
_DAYS = {PeriodType.DAY: 1, PeriodType.WEEK: 7}
_MONTHS = {
    PeriodType.MONTH: 1,
    PeriodType.QUARTER: 3,
    PeriodType.HALF_YEAR: 6,
    PeriodType.YEAR: 12,
}


@dataclass(frozen=True, slots=True)
class PeriodicLimit:
    """What may happen within one period: a sum, a count, or both."""

    period_type: PeriodType
    period_alignment: Alignment
    time_zone: str
    amount: Amount | None
    max_count: int | None

    @classmethod
    def parse(cls, value: object, pointer: str) -> Self:
        """Read one element of periodic_limits; time_zone is UTC where absent.

        Raises InvalidConstraints.
        """
        if not isinstance(value, Mapping):
            raise InvalidConstraints("A periodic limit is an object.", pointer=pointer)
        refuse_unknown(value, _LIMIT_MEMBERS, pointer)
        limit = cls(
            period_type=parse_word(PeriodType, value, "period_type", pointer),
            period_alignment=parse_word(Alignment, value, "period_alignment", pointer),
            time_zone=parse_zone(value.get("time_zone", "UTC"), f"{pointer}/time_zone"),
            amount=_flat_amount(value, pointer),
            max_count=parse_count(value, "max_count", pointer),
        )
        if limit.amount is None and limit.max_count is None:
            raise InvalidConstraints("A limit has an amount or a max_count.", pointer=pointer)
        return limit

    def as_json(self) -> dict[str, Any]:
        """Return the wire form, with the members that are there."""
        members: dict[str, Any] = {
            "period_type": self.period_type.value,
            "period_alignment": self.period_alignment.value,
            "time_zone": self.time_zone,
        }
        if self.amount is not None:
            members |= self.amount.as_json()
        if self.max_count is not None:
            members["max_count"] = self.max_count
        return members


def period_index(limit: PeriodicLimit, valid_from: datetime, at: datetime) -> int:
    """Return the number of the period that holds `at`: 0 where valid_from is, negative before."""
    clock = _clock(limit, valid_from)
    return clock.number(at) - clock.first


def period_bounds(
    limit: PeriodicLimit, valid_from: datetime, index: int
) -> tuple[datetime, datetime]:
    """Return start and end of period `index`: half-open, UTC."""
    clock = _clock(limit, valid_from)
    return clock.start(clock.first + index), clock.start(clock.first + index + 1)


def period_holding(
    limit: PeriodicLimit, valid_from: datetime, at: datetime
) -> tuple[datetime, datetime]:
    """Return start and end of the period that holds `at`."""
    clock = _clock(limit, valid_from)
    number = clock.number(at)
    return clock.start(number), clock.start(number + 1)


def add_months(wall: datetime, months: int) -> datetime:
    """Return the wall-clock time `months` later, clamped to the month's last day.

    RFC 7529 §4.1 SKIP=BACKWARD: one month after 31 January is 28 or 29 February.
    """
    year, month = divmod(wall.year * 12 + wall.month - 1 + months, 12)
    day = min(wall.day, monthrange(year, month + 1)[1])
    return wall.replace(year=year, month=month + 1, day=day)


@dataclass(frozen=True)
class _Clock:
    """Counts periods from `anchor`, a wall-clock time; `exact` is the anchor's instant if known."""

    zone: ZoneInfo
    days: int
    months: int
    anchor: datetime
    exact: datetime | None
    valid_from: datetime
    _starts: dict[int, datetime] = field(default_factory=dict, repr=False, compare=False)

    @cached_property
    def first(self) -> int:
        """Return the number of the period that holds valid_from."""
        return self.number(self.valid_from)

    def start(self, number: int) -> datetime:
        start = self._starts.get(number)
        if start is None:
            start = self._starts[number] = self._start(number)
        return start

    def _start(self, number: int) -> datetime:
        if number == 0 and self.exact:
            return self.exact
        if self.months:
            return instant_of(add_months(self.anchor, number * self.months), self.zone)
        return instant_of(self.anchor + timedelta(days=number * self.days), self.zone)

    def number(self, at: datetime) -> int:
        """Count from the wall clock, then correct by the boundaries, which alone decide."""
        number = self._estimate(wall_clock(at, self.zone))
        while at < self.start(number):
            number -= 1
        while self.start(number + 1) <= at:
            number += 1
        return number

    def _estimate(self, wall: datetime) -> int:
        if self.days:
            return (wall.date() - self.anchor.date()).days // self.days
        passed = (wall.year - self.anchor.year) * 12 + wall.month - self.anchor.month
        return passed // self.months


@lru_cache(maxsize=256)
def _clock(limit: PeriodicLimit, valid_from: datetime) -> _Clock:
    zone = zone_named(limit.time_zone)
    days, months = _DAYS.get(limit.period_type, 0), _MONTHS.get(limit.period_type, 0)
    wall = wall_clock(valid_from, zone)
    if limit.period_alignment is Alignment.CONSENT:
        return _Clock(zone, days, months, wall, valid_from.astimezone(UTC), valid_from)
    return _Clock(zone, days, months, _calendar_start(wall, days, months), None, valid_from)


def _calendar_start(wall: datetime, days: int, months: int) -> datetime:
    midnight = wall.replace(hour=0, minute=0, second=0, microsecond=0)
    if days:
        return midnight - timedelta(days=midnight.weekday() if days == 7 else 0)
    return midnight.replace(day=1, month=(midnight.month - 1) // months * months + 1)


def _flat_amount(value: Mapping[str, object], pointer: str) -> Amount | None:
    members = {name: value[name] for name in ("amount", "currency") if name in value}
    return Amount.parse(members, pointer) if members else None
