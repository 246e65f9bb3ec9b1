"""Instants, local wall clocks and durations in their one accepted spelling (RFC 3339, ISO 8601)."""

import re
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from batchtokens_verifier.errors import InvalidConstraints

# Whole seconds: exp and nbf are whole numbers and must equal them.
_INSTANT = re.compile(r"(?:19[7-9]|2[0-9]{2})[0-9]-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}Z")
_DURATION = re.compile(
    r"P(?=[0-9T])(?:([0-9]{1,5})D)?(?:T(?=[0-9])(?:([0-9]{1,5})H)?(?:([0-9]{1,5})M)?(?:([0-9]{1,5})S)?)?"
)
MAX_DURATION = timedelta(days=366)  # as long as an operation token can live
# IANA names start with a capital; "posix/…", "right/…" and "localtime" are files, not zones.
_ZONE = re.compile(r"[A-Z][A-Za-z0-9_+-]*(?:/[A-Za-z0-9_+-]+)*")


def parse_instant(value: object, pointer: str) -> datetime:
    """Read "2026-12-01T08:00:00Z": UTC, whole seconds, no other spelling.

    Raises InvalidConstraints.
    """
    if isinstance(value, str) and _INSTANT.fullmatch(value):
        try:
            return datetime.fromisoformat(value)
        except ValueError:
            pass
    raise InvalidConstraints("An instant reads 2026-12-01T08:00:00Z.", pointer=pointer)


def format_instant(instant: datetime) -> str:
    """Write an aware instant as "2026-12-01T08:00:00Z"; fractions of a second are cut off."""
    return instant.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def parse_duration(value: object, pointer: str) -> timedelta:
    """Read a duration of days, hours, minutes and seconds, as P3D or PT1H30M; a year at most.

    Raises InvalidConstraints.
    """
    match = _DURATION.fullmatch(value) if isinstance(value, str) else None
    if match:
        days, hours, minutes, seconds = (int(part or 0) for part in match.groups())
        duration = timedelta(days=days, hours=hours, minutes=minutes, seconds=seconds)
        # Longer ones could be written in a form that is not read here: more than five digits.
        if timedelta(0) < duration <= MAX_DURATION:
            return duration
    raise InvalidConstraints("A duration reads P3D or PT1H30M.", pointer=pointer)


def format_duration(duration: timedelta) -> str:
    """Write a duration in its shortest form: PT1M for 60 seconds."""
    minutes, seconds = divmod(duration.seconds, 60)
    hours, minutes = divmod(minutes, 60)
    days = f"{duration.days}D" if duration.days else ""
    time = "".join(
        f"{number}{unit}"
        for number, unit in ((hours, "H"), (minutes, "M"), (seconds, "S"))
        if number
    )
    return f"P{days}{'T' + time if time else ''}"


def parse_zone(value: object, pointer: str) -> str:
    """Return the name of an IANA time zone that this machine knows.

    Raises InvalidConstraints.
    """
    if isinstance(value, str) and len(value) <= 64 and _ZONE.fullmatch(value):
        try:
            return zone_named(value).key
        except (ZoneInfoNotFoundError, ValueError, OSError):
            pass
    raise InvalidConstraints("Unknown time zone.", pointer=pointer)


@lru_cache(maxsize=1024)
def zone_named(name: str) -> ZoneInfo:
    """Return the zone; ZoneInfo's own cache keeps eight and reads the others' files again."""
    return ZoneInfo(name)


def wall_clock(instant: datetime, zone: ZoneInfo) -> datetime:
    """Return what the clocks of `zone` show at `instant`, as a naive datetime."""
    return instant.astimezone(zone).replace(tzinfo=None, fold=0)


def instant_of(wall: datetime, zone: ZoneInfo) -> datetime:
    """Return when the clocks of `zone` show `wall`.

    An ambiguous time is its first instant; a missing one shifts forward by the gap (RFC 5545
    §3.3.5): fold=0 reads both with the offset from before the change.
    """
    return wall.replace(tzinfo=zone, fold=0).astimezone(UTC)
