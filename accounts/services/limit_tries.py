"""Let nobody try too often, and tell the security log of who did."""

from accounts.errors import RateLimited
from accounts.limits import Limit, check_limit
from accounts.models import RequestContext
from accounts.services.record_event import count_refusal


def limit_tries(limit: Limit, *, context: RequestContext) -> None:
    """Count one try.

    Raises RateLimited; the first refusal of a window is recorded, the others only cost.
    """
    try:
        check_limit(limit, context=context)
    except RateLimited as refusal:
        if refusal.first:
            count_refusal(code="rate_limited", reason=limit.name, context=context)
        raise
