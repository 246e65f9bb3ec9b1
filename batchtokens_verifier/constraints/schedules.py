"""Schedules: a closed subset of RFC 5545 recurrence rules, expanded inside validity.

DTSTART is valid_from on the wall clock of the limit's zone. A day that a month lacks becomes its
last one (RFC 7529 SKIP=BACKWARD). No rule is followed past valid_to, so none can run away.
"""

import re
from calendar import monthrange
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from functools import lru_cache
from itertools import islice, takewhile
from zoneinfo import ZoneInfo

from batchtokens_verifier.constraints.instants import instant_of, wall_clock
from batchtokens_verifier.errors import InvalidConstraints

MAX_SLOTS = 5000

_POINTER = "/schedule"
_WEEKDAYS = ("MO", "TU", "WE", "TH", "FR", "SA", "SU")
_SECONDS = {"SECONDLY": 1, "MINUTELY": 60, "HOURLY": 3600}
_FREQUENCIES = ("DAILY", "WEEKLY", "MONTHLY", "YEARLY", *_SECONDS)
_NUMBER = r"[1-9][0-9]{0,8}"
_WEEKDAY = rf"(?:{'|'.join(_WEEKDAYS)})"
# Days past the 28th counted from the end would fall before a short month: no reading, so refused.
_MONTHDAY = r"(?:3[01]|[12][0-9]|[1-9]|-(?:2[0-8]|1[0-9]|[1-9]))"
_ORDINAL_DAY = rf"(?:-?[1-5])?{_WEEKDAY}"
_PARTS = {
    "FREQ": re.compile("|".join(_FREQUENCIES)),
    "INTERVAL": re.compile(_NUMBER),
    "COUNT": re.compile(_NUMBER),
    "UNTIL": re.compile(r"[0-9]{8}T[0-9]{6}Z"),
    "BYDAY": re.compile(rf"{_ORDINAL_DAY}(?:,{_ORDINAL_DAY})*"),
    "BYMONTHDAY": re.compile(rf"{_MONTHDAY}(?:,{_MONTHDAY})*"),
    "BYMONTH": re.compile(r"(?:1[0-2]|[1-9])(?:,(?:1[0-2]|[1-9]))*"),
}


@dataclass(frozen=True, slots=True)
class Rule:
    """One recurrence rule; weekdays are (ordinal or 0, weekday with Monday 0)."""

    frequency: str
    interval: int
    count: int | None
    until: datetime | None
    weekdays: tuple[tuple[int, int], ...]
    month_days: tuple[int, ...]
    months: tuple[int, ...]

    @classmethod
    def parse(cls, value: object, *, allow_secondly: bool = False) -> "Rule":
        """Read "FREQ=MONTHLY;COUNT=12". allow_secondly: also frequencies finer than DAILY.

        Raises InvalidConstraints.
        """
        if not isinstance(value, str) or len(value) > 256:
            raise _refused("A schedule is a recurrence rule, as FREQ=MONTHLY;COUNT=12.")
        return _parsed(value, allow_secondly=allow_secondly)


# Many tokens share few rules. The texts are short, so the cache stays small.
@lru_cache(maxsize=1024)
def _parsed(text: str, *, allow_secondly: bool) -> Rule:
    parts = _split(text)
    rule = Rule(
        frequency=parts.get("FREQ", ""),
        interval=int(parts.get("INTERVAL", "1")),
        count=int(parts["COUNT"]) if "COUNT" in parts else None,
        until=_until(parts["UNTIL"]) if "UNTIL" in parts else None,
        weekdays=tuple(_weekday(day) for day in _listed(parts, "BYDAY")),
        month_days=tuple(int(day) for day in _listed(parts, "BYMONTHDAY")),
        months=tuple(int(month) for month in _listed(parts, "BYMONTH")),
    )
    _check_bounds(rule)
    _check_parts(rule, allow_secondly=allow_secondly)
    return rule


def _split(text: str) -> dict[str, str]:
    parts: dict[str, str] = {}
    for part in text.split(";"):
        name, _, content = part.partition("=")
        if name not in _PARTS or name in parts or not _PARTS[name].fullmatch(content):
            raise _refused("The recurrence rule has an unknown, repeated or malformed part.")
        parts[name] = content
    return parts


def _until(text: str) -> datetime:
    try:
        return datetime.strptime(text, "%Y%m%dT%H%M%SZ").replace(tzinfo=UTC)
    except ValueError:
        raise _refused("UNTIL is no instant.") from None


def _listed(parts: dict[str, str], name: str) -> list[str]:
    return parts[name].split(",") if name in parts else []


def _weekday(text: str) -> tuple[int, int]:
    return int(text[:-2] or 0), _WEEKDAYS.index(text[-2:])


def _check_bounds(rule: Rule) -> None:
    if not rule.frequency:
        raise _refused("A schedule has a FREQ.")
    if (rule.count is None) == (rule.until is None):
        raise _refused("A schedule ends: by COUNT or by UNTIL, not both.")
    if rule.count is not None and rule.count > MAX_SLOTS:
        raise _refused(f"A schedule has at most {MAX_SLOTS} occurrences.")


def _check_parts(rule: Rule, *, allow_secondly: bool) -> None:
    by_parts = rule.weekdays or rule.month_days or rule.months
    if rule.frequency in _SECONDS and (by_parts or not allow_secondly):
        raise _refused("DAILY is the finest frequency.")
    # RFC 5545 §3.3.10: BYDAY carries ordinals only in a month or a year, BYMONTHDAY no weeks.
    if any(ordinal for ordinal, _ in rule.weekdays) and rule.frequency in ("DAILY", "WEEKLY"):
        raise _refused("Numbered weekdays belong to MONTHLY or YEARLY rules.")
    if rule.frequency == "WEEKLY" and rule.month_days:
        raise _refused("BYMONTHDAY does not belong to WEEKLY rules.")
    if rule.frequency == "YEARLY" and rule.weekdays and not rule.months:
        raise _refused("BYDAY in a YEARLY rule needs BYMONTH.")


@lru_cache(maxsize=64)
def expand(
    rule: Rule, *, valid_from: datetime, valid_to: datetime, zone: ZoneInfo
) -> tuple[datetime, ...]:
    """Return all due instants, ascending, UTC; every one is inside [valid_from, valid_to).

    Raises InvalidConstraints where one would be outside, or none or too many are inside.
    """
    if rule.until is not None and rule.until > valid_to:
        raise _refused("UNTIL is after valid_to.")
    ascending = _instants(rule, valid_from, valid_to, zone)
    until = rule.until or datetime.max.replace(tzinfo=UTC)
    in_rule = takewhile(lambda due: due <= until, ascending)
    dues = tuple(islice(in_rule, rule.count or MAX_SLOTS + 1))
    _check_dues(rule, dues, valid_to)
    return dues


def _check_dues(rule: Rule, dues: tuple[datetime, ...], valid_to: datetime) -> None:
    if not dues:
        raise _refused("The schedule has no occurrence inside of the validity.")
    if dues[-1] >= valid_to or len(dues) < (rule.count or 1):
        raise _refused("A due time is outside of the validity.")
    if len(dues) > MAX_SLOTS:
        raise _refused(f"A schedule has at most {MAX_SLOTS} occurrences.")


def _instants(
    rule: Rule, valid_from: datetime, valid_to: datetime, zone: ZoneInfo
) -> Iterator[datetime]:
    """Yield the rule's instants, ascending and distinct, until the day of valid_to."""
    if rule.frequency in _SECONDS:
        yield from _steps(valid_from, valid_to, rule.interval * _SECONDS[rule.frequency])
        return
    start, last = wall_clock(valid_from, zone), wall_clock(valid_to, zone).date()
    latest = None
    for day in _days(rule, start.date(), last):
        # The anchor is exact even where the clocks show its time twice.
        at_anchor = day == start.date()
        instant = valid_from if at_anchor else instant_of(datetime.combine(day, start.time()), zone)
        # A day that a zone skipped altogether shifts onto the next one: one run, not two.
        if instant != latest:
            yield instant
        latest = instant


def _steps(valid_from: datetime, valid_to: datetime, seconds: int) -> Iterator[datetime]:
    total = int((valid_to - valid_from).total_seconds())
    return (valid_from + timedelta(seconds=n) for n in range(0, total + 1, seconds))


def _days(rule: Rule, anchor: date, last: date) -> Iterator[date]:
    """Yield the rule's days from `anchor` to `last`, month by month: few of a year's days count."""
    for months in range(anchor.year * 12 + anchor.month - 1, last.year * 12 + last.month):
        year, month = divmod(months, 12)
        if _in_months(rule, year, month + 1, anchor):
            for number in _days_of_month(rule, year, month + 1, anchor):
                day = date(year, month + 1, number)
                if anchor <= day <= last and _in_step(rule, day, anchor):
                    yield day


def _in_months(rule: Rule, year: int, month: int, anchor: date) -> bool:
    if rule.months and month not in rule.months:
        return False
    if rule.frequency == "MONTHLY":
        return ((year - anchor.year) * 12 + month - anchor.month) % rule.interval == 0
    if rule.frequency == "YEARLY":
        # RFC 5545 §3.3.10: BYMONTHDAY alone names a day of every month, DTSTART just its own.
        named = rule.months or rule.month_days or month == anchor.month
        return bool(named) and (year - anchor.year) % rule.interval == 0
    return True


def _in_step(rule: Rule, day: date, anchor: date) -> bool:
    if rule.interval == 1 or rule.frequency in ("MONTHLY", "YEARLY"):
        return True
    if rule.frequency == "DAILY":
        return (day - anchor).days % rule.interval == 0
    # Weeks start on Monday: RFC 5545's default WKST.
    weeks = (day.toordinal() - 1) // 7 - (anchor.toordinal() - 1) // 7
    return weeks % rule.interval == 0


def _days_of_month(rule: Rule, year: int, month: int, anchor: date) -> list[int]:
    """Return the month's days that the BY parts name, or what stands for them."""
    first, length = monthrange(year, month)
    month_days, weekdays = rule.month_days, rule.weekdays
    if not weekdays and rule.frequency == "WEEKLY":
        weekdays = ((0, anchor.weekday()),)
    elif not weekdays and not month_days and rule.frequency != "DAILY":
        month_days = (anchor.day,)
    if not month_days and not weekdays:
        return list(range(1, length + 1))
    days = {min(day, length) if day > 0 else length + 1 + day for day in month_days}
    if weekdays:
        numbered = _numbered_weekdays(weekdays, first, length)
        days = days & numbered if month_days else numbered
    return sorted(days)


def _numbered_weekdays(weekdays: tuple[tuple[int, int], ...], first: int, length: int) -> set[int]:
    """Return the days of a month of `length` days, whose 1st is weekday `first`."""
    found: set[int] = set()
    for ordinal, weekday in weekdays:
        days = range(1 + (weekday - first) % 7, length + 1, 7)
        if ordinal == 0:
            found.update(days)
        elif abs(ordinal) <= len(days):
            found.add(days[ordinal - 1 if ordinal > 0 else ordinal])
    return found


def _refused(detail: str) -> InvalidConstraints:
    return InvalidConstraints(detail, pointer=_POINTER)
