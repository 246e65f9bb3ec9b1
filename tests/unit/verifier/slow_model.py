"""A slow model of periods, schedules, slots and limits, which the fast code is held against.

Written from the specification alone: it walks day by day and looks at clocks minute by minute,
and takes nothing from the code under test. It only asks a zone what it shows at an instant, never
when it shows something. Instants are aware UTC, wall-clock times naive; whole minutes.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from functools import cache
from itertools import count, pairwise
from typing import Any
from zoneinfo import ZoneInfo

DAY = timedelta(days=1)
HOUR = timedelta(hours=1)
MINUTE = timedelta(minutes=1)
WEEKDAYS = ["MO", "TU", "WE", "TH", "FR", "SA", "SU"]
MONTHS_OF = {"month": 1, "quarter": 3, "half_year": 6, "year": 12}


def shown(instant: datetime, zone: str) -> datetime:
    """Return what the zone's clocks show."""
    return instant.astimezone(ZoneInfo(zone)).replace(tzinfo=None)


@dataclass(frozen=True)
class Stretch:
    """A stretch of time over which a zone keeps one offset."""

    begins: datetime
    ends: datetime
    offset: timedelta


@cache
def stretches(zone: str, day: date) -> tuple[Stretch, ...]:
    """Look at the clocks through a day of UTC, at each minute of the hours that change them."""
    begins = datetime.combine(day, time(), UTC)
    found = [Stretch(begins, begins, offset(begins, zone))]
    for hour in (begins + n * HOUR for n in range(24)):
        steady = offset(hour, zone) == offset(hour + HOUR, zone) == found[-1].offset
        for minute in [] if steady else [hour + n * MINUTE for n in range(60)]:
            now = offset(minute, zone)
            if now != found[-1].offset:
                found[-1] = Stretch(found[-1].begins, minute, found[-1].offset)
                found.append(Stretch(minute, minute, now))
        found[-1] = Stretch(found[-1].begins, hour + HOUR, found[-1].offset)
    return tuple(found)


def offset(instant: datetime, zone: str) -> timedelta:
    return shown(instant, zone) - instant.replace(tzinfo=None)


def first_showing(wall: datetime, zone: str) -> datetime:
    """Return when clocks first show `wall`.

    Where none does, what clocks would have shown that were not put forward.
    """
    near = [stretch for days in (-1, 0, 1) for stretch in stretches(zone, wall.date() + days * DAY)]
    for stretch in near:
        instant = (wall - stretch.offset).replace(tzinfo=UTC)
        if stretch.begins <= instant < stretch.ends:
            return instant
    for before, after in pairwise(near):
        if shown(before.ends - MINUTE, zone) < wall < shown(after.begins, zone):
            return (wall - before.offset).replace(tzinfo=UTC)
    raise AssertionError(f"{zone} never nears {wall}")


def is_last_of_month(day: date) -> bool:
    return (day + DAY).day == 1


def stands_for(day: date, number: int) -> bool:
    """Say whether `day` is its month's `number`th, or the last where there is none (RFC 7529)."""
    if number < 0:
        return (day - number * DAY).day == 1 and (day - (number + 1) * DAY).month == day.month
    return day.day == number or (day.day < number and is_last_of_month(day))


def months_since(anchor: date, day: date) -> int:
    """Count the firsts of months after `anchor`, up to `day`."""
    return 12 * (day.year - anchor.year) + (day.month - anchor.month)


def monday_of(day: date) -> date:
    while day.weekday() != 0:
        day -= DAY
    return day


# Periods


def begins_calendar_period(day: date, period_type: str) -> bool:
    if period_type == "day":
        return True
    if period_type == "week":
        return day.weekday() == 0
    return day.day == 1 and months_since(date(2000, 1, 1), day) % MONTHS_OF[period_type] == 0


def begins_consent_period(day: date, period_type: str, anchor: date) -> bool:
    if period_type in ("day", "week"):
        return (day - anchor).days % (7 if period_type == "week" else 1) == 0
    step = MONTHS_OF[period_type]
    return months_since(anchor, day) % step == 0 and stands_for(day, anchor.day)


def starts(limit: Mapping[str, Any], valid_from: datetime, until: datetime) -> list[datetime]:
    """Return the starts of periods 0, 1 … up to the first that is past `until`."""
    zone, kind = limit["time_zone"], limit["period_type"]
    wall = shown(valid_from, zone)
    if limit["period_alignment"] == "consent":
        found = [valid_from]
        day = wall.date()
        while found[-1] <= until:
            day += DAY
            if begins_consent_period(day, kind, wall.date()):
                found.append(first_showing(datetime.combine(day, wall.time()), zone))
        return found
    day = wall.date() + 2 * DAY
    start = valid_from + DAY
    while start > valid_from:
        day -= DAY
        if begins_calendar_period(day, kind):
            start = first_showing(datetime.combine(day, time()), zone)
    found = [start]
    while found[-1] <= until:
        day += DAY
        if begins_calendar_period(day, kind):
            found.append(first_showing(datetime.combine(day, time()), zone))
    return found


def period_number(begun: Sequence[datetime], at: datetime) -> int:
    return max(number for number, start in enumerate(begun) if start <= at)


# Schedules


def dues(rule: str, valid_from: datetime, valid_to: datetime, zone: str) -> list[datetime] | None:
    """Return the due instants; None where the rule is to be refused for where they fall."""
    parts = dict(part.split("=") for part in rule.split(";"))
    until = None
    if "UNTIL" in parts:
        until = datetime.strptime(parts["UNTIL"], "%Y%m%dT%H%M%SZ").replace(tzinfo=UTC)
        if until > valid_to:
            return None
    found: list[datetime] = []
    for due in instants(parts, valid_from, valid_to, zone):
        if until is not None and due > until:
            break
        if "COUNT" in parts and len(found) == int(parts["COUNT"]):
            break
        found.append(due)
    short = len(found) < int(parts.get("COUNT", 1))
    return None if short or len(found) > 5000 or found[-1] >= valid_to else found


def instants(
    parts: Mapping[str, str], valid_from: datetime, valid_to: datetime, zone: str
) -> Iterator[datetime]:
    wall = shown(valid_from, zone)
    yielded = None
    for offset in count():
        day = wall.date() + offset * DAY
        if day > shown(valid_to, zone).date():
            return
        if not is_due(parts, day, wall.date()):
            continue
        due = first_showing(datetime.combine(day, wall.time()), zone) if offset else valid_from
        if due != yielded:  # a day that was skipped falls onto the next
            yield due
        yielded = due


def is_due(parts: Mapping[str, str], day: date, anchor: date) -> bool:
    frequency, interval = parts["FREQ"], int(parts.get("INTERVAL", 1))
    passed = {
        "DAILY": (day - anchor).days,
        "WEEKLY": (monday_of(day) - monday_of(anchor)).days // 7,
        "MONTHLY": months_since(anchor, day),
        "YEARLY": day.year - anchor.year,
    }[frequency]
    if passed % interval:
        return False
    if "BYMONTH" in parts and str(day.month) not in parts["BYMONTH"].split(","):
        return False
    if "BYDAY" in parts and not any(is_weekday(day, name) for name in parts["BYDAY"].split(",")):
        return False
    if "BYMONTHDAY" in parts:
        return any(stands_for(day, int(number)) for number in parts["BYMONTHDAY"].split(","))
    if "BYDAY" in parts or frequency == "DAILY":
        return True
    if frequency == "WEEKLY":
        return day.weekday() == anchor.weekday()
    in_month = frequency == "MONTHLY" or "BYMONTH" in parts or day.month == anchor.month
    return in_month and stands_for(day, anchor.day)


def is_weekday(day: date, name: str) -> bool:
    """Say whether `day` is the weekday, or its nth in the month: 2TU, -1FR."""
    if WEEKDAYS[day.weekday()] != name[-2:]:
        return False
    ordinal = int(name[:-2] or 0)
    step = timedelta(weeks=-1 if ordinal > 0 else 1)
    same = 0
    other = day
    while other.month == day.month:
        same, other = same + 1, other + step
    return ordinal == 0 or abs(ordinal) == same


# Slots and limits


@dataclass(frozen=True)
class SlowSlot:
    """A slot and the instants at which it can be taken."""

    name: str
    first: datetime
    last: datetime  # one second before it is over


def slots(constraints: Mapping[str, Any]) -> list[SlowSlot]:
    valid_from, valid_to = read(constraints["valid_from"]), read(constraints["valid_to"])
    limits = constraints.get("periodic_limits", [])
    second = timedelta(seconds=1)
    if "schedule" in constraints:
        zone = limits[0]["time_zone"] if limits else "UTC"
        due = dues(constraints["schedule"], valid_from, valid_to, zone)
        assert due is not None
        window = timedelta(hours=int(constraints["due_window"][2:-1]))
        ends = [min(each + window, valid_to - second) for each in due]
        return [SlowSlot(f"o{n}", *pair) for n, pair in enumerate(zip(due, ends, strict=True))]
    if not limits:
        places = constraints.get("max_occurrences", 1)
        return list(placed(0, valid_from, valid_to - second, places))
    begun = starts(limits[0], valid_from, valid_to)
    places = limits[0].get("max_count", 1)
    found: list[SlowSlot] = []
    for number in range(period_number(begun, valid_to - second) + 1):
        first, end = max(begun[number], valid_from), min(begun[number + 1], valid_to)
        found += placed(number, first, end - second, places)
    return found


def placed(period: int, first: datetime, last: datetime, places: int) -> Iterator[SlowSlot]:
    for place in range(places):
        yield SlowSlot(f"p{period}.{place}" if places > 1 else f"p{period}", first, last)


def fits(
    constraints: Mapping[str, Any], taken: Sequence[tuple[datetime, int]], new: tuple[datetime, int]
) -> dict[str, Any] | None:
    """Return what is left once `new` is taken, too; None where that passes a limit.

    Uses are pairs: when they count, how many cents.
    """
    found = list(lefts(constraints, [*taken, new]))
    if any(left < 0 for _, left in found):
        return None
    told = ("period", "total", "occurrences")
    return {name: min((n for cap, n in found if cap == name), default=None) for name in told}


def lefts(
    constraints: Mapping[str, Any], uses: Sequence[tuple[datetime, int]]
) -> Iterator[tuple[str, int]]:
    """Yield what each cap leaves after the uses, the last of which is new; below 0 is too much."""
    for name, cap, covered in caps(constraints, uses):
        used = len(covered) if isinstance(cap, int) else sum(minor for _, minor in covered)
        yield name, (cap if isinstance(cap, int) else int(cap.replace(".", ""))) - used


def caps(
    constraints: Mapping[str, Any], uses: Sequence[tuple[datetime, int]]
) -> Iterator[tuple[str, Any, list[tuple[datetime, int]]]]:
    """Yield each cap, a count or a decimal, with the uses that it covers; the last use is new."""
    if "max_total" in constraints:
        yield "total", constraints["max_total"]["amount"], list(uses)
    if "max_occurrences" in constraints:
        yield "occurrences", constraints["max_occurrences"], list(uses)
    for limit in constraints.get("periodic_limits", []):
        begun = starts(limit, read(constraints["valid_from"]), max(at for at, _ in uses))
        number = period_number(begun, uses[-1][0])
        within = [use for use in uses if period_number(begun, use[0]) == number]
        if "amount" in limit:
            yield "period", limit["amount"], within
        if "max_count" in limit:
            yield "count", limit["max_count"], within


read = datetime.fromisoformat
