"""Say in one sentence what will be signed, from the same values that are signed.

Every leaf of the operation and every constraint appears; texts are quoted as they are.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

from batchtokens.models import OperationType
from batchtokens_verifier.constraints import Amount, Constraints, PeriodicLimit, plan_slots

_PLACEHOLDER = re.compile(r"\{([a-z0-9_.]+)\}")
_ALIGNMENTS = {"calendar": "calendar", "consent": "rolling"}


def summarise(
    operation_type: OperationType, operation: Mapping[str, Any], limits: Constraints
) -> str:
    sentence = _PLACEHOLDER.sub(
        lambda match: _shown(_member(operation, match[1])), operation_type.summary_template
    )
    return " ".join([sentence, *(f"{clause}." for clause in _clauses(limits))])


def _member(operation: Mapping[str, Any], path: str) -> Any:
    value: Any = operation
    for name in path.split("."):
        value = value.get(name) if isinstance(value, Mapping) else None
    return value


def _shown(value: Any) -> str:
    if isinstance(value, Mapping):
        return _money(Amount.parse(value, ""))
    if isinstance(value, list):
        return ", ".join(_shown(item) for item in value)
    if isinstance(value, bool):
        return "yes" if value else "no"
    return "–" if value is None else str(value)


def _money(amount: Amount) -> str:
    shown = amount.as_json()
    return f"{shown['amount']} {shown['currency']}"


def _clauses(limits: Constraints) -> Iterator[str]:
    yield f"Valid from {limits.valid_from:%d %b %Y %H:%M} to {limits.valid_to:%d %b %Y %H:%M} UTC"
    if limits.schedule:
        count = plan_slots(limits).capacity
        yield f"Runs {_times(count)} by the schedule {limits.schedule}"
        yield f"Each run within {_window(limits)} of its time"
    if limits.max_individual_amount:
        yield f"Never more than {_money(limits.max_individual_amount)} a run"
    for limit in limits.periodic_limits:
        yield f"Never more than {_limit(limit)}"
    if limits.max_total:
        yield f"Never more than {_money(limits.max_total)} in total"
    if limits.max_occurrences:
        yield f"At most {_times(limits.max_occurrences)}"


def _window(limits: Constraints) -> str:
    window = str(limits.as_json()["due_window"])
    return window.removeprefix("P")


def _limit(limit: PeriodicLimit) -> str:
    parts = [_money(limit.amount)] if limit.amount else []
    parts += [_times(limit.max_count)] if limit.max_count else []
    period = f"{_ALIGNMENTS[limit.period_alignment]} {limit.period_type.replace('_', ' ')}"
    return f"{' or '.join(parts)} in a {period} ({limit.time_zone})"


def _times(count: int) -> str:
    return "once" if count == 1 else f"{count} times"
