"""Count a try against a limit."""

import time

from django.conf import settings
from django_ratelimit.core import get_usage

from accounts.errors import RateLimited
from accounts.limits.stores import DATABASE, PATIENCE, REDIS, Away, counting_in, redis
from accounts.limits.table import Limit, Window, caller_of
from accounts.models import RateUsage, RequestContext


def check_limit(limit: Limit, *, context: RequestContext) -> None:
    """Count one try, and leave what is left of the limit in the context.

    A try that a short window refuses costs nothing of the longer ones.
    Raises RateLimited once there were too many.
    """
    if not settings.RATE_LIMITS:
        return
    for window in limit.windows:
        usage = _count(limit, window, context)
        context.usages.append(usage)
        if usage.is_over:
            raise RateLimited(
                policy=usage.policy,
                limit=usage.limit,
                window=usage.window,
                retry_after=usage.reset,
                first=usage.count == usage.limit + 1,
            )


def _count(limit: Limit, window: Window, context: RequestContext) -> RateUsage:
    """Count in Redis where there is one; while it is away or slow, fewer in the database."""
    if redis.may_be_asked and sum(usage.took for usage in context.usages) <= PATIENCE:
        try:
            with redis.asked(), counting_in(REDIS):
                return _counted(limit, window, window, context)
        except Away:
            pass
    allowed = window.stricter if redis.is_used else window
    with counting_in(DATABASE):
        return _counted(limit, window, allowed, context)


def _counted(limit: Limit, window: Window, allowed: Window, context: RequestContext) -> RateUsage:
    started = time.monotonic()
    usage = get_usage(
        context,
        group=f"{limit.name}:",
        key=lambda _group, caller: caller_of(caller),
        rate=(allowed.tries, allowed.seconds),
        increment=True,
    )
    # A counter that could be neither started nor found counts as full.
    count = usage["count"] or allowed.tries + 1
    return RateUsage(
        policy=limit.policy_of(window),
        limit=allowed.tries,
        window=allowed.seconds,
        count=count,
        # The last second that it counts in a window is still the window's.
        reset=max(0, usage["time_left"]) + 1,
        took=time.monotonic() - started,
    )
