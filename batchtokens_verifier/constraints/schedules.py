"""Schedules: a closed subset of RFC 5545 recurrence rules, expanded day by day inside validity.

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
        parts = _split(value)
        rule = cls(
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


def _split(value: object) -> dict[str, str]:
    if not isinstance(value, str) or len(value) > 256:
        raise _refused("A schedule is a recurrence rule, as FREQ=MONTHLY;COUNT=12.")
    parts: dict[str, str] = {}
    for part in value.split(";"):
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
    start = wall_clock(valid_from, zone)
    days = (wall_clock(valid_to, zone).date() - start.date()).days
    latest = None
    for offset in range(days + 1):
        wall = start + timedelta(days=offset)
        if not _matches(rule, wall.date(), start.date()):
            continue
        # The anchor is exact even where the clocks show its time twice.
        instant = instant_of(wall, zone) if offset else valid_from
        # A day that a zone skipped altogether shifts onto the next one: one run, not two.
        if instant != latest:
            yield instant
        latest = instant


def _steps(valid_from: datetime, valid_to: datetime, seconds: int) -> Iterator[datetime]:
    total = int((valid_to - valid_from).total_seconds())
    return (valid_from + timedelta(seconds=n) for n in range(0, total + 1, seconds))


def _matches(rule: Rule, day: date, anchor: date) -> bool:
    return (
        _in_step(rule, day, anchor)
        and (not rule.months or day.month in rule.months)
        and _on_day(rule, day, anchor)
    )


def _in_step(rule: Rule, day: date, anchor: date) -> bool:
    match rule.frequency:
        case "DAILY":
            steps = (day - anchor).days
        case "WEEKLY":
            # Weeks start on Monday: RFC 5545's default WKST.
            steps = (day.toordinal() - 1) // 7 - (anchor.toordinal() - 1) // 7
        case "MONTHLY":
            steps = (day.year - anchor.year) * 12 + day.month - anchor.month
        case _:
            steps = day.year - anchor.year
    return steps % rule.interval == 0


def _on_day(rule: Rule, day: date, anchor: date) -> bool:
    if rule.weekdays or rule.month_days:
        return _on_weekday(rule, day) and _on_month_day(rule.month_days, day)
    match rule.frequency:
        case "DAILY":
            return True
        case "WEEKLY":
            return day.weekday() == anchor.weekday()
        case "YEARLY" if not rule.months and day.month != anchor.month:
            return False
    return _on_month_day((anchor.day,), day)


def _on_month_day(month_days: tuple[int, ...], day: date) -> bool:
    length = monthrange(day.year, day.month)[1]
    return not month_days or any(
        day.day == (min(wanted, length) if wanted > 0 else length + 1 + wanted)
        for wanted in month_days
    )


def _on_weekday(rule: Rule, day: date) -> bool:
    length = monthrange(day.year, day.month)[1]
    from_start, from_end = (day.day + 6) // 7, -((length - day.day) // 7 + 1)
    return not rule.weekdays or any(
        weekday == day.weekday() and ordinal in (0, from_start, from_end)
        for ordinal, weekday in rule.weekdays
    )


def _refused(detail: str) -> InvalidConstraints:
    return InvalidConstraints(detail, pointer=_POINTER)
