"""Periods, against published boundaries and against a slow model on another time library."""

from datetime import UTC, datetime, timedelta
from itertools import pairwise
from typing import Any

import pytest
from dateutil import tz
from dateutil.relativedelta import relativedelta
from hypothesis import given, settings
from hypothesis import strategies as st

from batchtokens_verifier.constraints import (
    Alignment,
    PeriodicLimit,
    PeriodType,
    period_bounds,
    period_index,
)
from tests.unit.verifier.vectors import cases

SECOND = timedelta(seconds=1)
STEPS = {
    PeriodType.DAY: relativedelta(days=1),
    PeriodType.WEEK: relativedelta(weeks=1),
    PeriodType.MONTH: relativedelta(months=1),
    PeriodType.QUARTER: relativedelta(months=3),
    PeriodType.HALF_YEAR: relativedelta(months=6),
    PeriodType.YEAR: relativedelta(years=1),
}
ZONES = [
    "UTC",
    "America/New_York",
    "America/Havana",
    "Asia/Kathmandu",
    "Australia/Lord_Howe",
    "Europe/Madrid",
    "Pacific/Apia",
]
# From 2009 on, and ending before 2038, after which dateutil knows no more changes of the clocks.
INSTANTS = st.integers(1_230_768_000, 1_500_000_000).map(
    lambda seconds: datetime.fromtimestamp(seconds, UTC)
)


def limit(period_type: str, alignment: str, zone: str) -> PeriodicLimit:
    return PeriodicLimit(PeriodType(period_type), Alignment(alignment), zone, None, 1)


def read(text: str) -> datetime:
    return datetime.fromisoformat(text)


@pytest.mark.parametrize("vector", cases("periods", "vectors") + cases("periods", "odd_days"))
def test_periods_begin_and_end_where_published(vector: dict[str, Any]) -> None:
    periods = limit(vector["period_type"], vector["period_alignment"], vector["time_zone"])
    starts = [read(start) for start in vector["starts"]]

    for index, bounds in enumerate(pairwise(starts)):
        assert period_bounds(periods, read(vector["valid_from"]), index) == bounds


@pytest.mark.parametrize("vector", cases("periods", "vectors") + cases("periods", "odd_days"))
def test_boundary_belongs_to_the_later_period(vector: dict[str, Any]) -> None:
    periods = limit(vector["period_type"], vector["period_alignment"], vector["time_zone"])
    starts, valid_from = [read(start) for start in vector["starts"]], read(vector["valid_from"])

    for start in starts:
        later = max(index for index, other in enumerate(starts) if other == start)
        earlier = min(index for index, other in enumerate(starts) if other == start) - 1
        assert period_index(periods, valid_from, start) == later
        assert period_index(periods, valid_from, start + SECOND) == later
        assert period_index(periods, valid_from, start - SECOND) == earlier


def slow_start(periods: PeriodicLimit, valid_from: datetime, index: int) -> datetime:
    """Return a period's start by stepping on dateutil's wall clock from period 0."""
    zone = tz.gettz(periods.time_zone)
    if periods.period_alignment is Alignment.CONSENT and index == 0:
        return valid_from
    wall = valid_from.astimezone(zone).replace(tzinfo=None, fold=0)
    if periods.period_alignment is Alignment.CALENDAR:
        wall = wall.replace(hour=0, minute=0, second=0)
        while not begins_period(wall, periods.period_type):
            wall -= timedelta(days=1)
    wall += STEPS[periods.period_type] * index
    return tz.resolve_imaginary(wall.replace(tzinfo=zone)).astimezone(UTC)


def begins_period(day: datetime, period_type: PeriodType) -> bool:
    months = {"month": range(1, 13), "quarter": (1, 4, 7, 10), "half_year": (1, 7), "year": (1,)}
    if period_type in months:
        return day.day == 1 and day.month in months[period_type]
    return period_type == PeriodType.DAY or day.weekday() == 0


@settings(max_examples=40)
@given(
    st.sampled_from(PeriodType),
    st.sampled_from(Alignment),
    st.sampled_from(ZONES),
    INSTANTS,
    st.integers(0, 19),
)
def test_bounds_agree_with_the_slow_model(
    period_type: PeriodType, alignment: Alignment, zone: str, valid_from: datetime, index: int
) -> None:
    periods = PeriodicLimit(period_type, alignment, zone, None, 1)

    expected = tuple(slow_start(periods, valid_from, number) for number in (index, index + 1))

    assert period_bounds(periods, valid_from, index) == expected


@settings(max_examples=40)
@given(
    st.sampled_from(PeriodType),
    st.sampled_from(Alignment),
    st.sampled_from(ZONES),
    INSTANTS,
    st.timedeltas(timedelta(0), timedelta(days=800)),
)
def test_index_names_the_period_that_holds_the_instant(
    period_type: PeriodType, alignment: Alignment, zone: str, valid_from: datetime, later: timedelta
) -> None:
    periods = PeriodicLimit(period_type, alignment, zone, None, 1)

    index = period_index(periods, valid_from, valid_from + later)
    start, end = period_bounds(periods, valid_from, index)

    assert index >= 0
    assert start <= valid_from + later < end
    assert period_bounds(periods, valid_from, 0)[0] <= valid_from
