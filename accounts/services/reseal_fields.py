"""Seal under the first key what older keys have sealed, so that those can be removed."""

from dataclasses import dataclass
from typing import Any

from django.db import transaction

from accounts.crypto import reseal
from accounts.errors import SealBroken
from accounts.models.sealed import SealedColumn
from accounts.services.record_event import record_event


@dataclass(frozen=True, slots=True)
class Resealed:
    """How many rows were sealed again, and how many no key opens."""

    done: int
    unreadable: int


def reseal_fields(*, column: SealedColumn, batch: int) -> Resealed:
    """Go through one column, each batch whole or not at all; what is interrupted goes on later.

    A value that does not open stays as it is.
    """
    done = unreadable = 0
    last: Any = None
    while rows := _next_batch(column, last, batch):
        with transaction.atomic(durable=True):
            read, broken = _reseal(column, [row.pk for row in rows])
        done, unreadable, last = done + read, unreadable + broken, rows[-1].pk
    if done:
        record_event(code="fields_resealed", data={"column": column.name, "count": done})
    return Resealed(done, unreadable)


def _next_batch(column: SealedColumn, last: Any, batch: int) -> list[Any]:
    left = column.outdated() if last is None else column.outdated().filter(pk__gt=last)
    return list(left.order_by("pk")[:batch])


def _reseal(column: SealedColumn, pks: list[Any]) -> tuple[int, int]:
    """Seal these rows again, with others kept from writing them meanwhile."""
    locked = column.outdated().filter(pk__in=pks).order_by("pk")
    rows = list(locked.select_for_update(of=("self",), no_key=True))
    opened = [row for row in rows if _seal_again(column, row)]
    column.rows.model._default_manager.bulk_update(opened, [column.field])
    return len(opened), len(rows) - len(opened)


def _seal_again(column: SealedColumn, row: Any) -> bool:
    try:
        sealed = reseal(getattr(row, column.field), context=column.context(row))
    except SealBroken:
        return False
    setattr(row, column.field, sealed)
    return True
