"""Refuse whoever shows a link's token that opens nothing: one answer, counted for their address."""

from datetime import datetime
from typing import NoReturn

from accounts.errors import LinkNotValid
from accounts.models import RequestContext
from accounts.services.limit_failures import count_failure


def refuse_link(*, context: RequestContext, now: datetime | None = None) -> NoReturn:
    """Count the failure, and say no more than that it is one.  Called outside transactions.

    Raises LinkNotValid, or WaitForAttempt where an address had too many.
    """
    count_failure(context=context, now=now)
    raise LinkNotValid
