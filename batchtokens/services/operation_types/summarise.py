"""Say in one sentence what will be signed, from the same values that are signed.

Every leaf of the operation and every constraint appears, and what differs reads differently.
"""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Iterable, Iterator, Mapping
from functools import lru_cache
from typing import Any

from batchtokens.models import OperationType
from batchtokens.services.operation_types.quote_text import quote_text
from batchtokens_verifier.constraints import Amount, Constraints, PeriodicLimit, plan_slots

# A template may write the marks itself.
_PLACEHOLDER = re.compile(r"“\{([a-z0-9_.]+)\}”|\{([a-z0-9_.]+)\}")
_ALIGNMENTS = {"calendar": "calendar", "consent": "rolling"}


def summarise(operation_type: OperationType, operation: Mapping[str, Any], clauses: str) -> str:
    """Return the type's own sentence of the operation, and what `describe_limits` says."""
    start, pieces = _pieces(operation_type.summary_template)
    shown = [f"{_shown(_member(operation, path))}{text}" for path, text in pieces]
    return f"{start}{''.join(shown)} {clauses}"


@lru_cache(maxsize=256)
def _pieces(template: str) -> tuple[str, list[tuple[list[str], str]]]:
    """Return what a template begins with; then each member's path, and the text after it."""
    start, *rest = _PLACEHOLDER.split(template)
    marked, plain, texts = rest[0::3], rest[1::3], rest[2::3]
    paths = [(name or other).split(".") for name, other in zip(marked, plain, strict=True)]
    return start, list(zip(paths, texts, strict=True))


def describe_limits(limits: Constraints) -> str:
    """Return a sentence for each constraint."""
    return " ".join(f"{clause}." for clause in _clauses(limits))


def describe_parties(*, client_id: str, executor: str, audience: str) -> str:
    """Say who gets the token and who carries it out. client_id: "" where nobody is handed one."""
    carried_out = f"arried out by {quote_text(executor)} ({quote_text(audience)})."
    return f"Given to {quote_text(client_id)}, c{carried_out}" if client_id else f"C{carried_out}"


def _member(operation: Mapping[str, Any], path: Iterable[str]) -> Any:
    value: Any = operation
    for name in path:
        value = value.get(name) if isinstance(value, dict) else None
    return value


def _shown(value: Any) -> str:
    """Show a member so that where it ends is plain; only texts have quotation marks."""
    if isinstance(value, dict):
        return _money(Amount.parse(value, ""))
    if isinstance(value, list):
        return f"[{', '.join(_shown(item) for item in value)}]"
    if isinstance(value, bool):
        return "yes" if value else "no"
    return "–" if value is None else quote_text(str(value))


def _money(amount: Amount) -> str:
    return f"{amount} {amount.currency}"


def _clauses(limits: Constraints) -> Iterator[str]:
    yield f"Valid from {_instant(limits.valid_from)} to {_instant(limits.valid_to)} UTC"
    if limits.schedule:
        count = plan_slots(limits).capacity
        # The schedule's clock is the first limit's.
        zone = limits.periodic_limits[0].time_zone if limits.periodic_limits else "UTC"
        yield f"Runs {_times(count)} by the schedule {limits.schedule} ({zone})"
    if limits.due_window:
        yield f"Each run within {_words(limits.due_window)} of its time"
    if limits.max_individual_amount:
        yield f"Never more than {_money(limits.max_individual_amount)} a run"
    for limit in limits.periodic_limits:
        yield _limit(limit)
    if limits.max_total:
        yield f"Never more than {_money(limits.max_total)} in total"
    if limits.max_occurrences:
        yield f"At most {_times(limits.max_occurrences)} in all"


def _instant(at: dt.datetime) -> str:
    return f"{at:%d %b %Y %H:%M:%S}" if at.second else f"{at:%d %b %Y %H:%M}"


def _words(duration: dt.timedelta) -> str:
    minutes, seconds = divmod(duration.seconds, 60)
    hours, minutes = divmod(minutes, 60)
    parts = {"day": duration.days, "hour": hours, "minute": minutes, "second": seconds}
    named = (f"{n} {unit}{'' if n == 1 else 's'}" for unit, n in parts.items() if n)
    return " ".join(named)


def _limit(limit: PeriodicLimit) -> str:
    period = f"{_ALIGNMENTS[limit.period_alignment]} {limit.period_type.replace('_', ' ')}"
    where = f"in a {period} ({limit.time_zone})"
    count = f"at most {_times(limit.max_count)}" if limit.max_count else ""
    if limit.amount is None:
        return f"{count.capitalize()} {where}"
    most = f"Never more than {_money(limit.amount)}"
    return f"{most}, and {count}, {where}" if count else f"{most} {where}"


def _times(count: int) -> str:
    return "once" if count == 1 else f"{count} times"
