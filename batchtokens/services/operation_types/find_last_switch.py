"""Find who stopped or started an operation type last, and why, as far as the security log says."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass

from accounts.models import SecurityEvent

CODES = ("operation_type_stopped", "operation_type_started")


@dataclass(frozen=True)
class Switched:
    at: dt.datetime
    by: str
    reason: str


def find_last_switch(*, name: str) -> Switched | None:
    """Return the last time that this type was stopped or started; None where the log has none."""
    events = SecurityEvent.objects.filter(code__in=CODES, data__type=name)
    event = events.order_by("-at").first()
    if event is None:
        return None
    return Switched(event.at, str(event.data.get("by", "")), str(event.data.get("reason", "")))
