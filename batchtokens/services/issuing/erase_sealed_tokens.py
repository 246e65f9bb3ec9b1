"""Erase what is kept for retries only: an exchanged token's sealed copy lives for a day."""

from __future__ import annotations

import datetime as dt

from batchtokens.models import OperationToken
from batchtokens.models.clock import database_now


def erase_sealed_tokens(*, now: dt.datetime | None = None) -> int:
    """Forget the copies whose day is over; returns how many there were. Two statements."""
    over = OperationToken.objects.filter(sealed_until__lte=now or database_now())
    return over.update(sealed_token=None, sealed_until=None)
