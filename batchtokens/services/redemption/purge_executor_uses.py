"""Delete the counts of minutes and days that are over: no cap looks at them any more."""

from __future__ import annotations

from datetime import datetime, timedelta

from batchtokens.models import ExecutorUse

KEPT = timedelta(days=7)  # for who asks why a breaker opened; the longest period is a day


def purge_executor_uses(limit: int, *, now: datetime) -> int:
    """Delete at most so many and return how many."""
    over = ExecutorUse.objects.filter(starts_at__lt=now - KEPT)
    pks = list(over.order_by("pk").values_list("pk", flat=True)[:limit])
    return over.filter(pk__in=pks).delete()[0] if pks else 0
