"""Read what an executor may do now: its switch, its caps, what it used of them, and its types."""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from dataclasses import dataclass

from django.db.models import Q, QuerySet

from accounts.models import ServiceClient
from batchtokens.models import ExecutorControl, ExecutorUse, OperationType, UsePeriod


@dataclass(frozen=True)
class Used:
    """What was reserved in a minute or a day; sums are minor units of the caps' currency.

    None: not counted, because no cap of that period is set.
    """

    count: int | None = None
    minor: int | None = None


NOT_COUNTED, NOTHING = Used(), Used(0, 0)


@dataclass(frozen=True)
class ExecutorState:
    """types: those it executes, each in its current version."""

    executor: ServiceClient
    control: ExecutorControl
    minute: Used
    day: Used
    types: Sequence[OperationType]


def all_executors() -> QuerySet[ServiceClient]:
    """Return the clients that execute a type, or whose switch or caps were ever set."""
    known = Q(executed_types__isnull=False) | Q(control__isnull=False)
    return ServiceClient.objects.filter(known).distinct().order_by("client_id")


def read_executors(
    executors: Sequence[ServiceClient], *, now: dt.datetime
) -> Sequence[ExecutorState]:
    """Return the state of each, in three statements however many they are."""
    controls = {c.executor_id: c for c in ExecutorControl.objects.filter(executor__in=executors)}
    used = _used(executors, now)
    types: dict[object, list[OperationType]] = {}
    for kind in OperationType.objects.current().filter(executor__in=executors).order_by("name"):
        types.setdefault(kind.executor_id, []).append(kind)
    return [
        _state(each, controls.get(each.pk) or ExecutorControl(executor=each), used, types)
        for each in executors
    ]


def _used(executors: Sequence[ServiceClient], now: dt.datetime) -> dict[tuple[object, str], Used]:
    minute = now.astimezone(dt.UTC).replace(second=0, microsecond=0)
    midnight = minute.replace(hour=0, minute=0)
    present = Q(period=UsePeriod.MINUTE, starts_at=minute) | Q(
        period=UsePeriod.DAY, starts_at=midnight
    )
    rows = ExecutorUse.objects.filter(present, executor__in=executors)
    return {(row.executor_id, row.period): Used(row.count, row.minor) for row in rows}


def _state(
    executor: ServiceClient,
    control: ExecutorControl,
    used: dict[tuple[object, str], Used],
    types: dict[object, list[OperationType]],
) -> ExecutorState:
    caps_minute = (control.max_count_minute, control.max_minor_minute)
    caps_day = (control.max_count_day, control.max_minor_day)
    minute, day = (
        used.get((executor.pk, period), NOTHING) if any(caps) else NOT_COUNTED
        for period, caps in ((UsePeriod.MINUTE, caps_minute), (UsePeriod.DAY, caps_day))
    )
    return ExecutorState(executor, control, minute, day, types.get(executor.pk, []))
