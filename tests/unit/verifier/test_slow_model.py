"""Periods, schedules, slots and limits, against the slow model, over every kind of odd day."""

from datetime import datetime, timedelta
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import assume, example, given, settings
from hypothesis import strategies as st

from batchtokens_verifier.constraints import (
    Amount,
    Constraints,
    PeriodicLimit,
    Use,
    check_limits,
    format_instant,
    period_bounds,
    period_index,
    plan_slots,
)
from batchtokens_verifier.constraints.instants import zone_named
from batchtokens_verifier.constraints.schedules import Rule, expand
from batchtokens_verifier.errors import InvalidConstraints, LimitExceeded
from tests.unit.verifier import slow_model

pytestmark = pytest.mark.slow

MINUTE = timedelta(minutes=1)
SECOND = timedelta(seconds=1)
PERIODS = ["day", "week", "month", "quarter", "half_year", "year"]
ZONES = [
    "UTC",
    "Africa/Casablanca",  # an hour back for Ramadan
    "America/Havana",  # changes at midnight
    "America/New_York",
    "America/St_Johns",  # changed at 00:01 until 2011
    "Asia/Kathmandu",
    "Australia/Lord_Howe",  # half an hour
    "Europe/Berlin",
    "Pacific/Apia",  # lost 30 December 2011
    "Pacific/Kiritimati",
]
# When clocks change, or hours and days that they never show.
CHANGES = [
    ("Africa/Casablanca", "2026-02-15T02:00Z"),
    ("Africa/Casablanca", "2026-03-22T02:00Z"),
    ("America/Havana", "2026-03-08T05:00Z"),
    ("America/Havana", "2026-11-01T05:00Z"),
    ("America/New_York", "2026-03-08T07:00Z"),
    ("America/New_York", "2026-11-01T06:00Z"),
    ("America/St_Johns", "2010-11-07T02:31Z"),
    ("Australia/Lord_Howe", "2026-04-04T15:00Z"),
    ("Australia/Lord_Howe", "2026-10-03T15:30Z"),
    ("Europe/Berlin", "2026-03-29T01:00Z"),
    ("Europe/Berlin", "2026-10-25T01:00Z"),
    ("Pacific/Apia", "2011-12-30T10:00Z"),
    ("Pacific/Apia", "2012-03-31T14:00Z"),
]
ENDS_OF_MONTHS = ["2026-01-31", "2026-08-31", "2026-12-31", "2028-02-29", "2027-10-30"]


def minutes_after(text: str, minutes: int) -> datetime:
    return datetime.fromisoformat(text) + minutes * MINUTE


zones = st.sampled_from(ZONES)
minutes_of_a_day = st.integers(0, 1439)
ends_of_months = st.builds(
    lambda day, minute: minutes_after(f"{day}T00:00Z", minute),
    st.sampled_from(ENDS_OF_MONTHS),
    minutes_of_a_day,
)
any_instants = st.builds(
    lambda day, minute: minutes_after("2026-01-01T00:00Z", 1440 * day + minute),
    st.integers(0, 1000),
    minutes_of_a_day,
)
# Up to a day before or after a change, and mostly close to one.
odd_places = st.builds(
    lambda change, days, minutes: (
        change[0],
        minutes_after(change[1], days * 1440 + minutes),
    ),
    st.sampled_from(CHANGES),
    st.integers(-1, 1),
    st.integers(-90, 90),
)
places = odd_places | st.tuples(zones, ends_of_months | any_instants)
limits = st.fixed_dictionaries(
    {
        "period_type": st.sampled_from(PERIODS),
        "period_alignment": st.sampled_from(["consent", "calendar"]),
        "time_zone": zones,
        "max_count": st.integers(1, 3),
    }
)


DAILY = {"period_type": "day", "period_alignment": "consent", "time_zone": "", "max_count": 1}


def odd(zone: str, valid_from: str) -> dict[str, Any]:
    """Name a start whose day's period is odd, whatever is drawn."""
    return {"limit": dict(DAILY), "place": (zone, minutes_after(valid_from, 0)), "minutes": 2880}


@settings(max_examples=250)
@example(**odd("America/New_York", "2026-11-01T06:30Z"))  # the hour's second coming
@example(**odd("America/New_York", "2026-10-31T05:30Z"))  # next, the hour's first coming
@example(**odd("Europe/Berlin", "2026-03-28T01:30Z"))  # next, an hour that never comes
@example(**odd("Pacific/Apia", "2011-12-30T09:59Z"))  # next, a day that never comes
@given(limit=limits, place=places, minutes=st.integers(0, 400 * 1440))
def test_periods_begin_where_the_slow_model_says(
    limit: dict[str, Any], place: tuple[str, datetime], minutes: int
) -> None:
    limit["time_zone"], valid_from = place
    at = valid_from + minutes * MINUTE
    begun = slow_model.starts(limit, valid_from, at)
    number = slow_model.period_number(begun, at)
    parsed = PeriodicLimit.parse(limit, "")

    assert period_index(parsed, valid_from, at) == number
    for index, bounds in enumerate(pairwise(begun)):
        assert period_bounds(parsed, valid_from, index) == bounds
    for start in begun[1:-1][:5]:  # of two that begin at once, the former is empty
        for instant in (start - SECOND, start):
            number = slow_model.period_number(begun, instant)
            assert period_index(parsed, valid_from, instant) == number


def listed(draw: st.DrawFn, names: list[str], most: int = 3) -> str:
    return ",".join(draw(st.lists(st.sampled_from(names), min_size=1, max_size=most)))


@st.composite
def rules(draw: st.DrawFn) -> str:
    """Draw a rule without its end."""
    frequency = draw(st.sampled_from(["DAILY", "WEEKLY", "MONTHLY", "YEARLY"]))
    parts = [f"FREQ={frequency}"]
    if draw(st.booleans()):
        parts.append(f"INTERVAL={draw(st.integers(1, 4))}")
    if months := draw(st.booleans()):
        parts.append(f"BYMONTH={listed(draw, [str(month) for month in range(1, 13)])}")
    if frequency != "WEEKLY" and draw(st.booleans()):
        days = ["1", "15", "28", "29", "30", "31", "-1", "-2", "-28"]
        parts.append(f"BYMONTHDAY={listed(draw, days)}")
    if (frequency != "YEARLY" or months) and draw(st.booleans()):
        ordinals = ["", "1", "4", "5", "-1", "-5"] if frequency in ("MONTHLY", "YEARLY") else [""]
        days = [n + day for day in slow_model.WEEKDAYS for n in ordinals]
        parts.append(f"BYDAY={listed(draw, days)}")
    return ";".join(parts)


@st.composite
def ended_rules(draw: st.DrawFn, valid_from: datetime, valid_to: datetime) -> str:
    rule = draw(rules())
    if draw(st.booleans()):
        return f"{rule};COUNT={draw(st.integers(1, 14))}"
    until = draw(st.datetimes(valid_from.replace(tzinfo=None), valid_to.replace(tzinfo=None)))
    return f"{rule};UNTIL={until:%Y%m%dT%H%M%SZ}"


@settings(max_examples=400)
@given(st.data(), places, st.integers(1, 366 * 1440))
def test_schedules_are_due_when_the_slow_model_says(
    data: st.DataObject, place: tuple[str, datetime], minutes: int
) -> None:
    zone, valid_from = place
    valid_to = valid_from + minutes * MINUTE
    rule = data.draw(ended_rules(valid_from, valid_to))
    expected = slow_model.dues(rule, valid_from, valid_to, zone)

    try:
        found = list(
            expand(
                Rule.parse(rule), valid_from=valid_from, valid_to=valid_to, zone=zone_named(zone)
            )
        )
    except InvalidConstraints:
        found = None

    assert found == expected


@st.composite
def constraints(draw: st.DrawFn) -> dict[str, Any]:
    """Draw constraints in their wire form, with a limit or a schedule or both."""
    zone, valid_from = draw(places)
    valid_to = valid_from + draw(st.integers(1, 200 * 1440)) * MINUTE
    members: dict[str, Any] = {
        "valid_from": format_instant(valid_from),
        "valid_to": format_instant(valid_to),
    }
    drawn = draw(st.lists(limits, max_size=3))
    for limit in drawn:
        if draw(st.booleans()):
            limit |= {"amount": f"{draw(st.integers(1, 300))}.00", "currency": "USD"}
    if drawn:
        drawn[0]["time_zone"] = zone
        members["periodic_limits"] = drawn
    if draw(st.booleans()):
        schedule = draw(ended_rules(valid_from, valid_to))
        assume(slow_model.dues(schedule, valid_from, valid_to, zone if drawn else "UTC"))
        window = draw(st.sampled_from([1, 24, 36, 24 * 40]))
        return members | {"schedule": schedule, "due_window": f"PT{window}H"}
    if draw(st.booleans()):
        members["max_occurrences"] = draw(st.integers(1, 5))
    if draw(st.booleans()):
        members["max_total"] = {"amount": f"{draw(st.integers(1, 300))}.00", "currency": "USD"}
    return members


def parsed(members: dict[str, Any]) -> Constraints:
    return Constraints.parse(members, operation_amount=Amount(1, "USD"))


@st.composite
def moments(draw: st.DrawFn, slots: list[slow_model.SlowSlot]) -> datetime:
    """Draw an instant at, right before or right after an end of a slot, or somewhere inside."""
    slot = draw(st.sampled_from(slots))
    edge = draw(st.sampled_from([slot.first, slot.last]))
    inside = draw(st.integers(0, max(0, int((slot.last - slot.first) / SECOND))))
    return draw(st.sampled_from([edge - SECOND, edge, edge + SECOND, slot.first + inside * SECOND]))


@settings(max_examples=200)
@given(st.data(), constraints())
def test_slots_are_open_when_the_slow_model_says(
    data: st.DataObject, members: dict[str, Any]
) -> None:
    slots = slow_model.slots(members)
    plan = plan_slots(parsed(members))

    assert [slot.name for slot in plan.slots] == [slot.name for slot in slots]
    assert plan.capacity == len(slots)
    for at in data.draw(st.lists(moments(slots), min_size=1, max_size=8)):
        expected = [slot.name for slot in slots if slot.first <= at <= slot.last]
        assert [slot.name for slot in plan.open_at(at)] == expected
        assert [slot.name for slot in plan.slots if plan.is_open(slot, at)] == expected


@settings(max_examples=200)
@given(st.data(), constraints(), st.integers(100, 20_000))
def test_limits_leave_what_the_slow_model_says(
    data: st.DataObject, members: dict[str, Any], most: int
) -> None:
    slots = slow_model.slots(members)
    limited = parsed(members)
    taken: list[tuple[datetime, int]] = []
    valid_from = limited.valid_from
    instants = moments(slots).map(lambda at: max(at, valid_from))

    for at, minor in data.draw(st.lists(st.tuples(instants, st.integers(1, most)), max_size=10)):
        expected = slow_model.fits(members, taken, (at, minor))
        uses = [Use(when, Amount(each, "USD")) for when, each in taken]
        try:
            left = check_limits(limited, uses, Use(at, Amount(minor, "USD")))
        except LimitExceeded:
            assert expected is None
            continue
        taken.append((at, minor))
        assert expected == {
            "period": left.period.minor if left.period else None,
            "total": left.total.minor if left.total else None,
            "occurrences": left.occurrences,
        }
