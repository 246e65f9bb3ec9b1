"""Delete consents that nobody used, a day after they were over; a spent one is evidence."""

from __future__ import annotations

from datetime import datetime, timedelta

from batchtokens.models import Consent

KEPT = timedelta(days=1)


def purge_consents(limit: int, *, now: datetime) -> int:
    """Delete at most so many and return how many."""
    over = Consent.objects.outdated(now - KEPT)
    pks = list(over.order_by("pk").values_list("pk", flat=True)[:limit])
    return over.filter(pk__in=pks).delete()[0] if pks else 0
