"""What commands take: durations, instants, names, addresses and networks."""

import argparse
import ipaddress
import re
from datetime import UTC, date, datetime, timedelta

from django.utils import timezone

from accounts.models.networks import parse_network

UNITS = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days"}
_DURATION = re.compile(r"([0-9]{1,9})([smhd])")


def duration(text: str) -> timedelta:
    """Read `30d`, `12h`, `15m` or `90s`, ago or ahead."""
    match = _DURATION.fullmatch(text)
    if not match:
        raise argparse.ArgumentTypeError(f"{text} is not a duration such as 30d, 12h or 15m")
    length = timedelta(**{UNITS[match[2]]: int(match[1])})
    try:
        _ = timezone.now() - length, timezone.now() + length
    except OverflowError:
        raise argparse.ArgumentTypeError(f"{text} is before the calendar begins") from None
    return length


def moment(text: str) -> datetime:
    """Read an instant, the first one of a date (both UTC), or how long ago, such as `30d`."""
    try:
        return timezone.now() - duration(text)
    except argparse.ArgumentTypeError:
        pass
    try:
        read = datetime.fromisoformat(text)
    except ValueError:
        raise argparse.ArgumentTypeError(
            f"{text} is not a date such as 2026-11-21, an instant, or a duration such as 30d"
        ) from None
    return read if read.tzinfo else read.replace(tzinfo=UTC)


def day(text: str) -> date:
    """Read a date such as 2026-11-21."""
    try:
        return date.fromisoformat(text)
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text} is not a date such as 2026-11-21") from None


def name(text: str) -> str:
    """Read a name or an id: an empty one, such as an unset variable's, would select everybody."""
    if not text:
        raise argparse.ArgumentTypeError("it is empty")
    return text


def address(text: str) -> str:
    """Read an IP address."""
    try:
        return str(ipaddress.ip_address(text))
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text} is not an IP address") from None


def network(text: str) -> str:
    """Read a network in CIDR notation."""
    try:
        return parse_network(text)
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text} is not a network such as 192.0.2.0/24") from None
