"""Count what a capped executor reserves, by minute and by UTC day.

Whatever races for the last of a cap, the row's own constraints let through no more. A release gives
nothing back, and a further attempt on a slot in doubt takes nothing: it was counted.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable
from itertools import groupby

from django.db import IntegrityError

from batchtokens.models import ExecutorControl, ExecutorUse, Redemption, UsePeriod
from batchtokens.models.locking import LockedToken
from batchtokens.models.writing import Statement, addition
from batchtokens_verifier.constraints import Amount
from batchtokens_verifier.errors import LimitExceeded

COUNT_CAP, SUM_CAP = "executor_use_count_within_cap", "executor_use_sum_within_cap"


def check_caps(locked: LockedToken, amount: Amount) -> None:
    """Refuse another currency than that of the executor's sums: no cap would hold it.

    Raises LimitExceeded.
    """
    control = locked.control
    if control is not None and control.caps_sums and control.currency != amount.currency:
        raise LimitExceeded(f"The executor's sums are capped, in {control.currency} only.")


def count_uses(taken: Iterable[tuple[LockedToken, Redemption]]) -> list[Statement]:
    """Return what counts these redemptions of one executor; nothing where it has no caps."""
    uses = [use for locked, redemption in taken for use in _uses(locked.control, redemption)]
    if not uses:
        return []
    # In one order everywhere, so that no two callers wait for each other for ever.
    uses.sort(key=_row_of)
    rows = [_summed(list(same)) for _, same in groupby(uses, key=_row_of)]
    return [
        addition(
            *rows,
            key=("executor", "period", "starts_at"),
            add=("count", "minor"),
            replace=("max_count", "max_minor"),
        )
    ]


def passed_cap(error: IntegrityError) -> str:
    """Say which cap refused a statement, "" if none did."""
    text = str(error)
    return next((name for name in (COUNT_CAP, SUM_CAP) if name in text), "")


def _row_of(use: ExecutorUse) -> tuple[str, dt.datetime]:
    return use.period, use.starts_at


def _summed(uses: list[ExecutorUse]) -> ExecutorUse:
    first = uses[0]
    first.count = len(uses)
    first.minor = sum(use.minor for use in uses)
    return first


def _uses(control: ExecutorControl | None, redemption: Redemption) -> Iterable[ExecutorUse]:
    if control is None:
        return
    at = redemption.reserved_at.astimezone(dt.UTC)
    minute = at.replace(second=0, microsecond=0)
    minor = redemption.amount_minor if redemption.currency == control.currency else 0
    for period, starts_at, count, total in (
        (
            UsePeriod.DAY,
            minute.replace(hour=0, minute=0),
            control.max_count_day,
            control.max_minor_day,
        ),
        (UsePeriod.MINUTE, minute, control.max_count_minute, control.max_minor_minute),
    ):
        if count is not None or total is not None:
            yield ExecutorUse(
                executor_id=control.executor_id,
                period=period,
                starts_at=starts_at,
                count=1,
                minor=minor,
                max_count=count,
                max_minor=total,
            )
