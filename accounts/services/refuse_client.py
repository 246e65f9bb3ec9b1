"""Refuse whoever shows a wrong secret, key or assertion: one answer, counted once."""

from typing import NoReturn

from accounts.errors import InvalidClient
from accounts.models import RequestContext
from accounts.services.limit_failures import count_failure
from accounts.services.record_event import count_refusal


def refuse_client(reason: str, *, context: RequestContext) -> NoReturn:
    """Count the refusal, and say no more than that it is one.

    Raises InvalidClient, or WaitForAttempt where an address had too many.
    """
    count_failure(context=context)
    count_refusal(code="client_refused", reason=reason, context=context)
    raise InvalidClient
